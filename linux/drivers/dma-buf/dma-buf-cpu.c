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
#include <linux/lockdep.h>
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
dma_buf_cpu_ops(const struct dma_buf_attachment *attach)
{
	return container_of(attach->map_type.exp_ops,
			    const struct dma_buf_mapping_cpu_exp_ops, ops);
}

static bool dma_buf_is_cpu(const struct dma_buf_attachment *attach)
{
	return attach && attach->dmabuf &&
	       attach->map_type.type == &dma_buf_mapping_cpu_type;
}

/* Map, and wait for whoever cannot wait by itself */
static int dma_buf_cpu_map_and_wait(struct dma_buf_cpu *cpu)
{
	int ret;

	ret = dma_buf_cpu_ops(cpu->attach)->map(cpu);
	if (ret)
		return ret;

	ret = dma_buf_sgt_wait(cpu->attach);
	if (ret)
		dma_buf_cpu_ops(cpu->attach)->unmap(cpu);
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
 * revoked, -ENOMEM, -ERESTARTSYS if a signal came, or what the exporter returns.
 */
int dma_buf_cpu_map(struct dma_buf_attachment *attach, struct dma_buf_cpu *cpu)
{
	int ret;

	might_sleep();

	if (WARN_ON(!cpu || !dma_buf_is_cpu(attach)))
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
 * The importer must have stopped copying before it calls this.
 *
 * Context: May sleep. The dma-buf reservation lock must be held.
 */
void dma_buf_cpu_unmap(struct dma_buf_cpu *cpu)
{
	if (WARN_ON(!cpu || !cpu->attach))
		return;

	dma_resv_assert_held(cpu->attach->dmabuf->resv);

	trace_dma_buf_unmap(cpu->attach, 1, "none", 0);
	dma_buf_cpu_ops(cpu->attach)->unmap(cpu);
	cpu->attach = NULL;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_cpu_unmap, "DMA_BUF");

/**
 * dma_buf_cpu_begin - begin to copy
 * @attach:	[in]	attachment of the CPU type
 * @write:	[in]	true if there will be copies to the buffer
 *
 * Tells the exporter, which may have to synchronise caches. It may take the
 * reservation lock, which the importer has when it unmaps. So the importer calls
 * this before it takes the lock that keeps its unmap out of dma_buf_cpu_copy().
 * Any number of copies may follow, then dma_buf_cpu_end().
 *
 * The buffer need not be mapped: it may be unmapped at any time in between.
 *
 * Context: May sleep. The dma-buf reservation lock must not be held.
 *
 * Return: 0, -EINVAL for an attachment of another type, or what the exporter
 * returns; then there is nothing to end.
 */
int dma_buf_cpu_begin(struct dma_buf_attachment *attach, bool write)
{
	might_sleep();

	if (WARN_ON(!dma_buf_is_cpu(attach)))
		return -EINVAL;

	lockdep_assert_not_held(&attach->dmabuf->resv->lock.base);
	if (!dma_buf_cpu_ops(attach)->begin)
		return 0;
	return dma_buf_cpu_ops(attach)->begin(attach, write);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_cpu_begin, "DMA_BUF");

/**
 * dma_buf_cpu_end - end what dma_buf_cpu_begin() has begun
 * @attach:	[in]	attachment of the CPU type
 * @write:	[in]	as for dma_buf_cpu_begin()
 *
 * Context: May sleep. The dma-buf reservation lock must not be held.
 *
 * Return: 0, or what the exporter returns if devices may not see what was copied.
 */
int dma_buf_cpu_end(struct dma_buf_attachment *attach, bool write)
{
	might_sleep();

	if (WARN_ON(!dma_buf_is_cpu(attach)))
		return -EINVAL;

	lockdep_assert_not_held(&attach->dmabuf->resv->lock.base);
	if (!dma_buf_cpu_ops(attach)->end)
		return 0;
	return dma_buf_cpu_ops(attach)->end(attach, write);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_cpu_end, "DMA_BUF");

/**
 * dma_buf_cpu_copy - copy to or from a buffer
 * @cpu:	[in]	the mapping
 * @offset:	[in]	first byte of the buffer
 * @mem:	[in,out] the importer's memory
 * @len:	[in]	number of bytes
 * @write:	[in]	true to copy from @mem to the buffer
 *
 * Between dma_buf_cpu_begin() and dma_buf_cpu_end(). The importer keeps its own
 * unmap out of this, with a lock that both take.
 *
 * Context: May sleep. Takes no lock, so the importer may take its own one inside
 * the reservation lock, as an unmap does.
 *
 * Return: 0. -EFAULT, and nothing is copied, if the bytes are not inside the
 * buffer or if it is not mapped, so that a copy that comes after a revoke needs
 * no check.
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
	dma_buf_cpu_ops(cpu->attach)->copy(cpu, offset, mem, len, write);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_cpu_copy, "DMA_BUF");
