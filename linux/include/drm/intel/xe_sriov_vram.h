/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * XE_VRAM, a DMA-buf mapping type between xe, as driver of a PF, and xe-vfio-pci,
 * as driver of its VFs: VRAM behind the BAR of a VF, as the PF addresses it.
 */

#ifndef _XE_SRIOV_VRAM_H_
#define _XE_SRIOV_VRAM_H_

#include <linux/dma-buf.h>
#include <linux/types.h>

struct pci_dev;
struct xe_device;

extern const struct dma_buf_mapping_type xe_sriov_vram_mapping_type;

/**
 * struct xe_sriov_vram_range - a piece of the VRAM BAR of a VF
 * @offset: where in the BAR; page aligned
 * @len: in bytes; page aligned
 */
struct xe_sriov_vram_range {
	u64 offset;
	u64 len;
};

/**
 * struct xe_sriov_vram - a buffer in the VRAM BAR of a VF
 * @pf: PF of the VF, with a reference: pci_physfn() is not reliable any more
 *	when the VF is gone and the buffer is not
 * @vfid: the VF identifier (can't be 0)
 * @count: number of ranges
 * @ranges: pieces of the BAR, in the order of the buffer
 *
 * Nobody changes it after the export.
 */
struct xe_sriov_vram {
	struct pci_dev *pf;
	unsigned int vfid;
	size_t count;
	struct xe_sriov_vram_range ranges[] __counted_by(count);
};

/**
 * struct xe_sriov_vram_data - what offers and requests say
 * @pdev: the VF in an offer, the PF that imports in a request and in the match
 * @vram: the buffer, in an offer and in the match
 * @xe: the PF &xe_device, in a request
 */
struct xe_sriov_vram_data {
	struct pci_dev *pdev;
	const struct xe_sriov_vram *vram;
	struct xe_device *xe;
};

/**
 * struct xe_sriov_vram_exp_ops - exporter ops of the XE_VRAM type
 */
struct xe_sriov_vram_exp_ops {
	/** @ops: tag, see &struct dma_buf_mapping_exp_ops */
	struct dma_buf_mapping_exp_ops ops;

	/**
	 * @map: Count one more mapping; -ENODEV if the buffer is revoked. The
	 * PF may use the VRAM after that. Called with the dma-buf reservation
	 * lock held.
	 */
	int (*map)(struct dma_buf_attachment *attach);

	/**
	 * @unmap: One mapping less. Called with the dma-buf reservation lock
	 * held, when the PF no longer uses the VRAM: whoever waits for this
	 * gives the VRAM to somebody else.
	 */
	void (*unmap)(struct dma_buf_attachment *attach);
};

static inline const struct xe_sriov_vram_data *
xe_sriov_vram_data(const struct dma_buf_mapping_match *match)
{
	return dma_buf_mapping_payload(match, const struct xe_sriov_vram_data);
}

/**
 * xe_sriov_vram_offer() - An exporter's offer of the XE_VRAM type
 * @ops: the exporter's ops
 * @vf: the VF, to which the exporter has a reference
 * @vram: the buffer
 *
 * Return: the offer.
 */
static inline struct dma_buf_mapping_match
xe_sriov_vram_offer(const struct xe_sriov_vram_exp_ops *ops, struct pci_dev *vf,
		    const struct xe_sriov_vram *vram)
{
	struct dma_buf_mapping_match match = {
		.type = &xe_sriov_vram_mapping_type,
		.exp_ops = &ops->ops,
	};
	struct xe_sriov_vram_data *data =
		dma_buf_mapping_payload(&match, struct xe_sriov_vram_data);

	data->pdev = vf;
	data->vram = vram;
	return match;
}

/**
 * xe_sriov_vram_supported() - Check if a device imports VRAM of its VFs.
 * @xe: the &xe_device
 *
 * There is no need to offer the XE_VRAM type to one that does not.
 *
 * Return: true if it does, false otherwise.
 */
bool xe_sriov_vram_supported(struct xe_device *xe);

#endif
