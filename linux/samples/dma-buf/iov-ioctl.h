/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How user space drives a PF of the IOV sample, /dev/iov-BDF. An open file has
 * one DMA-buf at most; pread() and pwrite() go to it, in words of four bytes.
 */
#ifndef SAMPLES_DMA_BUF_IOV_IOCTL_H
#define SAMPLES_DMA_BUF_IOV_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct iov_status {
	char type[16];		/* of the match, empty if nothing is attached */
	__u32 mapped;
	__u32 invalidated;	/* how often, since IOV_ATTACH */
};

#define IOV_ATTACH	_IO('V', 0)	/* arg: fd of a DMA-buf */
#define IOV_MAP		_IO('V', 1)
#define IOV_UNMAP	_IO('V', 2)
#define IOV_DETACH	_IO('V', 3)
#define IOV_STATUS	_IOR('V', 4, struct iov_status)

#endif
