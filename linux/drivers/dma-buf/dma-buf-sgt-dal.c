// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA-buf converter SGT -> DAL: an exporter that maps its memory itself serves
 * importers of DAL as well. They walk its scatterlist without seeing it.
 *
 * Importers of SGT map once, so many exporters keep one table for each attachment
 * and map that one again, over the addresses of the mapping before. There is one
 * mapping at a time.
 */
#include <linux/container_of.h>
#include <linux/dma-buf-dal.h>
#include <linux/dma-buf-sgt.h>
#include <linux/numa.h>
#include <linux/scatterlist.h>

#include "dma-buf-converter.h"

static const struct dma_buf_mapping_sgt_exp_ops *
exporter_of(const struct dma_buf_attachment *attach)
{
	return container_of(attach->converted,
			    const struct dma_buf_mapping_sgt_exp_ops, ops);
}

/*
 * Find where the slice begins. The walk relies on what is checked here: there is
 * an entry for each of its bytes, and none is empty. A scatterlist without any is
 * no bug: virtio-gpu returns one to importers that find the buffer by its UUID.
 */
static int find_slice(struct dma_buf_dal *dal)
{
	const size_t end = dal->offset + dal->size;
	struct scatterlist *sg;
	size_t at = 0;
	int i;

	for_each_sgtable_dma_sg(dal->sgt, sg, i) {
		if (at >= end)
			break;
		if (!sg_dma_len(sg))
			break;
		if (at <= dal->offset) {
			dal->sg = sg;
			dal->sg_offset = dal->offset - at;
		}
		at += sg_dma_len(sg);
	}
	if (at < end)
		return dma_buf_attach_refuse(dal->attach, "no-addresses",
					     -EOPNOTSUPP);
	return 0;
}

/*
 * An exporter of MMIO may have moved the buffer to system memory. It is a peer's
 * if the exporter has recorded a route to it, else nobody knows.
 */
static void fill_place(struct dma_buf_dal *dal)
{
	const struct dma_buf_mapping_match *match = &dal->attach->map_type;
	struct pci_dev *peer = match->sgt_data.exporting_p2p_device;

	dal->place.node = NUMA_NO_NODE;
	if (!peer || match->sgt_data.p2p_route == DMA_BUF_P2P_NO_ROUTE)
		return;
	dal->place.memory = DMA_BUF_MEMORY_PEER;
	dal->place.peer = peer;
	dal->place.node = dev_to_node(&peer->dev);
	dal->place.route = match->sgt_data.p2p_route;
}

static int sgt_dal_map(struct dma_buf_dal *dal)
{
	struct dma_buf_mapping_match *match = &dal->attach->map_type;
	const struct dma_buf_mapping_sgt_exp_ops *ops =
		exporter_of(dal->attach);
	struct sg_table *sgt;
	int ret;

	if (match->sgt_data.dal_mapped)
		return dma_buf_attach_refuse(dal->attach, "one-mapping", -EBUSY);

	match->sgt_data.p2p_route = DMA_BUF_P2P_NO_ROUTE;
	sgt = ops->map_dma_buf(dal->attach, dal->dir);
	if (!sgt)
		return -ENOMEM;
	if (IS_ERR(sgt))
		return PTR_ERR(sgt);

	dal->kind = DMA_BUF_DAL_KIND_SGT;
	dal->sgt = sgt;
	fill_place(dal);
	ret = find_slice(dal);
	if (ret)
		ops->unmap_dma_buf(dal->attach, sgt, dal->dir);
	match->sgt_data.dal_mapped = !ret;
	return ret;
}

static void sgt_dal_unmap(struct dma_buf_dal *dal)
{
	exporter_of(dal->attach)->unmap_dma_buf(dal->attach, dal->sgt,
						dal->dir);
	dal->attach->map_type.sgt_data.dal_mapped = false;
}

static const struct dma_buf_mapping_dal_exp_ops sgt_dal_ops = {
	.map = sgt_dal_map,
	.unmap = sgt_dal_unmap,
};

static int sgt_dal_offer(struct dma_buf_match_args *args,
			 const struct dma_buf_mapping_match *exp,
			 struct dma_buf_mapping_match *offer)
{
	if (!dma_buf_sgt_offer_valid(exp))
		return -EINVAL;

	*offer = *exp;
	offer->type = &dma_buf_mapping_dal_type;
	offer->exp_ops = &sgt_dal_ops.ops;
	return 0;
}

const struct dma_buf_converter dma_buf_sgt_to_dal = {
	.name = "SGT->DAL",
	.from = &dma_buf_mapping_sgt_type,
	.to = &dma_buf_mapping_dal_type,
	.ops = &sgt_dal_ops.ops,
	.offer = sgt_dal_offer,
};
