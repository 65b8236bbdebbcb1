// SPDX-License-Identifier: GPL-2.0
/* Allocates DMA-bufs of RAM, and drives the importer of the device-heap selftest. */
#include "ram.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int ctl(int fd, unsigned long cmd, void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

int heap_alloc(const char *name, size_t len)
{
	struct dma_heap_allocation_data alloc = {
		.len = len, .fd_flags = O_RDWR | O_CLOEXEC,
	};
	char path[100];
	int fd, ret;

	snprintf(path, sizeof(path), "/dev/dma_heap/%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = ctl(fd, DMA_HEAP_IOCTL_ALLOC, &alloc);
	close(fd);
	return ret ? ret : (int)alloc.fd;
}

int sealed_memfd(size_t len)
{
	int fd = memfd_create("ram", MFD_ALLOW_SEALING | MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (!ftruncate(fd, len) && !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK))
		return fd;
	len = errno;
	close(fd);
	return -(int)len;
}

int udmabuf_of(int memfd, size_t len)
{
	struct udmabuf_create create = { .memfd = memfd, .size = len,
					 .flags = UDMABUF_FLAGS_CLOEXEC };
	int fd = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = ctl(fd, UDMABUF_CREATE, &create);
	close(fd);
	return ret;
}

int udmabuf_alloc(size_t len)
{
	int memfd = sealed_memfd(len), ret;

	if (memfd < 0)
		return memfd;
	ret = udmabuf_of(memfd, len);
	close(memfd);
	return ret;
}

int importer_open(void)
{
	int fd = open("/dev/device-heap-test", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int importer_attach(int importer, int dmabuf, const char *device, int flags)
{
	struct device_heap_test_attach arg = { .dmabuf = dmabuf, .flags = flags };

	snprintf(arg.device, sizeof(arg.device), "%s", device);
	return ctl(importer, DEVICE_HEAP_TEST_ATTACH, &arg);
}

int importer_map(int importer)
{
	struct device_heap_test_map map = {};

	return ctl(importer, DEVICE_HEAP_TEST_MAP, &map);
}

int importer_unmap(int importer)
{
	return ctl(importer, DEVICE_HEAP_TEST_UNMAP, NULL);
}

int importer_swap(int importer)
{
	struct device_heap_test_swap swap = {};

	return ctl(importer, DEVICE_HEAP_TEST_SWAP, &swap);
}

int importer_add(int importer, const char *device)
{
	struct device_heap_test_add add;

	snprintf(add.device, sizeof(add.device), "%s", device);
	return ctl(importer, DEVICE_HEAP_TEST_ADD, &add);
}

int importer_copy(int importer, size_t from, size_t to, size_t len)
{
	struct device_heap_test_copy copy = { .from = from, .to = to, .len = len };

	return ctl(importer, DEVICE_HEAP_TEST_COPY, &copy);
}
