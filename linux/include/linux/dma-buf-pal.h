/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMA-buf mapping type PAL: the buffer as a list of physical addresses.
 */
#ifndef __DMA_BUF_PAL_H__
#define __DMA_BUF_PAL_H__

#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/container_of.h>
#include <linux/dma-buf.h>
#include <linux/kref.h>

struct p2pdma_provider;

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
 * struct dma_buf_phys_list - the physical addresses of a buffer, in its order
 * @size: bytes in all ranges together, 0 until dma_buf_phys_list_seal()
 * @memory: what the addresses point to
 * @provider: for MMIO of a PCI device, where it sits in the PCI hierarchy; NULL
 *	if unknown
 * @starts: offset in the buffer of every 64th range, for
 *	dma_buf_phys_list_seek()
 * @count: number of ranges
 * @phys: the ranges: at least one, none of them empty, page aligned
 *
 * The exporter allocates the list with dma_buf_phys_list_alloc(), fills in
 * @phys, and has it checked once by dma_buf_phys_list_seal(). From then on
 * nobody changes it, so importers use it in place.
 */
struct dma_buf_phys_list {
	size_t size;
	enum dma_buf_phys_memory memory;
	struct p2pdma_provider *provider;
	size_t *starts;
	size_t count;
	struct phys_vec phys[] __counted_by(count);
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
 * struct dma_buf_mapping_pal_exp_ops - exporter ops of the PAL type
 */
struct dma_buf_mapping_pal_exp_ops {
	/** @ops: tag, see &struct dma_buf_mapping_exp_ops */
	struct dma_buf_mapping_exp_ops ops;

	/**
	 * @map_phys:
	 *
	 * Called by dma_buf_pal_map_phys(). Mandatory. Counts a mapping, for
	 * which the exporter's revoke waits, and returns the exporter's sealed
	 * list; it must not allocate or copy.
	 *
	 * Called with the dma-buf reservation lock held.
	 *
	 * Returns:
	 *
	 * The list, valid until @unmap_phys. -ENODEV wrapped into a pointer if
	 * the memory is revoked.
	 */
	struct dma_buf_phys_list *(*map_phys)(struct dma_buf_attachment *attach);

	/**
	 * @unmap_phys:
	 *
	 * Called by dma_buf_pal_unmap_phys() to give back the count that
	 * @map_phys took. Mandatory. Called with the dma-buf reservation lock
	 * held.
	 */
	void (*unmap_phys)(struct dma_buf_attachment *attach,
			   struct dma_buf_phys_list *list);
};

/**
 * DMA_BUF_IMAPPING_PAL - an importer's request for the PAL type
 */
#define DMA_BUF_IMAPPING_PAL()						\
	((struct dma_buf_mapping_match) {				\
		.type = &dma_buf_mapping_pal_type,			\
	})

/* The tag inside the ops; the compiler refuses the ops of another type */
#define __DMA_BUF_PAL_EXP_OPS(_ops)					\
	(&(1 ? (_ops) :							\
	   (const struct dma_buf_mapping_pal_exp_ops *)NULL)->ops)

/**
 * DMA_BUF_EMAPPING_PAL - an exporter's offer of the PAL type
 * @_ops: pointer to &struct dma_buf_mapping_pal_exp_ops
 *
 * Fits only PAL importers. Use a &struct dma_buf_pal_source for memory that
 * others may get through converters.
 */
#define DMA_BUF_EMAPPING_PAL(_ops)					\
	((struct dma_buf_mapping_match) {				\
		.type = &dma_buf_mapping_pal_type,			\
		.exp_ops = __DMA_BUF_PAL_EXP_OPS(_ops),			\
	})

/**
 * DMA_BUF_SIMPLE_PAL_EXP_MATCH - offer PAL, and nothing else
 * @_map: &dma_buf_mapping_pal_exp_ops.map_phys
 * @_unmap: &dma_buf_mapping_pal_exp_ops.unmap_phys
 *
 * For use inside the initialiser of a static &struct dma_buf_ops.
 */
#define DMA_BUF_SIMPLE_PAL_EXP_MATCH(_map, _unmap)			\
	.single_exporter_match = &(const struct dma_buf_mapping_match) {\
		.type = &dma_buf_mapping_pal_type,			\
		.exp_ops = &((const struct dma_buf_mapping_pal_exp_ops) {\
			.map_phys = (_map),				\
			.unmap_phys = (_unmap),				\
		}).ops,							\
	}

/**
 * dma_buf_get_pal_ops - the exporter's PAL ops of an attachment
 * @attach: attachment
 *
 * Return: The ops, NULL if the attachment is of another type.
 */
static inline const struct dma_buf_mapping_pal_exp_ops *
dma_buf_get_pal_ops(const struct dma_buf_attachment *attach)
{
	if (attach->map_type.type != &dma_buf_mapping_pal_type)
		return NULL;
	return container_of(attach->map_type.exp_ops,
			    const struct dma_buf_mapping_pal_exp_ops, ops);
}

/**
 * struct dma_buf_pal_source - memory that an exporter lends and may take back
 * @list: the memory
 * @pdev: whose MMIO it is, with a reference, NULL for RAM
 * @kref: one for each mapping, and one that a revoke gives up
 * @idle: completed when @kref is 0
 * @revoked: nobody may map; protected by the dma-buf reservation lock
 *
 * Embedded in the exporter's structure for the buffer. &dma_buf.priv points to
 * it, and the exporter uses the functions of the same name: match, attach and
 * revoke, and restore if it can lend the memory again.
 */
struct dma_buf_pal_source {
	struct dma_buf_phys_list *list;
	struct pci_dev *pdev;
	struct kref kref;
	struct completion idle;
	bool revoked;
};

void dma_buf_pal_source_init(struct dma_buf_pal_source *source,
			     struct dma_buf_phys_list *list);
void dma_buf_pal_source_destroy(struct dma_buf_pal_source *source);
int dma_buf_pal_source_match(struct dma_buf_match_args *args);
int dma_buf_pal_source_attach(struct dma_buf *dmabuf,
			      struct dma_buf_attachment *attach);
int dma_buf_pal_source_get(struct dma_buf_attachment *attach);
void dma_buf_pal_source_put(struct dma_buf_attachment *attach);
void dma_buf_pal_source_revoke(struct dma_buf *dmabuf);
void dma_buf_pal_source_restore(struct dma_buf *dmabuf);

struct dma_buf_phys_list *dma_buf_phys_list_alloc(size_t count);
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
