/* SPDX-License-Identifier: GPL-2.0 */
/* What /dev/dma-buf-bench is asked for; the kernel and the guest include this. */
#ifndef DMA_BUF_BENCH_H
#define DMA_BUF_BENCH_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define BENCH_SAMPLES 101
#define BENCH_OTHERS 64

/* The first half of a sample does it, the second half undoes it. */
enum {
	BENCH_ATTACH_STATIC,
	BENCH_ATTACH_DYNAMIC,
	BENCH_MAP_STATIC,
	BENCH_MAP_DYNAMIC,
	BENCH_MAP_P2P,		/* for QEMU's second edu */
	BENCH_MAP_PAL,		/* patched kernels alone */
	BENCH_INVALIDATE,
	BENCH_MATCH,		/* patched: n offers, n requests, the last pair fits */
	BENCH_IOMMU_MAP,	/* n ranges of len bytes each; no buffer */
	/* Bytes, not instructions: taken, and still there afterwards */
	BENCH_BYTES_ATTACH,	/* n attachments */
	BENCH_BYTES_MAP_SGT,	/* mappings of n ranges together */
	BENCH_BYTES_LIST,	/* PAL lists of n ranges together */
	BENCH_BYTES_XARRAY,	/* n ranges in an xarray, as a reference */
	BENCH_BYTES_MAP_DAL,	/* as BENCH_BYTES_MAP_SGT */
	/* The second number is that of the runs */
	BENCH_WALK_SGT,
	BENCH_WALK_SGT_P2P,
	BENCH_WALK_DAL,
	BENCH_WALK_DAL_P2P,
	BENCH_MAP_DAL,
	BENCH_MAP_DAL_P2P,
	BENCH_IOMMU_NOSYNC,	/* as BENCH_IOMMU_MAP, with one sync at the end */
};

struct bench_run {
	__s32 fd;		/* in: a DMA-buf, or -1 */
	__u32 op;		/* in */
	__u32 others;		/* in: attachments that are there already */
	__u32 samples;		/* in: at most BENCH_SAMPLES, odd */
	__u64 n, len;		/* in: for ops that take them */
	__u64 there, back;	/* out: instructions, median */
	__u64 thousand;		/* out: what 1000 instructions count */
};

/* A buffer of n ranges, all of them the same page: the one, or the other offer */
enum {
	BENCH_EXPORT_SGT,
	BENCH_EXPORT_PAL,	/* patched kernels alone */
	BENCH_EXPORT_MMIO,	/* the same as MMIO of QEMU's second edu */
};

struct bench_export {
	__u32 kind;
	__u32 pad;
	__u64 n;
};

#define BENCH_RUN _IOWR('B', 0, struct bench_run)
#define BENCH_EXPORT _IOW('B', 1, struct bench_export)	/* gives an fd */

#endif
