// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/dma-buf-bench: an importer and an exporter of DMA-bufs, and a count of
 * what their calls cost.
 *
 * Built into a kernel, stock or patched: tools/kernel has one of its files include
 * this one. Under QEMU's -icount, with a shift of 0, the time stamp counter counts
 * the instructions of the guest, one each.
 */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/iommu.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pci-p2pdma.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/timex.h>
#include <linux/uaccess.h>
#include <linux/vmstat.h>
#include <linux/xarray.h>

#include "dma-buf-bench.h"

#if __has_include(<linux/dma-buf-match.h>)
#define PATCHED 1
#include <linux/dma-buf-dal.h>
#include <linux/dma-buf-pal.h>
#include <linux/dma-buf-sgt.h>
#define dma_device_of dma_buf_sgt_dma_device
#else
#define PATCHED 0
#define dma_device_of(attach) ((attach)->dev)
#define dma_buf_sgt_attach dma_buf_attach
#define dma_buf_sgt_dynamic_attach dma_buf_dynamic_attach
#define dma_buf_sgt_map_attachment_unlocked dma_buf_map_attachment_unlocked
#define dma_buf_sgt_unmap_attachment_unlocked dma_buf_unmap_attachment_unlocked
#endif

static struct platform_device *bench_device;
/* The device that imports; another one only while BENCH_MAP_P2P runs */
static struct device *bench_dev;
static struct page *bench_page;

/* ---- Exporters ---- */

struct bench_buffer {
#if PATCHED
	struct dma_buf_pal_source source;
#endif
	size_t n;
};

/* What an exporter writes by hand for its pages */
static struct sg_table *bench_sgt_map(struct dma_buf_attachment *attach,
				      enum dma_data_direction dir)
{
	struct bench_buffer *buffer = attach->dmabuf->priv;
	struct scatterlist *sgl;
	struct sg_table *sgt;
	int i, ret;

	sgt = kzalloc_obj(*sgt);
	if (!sgt)
		return ERR_PTR(-ENOMEM);
	ret = sg_alloc_table(sgt, buffer->n, GFP_KERNEL);
	if (!ret) {
		for_each_sgtable_sg(sgt, sgl, i)
			sg_set_page(sgl, bench_page, PAGE_SIZE, 0);
		ret = dma_map_sgtable(dma_device_of(attach), sgt, dir, 0);
		if (!ret)
			return sgt;
		sg_free_table(sgt);
	}
	kfree(sgt);
	return ERR_PTR(ret);
}

static void bench_sgt_unmap(struct dma_buf_attachment *attach,
			    struct sg_table *sgt, enum dma_data_direction dir)
{
	dma_unmap_sgtable(dma_device_of(attach), sgt, dir, 0);
	sg_free_table(sgt);
	kfree(sgt);
}

static void bench_sgt_release(struct dma_buf *dmabuf)
{
	kfree(dmabuf->priv);
}

static const struct dma_buf_ops bench_sgt_ops = {
#if PATCHED
	DMA_BUF_SIMPLE_SGT_EXP_MATCH(bench_sgt_map, bench_sgt_unmap),
#else
	.map_dma_buf = bench_sgt_map,
	.unmap_dma_buf = bench_sgt_unmap,
#endif
	.release = bench_sgt_release,
};

/* QEMU's second edu: the first one belongs to user space */
static struct pci_dev *bench_edu(void)
{
	struct pci_dev *first = pci_get_device(0x1234, 0x11e8, NULL);

	return first ? pci_get_device(0x1234, 0x11e8, first) : NULL;
}

#if PATCHED
static int bench_pal_attach(struct dma_buf *dmabuf,
			    struct dma_buf_attachment *attach)
{
	struct bench_buffer *buffer = dmabuf->priv;

	return dma_buf_pal_source_admit(&buffer->source, attach);
}

static int bench_pal_match(struct dma_buf_match_args *args)
{
	struct bench_buffer *buffer = args->dmabuf->priv;
	struct dma_buf_mapping_match offer =
		dma_buf_pal_source_offer(&buffer->source);

	return dma_buf_match_mapping(args, &offer, 1);
}

static void bench_pal_release(struct dma_buf *dmabuf)
{
	struct bench_buffer *buffer = dmabuf->priv;

	dma_buf_pal_source_destroy(&buffer->source);
	kfree(buffer);
}

static const struct dma_buf_ops bench_pal_ops = {
	.attach = bench_pal_attach,
	.match_mapping = bench_pal_match,
	.release = bench_pal_release,
};

/* A device reaches itself by bus addresses; nothing is transferred */
static struct p2pdma_provider *bench_provider(void)
{
	static struct p2pdma_provider *provider;
	struct pci_dev *pdev = provider ? NULL : bench_edu();

	if (pdev && !pcim_p2pdma_init(pdev))
		provider = pcim_p2pdma_provider(pdev, 0);
	pci_dev_put(pdev);
	return provider;
}

static int bench_make_pal(struct bench_buffer *buffer,
			  struct dma_buf_export_info *info, bool mmio)
{
	struct p2pdma_provider *provider = mmio ? bench_provider() : NULL;
	struct phys_vec *phys;
	struct dma_buf_phys_list *list = dma_buf_phys_list_alloc(buffer->n, &phys);
	size_t i;

	if (mmio && !provider)
		return -ENODEV;
	if (!list)
		return -ENOMEM;
	for (i = 0; i < buffer->n; i++)
		phys[i] = (struct phys_vec) {
			.paddr = page_to_phys(bench_page),
			.len = PAGE_SIZE,
		};
	/* It cannot fail with these */
	dma_buf_phys_list_seal(list, info->size,
			       mmio ? DMA_BUF_PHYS_MMIO : DMA_BUF_PHYS_RAM,
			       provider);
	dma_buf_pal_source_init(&buffer->source, list, false);
	info->ops = &bench_pal_ops;
	return 0;
}
#else
static int bench_make_pal(struct bench_buffer *buffer,
			  struct dma_buf_export_info *info, bool mmio)
{
	return -EOPNOTSUPP;
}
#endif

static struct dma_buf *bench_make(const struct bench_export *export)
{
	struct bench_buffer *buffer = kzalloc_obj(*buffer);
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	int ret = 0;

	if (!buffer)
		return ERR_PTR(-ENOMEM);
	buffer->n = export->n;
	info.size = export->n << PAGE_SHIFT;
	info.ops = &bench_sgt_ops;
	info.priv = buffer;
	if (export->kind != BENCH_EXPORT_SGT)
		ret = bench_make_pal(buffer, &info,
				     export->kind == BENCH_EXPORT_MMIO);
	if (ret) {
		kfree(buffer);
		return ERR_PTR(ret);
	}
	return dma_buf_export(&info);
}

static long bench_export(void __user *arg)
{
	struct bench_export export;
	struct dma_buf *dmabuf;

	if (copy_from_user(&export, arg, sizeof(export)))
		return -EFAULT;
	dmabuf = bench_make(&export);
	return IS_ERR(dmabuf) ? PTR_ERR(dmabuf) : dma_buf_fd(dmabuf, O_CLOEXEC);
}

/* ---- The importer ---- */

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
	if (dynamic)
		return dma_buf_sgt_dynamic_attach(dmabuf, bench_dev,
						  &bench_importer, NULL);
	return dma_buf_sgt_attach(dmabuf, bench_dev);
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
		*sample = (struct sample){ middle - start,
					   get_cycles() - middle };
	}
	dma_buf_detach(dmabuf, attach);
	return ret;
}

/* What a driver writes for its device, run by run */
static struct {
	u64 addr, len;
} bench_descriptor;

static void bench_describe(dma_addr_t addr, size_t len)
{
	WRITE_ONCE(bench_descriptor.addr, addr);
	WRITE_ONCE(bench_descriptor.len, len);
}

static int bench_walk_sgt(struct dma_buf *dmabuf, struct sample *sample)
{
	struct dma_buf_attachment *attach = bench_attach(dmabuf, true);
	struct scatterlist *sgl;
	struct sg_table *sgt;
	u64 start;
	int i;

	if (IS_ERR(attach))
		return PTR_ERR(attach);

	sgt = dma_buf_sgt_map_attachment_unlocked(attach, DMA_BIDIRECTIONAL);
	if (!IS_ERR(sgt)) {
		start = get_cycles();
		for_each_sgtable_dma_sg(sgt, sgl, i)
			bench_describe(sg_dma_address(sgl), sg_dma_len(sgl));
		*sample = (struct sample){ get_cycles() - start, sgt->nents };
		dma_buf_sgt_unmap_attachment_unlocked(attach, sgt,
						      DMA_BIDIRECTIONAL);
	}
	dma_buf_detach(dmabuf, attach);
	return PTR_ERR_OR_ZERO(sgt);
}

#if PATCHED
static struct dma_buf_attachment *bench_attach_dal(struct dma_buf *dmabuf)
{
	const struct dma_buf_mapping_match request =
		DMA_BUF_IMAPPING_DAL(bench_dev, DMA_BUF_DAL_ANY);

	return dma_buf_mapping_attach(dmabuf, &request, 1, &bench_importer,
				      NULL);
}

/* The second number is that of the runs */
static struct sample bench_walk(const struct dma_buf_dal *dal)
{
	struct dma_buf_dal_iter iter;
	dma_addr_t addr;
	u64 start, runs = 0;
	size_t len;

	start = get_cycles();
	dma_buf_dal_start(dal, 0, &iter);
	while ((len = dma_buf_dal_next(&iter, SIZE_MAX, &addr)))
		bench_describe(addr, len);
	start = get_cycles() - start;
	dma_buf_dal_start(dal, 0, &iter);
	while (dma_buf_dal_next(&iter, SIZE_MAX, &addr))
		runs++;
	return (struct sample){ start, runs };
}

static int bench_dal(struct dma_buf *dmabuf, struct sample *sample, bool walk)
{
	struct dma_buf_attachment *attach = bench_attach_dal(dmabuf);
	struct dma_buf_dal dal;
	u64 start, middle, end;
	int ret;

	if (IS_ERR(attach))
		return PTR_ERR(attach);

	dma_resv_lock(dmabuf->resv, NULL);
	start = get_cycles();
	ret = dma_buf_dal_map(attach, &dal, 0, dmabuf->size,
			      DMA_BIDIRECTIONAL);
	middle = get_cycles();
	if (!ret) {
		if (walk)
			*sample = bench_walk(&dal);
		end = get_cycles();
		dma_buf_dal_unmap(&dal);
		if (!walk)
			*sample = (struct sample){ middle - start,
						   get_cycles() - end };
	}
	dma_resv_unlock(dmabuf->resv);
	dma_buf_detach(dmabuf, attach);
	return ret;
}
#else
static int bench_dal(struct dma_buf *dmabuf, struct sample *sample, bool walk)
{
	return -EOPNOTSUPP;
}
#endif

static int bench_for_peer(struct dma_buf *dmabuf, struct sample *sample, u32 op)
{
	switch (op) {
	case BENCH_MAP_P2P:
		return bench_map_unmap(dmabuf, sample, true);
	case BENCH_WALK_SGT_P2P:
		return bench_walk_sgt(dmabuf, sample);
	default:
		return bench_dal(dmabuf, sample, op == BENCH_WALK_DAL_P2P);
	}
}

static int bench_map_p2p(struct dma_buf *dmabuf, struct sample *sample, u32 op)
{
	struct pci_dev *pdev = bench_edu();
	int ret;

	if (!pdev)
		return -ENODEV;
	bench_dev = &pdev->dev;
	ret = dma_set_mask(bench_dev, DMA_BIT_MASK(64));
	if (!ret)
		ret = bench_for_peer(dmabuf, sample, op);
	bench_dev = &bench_device->dev;
	pci_dev_put(pdev);
	return ret;
}

static int bench_do_invalidate(struct dma_buf *dmabuf, struct sample *sample)
{
	u64 start;

	dma_resv_lock(dmabuf->resv, NULL);
	start = get_cycles();
	dma_buf_invalidate_mappings(dmabuf);
	*sample = (struct sample){ get_cycles() - start, 0 };
	dma_resv_unlock(dmabuf->resv);
	return 0;
}

#if PATCHED
static int bench_map_pal(struct dma_buf *dmabuf, struct sample *sample)
{
	const struct dma_buf_mapping_match request = DMA_BUF_IMAPPING_PAL();
	struct dma_buf_attachment *attach;
	struct dma_buf_phys_list *list;
	u64 start, middle;

	attach = dma_buf_mapping_attach(dmabuf, &request, 1, &bench_importer,
					NULL);
	if (IS_ERR(attach))
		return PTR_ERR(attach);

	dma_resv_lock(dmabuf->resv, NULL);
	start = get_cycles();
	list = dma_buf_pal_map_phys(attach);
	middle = get_cycles();
	if (!IS_ERR(list))
		dma_buf_pal_unmap_phys(attach, list);
	*sample = (struct sample){ middle - start, get_cycles() - middle };
	dma_resv_unlock(dmabuf->resv);
	dma_buf_detach(dmabuf, attach);
	return PTR_ERR_OR_ZERO(list);
}

#define BENCH_TYPES 8

static const struct dma_buf_mapping_type bench_types[2 * BENCH_TYPES];
static const struct dma_buf_mapping_exp_ops bench_no_ops;

/* Offers 0 to n - 1 and requests n - 1 to 2n - 2: one type is in both */
static int bench_match(struct dma_buf *dmabuf, struct sample *sample, u64 n)
{
	struct dma_buf_mapping_match offers[BENCH_TYPES] = { };
	struct dma_buf_mapping_match requests[BENCH_TYPES] = { };
	struct dma_buf_attachment attach = { .dmabuf = dmabuf };
	struct dma_buf_match_args args = {
		.dmabuf = dmabuf,
		.attach = &attach,
		.imp_matches = requests,
		.imp_len = n,
	};
	u64 i, start;
	int ret;

	if (!n || n > BENCH_TYPES)
		return -EINVAL;
	for (i = 0; i < n; i++) {
		offers[i].type = &bench_types[i];
		offers[i].exp_ops = &bench_no_ops;
		requests[n - 1 - i].type = &bench_types[n - 1 + i];
	}
	start = get_cycles();
	ret = dma_buf_match_mapping(&args, offers, n);
	*sample = (struct sample){ get_cycles() - start, 0 };
	return ret;
}
#else
static int bench_map_pal(struct dma_buf *dmabuf, struct sample *sample)
{
	return -EOPNOTSUPP;
}

static int bench_match(struct dma_buf *dmabuf, struct sample *sample, u64 n)
{
	return -EOPNOTSUPP;
}
#endif

/* ---- The IOMMU alone: the least that any importer of ranges pays ---- */

#define BENCH_PADDR (1ULL << 38)

#define BENCH_PROT (IOMMU_READ | IOMMU_WRITE | IOMMU_MMIO)

/* Every other one, so that nothing merges */
static int bench_fill(struct iommu_domain *domain, u64 n, u64 len)
{
	u64 i;
	int ret = 0;

	for (i = 0; i < n && !ret; i++)
		ret = iommu_map(domain, i * len, BENCH_PADDR + 2 * i * len, len,
				BENCH_PROT, GFP_KERNEL);
	return ret;
}

/* With one sync for all of them */
static int bench_fill_nosync(struct iommu_domain *domain, u64 n, u64 len)
{
	u64 i;
	int ret = 0;

	for (i = 0; i < n && !ret; i++)
		ret = iommu_map_nosync(domain, i * len,
				       BENCH_PADDR + 2 * i * len, len,
				       BENCH_PROT, GFP_KERNEL);
	return ret ?: iommu_sync_map(domain, 0, n * len);
}

static void bench_iommu_count(struct iommu_domain *domain,
			      struct sample *sample, const struct bench_run *run,
			      int *ret)
{
	u64 start, middle, n = run->n, len = run->len;

	start = get_cycles();
	*ret = run->op == BENCH_IOMMU_NOSYNC ?
	       bench_fill_nosync(domain, n, len) : bench_fill(domain, n, len);
	middle = get_cycles();
	iommu_unmap(domain, 0, n * len);
	*sample = (struct sample){ middle - start, get_cycles() - middle };
}

/* With a device behind it, whose IOTLB has to be told */
static int bench_iommu_map(struct sample *sample, const struct bench_run *run)
{
	struct pci_dev *pdev = bench_edu();
	struct iommu_domain *domain;
	int ret;

	if (!pdev)
		return -ENODEV;
	domain = iommu_paging_domain_alloc(&pdev->dev);
	if (IS_ERR(domain)) {
		pci_dev_put(pdev);
		return PTR_ERR(domain);
	}
	ret = iommu_attach_device(domain, &pdev->dev);
	if (!ret) {
		bench_iommu_count(domain, sample, run, &ret);
		iommu_detach_device(domain, &pdev->dev);
	}
	iommu_domain_free(domain);
	pci_dev_put(pdev);
	return ret;
}

/* ---- Memory ---- */

/* mm/internal.h: pages that CPUs keep for themselves count as free then */
void drain_all_pages(struct zone *zone);

/* Each of them holds this many ranges */
#define BENCH_CHUNK 1024
#define BENCH_LIST 16384

static u64 bench_free_bytes(void)
{
	drain_all_pages(NULL);
	return (u64)global_zone_page_state(NR_FREE_PAGES) << PAGE_SHIFT;
}

static void *bench_take_attach(struct dma_buf *dmabuf, u64 i)
{
	return bench_attach(dmabuf, true);
}

static void bench_give_attach(struct dma_buf *dmabuf, void *item, u64 i)
{
	dma_buf_detach(dmabuf, item);
}

/* What a mapping adds to its attachment */
static struct dma_buf_attachment *bench_mapper;

static void *bench_take_map(struct dma_buf *dmabuf, u64 i)
{
	return dma_buf_sgt_map_attachment_unlocked(bench_mapper, DMA_TO_DEVICE);
}

static void bench_give_map(struct dma_buf *dmabuf, void *item, u64 i)
{
	dma_buf_sgt_unmap_attachment_unlocked(bench_mapper, item, DMA_TO_DEVICE);
}

#if PATCHED
static void *bench_take_list(struct dma_buf *dmabuf, u64 i)
{
	struct phys_vec *phys;

	return dma_buf_phys_list_alloc(BENCH_LIST, &phys) ?: ERR_PTR(-ENOMEM);
}

static void bench_give_list(struct dma_buf *dmabuf, void *item, u64 i)
{
	dma_buf_phys_list_free(item);
}

static void *bench_take_dal(struct dma_buf *dmabuf, u64 i)
{
	struct dma_buf_dal *dal = kmalloc_obj(*dal);
	int ret = -ENOMEM;

	if (dal) {
		dma_resv_lock(dmabuf->resv, NULL);
		ret = dma_buf_dal_map(bench_mapper, dal, 0, dmabuf->size,
				      DMA_TO_DEVICE);
		dma_resv_unlock(dmabuf->resv);
	}
	if (!ret)
		return dal;
	kfree(dal);
	return ERR_PTR(ret);
}

static void bench_give_dal(struct dma_buf *dmabuf, void *item, u64 i)
{
	dma_resv_lock(dmabuf->resv, NULL);
	dma_buf_dal_unmap(item);
	dma_resv_unlock(dmabuf->resv);
	kfree(item);
}
#else
#define bench_attach_dal(dmabuf) bench_attach(dmabuf, true)
#define bench_take_dal NULL
#define bench_give_dal NULL
#define bench_take_list NULL
#define bench_give_list NULL
#endif

static DEFINE_XARRAY(bench_xarray);

static void *bench_take_xarray(struct dma_buf *dmabuf, u64 i)
{
	struct phys_vec *range = kmalloc_obj(*range);
	void *old = range ? xa_store(&bench_xarray, i, range, GFP_KERNEL) : NULL;

	return !range || xa_is_err(old) ? ERR_PTR(-ENOMEM) : range;
}

static void bench_give_xarray(struct dma_buf *dmabuf, void *item, u64 i)
{
	xa_erase(&bench_xarray, i);
	kfree(item);
}

static const struct bench_kind {
	void *(*take)(struct dma_buf *dmabuf, u64 i);
	void (*give)(struct dma_buf *dmabuf, void *item, u64 i);
	u64 chunk;
} bench_kinds[] = {
	{ bench_take_attach, bench_give_attach, 1 },
	{ bench_take_map, bench_give_map, BENCH_CHUNK },
	{ bench_take_list, bench_give_list, BENCH_LIST },
	{ bench_take_xarray, bench_give_xarray, 1 },
	{ bench_take_dal, bench_give_dal, BENCH_CHUNK },
};

static int bench_count_bytes(struct dma_buf *dmabuf, struct sample *sample,
			     const struct bench_kind *kind, void **items, u64 n)
{
	u64 before = bench_free_bytes(), between, i;
	int ret = 0;

	for (i = 0; i < n; i++) {
		items[i] = kind->take(dmabuf, i);
		if (IS_ERR(items[i])) {
			ret = PTR_ERR(items[i]);
			break;
		}
	}
	between = bench_free_bytes();
	while (i--)
		kind->give(dmabuf, items[i], i);
	*sample = (struct sample){ before - between,
				   max_t(s64, before - bench_free_bytes(), 0) };
	return ret;
}

static int bench_bytes(struct dma_buf *dmabuf, struct sample *sample,
		       u32 which, u64 n)
{
	const struct bench_kind *kind = &bench_kinds[which];
	void **items;
	int ret;

	if (!kind->take)
		return -EOPNOTSUPP;
	n /= kind->chunk;
	items = kvcalloc(n, sizeof(*items), GFP_KERNEL);
	if (!items)
		return -ENOMEM;
	bench_mapper = kind->take == bench_take_dal ?
		       bench_attach_dal(dmabuf) : bench_attach(dmabuf, true);
	ret = PTR_ERR_OR_ZERO(bench_mapper);
	if (!ret) {
		ret = bench_count_bytes(dmabuf, sample, kind, items, n);
		dma_buf_detach(dmabuf, bench_mapper);
	}
	kvfree(items);
	return ret;
}

/* ---- Repetition ---- */

static int bench_once(struct dma_buf *dmabuf, struct sample *sample,
		      const struct bench_run *run)
{
	switch (run->op) {
	case BENCH_ATTACH_STATIC:
		return bench_attach_detach(dmabuf, sample, false);
	case BENCH_ATTACH_DYNAMIC:
		return bench_attach_detach(dmabuf, sample, true);
	case BENCH_MAP_STATIC:
		return bench_map_unmap(dmabuf, sample, false);
	case BENCH_MAP_DYNAMIC:
		return bench_map_unmap(dmabuf, sample, true);
	case BENCH_WALK_SGT:
		return bench_walk_sgt(dmabuf, sample);
	case BENCH_MAP_DAL:
		return bench_dal(dmabuf, sample, false);
	case BENCH_WALK_DAL:
		return bench_dal(dmabuf, sample, true);
	case BENCH_MAP_P2P:
	case BENCH_WALK_SGT_P2P:
	case BENCH_MAP_DAL_P2P:
	case BENCH_WALK_DAL_P2P:
		return bench_map_p2p(dmabuf, sample, run->op);
	case BENCH_MAP_PAL:
		return bench_map_pal(dmabuf, sample);
	case BENCH_INVALIDATE:
		return bench_do_invalidate(dmabuf, sample);
	case BENCH_MATCH:
		return bench_match(dmabuf, sample, run->n);
	case BENCH_IOMMU_MAP:
	case BENCH_IOMMU_NOSYNC:
		return bench_iommu_map(sample, run);
	case BENCH_BYTES_ATTACH ... BENCH_BYTES_MAP_DAL:
		return bench_bytes(dmabuf, sample, run->op - BENCH_BYTES_ATTACH,
				   run->n);
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
	u32 i, n = run->samples;

	sort(samples, n, sizeof(*samples), compare, NULL);
	run->there = samples[n / 2].there;
	for (i = 0; i < n; i++)
		samples[i].there = samples[i].back;
	sort(samples, n, sizeof(*samples), compare, NULL);
	run->back = samples[n / 2].there;
}

static int bench_repeat(struct dma_buf *dmabuf, struct bench_run *run)
{
	struct sample *samples;
	int ret = 0;
	u32 i;

	samples = kcalloc(run->samples, sizeof(*samples), GFP_KERNEL);
	if (!samples)
		return -ENOMEM;
	for (i = 0; !ret && i < run->samples; i++)
		ret = bench_once(dmabuf, &samples[i], run);
	bench_result(run, samples);
	kfree(samples);
	return ret;
}

static int bench_among_others(struct dma_buf *dmabuf, struct bench_run *run)
{
	struct dma_buf_attachment *others[BENCH_OTHERS];
	int ret = 0;
	u32 n;

	for (n = 0; n < run->others; n++) {
		others[n] = bench_attach(dmabuf, true);
		if (IS_ERR(others[n])) {
			ret = PTR_ERR(others[n]);
			break;
		}
	}
	if (!ret)
		ret = bench_repeat(dmabuf, run);
	while (n--)
		dma_buf_detach(dmabuf, others[n]);
	return ret;
}

/* What the counter says about 1000 instructions, without the interrupt that may hit one */
static u64 bench_calibrate(void)
{
	u64 least = U64_MAX, start;

	for (int i = 0; i < 3; i++) {
		start = get_cycles();
		asm volatile(".rept 1000\n\tnop\n\t.endr");
		least = min(least, get_cycles() - start);
	}
	return least;
}

static long bench_run(struct bench_run __user *user)
{
	struct dma_buf *dmabuf = NULL;
	struct bench_run run;
	int ret;

	if (copy_from_user(&run, user, sizeof(run)))
		return -EFAULT;
	if (!run.samples || run.samples > BENCH_SAMPLES ||
	    run.others > BENCH_OTHERS)
		return -EINVAL;

	if (run.op != BENCH_IOMMU_MAP && run.op != BENCH_IOMMU_NOSYNC)
		dmabuf = dma_buf_get(run.fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	run.thousand = bench_calibrate();
	ret = bench_among_others(dmabuf, &run);
	if (dmabuf)
		dma_buf_put(dmabuf);
	if (ret)
		return ret;
	return copy_to_user(user, &run, sizeof(run)) ? -EFAULT : 0;
}

static long bench_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case BENCH_RUN:
		return bench_run((void __user *)arg);
	case BENCH_EXPORT:
		return bench_export((void __user *)arg);
	default:
		return -ENOTTY;
	}
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
	bench_page = alloc_page(GFP_KERNEL);
	if (!bench_page)
		return -ENOMEM;
	bench_device = platform_device_register_simple("dma-buf-bench", -1,
						       NULL, 0);
	if (IS_ERR(bench_device))
		return PTR_ERR(bench_device);
	bench_dev = &bench_device->dev;
	dma_coerce_mask_and_coherent(bench_dev, DMA_BIT_MASK(64));
	return misc_register(&bench_misc);
}
module_init(bench_init);
