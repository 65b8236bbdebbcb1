// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lists of physical addresses: what may be sealed, and where a byte of the
 * buffer is. The model looks at all ranges for everything, and has no index.
 */
#include <stdlib.h>
#include "test.h"

static const size_t counts[] = { 1, 1, 2, 3, 5, 63, 64, 65, 127, 128, 130, 200 };

/* ---- what is right ---- */

static bool model_range(const struct phys_vec *range)
{
	unsigned __int128 end = (unsigned __int128)range->paddr + range->len;

	return range->len && range->len % 4096 == 0 && range->paddr % 4096 == 0 &&
	       end < (unsigned __int128)1 << 64;
}

static int model_seal(const struct dma_buf_phys_list *list, size_t size)
{
	unsigned __int128 total = 0;

	for (size_t i = 0; i < list->count; i++) {
		if (!model_range(&list->phys[i]))
			return -EINVAL;
		total += list->phys[i].len;
	}
	return list->count && total == size ? 0 : -EINVAL;
}

/* The range with this byte, and where in it; the count if there is none */
static size_t model_seek(const struct dma_buf_phys_list *list, size_t *offset)
{
	size_t i;

	for (i = 0; i < list->count && *offset >= list->phys[i].len; i++)
		*offset -= list->phys[i].len;
	return i;
}

/* ---- walks ---- */

/* Bytes in one piece from a range on: it, and all neighbours behind it */
static size_t model_run(const struct dma_buf_phys_list *list, size_t i)
{
	size_t len = list->phys[i].len;

	for (; i + 1 < list->count &&
	       list->phys[i].paddr + list->phys[i].len == list->phys[i + 1].paddr; i++)
		len += list->phys[i + 1].len;
	return len;
}

/* From a byte to the end, by steps of the input's choice */
static void check_steps(const struct dma_buf_phys_list *list,
			struct dma_buf_phys_iter *iter, size_t offset,
			struct input *in)
{
	phys_addr_t paddr;
	size_t max, len;

	while (offset < list->size) {
		size_t in_range = offset, i = model_seek(list, &in_range);

		max = take(in, 4) ? SIZE_MAX : take_long(in, 3);
		len = dma_buf_phys_iter_next(iter, max, &paddr);
		EQ(len, min(max, model_run(list, i) - in_range));
		if (!max)
			return;
		EQ(paddr, list->phys[i].paddr + in_range);
		offset += len;
	}
	CHECK(iter->range == iter->end);
	EQ(dma_buf_phys_iter_next(iter, SIZE_MAX, &paddr), 0);
}

static void check_seek(const struct dma_buf_phys_list *list, size_t offset,
		       struct input *in)
{
	struct dma_buf_phys_iter iter = { .offset = 12345 };
	size_t in_range = offset, i = model_seek(list, &in_range);

	if (i == list->count) {
		EQ(dma_buf_phys_list_seek(list, offset, &iter), -EINVAL);
		EQ(iter.offset, 12345);
		return;
	}
	EQ(dma_buf_phys_list_seek(list, offset, &iter), 0);
	CHECK(iter.range == &list->phys[i]);
	CHECK(iter.end == list->phys + list->count);
	EQ(iter.offset, in_range);
	check_steps(list, &iter, offset, in);
}

/* Where ranges begin and end is where walks go wrong */
static void check_edges(const struct dma_buf_phys_list *list, struct input *in)
{
	size_t start = 0;

	for (size_t i = 0; i < list->count; start += list->phys[i++].len) {
		if (take(in, 8) && i % 64 > 1 && i % 64 < 63 && i + 1 < list->count)
			continue;
		check_seek(list, start, in);
		check_seek(list, start + list->phys[i].len - 1, in);
	}
	check_seek(list, list->size, in);
	check_seek(list, list->size - 1, in);
}

static void check_walk(const struct dma_buf_phys_list *list, struct input *in)
{
	int n = take(in, 8);

	check_edges(list, in);
	while (n--)
		check_seek(list, take_long(in, 8) % list->size, in);
	check_seek(list, SIZE_MAX, in);
	check_seek(list, list->size + take_long(in, 4), in);
}

/* ---- lists ---- */

static struct dma_buf_phys_list *list_alloc(struct input *in)
{
	size_t count = counts[take(in, ARRAY_SIZE(counts))];
	struct phys_vec *phys = NULL;
	struct dma_buf_phys_list *list = dma_buf_phys_list_alloc(count, &phys);

	if (!list)
		return NULL;
	CHECK(phys == list->phys);
	EQ(list->count, count);
	EQ(list->size, 0);
	for (size_t i = 0; i < count; i++)
		CHECK(!list->phys[i].len && !list->phys[i].paddr);
	return list;
}

/* Two bytes make as many ranges as there are to be, or a program is used up */
static unsigned int next_word(u64 *state)
{
	*state = *state * 6364136223846793005 + 1442695040888963407;
	return *state >> 33;
}

static size_t next_len(u64 *state)
{
	unsigned int word = next_word(state);

	switch (word >> 8 & 15) {
	case 13:
		return MAX_PIECE - PAGE_SIZE + word % 3 * PAGE_SIZE;
	case 14:
		return (1 + word % 3) * (4UL << 30);
	case 15:
		return 3UL * MAX_PIECE;
	default:
		return (1 + word % 8) * PAGE_SIZE;
	}
}

/* One that can be mapped and then be looked at entry by entry */
struct dma_buf_phys_list *list_build(struct input *in)
{
	struct dma_buf_phys_list *list = list_alloc(in);
	u64 state = take_long(in, 2);
	phys_addr_t next = PAGE_SIZE;

	for (size_t i = 0; list && i < list->count; i++) {
		list->phys[i].len = next_len(&state);
		if (next_word(&state) % 2)
			next = (phys_addr_t)next_word(&state) << PAGE_SHIFT;
		list->phys[i].paddr = next;
		next += list->phys[i].len;
	}
	return list;
}

static size_t list_total(const struct dma_buf_phys_list *list)
{
	size_t total = 0;

	for (size_t i = 0; i < list->count; i++)
		total += list->phys[i].len;
	return total;
}

/* Breaks a list, or not, at one place */
static void list_spoil(struct dma_buf_phys_list *list, struct input *in)
{
	struct phys_vec *range = &list->phys[take(in, 256) % list->count];

	switch (take(in, 10)) {
	case 0:
		range->len = 0;
		break;
	case 1:
		range->len += take_long(in, 2);
		break;
	case 2:
		range->paddr += take_long(in, 2);
		break;
	case 3:		/* to the last byte of all, or one page on */
		range->paddr = -range->len + take(in, 2) * PAGE_SIZE;
		break;
	case 4:
		range->len = -range->paddr;
		break;
	case 5:
		range->paddr = 0;
		range->len = take_long(in, 8) & -PAGE_SIZE;
		break;
	}
}

void run_list(struct input *in)
{
	struct dma_buf_phys_list *list;
	struct p2pdma_provider provider;
	bool ram = take(in, 2);
	size_t size;
	int ret;

	shim.fault = take(in, 16) ? 0 : 1 + take(in, 3);
	list = list_build(in);
	EQ(!list, !!shim.fault_err);
	shim.fault = 0;
	if (!list)
		return;
	list_spoil(list, in);
	size = list_total(list) + (take(in, 4) ? 0 : take_long(in, 2));
	ret = dma_buf_phys_list_seal(list, size, ram ? DMA_BUF_PHYS_RAM : DMA_BUF_PHYS_MMIO,
				     ram ? NULL : &provider);
	EQ(ret, model_seal(list, size));
	EQ(list->size, ret ? 0 : size);
	if (!ret) {
		EQ(list->memory, ram ? DMA_BUF_PHYS_RAM : DMA_BUF_PHYS_MMIO);
		CHECK(list->provider == (ram ? NULL : &provider));
		check_walk(list, in);
	}
	dma_buf_phys_list_free(list);
}

/* ---- one by one ---- */

static int seal_one(phys_addr_t paddr, size_t len, size_t size)
{
	struct dma_buf_phys_list *list = new_list(1);
	int ret;

	list->phys[0] = (struct phys_vec){ .paddr = paddr, .len = len };
	ret = dma_buf_phys_list_seal(list, size, DMA_BUF_PHYS_MMIO, NULL);
	dma_buf_phys_list_free(list);
	return ret;
}

static void test_one_range(void)
{
	EQ(seal_one(0, PAGE_SIZE, PAGE_SIZE), 0);
	EQ(seal_one(0, 0, 0), -EINVAL);
	EQ(seal_one(PAGE_SIZE / 2, PAGE_SIZE, PAGE_SIZE), -EINVAL);
	EQ(seal_one(PAGE_SIZE, PAGE_SIZE / 2, PAGE_SIZE / 2), -EINVAL);
	EQ(seal_one(0, PAGE_SIZE, 2 * PAGE_SIZE), -EINVAL);
	EQ(seal_one(0, 2 * PAGE_SIZE, PAGE_SIZE), -EINVAL);
	EQ(seal_one(-2 * PAGE_SIZE, PAGE_SIZE, PAGE_SIZE), 0);
	EQ(seal_one(-PAGE_SIZE, PAGE_SIZE, PAGE_SIZE), -EINVAL);
	EQ(seal_one(-PAGE_SIZE, 2 * PAGE_SIZE, 2 * PAGE_SIZE), -EINVAL);
}

/* At address 0, where its last byte does not wrap around */
static void test_empty_range(void)
{
	struct dma_buf_phys_list *list = new_list(2);

	list->phys[0].len = PAGE_SIZE;
	EQ(dma_buf_phys_list_seal(list, PAGE_SIZE, DMA_BUF_PHYS_MMIO, NULL), -EINVAL);
	dma_buf_phys_list_free(list);
}

/* Together they are more than a size_t can tell, and a small number if it does */
static void test_sum_wraps(void)
{
	struct dma_buf_phys_list *list = new_list(3);

	for (int i = 0; i < 2; i++)
		list->phys[i].len = 1UL << 63;
	list->phys[2].len = PAGE_SIZE;
	EQ(dma_buf_phys_list_seal(list, PAGE_SIZE, DMA_BUF_PHYS_MMIO, NULL), -EINVAL);
	dma_buf_phys_list_free(list);
}

static void test_no_range(void)
{
	struct dma_buf_phys_list *list = new_list(0);

	EQ(dma_buf_phys_list_seal(list, 0, DMA_BUF_PHYS_MMIO, NULL), -EINVAL);
	dma_buf_phys_list_free(list);
	dma_buf_phys_list_free(NULL);
}

static void test_bad_memory(void)
{
	struct dma_buf_phys_list *list = new_list(1);
	struct p2pdma_provider provider;

	list->phys[0].len = PAGE_SIZE;
	shim.may_warn = 2;
	EQ(dma_buf_phys_list_seal(list, PAGE_SIZE, DMA_BUF_PHYS_RAM, &provider), -EINVAL);
	EQ(dma_buf_phys_list_seal(list, PAGE_SIZE, DMA_BUF_PHYS_RAM + 1, NULL), -EINVAL);
	EQ(list->size, 0);
	dma_buf_phys_list_free(list);
}

static void test_too_many_ranges(void)
{
	CHECK(!new_list(SIZE_MAX));
	CHECK(!new_list(SIZE_MAX / sizeof(struct phys_vec) + 1));
}

static void test_no_memory(void)
{
	for (unsigned int n = 1; n <= 2; n++) {
		shim.fault = n;
		CHECK(!new_list(3));
		EQ(shim.allocated, 0);
	}
}

/* All of 64 and one, so that the index has a second entry and a third */
static void test_every_page(void)
{
	struct input none = {};

	for (size_t count = 1; count <= 193; count++) {
		struct dma_buf_phys_list *list = new_list(count);

		for (size_t i = 0; i < count; i++)
			list->phys[i] = (struct phys_vec){
				.paddr = (1000 - i) * 16 * PAGE_SIZE,
				.len = (1 + i % 3) * PAGE_SIZE };
		EQ(dma_buf_phys_list_seal(list, list_total(list), DMA_BUF_PHYS_MMIO, NULL), 0);
		for (size_t at = 0; at <= list->size; at += PAGE_SIZE)
			check_seek(list, at, &none);
		dma_buf_phys_list_free(list);
	}
}

/* Neighbours, but for one in the middle and behind it */
static void test_neighbours(void)
{
	struct dma_buf_phys_list *list = new_list(70);
	struct input none = {};

	for (size_t i = 0; i < list->count; i++)
		list->phys[i] = (struct phys_vec){
			.paddr = (i + 40) * PAGE_SIZE, .len = PAGE_SIZE };
	list->phys[7].paddr = 0;
	EQ(dma_buf_phys_list_seal(list, 70 * PAGE_SIZE, DMA_BUF_PHYS_RAM, NULL), 0);
	for (size_t at = 0; at <= list->size; at += PAGE_SIZE / 2)
		check_seek(list, at, &none);
	dma_buf_phys_list_free(list);
}

/* A step of no bytes stays where it is */
static void test_step_of_nothing(void)
{
	struct dma_buf_phys_list *list = new_list(1);
	struct dma_buf_phys_iter iter;
	phys_addr_t paddr;

	list->phys[0] = (struct phys_vec){ .paddr = PAGE_SIZE, .len = PAGE_SIZE };
	EQ(dma_buf_phys_list_seal(list, PAGE_SIZE, DMA_BUF_PHYS_RAM, NULL), 0);
	EQ(dma_buf_phys_list_seek(list, 5, &iter), 0);
	EQ(dma_buf_phys_iter_next(&iter, 0, &paddr), 0);
	EQ(dma_buf_phys_iter_next(&iter, 7, &paddr), 7);
	EQ(paddr, PAGE_SIZE + 5);
	EQ(dma_buf_phys_iter_next(&iter, SIZE_MAX, &paddr), PAGE_SIZE - 12);
	EQ(paddr, PAGE_SIZE + 12);
	dma_buf_phys_list_free(list);
}

const struct test list_tests[] = {
	{ "list: one range", test_one_range },
	{ "list: an empty range", test_empty_range },
	{ "list: the sum wraps around", test_sum_wraps },
	{ "list: no range", test_no_range },
	{ "list: RAM with a provider, unknown memory", test_bad_memory },
	{ "list: too many ranges", test_too_many_ranges },
	{ "list: no memory", test_no_memory },
	{ "list: seek every page of 1 to 193 ranges", test_every_page },
	{ "list: a step of no bytes", test_step_of_nothing },
	{ "list: neighbours are one step", test_neighbours },
	{}
};
