// SPDX-License-Identifier: GPL-2.0
/*
 * Everything that can happen to DMA-bufs at once: threads pick operations at
 * random and apply them to the same few devices, buffers, mappings and importers.
 * An operation may meet its object closed, revoked or in use, and says so with one
 * of few errnos: any other one ends the run. race.rounds= operations are run,
 * race.seed= makes their order per thread the same again.
 *
 * Objects live at file descriptors of their own, that dup3() replaces: a thread
 * uses what happens to be there, and no lock of this program gets in the way of a
 * race in the kernel.
 */
#include "lib/channel.h"
#include "lib/ram.h"
#include "lib/rig.h"
#include "lib/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 4
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* The descriptors; nothing else gets that high. */
enum {
	BARS = 100, BARS_END = 106,		/* DMA-bufs of vfio-pci */
	RAMS = 110, RAMS_END = 114,		/* DMA-bufs of heaps and udmabuf */
	IMPORTERS = 120, IMPORTERS_END = 125,	/* who takes scatterlists */
	DEVICES = 130, DEVICES_END = DEVICES + EXPORTERS,
};

#define IOASES 2
#define IOVAS 3

static int iommufd;
static uint32_t ioas[IOASES];
static struct pdev edu;
static uint64_t config;			/* of any vfio device */
/* The second edu is unbound when no thread attaches for it. */
static pthread_rwlock_t edu_lock = PTHREAD_RWLOCK_INITIALIZER;

/* ---- chance ---- */

static __thread uint64_t state;

static unsigned int below(unsigned int n)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (state >> 33) % n;
}

static int one_of(int first, int end)
{
	return first + below(end - first);
}

static int bar_slot(void)
{
	return one_of(BARS, BARS_END);
}

static int ram_slot(void)
{
	return one_of(RAMS, RAMS_END);
}

static int importer_slot(void)
{
	return one_of(IMPORTERS, IMPORTERS_END);
}

static int device_slot(void)
{
	return one_of(DEVICES, DEVICES_END);
}

/* What was there is closed. */
static int publish(int fd, int slot)
{
	int ret = fd < 0 ? fd : 0;

	if (fd < 0)
		return ret;
	/* EBUSY: another thread is at the same slot */
	if (dup3(fd, slot, O_CLOEXEC) < 0 && errno != EBUSY)
		ret = -errno;
	close(fd);
	return ret;
}

static int close_slot(int slot)
{
	return close(slot) ? -errno : 0;
}

/* ---- exporters ---- */

static int export_bar(void)
{
	const struct shape *shape = &rig_shapes[below(RIG_SHAPES)];
	struct pdev dev = { .fd = device_slot(), .bar_index = 2 };

	return publish(pdev_export(&dev, shape->ranges, shape->count), bar_slot());
}

static int close_bar(void)
{
	return close_slot(bar_slot());
}

static int alloc_ram(void)
{
	switch (below(4)) {
	case 0:
		return publish(heap_alloc("system", RIG_RAM), ram_slot());
	case 1:
		return publish(udmabuf_alloc(RIG_RAM), ram_slot());
	case 2:
		return publish(heap_alloc("test-heap", RIG_RAM), ram_slot());
	default:
		return publish(heap_alloc(machine->edu[1], RIG_RAM), ram_slot());
	}
}

static int close_ram(void)
{
	return close_slot(ram_slot());
}

static int decode(bool on)
{
	uint16_t command = PCI_COMMAND_MASTER | (on ? PCI_COMMAND_MEMORY : 0);

	return pwrite(device_slot(), &command, 2, config + PCI_COMMAND) == 2 ?
	       0 : -errno;
}

static int revoke_bars(void)
{
	return decode(false);
}

static int lend_bars(void)
{
	return decode(true);
}

/*
 * The same without a change of the machine's memory map, of which QEMU 7.2 does
 * not survive as many as there are revokes: another CPU may still use the old one.
 */
static int low_power(uint32_t feature)
{
	struct vfio_device_feature arg = {
		.argsz = sizeof(arg),
		.flags = VFIO_DEVICE_FEATURE_SET | feature,
	};

	return ioctl(device_slot(), VFIO_DEVICE_FEATURE, &arg) ? -errno : 0;
}

static int low_power_entry(void)
{
	return low_power(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
}

static int low_power_exit(void)
{
	return low_power(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
}

static int reset(void)
{
	return ioctl(DEVICES + BEHIND_ROOT_PORT, VFIO_DEVICE_RESET) ? -errno : 0;
}

static int open_device(void)
{
	int which = below(EXPORTERS);
	struct pdev dev;
	int ret = pdev_try_open(&dev, machine->exporter[which], 2, iommufd);

	return ret ? ret : publish(dev.fd, DEVICES + which);
}

static int close_device(void)
{
	return close_slot(device_slot());
}

/* Waits for all that have it open */
static int rebind_device(void)
{
	const char *bdf = machine->exporter[below(EXPORTERS)];
	int ret = pci_unbind(bdf);

	return ret ? ret : pci_bind_vfio(bdf);
}

/* ---- iommufd ---- */

static uint64_t iova_slot(void)
{
	return IOVA_A + below(IOVAS) * 2 * RIG_SIZE;
}

static int map_bar(void)
{
	struct range slice = { .offset = below(32) * PAGE };

	slice.len = below(2) ? RIG_SIZE - slice.offset : (1 + below(32)) * PAGE;
	return ioas_map_fd(iommufd, ioas[below(IOASES)], bar_slot(), &slice,
			   iova_slot(), below(2));
}

static int map_ram(void)
{
	struct range all = { 0, RIG_RAM };

	return ioas_map_fd(iommufd, ioas[0], ram_slot(), &all, iova_slot(), true);
}

static int unmap(void)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd), .ioas_id = ioas[below(IOASES)],
		.iova = iova_slot(), .length = RIG_SIZE,
	};

	return ioctl(iommufd, IOMMU_IOAS_UNMAP, &cmd) ? -errno : 0;
}

static int attach_domain(void)
{
	return pdev_try_attach(&edu, ioas[below(IOASES)]);
}

static int detach_domain(void)
{
	pdev_detach(&edu);
	return 0;
}

/* ---- KVM ---- */

#define VMS 2
#define SLOTS 3

/* Replacing a VM takes the write lock. One thread at a time runs the vCPU. */
static struct guest {
	pthread_rwlock_t lock;
	pthread_mutex_t cpu_lock;
	struct vm vm;
} guests[VMS] = {
	{ PTHREAD_RWLOCK_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, {} },
	{ PTHREAD_RWLOCK_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, {} },
};

static uint64_t slot_gpa(int slot)
{
	return VM_BAR + slot * 2 * RIG_SIZE;
}

static int with_guest(int (*fn)(struct guest *guest))
{
	struct guest *guest = &guests[below(VMS)];
	int ret;

	if (pthread_rwlock_tryrdlock(&guest->lock))
		return -EBUSY;
	ret = fn(guest);
	pthread_rwlock_unlock(&guest->lock);
	return ret;
}

static int set_slot(struct guest *guest)
{
	int slot = 1 + below(SLOTS);
	uint64_t offset = below(32) * PAGE;
	uint64_t len = below(2) ? RIG_SIZE - offset : (1 + below(32)) * PAGE;

	return vm_slot(&guest->vm, slot, slot_gpa(slot), len, bar_slot(), offset);
}

static int drop_slot(struct guest *guest)
{
	return vm_delete(&guest->vm, 1 + below(SLOTS));
}

/* Writes to a slot; MMIO if there is none, a memory fault if it is revoked */
static int touch_slot(struct guest *guest)
{
	uint64_t gpa = slot_gpa(1 + below(SLOTS)) + below(RIG_SIZE / PAGE) * PAGE;
	int ret;

	if (pthread_mutex_trylock(&guest->cpu_lock))
		return -EBUSY;
	ret = vcpu_write4(&guest->vm.cpu, gpa, gpa);
	pthread_mutex_unlock(&guest->cpu_lock);
	return ret;
}

static int add_slot(void)
{
	return with_guest(set_slot);
}

static int delete_slot(void)
{
	return with_guest(drop_slot);
}

static int access_slot(void)
{
	return with_guest(touch_slot);
}

/* The old one goes with all its slots. */
static int new_guest(void)
{
	struct guest *guest = &guests[below(VMS)];

	if (pthread_rwlock_trywrlock(&guest->lock))
		return -EBUSY;
	vm_close(&guest->vm);
	vm_open(&guest->vm);
	pthread_rwlock_unlock(&guest->lock);
	return 0;
}

/* ---- scatterlists ---- */

static int import_for(int fd, const char *device, int flags)
{
	int importer = importer_open(), ret;

	if (importer < 0)
		return importer;
	ret = importer_attach(importer, fd, device, flags);
	if (!ret)
		ret = importer_map(importer);
	if (!ret)
		return publish(importer, importer_slot());
	close(importer);
	return ret;
}

static int import_for_edu(int fd, int flags)
{
	int ret;

	if (pthread_rwlock_tryrdlock(&edu_lock))
		return -EBUSY;
	ret = import_for(fd, machine->edu[1], flags);
	pthread_rwlock_unlock(&edu_lock);
	return ret;
}

static int import_bar(void)
{
	return import_for_edu(bar_slot(), DEVICE_HEAP_TEST_P2P);
}

/* Neither what cannot be told to unmap, nor what cannot reach the BAR */
static int import_bar_refused(void)
{
	if (below(2))
		return import_for_edu(bar_slot(), 0);
	return import_for(bar_slot(), "test-import", DEVICE_HEAP_TEST_P2P);
}

static int import_ram(void)
{
	int flags = below(2) ? DEVICE_HEAP_TEST_REVOCABLE : 0;

	if (below(2))
		return import_for_edu(ram_slot(), flags);
	return import_for(ram_slot(), "test-import", flags);
}

static int map_importer(void)
{
	return importer_map(importer_slot());
}

static int unmap_importer(void)
{
	return importer_unmap(importer_slot());
}

static int close_importer(void)
{
	return close_slot(importer_slot());
}

/* Waits for importers of its heap's buffers that cannot be told to unmap */
static int rebind_edu(void)
{
	int ret;

	if (pthread_rwlock_trywrlock(&edu_lock))
		return -EBUSY;
	for (int slot = IMPORTERS; slot < IMPORTERS_END; slot++)
		close_slot(slot);
	ret = pci_unbind(machine->edu[1]);
	if (!ret)
		ret = pci_bind(machine->edu[1], "device-heap-test");
	pthread_rwlock_unlock(&edu_lock);
	return ret;
}

static int touch_ram(void)
{
	uint8_t *p = mmap(NULL, RIG_RAM, PROT_READ | PROT_WRITE, MAP_SHARED,
			  ram_slot(), 0);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, RIG_RAM);
	return 0;
}

static int list_buffers(void)
{
	bufinfo_read();
	return 0;
}

/* ---- the table ---- */

#define ERRNOS 6

/*
 * Errnos are listed as positive numbers; EBADF is an empty slot. iommufd looks a
 * descriptor up twice, as stock Linux 7.3 does: a DMA-buf that gets there in between
 * is taken for a memfd, so a map may say EEXIST, and EINVAL once it is to be pinned.
 */
static struct op {
	const char *name;
	int weight;
	int (*run)(void);
	int errnos[ERRNOS];
	unsigned int ok, seen[ERRNOS];
} ops[] = {
	{ "export", 200, export_bar, .errnos = { EBADF, ENODEV } },
	{ "close of a BAR's buffer", 40, close_bar, .errnos = { EBADF } },
	{ "map", 400, map_bar, .errnos = { EBADF, ENODEV, EEXIST, EINVAL } },
	{ "map of RAM", 50, map_ram,
	  .errnos = { EBADF, EOPNOTSUPP, ENODEV, EEXIST, EINVAL } },
	{ "unmap", 300, unmap, .errnos = { ENOENT, EBUSY } },
	{ "revoke", 60, low_power_entry, .errnos = { EBADF, EINVAL } },
	{ "un-revoke", 300, low_power_exit, .errnos = { EBADF } },
	{ "decode off", 2, revoke_bars, .errnos = { EBADF } },
	{ "decode on", 40, lend_bars, .errnos = { EBADF } },
	{ "reset", 1, reset, .errnos = { EBADF, EAGAIN } },
	{ "open of the exporter", 150, open_device, .errnos = { ENOENT, ENODEV, EINVAL, EAGAIN } },
	{ "close of the exporter", 10, close_device, .errnos = { EBADF } },
	{ "unbind of the exporter", 1, rebind_device, .errnos = { ENOENT, ENODEV, EBUSY } },
	{ "attach of a domain", 40, attach_domain, .errnos = { EBUSY, EINVAL } },
	{ "detach of a domain", 20, detach_domain, .errnos = {} },
	{ "slot of a guest", 150, add_slot,
	  .errnos = { EBADF, ENODEV, EINVAL, EBUSY } },
	{ "delete of a slot", 80, delete_slot, .errnos = { EINVAL, EBUSY } },
	{ "access of a guest", 400, access_slot, .errnos = { EFAULT, EBUSY } },
	{ "end of a guest", 10, new_guest, .errnos = { EBUSY } },
	{ "allocation", 80, alloc_ram, .errnos = { ENOENT, ENODEV } },
	{ "close of RAM", 30, close_ram, .errnos = { EBADF } },
	{ "import of a BAR", 200, import_bar,
	  .errnos = { EBADF, ENODEV, EBUSY } },
	{ "import of a BAR, refused", 30, import_bar_refused,
	  .errnos = { EBADF, ENODEV, EBUSY, EOPNOTSUPP } },
	{ "import of RAM", 60, import_ram, .errnos = { EBADF, ENODEV, EBUSY } },
	{ "map by scatterlist", 150, map_importer,
	  .errnos = { EBADF, ENODEV, EBUSY } },
	{ "unmap by scatterlist", 100, unmap_importer, .errnos = { EBADF } },
	{ "close of an importer", 60, close_importer, .errnos = { EBADF } },
	{ "unbind of an importer", 1, rebind_edu, .errnos = { EBUSY } },
	{ "mmap of RAM", 30, touch_ram, .errnos = { EBADF, ENODEV } },
	{ "list of all buffers", 5, list_buffers, .errnos = {} },
};

/* ---- threads ---- */

static unsigned int rounds = 1000, done, weights;
static uint64_t seed;
static const char *bad;		/* the operation that said what it must not */
static int bad_error;

static struct op *any_op(void)
{
	int at = below(weights);
	struct op *op = ops;

	while (at >= op->weight)
		at -= op++->weight;
	return op;
}

static void count(struct op *op, int ret)
{
	if (ret >= 0) {
		__atomic_add_fetch(&op->ok, 1, __ATOMIC_RELAXED);
		return;
	}
	for (int i = 0; i < ERRNOS && op->errnos[i]; i++) {
		if (op->errnos[i] == -ret) {
			__atomic_add_fetch(&op->seen[i], 1, __ATOMIC_RELAXED);
			return;
		}
	}
	bad_error = ret;
	__atomic_store_n(&bad, op->name, __ATOMIC_RELEASE);
}

static void close_all(void)
{
	for (int slot = BARS; slot < DEVICES_END; slot++)
		close(slot);
}

/* At the end each closes all, so that whoever waits for that can go on. */
static void *thread(void *number)
{
	state = (seed + 1) * 0x9e3779b97f4a7c15ULL + (uintptr_t)number;
	while (__atomic_add_fetch(&done, 1, __ATOMIC_RELAXED) <= rounds &&
	       !__atomic_load_n(&bad, __ATOMIC_ACQUIRE)) {
		struct op *op = any_op();

		count(op, op->run());
	}
	close_all();
	return NULL;
}

static void start(void)
{
	struct pdev dev;

	iommufd = iommufd_open();
	for (int i = 0; i < IOASES; i++)
		ioas[i] = ioas_new(iommufd);
	for (int i = 0; i < VMS; i++)
		vm_open(&guests[i].vm);
	pdev_open(&edu, machine->edu[0], 0, iommufd);
	pdev_attach(&edu, ioas[0]);
	pdev_open(&dev, machine->exporter[0], 2, iommufd);
	config = dev.config;
	pdev_close(&dev);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		weights += ops[i].weight;
}

static void run(void)
{
	pthread_t threads[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, thread, (void *)i))
			fail("no thread");
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* Each operation must have worked, and met each of its errnos but the rare ones. */
static void report(const struct op *op)
{
	char text[300];
	int len = snprintf(text, sizeof(text), "%u ok", op->ok);

	for (int i = 0; i < ERRNOS && op->errnos[i]; i++)
		len += snprintf(text + len, sizeof(text) - len, ", %u %s",
				op->seen[i], err(op->errnos[i]));
	say("row %s", op->name);
	say("note %s", text);
	/* Nothing but RAM is ever refused */
	if (!op->ok && op->errnos[0] && !op->seen[op->errnos[1] == EOPNOTSUPP ? 1 : 3])
		say("fail never worked: %s", text);
	else
		say("pass");
}

/*
 * Stock vfio-pci reads the command register that it emulates without memory_lock,
 * under which it writes it. Two threads that turn decode on and off race there.
 */
static void leave_out_stock(void)
{
	int fd = open("/sys/kernel/debug/kcsan", O_WRONLY | O_CLOEXEC);
	static const char name[] = "!vfio_basic_config_write";

	if (fd >= 0 && write(fd, name, strlen(name)) < 0)
		fail("kcsan: %s", err(-errno));
	if (fd >= 0)
		close(fd);
}

static void race(void)
{
	time_t began = time(NULL);

	leave_out_stock();
	start();
	run();
	if (bad)
		fail("%s: %s, after %u rounds, seed %lu", bad, err(bad_error), done,
		     (unsigned long)seed);
	say("note %u rounds by %d threads on %ld CPUs, seed %lu, %ld s", rounds,
	    THREADS, sysconf(_SC_NPROCESSORS_ONLN), (unsigned long)seed,
	    (long)(time(NULL) - began));
	say("pass");
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		report(&ops[i]);
	_exit(0);
}

/* A kernel with KCSAN must have watched; what it finds is on the console. */
static void row_kcsan(void)
{
	FILE *f = fopen("/sys/kernel/debug/kcsan", "re");
	unsigned long watched = 0;
	char line[100];

	if (!f)
		return;
	while (fgets(line, sizeof(line), f))
		sscanf(line, "setup_watchpoints: %lu", &watched);
	fclose(f);
	say("row KCSAN");
	say("note %lu accesses watched", watched);
	say(watched > rounds / 10 ? "pass" : "fail too few for %u rounds", rounds);
}

static uint64_t number(const char *key, uint64_t otherwise)
{
	char text[32];

	return cmdline_get(key, text, sizeof(text)) ? strtoull(text, NULL, 0) : otherwise;
}

int main(void)
{
	int status;
	pid_t pid;

	rounds = number("race.rounds", rounds);
	seed = number("race.seed", time(NULL));
	rig_init();
	say("row races");
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		fail("one CPU: --smp 2");
	pid = fork();
	if (!pid)
		race();
	waitpid(pid, &status, 0);
	if (status)
		say("fail died with status %#x", status);
	row_kcsan();
	rig_bytes("after the races");
	return 0;
}
