/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMA-buf mapping types: how exporter and importer agree on one way to
 * exchange a buffer.
 */
#ifndef __DMA_BUF_MATCH_H__
#define __DMA_BUF_MATCH_H__

#include <linux/build_bug.h>
#include <linux/types.h>

struct device;
struct dma_buf;
struct dma_buf_attachment;
struct dma_buf_mapping_match;
struct dma_buf_match_args;
struct module;
struct pci_dev;
struct seq_file;

/**
 * DOC: mapping types
 *
 * A *mapping type* is one way to exchange a buffer: as a scatterlist of DMA
 * addresses (SGT), as a list of physical addresses (PAL), or in any form that
 * two drivers agree on. It is a singleton &struct dma_buf_mapping_type and is
 * identified by its address.
 *
 * The exporter lists its *offers*, the importer its *requests*; both are arrays
 * of &struct dma_buf_mapping_match. At attach the core picks the first pair
 * that fits, the *match*, and keeps it in &dma_buf_attachment.map_type. The
 * exporter's order has priority, the importer's order only decides within one
 * offer.
 *
 * If no offer fits as it is, the core tries to convert one: an exporter that
 * offers PAL alone serves importers of scatterlists as well. The attachment then
 * has the requested type, and &dma_buf_attachment.converted is set.
 *
 * Each type brings its own importer functions and its own exporter ops; the
 * core never looks inside them.
 */

/**
 * struct dma_buf_mapping_exp_ops - tag for the exporter ops of a mapping type
 *
 * Embedded as the member ops in the exporter ops of each type, so that the core
 * can carry a pointer to them without knowing the type.
 */
struct dma_buf_mapping_exp_ops {};

/**
 * struct dma_buf_mapping_type - one way to exchange a buffer
 *
 * There is one static instance per type, shared by all exporters and importers
 * that use it.
 */
struct dma_buf_mapping_type {
	/** @name: short name for debugfs and trace events, mandatory. */
	const char *name;

	/**
	 * @owner:
	 *
	 * The module of the type, %THIS_MODULE. Every attachment of this type
	 * holds a reference to it.
	 */
	struct module *owner;

	/**
	 * @match:
	 *
	 * Decides whether the offer @exp of this type fits the request @imp of
	 * this type. Must have no side effects: it may be called for any number
	 * of pairs, and nobody undoes what it did. Must not rely on the address
	 * of @exp or @imp: they may be copies.
	 *
	 * This is where the exporter's ops are checked: whatever callback the
	 * type cannot do without must be there, else WARN and return -EINVAL.
	 *
	 * Called without the dma-buf reservation lock and may sleep. Whatever
	 * it reads from the exporter, the exporter must hold a reference of its
	 * own to for as long as the buffer exists. There is no buffer yet, and
	 * @dmabuf is NULL, if dma_buf_match_query() asks.
	 *
	 * This callback is optional; without it every pair of the type fits.
	 *
	 * Returns:
	 *
	 * 0 if the pair fits. -EOPNOTSUPP to go on with the next pair; return
	 * what dma_buf_match_refuse() returns, so that users learn the reason.
	 * Any other negative error code to fail the attach.
	 */
	int (*match)(struct dma_buf_match_args *args,
		     const struct dma_buf_mapping_match *exp,
		     const struct dma_buf_mapping_match *imp);

	/**
	 * @finish_match:
	 *
	 * Completes &dma_buf_attachment.map_type of @args->attach, which the
	 * core has set to a copy of the offer @exp, with what the request @imp
	 * contributes. It cannot fail and must take nothing: there is no
	 * callback that would give it back.
	 *
	 * Called without the dma-buf reservation lock. This callback is
	 * optional; without it the match is the offer.
	 */
	void (*finish_match)(struct dma_buf_match_args *args,
			     const struct dma_buf_mapping_match *exp,
			     const struct dma_buf_mapping_match *imp);

	/**
	 * @device:
	 *
	 * Tells debugfs and trace events which device has the memory of an
	 * offer, or which device a request, or the match made from it, is for.
	 * Called in any context. This callback is optional; without it, or if
	 * it returns NULL, the importer is called by its
	 * &dma_buf_attach_ops.name.
	 */
	struct device *(*device)(const struct dma_buf_mapping_match *match);

	/**
	 * @debugfs_dump:
	 *
	 * Adds " name=value" words, without a newline, to the end of the
	 * attachment's line in dma_buf/bufinfo. Called with the dma-buf
	 * reservation lock held. This callback is optional.
	 */
	void (*debugfs_dump)(struct seq_file *s,
			     struct dma_buf_attachment *attach);
};

/**
 * enum dma_buf_sgt_importer_p2p - what an SGT importer accepts
 * @DMA_SGT_NO_P2P: only memory that has struct pages behind it, or that the
 *	exporter moves there.
 * @DMA_SGT_IMPORTER_ACCEPTS_P2P: also MMIO of a peer device, without struct
 *	pages.
 */
enum dma_buf_sgt_importer_p2p {
	DMA_SGT_NO_P2P = 0,
	DMA_SGT_IMPORTER_ACCEPTS_P2P = 1,
};

/**
 * enum dma_buf_sgt_exporter_p2p - what an SGT exporter requires
 * @DMA_SGT_EXPORTER_REQUIRES_NOTHING: fits every importer; the same value as
 *	%DMA_SGT_NO_P2P.
 * @DMA_SGT_EXPORTER_REQUIRES_P2P_DISTANCE: fits only an importer that accepts
 *	P2P and that pci_p2pdma_distance() finds reachable.
 *
 * Apart from "no P2P" the values of the two enums do not overlap, so that the
 * core notices one that ends up on the wrong side.
 */
enum dma_buf_sgt_exporter_p2p {
	DMA_SGT_EXPORTER_REQUIRES_NOTHING = DMA_SGT_NO_P2P,
	DMA_SGT_EXPORTER_REQUIRES_P2P_DISTANCE = 2,
};

/**
 * enum dma_buf_p2p_route - how an SGT importer reaches the MMIO of a peer
 * @DMA_BUF_P2P_NO_ROUTE: it does not, or the exporter has not recorded how.
 * @DMA_BUF_P2P_BUS_ADDRESS: through PCI switches above both devices, bypassing
 *	the IOMMU.
 * @DMA_BUF_P2P_HOST_BRIDGE_IOVA: through the host bridge, all ranges in one
 *	piece of the IOMMU's address space.
 * @DMA_BUF_P2P_HOST_BRIDGE_PHYS: through the host bridge, each range mapped by
 *	dma_map_phys().
 */
enum dma_buf_p2p_route {
	DMA_BUF_P2P_NO_ROUTE,
	DMA_BUF_P2P_BUS_ADDRESS,
	DMA_BUF_P2P_HOST_BRIDGE_IOVA,
	DMA_BUF_P2P_HOST_BRIDGE_PHYS,
};

/**
 * enum dma_buf_memory - what a part of a buffer is
 * @DMA_BUF_MEMORY_UNKNOWN: an exporter of scatterlists has not said.
 * @DMA_BUF_MEMORY_RAM: system memory.
 * @DMA_BUF_MEMORY_PEER: MMIO of a PCI device.
 */
enum dma_buf_memory {
	DMA_BUF_MEMORY_UNKNOWN,
	DMA_BUF_MEMORY_RAM,
	DMA_BUF_MEMORY_PEER,
};

/**
 * struct dma_buf_tph - TLP processing hints that the owner of MMIO wants
 * @tag: steering tag
 * @hint: processing hint
 * @valid: false if the owner wants none
 */
struct dma_buf_tph {
	u16 tag;
	u8 hint;
	bool valid;
};

/**
 * struct dma_buf_place - what an importer may know about memory that it maps
 * @memory: what it is
 * @route: how the importer's device reaches the MMIO of @peer
 * @peer: for %DMA_BUF_MEMORY_PEER, whose MMIO it is
 * @node: NUMA node of the memory or the peer; %NUMA_NO_NODE if it is on several
 *	or nobody knows
 * @tph: for %DMA_BUF_MEMORY_PEER, hints for transfers to it
 *
 * There is no physical address here. All of it is valid until the unmap.
 */
struct dma_buf_place {
	enum dma_buf_memory memory;
	enum dma_buf_p2p_route route;
	struct pci_dev *peer;
	int node;
	struct dma_buf_tph tph;
};

/* Words that a driver-private mapping type has for its own data */
#define DMA_BUF_MAPPING_PAYLOAD_WORDS	3

/**
 * struct dma_buf_mapping_match - an exporter's offer or an importer's request
 * @type: the mapping type, mandatory
 * @exp_ops: the exporter's ops for @type; NULL in a request
 * @sgt_data: parameters of dma_buf_mapping_sgt_type and dma_buf_mapping_dal_type
 * @sgt_data.importing_dma_device: the device whose DMA API maps the buffer, set
 *	by the importer
 * @sgt_data.exporting_p2p_device: the device whose MMIO the buffer is, set by
 *	an exporter that requires P2P
 * @sgt_data.importer_accepts_p2p: &enum dma_buf_sgt_importer_p2p
 * @sgt_data.exporter_requires_p2p: &enum dma_buf_sgt_exporter_p2p
 * @sgt_data.p2p_route: &enum dma_buf_p2p_route of the last mapping, for
 *	display; protected by the dma-buf reservation lock
 * @pal_data: parameters of dma_buf_mapping_pal_type, for converters
 * @pal_data.p2p_device: the device whose MMIO the buffer is, set by the exporter
 * @pal_data.is_ram: the buffer is system memory, set by the exporter
 * @pal_data.obstacle: why nobody may have the addresses, set by the exporter
 * @sgt_data.dal_accepts: for dma_buf_mapping_dal_type, which shares the other
 *	parameters, what the importer copes with, such as %DMA_BUF_DAL_ANY
 * @sgt_data.dal_mapped: for dma_buf_mapping_dal_type, a scatterlist of the exporter
 *	is mapped; protected by the dma-buf reservation lock
 * @payload: parameters of a driver-private type. The core copies them and never
 *	reads them, see dma_buf_mapping_payload().
 *
 * Exporters and importers fill these with the macros of the type, such as
 * DMA_BUF_EMAPPING_SGT() and DMA_BUF_IMAPPING_SGT().
 */
struct dma_buf_mapping_match {
	const struct dma_buf_mapping_type *type;
	const struct dma_buf_mapping_exp_ops *exp_ops;
	union {
		struct {
			struct device *importing_dma_device;
			struct pci_dev *exporting_p2p_device;
			u8 importer_accepts_p2p;
			u8 exporter_requires_p2p;
			u8 p2p_route;
			u8 dal_accepts;
			bool dal_mapped;
		} sgt_data;
		struct {
			struct pci_dev *p2p_device;
			bool is_ram;
			const char *obstacle;
		} pal_data;
		unsigned long payload[DMA_BUF_MAPPING_PAYLOAD_WORDS];
	};
};

/**
 * dma_buf_mapping_payload - the data of a private type inside a match
 * @match: pointer to &struct dma_buf_mapping_match
 * @data: the type's own structure, as large as the payload at most; const if
 *	@match is
 *
 * Return: A pointer to @data inside @match.
 */
#define dma_buf_mapping_payload(match, data)				\
	((typeof(data) *)((match)->payload +				\
		BUILD_BUG_ON_ZERO(sizeof(data) >			\
			sizeof_field(struct dma_buf_mapping_match, payload))))

/**
 * struct dma_buf_match_args - one attach on its way through the matching
 * @dmabuf: buffer to attach to
 * @attach: the new attachment. Everything but &dma_buf_attachment.map_type,
 *	its place in the list, and the exporter's &dma_buf_attachment.priv is
 *	valid.
 * @imp_matches: the importer's requests
 * @imp_len: number of requests, at least one
 * @exp: the exporter's offer that a converter stands in for
 * @why: why no pair has fitted so far, see dma_buf_match_refuse()
 * @passed: why the best pair of one type did not fit, NULL if all did so far
 */
struct dma_buf_match_args {
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attach;
	const struct dma_buf_mapping_match *imp_matches;
	size_t imp_len;
	const struct dma_buf_mapping_match *exp;
	const char *why;
	const char *passed;
};

/**
 * struct dma_buf_match_query - a match without a buffer, and what came of it
 * @request: the importer's request
 * @type: the mapping type that an attachment would have, NULL if none
 * @why: why there is none, as one word; NULL if nobody has said it
 */
struct dma_buf_match_query {
	struct dma_buf_mapping_match request;
	const struct dma_buf_mapping_type *type;
	const char *why;
};

int dma_buf_match_query(struct dma_buf_match_query *query,
			const struct dma_buf_mapping_match *exp,
			size_t exp_len);
int dma_buf_match_mapping(struct dma_buf_match_args *args,
			  const struct dma_buf_mapping_match *exp,
			  size_t exp_len);
int dma_buf_match_refuse(struct dma_buf_match_args *args, const char *why);
int dma_buf_attach_refuse(const struct dma_buf_attachment *attach,
			  const char *why, int err);

#endif /* __DMA_BUF_MATCH_H__ */
