// SPDX-License-Identifier: GPL-2.0-only
/*
 * Importers that have the core copy: each byte goes where the list of the exporter
 * says, and no other byte changes.
 */
#include <stdlib.h>
#include "test.h"
#include <linux/dma-buf-cpu.h>

#define SIZE	(12 * PAGE_SIZE)

static struct dma_resv resv;
static struct dma_buf_pal_source source;
static struct dma_buf_phys_list *list;
static struct dma_buf_attachment *attach;
static struct dma_buf_cpu cpu;
static u8 shadow[SIZE], vmapped[SIZE];
static int invalidated, vmaps, accesses, access_err, end_err;
static enum dma_data_direction access_dir;

/* ---- dma-buf.c, as far as it is wanted here ---- */

int dma_buf_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	dma_resv_assert_held(dmabuf->resv);
	if (shim_fails(-ENOMEM))
		return -ENOMEM;
	vmaps++;
	map->vaddr = vmapped;
	return 0;
}

void dma_buf_vunmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	dma_resv_assert_held(dmabuf->resv);
	CHECK(map->vaddr == vmapped);
	vmaps--;
}

int dma_buf_begin_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	CHECK(!dmabuf->resv->lock.base);
	if (access_err)
		return access_err;
	accesses++;
	access_dir = dir;
	return 0;
}

int dma_buf_end_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	CHECK(!dmabuf->resv->lock.base);
	EQ(dir, access_dir);
	accesses--;
	return end_err;
}

/* ---- exporters ---- */

static int lender_match(struct dma_buf_match_args *args)
{
	struct dma_buf_mapping_match offer = dma_buf_pal_source_offer(&source);

	return dma_buf_match_mapping(args, &offer, 1);
}

static struct sg_table *no_map(struct dma_buf_attachment *to, enum dma_data_direction dir)
{
	(void)to;
	(void)dir;
	die("an importer of CPU has no use for a scatterlist");
}

static void no_unmap(struct dma_buf_attachment *to, struct sg_table *sgt,
		     enum dma_data_direction dir)
{
	(void)sgt;
	no_map(to, dir);
}

static int some_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	return dma_buf_vmap(dmabuf, map);
}

static const struct dma_buf_mapping_sgt_exp_ops sgt_ops = {
	.map_dma_buf = no_map, .unmap_dma_buf = no_unmap };
static const struct dma_buf_mapping_match sgt_offer = DMA_BUF_EMAPPING_SGT(&sgt_ops);
static const struct dma_buf_ops lender_ops = { .match_mapping = lender_match };
static const struct dma_buf_ops vmap_ops = { .single_exporter_match = &sgt_offer,
					     .vmap = some_vmap };
static const struct dma_buf_ops no_vmap_ops = { .single_exporter_match = &sgt_offer };
static struct dma_buf dmabuf = { .resv = &resv, .size = SIZE };

static void invalidate(struct dma_buf_attachment *who)
{
	CHECK(who == attach);
	invalidated++;
	if (cpu.attach)
		dma_buf_cpu_unmap(&cpu);
}

static const struct dma_buf_attach_ops dynamic = { .invalidate_mappings = invalidate };

/* ---- the importer ---- */

static int try_attach(const struct dma_buf_ops *ops, const struct dma_buf_attach_ops *importer)
{
	struct dma_buf_mapping_match request = DMA_BUF_IMAPPING_CPU();

	dmabuf.ops = ops;
	INIT_LIST_HEAD(&dmabuf.attachments);
	attach = dma_buf_mapping_attach(&dmabuf, &request, 1, importer, NULL);
	return PTR_ERR_OR_ZERO(attach);
}

static int try_map(void)
{
	int ret;

	dma_resv_lock(&resv, NULL);
	ret = dma_buf_cpu_map(attach, &cpu);
	dma_resv_unlock(&resv);
	return ret;
}

static void unmap(void)
{
	dma_resv_lock(&resv, NULL);
	dma_buf_cpu_unmap(&cpu);
	dma_resv_unlock(&resv);
}

/* 12 pages: 3, 1 that is their neighbour, 5 elsewhere, 3 in front of them */
static void lend(enum dma_buf_phys_memory memory)
{
	static const struct phys_vec ranges[] = {
		{ 100 * PAGE_SIZE, 3 * PAGE_SIZE }, { 103 * PAGE_SIZE, PAGE_SIZE },
		{ 50 * PAGE_SIZE, 5 * PAGE_SIZE }, { 40 * PAGE_SIZE, 3 * PAGE_SIZE } };
	struct phys_vec *phys;

	list = dma_buf_phys_list_alloc(4, &phys);
	memcpy(phys, ranges, sizeof(ranges));
	EQ(dma_buf_phys_list_seal(list, SIZE, memory, NULL), 0);
	dma_buf_pal_source_init(&source, list, false);
	EQ(try_attach(&lender_ops, &dynamic), 0);
	EQ(attach->map_type.type == &dma_buf_mapping_cpu_type, 1);
}

static u8 *byte_of(size_t offset)
{
	struct dma_buf_phys_iter iter;
	phys_addr_t phys;

	if (!list)
		return &vmapped[offset];
	EQ(dma_buf_phys_list_seek(list, offset, &iter), 0);
	EQ(dma_buf_phys_iter_next(&iter, 1, &phys), 1);
	return shim_page(phys) + offset_in_page(phys);
}

static void check_memory(void)
{
	for (size_t i = 0; i < SIZE; i++)
		EQ(*byte_of(i), shadow[i]);
}

static void copy_and_check(size_t offset, size_t len, bool write)
{
	u8 mem[SIZE], before[SIZE];

	for (size_t i = 0; i < len; i++)
		mem[i] = before[i] = offset * 7 + i * 3 + 1;
	EQ(dma_buf_cpu_begin(attach, write), 0);
	EQ(accesses, !list);
	/* As an importer whose lock is taken inside the reservation lock */
	dma_resv_lock(&resv, NULL);
	EQ(dma_buf_cpu_copy(&cpu, offset, mem, len, write), 0);
	dma_resv_unlock(&resv);
	EQ(dma_buf_cpu_end(attach, write), 0);
	if (write)
		memcpy(shadow + offset, mem, len);
	EQ(memcmp(mem, write ? before : shadow + offset, len), 0);
	EQ(accesses, 0);
}

/* Everywhere that something ends, and a byte before and after it */
static void copies(void)
{
	size_t at, end;

	for (at = 0; at < SIZE; at++)
		shadow[at] = *byte_of(at);
	for (at = 0; at <= 12 * 3; at++) {
		for (end = at; end <= 12 * 3; end++) {
			size_t from = at / 3 * PAGE_SIZE + at % 3 - 1;
			size_t to = end / 3 * PAGE_SIZE + end % 3 - 1;

			if (from < SIZE && to >= from && to <= SIZE)
				copy_and_check(from, to - from, (at + end) & 1);
		}
	}
	check_memory();
}

static void outside(void)
{
	static const size_t slices[][2] = { { SIZE, 1 }, { SIZE + 1, 0 }, { 0, SIZE + 1 },
					    { 1, SIZE_MAX }, { SIZE_MAX, 2 } };
	u8 mem[1] = { 0x55 };

	for (size_t i = 0; i < ARRAY_SIZE(slices); i++)
		for (int write = 0; write < 2; write++)
			EQ(dma_buf_cpu_copy(&cpu, slices[i][0], mem, slices[i][1], write), -EFAULT);
	EQ(mem[0], 0x55);
	EQ(dma_buf_cpu_copy(&cpu, SIZE, mem, 0, true), 0);
	check_memory();
}

static void detach(void)
{
	dma_buf_detach(&dmabuf, attach);
	if (list)
		dma_buf_pal_source_destroy(&source);
	list = NULL;
	shim_pages_drop();
}

static void lent(enum dma_buf_phys_memory memory)
{
	u8 mem[1];

	lend(memory);
	EQ(try_map(), 0);
	CHECK(dma_buf_cpu_mapped(&cpu));
	EQ(source.kref.count, 2);
	copies();
	outside();
	dma_buf_pal_source_revoke(&source, &dmabuf);
	EQ(invalidated, 1);
	CHECK(!dma_buf_cpu_mapped(&cpu));
	EQ(dma_buf_cpu_copy(&cpu, 0, mem, 1, false), -EFAULT);
	EQ(try_map(), -ENODEV);
	EQ(dma_buf_cpu_copy(&cpu, 0, mem, 1, false), -EFAULT);
	dma_buf_pal_source_restore(&source, &dmabuf);
	EQ(try_map(), 0);
	unmap();
	EQ(source.kref.count, 1);
	detach();
}

static void test_ram(void)
{
	lent(DMA_BUF_PHYS_RAM);
}

static void test_mmio(void)
{
	lent(DMA_BUF_PHYS_MMIO);
}

/* By vmap, between the exporter's begin and end, which may fail */
static void test_vmap(void)
{
	u8 mem[1];

	EQ(try_attach(&vmap_ops, NULL), 0);
	EQ(try_map(), 0);
	EQ(vmaps, 1);
	EQ(shim.waits[DMA_RESV_USAGE_KERNEL], 1);
	copies();
	outside();
	copy_and_check(0, 1, true);
	EQ(access_dir, DMA_BIDIRECTIONAL);
	copy_and_check(0, 1, false);
	EQ(access_dir, DMA_FROM_DEVICE);
	access_err = -EINTR;
	EQ(dma_buf_cpu_begin(attach, false), -EINTR);
	access_err = 0;
	unmap();
	EQ(vmaps, 0);
	/* A copy that comes too late, and that the exporter has been told of */
	EQ(dma_buf_cpu_begin(attach, false), 0);
	EQ(dma_buf_cpu_copy(&cpu, 0, mem, 1, false), -EFAULT);
	end_err = -EIO;
	EQ(dma_buf_cpu_end(attach, false), -EIO);
	end_err = 0;
	EQ(accesses, 0);
	detach();
}

static void test_no_vmap(void)
{
	shim.traced = true;
	EQ(try_attach(&no_vmap_ops, NULL), -EOPNOTSUPP);
	EQ(strcmp(shim.events[shim.nr_events - 1].verdict, "no-vmap"), 0);
}

/* Before there is a buffer nobody knows whether it has a vmap */
static void test_query(void)
{
	struct dma_buf_match_query query = { .request = DMA_BUF_IMAPPING_CPU() };

	EQ(dma_buf_match_query(&query, &sgt_offer, 1), 0);
	CHECK(query.type == &dma_buf_mapping_cpu_type);
}

/* The nth call fails, and leaves nothing */
static void sweep(int calls)
{
	for (int n = 1; n <= calls; n++) {
		int allocated = shim.allocated;

		shim.fault = n;
		CHECK(try_map() < 0 && !cpu.attach && shim.fault_err);
		CHECK(!strcmp(shim.told.name, "CPU") && !strcmp(shim.told.verdict, "map-failed"));
		EQ(shim.allocated, allocated);
		EQ(vmaps, 0);
	}
	shim.fault = 0;
	EQ(try_map(), 0);
	unmap();
	detach();
}

static void test_faults(void)
{
	lend(DMA_BUF_PHYS_MMIO);
	sweep(5);		/* the array, and four ranges */
	EQ(try_attach(&vmap_ops, NULL), 0);
	sweep(2);		/* vmap, and the wait */
}

static void test_bad_arguments(void)
{
	struct dma_buf_mapping_match request = DMA_BUF_IMAPPING_CPU();
	struct dma_buf_mapping_match offer = request;
	struct dma_buf_match_args args = { &dmabuf, NULL, &request, 1 };

	shim.may_warn = 14;
	lend(DMA_BUF_PHYS_RAM);
	args.attach = attach;
	EQ(dma_buf_match_mapping(&args, &offer, 1), -EINVAL);
	offer = DMA_BUF_EMAPPING_SGT(&sgt_ops);
	offer.exp_ops = NULL;
	EQ(dma_buf_match_mapping(&args, &offer, 1), -EINVAL);
	dma_resv_lock(&resv, NULL);
	EQ(dma_buf_cpu_map(NULL, &cpu), -EINVAL);
	EQ(dma_buf_cpu_map(attach, NULL), -EINVAL);
	EQ(dma_buf_cpu_begin(NULL, true), -EINVAL);
	EQ(dma_buf_cpu_end(NULL, true), -EINVAL);
	dma_buf_cpu_unmap(NULL);
	dma_buf_cpu_unmap(&cpu);
	attach->map_type.type = &dma_buf_mapping_pal_type;
	EQ(dma_buf_cpu_map(attach, &cpu), -EINVAL);
	EQ(dma_buf_cpu_begin(attach, true), -EINVAL);
	EQ(dma_buf_cpu_end(attach, true), -EINVAL);
	attach->dmabuf = NULL;
	EQ(dma_buf_cpu_map(attach, &cpu), -EINVAL);
	EQ(dma_buf_cpu_begin(attach, true), -EINVAL);
	EQ(dma_buf_cpu_end(attach, true), -EINVAL);
	attach->dmabuf = &dmabuf;
	dma_resv_unlock(&resv);
	detach();
}

static void test_dies_map(void)
{
	lend(DMA_BUF_PHYS_RAM);
	dma_buf_cpu_map(attach, &cpu);
}

static void test_dies_unmap(void)
{
	lend(DMA_BUF_PHYS_RAM);
	EQ(try_map(), 0);
	dma_buf_cpu_unmap(&cpu);
}

static void test_dies_begin(void)
{
	lend(DMA_BUF_PHYS_RAM);
	dma_resv_lock(&resv, NULL);
	dma_buf_cpu_begin(attach, true);
}

static void test_dies_end(void)
{
	lend(DMA_BUF_PHYS_RAM);
	EQ(dma_buf_cpu_begin(attach, true), 0);
	dma_resv_lock(&resv, NULL);
	dma_buf_cpu_end(attach, true);
}

const struct test cpu_tests[] = {
	{ "cpu: RAM, revoke, again", test_ram },
	{ "cpu: MMIO, revoke, again", test_mmio },
	{ "cpu: by vmap", test_vmap },
	{ "cpu: no vmap", test_no_vmap },
	{ "cpu: a query without a buffer", test_query },
	{ "cpu: each call on the way fails once", test_faults },
	{ "cpu: arguments that are missing", test_bad_arguments },
	{ "cpu: map dies without the lock", test_dies_map },
	{ "cpu: unmap dies without the lock", test_dies_unmap },
	{ "cpu: begin dies with the lock", test_dies_begin },
	{ "cpu: end dies with the lock", test_dies_end },
	{}
};
