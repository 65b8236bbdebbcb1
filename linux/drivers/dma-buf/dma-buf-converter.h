/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMA-buf converters: core code that serves a request of one mapping type from
 * an offer of another. Also what else the files of the core share.
 * Private to the core.
 */
#ifndef __DMA_BUF_CONVERTER_H__
#define __DMA_BUF_CONVERTER_H__

#include <linux/dma-buf-pal.h>

struct dma_buf_cpu;
struct dma_buf_dal;
struct dma_buf_outcome;

/**
 * struct dma_buf_converter - one way to serve one type from another
 * @name: for debugfs and trace events
 * @from: the type of the exporter's offer
 * @to: the type of the importer's request
 * @ops: the converter's own exporter ops of @to, which tell it from others
 */
struct dma_buf_converter {
	const char *name;
	const struct dma_buf_mapping_type *from;
	const struct dma_buf_mapping_type *to;
	const struct dma_buf_mapping_exp_ops *ops;

	/**
	 * @offer:
	 *
	 * Makes the offer of type @to, with @ops, that stands for the
	 * exporter's offer @exp of type @from. The core then matches it like an
	 * offer of the exporter, so the rules of @to apply. Called without the
	 * dma-buf reservation lock, and takes nothing.
	 *
	 * Returns:
	 *
	 * 0, or what dma_buf_match_refuse() returns if this offer cannot be
	 * converted.
	 */
	int (*offer)(struct dma_buf_match_args *args,
		     const struct dma_buf_mapping_match *exp,
		     struct dma_buf_mapping_match *offer);
};

extern const struct dma_buf_converter dma_buf_pal_to_sgt;
extern const struct dma_buf_converter dma_buf_pal_to_dal;
extern const struct dma_buf_converter dma_buf_sgt_to_dal;
extern const struct dma_buf_converter dma_buf_pal_to_cpu;
extern const struct dma_buf_converter dma_buf_sgt_to_cpu;

/**
 * struct dma_buf_mapping_dal_exp_ops - what a converter to DAL has to do
 * @ops: tag, see &struct dma_buf_mapping_exp_ops
 * @map: maps the slice of @dal, or nothing if it fails, and fills in the rest
 * @unmap: undoes @map
 * @core_maps: the converter calls the DMA API: for any device of the importer,
 *	and for RAM only if that device is coherent
 */
struct dma_buf_mapping_dal_exp_ops {
	struct dma_buf_mapping_exp_ops ops;
	int (*map)(struct dma_buf_dal *dal);
	void (*unmap)(struct dma_buf_dal *dal);
	bool core_maps;
};

/**
 * struct dma_buf_mapping_cpu_exp_ops - what a converter to CPU has to do
 * @ops: tag, see &struct dma_buf_mapping_exp_ops
 * @map: makes the buffer ready, or does nothing if it fails
 * @unmap: undoes @map
 * @begin: tells the exporter that the CPU will access the buffer, without the
 *	reservation lock; optional
 * @end: undoes @begin; optional
 * @copy: copies at least one byte, inside the buffer. Importers call it with locks
 *	that they take inside the reservation lock, so it must not take that one
 */
struct dma_buf_mapping_cpu_exp_ops {
	struct dma_buf_mapping_exp_ops ops;
	int (*map)(struct dma_buf_cpu *cpu);
	void (*unmap)(struct dma_buf_cpu *cpu);
	int (*begin)(struct dma_buf_attachment *attach, bool write);
	int (*end)(struct dma_buf_attachment *attach, bool write);
	void (*copy)(const struct dma_buf_cpu *cpu, size_t offset, void *mem,
		     size_t len, bool write);
};

#if IS_ENABLED(CONFIG_DMABUF_KUNIT_TEST)
/* One row of the table for the tests */
extern const struct dma_buf_converter *dma_buf_test_converter;
#endif

int dma_buf_converters_show(struct seq_file *s, void *unused);
const struct dma_buf_converter *
dma_buf_converter_by_ops(const struct dma_buf_mapping_exp_ops *ops);
const char *dma_buf_converter_name(const struct dma_buf_mapping_match *match);
const char *dma_buf_match_type_name(const struct dma_buf_mapping_match *match);
const char *
dma_buf_match_device_name(const struct dma_buf_mapping_match *match);
const char *dma_buf_importer_name(const struct dma_buf_attachment *attach);

void dma_buf_outcome_free(struct dma_buf *dmabuf);
void dma_buf_outcome_clear(struct dma_buf *dmabuf);
void dma_buf_outcome_set(struct dma_buf *dmabuf, const char *type,
			 const char *why, int err);
void dma_buf_outcome_add(struct dma_buf *dmabuf, const char *type,
			 const char *why, int err);
bool dma_buf_outcome_get(struct dma_buf *dmabuf, struct dma_buf_outcome *told);
long dma_buf_outcome_ioctl(struct dma_buf *dmabuf, void __user *arg);

/**
 * struct dma_buf_phys_list - the physical addresses of a buffer, in its order
 * @size: bytes in all ranges together, 0 until dma_buf_phys_list_seal()
 * @memory: what the addresses point to
 * @provider: for MMIO of a PCI device, where it sits in the PCI hierarchy; NULL
 *	if unknown
 * @node: for RAM, its NUMA node, or %NUMA_NO_NODE if it is on several
 * @tph: for MMIO, hints for transfers to it
 * @starts: offset in the buffer of every 64th range, for
 *	dma_buf_phys_list_seek()
 * @count: number of ranges
 * @phys: the ranges: at least one, none of them empty, page aligned
 *
 * The exporter allocates the list with dma_buf_phys_list_alloc(), fills in
 * @phys, and has it checked once by dma_buf_phys_list_seal(). From then on
 * nobody changes it, so importers use it in place.
 *
 * Drivers do not know the layout: whoever is attached can find the list, and
 * dma_buf_phys_list_seek() alone leads from it to the addresses.
 */
struct dma_buf_phys_list {
	size_t size;
	enum dma_buf_phys_memory memory;
	struct p2pdma_provider *provider;
	int node;
	struct dma_buf_tph tph;
	size_t *starts;
	size_t count;
	struct phys_vec phys[] __counted_by(count);
};

#ifdef CONFIG_PCI_P2PDMA
const char *dma_buf_p2p_obstacle(struct pci_dev *provider,
				 struct pci_dev *client, bool name);
#else
static inline const char *dma_buf_p2p_obstacle(struct pci_dev *provider,
					       struct pci_dev *client,
					       bool name)
{
	return "no-p2pdma";
}
#endif

/* What DAL has in common with SGT */
const char *
dma_buf_sgt_p2p_obstacle(struct pci_dev *provider,
			 const struct dma_buf_mapping_match *imp, bool name);
const char *
dma_buf_sgt_memory_obstacle(const struct dma_buf_mapping_match *exp,
			    const struct dma_buf_mapping_match *imp);
bool dma_buf_sgt_offer_valid(const struct dma_buf_mapping_match *exp);
struct device *dma_buf_sgt_device(const struct dma_buf_mapping_match *match);
const char *dma_buf_p2p_route_name(enum dma_buf_p2p_route route);
void dma_buf_sgt_debugfs_dump(struct seq_file *s,
			      struct dma_buf_attachment *attach);
int dma_buf_sgt_pin(struct dma_buf_attachment *attach);
void dma_buf_sgt_unpin(struct dma_buf_attachment *attach);
int dma_buf_sgt_wait(struct dma_buf_attachment *attach);

/*
 * The only ways from an attachment to physical addresses. They are not exported;
 * dma_buf_pal_map_phys() is, to named modules.
 */
struct dma_buf_pal_source *
dma_buf_pal_source_of(const struct dma_buf_mapping_exp_ops *ops);
struct dma_buf_phys_list *
dma_buf_pal_source_map(struct dma_buf_pal_source *source,
		       struct dma_buf_attachment *attach);
void dma_buf_pal_source_place(const struct dma_buf_pal_source *source,
			      struct dma_buf_place *place);

#endif /* __DMA_BUF_CONVERTER_H__ */
