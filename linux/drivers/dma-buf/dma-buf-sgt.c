// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA-buf mapping type SGT: the buffer as a scatterlist of DMA addresses.
 *
 * A *static* importer has no importer ops. Nobody can tell it that the buffer
 * moves, so the core pins the buffer while it is mapped, and waits for all
 * kernel work on it before the importer gets the scatterlist.
 */
#include <linux/dma-buf-sgt.h>
#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/pci-p2pdma.h>
#include <linux/scatterlist.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "dma-buf-converter.h"

#include <trace/events/dma_buf_mapping.h>

/*
 * Why an importer does not get MMIO of @provider, NULL if it does.
 *
 * pci_p2pdma_distance() also looks at the parents of a client that is not a PCI
 * device, pci_p2pdma_map_type() does not. Require what both accept, or the
 * attach promises what the map then refuses.
 */
const char *
dma_buf_sgt_p2p_obstacle(struct pci_dev *provider,
			 const struct dma_buf_mapping_match *imp, bool name)
{
	struct device *client = imp->sgt_data.importing_dma_device;

	if (!imp->sgt_data.importer_accepts_p2p)
		return "importer-refuses-p2p";
	if (!dev_is_pci(client))
		return "p2p-distance";
	if (pci_p2pdma_distance(provider, client, false) < 0)
		return dma_buf_p2p_obstacle(provider, to_pci_dev(client), name);
	return NULL;
}

static int dma_buf_sgt_match_p2p(struct dma_buf_match_args *args,
				 const struct dma_buf_mapping_match *exp,
				 const struct dma_buf_mapping_match *imp)
{
	struct pci_dev *pdev = exp->sgt_data.exporting_p2p_device;
	const char *why;

	why = dma_buf_sgt_p2p_obstacle(pdev, imp, args->dmabuf);
	return why ? dma_buf_match_refuse(args, why) : 0;
}

static const struct dma_buf_mapping_sgt_exp_ops *
dma_buf_sgt_offered_ops(const struct dma_buf_mapping_match *exp)
{
	if (!exp->exp_ops)
		return NULL;
	return container_of(exp->exp_ops,
			    const struct dma_buf_mapping_sgt_exp_ops, ops);
}

/*
 * Memory that is no MMIO is for every device, unless the exporter says why not.
 * @exp is the exporter's offer and no copy of it.
 */
const char *
dma_buf_sgt_memory_obstacle(const struct dma_buf_mapping_match *exp,
			    const struct dma_buf_mapping_match *imp)
{
	const struct dma_buf_mapping_sgt_exp_ops *ops =
		dma_buf_sgt_offered_ops(exp);

	if (!ops->obstacle || exp->sgt_data.exporter_requires_p2p)
		return NULL;
	return ops->obstacle(exp, imp->sgt_data.importing_dma_device);
}

bool dma_buf_sgt_offer_valid(const struct dma_buf_mapping_match *exp)
{
	const struct dma_buf_mapping_sgt_exp_ops *ops =
		dma_buf_sgt_offered_ops(exp);
	const u8 p2p = exp->sgt_data.exporter_requires_p2p;

	if (WARN_ON(!ops || !ops->map_dma_buf || !ops->unmap_dma_buf))
		return false;
	if (p2p == DMA_SGT_EXPORTER_REQUIRES_NOTHING)
		return true;
	return !WARN_ON(p2p != DMA_SGT_EXPORTER_REQUIRES_P2P_DISTANCE ||
			!exp->sgt_data.exporting_p2p_device);
}

/*
 * The request counts, but exporters may look at the importer's ops as well: they
 * must not say something else.
 */
static bool dma_buf_sgt_ops_contradict(const struct dma_buf_match_args *args,
				       const struct dma_buf_mapping_match *imp)
{
	const struct dma_buf_attach_ops *ops = args->attach->importer_ops;

	return ops &&
	       ops->allow_peer2peer != !!imp->sgt_data.importer_accepts_p2p;
}

static int dma_buf_sgt_match(struct dma_buf_match_args *args,
			     const struct dma_buf_mapping_match *exp,
			     const struct dma_buf_mapping_match *imp)
{
	const char *why;

	if (!dma_buf_sgt_offer_valid(exp))
		return -EINVAL;
	if (WARN_ON(!imp->sgt_data.importing_dma_device ||
		    imp->sgt_data.importer_accepts_p2p >
		    DMA_SGT_IMPORTER_ACCEPTS_P2P))
		return -EINVAL;
	if (WARN_ON(dma_buf_sgt_ops_contradict(args, imp)))
		return -EINVAL;

	if (exp->sgt_data.exporter_requires_p2p !=
	    DMA_SGT_EXPORTER_REQUIRES_NOTHING)
		return dma_buf_sgt_match_p2p(args, exp, imp);
	why = dma_buf_sgt_memory_obstacle(exp, imp);
	return why ? dma_buf_match_refuse(args, why) : 0;
}

static void dma_buf_sgt_finish_match(struct dma_buf_match_args *args,
				     const struct dma_buf_mapping_match *exp,
				     const struct dma_buf_mapping_match *imp)
{
	struct dma_buf_attachment *attach = args->attach;

	attach->map_type.sgt_data.importing_dma_device =
		imp->sgt_data.importing_dma_device;
	attach->map_type.sgt_data.importer_accepts_p2p =
		imp->sgt_data.importer_accepts_p2p;
}

/*
 * An offer has the provider, a request the importer. A match has both: return
 * the importer.
 */
struct device *dma_buf_sgt_device(const struct dma_buf_mapping_match *match)
{
	struct pci_dev *provider = match->sgt_data.exporting_p2p_device;

	if (match->sgt_data.importing_dma_device)
		return match->sgt_data.importing_dma_device;
	return provider ? &provider->dev : NULL;
}

/* For display: the route to MMIO of a peer */
const char *dma_buf_p2p_route_name(enum dma_buf_p2p_route route)
{
	switch (route) {
	case DMA_BUF_P2P_BUS_ADDRESS:
		return "bus-address";
	case DMA_BUF_P2P_HOST_BRIDGE_IOVA:
		return "host-bridge-iova";
	case DMA_BUF_P2P_HOST_BRIDGE_PHYS:
		return "host-bridge-phys";
	default:
		return "allowed";
	}
}

/* For display: the route of the last mapping */
static const char *
dma_buf_sgt_route_name(const struct dma_buf_attachment *attach)
{
	if (!dma_buf_sgt_p2p_allowed(attach))
		return "none";
	return dma_buf_p2p_route_name(attach->map_type.sgt_data.p2p_route);
}

void dma_buf_sgt_debugfs_dump(struct seq_file *s,
			      struct dma_buf_attachment *attach)
{
	seq_printf(s, " p2p=%s", dma_buf_sgt_route_name(attach));
}

/**
 * var dma_buf_mapping_sgt_type - the buffer as a scatterlist of DMA addresses
 */
const struct dma_buf_mapping_type dma_buf_mapping_sgt_type = {
	.name = "SGT",
	.owner = THIS_MODULE,
	.match = dma_buf_sgt_match,
	.finish_match = dma_buf_sgt_finish_match,
	.device = dma_buf_sgt_device,
	.debugfs_dump = dma_buf_sgt_debugfs_dump,
};
EXPORT_SYMBOL_NS_GPL(dma_buf_mapping_sgt_type, "DMA_BUF");

/**
 * dma_buf_sgt_exporter_ops - with which ops does the exporter map?
 * @attach: attachment whose match has been made
 *
 * For exporters whose &dma_buf_ops.attach depends on how they map later. The
 * core maps with these ops for importers of DAL as well.
 *
 * Context: Any.
 *
 * Return: The ops of the exporter's own offer of SGT, NULL if the match was made
 * with another offer, or is not about DMA addresses.
 */
const struct dma_buf_mapping_sgt_exp_ops *
dma_buf_sgt_exporter_ops(const struct dma_buf_attachment *attach)
{
	const struct dma_buf_converter *converter =
		dma_buf_converter_by_ops(attach->map_type.exp_ops);

	if (!dma_buf_is_sgt(attach))
		return NULL;
	if (converter && converter->from != &dma_buf_mapping_sgt_type)
		return NULL;
	return container_of(attach->converted ?: attach->map_type.exp_ops,
			    const struct dma_buf_mapping_sgt_exp_ops, ops);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_sgt_exporter_ops, "DMA_BUF");

/**
 * dma_buf_sgt_dynamic_attach - attach a device that follows a moving buffer
 * @dmabuf:		[in]	buffer to attach to
 * @dev:		[in]	device whose DMA API maps the buffer
 * @importer_ops:	[in]	importer operations, NULL for a static importer
 * @importer_priv:	[in]	importer private pointer for the attachment
 *
 * Requests the SGT type, with P2P if &dma_buf_attach_ops.allow_peer2peer is
 * set. The importer must end the attachment with dma_buf_detach().
 *
 * Context: May sleep. The dma-buf reservation lock must not be held.
 *
 * Return: The attachment, or an error code wrapped into a pointer, as
 * dma_buf_mapping_attach() returns it.
 */
struct dma_buf_attachment *
dma_buf_sgt_dynamic_attach(struct dma_buf *dmabuf, struct device *dev,
			   const struct dma_buf_attach_ops *importer_ops,
			   void *importer_priv)
{
	bool p2p = importer_ops && importer_ops->allow_peer2peer;
	struct dma_buf_mapping_match request = DMA_BUF_IMAPPING_SGT(dev, p2p);

	if (WARN_ON(!dev))
		return ERR_PTR(-EINVAL);

	return dma_buf_mapping_attach(dmabuf, &request, 1, importer_ops,
				      importer_priv);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_sgt_dynamic_attach, "DMA_BUF");

/**
 * dma_buf_sgt_attach - attach a device with a static mapping
 * @dmabuf:	[in]	buffer to attach to
 * @dev:	[in]	device whose DMA API maps the buffer
 *
 * Requests the SGT type without P2P. The buffer stays pinned while it is
 * mapped. The importer must end the attachment with dma_buf_detach().
 *
 * Context: May sleep. The dma-buf reservation lock must not be held.
 *
 * Return: The attachment, or an error code wrapped into a pointer, as
 * dma_buf_mapping_attach() returns it.
 */
struct dma_buf_attachment *dma_buf_sgt_attach(struct dma_buf *dmabuf,
					      struct device *dev)
{
	return dma_buf_sgt_dynamic_attach(dmabuf, dev, NULL, NULL);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_sgt_attach, "DMA_BUF");

/* What the importer gets instead of the exporter's table under DMABUF_DEBUG */
struct dma_buf_sgt_wrapper {
	struct sg_table sgt;
	struct sg_table *original;
};

/*
 * Give the importer a copy that only has DMA addresses, to find importers that
 * look at the struct pages of the buffer.
 */
static struct sg_table *dma_buf_sgt_wrap(struct sg_table *original)
{
	struct scatterlist *to, *from;
	struct dma_buf_sgt_wrapper *wrapper;
	int i, ret;

	if (!IS_ENABLED(CONFIG_DMABUF_DEBUG))
		return original;

	wrapper = kzalloc_obj(*wrapper);
	if (!wrapper)
		return ERR_PTR(-ENOMEM);

	ret = sg_alloc_table(&wrapper->sgt, original->nents, GFP_KERNEL);
	if (ret) {
		kfree(wrapper);
		return ERR_PTR(ret);
	}

	to = wrapper->sgt.sgl;
	for_each_sgtable_dma_sg(original, from, i) {
		sg_set_page(to, NULL, 0, 0);
		sg_dma_address(to) = sg_dma_address(from);
		sg_dma_len(to) = sg_dma_len(from);
		to = sg_next(to);
	}
	wrapper->original = original;
	return &wrapper->sgt;
}

static struct sg_table *dma_buf_sgt_unwrap(struct sg_table *sgt)
{
	struct dma_buf_sgt_wrapper *wrapper;
	struct sg_table *original;

	if (!IS_ENABLED(CONFIG_DMABUF_DEBUG))
		return sgt;

	wrapper = container_of(sgt, struct dma_buf_sgt_wrapper, sgt);
	original = wrapper->original;
	sg_free_table(&wrapper->sgt);
	kfree(wrapper);
	return original;
}

static void dma_buf_sgt_check_aligned(struct sg_table *sgt)
{
	struct scatterlist *sg;
	int i;

	if (!IS_ENABLED(CONFIG_DMA_API_DEBUG))
		return;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		u64 addr = sg_dma_address(sg);
		unsigned int len = sg_dma_len(sg);

		if (PAGE_ALIGNED(addr) && PAGE_ALIGNED(len))
			continue;
		pr_debug("dma-buf: addr %llx or len %x is not page aligned!\n",
			 addr, len);
		break;
	}
}

static bool dma_buf_sgt_is_static(struct dma_buf_attachment *attach)
{
	return !attach->importer_ops;
}

int dma_buf_sgt_pin(struct dma_buf_attachment *attach)
{
	struct dma_buf *dmabuf = attach->dmabuf;
	int ret;

	if (!dma_buf_sgt_is_static(attach) || !dmabuf->ops->pin)
		return 0;

	ret = dmabuf->ops->pin(attach);
	/* The attachment is there to keep the buffer reachable */
	WARN_ON_ONCE(ret == -EBUSY);
	return ret;
}

void dma_buf_sgt_unpin(struct dma_buf_attachment *attach)
{
	if (dma_buf_sgt_is_static(attach) && attach->dmabuf->ops->unpin)
		attach->dmabuf->ops->unpin(attach);
}

/* Static importers do not wait for fences themselves */
int dma_buf_sgt_wait(struct dma_buf_attachment *attach)
{
	long ret;

	if (!dma_buf_sgt_is_static(attach))
		return 0;

	ret = dma_resv_wait_timeout(attach->dmabuf->resv,
				    DMA_RESV_USAGE_KERNEL, true,
				    MAX_SCHEDULE_TIMEOUT);
	return ret < 0 ? ret : 0;
}

static void dma_buf_sgt_trace_map(const struct dma_buf_attachment *attach,
				  const struct sg_table *sgt)
{
	if (IS_ERR(sgt))
		trace_dma_buf_map(attach, 0, "none", PTR_ERR(sgt));
	else
		trace_dma_buf_map(attach, sgt->nents,
				  dma_buf_sgt_route_name(attach), 0);
}

/* Pin, map, wait, and hide what the importer must not see */
static struct sg_table *
dma_buf_sgt_pin_and_map(struct dma_buf_attachment *attach,
			const struct dma_buf_mapping_sgt_exp_ops *ops,
			enum dma_data_direction dir)
{
	struct sg_table *original, *sgt;
	int ret;

	ret = dma_buf_sgt_pin(attach);
	if (ret)
		return ERR_PTR(ret);

	original = ops->map_dma_buf(attach, dir);
	sgt = original ?: ERR_PTR(-ENOMEM);
	if (IS_ERR(sgt))
		goto err_unpin;

	ret = dma_buf_sgt_wait(attach);
	sgt = ret ? ERR_PTR(ret) : dma_buf_sgt_wrap(original);
	if (!IS_ERR(sgt))
		return sgt;

	ops->unmap_dma_buf(attach, original, dir);
err_unpin:
	dma_buf_sgt_unpin(attach);
	return sgt;
}

/**
 * dma_buf_sgt_map_attachment - map the buffer for the attached device
 * @attach:	[in]	attachment of the SGT type
 * @dir:	[in]	direction of the DMA transfers
 *
 * The importer must undo this with dma_buf_sgt_unmap_attachment(). For a static
 * importer the backing storage is pinned until then, so importers should not
 * keep a mapping for longer than they need it.
 *
 * Dynamic importers must wait for the exclusive fence of &dma_buf.resv before
 * they use the addresses.
 *
 * Context: May sleep. The dma-buf reservation lock must be held.
 *
 * Return: The scatterlist; only its DMA addresses and lengths are valid, and
 * they are page aligned. An error code wrapped into a pointer on failure:
 * -EINVAL for an attachment of another type, -EINTR if a signal came, else what
 * the exporter returns.
 */
struct sg_table *dma_buf_sgt_map_attachment(struct dma_buf_attachment *attach,
					    enum dma_data_direction dir)
{
	const struct dma_buf_mapping_sgt_exp_ops *ops;
	struct sg_table *sgt;

	might_sleep();

	if (WARN_ON(!attach || !attach->dmabuf))
		return ERR_PTR(-EINVAL);

	dma_resv_assert_held(attach->dmabuf->resv);

	ops = dma_buf_get_sgt_ops(attach);
	if (WARN_ON(!ops))
		return ERR_PTR(-EINVAL);

	sgt = dma_buf_sgt_pin_and_map(attach, ops, dir);
	if (!IS_ERR(sgt))
		dma_buf_sgt_check_aligned(sgt);
	else
		dma_buf_outcome_add(attach->dmabuf,
				    dma_buf_mapping_sgt_type.name,
				    "map-failed", PTR_ERR(sgt));
	if (trace_dma_buf_map_enabled())
		dma_buf_sgt_trace_map(attach, sgt);
	return sgt;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_sgt_map_attachment, "DMA_BUF");

/**
 * dma_buf_sgt_map_attachment_unlocked - lock, and map the buffer
 * @attach:	[in]	attachment of the SGT type
 * @dir:	[in]	direction of the DMA transfers
 *
 * Context: May sleep. Takes the dma-buf reservation lock.
 *
 * Return: As dma_buf_sgt_map_attachment().
 */
struct sg_table *
dma_buf_sgt_map_attachment_unlocked(struct dma_buf_attachment *attach,
				    enum dma_data_direction dir)
{
	struct sg_table *sgt;

	might_sleep();

	if (WARN_ON(!attach || !attach->dmabuf))
		return ERR_PTR(-EINVAL);

	dma_resv_lock(attach->dmabuf->resv, NULL);
	sgt = dma_buf_sgt_map_attachment(attach, dir);
	dma_resv_unlock(attach->dmabuf->resv);

	return sgt;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_sgt_map_attachment_unlocked, "DMA_BUF");

static bool dma_buf_sgt_is_converted(const struct dma_buf_attachment *attach)
{
	return attach->map_type.exp_ops == dma_buf_pal_to_sgt.ops;
}

/* An exporter of MMIO that has recorded no route may have moved it to RAM */
static bool dma_buf_sgt_is_peer(const struct dma_buf_attachment *attach)
{
	return dma_buf_sgt_p2p_allowed(attach) &&
	       attach->map_type.sgt_data.p2p_route != DMA_BUF_P2P_NO_ROUTE;
}

/**
 * dma_buf_sgt_place - tell an importer what its scatterlist leads to
 * @attach:	[in]	attachment of the SGT type, mapped
 * @place:	[out]	what is known
 *
 * An importer can decide by this about ATS, steering tags, or where its queues
 * are, without a look at the addresses. What the exporter has not told is
 * %DMA_BUF_MEMORY_UNKNOWN: that goes for exporters of MMIO as well, as they may
 * move the buffer to system memory, unless they map with
 * dma_buf_phys_vec_to_sgt(), which records the route. If there are several
 * mappings, this is about the last one.
 *
 * Context: The dma-buf reservation lock must be held.
 */
void dma_buf_sgt_place(const struct dma_buf_attachment *attach,
		       struct dma_buf_place *place)
{
	struct pci_dev *peer;

	*place = (struct dma_buf_place) { .node = NUMA_NO_NODE };
	if (WARN_ON(!attach || !dma_buf_get_sgt_ops(attach)))
		return;

	dma_resv_assert_held(attach->dmabuf->resv);

	if (dma_buf_sgt_is_converted(attach)) {
		dma_buf_pal_source_place(dma_buf_pal_source_of(attach->converted),
					 place);
	} else if (dma_buf_sgt_is_peer(attach)) {
		peer = attach->map_type.sgt_data.exporting_p2p_device;
		place->memory = DMA_BUF_MEMORY_PEER;
		place->peer = peer;
		place->node = dev_to_node(&peer->dev);
	}
	if (place->memory == DMA_BUF_MEMORY_PEER)
		place->route = attach->map_type.sgt_data.p2p_route;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_sgt_place, "DMA_BUF");

/**
 * dma_buf_sgt_unmap_attachment - give back a mapping of the buffer
 * @attach:	[in]	attachment of the SGT type
 * @sgt:	[in]	what dma_buf_sgt_map_attachment() returned
 * @dir:	[in]	the direction that it was mapped with
 *
 * Context: May sleep. The dma-buf reservation lock must be held.
 */
void dma_buf_sgt_unmap_attachment(struct dma_buf_attachment *attach,
				  struct sg_table *sgt,
				  enum dma_data_direction dir)
{
	const struct dma_buf_mapping_sgt_exp_ops *ops;

	might_sleep();

	if (WARN_ON(!attach || !attach->dmabuf || !sgt))
		return;

	dma_resv_assert_held(attach->dmabuf->resv);

	ops = dma_buf_get_sgt_ops(attach);
	if (WARN_ON(!ops))
		return;

	if (trace_dma_buf_unmap_enabled())
		trace_dma_buf_unmap(attach, sgt->nents,
				    dma_buf_sgt_route_name(attach), 0);
	ops->unmap_dma_buf(attach, dma_buf_sgt_unwrap(sgt), dir);
	dma_buf_sgt_unpin(attach);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_sgt_unmap_attachment, "DMA_BUF");

/**
 * dma_buf_sgt_unmap_attachment_unlocked - lock, and give back a mapping
 * @attach:	[in]	attachment of the SGT type
 * @sgt:	[in]	what dma_buf_sgt_map_attachment() returned
 * @dir:	[in]	the direction that it was mapped with
 *
 * Context: May sleep. Takes the dma-buf reservation lock.
 */
void dma_buf_sgt_unmap_attachment_unlocked(struct dma_buf_attachment *attach,
					   struct sg_table *sgt,
					   enum dma_data_direction dir)
{
	might_sleep();

	if (WARN_ON(!attach || !attach->dmabuf || !sgt))
		return;

	dma_resv_lock(attach->dmabuf->resv, NULL);
	dma_buf_sgt_unmap_attachment(attach, sgt, dir);
	dma_resv_unlock(attach->dmabuf->resv);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_sgt_unmap_attachment_unlocked, "DMA_BUF");
