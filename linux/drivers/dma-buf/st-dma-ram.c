// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests for RAM that is offered as scatterlist and as PAL.
 */
#include <kunit/device.h>
#include <kunit/test.h>
#include <linux/dma-buf-cpu.h>
#include <linux/dma-buf-dal.h>
#include <linux/dma-buf-sgt.h>
#include <linux/dma-resv.h>
#include <linux/file.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>

#include "dma-buf-converter.h"

#define BLOCKS		3
#define BLOCK_ORDER	3
#define BLOCK_PAGES	BIT(BLOCK_ORDER)

/* As system heap, udmabuf and so on: SGT first, then PAL, made when needed */
struct owner {
	struct kunit *test;
	struct dma_buf *dmabuf;
	struct page *blocks[BLOCKS];
	struct page *pages[BLOCKS * BLOCK_PAGES];
	size_t count;
	struct sg_table sgt;
	struct dma_buf_pal_source source;
};

static struct sg_table *owner_map(struct dma_buf_attachment *attach,
				  enum dma_data_direction dir)
{
	return ERR_PTR(-EIO);
}

static void owner_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
			enum dma_data_direction dir)
{
}

static const struct dma_buf_mapping_sgt_exp_ops owner_sgt_ops = {
	.map_dma_buf = owner_map,
	.unmap_dma_buf = owner_unmap,
};

static int owner_match(struct dma_buf_match_args *args)
{
	const struct owner *owner = args->dmabuf->priv;
	const struct dma_buf_mapping_match offers[] = {
		DMA_BUF_EMAPPING_SGT(&owner_sgt_ops),
		dma_buf_pal_source_offer(&owner->source),
	};

	return dma_buf_match_mapping(args, offers, ARRAY_SIZE(offers));
}

static int owner_attach(struct dma_buf *dmabuf,
			struct dma_buf_attachment *attach)
{
	struct owner *owner = dmabuf->priv;

	if (owner->sgt.sgl)
		return dma_buf_pal_source_attach_sgt(&owner->source, attach,
						     &owner->sgt);
	return dma_buf_pal_source_attach_pages(&owner->source, attach,
					       owner->pages, owner->count);
}

static void owner_release(struct dma_buf *dmabuf)
{
	struct owner *owner = dmabuf->priv;

	dma_buf_pal_source_destroy(&owner->source);
}

static const struct dma_buf_ops owner_ops = {
	.match_mapping = owner_match,
	.attach = owner_attach,
	.release = owner_release,
};

static void owner_free(void *data)
{
	struct owner *owner = data;

	if (owner->dmabuf)
		__fput_sync(owner->dmabuf->file);
	sg_free_table(&owner->sgt);
	for (int i = 0; i < BLOCKS; i++)
		if (owner->blocks[i])
			__free_pages(owner->blocks[i], BLOCK_ORDER);
}

/* Without pages in the buffer yet */
static struct owner *owner_new(struct kunit *test)
{
	struct owner *owner = kunit_kzalloc(test, sizeof(*owner), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, owner);
	owner->test = test;
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, owner_free, owner));
	for (int i = 0; i < BLOCKS; i++) {
		owner->blocks[i] = alloc_pages(GFP_KERNEL | __GFP_COMP,
					       BLOCK_ORDER);
		KUNIT_ASSERT_NOT_NULL(test, owner->blocks[i]);
	}
	return owner;
}

static void owner_add(struct owner *owner, int block, int page)
{
	owner->pages[owner->count++] = owner->blocks[block] + page;
}

static void owner_export(struct owner *owner, const char *obstacle)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	dma_buf_pal_source_init_ram(&owner->source, obstacle);
	info.ops = &owner_ops;
	info.size = owner->count * PAGE_SIZE;
	info.priv = owner;
	owner->dmabuf = dma_buf_export(&info);
	if (IS_ERR(owner->dmabuf))
		owner->dmabuf = NULL;
	KUNIT_ASSERT_NOT_NULL(owner->test, owner->dmabuf);
}

/* ---- the importer of PAL ---- */

static void user_invalidate(struct dma_buf_attachment *attach)
{
}

static const struct dma_buf_attach_ops user_ops = {
	.invalidate_mappings = user_invalidate,
};

static struct dma_buf_attachment *use(struct owner *owner)
{
	const struct dma_buf_mapping_match request = DMA_BUF_IMAPPING_PAL();

	return dma_buf_mapping_attach(owner->dmabuf, &request, 1, &user_ops,
				      owner);
}

static struct dma_buf_phys_list *use_map(struct owner *owner,
					 struct dma_buf_attachment *attach)
{
	struct dma_buf_phys_list *list;

	dma_resv_lock(owner->dmabuf->resv, NULL);
	list = dma_buf_pal_map_phys(attach);
	dma_resv_unlock(owner->dmabuf->resv);
	return list;
}

static void use_unmap(struct owner *owner, struct dma_buf_attachment *attach,
		      struct dma_buf_phys_list *list)
{
	dma_resv_lock(owner->dmabuf->resv, NULL);
	dma_buf_pal_unmap_phys(attach, list);
	dma_resv_unlock(owner->dmabuf->resv);
}

/* Page by page, and as few ranges as there can be */
static void expect_list(struct owner *owner, size_t ranges)
{
	struct dma_buf_attachment *attach = use(owner);
	struct kunit *test = owner->test;
	struct dma_buf_phys_list *list;
	struct dma_buf_phys_iter iter;
	phys_addr_t paddr = 0;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	list = use_map(owner, attach);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, list);
	KUNIT_EXPECT_EQ(test, DMA_BUF_PHYS_RAM, list->memory);
	KUNIT_EXPECT_EQ(test, ranges, list->count);
	for (size_t i = 0; i < owner->count; i++) {
		KUNIT_ASSERT_EQ(test, 0, dma_buf_phys_list_seek(list, i * PAGE_SIZE,
								&iter));
		KUNIT_EXPECT_EQ(test, PAGE_SIZE,
				dma_buf_phys_iter_next(&iter, PAGE_SIZE, &paddr));
		KUNIT_EXPECT_EQ(test, page_to_phys(owner->pages[i]), paddr);
	}
	use_unmap(owner, attach, list);
	dma_buf_detach(owner->dmabuf, attach);
}

/* ---- the list ---- */

/* A folio that is used as a whole, as a udmabuf of huge pages */
static void test_one_folio(struct kunit *test)
{
	struct owner *owner = owner_new(test);

	for (int i = 0; i < BLOCK_PAGES; i++)
		owner_add(owner, 0, i);
	owner_export(owner, NULL);
	expect_list(owner, 1);
}

/* A part of a folio, then another part of it that is in front of the first */
static void test_parts_of_folios(struct kunit *test)
{
	struct owner *owner = owner_new(test);

	for (int i = 4; i < 7; i++)
		owner_add(owner, 0, i);
	for (int i = 1; i < 4; i++)
		owner_add(owner, 0, i);
	owner_add(owner, 1, 0);
	owner_add(owner, 1, 2);
	owner_export(owner, NULL);
	expect_list(owner, 4);
}

/* Every page is far from the next one */
static void test_backwards(struct kunit *test)
{
	struct owner *owner = owner_new(test);

	for (int i = BLOCK_PAGES - 1; i >= 0; i--)
		for (int block = 0; block < BLOCKS; block++)
			owner_add(owner, block, i);
	owner_export(owner, NULL);
	expect_list(owner, BLOCKS * BLOCK_PAGES);
}

/* The same page twice: two memfd ranges of a udmabuf may overlap */
static void test_page_twice(struct kunit *test)
{
	struct owner *owner = owner_new(test);

	owner_add(owner, 0, 0);
	owner_add(owner, 0, 0);
	owner_add(owner, 0, 1);
	owner_export(owner, NULL);
	expect_list(owner, 2);
}

/* Chunks of several sizes, two of them neighbours, as the system heap has them */
static void test_scatterlist(struct kunit *test)
{
	static const struct { int block, page, count; } chunks[] = {
		{ 1, 0, 8 }, { 0, 4, 2 }, { 0, 6, 1 }, { 2, 0, 1 }, { 0, 7, 1 },
	};
	struct owner *owner = owner_new(test);
	struct scatterlist *sg;
	int i;

	KUNIT_ASSERT_EQ(test, 0, sg_alloc_table(&owner->sgt, ARRAY_SIZE(chunks),
						GFP_KERNEL));
	for_each_sgtable_sg(&owner->sgt, sg, i) {
		sg_set_page(sg, owner->blocks[chunks[i].block] + chunks[i].page,
			    chunks[i].count * PAGE_SIZE, 0);
		for (int page = 0; page < chunks[i].count; page++)
			owner_add(owner, chunks[i].block, chunks[i].page + page);
	}
	owner_export(owner, NULL);
	expect_list(owner, 4);
}

/* ---- when it is made ---- */

static void test_no_list_for_sgt(struct kunit *test)
{
	struct device *dev = kunit_device_register(test, "dma-buf-ram");
	const struct dma_buf_mapping_match requests[] = {
		DMA_BUF_IMAPPING_PAL(), DMA_BUF_IMAPPING_SGT(dev, false),
	};
	struct owner *owner = owner_new(test);
	struct dma_buf_attachment *attach;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	owner_add(owner, 0, 0);
	owner_export(owner, NULL);
	attach = dma_buf_mapping_attach(owner->dmabuf, requests, 2, &user_ops,
					owner);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	/* The exporter's order decides, and SGT is its first offer */
	KUNIT_EXPECT_PTR_EQ(test, &owner_sgt_ops, dma_buf_get_sgt_ops(attach));
	KUNIT_EXPECT_FALSE(test, dma_buf_pal_source_serves(&owner->source, attach));
	KUNIT_EXPECT_NULL(test, owner->source.list);
	dma_buf_detach(owner->dmabuf, attach);
}

static void test_made_once(struct kunit *test)
{
	struct owner *owner = owner_new(test);
	struct dma_buf_attachment *first, *second;
	struct dma_buf_phys_list *list;

	owner_add(owner, 0, 0);
	owner_export(owner, NULL);
	KUNIT_EXPECT_NULL(test, owner->source.list);

	first = use(owner);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, first);
	KUNIT_EXPECT_TRUE(test, dma_buf_pal_source_serves(&owner->source, first));
	list = owner->source.list;
	KUNIT_EXPECT_NOT_NULL(test, list);
	dma_buf_detach(owner->dmabuf, first);

	second = use(owner);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, second);
	KUNIT_EXPECT_PTR_EQ(test, list, use_map(owner, second));
	KUNIT_EXPECT_EQ(test, 2, kref_read(&owner->source.kref));
	use_unmap(owner, second, list);
	KUNIT_EXPECT_EQ(test, 1, kref_read(&owner->source.kref));
	dma_buf_detach(owner->dmabuf, second);
}

static void test_wrong_size(struct kunit *test)
{
	struct owner *owner = owner_new(test);

	owner_add(owner, 0, 0);
	owner_add(owner, 0, 1);
	owner_export(owner, NULL);
	owner->count--;
	KUNIT_EXPECT_EQ(test, -EINVAL, PTR_ERR(use(owner)));
	KUNIT_EXPECT_NULL(test, owner->source.list);
	owner->count++;
	expect_list(owner, 1);
}

static void expect_obstacle(struct kunit *test,
			    const struct dma_buf_mapping_match *offer,
			    struct dma_buf_mapping_match request)
{
	struct dma_buf_match_query query = { .request = request };

	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, dma_buf_match_query(&query, offer, 1));
	KUNIT_EXPECT_STREQ(test, "uncached", query.why);
}

/* The exporter has no vmap, and what it lends is not for the CPU either */
static void expect_no_copies(struct kunit *test, struct owner *owner)
{
	const struct dma_buf_mapping_match request = DMA_BUF_IMAPPING_CPU();
	struct dma_buf_attachment *attach;

	attach = dma_buf_mapping_attach(owner->dmabuf, &request, 1, &user_ops,
					owner);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, PTR_ERR(attach));
}

/* Not offered, by no converter either, and the importer learns why */
static void test_obstacle(struct kunit *test)
{
	struct device *dev = kunit_device_register(test, "dma-buf-ram");
	struct owner *owner = owner_new(test);
	struct dma_buf_mapping_match offer;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	owner_add(owner, 0, 0);
	owner_export(owner, "uncached");
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, PTR_ERR(use(owner)));
	KUNIT_EXPECT_NULL(test, owner->source.list);

	offer = dma_buf_pal_source_offer(&owner->source);
	KUNIT_EXPECT_FALSE(test, offer.pal_data.is_ram);
	expect_obstacle(test, &offer, DMA_BUF_IMAPPING_PAL());
	expect_obstacle(test, &offer, DMA_BUF_IMAPPING_SGT(dev, false));
	expect_obstacle(test, &offer, DMA_BUF_IMAPPING_DAL(dev, DMA_BUF_DAL_RAM));
	expect_obstacle(test, &offer, DMA_BUF_IMAPPING_CPU());
	expect_no_copies(test, owner);
}

static struct kunit_case ram_cases[] = {
	KUNIT_CASE(test_one_folio),
	KUNIT_CASE(test_parts_of_folios),
	KUNIT_CASE(test_backwards),
	KUNIT_CASE(test_page_twice),
	KUNIT_CASE(test_scatterlist),
	KUNIT_CASE(test_no_list_for_sgt),
	KUNIT_CASE(test_made_once),
	KUNIT_CASE(test_wrong_size),
	KUNIT_CASE(test_obstacle),
	{}
};

static struct kunit_suite ram_suite = {
	.name = "dma-buf-ram",
	.test_cases = ram_cases,
};

kunit_test_suite(ram_suite);
