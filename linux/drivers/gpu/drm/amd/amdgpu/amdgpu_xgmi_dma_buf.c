// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The DMA-buf mapping type XGMI. It knows nothing of the GPUs but their hives, so
 * that KUnit tests it without one.
 */
#include <linux/container_of.h>
#include <linux/dma-resv.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <trace/events/dma_buf_mapping.h>

#include "amdgpu_xgmi_dma_buf.h"

static const struct amdgpu_xgmi_exp_ops *
amdgpu_xgmi_exp_ops(const struct dma_buf_mapping_match *match)
{
	if (match->type != &amdgpu_xgmi_mapping_type || !match->exp_ops)
		return NULL;
	return container_of(match->exp_ops, const struct amdgpu_xgmi_exp_ops,
			    ops);
}

static int amdgpu_xgmi_match(struct dma_buf_match_args *args,
			     const struct dma_buf_mapping_match *exp,
			     const struct dma_buf_mapping_match *imp)
{
	const struct amdgpu_xgmi_exp_ops *ops = amdgpu_xgmi_exp_ops(exp);
	const u64 *exporter = amdgpu_xgmi_data(exp)->hive_id;
	const u64 *importer = amdgpu_xgmi_data(imp)->hive_id;

	if (WARN_ON(!ops || !ops->map || !ops->unmap))
		return -EINVAL;
	if (!*exporter || *exporter != *importer)
		return dma_buf_match_refuse(args, "foreign-hive");
	/* A partition: its own VRAM is not behind a link */
	if (exporter == importer)
		return dma_buf_match_refuse(args, "same-gpu");
	return 0;
}

/* A map is for the importer */
static void amdgpu_xgmi_finish_match(struct dma_buf_match_args *args,
				     const struct dma_buf_mapping_match *exp,
				     const struct dma_buf_mapping_match *imp)
{
	struct dma_buf_mapping_match *match = &args->attach->map_type;

	*dma_buf_mapping_payload(match, struct amdgpu_xgmi_data) =
		*amdgpu_xgmi_data(imp);
}

static struct device *
amdgpu_xgmi_device(const struct dma_buf_mapping_match *match)
{
	return amdgpu_xgmi_data(match)->dev;
}

static void amdgpu_xgmi_debugfs_dump(struct seq_file *s,
				     struct dma_buf_attachment *attach)
{
	seq_printf(s, " hive=%llx",
		   *amdgpu_xgmi_data(&attach->map_type)->hive_id);
}

const struct dma_buf_mapping_type amdgpu_xgmi_mapping_type = {
	.name = "XGMI",
	.owner = THIS_MODULE,
	.match = amdgpu_xgmi_match,
	.finish_match = amdgpu_xgmi_finish_match,
	.device = amdgpu_xgmi_device,
	.debugfs_dump = amdgpu_xgmi_debugfs_dump,
};

/**
 * amdgpu_xgmi_map - learn where the buffer is
 * @attach: attachment
 * @mapping: where it is, until amdgpu_xgmi_unmap()
 *
 * Context: The dma-buf reservation lock must be held.
 *
 * Return: 0, or what the exporter returned.
 */
int amdgpu_xgmi_map(struct dma_buf_attachment *attach,
		    struct amdgpu_xgmi_mapping *mapping)
{
	const struct amdgpu_xgmi_exp_ops *ops =
		amdgpu_xgmi_exp_ops(&attach->map_type);
	int r;

	if (WARN_ON(!ops))
		return -EINVAL;

	dma_resv_assert_held(attach->dmabuf->resv);

	*mapping = (struct amdgpu_xgmi_mapping) {};
	r = ops->map(attach, mapping);
	trace_dma_buf_map(attach, r ? 0 : 1, "none", r);
	return r;
}

/**
 * amdgpu_xgmi_unmap - undo amdgpu_xgmi_map()
 * @attach: attachment
 * @mapping: what the GPU does not use any more
 *
 * Context: The dma-buf reservation lock must be held.
 */
void amdgpu_xgmi_unmap(struct dma_buf_attachment *attach,
		       const struct amdgpu_xgmi_mapping *mapping)
{
	const struct amdgpu_xgmi_exp_ops *ops =
		amdgpu_xgmi_exp_ops(&attach->map_type);

	if (WARN_ON(!ops))
		return;

	dma_resv_assert_held(attach->dmabuf->resv);

	trace_dma_buf_unmap(attach, 1, "none", 0);
	ops->unmap(attach, mapping);
}
