// SPDX-License-Identifier: GPL-2.0
/* An importer as it is outside the tree */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/version.h>

#include "sample.h"

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define dma_buf_map_attachment_unlocked dma_buf_map_attachment
#define dma_buf_unmap_attachment_unlocked dma_buf_unmap_attachment
#endif

static struct platform_device *sample_device;

static void sample_moved(struct dma_buf_attachment *attach)
{
	dev_info(attach->dev, "the buffer moves\n");
}

static const struct dma_buf_attach_ops sample_attach_ops = {
	.allow_peer2peer = true,
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
	.move_notify = sample_moved,
#else
	.invalidate_mappings = sample_moved,
#endif
};

#if defined(SAMPLE_STATIC)
static struct dma_buf_attachment *sample_attach(struct dma_buf *dmabuf, struct device *dev, void *priv)
{
	return dma_buf_attach(dmabuf, dev);
}
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(5, 8, 0)
static struct dma_buf_attachment *sample_attach(struct dma_buf *dmabuf, struct device *dev, void *priv)
{
	return dma_buf_dynamic_attach(dmabuf, dev, &sample_attach_ops, priv);
}
#endif

/* Undone by dma_buf_unmap_attachment() */
static int sample_import(struct sample_import *import, struct dma_buf *dmabuf, struct device *dev)
{
	import->at = sample_attach(dmabuf, dev, import);
	if (IS_ERR(import->at))
		return PTR_ERR(import->at);
	if ((*import->at).dev != dev || sample_at(import)->dev != dev)
		dev_warn(import->at->dev, "another device\n");
	import->sgt = dma_buf_map_attachment_unlocked(import->at,
						      DMA_BIDIRECTIONAL);
	if (IS_ERR(import->sgt)) {
		dma_buf_detach(dmabuf, import->at);
		return PTR_ERR(import->sgt);
	}
	return 0;
}

static void sample_walk(struct dma_buf *dmabuf)
{
	struct dma_buf_attachment *at;

	dma_resv_lock(dmabuf->resv, NULL);
	list_for_each_entry(at, &dmabuf->attachments, node) {
#ifdef DMA_BUF_IMAPPING_SGT
		if (!dma_buf_is_sgt(at))
			continue;
#endif
		dev_info(at->dev, "attached\n");
	}
	dma_resv_unlock(dmabuf->resv);
}

static int __init sample_init(void)
{
	struct sample_import import = {};
	struct dma_buf *dmabuf = dma_buf_get(0);

	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	sample_device = platform_device_register_simple("sample", -1, NULL, 0);
	if (IS_ERR(sample_device)) {
		dma_buf_put(dmabuf);
		return PTR_ERR(sample_device);
	}
	if (!sample_import(&import, dmabuf, &sample_device->dev)) {
		sample_walk(dmabuf);
		dma_buf_unmap_attachment_unlocked(import.at, import.sgt, DMA_BIDIRECTIONAL);
		dma_buf_detach(dmabuf, import.at);
	}
	dma_buf_put(dmabuf);
	platform_device_unregister(sample_device);
	return -EAGAIN;
}

module_init(sample_init);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
MODULE_IMPORT_NS("DMA_BUF");
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(5, 16, 0)
MODULE_IMPORT_NS(DMA_BUF);
#endif
MODULE_DESCRIPTION("tools/convert: an importer");
MODULE_LICENSE("GPL");
