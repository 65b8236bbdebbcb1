/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * XGMI, a DMA-buf mapping type between GPUs of one hive: VRAM as the other GPU
 * addresses it over the links of the hive, without PCIe and the DMA API.
 */
#ifndef __AMDGPU_XGMI_DMA_BUF_H__
#define __AMDGPU_XGMI_DMA_BUF_H__

#include <linux/dma-buf.h>
#include <linux/types.h>

struct amdgpu_bo;
struct device;
struct sg_table;

extern const struct dma_buf_mapping_type amdgpu_xgmi_mapping_type;

/**
 * struct amdgpu_xgmi_data - what offers and requests say: which GPU it is
 * @dev: its device; in a request and in the match, the one that maps system
 *	memory
 * @hive_id: where the GPU has the ID of its hive, because a payload has no room
 *	for 64 bits on all architectures. No other GPU has it there.
 */
struct amdgpu_xgmi_data {
	struct device *dev;
	const u64 *hive_id;
};

/**
 * struct amdgpu_xgmi_mapping - where the buffer is until it is invalidated
 * @vram: the exporter's buffer object, if it is in VRAM
 * @sgt: DMA addresses for the importer's device, if the exporter had no room in
 *	VRAM, or was about to be suspended
 */
struct amdgpu_xgmi_mapping {
	struct amdgpu_bo *vram;
	struct sg_table *sgt;
};

/**
 * struct amdgpu_xgmi_exp_ops - exporter ops of the XGMI type
 */
struct amdgpu_xgmi_exp_ops {
	/** @ops: tag, see &struct dma_buf_mapping_exp_ops */
	struct dma_buf_mapping_exp_ops ops;

	/**
	 * @map: Move the buffer to VRAM if there is room, and set one of the
	 * two in the mapping, which is empty. Called with the dma-buf
	 * reservation lock held.
	 */
	int (*map)(struct dma_buf_attachment *attach,
		   struct amdgpu_xgmi_mapping *mapping);

	/**
	 * @unmap: Undo @map. Called with the dma-buf reservation lock held.
	 */
	void (*unmap)(struct dma_buf_attachment *attach,
		      const struct amdgpu_xgmi_mapping *mapping);
};

static inline const struct amdgpu_xgmi_data *
amdgpu_xgmi_data(const struct dma_buf_mapping_match *match)
{
	return dma_buf_mapping_payload(match, const struct amdgpu_xgmi_data);
}

/**
 * amdgpu_xgmi_request - an importer's request for the XGMI type
 * @dev: device of the importing GPU
 * @hive_id: where it has the ID of its hive
 *
 * Return: The request.
 */
static inline struct dma_buf_mapping_match
amdgpu_xgmi_request(struct device *dev, const u64 *hive_id)
{
	struct dma_buf_mapping_match match = {
		.type = &amdgpu_xgmi_mapping_type,
	};

	*dma_buf_mapping_payload(&match, struct amdgpu_xgmi_data) =
		(struct amdgpu_xgmi_data) { dev, hive_id };
	return match;
}

/**
 * amdgpu_xgmi_offer - an exporter's offer of the XGMI type
 * @ops: the exporter's ops
 * @dev: device of the GPU that has the VRAM
 * @hive_id: where it has the ID of its hive
 *
 * Return: The offer.
 */
static inline struct dma_buf_mapping_match
amdgpu_xgmi_offer(const struct amdgpu_xgmi_exp_ops *ops, struct device *dev,
		  const u64 *hive_id)
{
	struct dma_buf_mapping_match match = amdgpu_xgmi_request(dev, hive_id);

	match.exp_ops = &ops->ops;
	return match;
}

/**
 * amdgpu_xgmi_is_matched - does an attachment use the XGMI type?
 * @attach: attachment
 *
 * Return: True if the match is of the XGMI type.
 */
static inline bool
amdgpu_xgmi_is_matched(const struct dma_buf_attachment *attach)
{
	return attach->map_type.type == &amdgpu_xgmi_mapping_type;
}

int amdgpu_xgmi_map(struct dma_buf_attachment *attach,
		    struct amdgpu_xgmi_mapping *mapping);
void amdgpu_xgmi_unmap(struct dma_buf_attachment *attach,
		       const struct amdgpu_xgmi_mapping *mapping);

#endif
