// SPDX-License-Identifier: GPL-2.0
/* Includes the private header of the core, and calls what it declares. */
#include "door.h"
#include <../drivers/dma-buf/dma-buf-converter.h>

phys_addr_t door(struct dma_buf_attachment *attach)
{
	struct dma_buf_pal_source *source = dma_buf_pal_source_of(attach->converted);

	return (phys_addr_t)dma_buf_pal_source_map(source, attach);
}
