// SPDX-License-Identifier: GPL-2.0
/* The calls of the fuzzer: each takes whatever words it gets. */
#include "fuzz-calls.h"
#include "lib/file.h"
#include "lib/inject.h"
#include "lib/vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/iommufd.h>
#include <linux/udmabuf.h>
#include <linux/vfio.h>

#define FUZZ_DEVICES 2
#define MOST_RANGES 64

static struct pdev devices[FUZZ_DEVICES];
static bool decode_off[FUZZ_DEVICES];
static int iommufd, first_fd;

/* What the program has; an fd of 0 and an ID of 0 are none */
static int fds[FUZZ_SLOTS];
static uint32_t ioases[FUZZ_SLOTS], domains[FUZZ_SLOTS];
static struct {
	void *at;
	size_t len;
} maps[FUZZ_SLOTS];

/* ---- faults ---- */

/* A kernel without fault injection runs the same programs: no call is hit by a fault. */
static void allow_none(const char *what, int ret)
{
	if (ret && ret != -ENOENT)
		fail("fault injection, %s: %s", what, err(ret));
}

static void faults_setup(void)
{
	allow_none("allocations", inject_setup());
	allow_none("iommufd", inject_set("fail_iommufd/verbose", "0"));
}

int fail_nth(const uint64_t *w)
{
	char text[24];

	snprintf(text, sizeof(text), "%u", (unsigned int)w[0]);
	/* A fault that is armed already may hit this open(), and is over then. */
	write_file("/proc/thread-self/fail-nth", text);
	return 0;
}

/* ---- slots ---- */

static int call(int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

/* Without a buffer there still is an fd to try: one that is not open. */
static int fd_of(uint64_t slot)
{
	return fds[slot % FUZZ_SLOTS] ?: -1;
}

static int keep_fd(uint64_t slot, int fd)
{
	int *kept = &fds[slot % FUZZ_SLOTS];

	if (fd < 0)
		return fd;
	if (*kept)
		close(*kept);
	*kept = fd;
	return 0;
}

void fuzz_setup(void)
{
	char bdf[FUZZ_DEVICES][16];

	if (pci_find(ID_IVSHMEM, bdf, FUZZ_DEVICES) != FUZZ_DEVICES)
		fail("there are not %d ivshmem", FUZZ_DEVICES);
	iommufd = iommufd_open();
	for (int i = 0; i < FUZZ_DEVICES; i++) {
		int ret = pci_bind_vfio(bdf[i]);

		if (ret && ret != -EBUSY)	/* it is bound already */
			fail("%s: %s", bdf[i], err(ret));
		pdev_open(&devices[i], bdf[i], 2, iommufd);
		pdev_unmap_bar(&devices[i]);
	}
	faults_setup();
	first_fd = dup(iommufd);
	close(first_fd);
}

static struct pdev *device(uint64_t n)
{
	return &devices[n % FUZZ_DEVICES];
}

/* ---- vfio ---- */

int export_bar(const uint64_t *w)
{
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_dma_buf buf;
		struct vfio_region_dma_range ranges[MOST_RANGES];
	} arg = { 0 };

	arg.feature.argsz = sizeof(arg);
	arg.feature.flags = VFIO_DEVICE_FEATURE_DMA_BUF ^ VFIO_DEVICE_FEATURE_GET ^ w[4] << 16;
	arg.buf.region_index = w[2];
	/* 0 is what most uses of the buffer need */
	arg.buf.open_flags = w[3] & 0x8000 ? w[3] : O_CLOEXEC | ((w[3] ^ O_RDWR) & O_ACCMODE);
	arg.buf.flags = w[3] >> 16;
	arg.buf.nr_ranges = w[5];
	for (uint64_t i = 0; i < MOST_RANGES; i++) {
		arg.ranges[i].offset = w[6] + i * 2 * w[7];
		arg.ranges[i].length = w[7];
	}
	return keep_fd(w[0], call(device(w[1])->fd, VFIO_DEVICE_FEATURE, &arg));
}

int decode(const uint64_t *w)
{
	decode_off[w[0] % FUZZ_DEVICES] = !(w[1] & 1);
	pdev_decode(device(w[0]), w[1] & 1);
	return 0;
}

int reset(const uint64_t *w)
{
	return pdev_reset(device(w[0]));
}

int attach(const uint64_t *w)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.pt_id = ioases[w[0] % FUZZ_SLOTS],
	};

	return call(device(w[1])->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

int detach(const uint64_t *w)
{
	struct vfio_device_detach_iommufd_pt cmd = { .argsz = sizeof(cmd) };

	return call(device(w[0])->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

/* ---- iommufd ---- */

static void destroy(uint32_t *id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = *id };

	if (*id)
		call(iommufd, IOMMU_DESTROY, &cmd);
	*id = 0;
}

int new_ioas(const uint64_t *w)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int ret = call(iommufd, IOMMU_IOAS_ALLOC, &cmd);

	if (ret)
		return ret;
	destroy(&ioases[w[0] % FUZZ_SLOTS]);
	ioases[w[0] % FUZZ_SLOTS] = cmd.out_ioas_id;
	return 0;
}

int map_file(const uint64_t *w)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd) ^ w[6],
		.flags = w[2],
		.ioas_id = ioases[w[0] % FUZZ_SLOTS],
		.fd = fd_of(w[1]),
		.start = w[3],
		.length = w[4],
		.iova = w[5],
	};

	return call(iommufd, IOMMU_IOAS_MAP_FILE, &cmd);
}

int unmap(const uint64_t *w)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioases[w[0] % FUZZ_SLOTS],
		.iova = w[1],
		.length = w[2],
	};

	return call(iommufd, IOMMU_IOAS_UNMAP, &cmd);
}

int new_domain(const uint64_t *w)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = w[2],
		.dev_id = device(w[1])->devid,
		.pt_id = ioases[w[0] % FUZZ_SLOTS],
	};
	int ret = call(iommufd, IOMMU_HWPT_ALLOC, &cmd);

	if (ret)
		return ret;
	destroy(&domains[w[0] % FUZZ_SLOTS]);
	domains[w[0] % FUZZ_SLOTS] = cmd.out_hwpt_id;
	return 0;
}

int copy(const uint64_t *w)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = w[5],
		.dst_ioas_id = ioases[w[0] % FUZZ_SLOTS],
		.src_ioas_id = ioases[w[2] % FUZZ_SLOTS],
		.length = w[4],
		.dst_iova = w[1],
		.src_iova = w[3],
	};

	return call(iommufd, IOMMU_IOAS_COPY, &cmd);
}

/* ---- heaps and udmabuf ---- */

int open_heap(const uint64_t *w)
{
	static const char *const heaps[] = {
		"/dev/dma_heap/system", "/dev/dma_heap/default_cma_region",
		"/dev/dma_heap/test-heap", "/dev/dma_heap/reserved",
	};
	int fd = open(heaps[w[1] % 4], O_RDWR | O_CLOEXEC);

	return keep_fd(w[0], fd < 0 ? -errno : fd);
}

int heap_alloc(const uint64_t *w)
{
	struct {
		struct dma_heap_allocation_data data;
		char more[256];
	} arg = {
		.data = {
			.len = w[2],
			.fd_flags = w[3],
			.heap_flags = w[4],
		},
	};
	size_t size = sizeof(arg.data) + w[5];
	int ret = call(fd_of(w[1]), _IOC(_IOC_READ | _IOC_WRITE, 'H', 0, size % sizeof(arg)), &arg);

	return ret < 0 ? ret : keep_fd(w[0], arg.data.fd);
}

/* Devices, directories that are none, and things that are no directory. */
static int open_device(uint64_t n)
{
	static const char *const paths[] = {
		"/sys/devices/platform/test-heap", "/sys/devices/platform/test-import",
		"/sys/devices/pci0000:00/0000:00:00.0", "/sys/devices/platform",
		"/sys/devices/platform/test-heap/power", "/sys/devices/platform/test-heap/uevent",
		"/sys", "/", "/proc/self", "/dev/null",
	};

	return open(paths[n % 10], O_RDONLY | O_CLOEXEC);
}

int heap_query(const uint64_t *w)
{
	static struct dma_heap_query_importer importers[DMA_HEAP_QUERY_MAX + 1];
	struct {
		struct dma_heap_query_data data;
		char more[1024];
	} arg = { 0 };
	int fd = open_device(w[2]), other = open_device(w[2] >> 4), ret;
	void *where[] = { importers, NULL, (void *)-4096L, (void *)1 };
	size_t size = w[5] % sizeof(arg);

	memset(importers, 0, sizeof(importers));
	for (int i = 0; i <= DMA_HEAP_QUERY_MAX; i++) {
		importers[i].device_fd = i % 2 ? other : fd;
		importers[i].flags = w[4];
		importers[i].reserved = w[4] >> 32;
	}
	memset(arg.more, w[6], sizeof(arg.more));
	arg.data.importers = (uintptr_t)where[w[7] % 4];
	arg.data.count = w[1];
	arg.data.flags = w[3];
	arg.data.importer_size = sizeof(importers[0]) + (w[7] >> 4);
	arg.data.reserved[w[7] / 4 % 3] = w[3] >> 32;
	ret = call(fd_of(w[0]), _IOC(_IOC_WRITE, 'H', 1, size), &arg);
	close(fd);
	close(other);
	return ret;
}

int udmabuf(const uint64_t *w)
{
	struct {
		struct udmabuf_create_list list;
		struct udmabuf_create_item item[8];
	} arg = { .list = { .flags = w[4], .count = w[5] } };
	struct udmabuf_create one = { .flags = w[4], .offset = w[2], .size = w[3] };
	int fd = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	int mem = memfd_create("fuzz", MFD_ALLOW_SEALING | MFD_CLOEXEC), ret;

	/* Without what they set it is refused, which is as good */
	(void)!ftruncate(mem, w[1] % (1 << 20));
	fcntl(mem, F_ADD_SEALS, w[6] ^ F_SEAL_SHRINK);
	for (int i = 0; i < 8; i++) {
		arg.item[i].memfd = mem;
		arg.item[i].offset = w[2];
		arg.item[i].size = w[3];
	}
	one.memfd = mem;
	ret = w[5] ? call(fd, UDMABUF_CREATE_LIST, &arg) : call(fd, UDMABUF_CREATE, &one);
	close(mem);
	close(fd);
	return keep_fd(w[0], ret);
}

/* ---- a buffer ---- */

/*
 * Always both ways: udmabuf, in stock 7.3 as well, syncs in the direction that the user
 * gives memory that it has mapped in the one that the user gave first.
 */
int sync_cpu(const uint64_t *w)
{
	struct dma_buf_sync sync = { .flags = w[1] | DMA_BUF_SYNC_RW };

	return call(fd_of(w[0]), DMA_BUF_IOCTL_SYNC, &sync);
}

int export_sync(const uint64_t *w)
{
	struct dma_buf_export_sync_file arg = { .flags = w[2], .fd = -1 };
	int ret = call(fd_of(w[1]), DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &arg);

	return ret ? ret : keep_fd(w[0], arg.fd);
}

int import_sync(const uint64_t *w)
{
	struct dma_buf_import_sync_file arg = { .flags = w[2], .fd = fd_of(w[1]) };

	return call(fd_of(w[0]), DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &arg);
}

int set_name(const uint64_t *w)
{
	static const char *const names[] = {
		"fuzz", "", NULL, "a name that is far too long for what a name of a buffer may be",
	};

	return call(fd_of(w[0]), DMA_BUF_SET_NAME_B, (void *)names[w[1] % 4]);
}

int map_memory(const uint64_t *w)
{
	uint64_t slot = w[0] % FUZZ_SLOTS;
	void *at = mmap(NULL, w[2], w[4] & 7, w[4] & 8 ? MAP_PRIVATE : MAP_SHARED, fd_of(w[1]), w[3]);

	if (at == MAP_FAILED)
		return -errno;
	unmap_memory(w);
	maps[slot].at = at;
	maps[slot].len = w[2];
	return 0;
}

/* By the kernel, for which memory that is not there is an error and no signal. */
int touch(const uint64_t *w)
{
	uint64_t slot = w[0] % FUZZ_SLOTS;
	char *at = maps[slot].at;
	int file = memfd_create("fuzz", MFD_CLOEXEC), ret = 0;

	if (!at)
		ret = -EINVAL;
	else if (w[2] & 1)
		ret = pwrite(file, "x", 1, 0) + pread(file, at + w[1] % maps[slot].len, 1, 0);
	else
		ret = pwrite(file, at + w[1] % maps[slot].len, 1, 0);
	close(file);
	return ret < 0 ? -errno : 0;
}

int unmap_memory(const uint64_t *w)
{
	uint64_t slot = w[0] % FUZZ_SLOTS;

	if (!maps[slot].at)
		return -EINVAL;
	munmap(maps[slot].at, maps[slot].len);
	maps[slot].at = NULL;
	return 0;
}

int close_slot(const uint64_t *w)
{
	int *fd = &fds[w[0] % FUZZ_SLOTS];

	if (!*fd)
		return -EBADF;
	close(*fd);
	*fd = 0;
	return 0;
}

int dup_slot(const uint64_t *w)
{
	int fd = fcntl(fd_of(w[1]), F_DUPFD_CLOEXEC, 4);

	return keep_fd(w[0], fd < 0 ? -errno : fd);
}

int seek(const uint64_t *w)
{
	return lseek(fd_of(w[0]), w[1], w[2] % 4) < 0 ? -errno : 0;
}

int poll_slot(const uint64_t *w)
{
	struct pollfd p = { .fd = fd_of(w[0]), .events = w[1] };

	return poll(&p, 1, 0) < 0 ? -errno : 0;
}

/* ---- the importer of scatterlists ---- */

struct importer_attach {
	int32_t dmabuf;
	uint32_t flags;
	char device[32];
};

struct importer_words {
	uint64_t word[2];
};

int import(const uint64_t *w)
{
	static const char *const names[] = { "test-heap", "test-import", "0000:00:00.0", "none" };
	struct importer_attach arg = { .dmabuf = fd_of(w[1]), .flags = w[3] };
	int fd = open("/dev/device-heap-test", O_RDWR | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	strcpy(arg.device, names[w[2] % 4]);
	ret = call(fd, _IOW('H', 0x80, struct importer_attach), &arg);
	if (ret) {
		close(fd);
		return ret;
	}
	return keep_fd(w[0], fd);
}

int importer_does(const uint64_t *w)
{
	struct importer_words arg = { .word = { w[2] } };
	const unsigned long what[] = {
		_IOR('H', 0x81, struct importer_words), _IO('H', 0x82),
		_IOWR('H', 0x83, struct importer_words),
	};

	fail_nth(&(uint64_t){ 0 });	/* DMA-API debugging gives up when it has no memory */
	return call(fd_of(w[0]), what[w[1] % 3], &arg);
}

/* ---- everything else ---- */

int any_ioctl(const uint64_t *w)
{
	static char arg[1 << _IOC_SIZEBITS];

	memset(arg, w[5], sizeof(arg));
	return call(fd_of(w[0]), _IOC(w[3] & 3, w[2] & 0xff, w[1] & 0xff, w[4] % sizeof(arg)), arg);
}

static void read_all(const char *path)
{
	char text[1024];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && read(fd, text, sizeof(text)) > 0)
		;
	close(fd);
}

int look(const uint64_t *w)
{
	char path[64];

	(void)w;
	read_all("/sys/kernel/debug/dma_buf/bufinfo");
	read_all("/sys/kernel/debug/dma_buf/converters");
	for (int i = 0; i < FUZZ_SLOTS; i++) {
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fds[i]);
		read_all(path);
	}
	return 0;
}

void fuzz_clean(void)
{
	fail_nth(&(uint64_t){ 0 });
	for (uint64_t i = 0; i < FUZZ_SLOTS; i++) {
		unmap_memory(&i);
		close_slot(&i);
	}
	close_range(first_fd, ~0U, 0);		/* any_ioctl() can make some, too */
	for (uint64_t i = 0; i < FUZZ_DEVICES; i++) {
		uint64_t on[] = { i, 1 };

		detach(&i);
		if (decode_off[i])
			decode(on);
	}
	for (int i = 0; i < FUZZ_SLOTS; i++)
		destroy(&domains[i]);
	for (int i = 0; i < FUZZ_SLOTS; i++)
		destroy(&ioases[i]);
}
