// SPDX-License-Identifier: GPL-2.0
/* The same, by the helper for importers. */
#include "door.h"

phys_addr_t door(struct dma_buf_attachment *attach)
{
	struct dma_buf_pal_source *source =
		container_of(attach->converted, struct dma_buf_pal_source, ops);
	struct dma_buf_phys_iter iter;
	phys_addr_t paddr = 0;

	if (!dma_buf_phys_list_seek(source->list, 0, &iter))
		dma_buf_phys_iter_next(&iter, SIZE_MAX, &paddr);
	return paddr;
}
