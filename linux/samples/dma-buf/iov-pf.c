// SPDX-License-Identifier: GPL-2.0
/*
 * The mapping type IOV, and a driver for PFs that imports what its VFs export.
 * It stands for the driver of a GPU, which knows the addresses in its own
 * memory behind the BAR of a VF; the address space of this PF is its VF BARs,
 * VF by VF.
 *
 * There is no table of devices: bind a PF with driver_override.
 */
#include <linux/dma-resv.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <trace/events/dma_buf_mapping.h>

#include "iov.h"
#include "iov-ioctl.h"

MODULE_IMPORT_NS("DMA_BUF");

/* ---- the type ---- */

static int iov_match(struct dma_buf_match_args *args,
		     const struct dma_buf_mapping_match *exp,
		     const struct dma_buf_mapping_match *imp)
{
	if (iov_data(exp)->list->pf != iov_data(imp)->pdev)
		return dma_buf_match_refuse(args, "foreign-pf");
	return 0;
}

static void iov_finish_match(struct dma_buf_match_args *args,
			     const struct dma_buf_mapping_match *exp,
			     const struct dma_buf_mapping_match *imp)
{
	dma_buf_mapping_payload(&args->attach->map_type, struct iov_data)->pdev =
		iov_data(imp)->pdev;
}

static struct device *iov_device(const struct dma_buf_mapping_match *match)
{
	return &iov_data(match)->pdev->dev;
}

static void iov_debugfs_dump(struct seq_file *s,
			     struct dma_buf_attachment *attach)
{
	const struct iov_list *list = iov_data(&attach->map_type)->list;

	seq_printf(s, " vf=%u bar=%u", list->vf, list->bar);
}

const struct dma_buf_mapping_type iov_mapping_type = {
	.name = "IOV",
	.owner = THIS_MODULE,
	.match = iov_match,
	.finish_match = iov_finish_match,
	.device = iov_device,
	.debugfs_dump = iov_debugfs_dump,
};
EXPORT_SYMBOL_GPL(iov_mapping_type);

static const struct iov_exp_ops *
iov_get_ops(const struct dma_buf_attachment *attach)
{
	if (attach->map_type.type != &iov_mapping_type)
		return NULL;
	return container_of(attach->map_type.exp_ops, const struct iov_exp_ops,
			    ops);
}

static const struct iov_list *iov_map(struct dma_buf_attachment *attach)
{
	const struct iov_list *list = iov_data(&attach->map_type)->list;
	int ret;

	ret = iov_get_ops(attach)->map(attach);
	trace_dma_buf_map(attach, ret ? 0 : list->count, "none", ret);
	return ret ? ERR_PTR(ret) : list;
}

static void iov_unmap(struct dma_buf_attachment *attach)
{
	trace_dma_buf_unmap(attach, iov_data(&attach->map_type)->list->count,
			    "none", 0);
	iov_get_ops(attach)->unmap(attach);
}

/* ---- the PF ---- */

/**
 * struct iov_pf - a PF that imports
 * @pdev: the PF, with a reference
 * @misc: how user space gets here
 * @kref: the driver, and each open file
 * @lock: of all files; taken before the reservation lock
 * @files: open files
 * @gone: the driver is unbound, no file may attach any more
 */
struct iov_pf {
	struct pci_dev *pdev;
	struct miscdevice misc;
	struct kref kref;
	struct mutex lock;	/* see above */
	struct list_head files;
	bool gone;
};

/**
 * struct iov_file - an open file, with the buffer that it has imported
 * @node: in the list of its PF
 * @pf: its PF
 * @attach: attachment, or NULL; protected by the lock of the PF
 * @windows: for IOV, the CPU's way to each range, NULL if not mapped; protected
 *	by the reservation lock like all that follows
 * @sgt: for SGT, what is mapped
 * @invalidated: how often the exporter has asked for an unmap
 */
struct iov_file {
	struct list_head node;
	struct iov_pf *pf;
	struct dma_buf_attachment *attach;
	void __iomem **windows;
	struct sg_table *sgt;
	unsigned int invalidated;
};

static void iov_pf_free(struct kref *kref)
{
	struct iov_pf *pf = container_of(kref, struct iov_pf, kref);

	pci_dev_put(pf->pdev);
	kfree(pf->misc.name);
	mutex_destroy(&pf->lock);
	kfree(pf);
}

/*
 * Where a range is in the PF's address space. The exporter has made the list of
 * what user space said, so check it here.
 */
static int iov_pf_address(struct pci_dev *pdev, const struct iov_list *list,
			  const struct iov_range *range, phys_addr_t *addr)
{
	int resno = PCI_IOV_RESOURCES + list->bar;
	u64 size = pci_resource_len(pdev, resno) / pci_sriov_get_totalvfs(pdev);

	if (list->vf >= pci_num_vf(pdev))
		return -ENODEV;
	if (range->offset > size || range->len > size - range->offset)
		return -EINVAL;

	*addr = pci_resource_start(pdev, resno) + list->vf * size +
		range->offset;
	return 0;
}

static void iov_close_windows(const struct iov_list *list,
			      void __iomem **windows)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (windows[i])
			iounmap(windows[i]);
	kfree(windows);
}

static void __iomem **iov_open_windows(struct pci_dev *pdev,
				       const struct iov_list *list)
{
	void __iomem **windows;
	phys_addr_t addr;
	size_t i;
	int ret;

	windows = kzalloc_objs(*windows, list->count);
	if (!windows)
		return ERR_PTR(-ENOMEM);

	for (i = 0; i < list->count; i++) {
		ret = iov_pf_address(pdev, list, &list->ranges[i], &addr);
		if (!ret) {
			windows[i] = ioremap(addr, list->ranges[i].len);
			ret = windows[i] ? 0 : -ENOMEM;
		}
		if (ret) {
			iov_close_windows(list, windows);
			return ERR_PTR(ret);
		}
	}
	return windows;
}

static int iov_file_map_windows(struct iov_file *file)
{
	const struct iov_list *list = iov_map(file->attach);
	void __iomem **windows;

	if (IS_ERR(list))
		return PTR_ERR(list);

	windows = iov_open_windows(file->pf->pdev, list);
	if (IS_ERR(windows)) {
		iov_unmap(file->attach);
		return PTR_ERR(windows);
	}
	file->windows = windows;
	return 0;
}

static int iov_file_map_sgt(struct iov_file *file)
{
	struct sg_table *sgt = dma_buf_sgt_map_attachment(file->attach,
							  DMA_BIDIRECTIONAL);

	if (IS_ERR(sgt))
		return PTR_ERR(sgt);
	file->sgt = sgt;
	return 0;
}

static bool iov_file_mapped(const struct iov_file *file)
{
	return file->windows || file->sgt;
}

/* Every path that ends access to the buffer comes here */
static void iov_file_unmap(struct iov_file *file,
			   struct dma_buf_attachment *attach)
{
	dma_resv_assert_held(attach->dmabuf->resv);

	if (file->windows) {
		iov_close_windows(iov_data(&attach->map_type)->list,
				  file->windows);
		file->windows = NULL;
		iov_unmap(attach);
	}
	if (file->sgt) {
		dma_buf_sgt_unmap_attachment(attach, file->sgt,
					     DMA_BIDIRECTIONAL);
		file->sgt = NULL;
	}
}

static void iov_invalidate(struct dma_buf_attachment *attach)
{
	struct iov_file *file = attach->importer_priv;

	file->invalidated++;
	iov_file_unmap(file, attach);
}

static const struct dma_buf_attach_ops iov_attach_ops = {
	.name = "iov-pf",
	.allow_peer2peer = true,
	.invalidate_mappings = iov_invalidate,
};

static int iov_file_attach(struct iov_file *file, int fd)
{
	const struct dma_buf_mapping_match requests[] = {
		iov_request(file->pf->pdev),
		DMA_BUF_IMAPPING_SGT(&file->pf->pdev->dev, true),
	};
	struct dma_buf_attachment *attach;
	struct dma_buf *dmabuf;

	if (file->attach)
		return -EBUSY;
	dmabuf = dma_buf_get(fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);

	file->invalidated = 0;
	attach = dma_buf_mapping_attach(dmabuf, requests, ARRAY_SIZE(requests),
					&iov_attach_ops, file);
	if (IS_ERR(attach)) {
		dma_buf_put(dmabuf);
		return PTR_ERR(attach);
	}
	file->attach = attach;
	return 0;
}

static int iov_file_map(struct iov_file *file)
{
	struct dma_resv *resv = file->attach->dmabuf->resv;
	int ret;

	dma_resv_lock(resv, NULL);
	if (iov_file_mapped(file))
		ret = -EBUSY;
	else if (dma_buf_is_sgt(file->attach))
		ret = iov_file_map_sgt(file);
	else
		ret = iov_file_map_windows(file);
	dma_resv_unlock(resv);
	return ret;
}

static int iov_file_drop_mapping(struct iov_file *file)
{
	struct dma_resv *resv = file->attach->dmabuf->resv;

	dma_resv_lock(resv, NULL);
	iov_file_unmap(file, file->attach);
	dma_resv_unlock(resv);
	return 0;
}

static int iov_file_detach(struct iov_file *file)
{
	struct dma_buf *dmabuf = file->attach->dmabuf;

	iov_file_drop_mapping(file);
	dma_buf_detach(dmabuf, file->attach);
	file->attach = NULL;
	dma_buf_put(dmabuf);
	return 0;
}

static int iov_file_status(struct iov_file *file,
			   struct iov_status __user *arg)
{
	struct iov_status status = {};

	if (file->attach) {
		struct dma_resv *resv = file->attach->dmabuf->resv;

		strscpy(status.type, file->attach->map_type.type->name);
		dma_resv_lock(resv, NULL);
		status.mapped = iov_file_mapped(file);
		status.invalidated = file->invalidated;
		dma_resv_unlock(resv);
	}
	return copy_to_user(arg, &status, sizeof(status)) ? -EFAULT : 0;
}

static int iov_file_command(struct iov_file *file, unsigned int cmd,
			    unsigned long arg)
{
	if (cmd == IOV_STATUS)
		return iov_file_status(file, (void __user *)arg);
	if (file->pf->gone)
		return -ENODEV;
	if (cmd == IOV_ATTACH)
		return iov_file_attach(file, arg);
	if (!file->attach)
		return -EINVAL;

	switch (cmd) {
	case IOV_MAP:
		return iov_file_map(file);
	case IOV_UNMAP:
		return iov_file_drop_mapping(file);
	case IOV_DETACH:
		return iov_file_detach(file);
	default:
		return -ENOTTY;
	}
}

static long iov_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct iov_file *file = filp->private_data;

	guard(mutex)(&file->pf->lock);
	return iov_file_command(file, cmd, arg);
}

/* The word at @pos of the buffer, NULL behind its end */
static void __iomem *iov_word(const struct iov_list *list,
			      void __iomem **windows, u64 pos)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (pos < list->ranges[i].len)
			return windows[i] + pos;
		pos -= list->ranges[i].len;
	}
	return NULL;
}

static ssize_t iov_copy_words(struct iov_file *file, u64 pos, u32 *words,
			      size_t count, bool store)
{
	const struct iov_list *list;
	void __iomem *word;
	size_t i;

	if (file->sgt)
		return -EOPNOTSUPP;	/* this PF has no DMA engine */
	if (!file->windows)
		return -ENODEV;

	list = iov_data(&file->attach->map_type)->list;
	for (i = 0; i < count; i++) {
		word = iov_word(list, file->windows, pos + i * sizeof(u32));
		if (!word)
			break;
		if (store)
			writel(words[i], word);
		else
			words[i] = readl(word);
	}
	return i * sizeof(u32);
}

static ssize_t iov_copy(struct iov_file *file, loff_t pos, u32 *words,
			size_t len, bool store)
{
	struct dma_resv *resv;
	ssize_t ret;

	if (!IS_ALIGNED(pos | len, sizeof(u32)))
		return -EINVAL;

	guard(mutex)(&file->pf->lock);
	if (!file->attach)
		return -ENODEV;

	resv = file->attach->dmabuf->resv;
	dma_resv_lock(resv, NULL);
	ret = iov_copy_words(file, pos, words, len / sizeof(u32), store);
	dma_resv_unlock(resv);
	return ret;
}

static ssize_t iov_read(struct file *filp, char __user *to, size_t len,
			loff_t *pos)
{
	void *words __free(kfree) = NULL;
	ssize_t ret;

	len = min(len, PAGE_SIZE);
	words = kzalloc(len, GFP_KERNEL);
	if (!words)
		return -ENOMEM;
	ret = iov_copy(filp->private_data, *pos, words, len, false);
	if (ret <= 0)
		return ret;
	if (copy_to_user(to, words, ret))
		return -EFAULT;
	*pos += ret;
	return ret;
}

static ssize_t iov_write(struct file *filp, const char __user *from,
			 size_t len, loff_t *pos)
{
	void *words __free(kfree) = NULL;
	ssize_t ret;

	len = min(len, PAGE_SIZE);
	words = memdup_user(from, len);
	if (IS_ERR(words))
		return PTR_ERR(words);
	ret = iov_copy(filp->private_data, *pos, words, len, true);
	if (ret > 0)
		*pos += ret;
	return ret;
}

/* Under the mutex of misc devices, as is misc_deregister(): the PF is bound */
static int iov_open(struct inode *inode, struct file *filp)
{
	struct iov_pf *pf = container_of(filp->private_data, struct iov_pf,
					 misc);
	struct iov_file *file = kzalloc_obj(*file);

	if (!file)
		return -ENOMEM;

	kref_get(&pf->kref);
	file->pf = pf;
	guard(mutex)(&pf->lock);
	list_add(&file->node, &pf->files);
	filp->private_data = file;
	return 0;
}

static int iov_release(struct inode *inode, struct file *filp)
{
	struct iov_file *file = filp->private_data;
	struct iov_pf *pf = file->pf;

	scoped_guard(mutex, &pf->lock) {
		list_del(&file->node);
		if (file->attach)
			iov_file_detach(file);
	}
	kfree(file);
	kref_put(&pf->kref, iov_pf_free);
	return 0;
}

static const struct file_operations iov_fops = {
	.owner = THIS_MODULE,
	.open = iov_open,
	.release = iov_release,
	.unlocked_ioctl = iov_ioctl,
	.read = iov_read,
	.write = iov_write,
};

static int iov_pf_register(struct iov_pf *pf)
{
	pf->misc.minor = MISC_DYNAMIC_MINOR;
	pf->misc.fops = &iov_fops;
	pf->misc.parent = &pf->pdev->dev;
	pf->misc.name = kasprintf(GFP_KERNEL, "iov-%s", pci_name(pf->pdev));
	if (!pf->misc.name)
		return -ENOMEM;
	return misc_register(&pf->misc);
}

static int iov_pf_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct iov_pf *pf;
	int ret;

	if (!pdev->is_physfn)
		return -ENODEV;
	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	pf = kzalloc_obj(*pf);
	if (!pf)
		return -ENOMEM;

	pf->pdev = pci_dev_get(pdev);
	kref_init(&pf->kref);
	mutex_init(&pf->lock);
	INIT_LIST_HEAD(&pf->files);
	pci_set_drvdata(pdev, pf);
	pci_set_master(pdev);
	ret = iov_pf_register(pf);
	if (ret)
		kref_put(&pf->kref, iov_pf_free);
	return ret;
}

/*
 * The VFs stay, as with every user of pci_sriov_configure_simple(): user space
 * disables them. Nobody reaches them through this PF any more.
 */
static void iov_pf_remove(struct pci_dev *pdev)
{
	struct iov_pf *pf = pci_get_drvdata(pdev);
	struct iov_file *file;

	misc_deregister(&pf->misc);
	scoped_guard(mutex, &pf->lock) {
		pf->gone = true;
		list_for_each_entry(file, &pf->files, node)
			if (file->attach)
				iov_file_detach(file);
	}
	kref_put(&pf->kref, iov_pf_free);
}

static struct pci_driver iov_pf_driver = {
	.name = "iov-pf",
	.probe = iov_pf_probe,
	.remove = iov_pf_remove,
	.sriov_configure = pci_sriov_configure_simple,
};
module_pci_driver(iov_pf_driver);

MODULE_DESCRIPTION("DMA-buf mapping type of a PF for its VFs, and its importer");
MODULE_LICENSE("GPL");
