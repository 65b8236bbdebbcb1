// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA-buf mapping type CPU: the core copies to and from the buffer.
 *
 * As for DAL, no exporter offers this type, only converters do.
 */
#include <linux/container_of.h>
#include <linux/dma-buf-cpu.h>
#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/module.h>

#include "dma-buf-converter.h"

#include <trace/events/dma_buf_mapping.h>

static int dma_buf_cpu_match(struct dma_buf_match_args *args,
			     const struct dma_buf_mapping_match *exp,
			     const struct dma_buf_mapping_match *imp)
{
	/* An exporter that offers a view */
	return WARN_ON(!dma_buf_converter_by_ops(exp->exp_ops)) ? -EINVAL : 0;
}

/**
 * var dma_buf_mapping_cpu_type - the buffer by way of a copy
 */
const struct dma_buf_mapping_type dma_buf_mapping_cpu_type = {
	.name = "CPU",
	.owner = THIS_MODULE,
	.match = dma_buf_cpu_match,
};
EXPORT_SYMBOL_NS_GPL(dma_buf_mapping_cpu_type, "DMA_BUF");

static const struct dma_buf_mapping_cpu_exp_ops *
dma_buf_cpu_ops(const struct dma_buf_cpu *cpu)
{
	return container_of(cpu->attach->map_type.exp_ops,
			    const struct dma_buf_mapping_cpu_exp_ops, ops);
}

/* Map, and wait for whoever cannot wait by itself */
static int dma_buf_cpu_map_and_wait(struct dma_buf_cpu *cpu)
{
	int ret;

	ret = dma_buf_cpu_ops(cpu)->map(cpu);
	if (ret)
		return ret;

	ret = dma_buf_sgt_wait(cpu->attach);
	if (ret)
		dma_buf_cpu_ops(cpu)->unmap(cpu);
	return ret;
}

/**
 * dma_buf_cpu_map - make a buffer ready for dma_buf_cpu_copy()
 * @attach:	[in]	attachment of the CPU type
 * @cpu:	[out]	the mapping
 *
 * The importer must undo this with dma_buf_cpu_unmap(), at the latest when
 * &dma_buf_attach_ops.invalidate_mappings asks for it. Dynamic importers must
 * wait for the exclusive fence of &dma_buf.resv before they copy.
 *
 * Context: May sleep. The dma-buf reservation lock must be held.
 *
 * Return: 0. -EINVAL for an attachment of another type, -ENODEV if the memory is
 * revoked, -ENOMEM, -EINTR if a signal came, or what the exporter returns.
 */
int dma_buf_cpu_map(struct dma_buf_attachment *attach, struct dma_buf_cpu *cpu)
{
	int ret;

	might_sleep();

	if (WARN_ON(!attach || !attach->dmabuf || !cpu ||
		    attach->map_type.type != &dma_buf_mapping_cpu_type))
		return -EINVAL;

	dma_resv_assert_held(attach->dmabuf->resv);

	*cpu = (struct dma_buf_cpu) { .attach = attach };
	ret = dma_buf_cpu_map_and_wait(cpu);
	trace_dma_buf_map(attach, !ret, "none", ret);
	if (ret) {
		dma_buf_outcome_add(attach->dmabuf,
				    dma_buf_mapping_cpu_type.name,
				    "map-failed", ret);
		cpu->attach = NULL;
	}
	return ret;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_cpu_map, "DMA_BUF");

/**
 * dma_buf_cpu_unmap - undo dma_buf_cpu_map()
 * @cpu: the mapping
 *
 * The importer must have stopped to copy before it calls this.
 *
 * Context: May sleep. The dma-buf reservation lock must be held.
 */
void dma_buf_cpu_unmap(struct dma_buf_cpu *cpu)
{
	if (WARN_ON(!cpu || !cpu->attach))
		return;

	dma_resv_assert_held(cpu->attach->dmabuf->resv);

	trace_dma_buf_unmap(cpu->attach, 1, "none", 0);
	dma_buf_cpu_ops(cpu)->unmap(cpu);
	cpu->attach = NULL;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_cpu_unmap, "DMA_BUF");

/**
 * dma_buf_cpu_copy - copy to or from a buffer
 * @cpu:	[in]	the mapping
 * @offset:	[in]	first byte of the buffer
 * @mem:	[in,out] the importer's memory
 * @len:	[in]	number of bytes
 * @write:	[in]	true to copy from @mem to the buffer
 *
 * The importer keeps its own unmap out of this, with a lock that both take.
 *
 * Context: May sleep. The dma-buf reservation lock must not be held.
 *
 * Return: 0. -EFAULT, and nothing is copied, if the bytes are not inside the
 * buffer or if it is not mapped, so that a copy that comes after a revoke needs
 * no check. An exporter of scatterlists may return other errors.
 */
int dma_buf_cpu_copy(const struct dma_buf_cpu *cpu, size_t offset, void *mem,
		     size_t len, bool write)
{
	size_t size;

	might_sleep();

	if (!cpu->attach)
		return -EFAULT;

	size = cpu->attach->dmabuf->size;
	if (offset > size || len > size - offset)
		return -EFAULT;
	return len ? dma_buf_cpu_ops(cpu)->copy(cpu, offset, mem, len, write) : 0;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_cpu_copy, "DMA_BUF");
