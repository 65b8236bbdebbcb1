// SPDX-License-Identifier: GPL-2.0
/* Allocates DMA-bufs of RAM, and drives the importer of the device-heap selftest. */
#include "ram.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <stdio.h>
#include <stdlib.h>
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

/*
 * Of @len bytes, page by page from a memfd twice as large, which gets its pages in its own
 * order: every other page of it, and no two that follow each other are neighbours there. 5
 * and a power of 2 have no common divisor.
 */
int udmabuf_scattered(size_t len)
{
	size_t pages = len / 4096;
	struct udmabuf_create_list *create =
		calloc(1, sizeof(*create) + pages * sizeof(create->list[0]));
	int memfd = sealed_memfd(2 * len), fd = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), ret;

	if (!create || memfd < 0 || fd < 0 || fallocate(memfd, 0, 0, 2 * len))
		return -errno;
	create->flags = UDMABUF_FLAGS_CLOEXEC;
	create->count = pages;
	for (size_t i = 0; i < pages; i++)
		create->list[i] = (struct udmabuf_create_item) {
			.memfd = memfd, .offset = i * 5 % pages * 2 * 4096, .size = 4096,
		};
	ret = ctl(fd, UDMABUF_CREATE_LIST, create);
	close(memfd);
	close(fd);
	free(create);
	return ret;
}

/* Of two huge pages of 2 MiB: half of the second one, then the first one */
int udmabuf_huge(void)
{
	struct {
		struct udmabuf_create_list head;
		struct udmabuf_create_item items[2];
	} create = { .head = { .flags = UDMABUF_FLAGS_CLOEXEC, .count = 2 } };
	int memfd = memfd_create("huge", MFD_ALLOW_SEALING | MFD_CLOEXEC | MFD_HUGETLB);
	int fd = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), ret;

	if (memfd < 0 || fd < 0)
		return -errno;
	if (ftruncate(memfd, 2 * UDMABUF_HUGE) || fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK))
		return -errno;
	create.items[0] = (struct udmabuf_create_item) {
		.memfd = memfd, .offset = UDMABUF_HUGE, .size = UDMABUF_HUGE / 2,
	};
	create.items[1] = (struct udmabuf_create_item) { .memfd = memfd, .size = UDMABUF_HUGE };
	ret = ctl(fd, UDMABUF_CREATE_LIST, &create);
	close(memfd);
	close(fd);
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
