// SPDX-License-Identifier: GPL-2.0
/*
 * Device heaps: what user space can do with their buffers, what importers get,
 * what is left when the device goes, and whether a query tells the truth.
 *
 * It needs CONFIG_DMABUF_HEAPS_DEVICE_TEST, which provides the devices. There
 * are more with, for example,
 *
 *	cma=48M@256M memmap=48M$384M dma_heap.mem_accounting=1
 *	device_heap_test.pool_base=384M device_heap_test.pool_size=48M
 *
 * (numbers in hexadecimal) on the kernel command line, and QEMU's -device edu.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/dma-heap.h>

#include "kselftest_harness.h"
#include "../../../../drivers/dma-buf/heaps/device_heap_test.h"

#define HEAPS "/dev/dma_heap"
#define IMPORTER "/dev/device-heap-test"
#define PLATFORM "/sys/bus/platform/devices"
#define PCI "/sys/bus/pci/devices"
#define DRIVER "device-heap-test"
#define CGROUPS "/tmp/device-heap-cgroup"
#define FOREVER 4096	/* faults in a row */

#define PAGE ((size_t)4096)
#define SIZE (64 * PAGE)
#define MEG ((size_t)1 << 20)

/* ---- files ---- */

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return ret;
}

static bool get(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	if (len < 0)
		return false;
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return true;
}

static bool exists(const char *dir, const char *name)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return !access(path, F_OK);
}

static int open_in(const char *dir, const char *name, int flags)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, flags | O_CLOEXEC);
}

/* ---- devices ---- */

static char edu[32];	/* empty if there is none */

static bool is_edu(const char *name)
{
	char path[200], vendor[16] = "", device[16] = "";

	snprintf(path, sizeof(path), PCI "/%s/vendor", name);
	get(path, vendor, sizeof(vendor));
	snprintf(path, sizeof(path), PCI "/%s/device", name);
	get(path, device, sizeof(device));
	return !strcmp(vendor, "0x1234") && !strcmp(device, "0x11e8");
}

/* The first edu gets the driver, and with it a heap. */
static __attribute__((constructor)) void find_edu(void)
{
	DIR *dir = opendir(PCI);
	struct dirent *entry;
	char path[200];

	while (dir && !edu[0] && (entry = readdir(dir)))
		if (is_edu(entry->d_name))
			snprintf(edu, sizeof(edu), "%.31s", entry->d_name);
	if (dir)
		closedir(dir);
	snprintf(path, sizeof(path), PCI "/%s/driver_override", edu);
	if (edu[0] && !put(path, DRIVER) && !exists(HEAPS, edu))
		put("/sys/bus/pci/drivers_probe", edu);
}

static const char *bus_of(const char *device)
{
	return strchr(device, ':') ? "pci" : "platform";
}

static int driver_do(const char *device, const char *what)
{
	char path[200];

	snprintf(path, sizeof(path), "/sys/bus/%s/drivers/" DRIVER "/%s",
		 bus_of(device), what);
	return put(path, device);
}

static int open_device(const char *device)
{
	return open_in(exists(PCI, device) ? PCI : PLATFORM, device,
		       O_RDONLY | O_DIRECTORY);
}

/* ---- heaps and buffers ---- */

static int open_heap(const char *name)
{
	return open_in(HEAPS, name, O_RDWR);
}

static int allocate(int heap, size_t len)
{
	struct dma_heap_allocation_data data = {
		.len = len,
		.fd_flags = O_RDWR | O_CLOEXEC,
	};

	return ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data) ? -errno : (int)data.fd;
}

static int sync_cpu(int dmabuf, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags | DMA_BUF_SYNC_RW };

	return ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, &sync) ? -errno : 0;
}

static void *map_cpu(int dmabuf, size_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0);
}

static bool is_zero(const uint8_t *p, size_t len)
{
	return !p[0] && !memcmp(p, p + 1, len - 1);
}

static void fill(uint8_t *p, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		p[i] = seed + i * 7 + (i >> 8);
}

/* ---- the importer ---- */

static int open_importer(void)
{
	return open(IMPORTER, O_RDWR | O_CLOEXEC);
}

static int import_attach(int importer, int dmabuf, const char *device,
			 uint32_t flags)
{
	struct device_heap_test_attach arg = {
		.dmabuf = dmabuf,
		.flags = flags,
	};

	snprintf(arg.device, sizeof(arg.device), "%s", device);
	return ioctl(importer, DEVICE_HEAP_TEST_ATTACH, &arg) ? -errno : 0;
}

static int import_map(int importer, struct device_heap_test_map *map)
{
	return ioctl(importer, DEVICE_HEAP_TEST_MAP, map) ? -errno : 0;
}

static int import_unmap(int importer)
{
	return ioctl(importer, DEVICE_HEAP_TEST_UNMAP) ? -errno : 0;
}

static int import_swap(int importer, struct device_heap_test_swap *swap)
{
	return ioctl(importer, DEVICE_HEAP_TEST_SWAP, swap) ? -errno : 0;
}

/* ---- the query ---- */

static int query(int heap, struct dma_heap_query_importer *importers,
		 uint32_t count)
{
	struct dma_heap_query_data data = {
		.importers = (uintptr_t)importers,
		.count = count,
		.importer_size = sizeof(*importers),
	};

	return ioctl(heap, DMA_HEAP_IOCTL_QUERY, &data) ? -errno : 0;
}

/* ---- what a process does to another one ---- */

static sigjmp_buf bus_error;

static void on_sigbus(int sig)
{
	siglongjmp(bus_error, 1);
}

static bool is_sigbus(uint8_t *p)
{
	struct sigaction action = { .sa_handler = on_sigbus }, before;
	bool caught;

	sigaction(SIGBUS, &action, &before);
	if (sigsetjmp(bus_error, 1)) {
		caught = true;
	} else {
		__atomic_load_n(p, __ATOMIC_SEQ_CST);
		caught = false;
	}
	sigaction(SIGBUS, &before, NULL);
	return caught;
}

static int exit_status(pid_t pid)
{
	int status = 0;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* Has it ended within a while? */
static bool ends(pid_t pid, int tenths)
{
	siginfo_t info;

	for (; tenths > 0; tenths--) {
		info.si_pid = 0;
		waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT);
		if (info.si_pid)
			return true;
		usleep(100000);
	}
	return false;
}

/* ---- each heap ---- */

FIXTURE(heap)
{
	const char *name;
	int fd;
	bool is_pool;
};

FIXTURE_VARIANT(heap)
{
	const char *name;
};

FIXTURE_VARIANT_ADD(heap, system_memory) { .name = "test-heap" };
FIXTURE_VARIANT_ADD(heap, cma) { .name = "test-heap-cma" };
FIXTURE_VARIANT_ADD(heap, pool) { .name = "test-heap-pool" };
FIXTURE_VARIANT_ADD(heap, iommu) { .name = edu };

FIXTURE_SETUP(heap)
{
	self->name = variant->name;
	self->is_pool = !strcmp(self->name, "test-heap-pool");
	self->fd = -1;
	if (!self->name[0] || !exists(HEAPS, self->name))
		SKIP(return, "there is no such heap here");
	self->fd = open_heap(self->name);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(heap)
{
	if (self->fd >= 0)
		close(self->fd);
}

TEST_F(heap, memory)
{
	size_t sizes[] = { 1, PAGE, SIZE, MEG };
	uint8_t *p, *tail;
	int buf;

	for (int i = 0; i < 8; i++) {
		size_t len = (sizes[i % 4] + PAGE - 1) & ~(PAGE - 1);

		buf = allocate(self->fd, sizes[i % 4]);
		ASSERT_LE(0, buf);
		ASSERT_EQ(len, lseek(buf, 0, SEEK_END));
		p = map_cpu(buf, len);
		ASSERT_NE(MAP_FAILED, p);
		ASSERT_EQ(0, sync_cpu(buf, DMA_BUF_SYNC_START));
		ASSERT_TRUE(is_zero(p, len));
		fill(p, len, i);
		tail = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, buf, len - PAGE);
		ASSERT_NE(MAP_FAILED, tail);
		ASSERT_EQ(0, memcmp(tail, p + len - PAGE, PAGE));
		ASSERT_EQ(0, sync_cpu(buf, DMA_BUF_SYNC_END));
		munmap(tail, PAGE);
		munmap(p, len);
		close(buf);
	}
}

TEST_F(heap, mmap_outside)
{
	int buf = allocate(self->fd, 2 * PAGE);

	ASSERT_LE(0, buf);
	EXPECT_EQ(MAP_FAILED, map_cpu(buf, 3 * PAGE));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, buf,
				   2 * PAGE));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE, buf, 0));
	EXPECT_EQ(EINVAL, errno);
	close(buf);
}

TEST_F(heap, limits)
{
	int bufs[64], i;

	EXPECT_EQ(-EINVAL, allocate(self->fd, 0));
	EXPECT_EQ(-EINVAL, allocate(self->fd, (size_t)4 << 30));
	EXPECT_EQ(-EINVAL, allocate(self->fd, (size_t)1 << 60));
	EXPECT_EQ(-ENOMEM, allocate(self->fd, (size_t)3 << 30));
	for (i = 0; i < 64; i++) {
		bufs[i] = allocate(self->fd, MEG);
		if (bufs[i] < 0)
			break;
	}
	EXPECT_LT(15, i);
	if (i < 64)
		EXPECT_EQ(-ENOMEM, bufs[i]);
	while (i-- > 0)
		close(bufs[i]);
}

TEST_F(heap, device)
{
	struct device_heap_test_copy copy = { .from = 5, .to = SIZE - 3000,
					      .len = 2048 };
	struct device_heap_test_swap swap = { .offset = PAGE, .word = 0x1234 };
	struct device_heap_test_map map;
	int importer = open_importer(), buf = allocate(self->fd, SIZE);
	uint8_t *p = map_cpu(buf, SIZE);
	uint64_t before;

	ASSERT_NE(MAP_FAILED, p);
	fill(p, SIZE, 3);
	memcpy(&before, p + PAGE, sizeof(before));
	ASSERT_EQ(0, import_attach(importer, buf, self->name, 0));
	ASSERT_EQ(0, import_map(importer, &map));
	EXPECT_EQ(1, map.nents);
	EXPECT_EQ(0, map.dma_addr % PAGE);
	EXPECT_EQ(-EBUSY, import_map(importer, &map));

	ASSERT_EQ(0, import_swap(importer, &swap));
	EXPECT_EQ(before, swap.word);
	ASSERT_EQ(0, sync_cpu(buf, DMA_BUF_SYNC_START));
	memcpy(&before, p + PAGE, sizeof(before));
	EXPECT_EQ(0x1234, before);
	ASSERT_EQ(0, sync_cpu(buf, DMA_BUF_SYNC_END));

	if (self->name == edu) {
		ASSERT_EQ(0, ioctl(importer, DEVICE_HEAP_TEST_COPY, &copy));
		ASSERT_EQ(0, sync_cpu(buf, DMA_BUF_SYNC_START));
		EXPECT_EQ(0, memcmp(p + copy.to, p + copy.from, copy.len));
		ASSERT_EQ(0, sync_cpu(buf, DMA_BUF_SYNC_END));
	}
	EXPECT_EQ(0, import_unmap(importer));
	EXPECT_EQ(0, import_map(importer, &map));
	close(importer);
	munmap(p, SIZE);
	close(buf);
}

/* The buffer of another device, which only has pages */
TEST_F(heap, device_of_another_heap)
{
	struct device_heap_test_copy copy = { .to = SIZE - 3000, .len = 2048 };
	struct device_heap_test_map map;
	int importer = open_importer(), buf = allocate(self->fd, SIZE);
	uint8_t *p = map_cpu(buf, SIZE);

	if (!edu[0] || self->name == edu)
		SKIP(return, "there is no such device here");
	ASSERT_NE(MAP_FAILED, p);
	fill(p, SIZE, 9);
	if (self->is_pool) {
		EXPECT_EQ(-EOPNOTSUPP, import_attach(importer, buf, edu, 0));
	} else {
		ASSERT_EQ(0, import_attach(importer, buf, edu, 0));
		ASSERT_EQ(0, import_map(importer, &map));
		ASSERT_EQ(1, map.nents);
		ASSERT_EQ(0, ioctl(importer, DEVICE_HEAP_TEST_COPY, &copy));
		ASSERT_EQ(0, sync_cpu(buf, DMA_BUF_SYNC_START));
		EXPECT_EQ(0, memcmp(p + copy.to, p, copy.len));
	}
	close(importer);
	munmap(p, SIZE);
	close(buf);
}

/* A child inherits a mapping, and gets hold of a buffer that it maps itself */
static int use_as_child(uint8_t *inherited, int from)
{
	int pidfd = syscall(SYS_pidfd_open, getppid(), 0), number, buf;
	uint8_t *p;

	inherited[PAGE] = 17;
	if (read(from, &number, sizeof(number)) != sizeof(number))
		return 1;
	buf = syscall(SYS_pidfd_getfd, pidfd, number, 0);
	p = map_cpu(buf, SIZE);
	if (p == MAP_FAILED)
		return 2;
	p[3 * PAGE] = 18;
	return 0;
}

TEST_F(heap, fork_and_pass)
{
	int pipefd[2], first = allocate(self->fd, SIZE), second;
	uint8_t *p = map_cpu(first, SIZE), *q;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, pipe(pipefd));
	pid = fork();
	if (!pid)
		_exit(use_as_child(p, pipefd[0]));

	second = allocate(self->fd, SIZE);
	ASSERT_LE(0, second);
	ASSERT_EQ(sizeof(second), write(pipefd[1], &second, sizeof(second)));
	ASSERT_EQ(0, exit_status(pid));
	q = map_cpu(second, SIZE);
	EXPECT_EQ(17, p[PAGE]);
	EXPECT_EQ(18, q[3 * PAGE]);
	munmap(p, SIZE);
	munmap(q, SIZE);
	close(pipefd[0]);
	close(pipefd[1]);
	close(first);
	close(second);
}

/* ---- the device goes ---- */

TEST_F(heap, remove)
{
	struct device_heap_test_swap swap = {};
	struct device_heap_test_map map;
	int idle = open_importer(), importer = open_importer();
	struct dma_heap_query_importer who = {};
	int buf = allocate(self->fd, SIZE), fd;
	uint8_t *p = map_cpu(buf, SIZE);

	ASSERT_NE(MAP_FAILED, p);
	p[0] = 1;
	ASSERT_EQ(0, import_attach(importer, buf, self->name,
				   DEVICE_HEAP_TEST_REVOCABLE));
	ASSERT_EQ(0, import_map(importer, &map));
	ASSERT_EQ(0, import_attach(idle, buf, self->name, 0));
	if (self->is_pool)
		munmap(p, SIZE);

	ASSERT_EQ(0, driver_do(self->name, "unbind"));
	EXPECT_FALSE(exists(HEAPS, self->name));
	EXPECT_EQ(-ENODEV, allocate(self->fd, SIZE));
	EXPECT_EQ(-ENODEV, query(self->fd, &who, 1));
	EXPECT_EQ(-ENODEV, sync_cpu(buf, DMA_BUF_SYNC_START));
	EXPECT_EQ(-ENODEV, import_map(importer, &map));
	EXPECT_EQ(-ENODEV, import_map(idle, &map));
	EXPECT_EQ(-ENODEV, import_swap(idle, &swap));
	EXPECT_EQ(MAP_FAILED, map_cpu(buf, SIZE));
	EXPECT_EQ(ENODEV, errno);
	if (!self->is_pool) {
		EXPECT_TRUE(is_sigbus(p));
		EXPECT_TRUE(is_sigbus(p + SIZE - 1));
	}

	ASSERT_EQ(0, driver_do(self->name, "bind"));
	EXPECT_EQ(-ENODEV, allocate(self->fd, SIZE));
	close(idle);
	idle = open_importer();
	EXPECT_EQ(-ENODEV, import_attach(idle, buf, self->name, 0));
	fd = open_heap(self->name);
	ASSERT_LE(0, fd);
	close(buf);
	buf = allocate(fd, SIZE);
	EXPECT_LE(0, buf);
	close(buf);
	close(fd);
	close(idle);
	close(importer);
}

/* A buffer that is mapped in a way that cannot be revoked */
TEST_F(heap, remove_waits)
{
	struct device_heap_test_map map;
	int importer = open_importer(), buf = allocate(self->fd, SIZE);
	uint8_t *p = map_cpu(buf, SIZE);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, import_attach(importer, buf, self->name, 0));
	ASSERT_EQ(0, import_map(importer, &map));
	pid = fork();
	if (!pid) {
		munmap(p, SIZE);
		_exit(-driver_do(self->name, "unbind"));
	}
	EXPECT_FALSE(ends(pid, 5));
	EXPECT_EQ(-ENODEV, allocate(self->fd, SIZE));
	EXPECT_EQ(0, import_unmap(importer));
	if (self->is_pool) {
		EXPECT_FALSE(ends(pid, 5));
		munmap(p, SIZE);
	}
	EXPECT_TRUE(ends(pid, 50));
	EXPECT_EQ(0, exit_status(pid));
	EXPECT_EQ(0, driver_do(self->name, "bind"));
	close(importer);
	close(buf);
}

/*
 * A path to a buffer, as O_PATH gives it, does not use the buffer: the file is
 * gone, and its memory in the kernel may be the next file, which nobody may
 * touch.
 */
TEST_F(heap, remove_with_a_path)
{
	int buf = allocate(self->fd, SIZE), path, other[8];
	char name[40];
	uint8_t *p[8];
	pid_t pid;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", buf);
	path = open(name, O_PATH | O_CLOEXEC);
	ASSERT_LE(0, path);
	close(buf);
	for (int i = 0; i < 8; i++) {
		other[i] = memfd_create("other", MFD_CLOEXEC);
		ASSERT_EQ(0, ftruncate(other[i], PAGE));
		p[i] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE,
			    other[i], 0);
		ASSERT_NE(MAP_FAILED, p[i]);
		p[i][0] = 1;
	}

	pid = fork();
	if (!pid)
		_exit(-driver_do(self->name, "unbind"));
	EXPECT_TRUE(ends(pid, 50));
	close(path);
	EXPECT_EQ(0, exit_status(pid));
	for (int i = 0; i < 8; i++) {
		EXPECT_EQ(1, p[i][0]);
		munmap(p[i], PAGE);
		close(other[i]);
	}
	EXPECT_EQ(0, driver_do(self->name, "bind"));
}

/* The query waits while a driver comes or goes, but a signal ends the wait */
TEST_F(heap, query_while_the_driver_goes)
{
	struct dma_heap_query_importer who = {
		.device_fd = open_device(self->name),
	};
	struct device_heap_test_map map;
	int importer = open_importer(), buf = allocate(self->fd, SIZE);
	int system = open_heap("system");
	pid_t pid, asks;

	if (system < 0)
		SKIP(return, "there is no system heap");
	ASSERT_EQ(0, query(system, &who, 1));
	ASSERT_EQ(0, import_attach(importer, buf, self->name, 0));
	ASSERT_EQ(0, import_map(importer, &map));
	pid = fork();
	if (!pid)
		_exit(-driver_do(self->name, "unbind"));
	EXPECT_FALSE(ends(pid, 5));
	asks = fork();
	if (!asks)
		_exit(-query(system, &who, 1));
	EXPECT_FALSE(ends(asks, 5));
	kill(asks, SIGKILL);
	EXPECT_TRUE(ends(asks, 20));
	EXPECT_EQ(-1, exit_status(asks));
	EXPECT_EQ(0, import_unmap(importer));
	EXPECT_EQ(0, exit_status(pid));
	EXPECT_EQ(0, query(system, &who, 1));
	EXPECT_EQ(0, driver_do(self->name, "bind"));
	close(who.device_fd);
	close(system);
	close(importer);
	close(buf);
}

/* Use buffers for everything, again and again; ENODEV is a fine answer */
static int use_heap(const char *name)
{
	struct device_heap_test_map map;
	int importer = open_importer();
	int fd = open_heap(name), buf, ret;

	buf = fd < 0 ? -errno : allocate(fd, SIZE);
	ret = buf < 0 ? buf : import_attach(importer, buf, name,
					    DEVICE_HEAP_TEST_REVOCABLE);
	if (!ret)
		ret = import_map(importer, &map);
	if (buf >= 0) {
		uint8_t *p = map_cpu(buf, SIZE);

		if (p != MAP_FAILED) {
			is_sigbus(p);
			is_sigbus(p + SIZE - PAGE);
			munmap(p, SIZE);
		}
		close(buf);
	}
	if (fd >= 0)
		close(fd);
	close(importer);
	return ret == -ENODEV || ret == -ENOENT || ret == -ENXIO ? 0 : ret;
}

TEST_F(heap, remove_races)
{
	pid_t pid[3];

	for (int i = 0; i < 3; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			int ret = 0;

			for (int n = 0; !ret && n < 150; n++)
				ret = use_heap(self->name);
			_exit(-ret);
		}
	}
	for (int n = 0; n < 20; n++) {
		ASSERT_EQ(0, driver_do(self->name, "unbind"));
		ASSERT_EQ(0, driver_do(self->name, "bind"));
		usleep(1000);
	}
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(0, exit_status(pid[i]));
}

/* ---- who may import, and does the query know? ---- */

static const char *const importers[] = {
	"test-heap", "test-heap-cma", "test-heap-pool", edu, "test-import",
	"test-import-512m", "test-import-16m", "test-import-nodma",
};

static const struct {
	const char *heap, *importer, *reason;
} refusals[] = {
	{ "test-heap", "test-import-512m", "out-of-reach" },
	{ "test-heap", "test-import-16m", "out-of-reach" },
	{ "test-heap", "test-import-nodma", "no-dma" },
	{ "test-heap", "test-heap-cma", "out-of-reach" },
	{ "test-heap-cma", "test-import-16m", "out-of-reach" },
	{ "test-heap-cma", "test-import-nodma", "no-dma" },
	{ edu, "test-import-512m", "out-of-reach" },
	{ edu, "test-import-16m", "out-of-reach" },
	{ edu, "test-import-nodma", "no-dma" },
	{ edu, "test-heap-cma", "out-of-reach" },
};

static const char *refusal(const char *heap, const char *importer)
{
	if (!strcmp(heap, "test-heap-pool"))
		return strcmp(importer, heap) ? "memory-pool" : "";
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
		if (!strcmp(refusals[i].heap, heap) &&
		    !strcmp(refusals[i].importer, importer))
			return refusals[i].reason;
	return "";
}

/* What really comes of an import. */
static int try_import(int buf, const char *device, bool map_too)
{
	int importer = open_importer();
	struct device_heap_test_map map;
	int ret = import_attach(importer, buf, device, 0);

	if (!ret && map_too)
		ret = import_map(importer, &map);
	close(importer);
	return ret;
}

static void check_query(struct __test_metadata *_metadata, const char *heap)
{
	bool is_ours = strcmp(heap, "system");
	int fd = open_heap(heap), buf = allocate(fd, SIZE);

	ASSERT_LE(0, buf);
	for (size_t i = 0; i < ARRAY_SIZE(importers); i++) {
		struct dma_heap_query_importer who = {
			.device_fd = importers[i][0] ?
				     open_device(importers[i]) : -1,
		};

		if (who.device_fd < 0)
			continue;
		ASSERT_EQ(0, query(fd, &who, 1));
		TH_LOG("%s > %s: %d %s%s", heap, importers[i], who.error,
		       who.type, who.reason);
		EXPECT_EQ(who.error, try_import(buf, importers[i], is_ours));
		EXPECT_STREQ(who.error ? "" : "SGT", who.type);
		EXPECT_EQ(!who.error, !who.reason[0]);
		if (is_ours)
			EXPECT_STREQ(refusal(heap, importers[i]), who.reason);
		close(who.device_fd);
	}
	close(buf);
	close(fd);
}

TEST_F(heap, query)
{
	check_query(_metadata, self->name);
}

/* A query about several devices has an answer for each */
TEST_F(heap, query_several)
{
	struct dma_heap_query_importer who[3] = {
		{ .device_fd = open_device("test-import-nodma") },
		{ .device_fd = open_device(self->name) },
		{ .device_fd = open_device("test-import") },
	};

	memset(who[1].reason, 'x', sizeof(who[1].reason));
	ASSERT_EQ(0, query(self->fd, who, 3));
	EXPECT_EQ(-EOPNOTSUPP, who[0].error);
	EXPECT_EQ(0, who[1].error);
	EXPECT_TRUE(is_zero((uint8_t *)who[1].reason, sizeof(who[1].reason)));
	EXPECT_EQ(self->is_pool ? -EOPNOTSUPP : 0, who[2].error);
	for (int i = 0; i < 3; i++)
		close(who[i].device_fd);
}

/* The device has a link to its heap, and the heap one to its device */
TEST_F(heap, sysfs)
{
	const char *bus = self->name == edu ? PCI : PLATFORM;
	char path[200], link[200], want[200], *real;

	snprintf(path, sizeof(path), "%s/%s/dma_heap/%s", bus, self->name,
		 self->name);
	EXPECT_EQ(0, access(path, F_OK));
	snprintf(path, sizeof(path), "/sys/class/dma_heap/%s/device",
		 self->name);
	snprintf(want, sizeof(want), "%s/%s", bus, self->name);
	real = realpath(path, NULL);
	ASSERT_NE(NULL, real);
	snprintf(link, sizeof(link), "%s", real);
	free(real);
	real = realpath(want, NULL);
	EXPECT_STREQ(real, link);
	free(real);
}

TEST(query_of_other_heaps)
{
	if (!exists(HEAPS, "system"))
		SKIP(return, "there is no system heap");
	check_query(_metadata, "system");
}

static bool booted_with(const char *word)
{
	char line[4096] = "";
	int fd = open("/proc/cmdline", O_RDONLY);

	if (read(fd, line, sizeof(line) - 1) < 0)
		line[0] = '\0';
	close(fd);
	return strstr(line, word);
}

/* Where all DMA goes through bounce buffers, another device reaches a copy only */
TEST(bounce_buffers)
{
	struct dma_heap_query_importer who = {
		.device_fd = open_device("test-import"),
	};
	int heap = open_heap("test-heap"), buf = allocate(heap, SIZE);

	if (!booted_with("swiotlb=force"))
		SKIP(return, "for a kernel that is booted with swiotlb=force");
	ASSERT_LE(0, buf);
	ASSERT_EQ(0, query(heap, &who, 1));
	EXPECT_EQ(-EOPNOTSUPP, who.error);
	EXPECT_STREQ("bounce-buffer", who.reason);
	EXPECT_EQ(-EOPNOTSUPP, try_import(buf, "test-import", true));
	EXPECT_EQ(0, try_import(buf, "test-heap", true));
	close(who.device_fd);
	close(buf);
	close(heap);
}

static int query_raw(int heap, struct dma_heap_query_data *data)
{
	return ioctl(heap, DMA_HEAP_IOCTL_QUERY, data) ? -errno : 0;
}

TEST(query_arguments)
{
	struct dma_heap_query_importer who = {
		.device_fd = open_device("test-import"),
	};
	struct dma_heap_query_data data = {
		.importers = (uintptr_t)&who,
		.count = 1,
		.importer_size = sizeof(who),
	};
	int heap = open_heap("test-heap"), good = who.device_fd;

	ASSERT_LE(0, heap);
	EXPECT_EQ(0, query_raw(heap, &data));
	data.flags = 1;
	EXPECT_EQ(-EINVAL, query_raw(heap, &data));
	data.flags = 0;
	data.reserved[2] = 1;
	EXPECT_EQ(-EINVAL, query_raw(heap, &data));
	data.reserved[2] = 0;
	data.count = 0;
	EXPECT_EQ(-EINVAL, query_raw(heap, &data));
	data.count = DMA_HEAP_QUERY_MAX + 1;
	EXPECT_EQ(-EINVAL, query_raw(heap, &data));
	data.count = 1;
	data.importers = 8;
	EXPECT_EQ(-EFAULT, query_raw(heap, &data));

	who.flags = 1;
	EXPECT_EQ(-EINVAL, query(heap, &who, 1));
	who.flags = 0;
	who.reserved = 1;
	EXPECT_EQ(-EINVAL, query(heap, &who, 1));
	who.reserved = 0;
	who.device_fd = -1;
	EXPECT_EQ(-EBADF, query(heap, &who, 1));
	who.device_fd = heap;
	EXPECT_EQ(-EINVAL, query(heap, &who, 1));
	who.device_fd = open(PLATFORM "/test-heap/dma_heap", O_RDONLY);
	EXPECT_EQ(-EINVAL, query(heap, &who, 1));
	close(who.device_fd);
	who.device_fd = open(PLATFORM "/test-import/uevent", O_RDONLY);
	EXPECT_EQ(-EINVAL, query(heap, &who, 1));
	close(who.device_fd);
	who.device_fd = open("/sys/bus/platform", O_RDONLY);
	EXPECT_EQ(-EINVAL, query(heap, &who, 1));
	close(who.device_fd);
	who.device_fd = open("/sys", O_RDONLY);
	EXPECT_EQ(-EINVAL, query(heap, &who, 1));
	close(who.device_fd);
	close(good);
	close(heap);
}

/* Programs that are older or newer than the kernel */
TEST(query_of_another_version)
{
	struct {
		struct dma_heap_query_importer importer;
		uint64_t more;
	} who[2] = {};
	struct {
		struct dma_heap_query_data data;
		uint64_t more;
	} data = { .data = {
		.importers = (uintptr_t)who,
		.count = 2,
		.importer_size = sizeof(who[0]),
	} };
	int heap = open_heap("test-heap"), device = open_device("test-import");

	who[0].importer.device_fd = device;
	who[1].importer.device_fd = device;
	who[1].importer.error = 1;
	EXPECT_EQ(0, ioctl(heap, _IOW(DMA_HEAP_IOC_MAGIC, 1, data), &data));
	EXPECT_EQ(0, who[1].importer.error);
	EXPECT_STREQ("SGT", who[1].importer.type);
	EXPECT_EQ(0, who[0].more | who[1].more);
	data.more = 1;
	EXPECT_EQ(-1, ioctl(heap, _IOW(DMA_HEAP_IOC_MAGIC, 1, data), &data));
	EXPECT_EQ(E2BIG, errno);
	who[1].more = 1;
	EXPECT_EQ(-E2BIG, query_raw(heap, &data.data));
	data.data.importer_size = 8192;
	EXPECT_EQ(-E2BIG, query_raw(heap, &data.data));
	data.data.importer_size = sizeof(who[0].importer) - 1;
	EXPECT_EQ(-EINVAL, query_raw(heap, &data.data));
	data.data.importer_size = sizeof(who[0].importer);
	data.data.count = 1;
	EXPECT_EQ(0, query_raw(heap, &data.data));
	EXPECT_EQ(0, ioctl(heap, _IOW(DMA_HEAP_IOC_MAGIC, 1, char[20]), &data));
	EXPECT_EQ(-1, ioctl(heap, _IO(DMA_HEAP_IOC_MAGIC, 1), &data));
	EXPECT_EQ(EINVAL, errno);
	close(device);
	close(heap);
}

/* ---- heaps come and go ---- */

static int add_heap(int importer, const char *name)
{
	struct device_heap_test_add add = {};

	snprintf(add.device, sizeof(add.device), "%s", name);
	return ioctl(importer, DEVICE_HEAP_TEST_ADD, &add) ? -errno : 0;
}

TEST(names)
{
	int importer[4];

	for (int i = 0; i < 4; i++)
		importer[i] = open_importer();
	EXPECT_EQ(-EEXIST, add_heap(importer[0], "system"));
	EXPECT_EQ(0, add_heap(importer[0], "test:colon"));
	EXPECT_TRUE(exists(HEAPS, "test:colon"));
	/* The driver core does that to the name of the device */
	EXPECT_EQ(0, add_heap(importer[1], "test/slash"));
	EXPECT_TRUE(exists(HEAPS, "test!slash"));
	close(importer[0]);
	EXPECT_FALSE(exists(HEAPS, "test:colon"));
	EXPECT_EQ(0, add_heap(importer[2], "test:colon"));
	for (int i = 1; i < 4; i++)
		close(importer[i]);
}

TEST(too_many)
{
	int importer[140], i, ret = 0;
	char name[30];

	for (i = 0; !ret && i < 140; i++) {
		importer[i] = open_importer();
		snprintf(name, sizeof(name), "test-many-%d", i);
		ret = add_heap(importer[i], name);
	}
	EXPECT_EQ(-EBUSY, ret);
	EXPECT_LT(100, i);
	EXPECT_GT(129, i);
	while (i-- > 0)
		close(importer[i]);
}

/* The device of the query goes, the heap stays */
TEST(query_of_a_device_that_is_gone)
{
	int importer = open_importer(), heap = open_heap("test-heap");
	struct dma_heap_query_importer who = {};

	ASSERT_EQ(0, add_heap(importer, "test-gone"));
	who.device_fd = open_device("test-gone");
	ASSERT_LE(0, who.device_fd);
	ASSERT_EQ(0, query(heap, &who, 1));
	EXPECT_EQ(0, who.error);
	close(importer);
	ASSERT_EQ(0, query(heap, &who, 1));
	EXPECT_EQ(-ENODEV, who.error);
	EXPECT_STREQ("", who.type);
	EXPECT_STREQ("no-device", who.reason);
	close(who.device_fd);
	close(heap);
}

TEST(query_races)
{
	int heap = open_heap("test-heap");
	pid_t pid = fork();

	if (!pid) {
		for (int i = 0; i < 100; i++) {
			int importer = open_importer();

			if (add_heap(importer, "test-race"))
				_exit(1);
			close(importer);
		}
		_exit(0);
	}
	while (!ends(pid, 1)) {
		for (int i = 0; i < 50; i++) {
			struct dma_heap_query_importer who = {
				.device_fd = open_device("test-race"),
			};

			if (who.device_fd < 0)
				continue;
			ASSERT_EQ(0, query(heap, &who, 1));
			ASSERT_TRUE(!who.error || who.error == -ENODEV);
			close(who.device_fd);
		}
	}
	EXPECT_EQ(0, exit_status(pid));
	close(heap);
}

/* ---- who pays ---- */

static long cgroup_long(const char *file)
{
	char text[40] = "";

	get(file, text, sizeof(text));
	return atol(text);
}

/* In the cgroup: allocate, and return the cost. */
static int charged(const char *heap, size_t len)
{
	long before, after;
	int fd = open_heap(heap), buf;

	if (put(CGROUPS "/test/cgroup.procs", "0"))
		return 100;
	before = cgroup_long(CGROUPS "/test/memory.current");
	buf = allocate(fd, len);
	if (buf < 0)
		return -buf;
	after = cgroup_long(CGROUPS "/test/memory.current");
	return after - before >= (long)len ? 0 : 101;
}

static int charge(const char *heap, size_t len)
{
	pid_t pid = fork();

	if (!pid)
		_exit(charged(heap, len));
	return exit_status(pid);
}

TEST(cgroup)
{
	char on[8] = "";

	get("/sys/module/dma_heap/parameters/mem_accounting", on, sizeof(on));
	if (on[0] != 'Y' || !edu[0])
		SKIP(return, "no accounting of heaps, or no edu");
	mkdir(CGROUPS, 0755);
	ASSERT_EQ(0, mount("none", CGROUPS, "cgroup2", 0, NULL));
	ASSERT_EQ(0, put(CGROUPS "/cgroup.subtree_control", "+memory"));
	ASSERT_EQ(0, mkdir(CGROUPS "/test", 0755));
	EXPECT_EQ(0, charge(edu, MEG));
	EXPECT_EQ(0, put(CGROUPS "/test/memory.max", "4194304"));
	EXPECT_EQ(ENOMEM, charge(edu, 8 * MEG));
	EXPECT_EQ(0, charge(edu, MEG));
	EXPECT_EQ(0, rmdir(CGROUPS "/test"));
	EXPECT_EQ(0, umount(CGROUPS));
	rmdir(CGROUPS);
}

/* ---- faults ---- */

static const char *const fault_files[][2] = {
	{ "/sys/kernel/debug/failslab/ignore-gfp-wait", "N" },
	{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N" },
	{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N" },
	{ "/sys/kernel/debug/fail_page_alloc/min-order", "0" },
	{ "/sys/kernel/debug/failslab/verbose", "0" },
	{ "/sys/kernel/debug/fail_page_alloc/verbose", "0" },
};

static bool set_up_faults(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(fault_files); i++)
		if (put(fault_files[i][0], fault_files[i][1]))
			return false;
	return true;
}

/* From the first allocation to the last release; 0 or the first error */
static int whole_life(int heap, const char *device)
{
	struct device_heap_test_swap swap = {};
	struct device_heap_test_map map;
	int importer = open_importer(), buf = -1, ret;
	uint8_t *p = MAP_FAILED;

	if (importer < 0)
		return -errno;
	buf = allocate(heap, 3 * PAGE);
	ret = buf;
	if (buf >= 0)
		ret = import_attach(importer, buf, device, 0);
	if (!ret)
		ret = import_map(importer, &map);
	if (!ret)
		ret = import_swap(importer, &swap);
	if (!ret) {
		p = map_cpu(buf, 3 * PAGE);
		ret = p == MAP_FAILED ? -errno : 0;
	}
	if (!ret)
		ret = sync_cpu(buf, DMA_BUF_SYNC_START);
	if (p != MAP_FAILED)
		munmap(p, 3 * PAGE);
	if (buf >= 0)
		close(buf);
	close(importer);
	return ret;
}

/* Ends the injection; was the fault used up? */
static bool fault_happened(int nth)
{
	char left[16] = "";
	bool unused = pread(nth, left, sizeof(left) - 1, 0) > 0 &&
		      strcmp(left, "0\n");

	while (pwrite(nth, "0", 1, 0) < 0)
		;
	return !unused;
}

static void sweep(struct __test_metadata *_metadata, int heap,
		  const char *device)
{
	int nth = open("/proc/thread-self/fail-nth", O_RDWR), n, ret;
	char number[16];

	if (nth < 0 || !set_up_faults())
		SKIP(return, "no fault injection in this kernel");
	for (n = 1; n < FOREVER; n++) {
		snprintf(number, sizeof(number), "%d", n);
		ASSERT_EQ(strlen(number),
			  pwrite(nth, number, strlen(number), 0));
		ret = whole_life(heap, device);
		if (!fault_happened(nth))
			break;
		/* The kernel may get over the fault */
		ASSERT_TRUE(!ret || ret == -ENOMEM || ret == -EFAULT ||
			    ret == -ENFILE || ret == -EINTR)
			TH_LOG("fault %d: %d", n, ret);
	}
	TH_LOG("%d faults", n - 1);
	EXPECT_GT(FOREVER, n);
	EXPECT_LT(5, n);
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, whole_life(heap, device));
	close(nth);
}

TEST_F(heap, faults)
{
	sweep(_metadata, self->fd, self->name);
}

TEST_F(heap, faults_of_another_device)
{
	if (self->is_pool)
		SKIP(return, "nobody else can import");
	sweep(_metadata, self->fd, "test-import");
}

static int queried(int heap, int device)
{
	struct dma_heap_query_importer who = { .device_fd = device };
	int ret = query(heap, &who, 1);

	return ret ?: who.error;
}

TEST(faults_of_a_query)
{
	int nth = open("/proc/thread-self/fail-nth", O_RDWR), n, ret;
	int heap = open_heap("test-heap"), device = open_device("test-import");
	char number[16];

	if (nth < 0 || !set_up_faults())
		SKIP(return, "no fault injection in this kernel");
	for (n = 1; n < FOREVER; n++) {
		snprintf(number, sizeof(number), "%d", n);
		ASSERT_LT(0, pwrite(nth, number, strlen(number), 0));
		ret = queried(heap, device);
		if (!fault_happened(nth))
			break;
		ASSERT_TRUE(!ret || ret == -ENOMEM || ret == -EFAULT);
	}
	EXPECT_EQ(0, ret);
	EXPECT_LT(1, n);
	close(device);
	close(heap);
	close(nth);
}

/* The device is added as well: what can fail is not the heap alone */
TEST(faults_of_adding)
{
	int nth = open("/proc/thread-self/fail-nth", O_RDWR), n, ret, importer;
	char number[16];

	if (nth < 0 || !set_up_faults())
		SKIP(return, "no fault injection in this kernel");
	for (n = 1; n < FOREVER; n++) {
		importer = open_importer();
		snprintf(number, sizeof(number), "%d", n);
		ASSERT_LT(0, pwrite(nth, number, strlen(number), 0));
		ret = add_heap(importer, "test-fault");
		if (!fault_happened(nth))
			break;
		close(importer);
		/* EINVAL: the driver core finds that the device has no name */
		ASSERT_TRUE(!ret || ret == -ENOMEM || ret == -EFAULT ||
			    ret == -EINVAL)
			TH_LOG("fault %d: %d", n, ret);
	}
	TH_LOG("%d faults", n - 1);
	EXPECT_EQ(0, ret);
	EXPECT_LT(5, n);
	close(importer);
	close(nth);
}

TEST_HARNESS_MAIN
