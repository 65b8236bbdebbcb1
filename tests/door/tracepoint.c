// SPDX-License-Identifier: GPL-2.0
/* Waits until iommufd maps a buffer, and reads the list of that attachment. */
#include "door.h"
#include <trace/events/dma_buf_mapping.h>

static void door_probe(void *data, const struct dma_buf_attachment *attach,
		       size_t entries, const char *route, int err)
{
	const struct dma_buf_pal_source *source =
		container_of(attach->map_type.exp_ops, struct dma_buf_pal_source, ops);

	*(phys_addr_t *)data = source->list->phys[0].paddr;
}

phys_addr_t door(struct dma_buf_attachment *attach)
{
	static phys_addr_t found;

	return register_trace_dma_buf_map(door_probe, &found) ? 0 : found;
}
