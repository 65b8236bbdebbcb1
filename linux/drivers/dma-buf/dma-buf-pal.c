// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA-buf mapping type PAL: the buffer as a list of physical addresses.
 *
 * The list belongs to the exporter and never changes, so a mapping is a pointer
 * to it, and allocates, copies and checks nothing. dma_buf_phys_list_seal()
 * makes all checks once, before the exporter exports the buffer.
 *
 * Whoever holds a physical address reaches the memory past every IOMMU and
 * after every revoke. So only importers that are known to unmap when they are
 * told to may have one: the type, which a request names, map and unmap, and
 * dma_buf_phys_list_seek() are exported to them by name. Exporters need none of
 * these; they have a &struct dma_buf_pal_source.
 *
 * The functions are the door, not the pointers: the type can also be found in
 * an attachment of somebody else and in the offer of an own source, and the
 * list in the source of an attachment. So a module may well be attached as PAL
 * without being an importer of PAL. It cannot map, and the layout of a list is
 * private to the core.
 */
#include <linux/dma-buf-pal.h>
#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/numa.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "dma-buf-converter.h"

#include <trace/events/dma_buf_mapping.h>

/*
 * A list carries the offset of every 64th range. Seeking is a binary search
 * over these and at most 63 steps more, for 1/8 byte per range instead of 8.
 */
#define PAL_SEEK_SHIFT	6

#if IS_ENABLED(CONFIG_DMABUF_KUNIT_TEST)
#define PAL_IMPORTERS	"iommufd,kvm,dmabuf_kunit"
#else
#define PAL_IMPORTERS	"iommufd,kvm"
#endif

static int dma_buf_pal_match(struct dma_buf_match_args *args,
			     const struct dma_buf_mapping_match *exp,
			     const struct dma_buf_mapping_match *imp)
{
	if (WARN_ON(!exp->exp_ops))
		return -EINVAL;
	if (exp->pal_data.obstacle)
		return dma_buf_match_refuse(args, exp->pal_data.obstacle);
	return 0;
}

/**
 * var dma_buf_mapping_pal_type - the buffer as a list of physical addresses
 */
const struct dma_buf_mapping_type dma_buf_mapping_pal_type = {
	.name = "PAL",
	.owner = THIS_MODULE,
	.match = dma_buf_pal_match,
};
EXPORT_SYMBOL_FOR_MODULES(dma_buf_mapping_pal_type, PAL_IMPORTERS);

/**
 * dma_buf_phys_list_alloc - allocate a list for an exporter to fill in
 * @count: number of ranges
 * @phys: set to the ranges, to be filled in
 *
 * Context: May sleep.
 *
 * Return: The list, with all ranges empty, or NULL if out of memory. Free it
 * with dma_buf_phys_list_free().
 */
struct dma_buf_phys_list *
dma_buf_phys_list_alloc(size_t count, struct phys_vec **phys)
{
	struct dma_buf_phys_list *list;
	size_t size = struct_size(list, phys, count);

	/*
	 * kmalloc() would round a long list up to the next power of two. User
	 * space chooses the count: print no trace if the list is too long.
	 */
	list = size > PAGE_SIZE ?
	       __vmalloc(size, GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN) :
	       kzalloc(size, GFP_KERNEL);
	if (!list)
		return NULL;

	list->count = count;
	list->starts = kvcalloc((count >> PAL_SEEK_SHIFT) + 1,
				sizeof(*list->starts), GFP_KERNEL);
	if (!list->starts) {
		kvfree(list);
		return NULL;
	}
	*phys = list->phys;
	return list;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_phys_list_alloc, "DMA_BUF");

/**
 * dma_buf_phys_list_free - free a list
 * @list: list of dma_buf_phys_list_alloc(), or NULL
 *
 * Nobody may have it mapped any more: an exporter frees it in
 * &dma_buf_ops.release at the earliest.
 *
 * Context: May sleep.
 */
void dma_buf_phys_list_free(struct dma_buf_phys_list *list)
{
	if (!list)
		return;
	kvfree(list->starts);
	kvfree(list);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_phys_list_free, "DMA_BUF");

/*
 * The end must not overflow either: dma_buf_phys_iter_next() compares it with
 * the start of the next range.
 */
static bool dma_buf_phys_range_valid(const struct phys_vec *range)
{
	phys_addr_t end;

	return range->len && PAGE_ALIGNED(range->len) &&
	       PAGE_ALIGNED(range->paddr) &&
	       !check_add_overflow(range->paddr, range->len, &end);
}

static int dma_buf_phys_node(phys_addr_t paddr)
{
	unsigned long pfn = PHYS_PFN(paddr);

	return pfn_valid(pfn) ? pfn_to_nid(pfn) : NUMA_NO_NODE;
}

/* The node that all RAM of the list is on */
static int dma_buf_phys_list_node(const struct dma_buf_phys_list *list)
{
	int node = dma_buf_phys_node(list->phys[0].paddr);
	const struct phys_vec *range;
	size_t i;

	for (i = 0; i < list->count; i++) {
		range = &list->phys[i];
		if (dma_buf_phys_node(range->paddr) != node ||
		    dma_buf_phys_node(range->paddr + range->len - 1) != node)
			return NUMA_NO_NODE;
	}
	return node;
}

/**
 * dma_buf_phys_list_set_tph - say which hints transfers to MMIO should have
 * @list: list that is not sealed yet
 * @tph: the hints
 *
 * Importers learn them from &struct dma_buf_place.
 *
 * Context: Any. The caller owns the list.
 */
void dma_buf_phys_list_set_tph(struct dma_buf_phys_list *list,
			       const struct dma_buf_tph *tph)
{
	list->tph = *tph;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_phys_list_set_tph, "DMA_BUF");

/**
 * dma_buf_phys_list_seal - check a list, once and for all
 * @list: list with all ranges filled in
 * @size: size of the buffer in bytes
 * @memory: what the addresses point to
 * @provider: for MMIO of a PCI device, where it sits in the PCI hierarchy; NULL
 *	if unknown, and for RAM
 *
 * Nobody may change the list after this succeeded. Importers rely on these
 * checks and do not repeat them.
 *
 * Context: Any. The caller owns the list.
 *
 * Return: 0 on success. -EINVAL if there is no range, if one is empty, not page
 * aligned or its end overflows, or if together they are not @size bytes.
 */
int dma_buf_phys_list_seal(struct dma_buf_phys_list *list, size_t size,
			   enum dma_buf_phys_memory memory,
			   struct p2pdma_provider *provider)
{
	size_t total = 0;
	size_t i;

	if (WARN_ON(memory > DMA_BUF_PHYS_RAM ||
		    (memory == DMA_BUF_PHYS_RAM && provider)))
		return -EINVAL;

	for (i = 0; i < list->count; i++) {
		const struct phys_vec *range = &list->phys[i];

		if (!(i & (BIT(PAL_SEEK_SHIFT) - 1)))
			list->starts[i >> PAL_SEEK_SHIFT] = total;

		if (!dma_buf_phys_range_valid(range) ||
		    check_add_overflow(total, range->len, &total))
			return -EINVAL;
	}
	if (!total || total != size)
		return -EINVAL;

	list->memory = memory;
	list->node = memory == DMA_BUF_PHYS_RAM ? dma_buf_phys_list_node(list) :
						  NUMA_NO_NODE;
	list->provider = provider;
	list->size = size;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_phys_list_seal, "DMA_BUF");

/* The last entry of the index that is not behind the offset */
static size_t dma_buf_phys_list_bisect(const struct dma_buf_phys_list *list,
				       size_t offset)
{
	size_t low = 0, high = (list->count - 1) >> PAL_SEEK_SHIFT;

	while (low < high) {
		size_t mid = high - (high - low) / 2;

		if (list->starts[mid] <= offset)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

/**
 * dma_buf_phys_list_seek - find a byte of the buffer in its list
 * @list: sealed list
 * @offset: offset in the buffer, in bytes
 * @iter: set to the place
 *
 * Takes O(log n) steps for n ranges.
 *
 * Context: Any; the list is mapped, or the caller owns it.
 *
 * Return: 0 on success, -EINVAL if @offset is not inside the buffer.
 */
int dma_buf_phys_list_seek(const struct dma_buf_phys_list *list, size_t offset,
			   struct dma_buf_phys_iter *iter)
{
	const struct phys_vec *range;
	size_t entry;

	if (offset >= list->size)
		return -EINVAL;

	entry = dma_buf_phys_list_bisect(list, offset);
	offset -= list->starts[entry];

	range = &list->phys[entry << PAL_SEEK_SHIFT];
	while (offset >= range->len)
		offset -= (range++)->len;

	iter->range = range;
	iter->end = list->phys + list->count;
	iter->offset = offset;
	return 0;
}
EXPORT_SYMBOL_FOR_MODULES(dma_buf_phys_list_seek, PAL_IMPORTERS);

/* The source of a PAL attachment, NULL if the attachment is of another type */
static struct dma_buf_pal_source *
dma_buf_pal_attached(const struct dma_buf_attachment *attach)
{
	if (attach->map_type.type != &dma_buf_mapping_pal_type)
		return NULL;
	return dma_buf_pal_source_of(attach->map_type.exp_ops);
}

/**
 * dma_buf_pal_map_phys - get the physical addresses of a buffer
 * @attach:	[in]	attachment of the PAL type
 *
 * Takes constant time and allocates nothing. The list belongs to the exporter:
 * the importer must not write to it, and must give it back with
 * dma_buf_pal_unmap_phys(), at the latest when
 * &dma_buf_attach_ops.invalidate_mappings asks for it. Nobody may use an
 * address from it after that.
 *
 * Context: The dma-buf reservation lock must be held.
 *
 * Return: The list. An error code wrapped into a pointer on failure: -ENODEV if
 * the memory is revoked, -EINVAL for an attachment of another type.
 */
struct dma_buf_phys_list *
dma_buf_pal_map_phys(struct dma_buf_attachment *attach)
{
	struct dma_buf_pal_source *source;
	struct dma_buf_phys_list *list;

	if (WARN_ON(!attach || !attach->dmabuf))
		return ERR_PTR(-EINVAL);

	dma_resv_assert_held(attach->dmabuf->resv);

	source = dma_buf_pal_attached(attach);
	if (WARN_ON(!source))
		return ERR_PTR(-EINVAL);

	list = dma_buf_pal_source_map(source, attach);
	trace_dma_buf_map(attach, IS_ERR(list) ? 0 : list->count, "none",
			  PTR_ERR_OR_ZERO(list));
	return list;
}
EXPORT_SYMBOL_FOR_MODULES(dma_buf_pal_map_phys, PAL_IMPORTERS);

/**
 * dma_buf_pal_unmap_phys - give back the physical addresses of a buffer
 * @attach:	[in]	attachment of the PAL type
 * @list:	[in]	what dma_buf_pal_map_phys() returned
 *
 * The importer must have stopped all access before it calls this: from then on
 * the exporter may let go of the memory.
 *
 * Context: The dma-buf reservation lock must be held.
 */
void dma_buf_pal_unmap_phys(struct dma_buf_attachment *attach,
			    struct dma_buf_phys_list *list)
{
	struct dma_buf_pal_source *source;

	if (WARN_ON(!attach || !attach->dmabuf || !list))
		return;

	dma_resv_assert_held(attach->dmabuf->resv);

	source = dma_buf_pal_attached(attach);
	if (WARN_ON(!source))
		return;

	trace_dma_buf_unmap(attach, list->count, "none", 0);
	dma_buf_pal_source_put(source, attach);
}
EXPORT_SYMBOL_FOR_MODULES(dma_buf_pal_unmap_phys, PAL_IMPORTERS);
