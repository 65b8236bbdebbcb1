/* SPDX-License-Identifier: GPL-2.0 */
/* What /dev/dma-buf-bench is asked for; the kernel and the guest include this. */
#ifndef DMA_BUF_BENCH_H
#define DMA_BUF_BENCH_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define BENCH_SAMPLES 101
#define BENCH_OTHERS 64

enum {
	BENCH_ATTACH_STATIC,
	BENCH_ATTACH_DYNAMIC,
	BENCH_MAP_STATIC,
	BENCH_MAP_DYNAMIC,
};

struct bench_run {
	__s32 fd;		/* in: a DMA-buf */
	__u32 op;		/* in */
	__u32 others;		/* in: attachments that are there already */
	__u32 pad;
	__u64 there, back;	/* out: instructions, median */
	__u64 thousand;		/* out: what 1000 instructions count */
};

#define BENCH_RUN _IOWR('B', 0, struct bench_run)

#endif
