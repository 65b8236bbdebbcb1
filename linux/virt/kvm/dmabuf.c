// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memslots whose memory is a slice of a DMA-buf, KVM_MEM_DMABUF.
 *
 * The slot has no address in user space: faults take the pfn from the physical
 * address list that the exporter gives out, see Documentation/driver-api/
 * dma-buf-mapping.rst. Rules:
 *
 * - A fault takes no lock while the list is there. The list never changes, and
 *   the attachment keeps it in memory, so a vCPU may still read it after it was
 *   given back. It gets a pfn that nobody will use: the invalidation has changed
 *   mmu_invalidate_seq, and is_page_fault_stale() throws the pfn away.
 * - If the exporter takes the memory back, all SPTEs of the slot are gone before
 *   invalidate_mappings() returns. Nothing is deferred, so there is no fence to
 *   wait for.
 * - The list comes back at the next fault. It cannot come back earlier, because
 *   only a fault can tell that somebody needs it, and the exporter may wait for
 *   the last mapping to go. It must come back by itself, because a device is
 *   revoked around every reset, and a guest that resets its device does not
 *   expect to lose a memslot.
 *
 * Lock order:
 *
 *	slots_lock -> dma_resv			bind, unbind
 *	vcpu->mutex, kvm->srcu -> dma_resv	fault without a list
 *	dma_resv -> kvm->srcu -> mmu_lock	invalidate
 *
 * Under dma_resv nobody takes slots_lock or waits for SRCU: whoever holds
 * slots_lock waits for vCPUs, and one of them may wait for dma_resv.
 */
#include <linux/dma-buf.h>
#include <linux/dma-buf-pal.h>
#include <linux/dma-resv.h>
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/pgtable.h>

#include "dmabuf.h"
#include "kvm_mm.h"

/*
 * What binds a slot to a DMA-buf. The slot is named by its number, because while
 * it is deleted or changed there are two of it: only the active one has the rmaps.
 */
struct kvm_dmabuf {
	struct kvm *kvm;
	struct dma_buf_attachment *attach;
	/* NULL while the memory is revoked; written under dma_resv */
	struct dma_buf_phys_list *list;
	size_t offset;
	gfn_t base_gfn;
	unsigned long npages;
	int as_id;
	int id;
	bool mmio;
};

/*
 * Under mmu_lock, after a vCPU that has used the slot: if there is an SPTE, the
 * slot is seen here. Without a slot there is nothing to zap, but a vCPU may have
 * the list already: mmu_invalidate_seq changes anyway.
 */
static void kvm_dmabuf_zap(struct kvm_dmabuf *dmabuf)
{
	struct kvm *kvm = dmabuf->kvm;
	struct kvm_gfn_range range = {
		.start = dmabuf->base_gfn,
		.end = dmabuf->base_gfn + dmabuf->npages,
		.attr_filter = KVM_FILTER_SHARED,
		.may_block = true,
	};

	KVM_MMU_LOCK(kvm);
	kvm_mmu_invalidate_start(kvm);
	kvm_mmu_invalidate_range_add(kvm, range.start, range.end);
	range.slot = id_to_memslot(__kvm_memslots(kvm, dmabuf->as_id),
				   dmabuf->id);
	if (range.slot && kvm_unmap_gfn_range(kvm, &range))
		kvm_flush_remote_tlbs(kvm);
	kvm_mmu_invalidate_end(kvm);
	KVM_MMU_UNLOCK(kvm);
}

/* May run before dma_buf_mapping_attach() has returned, but has no list then. */
static void kvm_dmabuf_invalidate(struct dma_buf_attachment *attach)
{
	struct kvm_dmabuf *dmabuf = attach->importer_priv;
	struct dma_buf_phys_list *list = dmabuf->list;

	dma_resv_assert_held(attach->dmabuf->resv);

	if (!list)
		return;

	WRITE_ONCE(dmabuf->list, NULL);
	/*
	 * Pairs with the smp_rmb() of kvm_mmu_faultin_pfn(): who sees the new
	 * mmu_invalidate_seq sees no list. Who sees the list has an old one.
	 */
	smp_wmb();

	scoped_guard(srcu, &dmabuf->kvm->srcu)
		kvm_dmabuf_zap(dmabuf);

	dma_buf_pal_unmap_phys(attach, list);
}

static const struct dma_buf_attach_ops kvm_dmabuf_attach_ops = {
	.allow_peer2peer = true,
	.invalidate_mappings = kvm_dmabuf_invalidate,
};

/* Map under dma_resv, which an invalidation holds as well. */
static struct dma_buf_phys_list *kvm_dmabuf_map(struct kvm_dmabuf *dmabuf)
{
	struct dma_buf_phys_list *list = dmabuf->list;

	dma_resv_assert_held(dmabuf->attach->dmabuf->resv);

	/* Another vCPU was faster */
	if (list)
		return list;

	list = dma_buf_pal_map_phys(dmabuf->attach);
	if (!IS_ERR(list))
		/* What is in the list comes first: kvm_dmabuf_get_list() */
		smp_store_release(&dmabuf->list, list);
	return list;
}

static struct dma_buf_phys_list *kvm_dmabuf_get_list(struct kvm_dmabuf *dmabuf)
{
	struct dma_resv *resv = dmabuf->attach->dmabuf->resv;
	struct dma_buf_phys_list *list;
	int r;

	/* Pairs with the release of kvm_dmabuf_map() */
	list = smp_load_acquire(&dmabuf->list);
	if (likely(list))
		return list;

	r = dma_resv_lock_interruptible(resv, NULL);
	if (r)
		return ERR_PTR(r);
	list = kvm_dmabuf_map(dmabuf);
	dma_resv_unlock(resv);
	return list;
}

/*
 * How many contiguous bytes there are from @gfn on, up to @max; and where. 0 for
 * a gfn that is not in the slot.
 */
static size_t kvm_dmabuf_run(const struct kvm_dmabuf *dmabuf,
			     const struct dma_buf_phys_list *list, gfn_t gfn,
			     size_t max, phys_addr_t *paddr)
{
	struct dma_buf_phys_iter iter;
	gfn_t index = gfn - dmabuf->base_gfn;

	if (gfn < dmabuf->base_gfn || index >= dmabuf->npages ||
	    max > (dmabuf->npages - index) << PAGE_SHIFT ||
	    dma_buf_phys_list_seek(list, dmabuf->offset + (index << PAGE_SHIFT),
				   &iter))
		return 0;
	return dma_buf_phys_iter_next(&iter, max, paddr);
}

/* Can a huge page of this order map @gfn and its neighbours? */
static bool kvm_dmabuf_fits_order(const struct kvm_dmabuf *dmabuf,
				  const struct dma_buf_phys_list *list,
				  gfn_t gfn, int order)
{
	size_t size = PAGE_SIZE << order;
	phys_addr_t paddr;

	gfn = ALIGN_DOWN(gfn, 1ULL << order);
	return kvm_dmabuf_run(dmabuf, list, gfn, size, &paddr) == size &&
	       IS_ALIGNED(paddr, size);
}

/* The sizes of a page that page tables have */
static int kvm_dmabuf_max_order(const struct kvm_dmabuf *dmabuf,
				const struct dma_buf_phys_list *list, gfn_t gfn)
{
	if (!kvm_dmabuf_fits_order(dmabuf, list, gfn, PMD_ORDER))
		return 0;
	return kvm_dmabuf_fits_order(dmabuf, list, gfn, PUD_ORDER) ?
	       PUD_ORDER : PMD_ORDER;
}

/**
 * kvm_dmabuf_get_pfn - resolve a fault in a slot with KVM_MEM_DMABUF
 * @slot: the slot
 * @gfn: guest frame in the slot
 * @pfn: set to the host frame; there is no reference to it
 * @max_order: set to the order of the largest page that may map it
 *
 * The caller has read mmu_invalidate_seq before, and checks it under mmu_lock
 * before it uses @pfn.
 *
 * Context: May sleep. The caller holds kvm->srcu. Takes the dma-buf reservation
 * lock, but only for the first fault after the memory was revoked.
 *
 * Return: 0, -ENODEV while the memory is revoked, -EINTR if a signal came first.
 */
int kvm_dmabuf_get_pfn(struct kvm_memory_slot *slot, gfn_t gfn, kvm_pfn_t *pfn,
		       int *max_order)
{
	struct kvm_dmabuf *dmabuf = slot->dmabuf;
	struct dma_buf_phys_list *list;
	phys_addr_t paddr;

	list = kvm_dmabuf_get_list(dmabuf);
	if (IS_ERR(list))
		return PTR_ERR(list);

	if (WARN_ON_ONCE(!kvm_dmabuf_run(dmabuf, list, gfn, PAGE_SIZE, &paddr)))
		return -EFAULT;

	*pfn = PHYS_PFN(paddr);
	*max_order = kvm_dmabuf_max_order(dmabuf, list, gfn);
	return 0;
}

/* A descriptor gives no more rights than it was opened with. */
static int kvm_dmabuf_check(const struct kvm_memory_slot *slot,
			    const struct dma_buf *buffer, u64 offset)
{
	u64 size = (u64)slot->npages << PAGE_SHIFT;
	fmode_t need = FMODE_READ;

	if (!(slot->flags & KVM_MEM_READONLY))
		need |= FMODE_WRITE;
	if ((buffer->file->f_mode & need) != need)
		return -EACCES;

	if (offset > buffer->size || size > buffer->size - offset)
		return -EINVAL;
	return 0;
}

/* A buffer whose memory is revoked is refused; later that is a fault's problem. */
static int kvm_dmabuf_attach(struct kvm_dmabuf *dmabuf, struct dma_buf *buffer)
{
	const struct dma_buf_mapping_match request = DMA_BUF_IMAPPING_PAL();
	struct dma_buf_attachment *attach;
	struct dma_buf_phys_list *list;

	attach = dma_buf_mapping_attach(buffer, &request, 1,
					&kvm_dmabuf_attach_ops, dmabuf);
	if (IS_ERR(attach))
		return PTR_ERR(attach);
	dmabuf->attach = attach;

	dma_resv_lock(buffer->resv, NULL);
	list = kvm_dmabuf_map(dmabuf);
	dma_resv_unlock(buffer->resv);
	if (IS_ERR(list)) {
		dma_buf_detach(buffer, attach);
		return PTR_ERR(list);
	}
	dmabuf->mmio = !attach->map_type.pal_data.is_ram;
	return 0;
}

static int __kvm_dmabuf_bind(struct kvm *kvm, struct kvm_memory_slot *slot,
			     struct dma_buf *buffer, u64 offset)
{
	struct kvm_dmabuf *dmabuf;
	int r;

	r = kvm_dmabuf_check(slot, buffer, offset);
	if (r)
		return r;

	dmabuf = kzalloc_obj(*dmabuf, GFP_KERNEL_ACCOUNT);
	if (!dmabuf)
		return -ENOMEM;

	dmabuf->kvm = kvm;
	dmabuf->offset = offset;
	dmabuf->base_gfn = slot->base_gfn;
	dmabuf->npages = slot->npages;
	dmabuf->as_id = slot->as_id;
	dmabuf->id = slot->id;
	r = kvm_dmabuf_attach(dmabuf, buffer);
	if (r) {
		kfree(dmabuf);
		return r;
	}

	slot->flags |= KVM_MEMSLOT_NO_HVA;
	if (dmabuf->mmio)
		slot->flags |= KVM_MEMSLOT_HOST_MMIO;
	slot->dmabuf = dmabuf;
	return 0;
}

/*
 * Bind a new slot, which nobody can see yet, to the slice of the DMA-buf from
 * @offset on. The slot keeps the buffer, so user space may close @fd.
 */
int kvm_dmabuf_bind(struct kvm *kvm, struct kvm_memory_slot *slot, int fd,
		    u64 offset)
{
	struct dma_buf *buffer;
	int r;

	buffer = dma_buf_get(fd);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);

	r = __kvm_dmabuf_bind(kvm, slot, buffer, offset);
	if (r)
		dma_buf_put(buffer);
	return r;
}

/* No vCPU can reach the slot any more, and it has no SPTEs. */
void kvm_dmabuf_unbind(struct kvm_memory_slot *slot)
{
	struct kvm_dmabuf *dmabuf = slot->dmabuf;
	struct dma_buf *buffer;

	if (!dmabuf)
		return;

	buffer = dmabuf->attach->dmabuf;
	dma_resv_lock(buffer->resv, NULL);
	if (dmabuf->list)
		dma_buf_pal_unmap_phys(dmabuf->attach, dmabuf->list);
	dmabuf->list = NULL;
	dma_resv_unlock(buffer->resv);

	dma_buf_detach(buffer, dmabuf->attach);
	dma_buf_put(buffer);
	kfree(dmabuf);
	slot->dmabuf = NULL;
}

/*
 * For a VM that is destroyed: from kvm_arch_destroy_vm() on there are no page
 * tables to zap in, but a revoke can come until the slots are freed.
 */
void kvm_dmabuf_unbind_all(struct kvm *kvm)
{
	struct kvm_memory_slot *slot;
	int as_id, bkt;

	for (as_id = 0; as_id < kvm_arch_nr_memslot_as_ids(kvm); as_id++)
		kvm_for_each_memslot(slot, bkt, __kvm_memslots(kvm, as_id))
			kvm_dmabuf_unbind(slot);
}

MODULE_IMPORT_NS("DMA_BUF");
