/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMA-buf mapping type DAL: the core maps the buffer for the importer, which
 * walks its DMA addresses.
 */
#ifndef __DMA_BUF_DAL_H__
#define __DMA_BUF_DAL_H__

#include <linux/bits.h>
#include <linux/dma-buf.h>
#include <linux/dma-direction.h>
#include <linux/dma-mapping.h>

struct dma_buf_phys_list;
struct scatterlist;
struct sg_table;

extern const struct dma_buf_mapping_type dma_buf_mapping_dal_type;

/**
 * DOC: DMA address lists
 *
 * With the type DAL, a DMA address list, the importer decides when, which part
 * of a buffer, in which direction, and for which of its devices the buffer is
 * mapped, and the core maps it. The importer walks the result in *runs*: bytes
 * that are contiguous for its device, as long as they are, and learns what they
 * lead to.
 *
 * Nothing is stored for each range where the DMA API does not need it. Behind an
 * IOMMU all ranges are one run. Addresses of a peer below the same PCI switch
 * are computed. There is no scatterlist, and no physical address for the
 * importer.
 *
 * DAL is a *view*: importers request it, and no exporter offers it. Converters
 * serve it from PAL and from SGT, so every exporter of one of the two has
 * importers of DAL.
 */

/*
 * What the importer copes with, for DMA_BUF_IMAPPING_DAL(). An exporter that maps
 * itself, and is accepted as a peer, may move the buffer to RAM: the importer has
 * to cope with its addresses, without DMA_BUF_DAL_RAM as well.
 */
#define DMA_BUF_DAL_RAM		BIT(0)
/* MMIO of peers below the same PCI switch */
#define DMA_BUF_DAL_BUS_ADDRESS	BIT(1)
/* MMIO of peers through the host bridge */
#define DMA_BUF_DAL_HOST_BRIDGE	BIT(2)
#define DMA_BUF_DAL_PEER	(DMA_BUF_DAL_BUS_ADDRESS | DMA_BUF_DAL_HOST_BRIDGE)
#define DMA_BUF_DAL_ANY		(DMA_BUF_DAL_RAM | DMA_BUF_DAL_PEER)

/**
 * DMA_BUF_IMAPPING_DAL - an importer's request for the DAL type
 * @_dev: device whose DMA API maps the buffer
 * @_accepts: what the importer copes with, such as %DMA_BUF_DAL_ANY
 *
 * An importer with several devices makes one request for each. The order says
 * which one it prefers, and @_accepts for which memory. A dynamic importer sets
 * &dma_buf_attach_ops.allow_peer2peer if one of its requests accepts MMIO of peers,
 * and only then.
 */
#define DMA_BUF_IMAPPING_DAL(_dev, _accepts)				\
	((struct dma_buf_mapping_match) {				\
		.type = &dma_buf_mapping_dal_type,			\
		.sgt_data = {						\
			.importing_dma_device = (_dev),			\
			.importer_accepts_p2p =				\
				DMA_SGT_IMPORTER_ACCEPTS_P2P,		\
			.dal_accepts = (_accepts),			\
		},							\
	})

/* How the addresses of a mapping are found, for the core */
enum dma_buf_dal_kind {
	DMA_BUF_DAL_KIND_SGT,	/* in the exporter's scatterlist */
	DMA_BUF_DAL_KIND_BUS,	/* physical ones, with an offset */
	DMA_BUF_DAL_KIND_IOVA,	/* one run */
	DMA_BUF_DAL_KIND_PHYS,	/* kept for each range */
};

/**
 * struct dma_buf_dal - one mapping of a buffer, or of a slice
 *
 * Embedded in whatever the importer has for it. It must not be copied while it
 * is mapped. Only the core looks inside.
 */
struct dma_buf_dal {
	/* private: */
	struct dma_buf_attachment *attach;
	struct device *dev;
	size_t offset;
	size_t size;
	enum dma_data_direction dir;
	enum dma_buf_dal_kind kind;
	union {
		const struct dma_buf_phys_list *list;
		struct {
			struct sg_table *sgt;
			/* The entry that the slice begins in, and where */
			struct scatterlist *sg;
			size_t sg_offset;
		};
	};
	union {
		u64 bus_offset;
		struct dma_iova_state iova;
		struct {
			/* Where each range begins for the device */
			dma_addr_t *addrs;
			/* The range of the list that @addrs begins with */
			size_t first;
			bool need_unmap;
		};
	};
	struct dma_buf_place place;
};

/**
 * struct dma_buf_dal_iter - a place in a mapping
 *
 * Only the core looks inside.
 */
struct dma_buf_dal_iter {
	/* private: */
	const struct dma_buf_dal *dal;
	size_t left;
	/* Bytes of the range or the entry before the place */
	size_t offset;
	union {
		struct scatterlist *sg;
		/* Index into the list: its addresses are not for importers */
		size_t range;
		dma_addr_t iova;
	};
};

int dma_buf_dal_map(struct dma_buf_attachment *attach, struct dma_buf_dal *dal,
		    size_t offset, size_t size, enum dma_data_direction dir);
int dma_buf_dal_map_for(struct dma_buf_attachment *attach,
			struct dma_buf_dal *dal, struct device *dev,
			size_t offset, size_t size,
			enum dma_data_direction dir);
void dma_buf_dal_unmap(struct dma_buf_dal *dal);

void dma_buf_dal_start(const struct dma_buf_dal *dal, size_t offset,
		       struct dma_buf_dal_iter *iter);
size_t dma_buf_dal_next(struct dma_buf_dal_iter *iter, size_t max,
			dma_addr_t *addr);
bool dma_buf_dal_contiguous(const struct dma_buf_dal *dal, dma_addr_t *addr);

/**
 * dma_buf_is_dal - does an attachment use the DAL type?
 * @attach: attachment
 *
 * Return: True if the match is of the DAL type.
 */
static inline bool dma_buf_is_dal(const struct dma_buf_attachment *attach)
{
	return attach->map_type.type == &dma_buf_mapping_dal_type;
}

/**
 * dma_buf_dal_device - the device that the core picked among those requested
 * @attach: attachment
 *
 * Return: The device of the request, NULL if the attachment is of another type.
 */
static inline struct device *
dma_buf_dal_device(const struct dma_buf_attachment *attach)
{
	if (!dma_buf_is_dal(attach))
		return NULL;
	return attach->map_type.sgt_data.importing_dma_device;
}

/**
 * dma_buf_dal_may_be_peer - may a mapping lead to MMIO of a peer?
 * @attach: attachment
 *
 * For what an importer has to decide once, before it maps, such as whether to
 * use ATS.
 *
 * Return: False if the exporter has not said that the buffer is MMIO. That is
 * usually RAM, but not always. True if it may be MMIO, and it may be RAM as well.
 */
static inline bool
dma_buf_dal_may_be_peer(const struct dma_buf_attachment *attach)
{
	return dma_buf_is_dal(attach) &&
	       attach->map_type.sgt_data.exporter_requires_p2p !=
		       DMA_SGT_EXPORTER_REQUIRES_NOTHING;
}

/**
 * dma_buf_dal_place - what the runs of a walk lead to
 * @iter: place in a mapping
 *
 * Return: The facts about the run that dma_buf_dal_next() returned last, valid
 * until dma_buf_dal_unmap().
 */
static inline const struct dma_buf_place *
dma_buf_dal_place(const struct dma_buf_dal_iter *iter)
{
	return &iter->dal->place;
}

#endif /* __DMA_BUF_DAL_H__ */
