/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * VRAM of a VF, as its PF addresses it.
 */

#ifndef _XE_SRIOV_PF_VRAM_H_
#define _XE_SRIOV_PF_VRAM_H_

#include <linux/errno.h>
#include <linux/types.h>

struct dma_buf_attachment;
struct dma_buf_mapping_match;
struct drm_pagemap_addr;
struct xe_device;
struct xe_sriov_pf_vram;

#ifdef CONFIG_PCI_IOV
size_t xe_sriov_pf_vram_request(struct xe_device *xe,
				struct dma_buf_mapping_match *request);
struct xe_sriov_pf_vram *
xe_sriov_pf_vram_get(const struct dma_buf_attachment *attach);
void xe_sriov_pf_vram_put(struct xe_sriov_pf_vram *vram);
int xe_sriov_pf_vram_map(struct xe_sriov_pf_vram *vram,
			 struct dma_buf_attachment *attach);
void xe_sriov_pf_vram_unmap(struct xe_sriov_pf_vram *vram,
			    struct dma_buf_attachment *attach);
const struct drm_pagemap_addr *
xe_sriov_pf_vram_addr(const struct xe_sriov_pf_vram *vram);
#else
static inline size_t
xe_sriov_pf_vram_request(struct xe_device *xe,
			 struct dma_buf_mapping_match *request)
{
	return 0;
}

static inline struct xe_sriov_pf_vram *
xe_sriov_pf_vram_get(const struct dma_buf_attachment *attach)
{
	return NULL;
}

static inline void xe_sriov_pf_vram_put(struct xe_sriov_pf_vram *vram)
{
}

static inline int xe_sriov_pf_vram_map(struct xe_sriov_pf_vram *vram,
				       struct dma_buf_attachment *attach)
{
	return -EOPNOTSUPP;
}

static inline void xe_sriov_pf_vram_unmap(struct xe_sriov_pf_vram *vram,
					  struct dma_buf_attachment *attach)
{
}

static inline const struct drm_pagemap_addr *
xe_sriov_pf_vram_addr(const struct xe_sriov_pf_vram *vram)
{
	return NULL;
}
#endif

#endif
