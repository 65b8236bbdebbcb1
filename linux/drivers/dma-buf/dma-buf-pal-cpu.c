// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA-buf converter PAL -> CPU: copies to and from the memory of an exporter's
 * physical address list. RAM has pages; MMIO is mapped for the CPU as long as the
 * importer has it mapped.
 */
#include <linux/dma-buf-cpu.h>
#include <linux/dma-buf-pal.h>
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "dma-buf-converter.h"

static void unmap_ranges(void __iomem **ranges, size_t count)
{
	while (count--)
		iounmap(ranges[count]);
	kvfree(ranges);
}

static int map_ranges(struct dma_buf_cpu *cpu)
{
	const struct dma_buf_phys_list *list = cpu->list;
	size_t i;

	cpu->ranges = kvcalloc(list->count, sizeof(*cpu->ranges), GFP_KERNEL);
	if (!cpu->ranges)
		return -ENOMEM;

	for (i = 0; i < list->count; i++) {
		cpu->ranges[i] = ioremap(list->phys[i].paddr,
					 list->phys[i].len);
		if (!cpu->ranges[i]) {
			unmap_ranges(cpu->ranges, i);
			return -ENOMEM;
		}
	}
	return 0;
}

static int pal_cpu_map(struct dma_buf_cpu *cpu)
{
	struct dma_buf_pal_source *source =
		dma_buf_pal_source_of(cpu->attach->converted);
	struct dma_buf_phys_list *list;
	int ret = 0;

	list = dma_buf_pal_source_map(source, cpu->attach);
	if (IS_ERR(list))
		return PTR_ERR(list);

	cpu->list = list;
	if (list->memory != DMA_BUF_PHYS_RAM)
		ret = map_ranges(cpu);
	if (ret)
		dma_buf_pal_source_put(source, cpu->attach);
	return ret;
}

static void pal_cpu_unmap(struct dma_buf_cpu *cpu)
{
	if (cpu->list->memory != DMA_BUF_PHYS_RAM)
		unmap_ranges(cpu->ranges, cpu->list->count);
	dma_buf_pal_source_put(dma_buf_pal_source_of(cpu->attach->converted),
			       cpu->attach);
}

/* As many bytes as one page has */
static size_t copy_in_page(phys_addr_t paddr, void *mem, size_t len,
			   bool write)
{
	size_t offset = offset_in_page(paddr);
	struct page *page = phys_to_page(paddr);

	len = min(len, PAGE_SIZE - offset);
	if (write)
		memcpy_to_page(page, offset, mem, len);
	else
		memcpy_from_page(mem, page, offset, len);
	return len;
}

static void copy_ram(phys_addr_t paddr, void *mem, size_t len, bool write)
{
	size_t done;

	for (; len; len -= done, paddr += done, mem += done)
		done = copy_in_page(paddr, mem, len, write);
}

static void copy_mmio(void __iomem *io, void *mem, size_t len, bool write)
{
	if (write)
		memcpy_toio(io, mem, len);
	else
		memcpy_fromio(mem, io, len);
}

static void pal_cpu_copy(const struct dma_buf_cpu *cpu, size_t offset, void *mem,
			 size_t len, bool write)
{
	const struct dma_buf_phys_list *list = cpu->list;
	const bool is_ram = list->memory == DMA_BUF_PHYS_RAM;
	struct dma_buf_phys_iter iter;
	size_t done;

	/* Inside the list, which is as large as the buffer, if there is a byte to copy */
	dma_buf_phys_list_seek(list, offset, &iter);
	for (; len; len -= done, mem += done) {
		done = min(len, iter.range->len - iter.offset);
		if (is_ram)
			copy_ram(iter.range->paddr + iter.offset, mem, done,
				 write);
		else
			copy_mmio(cpu->ranges[iter.range - list->phys] +
				  iter.offset, mem, done, write);
		iter.range++;
		iter.offset = 0;
	}
}

static const struct dma_buf_mapping_cpu_exp_ops pal_cpu_ops = {
	.map = pal_cpu_map,
	.unmap = pal_cpu_unmap,
	.copy = pal_cpu_copy,
};

static int pal_cpu_offer(struct dma_buf_match_args *args,
			 const struct dma_buf_mapping_match *exp,
			 struct dma_buf_mapping_match *offer)
{
	*offer = (struct dma_buf_mapping_match) {
		.type = &dma_buf_mapping_cpu_type,
		.exp_ops = &pal_cpu_ops.ops,
	};
	return 0;
}

const struct dma_buf_converter dma_buf_pal_to_cpu = {
	.name = "PAL->CPU",
	.from = &dma_buf_mapping_pal_type,
	.to = &dma_buf_mapping_cpu_type,
	.ops = &pal_cpu_ops.ops,
	.offer = pal_cpu_offer,
};
