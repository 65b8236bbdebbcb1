// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/dma-buf-bench: an importer of DMA-bufs that counts what its calls cost.
 *
 * Built into a kernel of its own, stock or patched: tools/kernel bench copies
 * this file into drivers/dma-buf. Under QEMU's -icount, with a shift of 0, the
 * time stamp counter counts the instructions of the guest, one each.
 */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/timex.h>
#include <linux/uaccess.h>

#include "dma-buf-bench.h"

#if __has_include(<linux/dma-buf-match.h>)
#include <linux/dma-buf-sgt.h>
#else
#define dma_buf_sgt_attach dma_buf_attach
#define dma_buf_sgt_dynamic_attach dma_buf_dynamic_attach
#define dma_buf_sgt_map_attachment_unlocked dma_buf_map_attachment_unlocked
#define dma_buf_sgt_unmap_attachment_unlocked dma_buf_unmap_attachment_unlocked
#endif

static struct platform_device *bench_device;

static void bench_invalidate(struct dma_buf_attachment *attach)
{
}

static const struct dma_buf_attach_ops bench_importer = {
	.allow_peer2peer = true,
	.invalidate_mappings = bench_invalidate,
};

/* Two numbers of each repetition: there, and back again */
struct sample {
	u64 there, back;
};

static struct dma_buf_attachment *bench_attach(struct dma_buf *dmabuf,
					       bool dynamic)
{
	struct device *dev = &bench_device->dev;

	if (dynamic)
		return dma_buf_sgt_dynamic_attach(dmabuf, dev, &bench_importer,
						  NULL);
	return dma_buf_sgt_attach(dmabuf, dev);
}

static int bench_attach_detach(struct dma_buf *dmabuf, struct sample *sample,
			       bool dynamic)
{
	struct dma_buf_attachment *attach;
	u64 start, middle;

	start = get_cycles();
	attach = bench_attach(dmabuf, dynamic);
	middle = get_cycles();
	if (IS_ERR(attach))
		return PTR_ERR(attach);
	dma_buf_detach(dmabuf, attach);
	*sample = (struct sample){ middle - start, get_cycles() - middle };
	return 0;
}

static int bench_map_unmap(struct dma_buf *dmabuf, struct sample *sample,
			   bool dynamic)
{
	struct dma_buf_attachment *attach = bench_attach(dmabuf, dynamic);
	struct sg_table *sgt;
	u64 start, middle;
	int ret = 0;

	if (IS_ERR(attach))
		return PTR_ERR(attach);

	start = get_cycles();
	sgt = dma_buf_sgt_map_attachment_unlocked(attach, DMA_BIDIRECTIONAL);
	middle = get_cycles();
	if (IS_ERR(sgt)) {
		ret = PTR_ERR(sgt);
	} else {
		dma_buf_sgt_unmap_attachment_unlocked(attach, sgt,
						      DMA_BIDIRECTIONAL);
		*sample = (struct sample){ middle - start, get_cycles() - middle };
	}
	dma_buf_detach(dmabuf, attach);
	return ret;
}

static int bench_once(struct dma_buf *dmabuf, struct sample *sample, u32 op)
{
	switch (op) {
	case BENCH_ATTACH_STATIC:
		return bench_attach_detach(dmabuf, sample, false);
	case BENCH_ATTACH_DYNAMIC:
		return bench_attach_detach(dmabuf, sample, true);
	case BENCH_MAP_STATIC:
		return bench_map_unmap(dmabuf, sample, false);
	case BENCH_MAP_DYNAMIC:
		return bench_map_unmap(dmabuf, sample, true);
	default:
		return -EINVAL;
	}
}

static int compare(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The median: what an interrupt or a new slab costs is in a few samples only */
static void bench_result(struct bench_run *run, struct sample *samples)
{
	u64 *values = (u64 *)samples;

	sort(samples, BENCH_SAMPLES, sizeof(*samples), compare, NULL);
	run->there = values[BENCH_SAMPLES & ~1];
	for (int i = 0; i < BENCH_SAMPLES; i++)
		values[2 * i] = values[2 * i + 1];
	sort(samples, BENCH_SAMPLES, sizeof(*samples), compare, NULL);
	run->back = values[BENCH_SAMPLES & ~1];
}

static int bench_all(struct dma_buf *dmabuf, struct bench_run *run)
{
	struct dma_buf_attachment *others[BENCH_OTHERS];
	struct sample *samples;
	u32 i, n;
	int ret = 0;

	if (run->others > BENCH_OTHERS)
		return -EINVAL;
	samples = kcalloc(BENCH_SAMPLES, sizeof(*samples), GFP_KERNEL);
	if (!samples)
		return -ENOMEM;

	for (n = 0; n < run->others; n++) {
		others[n] = bench_attach(dmabuf, true);
		if (IS_ERR(others[n])) {
			ret = PTR_ERR(others[n]);
			break;
		}
	}
	for (i = 0; !ret && i < BENCH_SAMPLES; i++)
		ret = bench_once(dmabuf, &samples[i], run->op);
	while (n--)
		dma_buf_detach(dmabuf, others[n]);
	bench_result(run, samples);
	kfree(samples);
	return ret;
}

/* What the counter says about 1000 instructions */
static u64 bench_calibrate(void)
{
	u64 start = get_cycles();

	asm volatile(".rept 1000\n\tnop\n\t.endr");
	return get_cycles() - start;
}

static long bench_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct bench_run __user *user = (void __user *)arg;
	struct dma_buf *dmabuf;
	struct bench_run run;
	int ret;

	if (cmd != BENCH_RUN)
		return -ENOTTY;
	if (copy_from_user(&run, user, sizeof(run)))
		return -EFAULT;

	dmabuf = dma_buf_get(run.fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	run.thousand = bench_calibrate();
	ret = bench_all(dmabuf, &run);
	dma_buf_put(dmabuf);
	if (ret)
		return ret;
	return copy_to_user(user, &run, sizeof(run)) ? -EFAULT : 0;
}

static const struct file_operations bench_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = bench_ioctl,
};

static struct miscdevice bench_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "dma-buf-bench",
	.fops = &bench_fops,
};

static int __init bench_init(void)
{
	bench_device = platform_device_register_simple("dma-buf-bench", -1,
						       NULL, 0);
	if (IS_ERR(bench_device))
		return PTR_ERR(bench_device);
	dma_coerce_mask_and_coherent(&bench_device->dev, DMA_BIT_MASK(64));
	return misc_register(&bench_misc);
}
module_init(bench_init);
