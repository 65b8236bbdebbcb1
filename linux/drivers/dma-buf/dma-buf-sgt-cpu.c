// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA-buf converter SGT -> CPU: an exporter of scatterlists whose buffers can be
 * mapped for the CPU serves importers that copy. Its vmap keeps the memory where
 * it is.
 */
#include <linux/dma-buf-cpu.h>
#include <linux/dma-buf-sgt.h>
#include <linux/dma-direction.h>

#include "dma-buf-converter.h"

static int sgt_cpu_map(struct dma_buf_cpu *cpu)
{
	return dma_buf_vmap(cpu->attach->dmabuf, &cpu->map);
}

static void sgt_cpu_unmap(struct dma_buf_cpu *cpu)
{
	dma_buf_vunmap(cpu->attach->dmabuf, &cpu->map);
}

/* A write may leave the rest of a cache line as it was */
static enum dma_data_direction access_dir(bool write)
{
	return write ? DMA_BIDIRECTIONAL : DMA_FROM_DEVICE;
}

static int sgt_cpu_begin(struct dma_buf_attachment *attach, bool write)
{
	return dma_buf_begin_cpu_access(attach->dmabuf, access_dir(write));
}

static int sgt_cpu_end(struct dma_buf_attachment *attach, bool write)
{
	return dma_buf_end_cpu_access(attach->dmabuf, access_dir(write));
}

static void sgt_cpu_copy(const struct dma_buf_cpu *cpu, size_t offset, void *mem,
			 size_t len, bool write)
{
	struct iosys_map map = cpu->map;

	if (write)
		iosys_map_memcpy_to(&map, offset, mem, len);
	else
		iosys_map_memcpy_from(mem, &map, offset, len);
}

static const struct dma_buf_mapping_cpu_exp_ops sgt_cpu_ops = {
	.map = sgt_cpu_map,
	.unmap = sgt_cpu_unmap,
	.begin = sgt_cpu_begin,
	.end = sgt_cpu_end,
	.copy = sgt_cpu_copy,
};

static int sgt_cpu_offer(struct dma_buf_match_args *args,
			 const struct dma_buf_mapping_match *exp,
			 struct dma_buf_mapping_match *offer)
{
	if (!dma_buf_sgt_offer_valid(exp))
		return -EINVAL;
	if (args->dmabuf && !args->dmabuf->ops->vmap)
		return dma_buf_match_refuse(args, "no-vmap");

	*offer = (struct dma_buf_mapping_match) {
		.type = &dma_buf_mapping_cpu_type,
		.exp_ops = &sgt_cpu_ops.ops,
	};
	return 0;
}

const struct dma_buf_converter dma_buf_sgt_to_cpu = {
	.name = "SGT->CPU",
	.from = &dma_buf_mapping_sgt_type,
	.to = &dma_buf_mapping_cpu_type,
	.ops = &sgt_cpu_ops.ops,
	.offer = sgt_cpu_offer,
};
