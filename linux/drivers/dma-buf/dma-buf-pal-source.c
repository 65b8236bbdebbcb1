// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA-buf: what an exporter of physical addresses needs beside the list.
 *
 * Memory that its owner may take back has a state (revoked or not), a count of
 * the remaining mappings, and somebody who waits for that count. This file has
 * all three, so that no exporter has to get their order right again.
 */
#include <linux/container_of.h>
#include <linux/dma-buf-pal.h>
#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/pci.h>
#include <linux/pci-p2pdma.h>

#include "dma-buf-converter.h"

/* What a PAL offer's tag is in; nobody but a source makes such an offer */
struct dma_buf_pal_source *
dma_buf_pal_source_of(const struct dma_buf_mapping_exp_ops *ops)
{
	return container_of((struct dma_buf_mapping_exp_ops *)ops,
			    struct dma_buf_pal_source, ops);
}

static void dma_buf_pal_source_idle(struct kref *kref)
{
	complete(&container_of(kref, struct dma_buf_pal_source, kref)->idle);
}

/**
 * dma_buf_pal_source_init - prepare memory for export
 * @source: embedded in the exporter's structure
 * @list: sealed list of the memory; belongs to @source from now on
 * @revoked: true if nobody may map before dma_buf_pal_source_restore()
 *
 * If the memory is MMIO of a PCI device, the source holds a reference to that
 * device while it exists: matching walks the PCI hierarchy without locks.
 *
 * Context: Any. Nobody else knows @source yet.
 */
void dma_buf_pal_source_init(struct dma_buf_pal_source *source,
			     struct dma_buf_phys_list *list, bool revoked)
{
	*source = (struct dma_buf_pal_source) {
		.list = list,
		.is_ram = list->memory == DMA_BUF_PHYS_RAM,
		.revoked = revoked,
	};
	if (list->provider)
		source->pdev = pci_dev_get(to_pci_dev(list->provider->owner));
	kref_init(&source->kref);
	init_completion(&source->idle);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_pal_source_init, "DMA_BUF");

/**
 * dma_buf_pal_source_destroy - undo dma_buf_pal_source_init()
 * @source: source that no buffer uses any more
 *
 * Call this in &dma_buf_ops.release, or if the export failed. Frees the list.
 * A revoke that comes later finds the memory revoked, and does nothing.
 *
 * Context: May sleep.
 */
void dma_buf_pal_source_destroy(struct dma_buf_pal_source *source)
{
	WARN_ON(kref_read(&source->kref) != 1);

	source->revoked = true;
	pci_dev_put(source->pdev);
	dma_buf_phys_list_free(source->list);
	source->pdev = NULL;
	source->list = NULL;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_pal_source_destroy, "DMA_BUF");

/**
 * dma_buf_pal_source_offer - the PAL offer of the memory
 * @source: the source
 *
 * For the exporter's list of offers, in &dma_buf_ops.match_mapping. Importers of
 * other types get what converters make of it.
 *
 * Context: Any.
 *
 * Return: The offer.
 */
struct dma_buf_mapping_match
dma_buf_pal_source_offer(const struct dma_buf_pal_source *source)
{
	return (struct dma_buf_mapping_match) {
		.type = &dma_buf_mapping_pal_type,
		.exp_ops = &source->ops,
		.pal_data = {
			.p2p_device = source->pdev,
			.is_ram = source->is_ram,
			.obstacle = source->obstacle,
		},
	};
}
EXPORT_SYMBOL_NS_GPL(dma_buf_pal_source_offer, "DMA_BUF");

/**
 * dma_buf_pal_source_admit - admit only importers that can be revoked
 * @source: the source
 * @attach: the new attachment
 *
 * For the exporter's &dma_buf_ops.attach.
 *
 * Context: May sleep. Takes the dma-buf reservation lock.
 *
 * Return: 0, -ENODEV if the memory is revoked, -EOPNOTSUPP if the importer
 * cannot give it back on request.
 */
int dma_buf_pal_source_admit(struct dma_buf_pal_source *source,
			     struct dma_buf_attachment *attach)
{
	struct dma_resv *resv = attach->dmabuf->resv;
	bool revoked;

	dma_resv_lock(resv, NULL);
	revoked = source->revoked;
	dma_resv_unlock(resv);

	if (revoked)
		return dma_buf_attach_refuse(attach, "revoked", -ENODEV);
	if (!dma_buf_attach_revocable(attach))
		return dma_buf_attach_refuse(attach, "not-revocable",
					     -EOPNOTSUPP);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_pal_source_admit, "DMA_BUF");

/**
 * dma_buf_pal_source_get - count a mapping of the memory
 * @source: the source
 * @attach: attachment that maps
 *
 * For exporters that offer their own mapping type beside PAL. Its map function
 * calls this first, so that dma_buf_pal_source_revoke() waits for the mapping.
 *
 * Context: The dma-buf reservation lock must be held.
 *
 * Return: 0, -ENODEV if the memory is revoked.
 */
int dma_buf_pal_source_get(struct dma_buf_pal_source *source,
			   struct dma_buf_attachment *attach)
{
	dma_resv_assert_held(attach->dmabuf->resv);

	if (source->revoked)
		return dma_buf_attach_refuse(attach, "revoked", -ENODEV);

	kref_get(&source->kref);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_pal_source_get, "DMA_BUF");

/**
 * dma_buf_pal_source_put - undo dma_buf_pal_source_get()
 * @source: the source
 * @attach: attachment that unmaps
 *
 * An unmap function calls this last.
 *
 * Context: The dma-buf reservation lock must be held.
 */
void dma_buf_pal_source_put(struct dma_buf_pal_source *source,
			    struct dma_buf_attachment *attach)
{
	dma_resv_assert_held(attach->dmabuf->resv);

	kref_put(&source->kref, dma_buf_pal_source_idle);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_pal_source_put, "DMA_BUF");

/* Count a mapping, whatever the type of the attachment, and give out the list */
struct dma_buf_phys_list *
dma_buf_pal_source_map(struct dma_buf_pal_source *source,
		       struct dma_buf_attachment *attach)
{
	struct dma_buf_phys_list *list = source->list;
	/* A source that was destroyed has no list, and is revoked */
	bool fits = list ? list->size == attach->dmabuf->size : source->revoked;
	int ret;

	/* Never made, never sealed, or for another buffer: an exporter's bug */
	if (WARN_ON(!fits))
		return ERR_PTR(-EINVAL);

	ret = dma_buf_pal_source_get(source, attach);
	return ret ? ERR_PTR(ret) : list;
}

/* What importers may know about the memory, but for the route to it */
void dma_buf_pal_source_place(const struct dma_buf_pal_source *source,
			      struct dma_buf_place *place)
{
	const struct dma_buf_phys_list *list = source->list;

	*place = (struct dma_buf_place) { .node = list->node };
	if (list->memory == DMA_BUF_PHYS_RAM) {
		place->memory = DMA_BUF_MEMORY_RAM;
	} else if (source->pdev) {
		place->memory = DMA_BUF_MEMORY_PEER;
		place->peer = source->pdev;
		place->node = dev_to_node(&source->pdev->dev);
		place->tph = list->tph;
	}
}

/* Tell importers to unmap, or that they may map again */
static void dma_buf_pal_source_invalidate(struct dma_buf *dmabuf)
{
	dma_resv_assert_held(dmabuf->resv);

	dma_buf_invalidate_mappings(dmabuf);
	dma_resv_wait_timeout(dmabuf->resv, DMA_RESV_USAGE_BOOKKEEP, false,
			      MAX_SCHEDULE_TIMEOUT);
}

/**
 * dma_buf_pal_source_revoke - take the memory back
 * @source: the source
 * @dmabuf: the buffer that it is lent by
 *
 * Tells all importers, and returns when no mapping is left: nobody touches the
 * memory then, and nobody can map it before dma_buf_pal_source_restore(). Does
 * nothing if the memory is revoked already. The exporter serialises its calls,
 * and sets &dma_buf_ops.waits_for_unmap.
 *
 * Context: May sleep. Takes the dma-buf reservation lock.
 */
void dma_buf_pal_source_revoke(struct dma_buf_pal_source *source,
			       struct dma_buf *dmabuf)
{
	dma_resv_lock(dmabuf->resv, NULL);
	if (source->revoked) {
		dma_resv_unlock(dmabuf->resv);
		return;
	}
	source->revoked = true;
	dma_buf_pal_source_invalidate(dmabuf);
	dma_resv_unlock(dmabuf->resv);

	kref_put(&source->kref, dma_buf_pal_source_idle);
	wait_for_completion(&source->idle);

	kref_init(&source->kref);
	reinit_completion(&source->idle);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_pal_source_revoke, "DMA_BUF");

/**
 * dma_buf_pal_source_restore - lend the memory again
 * @source: the source
 * @dmabuf: the buffer that it is lent by
 *
 * Undoes dma_buf_pal_source_revoke(): importers may map again. What was mapped
 * before stays unmapped.
 *
 * Context: May sleep. Takes the dma-buf reservation lock.
 */
void dma_buf_pal_source_restore(struct dma_buf_pal_source *source,
				struct dma_buf *dmabuf)
{
	dma_resv_lock(dmabuf->resv, NULL);
	if (source->revoked) {
		source->revoked = false;
		dma_buf_pal_source_invalidate(dmabuf);
	}
	dma_resv_unlock(dmabuf->resv);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_pal_source_restore, "DMA_BUF");
