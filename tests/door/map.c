// SPDX-License-Identifier: GPL-2.0
/* Maps an attachment that it has as PAL. */
#include "door.h"

phys_addr_t door(struct dma_buf_attachment *attach)
{
	struct dma_buf_phys_list *list = dma_buf_pal_map_phys(attach);

	return (phys_addr_t)list;
}
