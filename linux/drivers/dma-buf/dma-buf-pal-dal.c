// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA-buf converter PAL -> DAL: maps the physical address list of an exporter
 * for the importer's device, without a scatterlist.
 *
 * Whole pages are mapped, so that no device gets a bounce buffer for the rest of
 * one: a mapping that lasts must not be a copy.
 */
#include <linux/dma-buf-dal.h>
#include <linux/dma-buf-pal.h>
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/pci-p2pdma.h>
#include <linux/slab.h>

#include "dma-buf-converter.h"

static unsigned long pal_dal_attrs(const struct dma_buf_dal *dal)
{
	return dal->list->memory == DMA_BUF_PHYS_RAM ?
		DMA_ATTR_REQUIRE_COHERENT : DMA_ATTR_MMIO;
}

/* The whole pages that the slice is in */
static size_t first_byte(const struct dma_buf_dal *dal)
{
	return ALIGN_DOWN(dal->offset, PAGE_SIZE);
}

static size_t page_bytes(const struct dma_buf_dal *dal)
{
	return PAGE_ALIGN(dal->offset + dal->size) - first_byte(dal);
}

/* ---- one stretch of IOVA ---- */

static void unlink_iova(struct dma_buf_dal *dal, size_t linked)
{
	dma_iova_destroy(dal->dev, &dal->iova, linked, dal->dir,
			 pal_dal_attrs(dal));
}

static int link_iova(struct dma_buf_dal *dal)
{
	const size_t size = page_bytes(dal);
	struct dma_buf_phys_iter iter;
	size_t len, linked = 0;
	phys_addr_t paddr;
	int ret = 0;

	dal->kind = DMA_BUF_DAL_KIND_IOVA;
	dma_buf_phys_list_seek(dal->list, first_byte(dal), &iter);
	while (linked < size) {
		len = dma_buf_phys_iter_next(&iter, size - linked, &paddr);
		ret = dma_iova_link(dal->dev, &dal->iova, paddr, linked, len,
				    dal->dir, pal_dal_attrs(dal));
		if (ret)
			break;
		linked += len;
	}
	if (!ret)
		ret = dma_iova_sync(dal->dev, &dal->iova, 0, size);
	if (ret)
		unlink_iova(dal, linked);
	return ret;
}

/* ---- an address for each range ---- */

static const struct phys_vec *range_at(const struct dma_buf_dal *dal,
				       size_t offset)
{
	struct dma_buf_phys_iter iter;

	dma_buf_phys_list_seek(dal->list, offset, &iter);
	return iter.range;
}

/*
 * What is left of @size bytes goes range by range. The first one may begin
 * inside its range; what is kept is where the range would begin.
 */
static void unmap_phys(struct dma_buf_dal *dal, size_t size)
{
	struct dma_buf_phys_iter iter;
	dma_addr_t *addr = dal->addrs;
	size_t len;

	dma_buf_phys_list_seek(dal->list, first_byte(dal), &iter);
	while (dal->need_unmap && size) {
		len = min(size, iter.range->len - iter.offset);
		dma_unmap_phys(dal->dev, *addr++ + iter.offset, len, dal->dir,
			       pal_dal_attrs(dal));
		iter.range++;
		iter.offset = 0;
		size -= len;
	}
	kvfree(dal->addrs);
}

static int map_ranges(struct dma_buf_dal *dal)
{
	const unsigned long attrs = pal_dal_attrs(dal);
	struct dma_buf_phys_iter iter;
	dma_addr_t *next = dal->addrs;
	size_t left = page_bytes(dal);
	dma_addr_t addr;
	size_t len;

	dma_buf_phys_list_seek(dal->list, first_byte(dal), &iter);
	while (left) {
		len = min(left, iter.range->len - iter.offset);
		addr = dma_map_phys(dal->dev, iter.range->paddr + iter.offset,
				    len, dal->dir, attrs);
		if (dma_mapping_error(dal->dev, addr)) {
			unmap_phys(dal, page_bytes(dal) - left);
			return -ENOMEM;
		}
		*next++ = addr - iter.offset;
		iter.range++;
		iter.offset = 0;
		left -= len;
	}
	dal->need_unmap = dma_need_unmap(dal->dev);
	return 0;
}

static int map_phys(struct dma_buf_dal *dal)
{
	const struct phys_vec *first = range_at(dal, dal->offset);
	const struct phys_vec *last =
		range_at(dal, dal->offset + dal->size - 1);

	dal->kind = DMA_BUF_DAL_KIND_PHYS;
	dal->first = first - dal->list->phys;
	dal->need_unmap = true;
	dal->addrs = kvmalloc_array(last - first + 1, sizeof(*dal->addrs),
				    GFP_KERNEL);
	if (!dal->addrs)
		return -ENOMEM;
	return map_ranges(dal);
}

/* ---- routes ---- */

static int map_translated(struct dma_buf_dal *dal)
{
	if (dma_iova_try_alloc(dal->dev, &dal->iova, 0, page_bytes(dal)))
		return link_iova(dal);
	return map_phys(dal);
}

static int map_peer(struct dma_buf_dal *dal)
{
	struct p2pdma_provider *provider = dal->list->provider;
	int ret;

	switch (pci_p2pdma_map_type(provider, dal->dev)) {
	case PCI_P2PDMA_MAP_BUS_ADDR:
		dal->kind = DMA_BUF_DAL_KIND_BUS;
		dal->bus_offset = provider->bus_offset;
		dal->place.route = DMA_BUF_P2P_BUS_ADDRESS;
		return 0;
	case PCI_P2PDMA_MAP_THRU_HOST_BRIDGE:
		ret = map_translated(dal);
		dal->place.route = dal->kind == DMA_BUF_DAL_KIND_IOVA ?
				   DMA_BUF_P2P_HOST_BRIDGE_IOVA :
				   DMA_BUF_P2P_HOST_BRIDGE_PHYS;
		return ret;
	default:
		return dma_buf_attach_refuse(dal->attach, "p2p-distance",
					     -EOPNOTSUPP);
	}
}

static int pal_dal_map(struct dma_buf_dal *dal)
{
	struct dma_buf_pal_source *source =
		dma_buf_pal_source_of(dal->attach->converted);
	struct dma_buf_phys_list *list;
	int ret;

	list = dma_buf_pal_source_map(source, dal->attach);
	if (IS_ERR(list))
		return PTR_ERR(list);

	dal->list = list;
	dma_buf_pal_source_place(source, &dal->place);
	if (dal->place.memory == DMA_BUF_MEMORY_PEER)
		ret = map_peer(dal);
	else
		ret = map_translated(dal);
	if (ret)
		dma_buf_pal_source_put(source, dal->attach);
	return ret;
}

static void pal_dal_unmap(struct dma_buf_dal *dal)
{
	if (dal->kind == DMA_BUF_DAL_KIND_IOVA)
		unlink_iova(dal, page_bytes(dal));
	else if (dal->kind == DMA_BUF_DAL_KIND_PHYS)
		unmap_phys(dal, page_bytes(dal));
	dma_buf_pal_source_put(dma_buf_pal_source_of(dal->attach->converted),
			       dal->attach);
}

static const struct dma_buf_mapping_dal_exp_ops pal_dal_ops = {
	.map = pal_dal_map,
	.unmap = pal_dal_unmap,
	.core_maps = true,
};

static int pal_dal_offer(struct dma_buf_match_args *args,
			 const struct dma_buf_mapping_match *exp,
			 struct dma_buf_mapping_match *offer)
{
	struct pci_dev *pdev = exp->pal_data.p2p_device;

	if (!pdev && !exp->pal_data.is_ram)
		return dma_buf_match_refuse(args, "unknown-memory");

	*offer = (struct dma_buf_mapping_match) {
		.type = &dma_buf_mapping_dal_type,
		.exp_ops = &pal_dal_ops.ops,
		.sgt_data = {
			.exporting_p2p_device = pdev,
			.exporter_requires_p2p = pdev ?
				DMA_SGT_EXPORTER_REQUIRES_P2P_DISTANCE :
				DMA_SGT_EXPORTER_REQUIRES_NOTHING,
		},
	};
	return 0;
}

const struct dma_buf_converter dma_buf_pal_to_dal = {
	.name = "PAL->DAL",
	.from = &dma_buf_mapping_pal_type,
	.to = &dma_buf_mapping_dal_type,
	.ops = &pal_dal_ops.ops,
	.offer = pal_dal_offer,
};
