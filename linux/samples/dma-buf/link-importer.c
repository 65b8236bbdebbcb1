// SPDX-License-Identifier: GPL-2.0
/*
 * Importer of what is on the link: attaches, maps, and moves bytes for user
 * space. It has no device, so it can only request LINK.
 */
#include <linux/dma-resv.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "link.h"
#include "link-ioctl.h"

MODULE_IMPORT_NS("DMA_BUF");

static unsigned int fabric = 1;
module_param(fabric, uint, 0644);
MODULE_PARM_DESC(fabric, "which fabric this side of the link is on");

/* One open file. @lock protects @attach, the reservation lock @cookie */
struct link_file {
	struct mutex lock;	/* see above */
	struct dma_buf_attachment *attach;
	u32 cookie;		/* 0 if there is no mapping */
};

/* Also called by exporters that move their memory or take it back */
static void link_invalidate(struct dma_buf_attachment *attach)
{
	struct link_file *lf = attach->importer_priv;

	dma_resv_assert_held(attach->dmabuf->resv);

	if (lf->cookie)
		link_unmap(attach, lf->cookie);
	lf->cookie = 0;
}

static const struct dma_buf_attach_ops link_attach_ops = {
	.name = "link-importer",
	.invalidate_mappings = link_invalidate,
};

static int link_file_map(struct link_file *lf)
{
	struct dma_buf *dmabuf = lf->attach->dmabuf;
	int ret;

	dma_resv_lock(dmabuf->resv, NULL);
	ret = link_map(lf->attach, &lf->cookie);
	if (ret)
		lf->cookie = 0;
	dma_resv_unlock(dmabuf->resv);
	return ret;
}

static void link_file_detach(struct link_file *lf)
{
	struct dma_buf *dmabuf = lf->attach->dmabuf;

	dma_resv_lock(dmabuf->resv, NULL);
	link_invalidate(lf->attach);
	dma_resv_unlock(dmabuf->resv);
	dma_buf_detach(dmabuf, lf->attach);
	lf->attach = NULL;
	dma_buf_put(dmabuf);
}

static int link_file_import(struct link_file *lf, int fd)
{
	struct dma_buf_mapping_match request = link_request(fabric);
	struct dma_buf_attachment *attach;
	struct dma_buf *dmabuf;
	int ret;

	if (lf->attach)
		return -EBUSY;
	dmabuf = dma_buf_get(fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);

	attach = dma_buf_mapping_attach(dmabuf, &request, 1, &link_attach_ops,
					lf);
	if (IS_ERR(attach)) {
		dma_buf_put(dmabuf);
		return PTR_ERR(attach);
	}
	lf->attach = attach;
	ret = link_file_map(lf);
	if (ret)
		link_file_detach(lf);
	return ret;
}

static long link_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct link_file *lf = file->private_data;

	if (cmd != LINK_IMPORT)
		return -ENOTTY;
	guard(mutex)(&lf->lock);
	return link_file_import(lf, arg);
}

static int link_file_copy(struct link_file *lf, loff_t offset, void *bytes,
			  size_t len, bool store)
{
	struct dma_buf *dmabuf;
	int ret;

	guard(mutex)(&lf->lock);
	if (!lf->attach)
		return -ENODEV;
	dmabuf = lf->attach->dmabuf;
	dma_resv_lock(dmabuf->resv, NULL);
	ret = link_copy(lf->cookie, offset, bytes, len, store);
	dma_resv_unlock(dmabuf->resv);
	return ret;
}

static ssize_t link_read(struct file *file, char __user *to, size_t len,
			 loff_t *pos)
{
	void *bytes __free(kfree) = NULL;
	int ret;

	len = min(len, PAGE_SIZE);
	bytes = kzalloc(len, GFP_KERNEL);
	if (!bytes)
		return -ENOMEM;
	ret = link_file_copy(file->private_data, *pos, bytes, len, false);
	if (ret)
		return ret;
	if (copy_to_user(to, bytes, len))
		return -EFAULT;
	*pos += len;
	return len;
}

static ssize_t link_write(struct file *file, const char __user *from,
			  size_t len, loff_t *pos)
{
	void *bytes __free(kfree) = NULL;
	int ret;

	len = min(len, PAGE_SIZE);
	bytes = memdup_user(from, len);
	if (IS_ERR(bytes))
		return PTR_ERR(bytes);
	ret = link_file_copy(file->private_data, *pos, bytes, len, true);
	if (ret)
		return ret;
	*pos += len;
	return len;
}

static int link_open(struct inode *inode, struct file *file)
{
	struct link_file *lf = kzalloc_obj(*lf);

	if (!lf)
		return -ENOMEM;
	mutex_init(&lf->lock);
	file->private_data = lf;
	return 0;
}

static int link_release(struct inode *inode, struct file *file)
{
	struct link_file *lf = file->private_data;

	if (lf->attach)
		link_file_detach(lf);
	mutex_destroy(&lf->lock);
	kfree(lf);
	return 0;
}

static const struct file_operations link_fops = {
	.owner = THIS_MODULE,
	.open = link_open,
	.release = link_release,
	.unlocked_ioctl = link_ioctl,
	.read = link_read,
	.write = link_write,
};

static struct miscdevice link_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "link-importer",
	.fops = &link_fops,
};
module_misc_device(link_misc);

MODULE_DESCRIPTION("Importer of the DMA-buf mapping type LINK");
MODULE_LICENSE("GPL");
