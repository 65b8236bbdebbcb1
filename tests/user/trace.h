/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The trace events of the series, kept for the tests to look at. Like the real
 * ones they ask for names, and cost nothing when they are off.
 */
#ifndef TRACE_H
#define TRACE_H

static inline void trace_note(const char *name, const char *verdict,
			      size_t ranges, int err)
{
	CHECK(shim.nr_events < EVENTS);
	shim.events[shim.nr_events++] = (struct event){
		.name = name, .verdict = verdict, .ranges = ranges, .err = err,
	};
}

static inline void trace_names(const struct dma_buf_attachment *attach)
{
	CHECK(dma_buf_importer_name(attach)[0]);
	CHECK(dma_buf_match_type_name(&attach->map_type)[0]);
	CHECK(dma_buf_converter_name(&attach->map_type)[0]);
}

static inline void trace_dma_buf_match(const struct dma_buf *dmabuf,
				       const struct dma_buf_mapping_match *exp,
				       const struct dma_buf_mapping_match *imp,
				       const char *verdict, int err)
{
	if (!shim.traced)
		return;
	CHECK(dmabuf->size && dma_buf_match_type_name(exp)[0] && dma_buf_match_type_name(imp)[0]);
	CHECK(dma_buf_match_device_name(exp)[0]);
	CHECK(dma_buf_match_device_name(imp)[0]);
	CHECK(dma_buf_converter_name(exp)[0]);
	trace_note("match", verdict, 0, err);
}

static inline void trace_dma_buf_refuse(const struct dma_buf_attachment *attach,
					const char *verdict, int err)
{
	if (!shim.traced)
		return;
	trace_names(attach);
	trace_note("refuse", verdict, 0, err);
}

static inline void trace_dma_buf_map(const struct dma_buf_attachment *attach,
				     size_t ranges, const char *route, int err)
{
	if (!shim.traced)
		return;
	trace_names(attach);
	trace_note("map", route, ranges, err);
}

static inline void trace_dma_buf_unmap(const struct dma_buf_attachment *attach,
				       size_t ranges, const char *route, int err)
{
	if (!shim.traced)
		return;
	trace_names(attach);
	trace_note("unmap", route, ranges, err);
}

static inline void trace_dma_buf_p2p_obstacle(struct pci_dev *provider,
					      struct pci_dev *client,
					      struct pci_dev *function)
{
	CHECK(pci_name(provider)[0] && pci_name(client)[0]);
	trace_note("obstacle", pci_name(function), 0, 0);
}

#define trace_dma_buf_p2p_obstacle_enabled()	(shim.traced)
#define trace_dma_buf_match_enabled()	(shim.traced)
#define trace_dma_buf_map_enabled()	(shim.traced)
#define trace_dma_buf_unmap_enabled()	(shim.traced)

#endif /* TRACE_H */
