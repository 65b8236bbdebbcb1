// SPDX-License-Identifier: GPL-2.0 AND MIT
/*
 * VRAM of a VF, as its PF addresses it: the translation by itself, on buffer
 * objects in pieces, and as a mapping type of real DMA-bufs.
 */

#include <drm/drm_managed.h>
#include <drm/ttm/ttm_placement.h>
#include <kunit/test.h>
#include <linux/gpu_buddy.h>
#include <linux/sizes.h>

#include "xe_gt_sriov_pf_helpers.h"
#include "xe_kunit_helpers.h"
#include "xe_pci_test.h"

#define TEST_VFID	3
#define TEST_MAX_VFS	7

static struct xe_sriov_vram *
test_buf(struct kunit *test, const struct xe_sriov_vram_range *ranges, size_t count)
{
	struct xe_sriov_vram *buf;

	buf = kunit_kzalloc(test, struct_size(buf, ranges, count), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, buf);
	buf->vfid = TEST_VFID;
	buf->count = count;
	memcpy(buf->ranges, ranges, count * sizeof(*ranges));
	return buf;
}

/* ---- the translation by itself ---- */

/* A tile with two blocks, the second one below the first, and another tile */
#define BLOCK_0		{ .dpa = SZ_1G + SZ_8M, .len = SZ_4M }
#define BLOCK_1		{ .dpa = SZ_1G + SZ_2M, .len = SZ_2M }
#define BLOCK_2		{ .dpa = 17ull * SZ_1G, .len = SZ_2M }
#define QUOTA		SZ_8M

struct translate_param {
	const char *desc;
	struct pf_vram_block blocks[3];
	size_t num_blocks;
	struct xe_sriov_vram_range ranges[3];
	size_t num_ranges;
	/* What comes out, in pieces as large as possible; none: an error */
	struct pf_vram_block pieces[5];
};

#define ONE_BLOCK	.blocks = { BLOCK_0 }, .num_blocks = 1
#define ONE_TILE	.blocks = { BLOCK_0, BLOCK_1 }, .num_blocks = 2
#define TWO_TILES	.blocks = { BLOCK_0, BLOCK_1, BLOCK_2 }, .num_blocks = 3

static const struct translate_param translate_params[] = {
	{
		.desc = "all of one block", ONE_BLOCK,
		.ranges = { { 0, SZ_4M } }, .num_ranges = 1,
		.pieces = { BLOCK_0 },
	},
	{
		.desc = "slice, not a power of two", ONE_BLOCK,
		.ranges = { { SZ_4K, 7 * SZ_4K } }, .num_ranges = 1,
		.pieces = { { SZ_1G + SZ_8M + SZ_4K, 7 * SZ_4K } },
	},
	{
		.desc = "last page", ONE_BLOCK,
		.ranges = { { SZ_4M - SZ_4K, SZ_4K } }, .num_ranges = 1,
		.pieces = { { SZ_1G + SZ_8M + SZ_4M - SZ_4K, SZ_4K } },
	},
	{
		.desc = "slice in the second block", ONE_TILE,
		.ranges = { { SZ_4M + SZ_64K, SZ_64K } }, .num_ranges = 1,
		.pieces = { { SZ_1G + SZ_2M + SZ_64K, SZ_64K } },
	},
	{
		.desc = "across blocks", ONE_TILE,
		.ranges = { { SZ_4M - SZ_8K, SZ_16K } }, .num_ranges = 1,
		.pieces = {
			{ SZ_1G + SZ_8M + SZ_4M - SZ_8K, SZ_8K },
			{ SZ_1G + SZ_2M, SZ_8K },
		},
	},
	{
		.desc = "the second tile", TWO_TILES,
		.ranges = { { SZ_4M + SZ_2M, SZ_2M } }, .num_ranges = 1,
		.pieces = { BLOCK_2 },
	},
	{
		.desc = "across tiles", TWO_TILES,
		.ranges = { { SZ_4M + SZ_2M - SZ_4K, SZ_8K } }, .num_ranges = 1,
		.pieces = {
			{ SZ_1G + SZ_4M - SZ_4K, SZ_4K },
			{ 17ull * SZ_1G, SZ_4K },
		},
	},
	{
		.desc = "the whole quota", TWO_TILES,
		.ranges = { { 0, QUOTA } }, .num_ranges = 1,
		.pieces = { BLOCK_0, BLOCK_1, BLOCK_2 },
	},
	{
		.desc = "ranges out of order, with gaps and twice", TWO_TILES,
		.ranges = {
			{ QUOTA - SZ_4K, SZ_4K },
			{ SZ_4M - SZ_4K, SZ_8K },
			{ SZ_4M - SZ_4K, SZ_4K },
		},
		.num_ranges = 3,
		.pieces = {
			{ 17ull * SZ_1G + SZ_2M - SZ_4K, SZ_4K },
			{ SZ_1G + SZ_8M + SZ_4M - SZ_4K, SZ_4K },
			{ SZ_1G + SZ_2M, SZ_4K },
			{ SZ_1G + SZ_8M + SZ_4M - SZ_4K, SZ_4K },
		},
	},
	{
		.desc = "more than 4 GiB",
		.blocks = { { .dpa = SZ_1G, .len = 6ull * SZ_1G } }, .num_blocks = 1,
		.ranges = { { SZ_2M, 5ull * SZ_1G + SZ_2M } }, .num_ranges = 1,
		.pieces = { { SZ_1G + SZ_2M, 5ull * SZ_1G + SZ_2M } },
	},
	{
		.desc = "a page beyond the quota", TWO_TILES,
		.ranges = { { SZ_4K, QUOTA } }, .num_ranges = 1,
	},
	{
		.desc = "from the end of the quota", TWO_TILES,
		.ranges = { { QUOTA, SZ_4K } }, .num_ranges = 1,
	},
	{
		.desc = "second range beyond the quota", ONE_BLOCK,
		.ranges = { { 0, SZ_4K }, { SZ_4M, SZ_4K } }, .num_ranges = 2,
	},
	{
		.desc = "end wraps around", TWO_TILES,
		.ranges = { { -(u64)SZ_4K, SZ_8K } }, .num_ranges = 1,
	},
	{
		.desc = "longer than anything", TWO_TILES,
		.ranges = { { SZ_4K, -(u64)SZ_4K } }, .num_ranges = 1,
	},
	{
		.desc = "zero length", TWO_TILES,
		.ranges = { { SZ_4K, 0 } }, .num_ranges = 1,
	},
	{
		.desc = "zero length after another", TWO_TILES,
		.ranges = { { 0, SZ_4K }, { SZ_4K, 0 } }, .num_ranges = 2,
	},
	{
		.desc = "unaligned offset", TWO_TILES,
		.ranges = { { SZ_2K, SZ_4K } }, .num_ranges = 1,
	},
	{
		.desc = "unaligned length", TWO_TILES,
		.ranges = { { 0, SZ_4K + SZ_2K } }, .num_ranges = 1,
	},
	{
		.desc = "no range", TWO_TILES,
	},
	{
		.desc = "no quota",
		.ranges = { { 0, SZ_4K } }, .num_ranges = 1,
	},
};

static void translate_param_get_desc(const struct translate_param *param, char *desc)
{
	strscpy(desc, param->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(translate, translate_params, translate_param_get_desc);

/* As page-table walks do: all of @pieces is there, from @skip on, in steps of @pte */
static void check_pieces(struct kunit *test, const struct drm_pagemap_addr *addr,
			 const struct pf_vram_block *pieces, u64 size, u64 skip, u64 pte)
{
	struct xe_res_cursor cur;
	u64 pos, in_piece = 0;

	xe_res_first_dma(addr, skip, size - skip, &cur);
	for (pos = 0; pos < size; pos += pte, in_piece += pte) {
		if (in_piece == pieces->len) {
			in_piece = 0;
			pieces++;
		}
		if (pos < skip)
			continue;

		KUNIT_ASSERT_EQ_MSG(test, xe_res_dma(&cur), pieces->dpa + in_piece,
				    "at %#llx of %#llx, from %#llx", pos, size, skip);
		KUNIT_ASSERT_TRUE(test, xe_res_is_vram(&cur));
		/* No PTE is smaller than it has to be */
		KUNIT_ASSERT_GE(test, cur.size, pieces->len - in_piece);
		KUNIT_ASSERT_EQ(test, cur.remaining, size - pos);
		xe_res_next(&cur, pte);
	}
}

static void test_translate(struct kunit *test)
{
	const struct translate_param *param = test->param_value;
	const struct xe_sriov_vram *buf = test_buf(test, param->ranges, param->num_ranges);
	struct pf_vram_result result = {};
	u64 size = 0, pte;
	size_t count, i;
	int err;

	for (i = 0; i < ARRAY_SIZE(param->pieces); i++)
		size += param->pieces[i].len;

	err = pf_vram_translate(param->blocks, param->num_blocks, buf, &result);
	KUNIT_ASSERT_EQ(test, err, size ? 0 : -EINVAL);
	if (err)
		return;
	KUNIT_EXPECT_EQ(test, result.size, size);

	/* Exactly as large as reported: KASAN checks */
	count = result.count;
	result = (struct pf_vram_result) {
		.addr = kunit_kcalloc(test, count, sizeof(*result.addr), GFP_KERNEL),
	};
	KUNIT_ASSERT_NOT_NULL(test, result.addr);
	KUNIT_ASSERT_EQ(test, 0, pf_vram_translate(param->blocks, param->num_blocks,
						   buf, &result));
	KUNIT_EXPECT_EQ(test, result.count, count);

	pte = size > SZ_1G ? SZ_2M : SZ_4K;
	check_pieces(test, result.addr, param->pieces, size, 0, pte);
	check_pieces(test, result.addr, param->pieces, size, size / 2 & -pte, pte);
	check_pieces(test, result.addr, param->pieces, size, size - pte, pte);
}

/* ---- buffer objects in pieces ---- */

/* A buffer object in VRAM, without TTM's allocation of it */
struct test_bo {
	struct xe_bo bo;
	struct xe_ttm_vram_mgr_resource vres;
};

static void test_bo_fini(void *data)
{
	struct test_bo *tbo = data;

	gpu_buddy_free_list(xe_res_get_buddy(&tbo->vres.base), &tbo->vres.blocks, 0);
	dma_resv_fini(&tbo->bo.ttm.base._resv);
}

/* With a reference and a pin, as provisioning leaves it; no block until test_bo_grow() */
static struct xe_bo *test_bo(struct kunit *test, struct xe_tile *tile)
{
	struct test_bo *tbo = kunit_kzalloc(test, sizeof(*tbo), GFP_KERNEL);
	struct ttm_resource *res;
	struct xe_bo *bo;

	KUNIT_ASSERT_NOT_NULL(test, tbo);
	bo = &tbo->bo;
	res = &tbo->vres.base;

	bo->tile = tile;
	bo->ttm.bdev = &tile_to_xe(tile)->ttm;
	bo->ttm.resource = res;
	bo->ttm.pin_count = 1;
	bo->ttm.base.dev = &tile_to_xe(tile)->drm;
	bo->ttm.base.resv = &bo->ttm.base._resv;
	dma_resv_init(bo->ttm.base.resv);
	kref_init(&bo->ttm.kref);
	kref_init(&bo->ttm.base.refcount);
	INIT_LIST_HEAD(&bo->pinned_link);
	bo->placements[0].mem_type = tile->mem.vram->placement;
	list_add_tail(&bo->pinned_link, &tile_to_xe(tile)->pinned.late.kernel_bo_present);

	res->bo = &bo->ttm;
	res->mem_type = tile->mem.vram->placement;
	INIT_LIST_HEAD(&res->lru.link);
	INIT_LIST_HEAD(&tbo->vres.blocks);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, test_bo_fini, tbo));
	return bo;
}

static void test_bo_grow(struct kunit *test, struct xe_bo *bo, u64 start, u64 len)
{
	struct ttm_resource *res = bo->ttm.resource;

	KUNIT_ASSERT_EQ(test, 0,
			gpu_buddy_alloc_blocks(xe_res_get_buddy(res), start, start + len,
					       len, SZ_4K,
					       &to_xe_ttm_vram_mgr_resource(res)->blocks,
					       GPU_BUDDY_RANGE_ALLOCATION));
	res->size += len;
	bo->ttm.base.size += len;
}

static void test_set_lmem(struct xe_tile *tile, struct xe_bo *bo)
{
	guard(mutex)(xe_gt_sriov_pf_master_mutex(tile->primary_gt));
	tile->primary_gt->sriov.pf.vfs[TEST_VFID].config.lmem_obj = bo;
}

/* Gives up the pin as provisioning does, so that lockdep learns the order */
static void test_reprovision(struct xe_tile *tile, struct xe_bo *old, struct xe_bo *new)
{
	guard(mutex)(xe_gt_sriov_pf_master_mutex(tile->primary_gt));
	xe_bo_lock(old, false);
	xe_bo_unpin(old);
	xe_bo_unlock(old);
	tile->primary_gt->sriov.pf.vfs[TEST_VFID].config.lmem_obj = new;
}

static void test_vram_fini(void *data)
{
	struct xe_vram_region *vram = data;

	gpu_buddy_fini(&vram->ttm.mm);
}

static void test_tile_init(struct kunit *test, struct xe_tile *tile)
{
	struct xe_vram_region *vram = kunit_kzalloc(test, sizeof(*vram), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vram);
	vram->placement = XE_PL_VRAM0 + tile->id;
	vram->dpa_base = SZ_1G + 16ull * SZ_1G * tile->id;
	INIT_LIST_HEAD(&vram->ttm.manager.lru[0]);
	KUNIT_ASSERT_EQ(test, 0, gpu_buddy_init(&vram->ttm.mm, SZ_64M, SZ_4K));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, test_vram_fini, vram));
	tile->mem.vram = vram;
	ttm_set_driver_manager(&tile_to_xe(tile)->ttm, vram->placement,
			       &vram->ttm.manager);

	KUNIT_ASSERT_NOT_NULL(test, tile->primary_gt);
	tile->primary_gt->sriov.pf.vfs =
		kunit_kcalloc(test, 1 + TEST_MAX_VFS,
			      sizeof(*tile->primary_gt->sriov.pf.vfs), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, tile->primary_gt->sriov.pf.vfs);
}

static int pf_vram_init(struct kunit *test)
{
	struct xe_pci_fake_data fake = {
		.sriov_mode = XE_SRIOV_MODE_PF,
		.platform = XE_BATTLEMAGE, /* any random DGFX platform with SR-IOV */
		.subplatform = XE_SUBPLATFORM_NONE,
		.graphics_verx100 = 2001,
	};
	struct xe_device *xe;

	test->priv = &fake;
	xe_kunit_helper_xe_device_test_init(test);
	xe = test->priv;
	KUNIT_ASSERT_TRUE(test, IS_SRIOV_PF(xe));
	KUNIT_ASSERT_TRUE(test, xe_device_has_lmtt(xe));
	KUNIT_ASSERT_EQ(test, xe->info.tile_count, 1);

	KUNIT_ASSERT_EQ(test, 0, drmm_mutex_init(&xe->drm, &xe->sriov.pf.master_lock));
	xe->sriov.pf.device_total_vfs = TEST_MAX_VFS;
	xe->sriov.pf.driver_max_vfs = TEST_MAX_VFS;
	spin_lock_init(&xe->ttm.lru_lock);
	INIT_LIST_HEAD(&xe->ttm.unevictable);
	spin_lock_init(&xe->pinned.lock);
	INIT_LIST_HEAD(&xe->pinned.late.kernel_bo_present);
	test_tile_init(test, &xe->tiles[0]);
	return 0;
}

static void test_second_tile_fini(void *data)
{
	struct xe_device *xe = data;

	xe->info.tile_count = 1;
	xe->tiles[1].primary_gt = NULL;
}

/* No platform has SR-IOV and two tiles, but the driver is prepared for one */
static void test_second_tile(struct kunit *test)
{
	struct xe_device *xe = test->priv;
	struct xe_tile *tile = &xe->tiles[1];
	struct xe_gt *gt = kunit_kzalloc(test, sizeof(*gt), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, gt);
	gt->tile = tile;
	gt->info.type = XE_GT_TYPE_MAIN;
	gt->info.id = xe->info.max_gt_per_tile;
	tile->xe = xe;
	tile->id = 1;
	tile->primary_gt = gt;
	xe->info.tile_count = 2;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, test_second_tile_fini, xe));
	test_tile_init(test, tile);
}

/* Blocks that neither touch nor are in order: 2M, 4M, and 1M */
static struct xe_bo *test_provision(struct kunit *test, struct xe_tile *tile)
{
	struct xe_bo *bo = test_bo(test, tile);

	test_bo_grow(test, bo, SZ_32M, SZ_2M);
	test_bo_grow(test, bo, SZ_8M, SZ_4M);
	test_bo_grow(test, bo, SZ_16M, SZ_1M);
	test_set_lmem(tile, bo);
	return bo;
}

/* Each page is where the driver itself says that it is in the @bos of the VF */
static void check_vram(struct kunit *test, struct xe_sriov_pf_vram *vram,
		       struct xe_bo **bos, u64 offset, u64 len)
{
	struct xe_res_cursor cur;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, vram);
	while (offset >= xe_bo_size(*bos))
		offset -= xe_bo_size(*bos++);

	xe_res_first_dma(xe_sriov_pf_vram_addr(vram), 0, len, &cur);
	for (; cur.remaining; xe_res_next(&cur, PAGE_SIZE), offset += PAGE_SIZE) {
		if (offset == xe_bo_size(*bos)) {
			offset = 0;
			bos++;
		}
		KUNIT_ASSERT_EQ(test, xe_res_dma(&cur),
				xe_bo_addr(*bos, offset, PAGE_SIZE));
	}
}

static struct xe_sriov_pf_vram *test_resolve(struct kunit *test, u64 offset, u64 len)
{
	const struct xe_sriov_vram_range range = { offset, len };

	return pf_vram_resolve(test->priv, test_buf(test, &range, 1), len);
}

static void test_one_tile(struct kunit *test)
{
	struct xe_device *xe = test->priv;
	struct xe_bo *bo = test_provision(test, &xe->tiles[0]);
	struct xe_sriov_pf_vram *vram;

	KUNIT_EXPECT_TRUE(test, xe_sriov_vram_supported(xe));

	vram = test_resolve(test, 0, 7 * SZ_1M);
	check_vram(test, vram, &bo, 0, 7 * SZ_1M);
	KUNIT_EXPECT_EQ(test, bo->ttm.pin_count, 2);
	KUNIT_EXPECT_EQ(test, kref_read(&bo->ttm.base.refcount), 2);
	xe_sriov_pf_vram_put(vram);
	KUNIT_EXPECT_EQ(test, bo->ttm.pin_count, 1);
	KUNIT_EXPECT_EQ(test, kref_read(&bo->ttm.base.refcount), 1);

	vram = test_resolve(test, SZ_2M - SZ_4K, SZ_4M + SZ_8K);
	check_vram(test, vram, &bo, SZ_2M - SZ_4K, SZ_4M + SZ_8K);
	xe_sriov_pf_vram_put(vram);
}

static void test_two_tiles(struct kunit *test)
{
	struct xe_device *xe = test->priv;
	struct xe_sriov_pf_vram *vram;
	struct xe_bo *bos[2];

	test_second_tile(test);
	bos[0] = test_provision(test, &xe->tiles[0]);
	bos[1] = test_provision(test, &xe->tiles[1]);

	vram = test_resolve(test, 0, 14 * SZ_1M);
	check_vram(test, vram, bos, 0, 14 * SZ_1M);
	xe_sriov_pf_vram_put(vram);

	vram = test_resolve(test, 7 * SZ_1M - SZ_4K, SZ_8K);
	check_vram(test, vram, bos, 7 * SZ_1M - SZ_4K, SZ_8K);
	KUNIT_EXPECT_EQ(test, bos[0]->ttm.pin_count, 2);
	KUNIT_EXPECT_EQ(test, bos[1]->ttm.pin_count, 2);
	xe_sriov_pf_vram_put(vram);

	/* The LMTT has no hole for a tile without a quota */
	test_set_lmem(&xe->tiles[0], NULL);
	vram = test_resolve(test, SZ_4K, SZ_4M);
	check_vram(test, vram, &bos[1], SZ_4K, SZ_4M);
	xe_sriov_pf_vram_put(vram);
	KUNIT_EXPECT_EQ(test, bos[0]->ttm.pin_count, 1);
	KUNIT_EXPECT_EQ(test, bos[1]->ttm.pin_count, 1);
}

static void test_refused(struct kunit *test)
{
	struct xe_device *xe = test->priv;
	const struct xe_sriov_vram_range range = { 0, SZ_4K };
	struct xe_bo *bo;

	KUNIT_EXPECT_PTR_EQ(test, test_resolve(test, 0, SZ_4K), ERR_PTR(-EINVAL));

	bo = test_provision(test, &xe->tiles[0]);
	KUNIT_EXPECT_PTR_EQ(test, test_resolve(test, SZ_4K, 7 * SZ_1M),
			    ERR_PTR(-EINVAL));
	/* The buffer is larger than its ranges, and smaller */
	KUNIT_EXPECT_PTR_EQ(test, pf_vram_resolve(xe, test_buf(test, &range, 1), SZ_8K),
			    ERR_PTR(-EINVAL));
	KUNIT_EXPECT_PTR_EQ(test, pf_vram_resolve(xe, test_buf(test, &range, 1), SZ_2K),
			    ERR_PTR(-EINVAL));

	/* Unprovisioned between the look-up and the pin */
	bo->ttm.pin_count = 0;
	KUNIT_EXPECT_PTR_EQ(test, test_resolve(test, 0, SZ_4K), ERR_PTR(-ENODEV));
	KUNIT_EXPECT_EQ(test, bo->ttm.pin_count, 0);
	KUNIT_EXPECT_EQ(test, kref_read(&bo->ttm.base.refcount), 1);
}

/* ---- as a mapping type ---- */

struct test_exporter {
	struct dma_buf_mapping_match offer;
	unsigned int mapped;
	bool revoked;
};

static int test_exporter_match(struct dma_buf_match_args *args)
{
	struct test_exporter *exporter = args->dmabuf->priv;

	return dma_buf_match_mapping(args, &exporter->offer, 1);
}

static int test_exporter_map(struct dma_buf_attachment *attach)
{
	struct test_exporter *exporter = attach->dmabuf->priv;

	if (exporter->revoked)
		return -ENODEV;
	exporter->mapped++;
	return 0;
}

static void test_exporter_unmap(struct dma_buf_attachment *attach)
{
	struct test_exporter *exporter = attach->dmabuf->priv;

	exporter->mapped--;
}

static const struct xe_sriov_vram_exp_ops test_exporter_vram_ops = {
	.map = test_exporter_map,
	.unmap = test_exporter_unmap,
};

static void test_exporter_release(struct dma_buf *dmabuf)
{
}

static const struct dma_buf_ops test_exporter_ops = {
	.match_mapping = test_exporter_match,
	.release = test_exporter_release,
};

static struct pci_dev *test_pdev(struct xe_device *xe)
{
	return to_pci_dev(xe->drm.dev);
}

static void test_match(struct kunit *test)
{
	struct xe_device *xe = test->priv;
	const struct xe_sriov_vram_range range = { SZ_4M, SZ_4M };
	struct xe_sriov_vram *buf = test_buf(test, &range, 1);
	struct dma_buf_mapping_match offer =
		xe_sriov_vram_offer(&test_exporter_vram_ops, test_pdev(xe), buf);
	struct dma_buf_match_query query = {};

	KUNIT_ASSERT_EQ(test, 1, xe_sriov_pf_vram_request(xe, &query.request));

	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, dma_buf_match_query(&query, &offer, 1));
	KUNIT_EXPECT_STREQ(test, query.why, "foreign-pf");

	buf->pf = test_pdev(xe);
	test_provision(test, &xe->tiles[0]);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, dma_buf_match_query(&query, &offer, 1));
	KUNIT_EXPECT_STREQ(test, query.why, "beyond-quota");

	buf->ranges[0].len = 3 * SZ_1M;
	KUNIT_EXPECT_EQ(test, 0, dma_buf_match_query(&query, &offer, 1));
	KUNIT_EXPECT_PTR_EQ(test, query.type, &xe_sriov_vram_mapping_type);

	xe->sriov.__mode = XE_SRIOV_MODE_NONE;
	KUNIT_EXPECT_EQ(test, 0, xe_sriov_pf_vram_request(xe, &query.request));
	xe->sriov.__mode = XE_SRIOV_MODE_PF;
	xe->info.vram_flags |= XE_VRAM_FLAGS_NEED64K;
	KUNIT_EXPECT_EQ(test, 0, xe_sriov_pf_vram_request(xe, &query.request));
}

static struct dma_buf *test_export(struct kunit *test, struct test_exporter *exporter,
				   size_t size)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;

	info.ops = &test_exporter_ops;
	info.size = size;
	info.priv = exporter;
	info.flags = O_RDWR;
	dmabuf = dma_buf_export(&info);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dmabuf);
	return dmabuf;
}

static int test_map(struct xe_sriov_pf_vram *vram, struct dma_buf_attachment *attach)
{
	int err;

	dma_resv_lock(attach->dmabuf->resv, NULL);
	err = xe_sriov_pf_vram_map(vram, attach);
	dma_resv_unlock(attach->dmabuf->resv);
	return err;
}

static void test_unmap(struct xe_sriov_pf_vram *vram, struct dma_buf_attachment *attach)
{
	dma_resv_lock(attach->dmabuf->resv, NULL);
	xe_sriov_pf_vram_unmap(vram, attach);
	dma_resv_unlock(attach->dmabuf->resv);
}

/* Map, revoke, map again; then another quota */
static void check_import(struct kunit *test, struct test_exporter *exporter,
			 struct dma_buf_attachment *attach)
{
	struct xe_device *xe = test->priv;
	struct xe_bo *old = test_provision(test, &xe->tiles[0]);
	struct xe_sriov_pf_vram *vram = xe_sriov_pf_vram_get(attach), *again;
	struct xe_bo *new = test_bo(test, &xe->tiles[0]);

	test_bo_grow(test, new, SZ_2M, SZ_4M);
	check_vram(test, vram, &old, 0, SZ_2M);
	KUNIT_EXPECT_EQ(test, 0, test_map(vram, attach));
	KUNIT_EXPECT_EQ(test, 0, test_map(vram, attach));
	KUNIT_EXPECT_EQ(test, exporter->mapped, 1);
	test_unmap(vram, attach);
	test_unmap(vram, attach);
	KUNIT_EXPECT_EQ(test, exporter->mapped, 0);

	exporter->revoked = true;
	KUNIT_EXPECT_EQ(test, -ENODEV, test_map(vram, attach));
	exporter->revoked = false;
	KUNIT_EXPECT_EQ(test, 0, test_map(vram, attach));

	/* The memory stays */
	test_reprovision(&xe->tiles[0], old, new);
	KUNIT_EXPECT_EQ(test, old->ttm.pin_count, 1);
	KUNIT_EXPECT_FALSE(test, list_empty(&old->pinned_link));
	check_vram(test, vram, &old, 0, SZ_2M);

	/* What is mapped stays mapped, and does not come back */
	KUNIT_EXPECT_EQ(test, exporter->mapped, 1);
	test_unmap(vram, attach);
	KUNIT_EXPECT_EQ(test, -ENODEV, test_map(vram, attach));
	KUNIT_EXPECT_EQ(test, exporter->mapped, 0);

	/* A new import gets the new memory */
	again = xe_sriov_pf_vram_get(attach);
	check_vram(test, again, &new, 0, SZ_2M);
	KUNIT_EXPECT_EQ(test, 0, test_map(again, attach));
	test_unmap(again, attach);
	xe_sriov_pf_vram_put(again);
	xe_sriov_pf_vram_put(vram);
	KUNIT_EXPECT_EQ(test, new->ttm.pin_count, 1);
	KUNIT_EXPECT_EQ(test, old->ttm.pin_count, 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&old->pinned_link));
}

static void test_import(struct kunit *test)
{
	struct xe_device *xe = test->priv;
	const struct xe_sriov_vram_range range = { 0, SZ_2M };
	struct xe_sriov_vram *buf = test_buf(test, &range, 1);
	struct test_exporter exporter = {
		.offer = xe_sriov_vram_offer(&test_exporter_vram_ops, test_pdev(xe), buf),
	};
	struct dma_buf *dmabuf = test_export(test, &exporter, SZ_2M);
	struct dma_buf_mapping_match request;
	struct dma_buf_attachment *attach;
	struct xe_bo *bo;

	buf->pf = test_pdev(xe);
	KUNIT_ASSERT_EQ(test, 1, xe_sriov_pf_vram_request(xe, &request));
	attach = dma_buf_mapping_attach(dmabuf, &request, 1, NULL, NULL);
	KUNIT_EXPECT_PTR_EQ(test, attach, ERR_PTR(-EOPNOTSUPP));

	bo = test_bo(test, &xe->tiles[0]);
	test_bo_grow(test, bo, 0, SZ_2M);
	test_set_lmem(&xe->tiles[0], bo);
	attach = dma_buf_mapping_attach(dmabuf, &request, 1, NULL, NULL);
	if (!IS_ERR(attach)) {
		check_import(test, &exporter, attach);
		dma_buf_detach(dmabuf, attach);
	}
	dma_buf_put(dmabuf);
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, attach);
}

static struct kunit_case pf_vram_cases[] = {
	KUNIT_CASE_PARAM(test_translate, translate_gen_params),
	KUNIT_CASE(test_one_tile),
	KUNIT_CASE(test_two_tiles),
	KUNIT_CASE(test_refused),
	KUNIT_CASE(test_match),
	KUNIT_CASE(test_import),
	{}
};

static struct kunit_suite pf_vram_suite = {
	.name = "pf_vram",
	.init = pf_vram_init,
	.test_cases = pf_vram_cases,
};

kunit_test_suites(&pf_vram_suite);
