/* SPDX-License-Identifier: GPL-2.0 */
/*
 * LINK, a mapping type that the core does not know: a buffer is a cookie, which
 * means something on one fabric of a link that is made of software. There is no
 * device, and nobody calls the DMA API.
 */
#ifndef SAMPLES_DMA_BUF_LINK_H
#define SAMPLES_DMA_BUF_LINK_H

#include <linux/dma-buf.h>

extern const struct dma_buf_mapping_type link_mapping_type;

/* What offers and requests say */
struct link_data {
	u32 fabric;
};

/* Both with the dma-buf reservation lock held */
struct link_exp_ops {
	struct dma_buf_mapping_exp_ops ops;
	int (*map)(struct dma_buf_attachment *attach, u32 *cookie);
	void (*unmap)(struct dma_buf_attachment *attach, u32 cookie);
};

static inline struct dma_buf_mapping_match link_request(u32 fabric)
{
	struct dma_buf_mapping_match match = { .type = &link_mapping_type };

	dma_buf_mapping_payload(&match, struct link_data)->fabric = fabric;
	return match;
}

static inline struct dma_buf_mapping_match
link_offer(const struct link_exp_ops *ops, u32 fabric)
{
	struct dma_buf_mapping_match match = link_request(fabric);

	match.exp_ops = &ops->ops;
	return match;
}

int link_map(struct dma_buf_attachment *attach, u32 *cookie);
void link_unmap(struct dma_buf_attachment *attach, u32 cookie);

/* What the hardware of a real link does: give a page a cookie, and move bytes */
int link_publish(void *page, u32 *cookie);
void link_withdraw(u32 cookie);
int link_copy(u32 cookie, size_t offset, void *bytes, size_t len, bool store);

#endif
