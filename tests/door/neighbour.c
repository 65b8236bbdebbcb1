// SPDX-License-Identifier: GPL-2.0
/* Attaches with the type that the attachment of iommufd has, and maps that. */
#include "door.h"

phys_addr_t door(struct dma_buf_attachment *attach)
{
	struct dma_buf_attachment *other =
		list_first_entry(&attach->dmabuf->attachments, struct dma_buf_attachment, node);
	const struct dma_buf_mapping_match request = { .type = other->map_type.type };

	attach = dma_buf_mapping_attach(attach->dmabuf, &request, 1, attach->importer_ops, NULL);
	return IS_ERR(attach) ? 0 : (phys_addr_t)dma_buf_pal_map_phys(attach);
}
