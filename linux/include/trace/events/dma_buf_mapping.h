/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which mapping types were tried for a buffer, which was picked, why others
 * were refused, and what was mapped.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM dma_buf

#if !defined(_TRACE_DMA_BUF_MAPPING_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_DMA_BUF_MAPPING_H

#include <linux/dma-buf.h>
#include <linux/pci.h>
#include <linux/tracepoint.h>

/* One pair of an exporter's offer and an importer's request, and its verdict */
TRACE_EVENT(dma_buf_match,

	TP_PROTO(const struct dma_buf *dmabuf,
		 const struct dma_buf_mapping_match *exp,
		 const struct dma_buf_mapping_match *imp,
		 const char *verdict, int err),

	TP_ARGS(dmabuf, exp, imp, verdict, err),

	TP_STRUCT__entry(
		__string(exp_name, dmabuf->exp_name)
		__field(ino_t, ino)
		__string(provider, dma_buf_match_device_name(exp))
		__string(importer, dma_buf_match_device_name(imp))
		__string(offer, dma_buf_match_type_name(exp))
		__string(request, dma_buf_match_type_name(imp))
		__string(converter, dma_buf_converter_name(exp))
		__string(verdict, verdict)
		__field(int, err)
	),

	TP_fast_assign(
		__assign_str(exp_name);
		__entry->ino = file_inode(dmabuf->file)->i_ino;
		__assign_str(provider);
		__assign_str(importer);
		__assign_str(offer);
		__assign_str(request);
		__assign_str(converter);
		__assign_str(verdict);
		__entry->err = err;
	),

	TP_printk("exp_name=%s ino=%lu provider=%s importer=%s offer=%s request=%s converter=%s verdict=%s err=%d",
		  __get_str(exp_name), (unsigned long)__entry->ino,
		  __get_str(provider), __get_str(importer), __get_str(offer),
		  __get_str(request), __get_str(converter), __get_str(verdict),
		  __entry->err)
);

/*
 * A PCI function in the way from an importer to the device that has the memory.
 * Precedes the pair that is refused for it.
 */
TRACE_EVENT(dma_buf_p2p_obstacle,

	TP_PROTO(struct pci_dev *provider, struct pci_dev *client,
		 struct pci_dev *function),

	TP_ARGS(provider, client, function),

	TP_STRUCT__entry(
		__string(provider, pci_name(provider))
		__string(importer, pci_name(client))
		__string(function, pci_name(function))
		__field(u16, vendor)
		__field(u16, device)
	),

	TP_fast_assign(
		__assign_str(provider);
		__assign_str(importer);
		__assign_str(function);
		__entry->vendor = function->vendor;
		__entry->device = function->device;
	),

	TP_printk("provider=%s importer=%s function=%s id=%04x:%04x",
		  __get_str(provider), __get_str(importer),
		  __get_str(function), __entry->vendor, __entry->device)
);

/* What is done with the buffer as a whole, such as a vmap, has failed */
TRACE_EVENT(dma_buf_failed,

	TP_PROTO(const struct dma_buf *dmabuf, const char *what, int err),

	TP_ARGS(dmabuf, what, err),

	TP_STRUCT__entry(
		__string(exp_name, dmabuf->exp_name)
		__field(ino_t, ino)
		__string(what, what)
		__field(int, err)
	),

	TP_fast_assign(
		__assign_str(exp_name);
		__entry->ino = file_inode(dmabuf->file)->i_ino;
		__assign_str(what);
		__entry->err = err;
	),

	TP_printk("exp_name=%s ino=%lu what=%s err=%d", __get_str(exp_name),
		  (unsigned long)__entry->ino, __get_str(what), __entry->err)
);

/* One attachment, with what was agreed on */
DECLARE_EVENT_CLASS(dma_buf_attachment,

	TP_PROTO(const struct dma_buf_attachment *attach, const char *verdict,
		 int err),

	TP_ARGS(attach, verdict, err),

	TP_STRUCT__entry(
		__field(const void *, attach)
		__string(exp_name, attach->dmabuf->exp_name)
		__field(ino_t, ino)
		__field(size_t, size)
		__string(importer, dma_buf_importer_name(attach))
		__string(type, dma_buf_match_type_name(&attach->map_type))
		__string(converter,
			 dma_buf_converter_name(&attach->map_type))
		__string(verdict, verdict)
		__field(int, err)
	),

	TP_fast_assign(
		__entry->attach = attach;
		__assign_str(exp_name);
		__entry->ino = file_inode(attach->dmabuf->file)->i_ino;
		__entry->size = attach->dmabuf->size;
		__assign_str(importer);
		__assign_str(type);
		__assign_str(converter);
		__assign_str(verdict);
		__entry->err = err;
	),

	TP_printk("attachment:%p exp_name=%s ino=%lu size=%zu importer=%s type=%s converter=%s verdict=%s err=%d",
		  __entry->attach, __get_str(exp_name),
		  (unsigned long)__entry->ino, __entry->size, __get_str(importer),
		  __get_str(type), __get_str(converter), __get_str(verdict),
		  __entry->err)
);

/* The end of an attach, good or bad */
DEFINE_EVENT(dma_buf_attachment, dma_buf_mapping_attach,
	TP_PROTO(const struct dma_buf_attachment *attach, const char *verdict,
		 int err),
	TP_ARGS(attach, verdict, err)
);

/* An exporter refuses an attachment, or to map for it, and says why */
DEFINE_EVENT(dma_buf_attachment, dma_buf_refuse,
	TP_PROTO(const struct dma_buf_attachment *attach, const char *verdict,
		 int err),
	TP_ARGS(attach, verdict, err)
);

/* An importer is told to unmap */
DEFINE_EVENT(dma_buf_attachment, dma_buf_invalidate,
	TP_PROTO(const struct dma_buf_attachment *attach, const char *verdict,
		 int err),
	TP_ARGS(attach, verdict, err)
);

/* One mapping of an attachment */
DECLARE_EVENT_CLASS(dma_buf_mapping,

	TP_PROTO(const struct dma_buf_attachment *attach, size_t ranges,
		 const char *route, int err),

	TP_ARGS(attach, ranges, route, err),

	TP_STRUCT__entry(
		__field(const void *, attach)
		__string(exp_name, attach->dmabuf->exp_name)
		__field(ino_t, ino)
		__string(importer, dma_buf_importer_name(attach))
		__string(type, dma_buf_match_type_name(&attach->map_type))
		__string(converter,
			 dma_buf_converter_name(&attach->map_type))
		__field(size_t, ranges)
		__field(size_t, bytes)
		__string(route, route)
		__field(int, err)
	),

	TP_fast_assign(
		__entry->attach = attach;
		__assign_str(exp_name);
		__entry->ino = file_inode(attach->dmabuf->file)->i_ino;
		__assign_str(importer);
		__assign_str(type);
		__assign_str(converter);
		__entry->ranges = ranges;
		__entry->bytes = err ? 0 : attach->dmabuf->size;
		__assign_str(route);
		__entry->err = err;
	),

	TP_printk("attachment:%p exp_name=%s ino=%lu importer=%s type=%s converter=%s ranges=%zu bytes=%zu route=%s err=%d",
		  __entry->attach, __get_str(exp_name),
		  (unsigned long)__entry->ino, __get_str(importer),
		  __get_str(type), __get_str(converter), __entry->ranges,
		  __entry->bytes, __get_str(route), __entry->err)
);

/* The end of a map, good or bad */
DEFINE_EVENT(dma_buf_mapping, dma_buf_map,
	TP_PROTO(const struct dma_buf_attachment *attach, size_t ranges,
		 const char *route, int err),
	TP_ARGS(attach, ranges, route, err)
);

/* The beginning of an unmap */
DEFINE_EVENT(dma_buf_mapping, dma_buf_unmap,
	TP_PROTO(const struct dma_buf_attachment *attach, size_t ranges,
		 const char *route, int err),
	TP_ARGS(attach, ranges, route, err)
);

#endif /* _TRACE_DMA_BUF_MAPPING_H */

/* This part must be outside protection; dma_buf.h has the same TRACE_SYSTEM */
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE dma_buf_mapping
#include <trace/define_trace.h>
