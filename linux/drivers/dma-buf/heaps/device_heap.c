// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-buf device heaps: the memory that the DMA API allocates for a device,
 * behind a heap with the name of the device.
 *
 * Whoever allocates only needs to know for which device a buffer is meant: the
 * page allocator, CMA, an IOMMU or the device's own pool are all behind the
 * same DMA API.
 *
 * A buffer is not only for the heap's device, so two functions of the DMA API
 * provide the memory. dma_alloc_attrs() returns coherent memory: it need not
 * have struct pages, and other devices must not map it with the streaming API.
 * That is why dma_get_sgtable(), which makes a scatterlist of it, is documented
 * as unsafe, and not used here. dma_alloc_noncontiguous() returns a scatterlist
 * of pages that other devices may map, and documents what has to be
 * synchronised when. Hence:
 *
 *  - a device with its own memory pool gets coherent memory from the pool. Its
 *    DMA address is what the allocation returned; nobody asks for pages, and
 *    other devices are refused;
 *  - all other devices get pages. The heap's own device uses the mapping that
 *    the allocation made, other devices map the pages through their DMA API.
 *
 * Only the two devices, known without a buffer, decide which devices may
 * import. So user space can ask before it allocates a buffer, and the answer is
 * the same for all buffers of a heap.
 *
 * Nobody may use the DMA API of a device whose driver is gone. Removing the
 * heap therefore frees the memory, and revokes the remaining buffers: nobody
 * gets new access, user space loses its mappings, importers that can be told to
 * unmap are told, and removal waits for the others. What remains is a buffer
 * without memory.
 */
#include <linux/cc_platform.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/iommu-dma.h>
#include <linux/kref.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/swiotlb.h>

/* How often removal logs what it waits for */
#define DEVICE_HEAP_PATIENCE	(10 * HZ)

/**
 * struct device_heap - the heap of one device
 * @kref: one for the heap, and one for each of its buffers
 * @dev: the device, with a reference
 * @heap: what user space sees
 * @offer: what all buffers of the heap offer to importers
 * @node: in device_heaps
 * @has_pool: the memory comes from a pool that the device alone has
 * @lock: protects @buffers
 * @buffers: all that have memory, except those that are being revoked
 */
struct device_heap {
	struct kref kref;
	struct device *dev;
	struct dma_heap *heap;
	struct dma_buf_mapping_match offer;
	struct list_head node;
	bool has_pool;
	/* Protects the list below */
	struct mutex lock;
	struct list_head buffers;
};

/**
 * struct device_heap_buffer - one buffer, and the memory behind it
 * @heap: the heap, with a reference
 * @dmabuf: the buffer
 * @node: in &device_heap.buffers
 * @size: bytes, a multiple of pages
 * @sgt: memory with pages, mapped for the heap's device; NULL in a pool
 * @pages: the pages of @sgt, one by one
 * @cpu_addr: memory in a pool
 * @dma_addr: the address of the memory for the heap's device
 * @maps: all mappings of importers
 * @vaddr: the kernel's mapping of @sgt, or NULL
 * @users: mappings that have to go before the memory can
 * @revoked: nobody can map any more
 * @idle: completed when it is @revoked and has no @users
 *
 * The dma-buf reservation lock protects @maps and all that follows.
 */
struct device_heap_buffer {
	struct device_heap *heap;
	struct dma_buf *dmabuf;
	struct list_head node;
	size_t size;
	struct sg_table *sgt;
	struct page **pages;
	void *cpu_addr;
	dma_addr_t dma_addr;

	struct list_head maps;
	void *vaddr;
	unsigned long users;
	bool revoked;
	struct completion idle;
};

/**
 * struct device_heap_map - one mapping of a buffer for an importer
 * @sgt: what the importer gets
 * @node: in &device_heap_buffer.maps
 * @synced: what to synchronise when the CPU accesses the memory; NULL for
 *	coherent memory
 * @dev: the importer's device
 * @dir: direction
 */
struct device_heap_map {
	struct sg_table sgt;
	struct list_head node;
	struct sg_table *synced;
	struct device *dev;
	enum dma_data_direction dir;
};

static LIST_HEAD(device_heaps);
static DEFINE_MUTEX(device_heaps_lock);

static void device_heap_free(struct kref *kref)
{
	struct device_heap *heap = container_of(kref, struct device_heap, kref);

	put_device(heap->dev);
	mutex_destroy(&heap->lock);
	kfree(heap);
}

/* ---- which devices ---- */

static bool device_heap_is_pool(struct device *dev)
{
#ifdef CONFIG_DMA_DECLARE_COHERENT
	return dev->dma_mem;
#else
	return false;
#endif
}

/* The device uses the same addresses as the CPU */
static bool device_heap_is_direct(struct device *dev)
{
	return !use_dma_iommu(dev) && !get_dma_ops(dev) && !dev->dma_range_map;
}

/*
 * Does @dev reach all pages that the heap may hand out? If neither device
 * translates addresses, @dev need only reach as far as the heap's device.
 */
static bool device_heap_reaches(const struct device_heap *heap,
				struct device *dev)
{
	u64 memory = min_not_zero(heap->dev->coherent_dma_mask,
				  heap->dev->bus_dma_limit);

	if (use_dma_iommu(dev) || !dma_addressing_limited(dev))
		return true;
	return device_heap_is_direct(dev) && device_heap_is_direct(heap->dev) &&
	       min_not_zero(dma_get_mask(dev), dev->bus_dma_limit) >= memory;
}

/*
 * A bounce buffer is no obstacle to the DMA API, but it is to sharing: one
 * device does not see what the other one writes there.
 */
static const char *
device_heap_obstacle(const struct dma_buf_mapping_match *exp,
		     struct device *dev)
{
	const struct device_heap *heap =
		container_of_const(exp, struct device_heap, offer);

	if (dev == heap->dev)
		return NULL;
	if (heap->has_pool)
		return "memory-pool";
	if (!dev->dma_mask)
		return "no-dma";
	if (is_swiotlb_force_bounce(dev))
		return "bounce-buffer";
	return device_heap_reaches(heap, dev) ? NULL : "out-of-reach";
}

static int device_heap_match(struct dma_buf_match_args *args)
{
	struct device_heap_buffer *buffer = args->dmabuf->priv;
	bool revoked;

	dma_resv_lock(args->dmabuf->resv, NULL);
	revoked = buffer->revoked;
	dma_resv_unlock(args->dmabuf->resv);

	if (revoked)
		return dma_buf_attach_refuse(args->attach, "revoked", -ENODEV);
	return dma_buf_match_mapping(args, &buffer->heap->offer, 1);
}

/* ---- who uses a buffer ---- */

static int device_heap_get(struct device_heap_buffer *buffer)
{
	dma_resv_assert_held(buffer->dmabuf->resv);

	if (buffer->revoked)
		return -ENODEV;
	buffer->users++;
	return 0;
}

static void device_heap_put(struct device_heap_buffer *buffer)
{
	dma_resv_assert_held(buffer->dmabuf->resv);

	if (!--buffer->users && buffer->revoked)
		complete(&buffer->idle);
}

/* ---- devices ---- */

/*
 * The heap's device has got its address from the allocation. It needs no list
 * of pages; without one, nobody can use the pages instead.
 */
static int device_heap_map_own(struct device_heap_buffer *buffer,
			       struct device_heap_map *map)
{
	int ret;

	ret = sg_alloc_table(&map->sgt, 1, GFP_KERNEL);
	if (ret)
		return ret;

	sg_dma_address(map->sgt.sgl) = buffer->dma_addr;
	sg_dma_len(map->sgt.sgl) = buffer->size;
	map->sgt.orig_nents = 0;

	map->synced = buffer->sgt;
	if (map->synced)
		dma_sync_sgtable_for_device(map->dev, map->synced, map->dir);
	return 0;
}

static int device_heap_map_other(struct device_heap_buffer *buffer,
				 struct device_heap_map *map)
{
	int ret;

	ret = sg_alloc_table_from_pages_segment(&map->sgt, buffer->pages,
						buffer->size >> PAGE_SHIFT, 0,
						buffer->size,
						dma_get_max_seg_size(map->dev),
						GFP_KERNEL);
	if (ret)
		return ret;

	ret = dma_map_sgtable(map->dev, &map->sgt, map->dir, 0);
	if (ret)
		sg_free_table(&map->sgt);
	map->synced = &map->sgt;
	return ret;
}

static int device_heap_map(struct device_heap_buffer *buffer,
			   struct device_heap_map *map)
{
	if (map->dev == buffer->heap->dev)
		return device_heap_map_own(buffer, map);
	return device_heap_map_other(buffer, map);
}

static struct sg_table *device_heap_map_dma_buf(struct dma_buf_attachment *attach,
						enum dma_data_direction dir)
{
	struct device_heap_buffer *buffer = attach->dmabuf->priv;
	struct device_heap_map *map;
	int ret;

	map = kzalloc_obj(*map);
	if (!map)
		return ERR_PTR(-ENOMEM);

	ret = device_heap_get(buffer);
	if (ret) {
		dma_buf_attach_refuse(attach, "revoked", ret);
		goto err_free;
	}

	map->dev = dma_buf_sgt_dma_device(attach);
	map->dir = dir;
	ret = device_heap_map(buffer, map);
	if (ret)
		goto err_put;
	list_add(&map->node, &buffer->maps);
	return &map->sgt;

err_put:
	device_heap_put(buffer);
err_free:
	kfree(map);
	return ERR_PTR(ret);
}

static void device_heap_unmap_dma_buf(struct dma_buf_attachment *attach,
				      struct sg_table *sgt,
				      enum dma_data_direction dir)
{
	struct device_heap_map *map =
		container_of(sgt, struct device_heap_map, sgt);
	struct device_heap_buffer *buffer = attach->dmabuf->priv;

	list_del(&map->node);
	if (map->synced == sgt) {
		dma_unmap_sgtable(map->dev, sgt, dir, 0);
	} else {
		if (map->synced)
			dma_sync_sgtable_for_cpu(map->dev, map->synced, dir);
		sgt->orig_nents = sgt->nents;
	}
	sg_free_table(sgt);
	kfree(map);
	device_heap_put(buffer);
}

static const struct dma_buf_mapping_sgt_exp_ops device_heap_sgt_ops = {
	.map_dma_buf = device_heap_map_dma_buf,
	.unmap_dma_buf = device_heap_unmap_dma_buf,
	.obstacle = device_heap_obstacle,
};

/* ---- the CPU ---- */

/*
 * Memory in a pool is coherent: there is nothing to do. For pages, synchronise
 * each mapping in its own direction.
 */
static int device_heap_begin_cpu_access(struct dma_buf *dmabuf,
					enum dma_data_direction dir)
{
	struct device_heap_buffer *buffer = dmabuf->priv;
	struct device_heap_map *map;
	int ret;

	ret = dma_resv_lock_interruptible(dmabuf->resv, NULL);
	if (ret)
		return ret;

	if (buffer->vaddr)
		invalidate_kernel_vmap_range(buffer->vaddr, buffer->size);
	list_for_each_entry(map, &buffer->maps, node)
		if (map->synced)
			dma_sync_sgtable_for_cpu(map->dev, map->synced,
						 map->dir);
	ret = buffer->revoked ? -ENODEV : 0;
	dma_resv_unlock(dmabuf->resv);
	return ret;
}

static int device_heap_end_cpu_access(struct dma_buf *dmabuf,
				      enum dma_data_direction dir)
{
	struct device_heap_buffer *buffer = dmabuf->priv;
	struct device_heap_map *map;
	int ret;

	dma_resv_lock(dmabuf->resv, NULL);
	if (buffer->vaddr)
		flush_kernel_vmap_range(buffer->vaddr, buffer->size);
	list_for_each_entry(map, &buffer->maps, node)
		if (map->synced)
			dma_sync_sgtable_for_device(map->dev, map->synced,
						    map->dir);
	ret = buffer->revoked ? -ENODEV : 0;
	dma_resv_unlock(dmabuf->resv);
	return ret;
}

static int device_heap_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct device_heap_buffer *buffer = dmabuf->priv;
	int ret;

	ret = device_heap_get(buffer);
	if (ret)
		return ret;

	if (!buffer->sgt) {
		iosys_map_set_vaddr(map, buffer->cpu_addr);
		return 0;
	}
	buffer->vaddr = dma_vmap_noncontiguous(buffer->heap->dev, buffer->size,
					       buffer->sgt);
	if (!buffer->vaddr) {
		device_heap_put(buffer);
		return -ENOMEM;
	}
	iosys_map_set_vaddr(map, buffer->vaddr);
	return 0;
}

static void device_heap_vunmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct device_heap_buffer *buffer = dmabuf->priv;

	if (buffer->vaddr)
		dma_vunmap_noncontiguous(buffer->heap->dev, buffer->vaddr);
	buffer->vaddr = NULL;
	device_heap_put(buffer);
}

/*
 * Map pages one by one as they are used: unmap_mapping_range() does not find a
 * mapping that mmap() itself makes before mmap() has ended.
 */
static vm_fault_t device_heap_fault(struct vm_fault *vmf)
{
	struct device_heap_buffer *buffer = vmf->vma->vm_private_data;
	struct dma_resv *resv = buffer->dmabuf->resv;
	vm_fault_t ret = VM_FAULT_SIGBUS;

	if (vmf->pgoff >= buffer->size >> PAGE_SHIFT)
		return VM_FAULT_SIGBUS;

	dma_resv_lock(resv, NULL);
	if (!buffer->revoked)
		ret = vmf_insert_pfn(vmf->vma, vmf->address,
				     page_to_pfn(buffer->pages[vmf->pgoff]));
	dma_resv_unlock(resv);
	return ret;
}

static const struct vm_operations_struct device_heap_page_vm_ops = {
	.fault = device_heap_fault,
};

/*
 * Only the DMA API knows where memory in a pool is, and it maps all at once.
 * Such a mapping counts as a user, for which removal waits. When a VMA is
 * copied the count is not 0, so it does not matter whether the buffer is
 * revoked.
 */
static void device_heap_pool_vm_open(struct vm_area_struct *vma)
{
	struct device_heap_buffer *buffer = vma->vm_private_data;

	dma_resv_lock(buffer->dmabuf->resv, NULL);
	buffer->users++;
	dma_resv_unlock(buffer->dmabuf->resv);
}

static void device_heap_pool_vm_close(struct vm_area_struct *vma)
{
	struct device_heap_buffer *buffer = vma->vm_private_data;

	dma_resv_lock(buffer->dmabuf->resv, NULL);
	device_heap_put(buffer);
	dma_resv_unlock(buffer->dmabuf->resv);
}

static const struct vm_operations_struct device_heap_pool_vm_ops = {
	.open = device_heap_pool_vm_open,
	.close = device_heap_pool_vm_close,
};

static int device_heap_mmap_pool(struct device_heap_buffer *buffer,
				 struct vm_area_struct *vma)
{
	int ret;

	ret = device_heap_get(buffer);
	if (ret)
		return ret;

	ret = dma_mmap_attrs(buffer->heap->dev, vma, buffer->cpu_addr,
			     buffer->dma_addr, buffer->size, 0);
	if (ret)
		device_heap_put(buffer);
	else
		vma->vm_ops = &device_heap_pool_vm_ops;
	return ret;
}

static int device_heap_mmap_pages(struct device_heap_buffer *buffer,
				  struct vm_area_struct *vma)
{
	if (buffer->revoked)
		return -ENODEV;
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_ops = &device_heap_page_vm_ops;
	return 0;
}

static int device_heap_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct device_heap_buffer *buffer = dmabuf->priv;
	int ret;

	if (!(vma->vm_flags & (VM_SHARED | VM_MAYSHARE)))
		return -EINVAL;

	vma->vm_private_data = buffer;
	dma_resv_lock(dmabuf->resv, NULL);
	if (buffer->heap->has_pool)
		ret = device_heap_mmap_pool(buffer, vma);
	else
		ret = device_heap_mmap_pages(buffer, vma);
	dma_resv_unlock(dmabuf->resv);
	return ret;
}

/* ---- memory ---- */

static void device_heap_free_memory(struct device_heap_buffer *buffer)
{
	struct device *dev = buffer->heap->dev;

	if (buffer->sgt)
		dma_free_noncontiguous(dev, buffer->size, buffer->sgt,
				       DMA_BIDIRECTIONAL);
	else
		dma_free_attrs(dev, buffer->size, buffer->cpu_addr,
			       buffer->dma_addr, 0);
	kvfree(buffer->pages);
}

static int device_heap_list_pages(struct device_heap_buffer *buffer)
{
	unsigned int count = buffer->size >> PAGE_SHIFT;
	struct sg_page_iter iter;
	unsigned int i = 0;

	buffer->pages = kvmalloc_array(count, sizeof(*buffer->pages),
				       GFP_KERNEL);
	if (!buffer->pages)
		return -ENOMEM;

	/* There may be more than requested, if the IOMMU's pages are larger */
	for_each_sgtable_page(buffer->sgt, &iter, 0) {
		if (i == count)
			break;
		buffer->pages[i++] = sg_page_iter_page(&iter);
	}
	return 0;
}

/*
 * Zero the memory, wherever it comes from. A process that asks for too much
 * gets -ENOMEM, and the OOM killer kills nobody for it.
 */
static int device_heap_alloc_memory(struct device_heap_buffer *buffer)
{
	gfp_t gfp = GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN |
		    __GFP_RETRY_MAYFAIL;
	struct device *dev = buffer->heap->dev;
	int ret;

	if (mem_accounting)
		gfp |= __GFP_ACCOUNT;

	if (buffer->heap->has_pool) {
		buffer->cpu_addr = dma_alloc_attrs(dev, buffer->size,
						   &buffer->dma_addr, gfp, 0);
		return buffer->cpu_addr ? 0 : -ENOMEM;
	}

	buffer->sgt = dma_alloc_noncontiguous(dev, buffer->size,
					      DMA_BIDIRECTIONAL, gfp, 0);
	if (!buffer->sgt)
		return -ENOMEM;

	buffer->dma_addr = sg_dma_address(buffer->sgt->sgl);
	ret = device_heap_list_pages(buffer);
	if (ret)
		device_heap_free_memory(buffer);
	return ret;
}

/* ---- buffers ---- */

static struct device_heap_buffer *
device_heap_new_buffer(struct device_heap *heap, size_t size)
{
	struct device_heap_buffer *buffer;
	int ret;

	buffer = kzalloc_obj(*buffer);
	if (!buffer)
		return ERR_PTR(-ENOMEM);

	buffer->heap = heap;
	buffer->size = size;
	INIT_LIST_HEAD(&buffer->maps);
	init_completion(&buffer->idle);
	ret = device_heap_alloc_memory(buffer);
	if (ret) {
		kfree(buffer);
		return ERR_PTR(ret);
	}
	kref_get(&heap->kref);
	return buffer;
}

static void device_heap_destroy_buffer(struct device_heap_buffer *buffer)
{
	if (!buffer->revoked)
		device_heap_free_memory(buffer);
	kref_put(&buffer->heap->kref, device_heap_free);
	kfree(buffer);
}

/* Under the lock: removal finds the buffer on the list, or this waits for it */
static void device_heap_release(struct dma_buf *dmabuf)
{
	struct device_heap_buffer *buffer = dmabuf->priv;
	struct device_heap *heap = buffer->heap;

	kref_get(&heap->kref);
	scoped_guard(mutex, &heap->lock) {
		list_del_init(&buffer->node);
		device_heap_destroy_buffer(buffer);
	}
	kref_put(&heap->kref, device_heap_free);
}

static const struct dma_buf_ops device_heap_buf_ops = {
	.match_mapping = device_heap_match,
	.begin_cpu_access = device_heap_begin_cpu_access,
	.end_cpu_access = device_heap_end_cpu_access,
	.mmap = device_heap_mmap,
	.vmap = device_heap_vmap,
	.vunmap = device_heap_vunmap,
	.release = device_heap_release,
	.waits_for_unmap = true,
};

static struct dma_buf *device_heap_export(struct device_heap_buffer *buffer,
					  u32 fd_flags)
{
	DEFINE_DMA_BUF_EXPORT_INFO(exp_info);

	/* Buffer and device outlive the heap, but the heap's name does not */
	exp_info.exp_name = dev_name(buffer->heap->dev);
	exp_info.ops = &device_heap_buf_ops;
	exp_info.size = buffer->size;
	exp_info.flags = fd_flags;
	exp_info.priv = buffer;
	return dma_buf_export(&exp_info);
}

static struct dma_buf *device_heap_allocate(struct dma_heap *dma_heap,
					    unsigned long len, u32 fd_flags,
					    u64 heap_flags)
{
	struct device_heap *heap = dma_heap_get_drvdata(dma_heap);
	struct device_heap_buffer *buffer;
	struct dma_buf *dmabuf;

	/* The device gets it in one segment */
	if (len > dma_get_max_seg_size(heap->dev))
		return ERR_PTR(-EINVAL);
	if (len >> PAGE_SHIFT > totalram_pages())
		return ERR_PTR(-ENOMEM);

	buffer = device_heap_new_buffer(heap, len);
	if (IS_ERR(buffer))
		return ERR_CAST(buffer);

	dmabuf = device_heap_export(buffer, fd_flags);
	if (IS_ERR(dmabuf)) {
		device_heap_destroy_buffer(buffer);
		return dmabuf;
	}

	buffer->dmabuf = dmabuf;
	guard(mutex)(&heap->lock);
	list_add(&buffer->node, &heap->buffers);
	return dmabuf;
}

static const struct dma_buf_mapping_match *
device_heap_offer(struct dma_heap *dma_heap)
{
	struct device_heap *heap = dma_heap_get_drvdata(dma_heap);

	return &heap->offer;
}

static const struct dma_heap_ops device_heap_ops = {
	.allocate = device_heap_allocate,
	.offer = device_heap_offer,
};

/* ---- removal ---- */

static void device_heap_wait_idle(struct device_heap_buffer *buffer)
{
	while (!wait_for_completion_timeout(&buffer->idle,
					    DEVICE_HEAP_PATIENCE))
		dev_warn(buffer->heap->dev,
			 "removal of the heap waits for those who use buffer %lu\n",
			 (unsigned long)file_inode(buffer->dmabuf->file)->i_ino);
}

static void device_heap_revoke(struct device_heap_buffer *buffer)
{
	struct dma_buf *dmabuf = buffer->dmabuf;
	bool busy;

	dma_resv_lock(dmabuf->resv, NULL);
	buffer->revoked = true;
	if (!buffer->heap->has_pool)
		unmap_mapping_range(dmabuf->file->f_mapping, 0, 0, 1);
	dma_buf_invalidate_mappings(dmabuf);
	dma_resv_wait_timeout(dmabuf->resv, DMA_RESV_USAGE_BOOKKEEP, false,
			      MAX_SCHEDULE_TIMEOUT);
	busy = buffer->users;
	dma_resv_unlock(dmabuf->resv);

	if (busy)
		device_heap_wait_idle(buffer);
	device_heap_free_memory(buffer);
}

/*
 * A buffer without a file has no users any more, as each would hold the file.
 * It may still exist for long, if somebody has a path to it.
 */
static void device_heap_revoke_dead(struct device_heap_buffer *buffer)
{
	buffer->revoked = true;
	if (!WARN_ON(buffer->users))
		device_heap_free_memory(buffer);
}

/* Take buffers off the list, up to one that is still alive, and return it */
static struct device_heap_buffer *device_heap_take(struct device_heap *heap)
{
	struct device_heap_buffer *buffer, *next;

	guard(mutex)(&heap->lock);
	list_for_each_entry_safe(buffer, next, &heap->buffers, node) {
		list_del_init(&buffer->node);
		if (get_file_active(&buffer->dmabuf->file))
			return buffer;
		device_heap_revoke_dead(buffer);
	}
	return NULL;
}

static void device_heap_drain(struct device_heap *heap)
{
	struct device_heap_buffer *buffer;

	while ((buffer = device_heap_take(heap))) {
		device_heap_revoke(buffer);
		dma_buf_put(buffer->dmabuf);
	}
}

/* ---- for drivers ---- */

/*
 * Kernel and user space map the memory as it is. If memory is encrypted, and
 * has to be decrypted before a device can use it, they would not see the same.
 */
static int device_heap_check(struct device *dev)
{
	if (cc_platform_has(CC_ATTR_MEM_ENCRYPT))
		return -EOPNOTSUPP;
	return dev->dma_mask && dev->coherent_dma_mask ? 0 : -EINVAL;
}

static struct device_heap *device_heap_new(struct device *dev)
{
	struct device_heap *heap = kzalloc_obj(*heap);

	if (!heap)
		return NULL;

	kref_init(&heap->kref);
	mutex_init(&heap->lock);
	INIT_LIST_HEAD(&heap->buffers);
	heap->dev = get_device(dev);
	heap->has_pool = device_heap_is_pool(dev);
	heap->offer = DMA_BUF_EMAPPING_SGT(&device_heap_sgt_ops);
	return heap;
}

/**
 * dev_dma_heap_add - add the heap of a device
 * @dev: device that is ready for DMA: its masks, its segment size, which is the
 *	limit for a buffer, and its memory pool if it has one, are set
 *
 * User space can then allocate buffers from the heap in /dev/dma_heap/ that has
 * the name of the device. The DMA API allocates their memory for @dev.
 *
 * The driver calls dev_dma_heap_remove() before it lets go of the device.
 *
 * Context: May sleep.
 *
 * Return: 0. -EINVAL if the device has no DMA masks or its name cannot be that
 * of a file, -EEXIST if there is a heap of that name already, -EBUSY if there
 * are too many heaps, -EOPNOTSUPP if the memory of this machine is encrypted,
 * or another negative error code.
 */
int dev_dma_heap_add(struct device *dev)
{
	struct dma_heap_export_info exp_info = {
		.name = dev_name(dev),
		.ops = &device_heap_ops,
	};
	struct device_heap *heap;
	int ret;

	ret = device_heap_check(dev);
	if (ret)
		return ret;

	heap = device_heap_new(dev);
	if (!heap)
		return -ENOMEM;

	exp_info.priv = heap;
	heap->heap = dma_heap_add_child(&exp_info, dev);
	if (IS_ERR(heap->heap)) {
		ret = PTR_ERR(heap->heap);
		kref_put(&heap->kref, device_heap_free);
		return ret;
	}

	guard(mutex)(&device_heaps_lock);
	list_add(&heap->node, &device_heaps);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(dev_dma_heap_add, "DMA_BUF_HEAP");

static struct device_heap *device_heap_of(struct device *dev)
{
	struct device_heap *heap;

	guard(mutex)(&device_heaps_lock);
	list_for_each_entry(heap, &device_heaps, node) {
		if (heap->dev != dev)
			continue;
		list_del(&heap->node);
		return heap;
	}
	return NULL;
}

/**
 * dev_dma_heap_remove - remove the heap of a device
 * @dev: device of dev_dma_heap_add(); does nothing if that failed
 *
 * Nobody can allocate any more, and the remaining buffers lose their memory:
 * user space loses its mappings, and gets SIGBUS if it uses them; importers are
 * told to unmap. Waits for importers that cannot be told, for the kernel's own
 * mappings, and for user space that maps a memory pool. The driver's own
 * imports must have ended, or end when they are told to.
 *
 * Context: May sleep. Takes the dma-buf reservation lock of each buffer.
 */
void dev_dma_heap_remove(struct device *dev)
{
	struct device_heap *heap = device_heap_of(dev);

	if (!heap)
		return;

	dma_heap_remove(heap->heap);
	device_heap_drain(heap);
	kref_put(&heap->kref, device_heap_free);
}
EXPORT_SYMBOL_NS_GPL(dev_dma_heap_remove, "DMA_BUF_HEAP");

MODULE_DESCRIPTION("DMA-BUF Device Heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
MODULE_IMPORT_NS("DMA_BUF_HEAP");
