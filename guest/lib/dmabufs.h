/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every exporter and importer of DMA-bufs that runs in QEMU. What goes wrong
 * before the buffer is imported ends the row, see fail() in vfio.h.
 */
#ifndef GUEST_DMABUFS_H
#define GUEST_DMABUFS_H

#include <stdint.h>

struct pdev;

/* An export gives the fd of a DMA-buf, an import 0 or -errno. */
struct exporter_row {
	const char *name;
	int (*export)(void);
};

struct importer_row {
	const char *name;
	int (*import)(int dmabuf);
	/* Opens the directory in sysfs of what it attaches, if that is a device */
	int (*device)(void);
};

/* Both end with a row that has no name. */
extern const struct exporter_row exporters[];
extern const struct importer_row importers[];

/* For who needs the heap as well as a buffer of it. */
int heap_open(const char *name);
int heap_buffer(int heap);

int export_system(void);
int export_vfio(void);
int import_iommufd(int dmabuf);
int import_iommufd_at(int dmabuf, uint64_t iova);
int import_virtio_gpu(int dmabuf);
int import_zcrx(int dmabuf);

/* The device whose BAR export_vfio() has exported. */
extern struct pdev vfio_exporter;

#endif
