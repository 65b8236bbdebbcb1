/* SPDX-License-Identifier: GPL-2.0 */
/* How user space drives the two modules of the LINK sample. */
#ifndef SAMPLES_DMA_BUF_LINK_IOCTL_H
#define SAMPLES_DMA_BUF_LINK_IOCTL_H

#include <linux/ioctl.h>

/* /dev/link-exporter: a new page on the fabric arg, returns a DMA-buf's fd */
#define LINK_EXPORT	_IO('L', 0)

/*
 * /dev/link-importer: attaches to the DMA-buf of the fd arg and maps it. Then
 * read() and write() move bytes, until the file is closed.
 */
#define LINK_IMPORT	_IO('L', 1)

#endif
