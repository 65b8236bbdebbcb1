// SPDX-License-Identifier: GPL-2.0
/* An exporter of device memory whose decisions are made: what convert suggests, beside what was there */
#include <linux/dma-buf.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/pci-p2pdma.h>
#include <linux/pci.h>
#include <linux/slab.h>

struct bar {
	struct pci_dev *pdev;
};

static struct sg_table *bar_map(struct dma_buf_attachment *attach, enum dma_data_direction dir)
{
	struct sg_table *sgt;

	if (!dma_buf_sgt_p2p_allowed(attach))
		return ERR_PTR(-EOPNOTSUPP);
	sgt = kzalloc(sizeof(*sgt), GFP_KERNEL);
	dev_dbg(attach->dev, "maps\n");
	return sgt ?: ERR_PTR(-ENOMEM);
}

static void bar_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt, enum dma_data_direction dir)
{
	kfree(sgt);
}

static void bar_release(struct dma_buf *dmabuf)
{
}

#ifdef DMA_BUF_IMAPPING_SGT
/* here */
#else
static int bar_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct bar *bar = dmabuf->priv;

	if (pci_p2pdma_distance(bar->pdev, attach->dev, false) < 0)
		attach->peer2peer = false;
	return 0;
}
#endif

static const struct dma_buf_ops bar_dma_buf_ops = {
#ifdef DMA_BUF_IMAPPING_SGT
	.match_mapping = bar_match_mapping,
#else
	.attach = bar_attach,
	.map_dma_buf = bar_map,
	.unmap_dma_buf = bar_unmap,
#endif
	.release = bar_release,
};

static int __init bar_init(void)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;

	info.ops = &bar_dma_buf_ops;
	info.size = PAGE_SIZE;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	dma_buf_put(dmabuf);
	return -EAGAIN;
}

module_init(bar_init);
MODULE_DESCRIPTION("tools/convert: P2P");
MODULE_LICENSE("GPL");
DMA_BUF_COMPAT_IMPORT_NS();
