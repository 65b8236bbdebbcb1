// SPDX-License-Identifier: GPL-2.0-only
/* Lists that are made of the pages of RAM, against the pages one by one. */
#include "test.h"
#include <linux/dma-buf-cpu.h>
#include <linux/dma-buf-dal.h>

#define PAGES 200

static struct dma_resv resv;
static struct dma_buf dmabuf;
static struct dma_buf_attachment attach;
static struct dma_buf_pal_source source;
static struct page *pages[PAGES];
static size_t count;

/* The attachment is of PAL, as an exporter's attach() sees it */
static void begin(const char *obstacle)
{
	resv.lock.base = false;
	dmabuf = (struct dma_buf){ .resv = &resv, .size = count * PAGE_SIZE };
	attach = (struct dma_buf_attachment){ .dmabuf = &dmabuf };
	dma_buf_pal_source_init_ram(&source, obstacle);
	attach.map_type = dma_buf_pal_source_offer(&source);
}

static int attach_pages(void)
{
	return dma_buf_pal_source_attach_pages(&source, &attach, pages, count);
}

static struct page *page_at(size_t pfn)
{
	return phys_to_page(pfn * PAGE_SIZE);
}

/* As few ranges as there can be, and each page where it belongs */
static void expect_list(void)
{
	const struct dma_buf_phys_list *list = source.list;
	struct dma_buf_phys_iter iter;
	size_t i, ranges = 0;
	phys_addr_t paddr;

	CHECK(list);
	EQ(list->memory, DMA_BUF_PHYS_RAM);
	EQ(list->size, count * PAGE_SIZE);
	for (i = 0; i < count; i++) {
		ranges += !i || page_to_phys(pages[i]) != page_to_phys(pages[i - 1]) + PAGE_SIZE;
		EQ(dma_buf_phys_list_seek(list, i * PAGE_SIZE, &iter), 0);
		EQ(dma_buf_phys_iter_next(&iter, PAGE_SIZE, &paddr), PAGE_SIZE);
		EQ(paddr, page_to_phys(pages[i]));
	}
	EQ(list->count, ranges);
}

/* Few places for many pages, so that there are neighbours and pages that repeat */
static void test_random_pages(void)
{
	unsigned long x = 1, round;

	for (round = 0; round < 2000; round++) {
		size_t pfn = 0, places;

		x = x * 6364136223846793005UL + 1442695040888963407UL;
		count = 1 + (x >> 40) % PAGES;
		places = 2 + (x >> 32) % 100;
		for (size_t i = 0; i < count; i++) {
			x = x * 6364136223846793005UL + 1442695040888963407UL;
			pfn = x >> 62 ? pfn + 1 : (x >> 40) % places;
			pages[i] = page_at(pfn);
		}
		begin(NULL);
		EQ(attach_pages(), 0);
		expect_list();
		dma_buf_pal_source_destroy(&source);
	}
}

/* Pieces of a scatterlist may be neighbours, and need not begin with their first page */
static void test_scatterlist(void)
{
	static const struct { size_t pfn, offset, pages; } piece[] = {
		{ 10, 0, 4 }, { 14, 0, 1 }, { 20, 2, 3 }, { 25, 0, 1 }, { 9, 0, 1 },
	};
	struct sg_table table;
	struct scatterlist *sg;
	int i;

	EQ(sg_alloc_table(&table, ARRAY_SIZE(piece), GFP_KERNEL), 0);
	count = 0;
	for_each_sgtable_sg(&table, sg, i) {
		sg_set_page(sg, page_at(piece[i].pfn), piece[i].pages * PAGE_SIZE,
			    piece[i].offset * PAGE_SIZE);
		for (size_t n = 0; n < piece[i].pages; n++)
			pages[count++] = page_at(piece[i].pfn + piece[i].offset + n);
	}
	begin(NULL);
	EQ(dma_buf_pal_source_attach_sgt(&source, &attach, &table), 0);
	expect_list();
	EQ(source.list->count, 3);
	dma_buf_pal_source_destroy(&source);
	sg_free_table(&table);
}

/* A second attachment gets the list of the first; one of another type needs none. */
static void test_when_it_is_made(void)
{
	struct dma_buf_phys_list *list;

	count = 1;
	pages[0] = page_at(1);
	begin(NULL);
	attach.map_type.exp_ops = NULL;
	CHECK(!dma_buf_pal_source_serves(&source, &attach));
	EQ(attach_pages(), 0);
	CHECK(!source.list);

	/* Converted from PAL */
	attach.converted = &source.ops;
	CHECK(dma_buf_pal_source_serves(&source, &attach));
	EQ(attach_pages(), 0);
	list = source.list;
	CHECK(list);
	EQ(attach_pages(), 0);
	CHECK(source.list == list);
	dma_buf_pal_source_destroy(&source);
}

static void test_failures(void)
{
	count = 2;
	pages[0] = page_at(1);
	pages[1] = page_at(3);
	begin(NULL);
	for (unsigned int fault = 1; fault <= 2; fault++) {
		shim.fault = fault;
		EQ(attach_pages(), -ENOMEM);
		CHECK(!source.list);
		CHECK(!resv.lock.base);
	}
	shim.fault = 0;
	count = 1;
	EQ(attach_pages(), -EINVAL);
	count = 0;
	EQ(attach_pages(), -EINVAL);
	CHECK(!source.list);
	count = 2;
	EQ(attach_pages(), 0);
	expect_list();
	dma_buf_pal_source_destroy(&source);
}

/* Nothing to map: the exporter has not made the list. */
static void test_no_list(void)
{
	count = 1;
	begin(NULL);
	resv.lock.base = true;
	shim.may_warn = 1;
	EQ(PTR_ERR(dma_buf_pal_map_phys(&attach)), -EINVAL);
	EQ(source.kref.count, 1);
	dma_buf_pal_source_destroy(&source);
	resv.lock.base = false;
}

/* For PAL itself, and for each converter */
static void expect_refused(const char *obstacle, const char *why)
{
	struct device dev = { .name = "dev", .coherent = true };
	const struct dma_buf_mapping_match requests[] = {
		DMA_BUF_IMAPPING_PAL(), DMA_BUF_IMAPPING_SGT(&dev, false),
		DMA_BUF_IMAPPING_DAL(&dev, DMA_BUF_DAL_RAM), DMA_BUF_IMAPPING_CPU() };
	struct dma_buf_mapping_match offer;

	count = 1;
	begin(obstacle);
	offer = dma_buf_pal_source_offer(&source);
	EQ(offer.pal_data.is_ram, !why);
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		struct dma_buf_match_query query = { .request = requests[i] };

		EQ(dma_buf_match_query(&query, &offer, 1), why ? -EOPNOTSUPP : 0);
		CHECK(why ? query.why && !strcmp(query.why, why) : !query.why);
	}
	dma_buf_pal_source_destroy(&source);
}

static void test_obstacle(void)
{
	expect_refused(NULL, NULL);
	expect_refused("uncached", "uncached");
	shim.encrypted = true;
	expect_refused(NULL, "encrypted");
	expect_refused("uncached", "uncached");
}

const struct test ram_tests[] = {
	{ "ram: pages in any order", test_random_pages },
	{ "ram: pieces of a scatterlist", test_scatterlist },
	{ "ram: a list when it is needed, and one only", test_when_it_is_made },
	{ "ram: no memory, and another size", test_failures },
	{ "ram: an exporter that makes no list", test_no_list },
	{ "ram: an obstacle, and encrypted memory", test_obstacle },
	{}
};
