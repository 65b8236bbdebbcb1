/* SPDX-License-Identifier: GPL-2.0 */
/*
 * DMA-bufs of RAM, and the importer of the device-heap selftest, which takes a
 * scatterlist for any device. All give 0, an fd, or -errno.
 */
#ifndef GUEST_RAM_H
#define GUEST_RAM_H

#include <stddef.h>

#include "../../linux/drivers/dma-buf/heaps/device_heap_test.h"

int heap_alloc(const char *name, size_t len);
int sealed_memfd(size_t len);
int udmabuf_of(int memfd, size_t len);
int udmabuf_alloc(size_t len);
/* Of single pages that are not where their neighbours are; a power of 2 of them */
int udmabuf_scattered(size_t len);
/* Of one and a half huge pages; takes two, which the kernel must have */
#define UDMABUF_HUGE 0x200000UL
int udmabuf_huge(void);

int importer_open(void);
int importer_attach(int importer, int dmabuf, const char *device, int flags);
int importer_map(int importer);
int importer_unmap(int importer);
/* Through a mapping of the kernel's own */
int importer_swap(int importer);
/* A platform device with a heap of its own */
int importer_add(int importer, const char *device);
/* The edu that it is attached for copies inside the buffer. */
int importer_copy(int importer, size_t from, size_t to, size_t len);

#endif
