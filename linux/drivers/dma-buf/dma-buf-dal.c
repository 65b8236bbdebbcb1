// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA-buf mapping type DAL: the core maps the buffer for the importer, which
 * walks its DMA addresses.
 *
 * Whatever can fail fails in dma_buf_dal_map(). A walk takes no lock, so the
 * importer keeps its own unmap out of it.
 *
 * No exporter offers this type, only converters do. They map and unmap; what
 * the importer sees is in this file.
 */
#include <linux/container_of.h>
#include <linux/dma-buf-dal.h>
#include <linux/dma-buf-pal.h>
#include <linux/dma-buf-sgt.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci-p2pdma.h>
#include <linux/scatterlist.h>

#include "dma-buf-converter.h"

#include <trace/events/dma_buf_mapping.h>

static const struct dma_buf_mapping_dal_exp_ops *
dma_buf_dal_offered_ops(const struct dma_buf_mapping_match *match)
{
	return container_of(match->exp_ops,
			    const struct dma_buf_mapping_dal_exp_ops, ops);
}

static const char *
dma_buf_dal_ram_obstacle(const struct dma_buf_mapping_match *exp,
			 const struct dma_buf_mapping_match *imp)
{
	if (!(imp->sgt_data.dal_accepts & DMA_BUF_DAL_RAM))
		return "route-not-wanted";
	/* Nobody would synchronise the caches */
	if (dma_buf_dal_offered_ops(exp)->core_maps &&
	    !dev_is_dma_coherent(imp->sgt_data.importing_dma_device))
		return "no-coherence";
	return NULL;
}

static const char *
dma_buf_dal_peer_obstacle(struct pci_dev *peer,
			  const struct dma_buf_mapping_match *imp, bool name)
{
	const char *why;
	u8 route;

	if (!(imp->sgt_data.dal_accepts & DMA_BUF_DAL_PEER))
		return "importer-refuses-p2p";
	why = dma_buf_sgt_p2p_obstacle(peer, imp, name);
	if (why)
		return why;

	switch (pci_p2pdma_route(peer, imp->sgt_data.importing_dma_device)) {
	case PCI_P2PDMA_MAP_BUS_ADDR:
		route = DMA_BUF_DAL_BUS_ADDRESS;
		break;
	case PCI_P2PDMA_MAP_THRU_HOST_BRIDGE:
		route = DMA_BUF_DAL_HOST_BRIDGE;
		break;
	default:
		return "p2p-distance";
	}
	return imp->sgt_data.dal_accepts & route ? NULL : "route-not-wanted";
}

/* Why the importer cannot have the memory of an offer, NULL if it can */
static const char *
dma_buf_dal_obstacle(const struct dma_buf_mapping_match *exp,
		     const struct dma_buf_mapping_match *imp, bool name)
{
	if (exp->sgt_data.exporter_requires_p2p ==
	    DMA_SGT_EXPORTER_REQUIRES_NOTHING)
		return dma_buf_dal_ram_obstacle(exp, imp);
	return dma_buf_dal_peer_obstacle(exp->sgt_data.exporting_p2p_device,
					 imp, name);
}

/* Does any request accept MMIO of peers? */
static bool dma_buf_dal_wants_peers(const struct dma_buf_match_args *args)
{
	const struct dma_buf_mapping_match *imp = args->imp_matches;
	size_t i;

	for (i = 0; i < args->imp_len; i++, imp++) {
		if (imp->type == &dma_buf_mapping_dal_type &&
		    imp->sgt_data.dal_accepts & DMA_BUF_DAL_PEER)
			return true;
		if (imp->type == &dma_buf_mapping_sgt_type &&
		    imp->sgt_data.importer_accepts_p2p)
			return true;
	}
	return false;
}

/*
 * Exporters may look at the importer's ops, which say the same as all requests
 * together: one of them may want less, as another one is for peers.
 */
static bool dma_buf_dal_ops_contradict(const struct dma_buf_match_args *args)
{
	const struct dma_buf_attach_ops *ops = args->attach->importer_ops;

	return ops && ops->allow_peer2peer != dma_buf_dal_wants_peers(args);
}

static int dma_buf_dal_match(struct dma_buf_match_args *args,
			     const struct dma_buf_mapping_match *exp,
			     const struct dma_buf_mapping_match *imp)
{
	const u8 accepts = imp->sgt_data.dal_accepts;
	const char *why;

	/* An exporter that offers a view */
	if (WARN_ON(!dma_buf_converter_by_ops(exp->exp_ops)))
		return -EINVAL;
	if (WARN_ON(!imp->sgt_data.importing_dma_device || !accepts ||
		    accepts & ~DMA_BUF_DAL_ANY))
		return -EINVAL;
	if (WARN_ON(dma_buf_dal_ops_contradict(args)))
		return -EINVAL;

	why = dma_buf_dal_obstacle(exp, imp, args->dmabuf);
	if (!why && args->exp->type == &dma_buf_mapping_sgt_type)
		why = dma_buf_sgt_memory_obstacle(args->exp, imp);
	return why ? dma_buf_match_refuse(args, why) : 0;
}

static void dma_buf_dal_finish_match(struct dma_buf_match_args *args,
				     const struct dma_buf_mapping_match *exp,
				     const struct dma_buf_mapping_match *imp)
{
	struct dma_buf_mapping_match *match = &args->attach->map_type;

	match->sgt_data.importing_dma_device =
		imp->sgt_data.importing_dma_device;
	match->sgt_data.importer_accepts_p2p =
		imp->sgt_data.importer_accepts_p2p;
	match->sgt_data.dal_accepts = imp->sgt_data.dal_accepts;
}

/**
 * var dma_buf_mapping_dal_type - the buffer as runs of DMA addresses
 */
const struct dma_buf_mapping_type dma_buf_mapping_dal_type = {
	.name = "DAL",
	.owner = THIS_MODULE,
	.match = dma_buf_dal_match,
	.finish_match = dma_buf_dal_finish_match,
	.device = dma_buf_sgt_device,
	.debugfs_dump = dma_buf_sgt_debugfs_dump,
};
EXPORT_SYMBOL_NS_GPL(dma_buf_mapping_dal_type, "DMA_BUF");

/* Another device has to fulfil what the device of the request did */
static int dma_buf_dal_admit(const struct dma_buf_attachment *attach,
			     struct device *dev)
{
	struct dma_buf_mapping_match imp = attach->map_type;
	const char *why;

	if (dev == imp.sgt_data.importing_dma_device)
		return 0;
	if (!dma_buf_dal_offered_ops(&imp)->core_maps)
		return dma_buf_attach_refuse(attach, "one-device", -EOPNOTSUPP);

	imp.sgt_data.importing_dma_device = dev;
	why = dma_buf_dal_obstacle(&attach->map_type, &imp, true);
	return why ? dma_buf_attach_refuse(attach, why, -EOPNOTSUPP) : 0;
}

/* Map, and wait for whoever cannot wait by itself */
static int dma_buf_dal_map_pinned(struct dma_buf_dal *dal)
{
	const struct dma_buf_mapping_dal_exp_ops *ops =
		dma_buf_dal_offered_ops(&dal->attach->map_type);
	int ret;

	ret = ops->map(dal);
	if (ret)
		return ret;

	dal->attach->map_type.sgt_data.p2p_route = dal->place.route;
	ret = dma_buf_sgt_wait(dal->attach);
	if (ret)
		ops->unmap(dal);
	return ret;
}

static int dma_buf_dal_pin_and_map(struct dma_buf_dal *dal)
{
	int ret;

	ret = dma_buf_sgt_pin(dal->attach);
	if (ret)
		return ret;

	ret = dma_buf_dal_map_pinned(dal);
	if (ret)
		dma_buf_sgt_unpin(dal->attach);
	return ret;
}

static const char *dma_buf_dal_route_name(const struct dma_buf_dal *dal)
{
	if (!dma_buf_sgt_p2p_allowed(dal->attach))
		return "none";
	return dma_buf_p2p_route_name(dal->place.route);
}

/* For display; a slice counts as much as the buffer */
static size_t dma_buf_dal_ranges(const struct dma_buf_dal *dal)
{
	return dal->kind == DMA_BUF_DAL_KIND_SGT ? dal->sgt->nents :
						   dal->list->count;
}

/**
 * dma_buf_dal_map_for - map a slice of a buffer for a device
 * @attach:	[in]	attachment of the DAL type
 * @dal:	[out]	the mapping
 * @dev:	[in]	device of the importer
 * @offset:	[in]	first byte of the slice
 * @size:	[in]	bytes of the slice, at least one
 * @dir:	[in]	direction of the DMA transfers
 *
 * An importer may have any number of mappings of one attachment, for several
 * devices, if the core maps, that is, if the match was made with an offer of PAL.
 * An exporter that maps itself only knows the device of the match, and maps once
 * at a time.
 *
 * The importer must undo this with dma_buf_dal_unmap(), at the latest when
 * &dma_buf_attach_ops.invalidate_mappings asks for it. For a static importer the
 * buffer is pinned until then. Dynamic importers must wait for the exclusive
 * fence of &dma_buf.resv before they use the addresses.
 *
 * Context: May sleep. The dma-buf reservation lock must be held.
 *
 * Return: 0. -EINVAL if the slice is empty or not inside the buffer, or for an
 * attachment of another type; -EOPNOTSUPP if @dev does not reach the memory;
 * -EBUSY if the exporter maps itself and has not unmapped yet; -ENODEV if the
 * memory is revoked; -ERESTARTSYS if a signal came; else what the DMA API or the
 * exporter returns.
 */
int dma_buf_dal_map_for(struct dma_buf_attachment *attach,
			struct dma_buf_dal *dal, struct device *dev,
			size_t offset, size_t size, enum dma_data_direction dir)
{
	int ret;

	might_sleep();

	if (WARN_ON(!attach || !attach->dmabuf || !dal || !dev ||
		    !dma_buf_is_dal(attach) || !valid_dma_direction(dir)))
		return -EINVAL;

	dma_resv_assert_held(attach->dmabuf->resv);

	if (!size || offset > attach->dmabuf->size ||
	    size > attach->dmabuf->size - offset)
		return -EINVAL;

	*dal = (struct dma_buf_dal) {
		.attach = attach,
		.dev = dev,
		.offset = offset,
		.size = size,
		.dir = dir,
	};
	ret = dma_buf_dal_admit(attach, dev);
	if (!ret)
		ret = dma_buf_dal_pin_and_map(dal);
	if (ret) {
		trace_dma_buf_map(attach, 0, "none", ret);
		dma_buf_outcome_add(attach->dmabuf,
				    dma_buf_mapping_dal_type.name,
				    "map-failed", ret);
		dal->attach = NULL;
	} else if (trace_dma_buf_map_enabled()) {
		trace_dma_buf_map(attach, dma_buf_dal_ranges(dal),
				  dma_buf_dal_route_name(dal), 0);
	}
	return ret;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_dal_map_for, "DMA_BUF");

/**
 * dma_buf_dal_map - map a slice of a buffer for the attached device
 * @attach:	[in]	attachment of the DAL type
 * @dal:	[out]	the mapping
 * @offset:	[in]	first byte of the slice
 * @size:	[in]	bytes of the slice, at least one
 * @dir:	[in]	direction of the DMA transfers
 *
 * As dma_buf_dal_map_for(), for the device of the match.
 *
 * Context: May sleep. The dma-buf reservation lock must be held.
 *
 * Return: As dma_buf_dal_map_for().
 */
int dma_buf_dal_map(struct dma_buf_attachment *attach, struct dma_buf_dal *dal,
		    size_t offset, size_t size, enum dma_data_direction dir)
{
	if (WARN_ON(!attach))
		return -EINVAL;
	return dma_buf_dal_map_for(attach, dal, dma_buf_dal_device(attach),
				   offset, size, dir);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_dal_map, "DMA_BUF");

/**
 * dma_buf_dal_unmap - give back a mapping
 * @dal: what dma_buf_dal_map() filled in
 *
 * The importer must have stopped all access, and all walks, before it calls
 * this.
 *
 * Context: May sleep. The dma-buf reservation lock must be held.
 */
void dma_buf_dal_unmap(struct dma_buf_dal *dal)
{
	struct dma_buf_attachment *attach;

	might_sleep();

	if (WARN_ON(!dal || !dal->attach))
		return;

	attach = dal->attach;
	dma_resv_assert_held(attach->dmabuf->resv);

	if (trace_dma_buf_unmap_enabled())
		trace_dma_buf_unmap(attach, dma_buf_dal_ranges(dal),
				    dma_buf_dal_route_name(dal), 0);
	dma_buf_dal_offered_ops(&attach->map_type)->unmap(dal);
	dma_buf_sgt_unpin(attach);
	dal->attach = NULL;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_dal_unmap, "DMA_BUF");

/* ---- the walk ---- */

static void dma_buf_dal_start_sg(struct dma_buf_dal_iter *iter, size_t offset)
{
	struct scatterlist *sg = iter->dal->sg;

	offset += iter->dal->sg_offset;
	while (offset >= sg_dma_len(sg)) {
		offset -= sg_dma_len(sg);
		sg = sg_next(sg);
	}
	iter->sg = sg;
	iter->offset = offset;
}

static void dma_buf_dal_start_list(struct dma_buf_dal_iter *iter,
				   size_t offset)
{
	const struct dma_buf_dal *dal = iter->dal;
	struct dma_buf_phys_iter phys;

	/* It is inside the list, as the mapping is */
	dma_buf_phys_list_seek(dal->list, dal->offset + offset, &phys);
	iter->range = phys.range - dal->list->phys;
	iter->offset = phys.offset;
}

/**
 * dma_buf_dal_start - begin to walk a mapping
 * @dal:	[in]	the mapping
 * @offset:	[in]	first byte, from the beginning of the mapping
 * @iter:	[out]	the place
 *
 * Takes O(log n) steps for memory of n ranges, and n steps for a scatterlist of
 * n entries. Beyond the end of the mapping there is nothing to walk.
 *
 * Context: Any; mapped.
 */
void dma_buf_dal_start(const struct dma_buf_dal *dal, size_t offset,
		       struct dma_buf_dal_iter *iter)
{
	iter->dal = dal;
	iter->left = offset < dal->size ? dal->size - offset : 0;
	if (!iter->left)
		return;

	switch (dal->kind) {
	case DMA_BUF_DAL_KIND_SGT:
		dma_buf_dal_start_sg(iter, offset);
		break;
	case DMA_BUF_DAL_KIND_IOVA:
		iter->iova = dal->iova.addr + offset_in_page(dal->offset) +
			     offset;
		break;
	default:
		dma_buf_dal_start_list(iter, offset);
	}
}
EXPORT_SYMBOL_NS_GPL(dma_buf_dal_start, "DMA_BUF");

/*
 * The three that follow rely on @max: a run that is shorter has a successor, as
 * the mapping does not end before that.
 */
static size_t dma_buf_dal_next_sg(struct dma_buf_dal_iter *iter, size_t max,
				  dma_addr_t *addr)
{
	struct scatterlist *sg = iter->sg;
	size_t len = sg_dma_len(sg) - iter->offset;

	*addr = sg_dma_address(sg) + iter->offset;
	while (len < max && sg_dma_address(sg_next(sg)) == *addr + len) {
		sg = sg_next(sg);
		len += sg_dma_len(sg);
	}
	if (len > max) {
		iter->sg = sg;
		iter->offset = sg_dma_len(sg) - (len - max);
		return max;
	}
	iter->sg = sg_next(sg);
	iter->offset = 0;
	return len;
}

static size_t dma_buf_dal_next_bus(struct dma_buf_dal_iter *iter, size_t max,
				   dma_addr_t *addr)
{
	const struct phys_vec *phys = iter->dal->list->phys;
	size_t i = iter->range;
	phys_addr_t paddr = phys[i].paddr + iter->offset;
	size_t len = phys[i].len - iter->offset;

	while (len < max && phys[i + 1].paddr == paddr + len)
		len += phys[++i].len;

	*addr = paddr + iter->dal->bus_offset;
	if (len > max) {
		iter->range = i;
		iter->offset = phys[i].len - (len - max);
		return max;
	}
	iter->range = i + 1;
	iter->offset = 0;
	return len;
}

static size_t dma_buf_dal_next_phys(struct dma_buf_dal_iter *iter, size_t max,
				    dma_addr_t *addr)
{
	const struct phys_vec *phys = iter->dal->list->phys;
	size_t i = iter->range;
	const dma_addr_t *at = iter->dal->addrs + (i - iter->dal->first);
	dma_addr_t start = *at + iter->offset;
	size_t len = phys[i].len - iter->offset;

	while (len < max && *++at == start + len)
		len += phys[++i].len;

	*addr = start;
	if (len > max) {
		iter->range = i;
		iter->offset = phys[i].len - (len - max);
		return max;
	}
	iter->range = i + 1;
	iter->offset = 0;
	return len;
}

/**
 * dma_buf_dal_next - step over the next run
 * @iter:	[in,out] place of dma_buf_dal_start()
 * @max:	[in]	bytes to step over at most
 * @addr:	[out]	where the run begins for the device
 *
 * Neighbours are one run. It takes what dma_buf_dal_map() has mapped and cannot
 * fail.
 *
 * Context: Any; mapped.
 *
 * Return: Number of contiguous bytes from @addr on, by which the place moved; 0
 * only at the end of the mapping or if @max is 0.
 */
size_t dma_buf_dal_next(struct dma_buf_dal_iter *iter, size_t max,
			dma_addr_t *addr)
{
	size_t len = min(max, iter->left);

	if (!len)
		return 0;

	switch (iter->dal->kind) {
	case DMA_BUF_DAL_KIND_SGT:
		len = dma_buf_dal_next_sg(iter, len, addr);
		break;
	case DMA_BUF_DAL_KIND_BUS:
		len = dma_buf_dal_next_bus(iter, len, addr);
		break;
	case DMA_BUF_DAL_KIND_PHYS:
		len = dma_buf_dal_next_phys(iter, len, addr);
		break;
	case DMA_BUF_DAL_KIND_IOVA:
		*addr = iter->iova;
		iter->iova += len;
		break;
	}
	iter->left -= len;
	return len;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_dal_next, "DMA_BUF");

/**
 * dma_buf_dal_contiguous - is a mapping one run?
 * @dal:	[in]	the mapping
 * @addr:	[out]	where it begins for the device
 *
 * Context: Any; mapped.
 *
 * Return: True if the mapping is contiguous for the device.
 */
bool dma_buf_dal_contiguous(const struct dma_buf_dal *dal, dma_addr_t *addr)
{
	struct dma_buf_dal_iter iter;

	dma_buf_dal_start(dal, 0, &iter);
	return dma_buf_dal_next(&iter, SIZE_MAX, addr) == dal->size;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_dal_contiguous, "DMA_BUF");
