// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * VRAM of a VF, as its PF addresses it, and the DMA-buf mapping type for it.
 */

#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <trace/events/dma_buf_mapping.h>

#include <drm/intel/xe_sriov_vram.h>

#include "xe_bo.h"
#include "xe_device.h"
#include "xe_gt_sriov_pf_config.h"
#include "xe_res_cursor.h"
#include "xe_sriov.h"
#include "xe_sriov_pf_vram.h"

/**
 * DOC: Imports of VF VRAM
 *
 * xe-vfio-pci exports the VRAM BAR of a VF as a DMA-buf. For everybody else
 * that is MMIO of a PCI device. For the PF it is its own VRAM, and with the
 * mapping type XE_VRAM the PF learns which: no access goes out to PCIe and back
 * in through the BAR and the LMTT.
 *
 * An offset in the BAR of a VF is an offset in the LMEM of the VF. The LMTT
 * translates it to device physical addresses (DPA). Behind it is one &xe_bo for
 * each tile on which the VF has a quota, in the order of the tiles, and each of
 * them consists of any number of blocks of the buddy allocator.
 *
 * The master mutex guards what a VF has, and provisioning creates buffer
 * objects under it: reservation locks are taken inside the master mutex. But a
 * DMA-buf is mapped and invalidated with its reservation lock held. So whatever
 * needs the master mutex happens once, after the attach and without any
 * reservation lock: the PF looks up, references and pins the buffer objects
 * behind the VF, and writes down the DPAs. A map only checks, without a lock,
 * that the VF still has the same buffer objects.
 *
 * The administrator or a migration may give a VF another quota while its VRAM
 * is imported. Until the import is gone, the pins keep the old VRAM from being
 * moved, evicted or given to somebody else. What is mapped stays mapped, to
 * memory that the VF does not see any more; a new map fails with -ENODEV, and
 * the buffer must be imported again.
 */

/* VRAM in one piece */
struct pf_vram_block {
	u64 dpa;
	u64 len;
};

/* The result of a translation; without @addr at first, to learn its size */
struct pf_vram_result {
	struct drm_pagemap_addr *addr;
	size_t count;
	u64 size;
};

/* What the VF has on the tile of a GT, NULL if nothing */
struct pf_vram_part {
	struct xe_gt *gt;
	struct xe_bo *bo;
};

/**
 * struct xe_sriov_pf_vram - an import of VRAM of a VF
 * @xe: the PF
 * @vfid: the VF identifier
 * @parts: what the VF had at the time of the import, referenced and pinned
 * @num_parts: number of @parts
 * @addr: the DPAs of the buffer, in its order; each is a power of two of pages,
 *	as the cursor of page-table walks expects it
 * @count: number of @addr
 * @mapped: the exporter counts this import; protected by the dma-buf reservation
 *	lock
 */
struct xe_sriov_pf_vram {
	struct xe_device *xe;
	unsigned int vfid;
	struct pf_vram_part parts[XE_MAX_TILES_PER_DEVICE];
	size_t num_parts;
	struct drm_pagemap_addr *addr;
	size_t count;
	bool mapped;
};

/* ---- from offsets in the BAR to DPAs ---- */

/* The cursor joins adjacent blocks, so only the 32-bit build depends on this */
#define PF_VRAM_MAX_ORDER	ilog2(SZ_1G / PAGE_SIZE)

static void pf_vram_add(struct pf_vram_result *result, u64 dpa, u64 len)
{
	result->size += len;
	while (len) {
		unsigned int order = min(ilog2(len >> PAGE_SHIFT),
					 PF_VRAM_MAX_ORDER);

		if (result->addr)
			result->addr[result->count] =
				drm_pagemap_addr_encode(dpa,
							XE_INTERCONNECT_VRAM,
							order,
							DMA_BIDIRECTIONAL);
		result->count++;
		dpa += PAGE_SIZE << order;
		len -= PAGE_SIZE << order;
	}
}

static int pf_vram_translate_range(const struct pf_vram_block *blocks,
				   size_t num_blocks,
				   const struct xe_sriov_vram_range *range,
				   struct pf_vram_result *result)
{
	u64 offset = range->offset;
	u64 len = range->len;
	size_t i;

	if (!len || !PAGE_ALIGNED(offset | len))
		return -EINVAL;

	for (i = 0; len && i < num_blocks; i++) {
		u64 part;

		if (offset >= blocks[i].len) {
			offset -= blocks[i].len;
			continue;
		}
		part = min(len, blocks[i].len - offset);
		pf_vram_add(result, blocks[i].dpa + offset, part);
		len -= part;
		offset = 0;
	}
	return len ? -EINVAL : 0;
}

/*
 * All of @buf must be in @blocks, which are all that the VF has, in the order of
 * the LMTT, and page aligned.
 */
static int pf_vram_translate(const struct pf_vram_block *blocks,
			     size_t num_blocks,
			     const struct xe_sriov_vram *buf,
			     struct pf_vram_result *result)
{
	size_t i;
	int err;

	for (i = 0; i < buf->count; i++) {
		err = pf_vram_translate_range(blocks, num_blocks,
					      &buf->ranges[i], result);
		if (err)
			return err;
	}
	return buf->count ? 0 : -EINVAL;
}

/* ---- what the VF has ---- */

/* Return: number of blocks; stores them unless @blocks is NULL */
static size_t pf_vram_blocks(const struct xe_sriov_pf_vram *vram,
			     struct pf_vram_block *blocks)
{
	struct xe_res_cursor cur;
	size_t count = 0;
	u64 base;
	size_t i;

	for (i = 0; i < vram->num_parts; i++) {
		struct xe_bo *bo = vram->parts[i].bo;

		if (!bo)
			continue;
		base = vram_region_gpu_offset(bo->ttm.resource);
		xe_res_first(bo->ttm.resource, 0, xe_bo_size(bo), &cur);
		for (; cur.remaining; xe_res_next(&cur, cur.size)) {
			if (blocks)
				blocks[count] = (struct pf_vram_block) {
					.dpa = base + xe_res_dma(&cur),
					.len = cur.size,
				};
			count++;
		}
	}
	return count;
}

/* The pins keep the blocks as they are */
static int pf_vram_locate(struct xe_sriov_pf_vram *vram,
			  const struct xe_sriov_vram *buf, u64 size)
{
	size_t num_blocks = pf_vram_blocks(vram, NULL);
	struct pf_vram_block *blocks __free(kvfree) =
		kvmalloc_objs(*blocks, num_blocks);
	struct pf_vram_result result = {};
	int err;

	if (!blocks)
		return -ENOMEM;
	pf_vram_blocks(vram, blocks);

	err = pf_vram_translate(blocks, num_blocks, buf, &result);
	if (err)
		return err;
	if (result.size != size)
		return -EINVAL;

	vram->addr = kvmalloc_objs(*vram->addr, result.count);
	if (!vram->addr)
		return -ENOMEM;
	vram->count = result.count;
	result = (struct pf_vram_result) { .addr = vram->addr };
	return pf_vram_translate(blocks, num_blocks, buf, &result);
}

/* A buffer object that is not pinned is not the VF's any more */
static int pf_vram_pin_part(struct pf_vram_part *part, struct xe_gt *gt,
			    unsigned int vfid)
{
	struct xe_bo *bo = xe_gt_sriov_pf_config_get_lmem_obj(gt, vfid);
	bool pinned;

	part->gt = gt;
	if (!bo)
		return 0;

	xe_bo_lock(bo, false);
	pinned = xe_bo_is_pinned(bo);
	if (pinned)
		xe_bo_pin_account(bo);
	xe_bo_unlock(bo);
	if (!pinned) {
		xe_bo_put(bo);
		return -ENODEV;
	}
	part->bo = bo;
	return 0;
}

static bool pf_vram_is_current(const struct xe_sriov_pf_vram *vram)
{
	size_t i;

	for (i = 0; i < vram->num_parts; i++)
		if (!xe_gt_sriov_pf_config_has_lmem_obj(vram->parts[i].gt,
							vram->vfid,
							vram->parts[i].bo))
			return false;
	return true;
}

/* In the order of pf_update_vf_lmtt() */
static int pf_vram_pin(struct xe_sriov_pf_vram *vram)
{
	struct xe_gt *gt;
	unsigned int id;
	int err;

	for_each_gt_with_type(gt, vram->xe, id, BIT(XE_GT_TYPE_MAIN)) {
		err = pf_vram_pin_part(&vram->parts[vram->num_parts], gt,
				       vram->vfid);
		if (err)
			return err;
		vram->num_parts++;
	}
	return pf_vram_is_current(vram) ? 0 : -ENODEV;
}

static struct xe_sriov_pf_vram *
pf_vram_resolve(struct xe_device *xe, const struct xe_sriov_vram *buf, u64 size)
{
	struct xe_sriov_pf_vram *vram = kzalloc_obj(*vram);
	int err;

	if (!vram)
		return ERR_PTR(-ENOMEM);

	vram->xe = xe;
	vram->vfid = buf->vfid;
	err = pf_vram_pin(vram) ?: pf_vram_locate(vram, buf, size);
	if (err) {
		xe_sriov_pf_vram_put(vram);
		return ERR_PTR(err);
	}
	return vram;
}

/* ---- the type ---- */

/* For the match only; pf_vram_resolve() decides after it */
static bool pf_vram_in_quota(struct xe_device *xe,
			     const struct xe_sriov_vram *buf)
{
	struct xe_gt *gt;
	unsigned int id;
	u64 quota = 0;
	size_t i;

	for_each_gt_with_type(gt, xe, id, BIT(XE_GT_TYPE_MAIN))
		quota += xe_gt_sriov_pf_config_get_lmem(gt, buf->vfid);

	for (i = 0; i < buf->count; i++)
		if (buf->ranges[i].offset > quota ||
		    buf->ranges[i].len > quota - buf->ranges[i].offset)
			return false;
	return true;
}

/*
 * The BAR may be larger than the quota. There is nothing behind the rest of it,
 * and other types can map that.
 */
static int pf_vram_match(struct dma_buf_match_args *args,
			 const struct dma_buf_mapping_match *exp,
			 const struct dma_buf_mapping_match *imp)
{
	const struct xe_sriov_vram *buf = xe_sriov_vram_data(exp)->vram;

	if (buf->pf != xe_sriov_vram_data(imp)->pdev)
		return dma_buf_match_refuse(args, "foreign-pf");
	if (!pf_vram_in_quota(xe_sriov_vram_data(imp)->xe, buf))
		return dma_buf_match_refuse(args, "beyond-quota");
	return 0;
}

static void pf_vram_finish_match(struct dma_buf_match_args *args,
				 const struct dma_buf_mapping_match *exp,
				 const struct dma_buf_mapping_match *imp)
{
	struct xe_sriov_vram_data *data =
		dma_buf_mapping_payload(&args->attach->map_type,
					struct xe_sriov_vram_data);

	data->pdev = xe_sriov_vram_data(imp)->pdev;
	data->xe = xe_sriov_vram_data(imp)->xe;
}

static struct device *pf_vram_device(const struct dma_buf_mapping_match *match)
{
	return &xe_sriov_vram_data(match)->pdev->dev;
}

static void pf_vram_debugfs_dump(struct seq_file *s,
				 struct dma_buf_attachment *attach)
{
	seq_printf(s, " vf=%u", xe_sriov_vram_data(&attach->map_type)->vram->vfid);
}

const struct dma_buf_mapping_type xe_sriov_vram_mapping_type = {
	.name = "XE_VRAM",
	.owner = THIS_MODULE,
	.match = pf_vram_match,
	.finish_match = pf_vram_finish_match,
	.device = pf_vram_device,
	.debugfs_dump = pf_vram_debugfs_dump,
};
EXPORT_SYMBOL_FOR_MODULES(xe_sriov_vram_mapping_type, "xe-vfio-pci");

static const struct xe_sriov_vram_exp_ops *
pf_vram_exp_ops(const struct dma_buf_attachment *attach)
{
	return container_of(attach->map_type.exp_ops,
			    const struct xe_sriov_vram_exp_ops, ops);
}

/*
 * Where VRAM takes PTEs of 64K, the addresses that an import is bound to would
 * have to be aligned as well, and VM_BIND does not require that of imports.
 */
bool xe_sriov_vram_supported(struct xe_device *xe)
{
	return IS_SRIOV_PF(xe) && xe_device_has_lmtt(xe) &&
		!(xe->info.vram_flags & XE_VRAM_FLAGS_NEED64K);
}
EXPORT_SYMBOL_FOR_MODULES(xe_sriov_vram_supported, "xe-vfio-pci");

/* ---- the importer ---- */

/**
 * xe_sriov_pf_vram_request() - Request the XE_VRAM type, if the device is a PF.
 * @xe: the &xe_device that imports
 * @request: where to store the request
 *
 * Return: number of requests made, 0 or 1.
 */
size_t xe_sriov_pf_vram_request(struct xe_device *xe,
				struct dma_buf_mapping_match *request)
{
	struct xe_sriov_vram_data *data;

	if (!xe_sriov_vram_supported(xe))
		return 0;

	*request = (struct dma_buf_mapping_match) {
		.type = &xe_sriov_vram_mapping_type,
	};
	data = dma_buf_mapping_payload(request, struct xe_sriov_vram_data);
	data->pdev = to_pci_dev(xe->drm.dev);
	data->xe = xe;
	return 1;
}

/**
 * xe_sriov_pf_vram_get() - Find and pin the VRAM of an import.
 * @attach: attachment of any type
 *
 * Context: Process context. Takes the master mutex of the PF, so no reservation
 * lock may be held. drm_gem_prime_fd_to_handle() holds its locks, here and in
 * the match.
 *
 * Return: the VRAM, NULL if the match is not XE_VRAM. -ENODEV wrapped into a
 * pointer if the VF was reprovisioned meanwhile, -EINVAL if it does not have all
 * of the buffer, -ENOMEM.
 */
struct xe_sriov_pf_vram *
xe_sriov_pf_vram_get(const struct dma_buf_attachment *attach)
{
	const struct xe_sriov_vram_data *data =
		xe_sriov_vram_data(&attach->map_type);

	if (attach->map_type.type != &xe_sriov_vram_mapping_type)
		return NULL;
	return pf_vram_resolve(data->xe, data->vram, attach->dmabuf->size);
}

/**
 * xe_sriov_pf_vram_put() - Undo xe_sriov_pf_vram_get().
 * @vram: the VRAM, not mapped, or NULL
 *
 * Context: Process context. Takes the reservation locks of buffer objects of the
 * VF, so no reservation lock may be held.
 */
void xe_sriov_pf_vram_put(struct xe_sriov_pf_vram *vram)
{
	size_t i;

	if (!vram)
		return;

	drm_WARN_ON(&vram->xe->drm, vram->mapped);
	for (i = 0; i < vram->num_parts; i++)
		xe_bo_unpin_map_no_vm(vram->parts[i].bo);
	kvfree(vram->addr);
	kfree(vram);
}

/**
 * xe_sriov_pf_vram_map() - Tell the exporter that the VRAM is in use.
 * @vram: the VRAM; does nothing if it is mapped already
 * @attach: its attachment
 *
 * Context: The dma-buf reservation lock must be held.
 *
 * Return: 0, -ENODEV if the buffer is revoked, or if the VF was reprovisioned.
 */
int xe_sriov_pf_vram_map(struct xe_sriov_pf_vram *vram,
			 struct dma_buf_attachment *attach)
{
	int err;

	dma_resv_assert_held(attach->dmabuf->resv);

	if (vram->mapped)
		return 0;

	err = pf_vram_exp_ops(attach)->map(attach);
	if (!err && !pf_vram_is_current(vram)) {
		pf_vram_exp_ops(attach)->unmap(attach);
		err = dma_buf_attach_refuse(attach, "reprovisioned", -ENODEV);
	}
	trace_dma_buf_map(attach, err ? 0 : vram->count, "none", err);
	vram->mapped = !err;
	return err;
}

/**
 * xe_sriov_pf_vram_unmap() - Tell the exporter that the VRAM is not in use.
 * @vram: the VRAM, which the GPU no longer accesses; does nothing if it is not
 *	mapped
 * @attach: its attachment
 *
 * Context: The dma-buf reservation lock must be held.
 */
void xe_sriov_pf_vram_unmap(struct xe_sriov_pf_vram *vram,
			    struct dma_buf_attachment *attach)
{
	dma_resv_assert_held(attach->dmabuf->resv);

	if (!vram->mapped)
		return;

	vram->mapped = false;
	trace_dma_buf_unmap(attach, vram->count, "none", 0);
	pf_vram_exp_ops(attach)->unmap(attach);
}

/**
 * xe_sriov_pf_vram_addr() - The addresses for PTEs.
 * @vram: the VRAM, mapped
 *
 * Return: DPAs for xe_res_first_dma(), all of %XE_INTERCONNECT_VRAM, valid
 * until xe_sriov_pf_vram_put().
 */
const struct drm_pagemap_addr *
xe_sriov_pf_vram_addr(const struct xe_sriov_pf_vram *vram)
{
	return vram->addr;
}

#if IS_BUILTIN(CONFIG_DRM_XE_KUNIT_TEST)
#include "tests/xe_sriov_pf_vram_kunit.c"
#endif
