// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * When an import is unmapped that moves out to system.
 */

#include <kunit/test.h>

#include <linux/dma-buf-sgt.h>
#include <linux/dma-fence.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

#include "tests/xe_kunit_helpers.h"

/* Something that the GPU does for longer than the test runs, or for @work */
struct test_job {
	struct dma_fence fence;
	spinlock_t lock;	/* of @fence */
	struct delayed_work work;
};

struct test_import {
	struct xe_bo bo;
	struct xe_ttm_tt tt;
	struct ttm_resource_manager man[2];
	struct ttm_resource res[2];
	struct dma_buf *dmabuf;
	struct test_job *job;
	unsigned int maps;
	unsigned int mapped;
};

/* ---- an exporter ---- */

static struct sg_table *test_map(struct dma_buf_attachment *attach,
				 enum dma_data_direction dir)
{
	struct test_import *import = attach->dmabuf->priv;
	struct sg_table *sgt = kzalloc_obj(*sgt);

	if (!sgt)
		return ERR_PTR(-ENOMEM);
	if (sg_alloc_table(sgt, 1, GFP_KERNEL)) {
		kfree(sgt);
		return ERR_PTR(-ENOMEM);
	}
	sg_dma_len(sgt->sgl) = SZ_4K;
	import->maps++;
	import->mapped++;
	return sgt;
}

static void test_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
		       enum dma_data_direction dir)
{
	struct test_import *import = attach->dmabuf->priv;

	import->mapped--;
	sg_free_table(sgt);
	kfree(sgt);
}

static void test_release(struct dma_buf *dmabuf)
{
}

static const struct dma_buf_ops test_moving_ops = {
	DMA_BUF_SIMPLE_SGT_EXP_MATCH(test_map, test_unmap),
	.release = test_release,
};

static const struct dma_buf_ops test_waiting_ops = {
	.waits_for_unmap = true,
	DMA_BUF_SIMPLE_SGT_EXP_MATCH(test_map, test_unmap),
	.release = test_release,
};

/* ---- an import ---- */

static void test_invalidate(struct dma_buf_attachment *attach)
{
}

static const struct dma_buf_attach_ops test_attach_ops = {
	.allow_peer2peer = true,
	.invalidate_mappings = test_invalidate,
};

static void test_res_free(struct ttm_resource_manager *man, struct ttm_resource *res)
{
}

static const struct ttm_resource_manager_func test_man_func = {
	.free = test_res_free,
};

static const u32 test_mem_types[] = { XE_PL_SYSTEM, XE_PL_TT };

static void test_bo_init(struct test_import *import, struct xe_device *xe)
{
	struct ttm_buffer_object *ttm_bo = &import->bo.ttm;
	int i;

	spin_lock_init(&xe->ttm.lru_lock);
	for (i = 0; i < ARRAY_SIZE(test_mem_types); i++) {
		import->man[i].func = &test_man_func;
		ttm_set_driver_manager(&xe->ttm, test_mem_types[i], &import->man[i]);
		import->res[i].mem_type = test_mem_types[i];
	}

	ttm_bo->base.resv = import->dmabuf->resv;
	drm_gem_private_object_init(&xe->drm, &ttm_bo->base, SZ_4K);
	ttm_bo->bdev = &xe->ttm;
	ttm_bo->destroy = xe_ttm_bo_destroy;
	ttm_bo->type = ttm_bo_type_sg;
	ttm_bo->ttm = &import->tt.ttm;
	ttm_bo->resource = &import->res[XE_PL_SYSTEM];
}

static int test_move(struct test_import *import, u32 mem_type,
		     struct ttm_operation_ctx ctx)
{
	int err;

	dma_resv_lock(import->dmabuf->resv, NULL);
	err = xe_bo_move(&import->bo.ttm, true, &ctx, &import->res[mem_type], NULL);
	dma_resv_unlock(import->dmabuf->resv);
	return err;
}

static void test_import_fini(void *data)
{
	struct test_import *import = data;
	struct drm_gem_object *obj = &import->bo.ttm.base;

	if (obj->import_attach) {
		dma_resv_lock(import->dmabuf->resv, NULL);
		xe_ttm_bo_delete_mem_notify(&import->bo.ttm);
		dma_resv_unlock(import->dmabuf->resv);
		dma_buf_detach(import->dmabuf, obj->import_attach);
	}
	drm_gem_private_object_fini(obj);
	dma_buf_put(import->dmabuf);
}

/* A buffer of this exporter, in use by the GPU */
static struct test_import *test_import(struct kunit *test, const struct dma_buf_ops *ops)
{
	struct test_import *import = kunit_kzalloc(test, sizeof(*import), GFP_KERNEL);
	struct xe_device *xe = test->priv;
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf_attachment *attach;
	struct drm_gem_object *obj;

	KUNIT_ASSERT_NOT_NULL(test, import);
	info.ops = ops;
	info.size = SZ_4K;
	info.priv = import;
	info.flags = O_RDWR;
	import->dmabuf = dma_buf_export(&info);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, import->dmabuf);

	obj = &import->bo.ttm.base;
	test_bo_init(import, xe);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, test_import_fini, import));
	attach = dma_buf_sgt_dynamic_attach(import->dmabuf, xe->drm.dev,
					    &test_attach_ops, obj);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	obj->import_attach = attach;

	KUNIT_ASSERT_EQ(test, 0, test_move(import, XE_PL_TT, (struct ttm_operation_ctx) {}));
	KUNIT_ASSERT_EQ(test, import->mapped, 1);
	return import;
}

/* ---- what the GPU does ---- */

static const char *test_fence_name(struct dma_fence *fence)
{
	return "xe_bo_dmabuf";
}

static const struct dma_fence_ops test_fence_ops = {
	.get_driver_name = test_fence_name,
	.get_timeline_name = test_fence_name,
};

static void test_job_end(struct work_struct *work)
{
	struct test_job *job = container_of(work, struct test_job, work.work);

	dma_fence_signal(&job->fence);
}

static void test_job_fini(void *data)
{
	struct test_job *job = data;

	flush_delayed_work(&job->work);
	dma_fence_signal(&job->fence);
	dma_fence_put(&job->fence);
}

static void test_job(struct kunit *test, struct test_import *import)
{
	struct dma_resv *resv = import->dmabuf->resv;
	struct test_job *job = kzalloc_obj(*job);
	int err;

	KUNIT_ASSERT_NOT_NULL(test, job);
	INIT_DELAYED_WORK(&job->work, test_job_end);
	spin_lock_init(&job->lock);
	dma_fence_init(&job->fence, &test_fence_ops, &job->lock,
		       dma_fence_context_alloc(1), 1);
	import->job = job;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, test_job_fini, job));

	dma_resv_lock(resv, NULL);
	err = dma_resv_reserve_fences(resv, 1);
	if (!err)
		dma_resv_add_fence(resv, &job->fence, DMA_RESV_USAGE_BOOKKEEP);
	dma_resv_unlock(resv);
	KUNIT_ASSERT_EQ(test, 0, err);
}

/* ---- the tests ---- */

/* An exporter that only moves its memory does not make the importer wait */
static void test_deferred(struct kunit *test)
{
	struct test_import *import = test_import(test, &test_moving_ops);

	test_job(test, import);
	KUNIT_EXPECT_EQ(test, 0, test_move(import, XE_PL_SYSTEM,
					   (struct ttm_operation_ctx) {}));
	KUNIT_EXPECT_FALSE(test, dma_fence_is_signaled(&import->job->fence));
	KUNIT_EXPECT_EQ(test, import->mapped, 1);

	KUNIT_EXPECT_EQ(test, 0, test_move(import, XE_PL_TT,
					   (struct ttm_operation_ctx) {}));
	KUNIT_EXPECT_EQ(test, import->maps, 2);
	KUNIT_EXPECT_EQ(test, import->mapped, 1);
}

static void test_at_once(struct kunit *test)
{
	struct test_import *import = test_import(test, &test_waiting_ops);

	KUNIT_EXPECT_EQ(test, 0, test_move(import, XE_PL_SYSTEM,
					   (struct ttm_operation_ctx) { .no_wait_gpu = true }));
	KUNIT_EXPECT_EQ(test, import->mapped, 0);
	KUNIT_EXPECT_NULL(test, import->bo.ttm.sg);
	KUNIT_EXPECT_NULL(test, xe_bo_sg(&import->bo));

	KUNIT_EXPECT_EQ(test, 0, test_move(import, XE_PL_TT,
					   (struct ttm_operation_ctx) {}));
	KUNIT_EXPECT_EQ(test, import->maps, 2);
	KUNIT_EXPECT_EQ(test, import->mapped, 1);
}

static void test_waits(struct kunit *test)
{
	struct test_import *import = test_import(test, &test_waiting_ops);

	test_job(test, import);
	schedule_delayed_work(&import->job->work, msecs_to_jiffies(20));
	KUNIT_EXPECT_EQ(test, 0, test_move(import, XE_PL_SYSTEM,
					   (struct ttm_operation_ctx) {}));
	KUNIT_EXPECT_TRUE(test, dma_fence_is_signaled(&import->job->fence));
	KUNIT_EXPECT_EQ(test, import->mapped, 0);
}

static void check_stays(struct kunit *test, struct test_import *import)
{
	KUNIT_EXPECT_FALSE(test, dma_fence_is_signaled(&import->job->fence));
	KUNIT_EXPECT_EQ(test, import->mapped, 1);
	KUNIT_EXPECT_PTR_EQ(test, import->bo.ttm.resource, &import->res[XE_PL_TT]);
}

static void test_no_wait(struct kunit *test)
{
	struct test_import *import = test_import(test, &test_waiting_ops);

	test_job(test, import);
	KUNIT_EXPECT_EQ(test, -EBUSY,
			test_move(import, XE_PL_SYSTEM,
				  (struct ttm_operation_ctx) { .no_wait_gpu = true }));
	check_stays(test, import);
}

static void test_interrupted(struct kunit *test)
{
	struct test_import *import = test_import(test, &test_waiting_ops);
	int err;

	test_job(test, import);
	allow_signal(SIGUSR1);
	send_sig(SIGUSR1, current, 1);
	err = test_move(import, XE_PL_SYSTEM,
			(struct ttm_operation_ctx) { .interruptible = true });
	flush_signals(current);
	disallow_signal(SIGUSR1);
	KUNIT_EXPECT_EQ(test, -ERESTARTSYS, err);
	check_stays(test, import);
}

static struct kunit_case bo_dmabuf_cases[] = {
	KUNIT_CASE(test_deferred),
	KUNIT_CASE(test_at_once),
	KUNIT_CASE(test_waits),
	KUNIT_CASE(test_no_wait),
	KUNIT_CASE(test_interrupted),
	{}
};

static struct kunit_suite bo_dmabuf_suite = {
	.name = "xe_bo_dmabuf",
	.init = xe_kunit_helper_xe_device_test_init,
	.test_cases = bo_dmabuf_cases,
};

kunit_test_suites(&bo_dmabuf_suite);
