// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests for DMA-buf converters, and for the exporters' part of PAL.
 */
#include <kunit/platform_device.h>
#include <kunit/test.h>
#include <linux/dma-buf-cpu.h>
#include <linux/dma-buf-dal.h>
#include <linux/dma-buf-mapping.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/file.h>
#include <linux/gfp.h>
#include <linux/platform_device.h>
#include <linux/prandom.h>
#include <linux/rwsem.h>
#include <linux/vmalloc.h>

#include "dma-buf-converter.h"

#define PAGES	3

/* ---- RAM, lent as PAL and nothing else ---- */

/* As a GEM object would: the source is somewhere inside, and priv is its own */
struct lender {
	struct dma_buf *dmabuf;
	struct page *pages[PAGES];
	struct dma_buf_phys_list *list;
	struct dma_buf_pal_source source;
	/* An offer to make before PAL, if it has a type */
	struct dma_buf_mapping_match first;
	int invalidated;
	struct sg_table *sgt;
	struct dma_buf_dal dal;
	struct dma_buf_cpu cpu;
	struct dma_buf_attachment *attach;
};

static struct lender *lender_of(struct dma_buf *dmabuf)
{
	return dmabuf->priv;
}

static int lender_match(struct dma_buf_match_args *args)
{
	const struct lender *lender = lender_of(args->dmabuf);
	struct dma_buf_mapping_match offers[2];
	size_t count = 0;

	if (lender->first.type)
		offers[count++] = lender->first;
	offers[count++] = dma_buf_pal_source_offer(&lender->source);
	return dma_buf_match_mapping(args, offers, count);
}

static int lender_attach(struct dma_buf *dmabuf,
			 struct dma_buf_attachment *attach)
{
	return dma_buf_pal_source_admit(&lender_of(dmabuf)->source, attach);
}

static void lender_release(struct dma_buf *dmabuf)
{
}

static const struct dma_buf_ops lender_ops = {
	.attach = lender_attach,
	.match_mapping = lender_match,
	.release = lender_release,
	.waits_for_unmap = true,
};

static void lender_free(void *data)
{
	struct lender *lender = data;

	if (lender->dmabuf)
		__fput_sync(lender->dmabuf->file);
	if (lender->source.list)
		dma_buf_pal_source_destroy(&lender->source);
	else
		dma_buf_phys_list_free(lender->list);
	for (int i = 0; i < PAGES; i++)
		if (lender->pages[i])
			__free_page(lender->pages[i]);
}

static struct dma_buf_phys_list *lender_list(struct kunit *test,
					     struct lender *lender)
{
	struct phys_vec *phys;
	struct dma_buf_phys_list *list = dma_buf_phys_list_alloc(PAGES, &phys);

	KUNIT_ASSERT_NOT_NULL(test, list);
	lender->list = list;
	for (int i = 0; i < PAGES; i++) {
		lender->pages[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, lender->pages[i]);
		phys[i] = (struct phys_vec) {
			.paddr = page_to_phys(lender->pages[i]),
			.len = PAGE_SIZE,
		};
	}
	return list;
}

static struct lender *lender_new(struct kunit *test,
				 enum dma_buf_phys_memory memory)
{
	struct lender *lender = kunit_kzalloc(test, sizeof(*lender), GFP_KERNEL);
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	KUNIT_ASSERT_NOT_NULL(test, lender);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, lender_free, lender));
	KUNIT_ASSERT_EQ(test, 0,
			dma_buf_phys_list_seal(lender_list(test, lender),
					       PAGES * PAGE_SIZE, memory, NULL));
	dma_buf_pal_source_init(&lender->source, lender->list, false);

	info.ops = &lender_ops;
	info.size = PAGES * PAGE_SIZE;
	info.priv = lender;
	lender->dmabuf = dma_buf_export(&info);
	if (IS_ERR(lender->dmabuf))
		lender->dmabuf = NULL;
	KUNIT_ASSERT_NOT_NULL(test, lender->dmabuf);
	return lender;
}

/* A device that the DMA API maps for */
static struct device *dma_device(struct kunit *test)
{
	struct platform_device *pdev =
		kunit_platform_device_alloc(test, "dma-buf-test",
					    PLATFORM_DEVID_AUTO);

	KUNIT_ASSERT_NOT_NULL(test, pdev);
	KUNIT_ASSERT_EQ(test, 0, kunit_platform_device_add(test, pdev));
	KUNIT_ASSERT_EQ(test, 0,
			dma_coerce_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64)));
	return &pdev->dev;
}

/* Unmaps when it is told to, as an importer must */
static void borrower_invalidate(struct dma_buf_attachment *attach)
{
	struct lender *lender = lender_of(attach->dmabuf);

	lender->invalidated++;
	if (lender->sgt)
		dma_buf_sgt_unmap_attachment(attach, lender->sgt, DMA_TO_DEVICE);
	lender->sgt = NULL;
	if (lender->dal.attach)
		dma_buf_dal_unmap(&lender->dal);
	if (lender->cpu.attach)
		dma_buf_cpu_unmap(&lender->cpu);
}

static const struct dma_buf_attach_ops borrower_ops = {
	.invalidate_mappings = borrower_invalidate,
};

static const struct dma_buf_attach_ops p2p_borrower_ops = {
	.allow_peer2peer = true,
	.invalidate_mappings = borrower_invalidate,
};

static struct dma_buf_attachment *borrow(struct lender *lender,
					 struct device *dev)
{
	return dma_buf_sgt_dynamic_attach(lender->dmabuf, dev, &borrower_ops,
					  lender);
}

static struct sg_table *borrow_map(struct dma_buf_attachment *attach)
{
	return dma_buf_sgt_map_attachment_unlocked(attach, DMA_TO_DEVICE);
}

/* ---- PAL -> SGT ---- */

/* Where all of the pages are, NUMA_NO_NODE if they are not together */
static int lender_node(const struct lender *lender)
{
	int node = page_to_nid(lender->pages[0]);

	for (int i = 1; i < PAGES; i++)
		if (page_to_nid(lender->pages[i]) != node)
			return NUMA_NO_NODE;
	return node;
}

static void check_place(struct kunit *test, const struct lender *lender,
			const struct dma_buf_attachment *attach)
{
	struct dma_buf_place place;

	dma_resv_lock(lender->dmabuf->resv, NULL);
	dma_buf_sgt_place(attach, &place);
	dma_resv_unlock(lender->dmabuf->resv);
	KUNIT_EXPECT_EQ(test, DMA_BUF_MEMORY_RAM, place.memory);
	KUNIT_EXPECT_EQ(test, DMA_BUF_P2P_NO_ROUTE, place.route);
	KUNIT_EXPECT_NULL(test, place.peer);
	KUNIT_EXPECT_EQ(test, lender_node(lender), place.node);
	KUNIT_EXPECT_FALSE(test, place.tph.valid);
}

static void test_convert_ram(struct kunit *test)
{
	struct lender *lender = lender_new(test, DMA_BUF_PHYS_RAM);
	struct dma_buf_attachment *attach;
	struct scatterlist *sgl;
	struct sg_table *sgt;
	size_t total = 0;
	int i;

	attach = borrow(lender, dma_device(test));
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_TRUE(test, dma_buf_is_sgt(attach));
	KUNIT_EXPECT_FALSE(test, dma_buf_sgt_p2p_allowed(attach));
	KUNIT_EXPECT_NOT_NULL(test, attach->converted);

	sgt = borrow_map(attach);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, sgt);
	KUNIT_EXPECT_EQ(test, 2, kref_read(&lender->source.kref));
	for_each_sgtable_dma_sg(sgt, sgl, i)
		total += sg_dma_len(sgl);
	KUNIT_EXPECT_EQ(test, PAGES * PAGE_SIZE, total);
	check_place(test, lender, attach);

	dma_buf_sgt_unmap_attachment_unlocked(attach, sgt, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, 1, kref_read(&lender->source.kref));
	dma_buf_detach(lender->dmabuf, attach);
}

/* MMIO of an unknown device has no route to another one */
static void test_convert_mmio(struct kunit *test)
{
	struct lender *lender = lender_new(test, DMA_BUF_PHYS_MMIO);
	struct dma_buf_mapping_match request =
		DMA_BUF_IMAPPING_SGT(dma_device(test), true);
	struct dma_buf_attachment *attach;

	attach = dma_buf_mapping_attach(lender->dmabuf, &request, 1,
					&p2p_borrower_ops, lender);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, PTR_ERR(attach));
}

static struct sg_table *never_map(struct dma_buf_attachment *attach,
				  enum dma_data_direction dir)
{
	return ERR_PTR(-EIO);
}

static void never_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
			enum dma_data_direction dir)
{
}

static const struct dma_buf_mapping_sgt_exp_ops direct_ops = {
	.map_dma_buf = never_map,
	.unmap_dma_buf = never_unmap,
};

static int lender_match_both(struct dma_buf_match_args *args)
{
	struct dma_buf_mapping_match offers[2] = { };
	struct lender *lender = lender_of(args->dmabuf);

	/* The offer that can be converted comes first, with the better rank */
	offers[0] = lender->first;
	offers[1] = DMA_BUF_EMAPPING_SGT(&direct_ops);
	return dma_buf_match_mapping(args, offers, 2);
}

/* A direct pair wins over any conversion, whatever its rank */
static void test_direct_wins(struct kunit *test)
{
	struct lender *lender = lender_new(test, DMA_BUF_PHYS_RAM);
	struct dma_buf_ops ops = lender_ops;
	struct dma_buf_attachment *attach;

	ops.match_mapping = lender_match_both;
	lender->dmabuf->ops = &ops;
	lender->first.type = &dma_buf_mapping_pal_type;
	lender->first.pal_data.is_ram = true;
	attach = borrow(lender, dma_device(test));
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_PTR_EQ(test, &direct_ops, dma_buf_get_sgt_ops(attach));
	KUNIT_EXPECT_NULL(test, attach->converted);
	dma_buf_detach(lender->dmabuf, attach);
	lender->dmabuf->ops = &lender_ops;
}

/* ---- Another converter: one row and one offer ---- */

static const struct dma_buf_mapping_type type_from = { .name = "from" };
static const struct dma_buf_mapping_type type_to = { .name = "to" };
static const struct dma_buf_mapping_exp_ops from_ops, to_ops;

static int second_offer(struct dma_buf_match_args *args,
			const struct dma_buf_mapping_match *exp,
			struct dma_buf_mapping_match *offer)
{
	if (exp->payload[0] == 7)
		return dma_buf_match_refuse(args, "seven");
	*offer = (struct dma_buf_mapping_match) {
		.type = &type_to,
		.exp_ops = &to_ops,
		.payload = { exp->payload[0] + 1 },
	};
	return 0;
}

static const struct dma_buf_converter second = {
	.name = "from->to",
	.from = &type_from,
	.to = &type_to,
	.ops = &to_ops,
	.offer = second_offer,
};

static void drop_second(void *unused)
{
	dma_buf_test_converter = NULL;
}

static void test_second_converter(struct kunit *test)
{
	const struct dma_buf_mapping_match request = { .type = &type_to };
	struct lender *lender = lender_new(test, DMA_BUF_PHYS_RAM);
	struct dma_buf_attachment *attach;

	lender->first = (struct dma_buf_mapping_match) {
		.type = &type_from, .exp_ops = &from_ops, .payload = { 41 },
	};
	attach = dma_buf_mapping_attach(lender->dmabuf, &request, 1,
					&borrower_ops, lender);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, PTR_ERR(attach));

	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, drop_second, NULL));
	dma_buf_test_converter = &second;
	attach = dma_buf_mapping_attach(lender->dmabuf, &request, 1,
					&borrower_ops, lender);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_PTR_EQ(test, &type_to, attach->map_type.type);
	KUNIT_EXPECT_EQ(test, 42, attach->map_type.payload[0]);
	KUNIT_EXPECT_PTR_EQ(test, &from_ops, attach->converted);
	dma_buf_detach(lender->dmabuf, attach);

	/* It may decline */
	lender->first.payload[0] = 7;
	attach = dma_buf_mapping_attach(lender->dmabuf, &request, 1,
					&borrower_ops, lender);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, PTR_ERR(attach));
}

/* ---- Revoke ---- */

static void test_source_revoke(struct kunit *test)
{
	struct lender *lender = lender_new(test, DMA_BUF_PHYS_RAM);
	struct device *dev = dma_device(test);
	struct dma_buf_attachment *attach;

	attach = borrow(lender, dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	lender->sgt = borrow_map(attach);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, lender->sgt);

	dma_buf_pal_source_revoke(&lender->source, lender->dmabuf);
	KUNIT_EXPECT_EQ(test, 1, lender->invalidated);
	KUNIT_EXPECT_NULL(test, lender->sgt);
	KUNIT_EXPECT_EQ(test, -ENODEV, PTR_ERR(borrow_map(attach)));
	KUNIT_EXPECT_EQ(test, -ENODEV, PTR_ERR(borrow(lender, dev)));

	/* Twice is the same as once */
	dma_buf_pal_source_revoke(&lender->source, lender->dmabuf);
	KUNIT_EXPECT_EQ(test, 1, lender->invalidated);

	dma_buf_pal_source_restore(&lender->source, lender->dmabuf);
	KUNIT_EXPECT_EQ(test, 2, lender->invalidated);
	lender->sgt = borrow_map(attach);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, lender->sgt);
	dma_buf_pal_source_revoke(&lender->source, lender->dmabuf);
	KUNIT_EXPECT_EQ(test, 1, kref_read(&lender->source.kref));
	dma_buf_detach(lender->dmabuf, attach);
}

/* An importer that cannot give the memory back does not get it */
static void test_source_not_revocable(struct kunit *test)
{
	struct lender *lender = lender_new(test, DMA_BUF_PHYS_RAM);

	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			PTR_ERR(dma_buf_sgt_attach(lender->dmabuf,
						   dma_device(test))));
}

/* ---- DAL ---- */

static struct dma_buf_attachment *
attach_dal(struct dma_buf *dmabuf, struct device *dev, u8 accepts,
	   const struct dma_buf_attach_ops *ops)
{
	const struct dma_buf_mapping_match request =
		DMA_BUF_IMAPPING_DAL(dev, accepts);

	return dma_buf_mapping_attach(dmabuf, &request, 1, ops, NULL);
}

/* The core maps RAM for coherent devices alone, and refuses all others */
static struct dma_buf_attachment *borrow_dal(struct kunit *test,
					     struct lender *lender,
					     struct device *dev)
{
	struct dma_buf_attachment *attach =
		attach_dal(lender->dmabuf, dev, DMA_BUF_DAL_ANY,
			   &p2p_borrower_ops);

	if (!dev_is_dma_coherent(dev)) {
		KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, PTR_ERR(attach));
		kunit_skip(test, "platform devices are not coherent here");
	}
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_NULL(test, dma_buf_sgt_exporter_ops(attach));
	KUNIT_EXPECT_TRUE(test, dma_buf_is_dal(attach));
	KUNIT_EXPECT_PTR_EQ(test, dev, dma_buf_dal_device(attach));
	KUNIT_EXPECT_PTR_EQ(test, dev, dma_buf_sgt_dma_device(attach));
	KUNIT_EXPECT_FALSE(test, dma_buf_dal_may_be_peer(attach));
	return attach;
}

static int map_dal(struct dma_buf_attachment *attach, struct dma_buf_dal *dal,
		   size_t offset, size_t size)
{
	int ret;

	dma_resv_lock(attach->dmabuf->resv, NULL);
	ret = dma_buf_dal_map(attach, dal, offset, size, DMA_BIDIRECTIONAL);
	dma_resv_unlock(attach->dmabuf->resv);
	return ret;
}

static void unmap_dal(struct dma_buf_dal *dal)
{
	struct dma_buf *dmabuf = dal->attach->dmabuf;

	dma_resv_lock(dmabuf->resv, NULL);
	dma_buf_dal_unmap(dal);
	dma_resv_unlock(dmabuf->resv);
}

/* Each byte that the device sees is that of the page that has it */
static void check_dal(struct kunit *test, const struct lender *lender,
		      const struct dma_buf_dal *dal, size_t offset, size_t max)
{
	struct dma_buf_dal_iter iter;
	dma_addr_t addr;
	size_t len, i;

	dma_buf_dal_start(dal, 0, &iter);
	while ((len = dma_buf_dal_next(&iter, max, &addr))) {
		for (i = 0; i < len; i++, offset++)
			if (addr + i != page_to_phys(lender->pages[offset / PAGE_SIZE]) +
				       offset % PAGE_SIZE)
				break;
		KUNIT_ASSERT_EQ(test, len, i);
		KUNIT_EXPECT_EQ(test, DMA_BUF_MEMORY_RAM,
				dma_buf_dal_place(&iter)->memory);
		KUNIT_EXPECT_EQ(test, lender_node(lender),
				dma_buf_dal_place(&iter)->node);
	}
	KUNIT_EXPECT_EQ(test, dal->offset + dal->size, offset);
}

/* The device has no IOMMU: DMA addresses are physical ones */
static void test_dal_ram(struct kunit *test)
{
	struct lender *lender = lender_new(test, DMA_BUF_PHYS_RAM);
	struct dma_buf_attachment *attach =
		borrow_dal(test, lender, dma_device(test));
	struct dma_buf_dal *dal = &lender->dal;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 1);
	for (int i = 0; i < 50; i++) {
		size_t offset = prandom_u32_state(&rnd) % (PAGES * PAGE_SIZE);
		size_t size = 1 + prandom_u32_state(&rnd) %
			      (PAGES * PAGE_SIZE - offset);

		KUNIT_ASSERT_EQ(test, 0, map_dal(attach, dal, offset, size));
		KUNIT_EXPECT_EQ(test, 2, kref_read(&lender->source.kref));
		check_dal(test, lender, dal, offset, SIZE_MAX);
		check_dal(test, lender, dal, offset, 1 + offset % 5000);
		unmap_dal(dal);
		KUNIT_EXPECT_EQ(test, 1, kref_read(&lender->source.kref));
	}
	dma_buf_detach(lender->dmabuf, attach);
}

static void test_dal_outside(struct kunit *test)
{
	static const size_t slices[][2] = {
		{ 0, 0 }, { PAGES * PAGE_SIZE, 1 }, { 1, PAGES * PAGE_SIZE },
		{ 0, SIZE_MAX }, { SIZE_MAX, 1 }, { PAGE_SIZE, SIZE_MAX },
	};
	struct lender *lender = lender_new(test, DMA_BUF_PHYS_RAM);
	struct dma_buf_attachment *attach =
		borrow_dal(test, lender, dma_device(test));

	for (int i = 0; i < ARRAY_SIZE(slices); i++)
		KUNIT_EXPECT_EQ(test, -EINVAL,
				map_dal(attach, &lender->dal, slices[i][0],
					slices[i][1]));
	KUNIT_EXPECT_EQ(test, 1, kref_read(&lender->source.kref));
	dma_buf_detach(lender->dmabuf, attach);
}

/* Two devices, overlapping slices; the first one to go does not disturb */
static void test_dal_two_devices(struct kunit *test)
{
	struct lender *lender = lender_new(test, DMA_BUF_PHYS_RAM);
	struct device *second = dma_device(test);
	struct dma_buf_attachment *attach =
		borrow_dal(test, lender, dma_device(test));
	struct dma_buf_dal dal;

	KUNIT_ASSERT_EQ(test, 0, map_dal(attach, &dal, 0, 2 * PAGE_SIZE));
	dma_resv_lock(lender->dmabuf->resv, NULL);
	KUNIT_ASSERT_EQ(test, 0,
			dma_buf_dal_map_for(attach, &lender->dal, second,
					    PAGE_SIZE, 2 * PAGE_SIZE,
					    DMA_TO_DEVICE));
	dma_resv_unlock(lender->dmabuf->resv);
	KUNIT_EXPECT_EQ(test, 3, kref_read(&lender->source.kref));
	unmap_dal(&dal);
	check_dal(test, lender, &lender->dal, PAGE_SIZE, SIZE_MAX);

	/* A revoke waits for what is left, and nobody maps after it */
	dma_buf_pal_source_revoke(&lender->source, lender->dmabuf);
	KUNIT_EXPECT_NULL(test, lender->dal.attach);
	KUNIT_EXPECT_EQ(test, 1, kref_read(&lender->source.kref));
	KUNIT_EXPECT_EQ(test, -ENODEV, map_dal(attach, &dal, 0, PAGE_SIZE));
	KUNIT_EXPECT_NULL(test, dal.attach);
	dma_buf_detach(lender->dmabuf, attach);
}

static void test_dal_refused(struct kunit *test)
{
	struct lender *ram = lender_new(test, DMA_BUF_PHYS_RAM);
	struct lender *unknown = lender_new(test, DMA_BUF_PHYS_MMIO);
	struct device *dev = dma_device(test);

	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			PTR_ERR(attach_dal(ram->dmabuf, dev, DMA_BUF_DAL_PEER,
					   &p2p_borrower_ops)));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			PTR_ERR(attach_dal(unknown->dmabuf, dev, DMA_BUF_DAL_ANY,
					   &p2p_borrower_ops)));
	/* Importers that cannot give it back */
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			PTR_ERR(attach_dal(ram->dmabuf, dev, DMA_BUF_DAL_ANY,
					   NULL)));
}

/* What the request accepts, the importer's ops must allow */
static void test_dal_contradiction(struct kunit *test)
{
	struct lender *lender = lender_new(test, DMA_BUF_PHYS_RAM);
	struct device *dev = dma_device(test);

	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, -EINVAL,
				PTR_ERR(attach_dal(lender->dmabuf, dev,
						   DMA_BUF_DAL_ANY,
						   &borrower_ops)));
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}

	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, -EINVAL,
				PTR_ERR(attach_dal(lender->dmabuf, dev,
						   DMA_BUF_DAL_RAM,
						   &p2p_borrower_ops)));
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
}

/* A request may want less than the ops allow, if another one is for peers */
static void test_dal_two_requests(struct kunit *test)
{
	struct lender *lender = lender_new(test, DMA_BUF_PHYS_RAM);
	struct device *dev = dma_device(test);
	const struct dma_buf_mapping_match requests[] = {
		DMA_BUF_IMAPPING_DAL(dev, DMA_BUF_DAL_BUS_ADDRESS),
		DMA_BUF_IMAPPING_DAL(dev, DMA_BUF_DAL_RAM),
	};
	struct dma_buf_attachment *attach;

	attach = dma_buf_mapping_attach(lender->dmabuf, requests, 2,
					&p2p_borrower_ops, lender);
	KUNIT_ASSERT_EQ(test, dev_is_dma_coherent(dev) ? 0 : -EOPNOTSUPP,
			PTR_ERR_OR_ZERO(attach));
	if (!IS_ERR(attach))
		dma_buf_detach(lender->dmabuf, attach);
}

/* ---- SGT -> DAL: an exporter that maps itself, and pins ---- */

struct native {
	struct dma_buf *dmabuf;
	struct page *pages[PAGES];
	struct sg_table table;
	int pins, maps;
};

static struct sg_table *native_map(struct dma_buf_attachment *attach,
				   enum dma_data_direction dir)
{
	struct native *native = attach->dmabuf->priv;
	struct sg_table *sgt = kzalloc_obj(*sgt);
	struct scatterlist *sgl;
	int i;

	if (!sgt || sg_alloc_table(sgt, PAGES, GFP_KERNEL))
		goto err_free;
	for_each_sgtable_sg(sgt, sgl, i)
		sg_set_page(sgl, native->pages[i], PAGE_SIZE, 0);
	if (dma_map_sgtable(dma_buf_sgt_dma_device(attach), sgt, dir, 0))
		goto err_table;
	native->maps++;
	return sgt;

err_table:
	sg_free_table(sgt);
err_free:
	kfree(sgt);
	return ERR_PTR(-ENOMEM);
}

static void native_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
			 enum dma_data_direction dir)
{
	struct native *native = attach->dmabuf->priv;

	native->maps--;
	dma_unmap_sgtable(dma_buf_sgt_dma_device(attach), sgt, dir, 0);
	sg_free_table(sgt);
	kfree(sgt);
}

static int native_pin(struct dma_buf_attachment *attach)
{
	((struct native *)attach->dmabuf->priv)->pins++;
	return 0;
}

static void native_unpin(struct dma_buf_attachment *attach)
{
	((struct native *)attach->dmabuf->priv)->pins--;
}

static const struct dma_buf_ops native_ops = {
	DMA_BUF_SIMPLE_SGT_EXP_MATCH(native_map, native_unmap),
	.pin = native_pin,
	.unpin = native_unpin,
	.release = lender_release,
};

static void native_free(void *data)
{
	struct native *native = data;

	if (native->dmabuf)
		__fput_sync(native->dmabuf->file);
	sg_free_table(&native->table);
	for (int i = 0; i < PAGES; i++)
		if (native->pages[i])
			__free_page(native->pages[i]);
}

static struct native *native_new(struct kunit *test)
{
	struct native *native = kunit_kzalloc(test, sizeof(*native), GFP_KERNEL);
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	KUNIT_ASSERT_NOT_NULL(test, native);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, native_free, native));
	for (int i = 0; i < PAGES; i++) {
		native->pages[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, native->pages[i]);
	}
	info.ops = &native_ops;
	info.size = PAGES * PAGE_SIZE;
	info.priv = native;
	native->dmabuf = dma_buf_export(&info);
	if (IS_ERR(native->dmabuf))
		native->dmabuf = NULL;
	KUNIT_ASSERT_NOT_NULL(test, native->dmabuf);
	return native;
}

/* Page by page, from the middle of the first one to that of the last one */
static void check_native(struct kunit *test, const struct native *native,
			 const struct dma_buf_dal *dal)
{
	struct dma_buf_dal_iter iter;
	size_t done = 0, len, at;
	dma_addr_t addr;

	dma_buf_dal_start(dal, 0, &iter);
	while ((len = dma_buf_dal_next(&iter, PAGE_SIZE / 2, &addr))) {
		at = PAGE_SIZE / 2 + done;
		KUNIT_EXPECT_EQ(test, PAGE_SIZE / 2, len);
		KUNIT_EXPECT_EQ(test, page_to_phys(native->pages[at / PAGE_SIZE]) +
				at % PAGE_SIZE, addr);
		done += len;
	}
	KUNIT_EXPECT_EQ(test, (PAGES - 1) * PAGE_SIZE, done);
	KUNIT_EXPECT_EQ(test, DMA_BUF_MEMORY_UNKNOWN,
			dma_buf_dal_place(&iter)->memory);
}

static void test_dal_of_scatterlist(struct kunit *test)
{
	struct native *native = native_new(test);
	struct device *second = dma_device(test);
	struct dma_buf_attachment *attach;
	struct dma_buf_dal dal;

	/* A static importer: pinned while it is mapped */
	attach = attach_dal(native->dmabuf, dma_device(test), DMA_BUF_DAL_RAM,
			    NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_TRUE(test, dma_buf_sgt_exporter_ops(attach)->map_dma_buf ==
			  native_map);
	KUNIT_ASSERT_EQ(test, 0, map_dal(attach, &dal, PAGE_SIZE / 2,
					 (PAGES - 1) * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 1, native->pins);
	check_native(test, native, &dal);
	unmap_dal(&dal);
	KUNIT_EXPECT_EQ(test, 0, native->pins + native->maps);

	/* The exporter only knows the device of the match */
	dma_resv_lock(native->dmabuf->resv, NULL);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			dma_buf_dal_map_for(attach, &dal, second, 0, PAGE_SIZE,
					    DMA_TO_DEVICE));
	dma_resv_unlock(native->dmabuf->resv);
	dma_buf_detach(native->dmabuf, attach);
}

/* As the heaps do it: one table, which a second map would map once more */
static struct sg_table *table_map(struct dma_buf_attachment *attach,
				  enum dma_data_direction dir)
{
	struct native *native = attach->dmabuf->priv;

	if (dma_map_sgtable(dma_buf_sgt_dma_device(attach), &native->table, dir, 0))
		return ERR_PTR(-ENOMEM);
	native->maps++;
	return &native->table;
}

static void table_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
			enum dma_data_direction dir)
{
	struct native *native = attach->dmabuf->priv;

	native->maps--;
	dma_unmap_sgtable(dma_buf_sgt_dma_device(attach), sgt, dir, 0);
}

static const struct dma_buf_ops table_ops = {
	DMA_BUF_SIMPLE_SGT_EXP_MATCH(table_map, table_unmap),
	.release = lender_release,
};

static struct dma_buf_attachment *attach_table(struct kunit *test,
					       struct native *native)
{
	struct dma_buf_attachment *attach;
	struct scatterlist *sgl;
	int i;

	KUNIT_ASSERT_EQ(test, 0, sg_alloc_table(&native->table, PAGES,
						GFP_KERNEL));
	for_each_sgtable_sg(&native->table, sgl, i)
		sg_set_page(sgl, native->pages[i], PAGE_SIZE, 0);
	native->dmabuf->ops = &table_ops;
	attach = attach_dal(native->dmabuf, dma_device(test), DMA_BUF_DAL_RAM,
			    NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	return attach;
}

static void test_dal_one_mapping(struct kunit *test)
{
	struct native *native = native_new(test);
	struct dma_buf_attachment *attach = attach_table(test, native);
	struct dma_buf_dal first, second;

	for (int i = 0; i < 2; i++) {
		KUNIT_ASSERT_EQ(test, 0, map_dal(attach, &first, PAGE_SIZE / 2,
						 (PAGES - 1) * PAGE_SIZE));
		KUNIT_EXPECT_EQ(test, -EBUSY,
				map_dal(attach, &second, 0, PAGE_SIZE));
		KUNIT_EXPECT_NULL(test, second.attach);
		KUNIT_EXPECT_EQ(test, 1, native->maps);
		check_native(test, native, &first);
		unmap_dal(&first);
		KUNIT_EXPECT_EQ(test, 0, native->maps);
	}
	dma_buf_detach(native->dmabuf, attach);
}

/* A stub, as virtio-gpu returns it to importers that do without addresses */
static struct sg_table *stub_map(struct dma_buf_attachment *attach,
				 enum dma_data_direction dir)
{
	struct native *native = attach->dmabuf->priv;

	native->maps++;
	return &native->table;
}

static void stub_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
		       enum dma_data_direction dir)
{
	((struct native *)attach->dmabuf->priv)->maps--;
}

static const struct dma_buf_ops stub_ops = {
	DMA_BUF_SIMPLE_SGT_EXP_MATCH(stub_map, stub_unmap),
	.release = lender_release,
};

static void test_dal_no_addresses(struct kunit *test)
{
	struct native *native = native_new(test);
	struct dma_buf_attachment *attach;
	struct dma_buf_dal dal;

	native->dmabuf->ops = &stub_ops;
	attach = attach_dal(native->dmabuf, dma_device(test), DMA_BUF_DAL_RAM,
			    NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, map_dal(attach, &dal, 0, 1));
	KUNIT_EXPECT_EQ(test, 0, native->maps);
	dma_buf_detach(native->dmabuf, attach);
}

static struct kunit_case dma_buf_dal_cases[] = {
	KUNIT_CASE(test_dal_ram),
	KUNIT_CASE(test_dal_outside),
	KUNIT_CASE(test_dal_two_devices),
	KUNIT_CASE(test_dal_refused),
	KUNIT_CASE(test_dal_contradiction),
	KUNIT_CASE(test_dal_two_requests),
	KUNIT_CASE(test_dal_of_scatterlist),
	KUNIT_CASE(test_dal_one_mapping),
	KUNIT_CASE(test_dal_no_addresses),
	{}
};

static struct kunit_suite dma_buf_dal_suite = {
	.name = "dma-buf-dal",
	.test_cases = dma_buf_dal_cases,
};

/* ---- CPU ---- */

static struct dma_buf_attachment *
attach_cpu(struct dma_buf *dmabuf, const struct dma_buf_attach_ops *ops)
{
	const struct dma_buf_mapping_match request = DMA_BUF_IMAPPING_CPU();

	return dma_buf_mapping_attach(dmabuf, &request, 1, ops, NULL);
}

static int map_cpu(struct dma_buf_attachment *attach, struct dma_buf_cpu *cpu)
{
	int ret;

	dma_resv_lock(attach->dmabuf->resv, NULL);
	ret = dma_buf_cpu_map(attach, cpu);
	dma_resv_unlock(attach->dmabuf->resv);
	return ret;
}

static void unmap_cpu(struct dma_buf_cpu *cpu)
{
	struct dma_buf *dmabuf = cpu->attach->dmabuf;

	dma_resv_lock(dmabuf->resv, NULL);
	dma_buf_cpu_unmap(cpu);
	dma_resv_unlock(dmabuf->resv);
}

/* Random copies against a copy of the buffer */
static void check_copies(struct kunit *test, const struct dma_buf_cpu *cpu,
			 u8 *shadow, size_t size)
{
	u8 *mem = kunit_kzalloc(test, size, GFP_KERNEL);
	struct rnd_state rnd;

	KUNIT_ASSERT_NOT_NULL(test, mem);
	prandom_seed_state(&rnd, 1);
	for (int i = 0; i < 300; i++) {
		size_t offset = prandom_u32_state(&rnd) % size;
		size_t len = prandom_u32_state(&rnd) % (size - offset + 1);

		prandom_bytes_state(&rnd, mem, len);
		KUNIT_ASSERT_EQ(test, 0, dma_buf_cpu_copy(cpu, offset, mem, len,
							  true));
		memcpy(shadow + offset, mem, len);
		KUNIT_ASSERT_EQ(test, 0, dma_buf_cpu_copy(cpu, 0, mem, size,
							  false));
		KUNIT_ASSERT_MEMEQ(test, shadow, mem, size);
	}
	KUNIT_EXPECT_EQ(test, -EFAULT,
			dma_buf_cpu_copy(cpu, size, mem, 1, true));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			dma_buf_cpu_copy(cpu, 1, mem, size, true));
}

static void test_cpu_ram(struct kunit *test)
{
	const size_t size = PAGES * PAGE_SIZE;
	struct lender *lender = lender_new(test, DMA_BUF_PHYS_RAM);
	struct dma_buf_attachment *attach =
		attach_cpu(lender->dmabuf, &borrower_ops);
	u8 *shadow = kunit_kzalloc(test, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, shadow);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	for (int i = 0; i < PAGES; i++)
		memset(page_address(lender->pages[i]), 0, PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0, map_cpu(attach, &lender->cpu));
	check_copies(test, &lender->cpu, shadow, size);
	for (int i = 0; i < PAGES; i++)
		KUNIT_EXPECT_MEMEQ(test, page_address(lender->pages[i]),
				   shadow + i * PAGE_SIZE, PAGE_SIZE);

	/* After a revoke the importer needs no check of its own */
	dma_buf_pal_source_revoke(&lender->source, lender->dmabuf);
	KUNIT_EXPECT_NULL(test, lender->cpu.attach);
	KUNIT_EXPECT_EQ(test, -EFAULT,
			dma_buf_cpu_copy(&lender->cpu, 0, shadow, 1, true));
	KUNIT_EXPECT_EQ(test, -ENODEV, map_cpu(attach, &lender->cpu));
	dma_buf_detach(lender->dmabuf, attach);
}

static int native_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct native *native = dmabuf->priv;
	void *at = vmap(native->pages, PAGES, VM_MAP, PAGE_KERNEL);

	if (!at)
		return -ENOMEM;
	iosys_map_set_vaddr(map, at);
	return 0;
}

static void native_vunmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	vunmap(map->vaddr);
}

/*
 * An importer as dma-buf-mapping.rst shows it: its lock keeps copies and the unmap
 * apart, and is taken inside the reservation lock when the exporter asks for it.
 */
struct soft {
	struct rw_semaphore lock;
	struct dma_buf_cpu cpu;
	int accesses, within;
};

static int soft_write(struct soft *soft, struct dma_buf_attachment *attach,
		      u32 value)
{
	int ret = dma_buf_cpu_begin(attach, true);

	if (ret)
		return ret;
	down_read(&soft->lock);
	ret = dma_buf_cpu_copy(&soft->cpu, 0, &value, sizeof(value), true);
	up_read(&soft->lock);
	return dma_buf_cpu_end(attach, true) ?: ret;
}

static void soft_invalidate(struct dma_buf_attachment *attach)
{
	struct soft *soft = attach->importer_priv;

	down_write(&soft->lock);
	if (dma_buf_cpu_mapped(&soft->cpu))
		dma_buf_cpu_unmap(&soft->cpu);
	up_write(&soft->lock);
}

static const struct dma_buf_attach_ops soft_ops = {
	.invalidate_mappings = soft_invalidate,
};

/* Takes the reservation lock, as amdgpu, i915 and panthor do */
static int soft_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	struct dma_buf_attachment *attach =
		list_first_entry(&dmabuf->attachments,
				 struct dma_buf_attachment, node);
	struct soft *soft = attach->importer_priv;

	dma_resv_lock(dmabuf->resv, NULL);
	soft->accesses++;
	soft->within += rwsem_is_locked(&soft->lock);
	dma_resv_unlock(dmabuf->resv);
	return 0;
}

static const struct dma_buf_ops soft_exporter_ops = {
	DMA_BUF_SIMPLE_SGT_EXP_MATCH(native_map, native_unmap),
	.vmap = native_vmap,
	.vunmap = native_vunmap,
	.begin_cpu_access = soft_access,
	.end_cpu_access = soft_access,
	.release = lender_release,
};

/* Lockdep sees the order of both locks, in a copy and in an unmap */
static void test_cpu_locks(struct kunit *test)
{
	const struct dma_buf_mapping_match request = DMA_BUF_IMAPPING_CPU();
	struct soft *soft = kunit_kzalloc(test, sizeof(*soft), GFP_KERNEL);
	struct native *native = native_new(test);
	struct dma_buf_attachment *attach;

	KUNIT_ASSERT_NOT_NULL(test, soft);
	init_rwsem(&soft->lock);
	native->dmabuf->ops = &soft_exporter_ops;
	attach = dma_buf_mapping_attach(native->dmabuf, &request, 1, &soft_ops,
					soft);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_ASSERT_EQ(test, 0, map_cpu(attach, &soft->cpu));
	KUNIT_EXPECT_EQ(test, 0, soft_write(soft, attach, 0x12345678));
	KUNIT_EXPECT_EQ(test, 0x12345678,
			*(u32 *)page_address(native->pages[0]));
	dma_resv_lock(native->dmabuf->resv, NULL);
	dma_buf_invalidate_mappings(native->dmabuf);
	dma_resv_unlock(native->dmabuf->resv);
	KUNIT_EXPECT_FALSE(test, dma_buf_cpu_mapped(&soft->cpu));
	KUNIT_EXPECT_EQ(test, -EFAULT, soft_write(soft, attach, 0));
	KUNIT_EXPECT_EQ(test, 4, soft->accesses);
	KUNIT_EXPECT_EQ(test, 0, soft->within);
	dma_buf_detach(native->dmabuf, attach);
}

/* An exporter of scatterlists, with and without a vmap */
static void test_cpu_vmap(struct kunit *test)
{
	const size_t size = PAGES * PAGE_SIZE;
	struct native *native = native_new(test);
	struct dma_buf_ops ops = native_ops;
	u8 *shadow = kunit_kzalloc(test, size, GFP_KERNEL);
	struct dma_buf_attachment *attach;
	struct dma_buf_cpu cpu;

	KUNIT_ASSERT_NOT_NULL(test, shadow);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			PTR_ERR(attach_cpu(native->dmabuf, NULL)));

	ops.vmap = native_vmap;
	ops.vunmap = native_vunmap;
	native->dmabuf->ops = &ops;
	attach = attach_cpu(native->dmabuf, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_ASSERT_EQ(test, 0, map_cpu(attach, &cpu));
	KUNIT_ASSERT_EQ(test, 0, dma_buf_cpu_copy(&cpu, 0, shadow, size, false));
	check_copies(test, &cpu, shadow, size);
	unmap_cpu(&cpu);
	dma_buf_detach(native->dmabuf, attach);
	native->dmabuf->ops = &native_ops;
}

static struct kunit_case dma_buf_cpu_cases[] = {
	KUNIT_CASE(test_cpu_ram),
	KUNIT_CASE(test_cpu_vmap),
	KUNIT_CASE(test_cpu_locks),
	{}
};

static struct kunit_suite dma_buf_cpu_suite = {
	.name = "dma-buf-cpu",
	.test_cases = dma_buf_cpu_cases,
};

static struct kunit_case dma_buf_converter_cases[] = {
	KUNIT_CASE(test_convert_ram),
	KUNIT_CASE(test_convert_mmio),
	KUNIT_CASE(test_direct_wins),
	KUNIT_CASE(test_second_converter),
	KUNIT_CASE(test_source_revoke),
	KUNIT_CASE(test_source_not_revocable),
	{}
};

static struct kunit_suite dma_buf_converter_suite = {
	.name = "dma-buf-converter",
	.test_cases = dma_buf_converter_cases,
};

kunit_test_suites(&dma_buf_converter_suite, &dma_buf_dal_suite,
		  &dma_buf_cpu_suite);
