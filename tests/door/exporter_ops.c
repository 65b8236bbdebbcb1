// SPDX-License-Identifier: GPL-2.0
/* Calls the ops of the exporter, past the core. */
#include "door.h"

phys_addr_t door(struct dma_buf_attachment *attach)
{
	const struct dma_buf_mapping_pal_exp_ops *ops = (const void *)attach->map_type.exp_ops;

	return ops->map_phys(attach)->phys[0].paddr;
}
