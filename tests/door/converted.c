// SPDX-License-Identifier: GPL-2.0
/* From an attachment that was converted to the list of the exporter's source. */
#include "door.h"

phys_addr_t door(struct dma_buf_attachment *attach)
{
	return container_of(attach->converted, struct dma_buf_pal_source, ops)->list->phys[0].paddr;
}
