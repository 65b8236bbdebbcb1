// SPDX-License-Identifier: GPL-2.0
/*
 * Devices with heaps of all kinds, and an importer that maps for any of them,
 * for the selftest device-heap.
 *
 * The platform devices exist from the start. A PCI device, which may be behind
 * an IOMMU, gets a heap when its driver_override is "device-heap-test". QEMU's
 * edu also does DMA.
 */
#include <linux/cleanup.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/iopoll.h>
#include <linux/iosys-map.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "device_heap_test.h"

#define NAME "device-heap-test"

/* The function that gives a device a pool is not exported */
#define HAS_POOLS IS_BUILTIN(CONFIG_DMABUF_HEAPS_DEVICE_TEST)

static unsigned long pool_base;
module_param(pool_base, ulong, 0444);
MODULE_PARM_DESC(pool_base, "physical address of reserved memory for test-heap-pool");

static unsigned long pool_size;
module_param(pool_size, ulong, 0444);
MODULE_PARM_DESC(pool_size, "bytes of reserved memory for test-heap-pool");

/* ---- devices ---- */

enum { HAS_HEAP = 1, IN_CMA = 2, IN_POOL = 4, NO_DMA = 8 };

#define UPTO_512M	(SZ_512M - 1)
#define UPTO_16M	(SZ_16M - 1)

static const struct variant {
	const char *name;
	unsigned int flags;
	u64 limit;
} variants[] = {
	{ "test-heap", HAS_HEAP },
	{ "test-heap-cma", HAS_HEAP | IN_CMA, UPTO_512M },
	{ "test-heap-pool", HAS_HEAP | IN_POOL },
	{ "test-import" },
	{ "test-import-512m", 0, UPTO_512M },
	{ "test-import-16m", 0, UPTO_16M },
	{ "test-import-nodma", NO_DMA },
};

/**
 * struct test_device - a device that buffers can be imported for
 * @node: in test_devices
 * @dev: the device; its driver is bound
 * @edu: registers, if it is an edu
 */
struct test_device {
	struct list_head node;
	struct device *dev;
	void __iomem *edu;
};

static LIST_HEAD(test_devices);
static DEFINE_MUTEX(test_lock);

static struct test_device *test_device_find(const char *name)
{
	struct test_device *test;

	lockdep_assert_held(&test_lock);
	list_for_each_entry(test, &test_devices, node)
		if (!strcmp(dev_name(test->dev), name))
			return test;
	return NULL;
}

static struct test_device *test_device_add(struct device *dev)
{
	struct test_device *test = devm_kzalloc(dev, sizeof(*test), GFP_KERNEL);

	if (!test)
		return NULL;
	test->dev = dev;
	dev_set_drvdata(dev, test);
	guard(mutex)(&test_lock);
	list_add_tail(&test->node, &test_devices);
	return test;
}

static void test_device_remove(struct device *dev)
{
	struct test_device *test = dev_get_drvdata(dev);

	scoped_guard(mutex, &test_lock)
		list_del(&test->node);
	dev_dma_heap_remove(dev);
}

static int variant_setup(struct device *dev, const struct variant *variant)
{
	int ret;

	ret = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));
	if (ret)
		return ret;

	dma_set_max_seg_size(dev, UINT_MAX);
	dev->bus_dma_limit = variant->limit;
	if (variant->flags & NO_DMA)
		dev->dma_mask = NULL;
	if (HAS_POOLS && variant->flags & IN_POOL)
		return dma_declare_coherent_memory(dev, pool_base, pool_base,
						   pool_size);
#ifdef CONFIG_DMA_CMA
	/* Also for single pages, which do not come from CMA otherwise */
	if (variant->flags & IN_CMA)
		dev->cma_area = dev_get_cma_area(NULL);
#endif
	return 0;
}

static const struct variant *variant_of(struct platform_device *pdev)
{
	return &variants[platform_get_device_id(pdev)->driver_data];
}

static int variant_probe(struct platform_device *pdev)
{
	const struct variant *variant = variant_of(pdev);
	struct device *dev = &pdev->dev;
	int ret;

	ret = variant_setup(dev, variant);
	if (ret)
		return ret;
	if (!test_device_add(dev))
		return -ENOMEM;
	if (!(variant->flags & HAS_HEAP))
		return 0;

	ret = dev_dma_heap_add(dev);
	if (ret)
		test_device_remove(dev);
	return ret;
}

static void variant_remove(struct platform_device *pdev)
{
	test_device_remove(&pdev->dev);
	if (HAS_POOLS && variant_of(pdev)->flags & IN_POOL)
		dma_release_coherent_memory(&pdev->dev);
}

static struct platform_device_id variant_ids[ARRAY_SIZE(variants) + 1];

static struct platform_driver variant_driver = {
	.driver.name = NAME,
	.probe = variant_probe,
	.remove = variant_remove,
	.id_table = variant_ids,
};

static bool variant_is_possible(const struct variant *variant)
{
	if (variant->flags & IN_CMA)
		return dev_get_cma_area(NULL);
	if (variant->flags & IN_POOL)
		return HAS_POOLS && pool_size;
	return true;
}

static struct platform_device *variant_devices[ARRAY_SIZE(variants)];

static void variants_add(void)
{
	struct platform_device *pdev;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(variants); i++) {
		if (!variant_is_possible(&variants[i]))
			continue;
		pdev = platform_device_register_simple(variants[i].name,
						       PLATFORM_DEVID_NONE,
						       NULL, 0);
		if (IS_ERR(pdev))
			pr_err("%s: %pe\n", variants[i].name, pdev);
		else
			variant_devices[i] = pdev;
	}
}

static void variants_remove(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(variants); i++)
		platform_device_unregister(variant_devices[i]);
}

/* ---- PCI devices, and edu's DMA ---- */

#define EDU_DEVICE	0x11e8
#define EDU_SRC		0x80
#define EDU_DST		0x88
#define EDU_COUNT	0x90
#define EDU_CMD		0x98
#define EDU_CMD_RUN	BIT(0)
#define EDU_CMD_TO_RAM	BIT(1)
#define EDU_BUFFER	0x40000
/* QEMU 7.2 stops at a buffer that is filled to its end */
#define EDU_BUFFER_SIZE	4000
#define EDU_MASK	DMA_BIT_MASK(28)

static int edu_run(struct test_device *test, u32 src, u32 dst, u32 len, u32 dir)
{
	u32 cmd;

	writel(src, test->edu + EDU_SRC);
	writel(dst, test->edu + EDU_DST);
	writel(len, test->edu + EDU_COUNT);
	writel(EDU_CMD_RUN | dir, test->edu + EDU_CMD);
	return readl_poll_timeout(test->edu + EDU_CMD, cmd,
				  !(cmd & EDU_CMD_RUN), 1000, USEC_PER_SEC);
}

static int edu_copy(struct test_device *test, dma_addr_t base,
		    const struct device_heap_test_copy *copy)
{
	int ret;

	if (!test->edu || copy->len > EDU_BUFFER_SIZE)
		return -EINVAL;

	ret = edu_run(test, base + copy->from, EDU_BUFFER, copy->len, 0);
	if (ret)
		return ret;
	return edu_run(test, EDU_BUFFER, base + copy->to, copy->len,
		       EDU_CMD_TO_RAM);
}

static int test_pci_setup(struct pci_dev *pdev)
{
	int ret;

	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	pci_set_master(pdev);
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	return dma_set_mask_and_coherent(&pdev->dev, EDU_MASK);
}

static int test_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct test_device *test;
	int ret;

	ret = test_pci_setup(pdev);
	if (ret)
		return ret;

	test = test_device_add(&pdev->dev);
	if (!test)
		return -ENOMEM;

	if (pdev->device == EDU_DEVICE)
		test->edu = pcim_iomap(pdev, 0, 0);
	ret = dev_dma_heap_add(&pdev->dev);
	if (ret)
		test_device_remove(&pdev->dev);
	return ret;
}

static void test_pci_remove(struct pci_dev *pdev)
{
	test_device_remove(&pdev->dev);
}

static struct pci_driver test_pci_driver = {
	.name = NAME,
	.probe = test_pci_probe,
	.remove = test_pci_remove,
};

/* ---- the importer ---- */

/**
 * struct test_import - an open file
 * @lock: one ioctl at a time
 * @dmabuf: what is attached, with a reference; only valid with @attach
 * @attach: NULL if nothing is
 * @sgt: NULL if it is not mapped; protected by the dma-buf reservation lock
 * @added: a device with a heap of its own
 */
struct test_import {
	/* One ioctl at a time */
	struct mutex lock;
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;
	struct platform_device *added;
};

static void test_import_unmap(struct test_import *import)
{
	dma_resv_assert_held(import->dmabuf->resv);

	if (import->sgt)
		dma_buf_sgt_unmap_attachment(import->attach, import->sgt,
					     DMA_BIDIRECTIONAL);
	import->sgt = NULL;
}

static void test_import_invalidate(struct dma_buf_attachment *attach)
{
	test_import_unmap(attach->importer_priv);
}

static const struct dma_buf_attach_ops test_import_ops = {
	.invalidate_mappings = test_import_invalidate,
};

static const struct dma_buf_attach_ops test_import_p2p_ops = {
	.allow_peer2peer = true,
	.invalidate_mappings = test_import_invalidate,
};

static struct dma_buf_attachment *
test_import_attach(struct test_import *import, struct dma_buf *dmabuf,
		   const struct device_heap_test_attach *arg)
{
	struct test_device *test;

	guard(mutex)(&test_lock);
	test = test_device_find(arg->device);
	if (!test)
		return ERR_PTR(-ENOENT);
	if (arg->flags & DEVICE_HEAP_TEST_P2P)
		return dma_buf_sgt_dynamic_attach(dmabuf, test->dev,
						  &test_import_p2p_ops, import);
	if (arg->flags & DEVICE_HEAP_TEST_REVOCABLE)
		return dma_buf_sgt_dynamic_attach(dmabuf, test->dev,
						  &test_import_ops, import);
	return dma_buf_sgt_attach(dmabuf, test->dev);
}

static int test_attach(struct test_import *import, void *data)
{
	struct device_heap_test_attach *arg = data;
	struct dma_buf_attachment *attach;
	struct dma_buf *dmabuf;

	if (import->attach)
		return -EBUSY;
	arg->device[sizeof(arg->device) - 1] = '\0';

	dmabuf = dma_buf_get(arg->dmabuf);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);

	/* Before the attachment exists: it may be invalidated at once */
	import->dmabuf = dmabuf;
	attach = test_import_attach(import, dmabuf, arg);
	if (IS_ERR(attach)) {
		dma_buf_put(dmabuf);
		return PTR_ERR(attach);
	}
	import->attach = attach;
	return 0;
}

/* Everything there, in order, and in whole pages */
static bool sgt_is_good(struct sg_table *sgt, size_t size)
{
	struct scatterlist *sg;
	size_t sum = 0;
	unsigned int i;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		if (!PAGE_ALIGNED(sg_dma_address(sg) | sg_dma_len(sg)))
			return false;
		sum += sg_dma_len(sg);
	}
	return sum == size;
}

static int test_map(struct test_import *import, void *data)
{
	struct device_heap_test_map *arg = data;
	struct sg_table *sgt;

	if (!import->attach)
		return -ENOTCONN;

	dma_resv_lock(import->dmabuf->resv, NULL);
	if (import->sgt)
		sgt = ERR_PTR(-EBUSY);
	else
		sgt = dma_buf_sgt_map_attachment(import->attach,
						 DMA_BIDIRECTIONAL);
	if (!IS_ERR(sgt)) {
		WARN_ON(!sgt_is_good(sgt, import->dmabuf->size));
		arg->dma_addr = sg_dma_address(sgt->sgl);
		arg->nents = sgt->nents;
		import->sgt = sgt;
	}
	dma_resv_unlock(import->dmabuf->resv);
	return PTR_ERR_OR_ZERO(sgt);
}

static int test_unmap(struct test_import *import, void *data)
{
	if (!import->attach)
		return -ENOTCONN;

	dma_resv_lock(import->dmabuf->resv, NULL);
	test_import_unmap(import);
	dma_resv_unlock(import->dmabuf->resv);
	return 0;
}

static int test_swap(struct test_import *import, void *data)
{
	struct device_heap_test_swap *arg = data;
	struct iosys_map map;
	u64 word;
	int ret;

	if (!import->attach)
		return -ENOTCONN;
	if (arg->offset > import->dmabuf->size - sizeof(word))
		return -EINVAL;

	ret = dma_buf_vmap_unlocked(import->dmabuf, &map);
	if (ret)
		return ret;
	iosys_map_memcpy_from(&word, &map, arg->offset, sizeof(word));
	iosys_map_memcpy_to(&map, arg->offset, &arg->word, sizeof(word));
	dma_buf_vunmap_unlocked(import->dmabuf, &map);
	arg->word = word;
	return 0;
}

/* The mapping and the driver stay for as long as the DMA runs */
static int test_copy(struct test_import *import, void *data)
{
	struct test_device *test;
	struct device *dev;
	int ret = -ENOTCONN;

	if (!import->attach)
		return ret;

	guard(mutex)(&test_lock);
	dev = dma_buf_sgt_dma_device(import->attach);
	test = test_device_find(dev_name(dev));
	dma_resv_lock(import->dmabuf->resv, NULL);
	if (test && import->sgt)
		ret = edu_copy(test, sg_dma_address(import->sgt->sgl), data);
	dma_resv_unlock(import->dmabuf->resv);
	return ret;
}

static int test_add(struct test_import *import, void *data)
{
	struct device_heap_test_add *arg = data;
	struct platform_device *pdev;
	int ret;

	if (import->added)
		return -EBUSY;
	arg->device[sizeof(arg->device) - 1] = '\0';

	pdev = platform_device_register_simple(arg->device, PLATFORM_DEVID_NONE,
					       NULL, 0);
	if (IS_ERR(pdev))
		return PTR_ERR(pdev);

	ret = dev_dma_heap_add(&pdev->dev);
	if (ret)
		platform_device_unregister(pdev);
	else
		import->added = pdev;
	return ret;
}

static int test_do(struct test_import *import, unsigned int cmd, void *data)
{
	guard(mutex)(&import->lock);
	switch (cmd) {
	case DEVICE_HEAP_TEST_ATTACH:
		return test_attach(import, data);
	case DEVICE_HEAP_TEST_MAP:
		return test_map(import, data);
	case DEVICE_HEAP_TEST_UNMAP:
		return test_unmap(import, data);
	case DEVICE_HEAP_TEST_SWAP:
		return test_swap(import, data);
	case DEVICE_HEAP_TEST_COPY:
		return test_copy(import, data);
	case DEVICE_HEAP_TEST_ADD:
		return test_add(import, data);
	default:
		return -ENOTTY;
	}
}

static long test_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	u8 data[64] __aligned(8) = {};
	int ret;

	if (_IOC_SIZE(cmd) > sizeof(data))
		return -ENOTTY;
	if ((_IOC_DIR(cmd) & _IOC_WRITE) &&
	    copy_from_user(data, user, _IOC_SIZE(cmd)))
		return -EFAULT;

	ret = test_do(file->private_data, cmd, data);
	if (!ret && (_IOC_DIR(cmd) & _IOC_READ) &&
	    copy_to_user(user, data, _IOC_SIZE(cmd)))
		return -EFAULT;
	return ret;
}

static int test_open(struct inode *inode, struct file *file)
{
	struct test_import *import = kzalloc_obj(*import);

	if (!import)
		return -ENOMEM;
	mutex_init(&import->lock);
	file->private_data = import;
	return 0;
}

static int test_release(struct inode *inode, struct file *file)
{
	struct test_import *import = file->private_data;

	if (import->attach) {
		test_unmap(import, NULL);
		dma_buf_detach(import->dmabuf, import->attach);
		dma_buf_put(import->dmabuf);
	}
	if (import->added) {
		dev_dma_heap_remove(&import->added->dev);
		platform_device_unregister(import->added);
	}
	kfree(import);
	return 0;
}

static const struct file_operations test_fops = {
	.owner = THIS_MODULE,
	.open = test_open,
	.release = test_release,
	.unlocked_ioctl = test_ioctl,
};

static struct miscdevice test_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = NAME,
	.fops = &test_fops,
	.mode = 0600,
};

static void __init variant_ids_fill(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(variants); i++) {
		strscpy(variant_ids[i].name, variants[i].name);
		variant_ids[i].driver_data = i;
	}
}

static int __init device_heap_test_init(void)
{
	int ret;

	variant_ids_fill();
	ret = platform_driver_register(&variant_driver);
	if (ret)
		return ret;
	variants_add();

	ret = pci_register_driver(&test_pci_driver);
	if (ret)
		goto err_variants;
	ret = misc_register(&test_misc);
	if (ret)
		goto err_pci;
	return 0;

err_pci:
	pci_unregister_driver(&test_pci_driver);
err_variants:
	variants_remove();
	platform_driver_unregister(&variant_driver);
	return ret;
}
module_init(device_heap_test_init);

static void __exit device_heap_test_exit(void)
{
	misc_deregister(&test_misc);
	pci_unregister_driver(&test_pci_driver);
	variants_remove();
	platform_driver_unregister(&variant_driver);
}
module_exit(device_heap_test_exit);

MODULE_DESCRIPTION("Test devices for DMA-BUF device heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
MODULE_IMPORT_NS("DMA_BUF_HEAP");
