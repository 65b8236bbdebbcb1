/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMA-buf mapping type SGT: the buffer as a scatterlist of DMA addresses.
 */
#ifndef __DMA_BUF_SGT_H__
#define __DMA_BUF_SGT_H__

#include <linux/container_of.h>
#include <linux/dma-buf.h>
#include <linux/dma-direction.h>

struct sg_table;

extern const struct dma_buf_mapping_type dma_buf_mapping_sgt_type;
extern const struct dma_buf_mapping_type dma_buf_mapping_dal_type;

/**
 * struct dma_buf_mapping_sgt_exp_ops - exporter ops of the SGT type
 */
struct dma_buf_mapping_sgt_exp_ops {
	/** @ops: tag, see &struct dma_buf_mapping_exp_ops */
	struct dma_buf_mapping_exp_ops ops;

	/**
	 * @map_dma_buf:
	 *
	 * Called by dma_buf_sgt_map_attachment() to map the buffer for the
	 * device dma_buf_sgt_dma_device() of the attachment. Mandatory.
	 *
	 * Called with the dma-buf reservation lock held and may sleep, e.g. to
	 * allocate the backing storage, or to move it to where all attached
	 * devices reach it.
	 *
	 * For static importers the memory must be ready to use, and cleared of
	 * old data, when this returns. Dynamic importers wait for the fences of
	 * &dma_buf.resv themselves.
	 *
	 * Returns:
	 *
	 * The scatterlist, its DMA addresses and lengths page aligned. It
	 * belongs to the importer until @unmap_dma_buf, so the exporter must
	 * not return the same one twice. A negative error code wrapped into a
	 * pointer on failure, -EINTR if a signal came while waiting.
	 */
	struct sg_table *(*map_dma_buf)(struct dma_buf_attachment *attach,
					enum dma_data_direction dir);

	/**
	 * @unmap_dma_buf:
	 *
	 * Called by dma_buf_sgt_unmap_attachment() to undo @map_dma_buf and
	 * free its scatterlist. Mandatory. Called with the dma-buf reservation
	 * lock held.
	 */
	void (*unmap_dma_buf)(struct dma_buf_attachment *attach,
			      struct sg_table *sgt,
			      enum dma_data_direction dir);

	/**
	 * @obstacle:
	 *
	 * Says why @dev cannot use the memory, as a word for
	 * dma_buf_match_refuse(). Called when the offer @exp, which is the
	 * exporter's own and no copy of it, is matched: without the dma-buf
	 * reservation lock, and there may be no buffer yet. This callback is
	 * optional; without it the offer is for every device.
	 *
	 * Returns:
	 *
	 * The reason, or NULL if @dev can use the memory.
	 */
	const char *(*obstacle)(const struct dma_buf_mapping_match *exp,
				struct device *dev);
};

/**
 * DMA_BUF_IMAPPING_SGT - an importer's request for the SGT type
 * @_dev: device whose DMA API maps the buffer
 * @_p2p: true if the importer handles MMIO of a peer, without struct pages
 */
#define DMA_BUF_IMAPPING_SGT(_dev, _p2p)				\
	((struct dma_buf_mapping_match) {				\
		.type = &dma_buf_mapping_sgt_type,			\
		.sgt_data = {						\
			.importing_dma_device = (_dev),			\
			.importer_accepts_p2p = (_p2p) ?		\
				DMA_SGT_IMPORTER_ACCEPTS_P2P :		\
				DMA_SGT_NO_P2P,				\
		},							\
	})

/* The tag inside the ops; the compiler refuses the ops of another type */
#define __DMA_BUF_SGT_EXP_OPS(_ops)					\
	(&(1 ? (_ops) :							\
	   (const struct dma_buf_mapping_sgt_exp_ops *)NULL)->ops)

/**
 * DMA_BUF_EMAPPING_SGT - an exporter's offer of the SGT type
 * @_ops: pointer to &struct dma_buf_mapping_sgt_exp_ops
 *
 * Fits every SGT importer, but for what &dma_buf_mapping_sgt_exp_ops.obstacle
 * says.
 */
#define DMA_BUF_EMAPPING_SGT(_ops)					\
	((struct dma_buf_mapping_match) {				\
		.type = &dma_buf_mapping_sgt_type,			\
		.exp_ops = __DMA_BUF_SGT_EXP_OPS(_ops),			\
	})

/**
 * DMA_BUF_EMAPPING_SGT_P2P - an exporter's offer of the SGT type for MMIO
 * @_ops: pointer to &struct dma_buf_mapping_sgt_exp_ops
 * @_pdev: &struct pci_dev whose MMIO the buffer is. The exporter holds a
 *	reference to it for as long as the buffer exists.
 *
 * Fits only importers that accept P2P and whose device reaches @_pdev.
 */
#define DMA_BUF_EMAPPING_SGT_P2P(_ops, _pdev)				\
	((struct dma_buf_mapping_match) {				\
		.type = &dma_buf_mapping_sgt_type,			\
		.exp_ops = __DMA_BUF_SGT_EXP_OPS(_ops),			\
		.sgt_data = {						\
			.exporting_p2p_device = (_pdev),		\
			.exporter_requires_p2p =			\
				DMA_SGT_EXPORTER_REQUIRES_P2P_DISTANCE,	\
		},							\
	})

/**
 * DMA_BUF_SIMPLE_SGT_EXP_MATCH - offer SGT, and nothing else
 * @_map: &dma_buf_mapping_sgt_exp_ops.map_dma_buf
 * @_unmap: &dma_buf_mapping_sgt_exp_ops.unmap_dma_buf
 *
 * For use inside the initialiser of a static &struct dma_buf_ops.
 */
#define DMA_BUF_SIMPLE_SGT_EXP_MATCH(_map, _unmap)			\
	.single_exporter_match = &(const struct dma_buf_mapping_match) {\
		.type = &dma_buf_mapping_sgt_type,			\
		.exp_ops = &((const struct dma_buf_mapping_sgt_exp_ops) {\
			.map_dma_buf = (_map),				\
			.unmap_dma_buf = (_unmap),			\
		}).ops,							\
	}

/**
 * dma_buf_is_sgt - is an attachment about DMA addresses for one device?
 * @attach: attachment
 *
 * For exporters: they map in the same way for importers of DAL, whom the core
 * serves from the scatterlist.
 *
 * Return: True if the match is of the type SGT or DAL.
 */
static inline bool dma_buf_is_sgt(const struct dma_buf_attachment *attach)
{
	return attach->map_type.type == &dma_buf_mapping_sgt_type ||
	       attach->map_type.type == &dma_buf_mapping_dal_type;
}

/**
 * dma_buf_sgt_dma_device - the device that an SGT attachment maps for
 * @attach: attachment
 *
 * Return: The importer's DMA device, NULL if the attachment is of another type.
 */
static inline struct device *
dma_buf_sgt_dma_device(const struct dma_buf_attachment *attach)
{
	if (!dma_buf_is_sgt(attach))
		return NULL;
	return attach->map_type.sgt_data.importing_dma_device;
}

/**
 * dma_buf_sgt_p2p_allowed - may the exporter map its MMIO for this attachment?
 * @attach: attachment
 *
 * Return: True if the match was made with an offer of
 * DMA_BUF_EMAPPING_SGT_P2P(), that is, the importer accepts P2P and its device
 * reaches the exporter's. False for any other match, and any other type.
 */
static inline bool
dma_buf_sgt_p2p_allowed(const struct dma_buf_attachment *attach)
{
	return dma_buf_is_sgt(attach) &&
	       attach->map_type.sgt_data.exporter_requires_p2p ==
		       DMA_SGT_EXPORTER_REQUIRES_P2P_DISTANCE;
}

/**
 * dma_buf_get_sgt_ops - the SGT ops of an attachment
 * @attach: attachment
 *
 * For importers. Exporters that look for their own ops use
 * dma_buf_sgt_exporter_ops().
 *
 * Return: The ops, NULL if the attachment is of another type.
 */
static inline const struct dma_buf_mapping_sgt_exp_ops *
dma_buf_get_sgt_ops(const struct dma_buf_attachment *attach)
{
	if (attach->map_type.type != &dma_buf_mapping_sgt_type)
		return NULL;
	return container_of(attach->map_type.exp_ops,
			    const struct dma_buf_mapping_sgt_exp_ops, ops);
}

const struct dma_buf_mapping_sgt_exp_ops *
dma_buf_sgt_exporter_ops(const struct dma_buf_attachment *attach);
struct dma_buf_attachment *dma_buf_sgt_attach(struct dma_buf *dmabuf,
					      struct device *dev);
struct dma_buf_attachment *
dma_buf_sgt_dynamic_attach(struct dma_buf *dmabuf, struct device *dev,
			   const struct dma_buf_attach_ops *importer_ops,
			   void *importer_priv);
struct sg_table *dma_buf_sgt_map_attachment(struct dma_buf_attachment *attach,
					    enum dma_data_direction dir);
struct sg_table *
dma_buf_sgt_map_attachment_unlocked(struct dma_buf_attachment *attach,
				    enum dma_data_direction dir);
void dma_buf_sgt_place(const struct dma_buf_attachment *attach,
		       struct dma_buf_place *place);
void dma_buf_sgt_unmap_attachment(struct dma_buf_attachment *attach,
				  struct sg_table *sgt,
				  enum dma_data_direction dir);
void dma_buf_sgt_unmap_attachment_unlocked(struct dma_buf_attachment *attach,
					   struct sg_table *sgt,
					   enum dma_data_direction dir);

#endif /* __DMA_BUF_SGT_H__ */
