/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /dev/device-heap-test: an importer for the selftest device-heap. Each open
 * file has one attachment at most.
 */
#ifndef _DEVICE_HEAP_TEST_H
#define _DEVICE_HEAP_TEST_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* The importer unmaps when it is told to */
#define DEVICE_HEAP_TEST_REVOCABLE	1
/* The same, and it reaches the memory of other devices */
#define DEVICE_HEAP_TEST_P2P		2

struct device_heap_test_attach {
	__s32 dmabuf;
	__u32 flags;
	char device[32];
};

struct device_heap_test_map {
	__u64 dma_addr;
	__u32 nents;
	__u32 reserved;
};

/* The kernel swaps this word with the one at @offset */
struct device_heap_test_swap {
	__u64 offset;
	__u64 word;
};

/* The device copies by DMA; only QEMU's edu can */
struct device_heap_test_copy {
	__u64 from;
	__u64 to;
	__u32 len;
	__u32 reserved;
};

/* Another heap, which exists as long as the file */
struct device_heap_test_add {
	char device[32];
};

#define DEVICE_HEAP_TEST_ATTACH	_IOW('H', 0x80, struct device_heap_test_attach)
#define DEVICE_HEAP_TEST_MAP	_IOR('H', 0x81, struct device_heap_test_map)
#define DEVICE_HEAP_TEST_UNMAP	_IO('H', 0x82)
#define DEVICE_HEAP_TEST_SWAP	_IOWR('H', 0x83, struct device_heap_test_swap)
#define DEVICE_HEAP_TEST_COPY	_IOW('H', 0x84, struct device_heap_test_copy)
#define DEVICE_HEAP_TEST_ADD	_IOW('H', 0x85, struct device_heap_test_add)

#endif /* _DEVICE_HEAP_TEST_H */
