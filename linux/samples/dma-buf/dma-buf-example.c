// SPDX-License-Identifier: GPL-2.0
/*
 * The mapping type LINK, and the link itself. The explanation is in
 * Documentation/driver-api/dma-buf-mapping.rst; link-exporter.c offers the type
 * and link-importer.c requests it.
 */
#include <linux/dma-resv.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/xarray.h>
#include <trace/events/dma_buf_mapping.h>

#include "link.h"

MODULE_IMPORT_NS("DMA_BUF");

static u32 link_fabric(const struct dma_buf_mapping_match *match)
{
	return dma_buf_mapping_payload(match, const struct link_data)->fabric;
}

static int link_match(struct dma_buf_match_args *args,
		      const struct dma_buf_mapping_match *exp,
		      const struct dma_buf_mapping_match *imp)
{
	if (link_fabric(exp) != link_fabric(imp))
		return dma_buf_match_refuse(args, "foreign-link");
	return 0;
}

static void link_debugfs_dump(struct seq_file *s,
			      struct dma_buf_attachment *attach)
{
	seq_printf(s, " fabric=%u", link_fabric(&attach->map_type));
}

const struct dma_buf_mapping_type link_mapping_type = {
	.name = "LINK",
	.owner = THIS_MODULE,
	.match = link_match,
	.debugfs_dump = link_debugfs_dump,
};
EXPORT_SYMBOL_GPL(link_mapping_type);

static const struct link_exp_ops *
link_get_ops(const struct dma_buf_attachment *attach)
{
	if (attach->map_type.type != &link_mapping_type)
		return NULL;
	return container_of(attach->map_type.exp_ops,
			    const struct link_exp_ops, ops);
}

int link_map(struct dma_buf_attachment *attach, u32 *cookie)
{
	const struct link_exp_ops *ops = link_get_ops(attach);
	int ret;

	if (WARN_ON(!ops))
		return -EINVAL;

	dma_resv_assert_held(attach->dmabuf->resv);

	ret = ops->map(attach, cookie);
	trace_dma_buf_map(attach, ret ? 0 : 1, "none", ret);
	return ret;
}
EXPORT_SYMBOL_GPL(link_map);

void link_unmap(struct dma_buf_attachment *attach, u32 cookie)
{
	const struct link_exp_ops *ops = link_get_ops(attach);

	if (WARN_ON(!ops))
		return;

	dma_resv_assert_held(attach->dmabuf->resv);

	trace_dma_buf_unmap(attach, 1, "none", 0);
	ops->unmap(attach, cookie);
}
EXPORT_SYMBOL_GPL(link_unmap);

/* The link: a cookie is good from publish to withdraw, for one page */
static DEFINE_XARRAY_ALLOC1(link_cookies);

int link_publish(void *page, u32 *cookie)
{
	return xa_alloc(&link_cookies, cookie, page, xa_limit_32b, GFP_KERNEL);
}
EXPORT_SYMBOL_GPL(link_publish);

void link_withdraw(u32 cookie)
{
	xa_erase(&link_cookies, cookie);
}
EXPORT_SYMBOL_GPL(link_withdraw);

int link_copy(u32 cookie, size_t offset, void *bytes, size_t len, bool store)
{
	void *page;

	if (offset > PAGE_SIZE || len > PAGE_SIZE - offset)
		return -EINVAL;

	guard(spinlock)(&link_cookies.xa_lock);
	page = xa_load(&link_cookies, cookie);
	if (!page)
		return -ENODEV;
	if (store)
		memcpy(page + offset, bytes, len);
	else
		memcpy(bytes, page + offset, len);
	return 0;
}
EXPORT_SYMBOL_GPL(link_copy);

MODULE_DESCRIPTION("Example of a DMA-buf mapping type");
MODULE_LICENSE("GPL");
