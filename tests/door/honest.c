// SPDX-License-Identifier: GPL-2.0
/* No way at all: an exporter of PAL that also imports as SGT. It must build and load. */
#include "door.h"

struct honest {
	struct dma_buf_pal_source source;
};

static int honest_match(struct dma_buf_match_args *args)
{
	struct honest *honest = args->dmabuf->priv;
	struct dma_buf_mapping_match offer = dma_buf_pal_source_offer(&honest->source);

	return dma_buf_match_mapping(args, &offer, 1);
}

static int honest_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct honest *honest = dmabuf->priv;

	return dma_buf_pal_source_admit(&honest->source, attach);
}

static const struct dma_buf_ops honest_ops = {
	.match_mapping = honest_match,
	.attach = honest_attach,
};

struct dma_buf *honest_export(struct honest *honest, phys_addr_t start, size_t size);
struct dma_buf *honest_export(struct honest *honest, phys_addr_t start, size_t size)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf_phys_list *list;
	struct phys_vec *phys;

	list = dma_buf_phys_list_alloc(1, &phys);
	if (!list)
		return ERR_PTR(-ENOMEM);
	phys->paddr = start;
	phys->len = size;
	if (dma_buf_phys_list_seal(list, size, DMA_BUF_PHYS_RAM, NULL)) {
		dma_buf_phys_list_free(list);
		return ERR_PTR(-EINVAL);
	}
	dma_buf_pal_source_init(&honest->source, list, false);
	info.ops = &honest_ops;
	info.size = size;
	info.priv = honest;
	return dma_buf_export(&info);
}

phys_addr_t door(struct dma_buf_attachment *attach)
{
	struct sg_table *sgt = dma_buf_sgt_map_attachment(attach, DMA_BIDIRECTIONAL);

	return IS_ERR(sgt) ? 0 : sg_dma_address(sgt->sgl);
}
