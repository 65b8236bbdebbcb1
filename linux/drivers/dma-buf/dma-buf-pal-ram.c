// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA-buf: RAM as a physical address list, for exporters whose importers mostly
 * want a scatterlist.
 *
 * Such an exporter offers PAL behind SGT. Its memory does not move and is never
 * taken back, so all that PAL adds to it is a list, which is made for the first
 * attachment that needs it and stays until the buffer is released. A buffer
 * that is only used by way of scatterlists has none, and costs what it did.
 */
#include <linux/cc_platform.h>
#include <linux/completion.h>
#include <linux/dma-buf-pal.h>
#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/kref.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>

#include "dma-buf-converter.h"

/* The memory as its exporter keeps it: one of the two */
struct pal_ram {
	struct page **pages;
	size_t count;
	struct sg_table *sgt;
};

/* Contiguous stretches; they are counted first, while @phys is NULL */
struct pal_runs {
	struct phys_vec *phys;
	size_t count;
	phys_addr_t end;
};

static void pal_runs_add(struct pal_runs *runs, phys_addr_t paddr, size_t len)
{
	if (!runs->count || runs->end != paddr) {
		if (runs->phys)
			runs->phys[runs->count].paddr = paddr;
		runs->count++;
	}
	if (runs->phys)
		runs->phys[runs->count - 1].len += len;
	runs->end = paddr + len;
}

static void pal_ram_walk(const struct pal_ram *ram, struct pal_runs *runs)
{
	struct scatterlist *sg;
	size_t i;
	int n;

	for (i = 0; i < ram->count; i++)
		pal_runs_add(runs, page_to_phys(ram->pages[i]), PAGE_SIZE);
	if (!ram->sgt)
		return;
	for_each_sgtable_sg(ram->sgt, sg, n)
		pal_runs_add(runs, sg_phys(sg), sg->length);
}

static struct dma_buf_phys_list *pal_ram_list(const struct pal_ram *ram,
					      size_t size)
{
	struct dma_buf_phys_list *list;
	struct pal_runs runs = {};
	int ret;

	pal_ram_walk(ram, &runs);
	list = dma_buf_phys_list_alloc(runs.count, &runs.phys);
	if (!list)
		return ERR_PTR(-ENOMEM);

	runs.count = 0;
	pal_ram_walk(ram, &runs);
	ret = dma_buf_phys_list_seal(list, size, DMA_BUF_PHYS_RAM, NULL);
	if (ret) {
		dma_buf_phys_list_free(list);
		return ERR_PTR(ret);
	}
	return list;
}

/* The list is there before the exporter's attach returns, so before any map */
static int pal_ram_attach(struct dma_buf_pal_source *source,
			  struct dma_buf_attachment *attach,
			  const struct pal_ram *ram)
{
	struct dma_buf *dmabuf = attach->dmabuf;
	struct dma_buf_phys_list *list;

	if (!dma_buf_pal_source_serves(source, attach))
		return 0;

	dma_resv_lock(dmabuf->resv, NULL);
	list = source->list ?: pal_ram_list(ram, dmabuf->size);
	if (!IS_ERR(list))
		source->list = list;
	dma_resv_unlock(dmabuf->resv);
	return PTR_ERR_OR_ZERO(list);
}

/**
 * dma_buf_pal_source_init_ram - prepare RAM for export
 * @source: embedded in the exporter's structure
 * @obstacle: why nobody may have its physical addresses, as a word for
 *	dma_buf_match_refuse(), such as "encrypted"; NULL if they may. Importers
 *	that converters would serve from the addresses are refused as well.
 *
 * For memory with struct pages that is cached, that does not move, and that the
 * exporter keeps until the buffer is released. There is no list yet;
 * dma_buf_pal_source_attach_pages() or dma_buf_pal_source_attach_sgt() makes it.
 * There is nothing to destroy if the export fails.
 *
 * In a guest whose memory is encrypted a device would read what is encrypted,
 * so there the addresses are refused to everybody.
 *
 * Context: Any. Nobody else knows @source yet.
 */
void dma_buf_pal_source_init_ram(struct dma_buf_pal_source *source,
				 const char *obstacle)
{
	if (!obstacle && cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT))
		obstacle = "encrypted";

	*source = (struct dma_buf_pal_source) {
		.is_ram = !obstacle,
		.obstacle = obstacle,
	};
	kref_init(&source->kref);
	init_completion(&source->idle);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_pal_source_init_ram, "DMA_BUF");

/**
 * dma_buf_pal_source_serves - is this attachment made with the offer of a source?
 * @source: the source
 * @attach: attachment whose match has been made
 *
 * For exporters that keep something for each attachment of another type.
 *
 * Context: Any.
 *
 * Return: True if the match was made with dma_buf_pal_source_offer() of @source,
 * directly or by a converter.
 */
bool dma_buf_pal_source_serves(const struct dma_buf_pal_source *source,
			       const struct dma_buf_attachment *attach)
{
	return attach->map_type.exp_ops == &source->ops ||
	       attach->converted == &source->ops;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_pal_source_serves, "DMA_BUF");

/**
 * dma_buf_pal_source_attach_pages - make the list of RAM, if it is needed
 * @source: source of dma_buf_pal_source_init_ram()
 * @attach: the new attachment
 * @pages: all pages of the buffer, in its order
 * @count: number of pages
 *
 * For the exporter's &dma_buf_ops.attach. Does nothing for an attachment that
 * the source does not serve, and if there is a list already. Neighbours become
 * one range.
 *
 * Context: May sleep. Takes the dma-buf reservation lock.
 *
 * Return: 0, -ENOMEM, or -EINVAL if that is not the size of the buffer.
 */
int dma_buf_pal_source_attach_pages(struct dma_buf_pal_source *source,
				    struct dma_buf_attachment *attach,
				    struct page **pages, size_t count)
{
	const struct pal_ram ram = { .pages = pages, .count = count };

	return pal_ram_attach(source, attach, &ram);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_pal_source_attach_pages, "DMA_BUF");

/**
 * dma_buf_pal_source_attach_sgt - make the list of RAM, if it is needed
 * @source: source of dma_buf_pal_source_init_ram()
 * @attach: the new attachment
 * @sgt: all pages of the buffer, in its order
 *
 * As dma_buf_pal_source_attach_pages(), for exporters that keep a scatterlist.
 *
 * Context: May sleep. Takes the dma-buf reservation lock.
 *
 * Return: 0, -ENOMEM, or -EINVAL if that is not the size of the buffer.
 */
int dma_buf_pal_source_attach_sgt(struct dma_buf_pal_source *source,
				  struct dma_buf_attachment *attach,
				  struct sg_table *sgt)
{
	const struct pal_ram ram = { .sgt = sgt };

	return pal_ram_attach(source, attach, &ram);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_pal_source_attach_sgt, "DMA_BUF");
