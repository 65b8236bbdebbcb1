/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <linux/dma-buf.h>
#include <linux/scatterlist.h>

struct page;

struct sample_buffer {
	struct page *page;
};

struct sample_import {
	struct dma_buf_attachment *at;
	struct sg_table *sgt;
};

static inline struct dma_buf_attachment *sample_at(struct sample_import *import)
{
	return import->at;
}

#endif /* SAMPLE_H */
