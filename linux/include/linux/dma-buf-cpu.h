/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMA-buf mapping type CPU: the core copies to and from the buffer.
 */
#ifndef __DMA_BUF_CPU_H__
#define __DMA_BUF_CPU_H__

#include <linux/dma-buf.h>
#include <linux/iosys-map.h>

struct dma_buf_phys_list;

extern const struct dma_buf_mapping_type dma_buf_mapping_cpu_type;

/**
 * DOC: CPU access for importers
 *
 * With the type CPU, an importer without a device of its own, such as a network
 * protocol in software, has the core copy for it. It sees neither an address nor
 * a pointer, so the exporter can take the memory back: after an unmap there is
 * nothing left to dereference.
 *
 * CPU is a *view*, as DAL is: importers request it, and converters serve it from
 * PAL, or from exporters of scatterlists that can be mapped for the CPU.
 */

/**
 * DMA_BUF_IMAPPING_CPU - an importer's request for the CPU type
 */
#define DMA_BUF_IMAPPING_CPU()						\
	((struct dma_buf_mapping_match) {				\
		.type = &dma_buf_mapping_cpu_type,			\
	})

/**
 * struct dma_buf_cpu - a buffer that can be copied to and from
 *
 * Embedded in whatever the importer has for it. Only the core looks inside.
 */
struct dma_buf_cpu {
	/* private: */
	struct dma_buf_attachment *attach;
	const struct dma_buf_phys_list *list;
	union {
		/* For MMIO: the ranges of the list */
		void __iomem **ranges;
		struct iosys_map map;
	};
};

int dma_buf_cpu_map(struct dma_buf_attachment *attach, struct dma_buf_cpu *cpu);
void dma_buf_cpu_unmap(struct dma_buf_cpu *cpu);
int dma_buf_cpu_begin(struct dma_buf_attachment *attach, bool write);
int dma_buf_cpu_end(struct dma_buf_attachment *attach, bool write);
int dma_buf_cpu_copy(const struct dma_buf_cpu *cpu, size_t offset, void *mem,
		     size_t len, bool write);

/**
 * dma_buf_cpu_mapped - can a buffer be copied to and from?
 * @cpu: what dma_buf_cpu_map() filled in, or zeroes
 *
 * Context: Any. Keep map and unmap out of it as for dma_buf_cpu_copy().
 *
 * Return: True between dma_buf_cpu_map() and dma_buf_cpu_unmap().
 */
static inline bool dma_buf_cpu_mapped(const struct dma_buf_cpu *cpu)
{
	return cpu->attach;
}

#endif /* __DMA_BUF_CPU_H__ */
