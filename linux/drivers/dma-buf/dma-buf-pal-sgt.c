// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA-buf converter PAL -> SGT: a scatterlist of DMA addresses for importers
 * that have no page tables of their own, from the physical address list of an
 * exporter that offers nothing else.
 *
 * MMIO follows the P2P rules of the SGT type, for the device that the exporter
 * names in its offer. RAM is mapped as RAM. An offer that says neither cannot
 * be converted: nobody knows how a device reaches the memory.
 */
#include <linux/dma-buf-mapping.h>
#include <linux/dma-mapping.h>
#include <linux/overflow.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "dma-buf-converter.h"

#define MAX_PIECE ALIGN_DOWN(UINT_MAX, PAGE_SIZE)

/*
 * What the importer gets, and what an unmap gives back. The scatterlist is that
 * of @mapped. @need_unmap is what the DMA API said right after the map: a later
 * dma_set_mask() may change its answer, and would leave a bounce buffer behind.
 */
struct pal_sgt {
	struct sg_table sgt;
	struct sg_table *mapped;
	struct dma_buf_phys_list *list;
	bool need_unmap;
};

/* 0 if there are more than fit into a scatterlist */
static unsigned int ram_pieces(const struct dma_buf_phys_list *list)
{
	unsigned int count = 0;
	size_t len, pieces, i;

	for (i = 0; i < list->count; i++) {
		len = list->phys[i].len;
		/* DIV_ROUND_UP() wraps around where size_t has 32 bits */
		pieces = len <= MAX_PIECE ? 1 :
			 len / MAX_PIECE + !!(len % MAX_PIECE);
		if (check_add_overflow(count, pieces, &count))
			return 0;
	}
	return count;
}

/* One range, in as many entries as it needs; returns the next free one */
static struct scatterlist *fill_range(const struct phys_vec *range,
				      struct scatterlist *sgl)
{
	size_t done, len;

	for (done = 0; done < range->len; done += len) {
		len = min(range->len - done, MAX_PIECE);
		sg_set_page(sgl, phys_to_page(range->paddr + done), len, 0);
		sgl = sg_next(sgl);
	}
	return sgl;
}

static void fill_ram(const struct dma_buf_phys_list *list,
		     struct scatterlist *sgl)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		sgl = fill_range(&list->phys[i], sgl);
}

static void ram_free(struct sg_table *sgt)
{
	sg_free_table(sgt);
	kfree(sgt);
}

static struct sg_table *ram_map(struct device *dev,
				const struct dma_buf_phys_list *list,
				enum dma_data_direction dir)
{
	struct sg_table *sgt;
	int ret;

	sgt = kzalloc_obj(*sgt);
	if (!sgt)
		return ERR_PTR(-ENOMEM);

	ret = sg_alloc_table(sgt, ram_pieces(list), GFP_KERNEL);
	if (ret) {
		kfree(sgt);
		return ERR_PTR(ret);
	}

	fill_ram(list, sgt->sgl);
	ret = dma_map_sgtable(dev, sgt, dir, 0);
	if (ret) {
		ram_free(sgt);
		return ERR_PTR(ret);
	}
	return sgt;
}

static struct sg_table *list_map(struct dma_buf_attachment *attach,
				 struct dma_buf_phys_list *list,
				 enum dma_data_direction dir)
{
	if (list->memory == DMA_BUF_PHYS_RAM)
		return ram_map(dma_buf_sgt_dma_device(attach), list, dir);

	/* pal_sgt_offer() requires P2P for all MMIO */
	if (WARN_ON(!dma_buf_sgt_p2p_allowed(attach)))
		return ERR_PTR(-EINVAL);
	return dma_buf_phys_vec_to_sgt(attach, list->provider, list->phys,
				       list->count, list->size, dir);
}

static void list_unmap(struct dma_buf_attachment *attach, struct pal_sgt *map,
		       enum dma_data_direction dir)
{
	struct device *dev = dma_buf_sgt_dma_device(attach);

	if (map->list->memory == DMA_BUF_PHYS_RAM) {
		if (map->need_unmap)
			dma_unmap_sgtable(dev, map->mapped, dir, 0);
		ram_free(map->mapped);
	} else {
		dma_buf_free_sgt(attach, map->mapped, dir);
	}
}

static struct sg_table *pal_sgt_map(struct dma_buf_attachment *attach,
				    enum dma_data_direction dir)
{
	struct dma_buf_pal_source *source =
		dma_buf_pal_source_of(attach->converted);
	struct pal_sgt *map;
	int ret;

	map = kzalloc_obj(*map);
	if (!map)
		return ERR_PTR(-ENOMEM);

	map->list = dma_buf_pal_source_map(source, attach);
	if (IS_ERR(map->list)) {
		ret = PTR_ERR(map->list);
		goto err_free;
	}

	map->mapped = list_map(attach, map->list, dir);
	if (IS_ERR(map->mapped)) {
		ret = PTR_ERR(map->mapped);
		goto err_unmap;
	}
	map->sgt = *map->mapped;
	map->need_unmap = dma_need_unmap(dma_buf_sgt_dma_device(attach));
	return &map->sgt;

err_unmap:
	dma_buf_pal_source_put(source, attach);
err_free:
	kfree(map);
	return ERR_PTR(ret);
}

static void pal_sgt_unmap(struct dma_buf_attachment *attach,
			  struct sg_table *sgt, enum dma_data_direction dir)
{
	struct pal_sgt *map = container_of(sgt, struct pal_sgt, sgt);

	list_unmap(attach, map, dir);
	dma_buf_pal_source_put(dma_buf_pal_source_of(attach->converted), attach);
	kfree(map);
}

static const struct dma_buf_mapping_sgt_exp_ops pal_sgt_ops = {
	.map_dma_buf = pal_sgt_map,
	.unmap_dma_buf = pal_sgt_unmap,
};

static int pal_sgt_offer(struct dma_buf_match_args *args,
			 const struct dma_buf_mapping_match *exp,
			 struct dma_buf_mapping_match *offer)
{
	struct pci_dev *pdev = exp->pal_data.p2p_device;

	if (pdev)
		*offer = DMA_BUF_EMAPPING_SGT_P2P(&pal_sgt_ops, pdev);
	else if (exp->pal_data.is_ram)
		*offer = DMA_BUF_EMAPPING_SGT(&pal_sgt_ops);
	else
		return dma_buf_match_refuse(args, "unknown-memory");
	return 0;
}

const struct dma_buf_converter dma_buf_pal_to_sgt = {
	.name = "PAL->SGT",
	.from = &dma_buf_mapping_pal_type,
	.to = &dma_buf_mapping_sgt_type,
	.ops = &pal_sgt_ops.ops,
	.offer = pal_sgt_offer,
};
