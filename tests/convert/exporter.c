// SPDX-License-Identifier: GPL-2.0
/* An exporter as it is outside the tree: for many kernels, and with the shapes that they bring */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/version.h>

#include "sample.h"

#define AT_DEV(at)	((at)->dev)

struct sample_table {
	int flags;
	struct dma_buf_ops ops;
};

static struct sg_table *sample_map(struct dma_buf_attachment *attach, enum dma_data_direction dir)
{
	struct sg_table *sgt = kzalloc(sizeof(*sgt), GFP_KERNEL);
	struct sample_buffer *buf = attach->dmabuf->priv;
	int ret;

	if (!sgt)
		return ERR_PTR(-ENOMEM);
	ret = sg_alloc_table_from_pages(sgt, &buf->page, 1, 0, PAGE_SIZE, GFP_KERNEL);
	if (ret)
		goto free;
	ret = dma_map_sgtable(attach->dev, sgt, dir,
			      DMA_ATTR_SKIP_CPU_SYNC);
	if (ret)
		goto free_table;
	return sgt;

free_table:
	sg_free_table(sgt);
free:
	kfree(sgt);
	return ERR_PTR(ret);
}

static void sample_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
			 enum dma_data_direction dir)
{
	dma_unmap_sgtable(AT_DEV(attach), sgt, dir, 0);
	sg_free_table(sgt);
	kfree(sgt);
}

static void sample_release(struct dma_buf *dmabuf)
{
	struct sample_buffer *buf = dmabuf->priv;

	__free_page(buf->page);
	kfree(buf);
}

static const struct dma_buf_ops sample_ops = {
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 16, 0)
	.cache_sgt_mapping = true,
#endif
	.map_dma_buf = sample_map,
	.unmap_dma_buf = sample_unmap,
	.release = sample_release,
};

static const struct sample_table sample_tables[] = {
	{ .flags = 1, .ops = { .map_dma_buf = sample_map, .unmap_dma_buf = sample_unmap, .release = sample_release, }, },
	[1] = {
		.ops.map_dma_buf = sample_map,
		.ops.unmap_dma_buf = sample_unmap,
		.ops.release = sample_release,
	},
};

#define SAMPLE_OPS(name)			\
	.map_dma_buf = name##_map,		\
	.unmap_dma_buf = name##_unmap,		\
	.release = name##_release

typedef struct dma_buf_ops sample_ops_t;

static const sample_ops_t *const sample_more[] = {
	&(const sample_ops_t){ SAMPLE_OPS(sample) },
	&(const struct dma_buf_ops){
		.map_dma_buf	= sample_map,
		.unmap_dma_buf	= sample_unmap,
		.release	= sample_release
	},
	&sample_tables[0].ops,
	&sample_tables[1].ops,
	&sample_ops,
};

static struct dma_buf *sample_export(unsigned int which)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct sample_buffer *buf = kzalloc(sizeof(*buf), GFP_KERNEL);
	struct dma_buf *dmabuf;

	if (!buf)
		return ERR_PTR(-ENOMEM);
	buf->page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	info.ops = sample_more[which % ARRAY_SIZE(sample_more)];
	info.size = PAGE_SIZE;
	info.priv = buf;
	dmabuf = buf->page ? dma_buf_export(&info) : ERR_PTR(-ENOMEM);
	if (IS_ERR(dmabuf)) {
		if (buf->page)
			__free_page(buf->page);
		kfree(buf);
	}
	return dmabuf;
}

static struct dma_buf *sample_buffer_of_module;

static int __init sample_init(void)
{
	sample_buffer_of_module = sample_export(0);
	return PTR_ERR_OR_ZERO(sample_buffer_of_module);
}

static void __exit sample_exit(void)
{
	dma_buf_put(sample_buffer_of_module);
}

module_init(sample_init);
module_exit(sample_exit);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
MODULE_IMPORT_NS("DMA_BUF");
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(5, 16, 0)
MODULE_IMPORT_NS(DMA_BUF);
#endif
MODULE_DESCRIPTION("tools/convert: an exporter");
MODULE_LICENSE("GPL");
