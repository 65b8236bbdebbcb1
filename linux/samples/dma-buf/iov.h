/* SPDX-License-Identifier: GPL-2.0 */
/*
 * IOV, a mapping type between the driver of a PF and the vfio-pci variant driver
 * of its VFs: what is behind the BAR of a VF, as the PF addresses it. Neither CPU
 * nor DMA addresses change hands.
 */
#ifndef SAMPLES_DMA_BUF_IOV_H
#define SAMPLES_DMA_BUF_IOV_H

#include <linux/dma-buf.h>
#include <linux/pci.h>

extern const struct dma_buf_mapping_type iov_mapping_type;

struct iov_range {
	u64 offset;
	u64 len;
};

/**
 * struct iov_list - a buffer in the address space of a PF
 * @pf: whose address space that is, with a reference: pci_physfn() is not
 *	reliable any more when the VF is gone and the buffer is not
 * @vf: number of the VF, from 0
 * @bar: of the VF
 * @count: number of ranges
 * @ranges: pieces of the BAR, in the order of the buffer, page aligned
 *
 * Nobody changes it after the export.
 */
struct iov_list {
	struct pci_dev *pf;
	unsigned int vf;
	unsigned int bar;
	size_t count;
	struct iov_range ranges[] __counted_by(count);
};

/**
 * struct iov_data - what offers and requests say
 * @pdev: the VF in an offer, the PF that imports in a request and in the match
 * @list: the buffer, in an offer and in the match
 */
struct iov_data {
	struct pci_dev *pdev;
	const struct iov_list *list;
};

/**
 * struct iov_exp_ops - exporter ops of the IOV type
 */
struct iov_exp_ops {
	/** @ops: tag, see &struct dma_buf_mapping_exp_ops */
	struct dma_buf_mapping_exp_ops ops;

	/**
	 * @map: count one more mapping; -ENODEV if the buffer is revoked. After
	 * that @list of the match may be used. Called with the dma-buf
	 * reservation lock held.
	 */
	int (*map)(struct dma_buf_attachment *attach);

	/**
	 * @unmap: one mapping less. Called with the dma-buf reservation lock
	 * held.
	 */
	void (*unmap)(struct dma_buf_attachment *attach);
};

static inline const struct iov_data *
iov_data(const struct dma_buf_mapping_match *match)
{
	return dma_buf_mapping_payload(match, const struct iov_data);
}

static inline struct dma_buf_mapping_match iov_request(struct pci_dev *pf)
{
	struct dma_buf_mapping_match match = { .type = &iov_mapping_type };

	dma_buf_mapping_payload(&match, struct iov_data)->pdev = pf;
	return match;
}

static inline struct dma_buf_mapping_match
iov_offer(const struct iov_exp_ops *ops, struct pci_dev *vf,
	  const struct iov_list *list)
{
	struct dma_buf_mapping_match match = iov_request(vf);

	dma_buf_mapping_payload(&match, struct iov_data)->list = list;
	match.exp_ops = &ops->ops;
	return match;
}

#endif
