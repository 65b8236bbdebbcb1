/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMA-buf mapping type PAL: the buffer as a list of physical addresses.
 */
#ifndef __DMA_BUF_PAL_H__
#define __DMA_BUF_PAL_H__

#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/dma-buf.h>
#include <linux/kref.h>

struct dma_buf_phys_list;
struct p2pdma_provider;
struct page;
struct sg_table;

extern const struct dma_buf_mapping_type dma_buf_mapping_pal_type;

/**
 * enum dma_buf_phys_memory - what a physical address list points to
 * @DMA_BUF_PHYS_MMIO: registers or memory of a device; not cached, and without
 *	struct pages that anybody may use.
 * @DMA_BUF_PHYS_RAM: system memory; cached and coherent with the CPU.
 */
enum dma_buf_phys_memory {
	DMA_BUF_PHYS_MMIO,
	DMA_BUF_PHYS_RAM,
};

/**
 * struct dma_buf_phys_iter - a place in a physical address list
 * @range: range that the place is in, @end at the end of the list
 * @end: behind the last range
 * @offset: bytes of @range before the place
 */
struct dma_buf_phys_iter {
	const struct phys_vec *range;
	const struct phys_vec *end;
	size_t offset;
};

/**
 * DMA_BUF_IMAPPING_PAL - an importer's request for the PAL type
 */
#define DMA_BUF_IMAPPING_PAL()						\
	((struct dma_buf_mapping_match) {				\
		.type = &dma_buf_mapping_pal_type,			\
	})

/**
 * struct dma_buf_pal_source - memory that an exporter lends and may take back
 * @ops: tag of the PAL offer, see &struct dma_buf_mapping_exp_ops
 * @list: the memory; NULL until somebody needs it, if it is RAM of
 *	dma_buf_pal_source_init_ram(), and protected by the dma-buf reservation
 *	lock then
 * @pdev: whose MMIO it is, with a reference, NULL for RAM
 * @obstacle: why nobody may have the addresses, as one word, NULL if they may
 * @kref: one for each mapping, and one that a revoke gives up
 * @idle: completed when @kref is 0
 * @is_ram: what converters and importers must know of the list
 * @revoked: nobody may map; protected by the dma-buf reservation lock
 *
 * Embedded in whatever the exporter has for the buffer. It makes the PAL offer
 * of the buffer, counts its mappings, and takes the memory back. Only the core
 * looks inside.
 */
struct dma_buf_pal_source {
	struct dma_buf_mapping_exp_ops ops;
	struct dma_buf_phys_list *list;
	struct pci_dev *pdev;
	const char *obstacle;
	struct kref kref;
	struct completion idle;
	bool is_ram;
	bool revoked;
};

void dma_buf_pal_source_init(struct dma_buf_pal_source *source,
			     struct dma_buf_phys_list *list, bool revoked);
void dma_buf_pal_source_init_ram(struct dma_buf_pal_source *source,
				 const char *obstacle);
void dma_buf_pal_source_destroy(struct dma_buf_pal_source *source);
struct dma_buf_mapping_match
dma_buf_pal_source_offer(const struct dma_buf_pal_source *source);
int dma_buf_pal_source_admit(struct dma_buf_pal_source *source,
			     struct dma_buf_attachment *attach);
bool dma_buf_pal_source_serves(const struct dma_buf_pal_source *source,
			       const struct dma_buf_attachment *attach);
int dma_buf_pal_source_attach_pages(struct dma_buf_pal_source *source,
				    struct dma_buf_attachment *attach,
				    struct page **pages, size_t count);
int dma_buf_pal_source_attach_sgt(struct dma_buf_pal_source *source,
				  struct dma_buf_attachment *attach,
				  struct sg_table *sgt);
int dma_buf_pal_source_get(struct dma_buf_pal_source *source,
			   struct dma_buf_attachment *attach);
void dma_buf_pal_source_put(struct dma_buf_pal_source *source,
			    struct dma_buf_attachment *attach);
void dma_buf_pal_source_revoke(struct dma_buf_pal_source *source,
			       struct dma_buf *dmabuf);
void dma_buf_pal_source_restore(struct dma_buf_pal_source *source,
				struct dma_buf *dmabuf);

struct dma_buf_phys_list *
dma_buf_phys_list_alloc(size_t count, struct phys_vec **phys);
void dma_buf_phys_list_set_tph(struct dma_buf_phys_list *list,
			       const struct dma_buf_tph *tph);
int dma_buf_phys_list_seal(struct dma_buf_phys_list *list, size_t size,
			   enum dma_buf_phys_memory memory,
			   struct p2pdma_provider *provider);
void dma_buf_phys_list_free(struct dma_buf_phys_list *list);

DEFINE_FREE(dma_buf_phys_list, struct dma_buf_phys_list *,
	    dma_buf_phys_list_free(_T))

int dma_buf_phys_list_seek(const struct dma_buf_phys_list *list, size_t offset,
			   struct dma_buf_phys_iter *iter);

/**
 * dma_buf_phys_iter_next - step over the next contiguous bytes of the buffer
 * @iter: place of dma_buf_phys_list_seek()
 * @max: bytes to step over at most
 * @paddr: set to the physical address at the place, if any bytes are left
 *
 * Adjacent ranges are one step.
 *
 * Context: Any; the list is mapped, or the caller owns it.
 *
 * Return: Number of contiguous bytes from @paddr on, by which the place moved;
 * 0 only at the end of the buffer or if @max is 0.
 */
static inline size_t dma_buf_phys_iter_next(struct dma_buf_phys_iter *iter,
					    size_t max, phys_addr_t *paddr)
{
	const struct phys_vec *range = iter->range;
	const struct phys_vec *end = iter->end;
	size_t len;

	if (range == end)
		return 0;

	*paddr = range->paddr + iter->offset;
	len = range->len - iter->offset;
	while (len < max && range + 1 < end &&
	       range[1].paddr == *paddr + len)
		len += (++range)->len;

	if (len > max) {
		iter->range = range;
		iter->offset = range->len - (len - max);
		return max;
	}
	iter->range = range + 1;
	iter->offset = 0;
	return len;
}

struct dma_buf_phys_list *
dma_buf_pal_map_phys(struct dma_buf_attachment *attach);
void dma_buf_pal_unmap_phys(struct dma_buf_attachment *attach,
			    struct dma_buf_phys_list *list);

#endif /* __DMA_BUF_PAL_H__ */
