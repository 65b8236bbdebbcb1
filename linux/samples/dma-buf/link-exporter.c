// SPDX-License-Identifier: GPL-2.0
/*
 * Exporter of pages that can only be reached through the link.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "link.h"
#include "link-ioctl.h"

MODULE_IMPORT_NS("DMA_BUF");

struct link_page {
	u32 fabric;
	u8 bytes[PAGE_SIZE];
};

static int link_page_map(struct dma_buf_attachment *attach, u32 *cookie)
{
	struct link_page *page = attach->dmabuf->priv;

	return link_publish(page->bytes, cookie);
}

static void link_page_unmap(struct dma_buf_attachment *attach, u32 cookie)
{
	link_withdraw(cookie);
}

static const struct link_exp_ops link_page_exp_ops = {
	.map = link_page_map,
	.unmap = link_page_unmap,
};

static int link_page_match_mapping(struct dma_buf_match_args *args)
{
	struct link_page *page = args->dmabuf->priv;
	struct dma_buf_mapping_match offer =
		link_offer(&link_page_exp_ops, page->fabric);

	return dma_buf_match_mapping(args, &offer, 1);
}

static void link_page_release(struct dma_buf *dmabuf)
{
	kfree(dmabuf->priv);
}

static const struct dma_buf_ops link_page_ops = {
	.match_mapping = link_page_match_mapping,
	.release = link_page_release,
};

static long link_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct link_page *page;
	struct dma_buf *dmabuf;
	int fd;

	if (cmd != LINK_EXPORT)
		return -ENOTTY;
	page = kzalloc_obj(*page);
	if (!page)
		return -ENOMEM;

	page->fabric = arg;
	info.ops = &link_page_ops;
	info.size = PAGE_SIZE;
	info.priv = page;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf)) {
		kfree(page);
		return PTR_ERR(dmabuf);
	}
	fd = dma_buf_fd(dmabuf, O_CLOEXEC);
	if (fd < 0)
		dma_buf_put(dmabuf);
	return fd;
}

static const struct file_operations link_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = link_ioctl,
};

static struct miscdevice link_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "link-exporter",
	.fops = &link_fops,
};
module_misc_device(link_misc);

MODULE_DESCRIPTION("Exporter of the DMA-buf mapping type LINK");
MODULE_LICENSE("GPL");
