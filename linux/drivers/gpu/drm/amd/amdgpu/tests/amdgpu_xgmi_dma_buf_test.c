// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Which GPUs get XGMI, and what the others get. There are no GPUs here: the type
 * is compiled into this module, and amdgpu need not be there.
 */
#include <kunit/device.h>
#include <kunit/test.h>

#include <linux/dma-buf-sgt.h>
#include <linux/sizes.h>

#include "../amdgpu_xgmi_dma_buf.c"

MODULE_IMPORT_NS("DMA_BUF");

struct test_gpu {
	struct device *dev;
	u64 hive_id;
};

/* A buffer in VRAM of @gpu that cannot get out of there, if @only_xgmi */
struct test_buffer {
	struct test_gpu gpu;
	struct dma_buf *dmabuf;
	bool only_xgmi;
	bool in_vram;
	struct sg_table sgt;
	unsigned int mapped;
};

/* ---- an exporter ---- */

static int test_map_xgmi(struct dma_buf_attachment *attach,
			 struct amdgpu_xgmi_mapping *mapping)
{
	struct test_buffer *buf = attach->dmabuf->priv;

	if (buf->mapped)
		return -EBUSY;
	buf->mapped++;
	if (buf->in_vram)
		mapping->vram = attach->dmabuf->priv;
	else
		mapping->sgt = &buf->sgt;
	return 0;
}

static void test_unmap_xgmi(struct dma_buf_attachment *attach,
			    const struct amdgpu_xgmi_mapping *mapping)
{
	struct test_buffer *buf = attach->dmabuf->priv;

	buf->mapped--;
}

static const struct amdgpu_xgmi_exp_ops test_xgmi_ops = {
	.map = test_map_xgmi,
	.unmap = test_unmap_xgmi,
};

static struct sg_table *test_map(struct dma_buf_attachment *attach,
				 enum dma_data_direction dir)
{
	return ERR_PTR(-EIO);
}

static void test_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
		       enum dma_data_direction dir)
{
}

static const struct dma_buf_mapping_sgt_exp_ops test_sgt_ops = {
	.map_dma_buf = test_map,
	.unmap_dma_buf = test_unmap,
};

static int test_match_mapping(struct dma_buf_match_args *args)
{
	const struct test_buffer *buf = args->dmabuf->priv;
	const struct dma_buf_mapping_match offers[] = {
		amdgpu_xgmi_offer(&test_xgmi_ops, buf->gpu.dev, &buf->gpu.hive_id),
		DMA_BUF_EMAPPING_SGT(&test_sgt_ops),
	};

	return dma_buf_match_mapping(args, offers, buf->only_xgmi ? 1 : 2);
}

static void test_release(struct dma_buf *dmabuf)
{
}

static const struct dma_buf_ops test_ops = {
	.match_mapping = test_match_mapping,
	.release = test_release,
};

static void test_gpu_init(struct kunit *test, struct test_gpu *gpu,
			  const char *name, u64 hive_id)
{
	gpu->dev = kunit_device_register(test, name);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, gpu->dev);
	gpu->hive_id = hive_id;
}

static void test_put(void *dmabuf)
{
	dma_buf_put(dmabuf);
}

static struct test_buffer *test_export(struct kunit *test, u64 hive_id)
{
	struct test_buffer *buf = kunit_kzalloc(test, sizeof(*buf), GFP_KERNEL);
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	test_gpu_init(test, &buf->gpu, "exporter", hive_id);
	info.ops = &test_ops;
	info.size = SZ_4K;
	info.priv = buf;
	info.flags = O_RDWR;
	buf->dmabuf = dma_buf_export(&info);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf->dmabuf);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, test_put, buf->dmabuf));
	return buf;
}

/* ---- an importer, which would rather have SGT, but the exporter decides ---- */

static struct dma_buf_attachment *test_attach(struct test_buffer *buf,
					      struct test_gpu *gpu)
{
	const struct dma_buf_mapping_match requests[] = {
		DMA_BUF_IMAPPING_SGT(gpu->dev, true),
		amdgpu_xgmi_request(gpu->dev, &gpu->hive_id),
	};

	return dma_buf_mapping_attach(buf->dmabuf, requests, ARRAY_SIZE(requests),
				      NULL, NULL);
}

static void check_type(struct kunit *test, struct test_buffer *buf,
		       struct test_gpu *gpu,
		       const struct dma_buf_mapping_type *type)
{
	struct dma_buf_attachment *attach = test_attach(buf, gpu);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_PTR_EQ(test, attach->map_type.type, type);
	KUNIT_EXPECT_EQ(test, amdgpu_xgmi_is_matched(attach),
			type == &amdgpu_xgmi_mapping_type);
	KUNIT_EXPECT_PTR_EQ(test, type->device(&attach->map_type), gpu->dev);
	dma_buf_detach(buf->dmabuf, attach);
}

/* ---- the tests ---- */

static void test_hives(struct kunit *test)
{
	struct test_buffer *buf = test_export(test, 7);
	struct test_gpu gpu;

	test_gpu_init(test, &gpu, "importer", 7);
	check_type(test, buf, &gpu, &amdgpu_xgmi_mapping_type);

	gpu.hive_id = 8;
	check_type(test, buf, &gpu, &dma_buf_mapping_sgt_type);

	/* No hive, and that is no hive of its own either */
	gpu.hive_id = 0;
	check_type(test, buf, &gpu, &dma_buf_mapping_sgt_type);
	buf->gpu.hive_id = 0;
	check_type(test, buf, &gpu, &dma_buf_mapping_sgt_type);

	/* All 64 bits count */
	buf->gpu.hive_id = BIT_ULL(40) | 7;
	gpu.hive_id = 7;
	check_type(test, buf, &gpu, &dma_buf_mapping_sgt_type);

	/* Another partition of the exporter's GPU */
	check_type(test, buf, &buf->gpu, &dma_buf_mapping_sgt_type);
}

static void test_refused(struct kunit *test)
{
	struct test_buffer *buf = test_export(test, 7);
	struct test_gpu gpu;

	buf->only_xgmi = true;
	test_gpu_init(test, &gpu, "importer", 8);
	KUNIT_EXPECT_PTR_EQ(test, test_attach(buf, &gpu), ERR_PTR(-EOPNOTSUPP));
	KUNIT_EXPECT_PTR_EQ(test, test_attach(buf, &buf->gpu), ERR_PTR(-EOPNOTSUPP));

	gpu.hive_id = 7;
	check_type(test, buf, &gpu, &amdgpu_xgmi_mapping_type);
}

/* An importer that knows nothing of XGMI is served as ever */
static void test_other_importer(struct kunit *test)
{
	struct test_buffer *buf = test_export(test, 7);
	struct dma_buf_attachment *attach;
	struct test_gpu nic;

	test_gpu_init(test, &nic, "nic", 0);
	attach = dma_buf_sgt_attach(buf->dmabuf, nic.dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_TRUE(test, dma_buf_is_sgt(attach));
	dma_buf_detach(buf->dmabuf, attach);
}

static void check_maps(struct kunit *test, struct test_buffer *buf,
		       struct dma_buf_attachment *attach)
{
	/* What was there before must not look like an answer */
	struct amdgpu_xgmi_mapping mapping = { .vram = test->priv, .sgt = test->priv };
	struct amdgpu_xgmi_mapping second;

	KUNIT_EXPECT_EQ(test, 0, amdgpu_xgmi_map(attach, &mapping));
	KUNIT_EXPECT_PTR_EQ(test, mapping.vram, buf->in_vram ? (void *)buf : NULL);
	KUNIT_EXPECT_PTR_EQ(test, mapping.sgt, buf->in_vram ? NULL : &buf->sgt);

	KUNIT_EXPECT_EQ(test, -EBUSY, amdgpu_xgmi_map(attach, &second));
	KUNIT_EXPECT_NULL(test, second.vram);
	KUNIT_EXPECT_NULL(test, second.sgt);

	amdgpu_xgmi_unmap(attach, &mapping);
	KUNIT_EXPECT_EQ(test, buf->mapped, 0);
}

static void test_map_and_unmap(struct kunit *test)
{
	struct test_buffer *buf = test_export(test, 7);
	struct dma_buf_attachment *attach;
	struct test_gpu gpu;

	test_gpu_init(test, &gpu, "importer", 7);
	attach = test_attach(buf, &gpu);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);

	test->priv = buf;
	dma_resv_lock(buf->dmabuf->resv, NULL);
	check_maps(test, buf, attach);
	buf->in_vram = true;
	check_maps(test, buf, attach);
	dma_resv_unlock(buf->dmabuf->resv);
	dma_buf_detach(buf->dmabuf, attach);
}

static struct kunit_case dma_buf_xgmi_cases[] = {
	KUNIT_CASE(test_hives),
	KUNIT_CASE(test_refused),
	KUNIT_CASE(test_other_importer),
	KUNIT_CASE(test_map_and_unmap),
	{}
};

static struct kunit_suite dma_buf_xgmi_suite = {
	.name = "dma-buf-xgmi",
	.test_cases = dma_buf_xgmi_cases,
};

kunit_test_suite(dma_buf_xgmi_suite);

MODULE_DESCRIPTION("KUnit tests of amdgpu's DMA-buf mapping type XGMI");
MODULE_LICENSE("GPL and additional rights");
