// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests for DMA-buf mapping types: the matching, SGT and PAL.
 *
 * Where a refusal must WARN, the tests count the warnings; KUnit keeps them off
 * the console.
 */
#include <kunit/test.h>
#include <linux/dma-buf-mapping.h>
#include <linux/dma-resv.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/prandom.h>
#include <linux/slab.h>

#include "dma-buf-converter.h"

MODULE_IMPORT_NS("DMA_BUF");

#define EXPECT_WARNS(test, warns, expected, expr)			\
	do {								\
		kunit_warning_suppress(test) {				\
			KUNIT_EXPECT_EQ(test, (long)(expected),		\
					(long)(expr));			\
			KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, warns); \
		}							\
	} while (0)

/* ---- An exporter that counts how it is called ---- */

struct fake {
	struct dma_buf_ops ops;
	struct dma_buf *dmabuf;
	struct dma_buf_phys_list *list;
	struct dma_buf_pal_source source;
	struct sg_table *mapped;
	/* What it offers, through match_mapping() */
	const struct dma_buf_mapping_match *offers;
	size_t noffers;
	/* What match_mapping(), with and without a match, attach, pin, map return */
	int late_ret;
	int match_ret;
	int attach_ret;
	int pin_ret;
	int map_ret;
	/* What happened */
	int attaches;
	int detaches;
	int pins;
	int maps;
	int unmaps;
	struct dma_buf_attachment seen;
	bool locked;
};

static bool is_locked(struct dma_buf *dmabuf)
{
	return dma_resv_is_locked(dmabuf->resv);
}

static int fake_match_mapping(struct dma_buf_match_args *args)
{
	struct fake *fake = args->dmabuf->priv;

	fake->seen = *args->attach;
	fake->locked |= is_locked(args->dmabuf);
	if (fake->match_ret)
		return fake->match_ret > 1 ? 0 : fake->match_ret;
	return dma_buf_match_mapping(args, fake->offers, fake->noffers) ?:
	       fake->late_ret;
}

static int fake_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct fake *fake = dmabuf->priv;

	fake->attaches++;
	fake->seen = *attach;
	return fake->attach_ret;
}

static void fake_detach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct fake *fake = dmabuf->priv;

	fake->detaches++;
}

static int fake_pin(struct dma_buf_attachment *attach)
{
	struct fake *fake = attach->dmabuf->priv;

	if (!fake->pin_ret)
		fake->pins++;
	return fake->pin_ret;
}

static void fake_unpin(struct dma_buf_attachment *attach)
{
	struct fake *fake = attach->dmabuf->priv;

	fake->pins--;
}

static void fake_release(struct dma_buf *dmabuf)
{
}

/* One entry that has a page and a DMA address */
static struct sg_table *fake_map(struct dma_buf_attachment *attach,
				 enum dma_data_direction dir)
{
	struct fake *fake = attach->dmabuf->priv;
	struct sg_table *sgt;

	fake->locked |= !is_locked(attach->dmabuf);
	if (fake->map_ret)
		return fake->map_ret > 0 ? NULL : ERR_PTR(fake->map_ret);

	sgt = kzalloc_obj(*sgt);
	if (!sgt || sg_alloc_table(sgt, 1, GFP_KERNEL)) {
		kfree(sgt);
		return ERR_PTR(-ENOMEM);
	}
	sg_set_page(sgt->sgl, ZERO_PAGE(0), PAGE_SIZE, 0);
	sg_dma_address(sgt->sgl) = SZ_1M;
	sg_dma_len(sgt->sgl) = PAGE_SIZE;
	fake->maps++;
	fake->mapped = sgt;
	return sgt;
}

static void fake_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
		       enum dma_data_direction dir)
{
	struct fake *fake = attach->dmabuf->priv;

	fake->locked |= !is_locked(attach->dmabuf);
	/* The exporter gets back what it returned, no wrapper */
	if (sgt == fake->mapped)
		fake->unmaps++;
	sg_free_table(sgt);
	kfree(sgt);
}

static const struct dma_buf_mapping_sgt_exp_ops fake_sgt_ops = {
	.map_dma_buf = fake_map,
	.unmap_dma_buf = fake_unmap,
};

/* A type without parameters and without a device */
static const struct dma_buf_mapping_exp_ops plain_ops;
static const struct dma_buf_mapping_type plain_type = { .name = "plain" };

static const struct dma_buf_mapping_match sgt_offer =
	DMA_BUF_EMAPPING_SGT(&fake_sgt_ops);

static const struct dma_buf_mapping_match plain_offer = {
	.type = &plain_type, .exp_ops = &plain_ops,
};

static const struct dma_buf_mapping_match plain_request = {
	.type = &plain_type,
};

static void fake_put(void *dmabuf)
{
	/* Not from a workqueue: the test's memory goes next */
	__fput_sync(((struct dma_buf *)dmabuf)->file);
}

static struct dma_buf *try_export(struct fake *fake)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	info.ops = &fake->ops;
	info.size = fake->list ? fake->list->size : PAGE_SIZE;
	info.priv = fake;
	return dma_buf_export(&info);
}

static void fake_export(struct kunit *test, struct fake *fake)
{
	fake->dmabuf = try_export(fake);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, fake->dmabuf);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, fake_put,
							   fake->dmabuf));
}

/* With one offer; tests change fake->offers as they like */
static struct fake *fake_new(struct kunit *test,
			     const struct dma_buf_mapping_match *offer)
{
	struct fake *fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, fake);
	fake->ops.match_mapping = fake_match_mapping;
	fake->ops.attach = fake_attach;
	fake->ops.detach = fake_detach;
	fake->ops.pin = fake_pin;
	fake->ops.unpin = fake_unpin;
	fake->ops.release = fake_release;
	fake->offers = offer;
	fake->noffers = 1;
	return fake;
}

static void fake_invalidate(struct dma_buf_attachment *attach)
{
}

static const struct dma_buf_attach_ops static_p2p_ops = {
	.allow_peer2peer = true,
};

static const struct dma_buf_attach_ops importer_ops = {
	.invalidate_mappings = fake_invalidate,
};

static const struct dma_buf_attach_ops p2p_importer_ops = {
	.allow_peer2peer = true,
	.invalidate_mappings = fake_invalidate,
};

static struct dma_buf_attachment *
attach_one(struct fake *fake, const struct dma_buf_mapping_match *request)
{
	bool p2p = request->type == &dma_buf_mapping_sgt_type &&
		   request->sgt_data.importer_accepts_p2p;

	return dma_buf_mapping_attach(fake->dmabuf, request, 1,
				      p2p ? &p2p_importer_ops : &importer_ops,
				      fake);
}

static long attach_err(struct fake *fake,
		       const struct dma_buf_mapping_match *request)
{
	struct dma_buf_attachment *attach = attach_one(fake, request);

	if (IS_ERR(attach))
		return PTR_ERR(attach);
	dma_buf_detach(fake->dmabuf, attach);
	return 0;
}

static struct device *fake_device(struct kunit *test)
{
	struct device *dev = kunit_kzalloc(test, sizeof(*dev), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, dev);
	dev->init_name = "fake";
	return dev;
}

/* ---- Matching, against a model of its rule ---- */

#define MAX_SIDE	4
#define NTYPES		3

/* What the match callback says for offer i and request j, and what it saw */
static struct {
	int verdict[MAX_SIDE][MAX_SIDE];
	int calls;
	int finished;
	unsigned long offer;
	unsigned long request;
	bool locked;
} table;

static int table_match(struct dma_buf_match_args *args,
		       const struct dma_buf_mapping_match *exp,
		       const struct dma_buf_mapping_match *imp)
{
	table.calls++;
	table.locked |= is_locked(args->dmabuf);
	return table.verdict[exp->payload[0]][imp->payload[0]];
}

static void table_finish(struct dma_buf_match_args *args,
			 const struct dma_buf_mapping_match *exp,
			 const struct dma_buf_mapping_match *imp)
{
	table.finished++;
	table.offer = exp->payload[0];
	table.request = imp->payload[0];
	args->attach->map_type.payload[1] = imp->payload[1];
	table.locked |= is_locked(args->dmabuf);
}

static const struct dma_buf_mapping_type table_types[NTYPES] = {
	{ .name = "A", .match = table_match, .finish_match = table_finish },
	{ .name = "B", .match = table_match, .finish_match = table_finish },
	{ .name = "C", .match = table_match, .finish_match = table_finish },
};

/* A converter from A to B, which keeps the payload and so the verdicts */
static const struct {
	struct dma_buf_mapping_exp_ops ops;
	int size;	/* or the two might share an address */
} table_ops = { .size = 1 }, table_converted_ops = { .size = 2 };

static int table_convert(struct dma_buf_match_args *args,
			 const struct dma_buf_mapping_match *exp,
			 struct dma_buf_mapping_match *offer)
{
	*offer = *exp;
	offer->type = &table_types[1];
	offer->exp_ops = &table_converted_ops.ops;
	return 0;
}

static const struct dma_buf_converter table_converter = {
	.name = "A->B",
	.from = &table_types[0],
	.to = &table_types[1],
	.ops = &table_converted_ops.ops,
	.offer = table_convert,
};

static void table_no_converter(void *unused)
{
	dma_buf_test_converter = NULL;
}

static void table_fill(struct dma_buf_mapping_match *side, size_t n,
		       struct rnd_state *rnd)
{
	for (size_t i = 0; i < n; i++)
		side[i] = (struct dma_buf_mapping_match) {
			.type = &table_types[prandom_u32_state(rnd) % NTYPES],
			.exp_ops = &table_ops.ops,
			.payload = { i, ~i, 0x1234 + i },
		};
}

struct pick {
	size_t offer;
	size_t request;
	bool converted;
	int calls;
};

/* The rule, once more. A converted round only has the converter's offers */
static int model_round(const struct dma_buf_mapping_match *exp, size_t nexp,
		       const struct dma_buf_mapping_match *imp, size_t nimp,
		       struct pick *pick)
{
	for (pick->offer = 0; pick->offer < nexp; pick->offer++) {
		const struct dma_buf_mapping_type *type = exp[pick->offer].type;

		if (pick->converted && type != table_converter.from)
			continue;
		for (pick->request = 0; pick->request < nimp; pick->request++) {
			int v = table.verdict[pick->offer][pick->request];

			if (imp[pick->request].type !=
			    (pick->converted ? table_converter.to : type))
				continue;
			pick->calls++;
			if (v != -EOPNOTSUPP)
				return v > 0 ? -EINVAL : v;
		}
	}
	return -EOPNOTSUPP;
}

/* Returns what attach must return, and the pair */
static int model(const struct dma_buf_mapping_match *exp, size_t nexp,
		 const struct dma_buf_mapping_match *imp, size_t nimp,
		 struct pick *pick)
{
	int ret = model_round(exp, nexp, imp, nimp, pick);

	if (ret != -EOPNOTSUPP || !dma_buf_test_converter)
		return ret;
	pick->converted = true;
	return model_round(exp, nexp, imp, nimp, pick);
}

static void one_random_match(struct kunit *test, struct fake *fake,
			     struct rnd_state *rnd)
{
	static const int verdicts[] = {
		-EOPNOTSUPP, -EOPNOTSUPP, -EOPNOTSUPP, 0, 0, -EIO, -EINVAL, 1,
	};
	struct dma_buf_mapping_match exp[MAX_SIDE], imp[MAX_SIDE];
	size_t nimp = 1 + prandom_u32_state(rnd) % MAX_SIDE;
	struct dma_buf_attachment *attach;
	struct pick pick = {};
	int ret, i;

	fake->noffers = prandom_u32_state(rnd) % (MAX_SIDE + 1);
	fake->offers = exp;
	memset(&table, 0, sizeof(table));
	for (i = 0; i < MAX_SIDE * MAX_SIDE; i++)
		table.verdict[i / MAX_SIDE][i % MAX_SIDE] =
			verdicts[prandom_u32_state(rnd) % ARRAY_SIZE(verdicts)];
	table_fill(exp, fake->noffers, rnd);
	table_fill(imp, nimp, rnd);
	dma_buf_test_converter = prandom_u32_state(rnd) % 2 ? &table_converter :
							      NULL;
	ret = model(exp, fake->noffers, imp, nimp, &pick);

	attach = dma_buf_mapping_attach(fake->dmabuf, imp, nimp, NULL, NULL);
	KUNIT_EXPECT_EQ(test, ret, PTR_ERR_OR_ZERO(attach));
	KUNIT_EXPECT_EQ(test, pick.calls, table.calls);
	KUNIT_EXPECT_EQ(test, !ret, table.finished);
	if (IS_ERR(attach))
		return;

	KUNIT_EXPECT_EQ(test, pick.offer, table.offer);
	KUNIT_EXPECT_EQ(test, pick.request, table.request);
	KUNIT_EXPECT_PTR_EQ(test, pick.converted ? table_converter.to :
						   exp[pick.offer].type,
			    attach->map_type.type);
	KUNIT_EXPECT_PTR_EQ(test, pick.converted ? &table_ops.ops : NULL,
			    attach->converted);
	dma_buf_detach(fake->dmabuf, attach);
}

static void test_match_random(struct kunit *test)
{
	struct fake *fake = fake_new(test, NULL);
	u32 seed = get_random_u32();
	struct rnd_state rnd;

	kunit_info(test, "seed %u\n", seed);
	prandom_seed_state(&rnd, seed);
	fake_export(test, fake);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, table_no_converter, NULL));
	kunit_warning_suppress(test) {
		for (int i = 0; i < 5000; i++)
			one_random_match(test, fake, &rnd);
	}
	KUNIT_EXPECT_FALSE(test, table.locked);
}

/* Offers B, A against requests A, B: the exporter's order decides */
static void test_match_order(struct kunit *test)
{
	const struct dma_buf_mapping_match offers[] = {
		{ .type = &table_types[1], .payload = { 0 } },
		{ .type = &table_types[0], .payload = { 1 } },
		{ .type = &table_types[1], .payload = { 2 } },
	};
	const struct dma_buf_mapping_match requests[] = {
		{ .type = &table_types[0], .payload = { 0 } },
		{ .type = &table_types[1], .payload = { 1 } },
		{ .type = &table_types[1], .payload = { 2 } },
	};
	struct fake *fake = fake_new(test, offers);
	struct dma_buf_attachment *attach;

	memset(&table, 0, sizeof(table));
	fake->noffers = ARRAY_SIZE(offers);
	fake_export(test, fake);
	attach = dma_buf_mapping_attach(fake->dmabuf, requests, 3, NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_EQ(test, 0, table.offer);
	/* ... and the importer's within the offer */
	KUNIT_EXPECT_EQ(test, 1, table.request);
	KUNIT_EXPECT_EQ(test, 1, table.calls);
	dma_buf_detach(fake->dmabuf, attach);
}

static void test_match_no_pair(struct kunit *test)
{
	struct fake *fake = fake_new(test, &sgt_offer);

	fake_export(test, fake);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, attach_err(fake, &plain_request));
	fake->noffers = 0;
	fake->offers = NULL;
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, attach_err(fake, &plain_request));
	KUNIT_EXPECT_EQ(test, 0, fake->attaches);
}

/* The verdict is in the offer */
static int query_match(struct dma_buf_match_args *args,
		       const struct dma_buf_mapping_match *exp,
		       const struct dma_buf_mapping_match *imp)
{
	int ret = exp->payload[1];

	if (ret == -EOPNOTSUPP)
		return dma_buf_match_refuse(args, "query-test");
	return ret;
}

static const struct dma_buf_mapping_type query_types[] = {
	{ .name = "Q", .match = query_match },
	{ .name = "R", .match = query_match },
};

/* Without a buffer: the same verdicts, and the word of the pair that met */
static void test_match_query(struct kunit *test)
{
	static const struct {
		int offers;	/* how many of the offers below */
		int verdict[3];
		int ret;
		const char *why;
	} rows[] = {
		{ 0, {}, -EOPNOTSUPP, "no-offer" },
		{ 1, {}, -EOPNOTSUPP, "no-common-type" },
		{ 2, { 0, 0 }, 0, NULL },
		{ 2, { 0, -EOPNOTSUPP }, -EOPNOTSUPP, "query-test" },
		{ 3, { 0, -EOPNOTSUPP, 0 }, 0, NULL },
		{ 3, { 0, -EOPNOTSUPP, -EOPNOTSUPP }, -EOPNOTSUPP, "query-test" },
		{ 3, { 0, -EIO, 0 }, -EIO, NULL },
		{ 3, { -EIO, 0, -EIO }, 0, NULL },
	};
	struct dma_buf_match_query query;

	for (int i = 0; i < ARRAY_SIZE(rows); i++) {
		struct dma_buf_mapping_match offers[] = {
			{ .type = &query_types[1] },
			{ .type = &query_types[0] },
			{ .type = &query_types[0] },
		};

		for (int o = 0; o < ARRAY_SIZE(offers); o++)
			offers[o].payload[1] = rows[i].verdict[o];
		query = (struct dma_buf_match_query) {
			.request.type = &query_types[0],
			.type = &query_types[1],
			.why = "old",
		};
		KUNIT_EXPECT_EQ(test, rows[i].ret,
				dma_buf_match_query(&query, offers,
						    rows[i].offers));
		KUNIT_EXPECT_PTR_EQ(test, rows[i].ret ? NULL : &query_types[0],
				    query.type);
		KUNIT_EXPECT_STREQ(test, rows[i].why ?: "none",
				   query.why ?: "none");
	}
}

static void test_match_bad_arguments(struct kunit *test)
{
	const struct dma_buf_mapping_match good = plain_request;
	const struct dma_buf_mapping_match bad[] = { {}, good };
	struct fake *fake = fake_new(test, &plain_offer);
	struct dma_buf *dmabuf;

	fake_export(test, fake);
	dmabuf = fake->dmabuf;
	EXPECT_WARNS(test, 1, -EINVAL,
		     PTR_ERR(dma_buf_mapping_attach(NULL, &good, 1, NULL, NULL)));
	EXPECT_WARNS(test, 1, -EINVAL,
		     PTR_ERR(dma_buf_mapping_attach(dmabuf, NULL, 1, NULL, NULL)));
	EXPECT_WARNS(test, 1, -EINVAL,
		     PTR_ERR(dma_buf_mapping_attach(dmabuf, &good, 0, NULL, NULL)));
	EXPECT_WARNS(test, 1, -EINVAL,
		     PTR_ERR(dma_buf_mapping_attach(dmabuf, bad, 2, NULL, NULL)));
	EXPECT_WARNS(test, 1, -EINVAL, dma_buf_match_mapping(NULL, &good, 1));

	/* An offer without a type, and no offers where there should be one */
	fake->offers = &bad[0];
	EXPECT_WARNS(test, 1, -EINVAL, attach_err(fake, &good));
	fake->offers = NULL;
	EXPECT_WARNS(test, 1, -EINVAL, attach_err(fake, &good));
	KUNIT_EXPECT_EQ(test, 0, fake->attaches);
}

/* The core does not trust what match_mapping() returns */
static void test_match_bad_exporter(struct kunit *test)
{
	struct fake *fake = fake_new(test, &plain_offer);

	fake_export(test, fake);
	fake->match_ret = 1;	/* an error code that was lost */
	EXPECT_WARNS(test, 1, -EINVAL, attach_err(fake, &plain_request));
	fake->match_ret = 2;	/* returns 0, but matched nothing */
	EXPECT_WARNS(test, 1, -EINVAL, attach_err(fake, &plain_request));
	fake->match_ret = -EIO;
	KUNIT_EXPECT_EQ(test, -EIO, attach_err(fake, &plain_request));
	KUNIT_EXPECT_EQ(test, 0, fake->attaches);
}

/* The match, and attach after it, see everything that the importer passed */
static void test_attach_complete(struct kunit *test)
{
	struct fake *fake = fake_new(test, &plain_offer);
	struct dma_buf_attachment *attach;

	fake_export(test, fake);
	fake->match_ret = -EIO;
	KUNIT_EXPECT_EQ(test, -EIO, attach_err(fake, &plain_request));
	KUNIT_EXPECT_PTR_EQ(test, fake->dmabuf, fake->seen.dmabuf);
	KUNIT_EXPECT_PTR_EQ(test, &importer_ops, fake->seen.importer_ops);
	KUNIT_EXPECT_PTR_EQ(test, (void *)fake, fake->seen.importer_priv);

	fake->match_ret = 0;
	attach = attach_one(fake, &plain_request);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_FALSE(test, fake->locked);
	KUNIT_EXPECT_EQ(test, 1, fake->attaches);
	KUNIT_EXPECT_PTR_EQ(test, &plain_type, fake->seen.map_type.type);
	KUNIT_EXPECT_PTR_EQ(test, &plain_ops, fake->seen.map_type.exp_ops);
	KUNIT_EXPECT_FALSE(test, list_empty(&fake->dmabuf->attachments));

	dma_buf_detach(fake->dmabuf, attach);
	KUNIT_EXPECT_EQ(test, 1, fake->detaches);
	KUNIT_EXPECT_TRUE(test, list_empty(&fake->dmabuf->attachments));
}

/* An attach callback that fails after the match leaves nothing behind */
static void test_attach_fails(struct kunit *test)
{
	struct fake *fake = fake_new(test, &plain_offer);

	fake_export(test, fake);
	fake->attach_ret = -EBUSY;
	KUNIT_EXPECT_EQ(test, -EBUSY, attach_err(fake, &plain_request));
	KUNIT_EXPECT_EQ(test, 1, fake->attaches);
	KUNIT_EXPECT_EQ(test, 0, fake->detaches);
	KUNIT_EXPECT_TRUE(test, list_empty(&fake->dmabuf->attachments));
}

/* Attachments hold the module of a type, and failed attaches do not */
static void test_attach_owner(struct kunit *test)
{
#ifdef CONFIG_MODULE_UNLOAD
	struct module *owner = kunit_kzalloc(test, sizeof(*owner), GFP_KERNEL);
	struct dma_buf_mapping_type type = { .name = "owned", .owner = owner };
	const struct dma_buf_mapping_match match = { .type = &type };
	struct fake *fake = fake_new(test, &match);
	struct dma_buf_attachment *attach;

	KUNIT_ASSERT_NOT_NULL(test, owner);
	owner->state = MODULE_STATE_LIVE;
	atomic_set(&owner->refcnt, 1);
	fake_export(test, fake);
	attach = attach_one(fake, &match);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_EQ(test, 2, atomic_read(&owner->refcnt));
	dma_buf_detach(fake->dmabuf, attach);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&owner->refcnt));

	fake->attach_ret = -EBUSY;
	KUNIT_EXPECT_EQ(test, -EBUSY, attach_err(fake, &match));
	KUNIT_EXPECT_EQ(test, 1, fake->attaches - fake->detaches);
	/* An exporter that matches, and then fails */
	fake->late_ret = -EIO;
	KUNIT_EXPECT_EQ(test, -EIO, attach_err(fake, &match));
	fake->late_ret = 0;
	owner->state = MODULE_STATE_GOING;
	KUNIT_EXPECT_EQ(test, -ENODEV, attach_err(fake, &match));
	KUNIT_EXPECT_EQ(test, 1, fake->attaches - fake->detaches);
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&owner->refcnt));
#else
	kunit_skip(test, "needs CONFIG_MODULE_UNLOAD");
#endif
}

/* What is not an attachment of this buffer stays as it is */
static void test_detach_bad_arguments(struct kunit *test)
{
	struct fake *other = fake_new(test, &plain_offer);
	struct fake *fake = fake_new(test, &plain_offer);
	struct dma_buf_attachment *attach;

	fake_export(test, other);
	fake_export(test, fake);
	attach = attach_one(fake, &plain_request);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	EXPECT_WARNS(test, 1, 0, (dma_buf_detach(fake->dmabuf, NULL), 0));
	EXPECT_WARNS(test, 1, 0, (dma_buf_detach(NULL, attach), 0));
	EXPECT_WARNS(test, 1, 0, (dma_buf_detach(other->dmabuf, attach), 0));
	/* Memory that was cleared */
	EXPECT_WARNS(test, 1, 0,
		     (dma_buf_detach(NULL, &(struct dma_buf_attachment){}), 0));
	KUNIT_EXPECT_EQ(test, 0, fake->detaches + other->detaches);
	KUNIT_EXPECT_FALSE(test, list_empty(&fake->dmabuf->attachments));
	dma_buf_detach(fake->dmabuf, attach);
}

/* A private type: its words arrive unchanged, and no core file knows it */
struct link_offer {
	unsigned long cookie;
	void *port;
	u32 lane;
};

static void test_private_type(struct kunit *test)
{
	struct dma_buf_mapping_match offer = { .type = &table_types[2] };
	struct dma_buf_mapping_match request = { .type = &table_types[2] };
	struct fake *fake = fake_new(test, &offer);
	struct dma_buf_attachment *attach;
	struct link_offer *data;

	memset(&table, 0, sizeof(table));
	data = dma_buf_mapping_payload(&offer, struct link_offer);
	*data = (struct link_offer) { .port = test, .lane = 7 };
	request.payload[1] = 0xbeef;
	fake_export(test, fake);

	attach = attach_one(fake, &request);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	data = dma_buf_mapping_payload(&attach->map_type, struct link_offer);
	KUNIT_EXPECT_EQ(test, 7, data->lane);
	/* finish_match() of the type has put the request's word there */
	KUNIT_EXPECT_EQ(test, 0xbeef, attach->map_type.payload[1]);
	KUNIT_EXPECT_NULL(test, dma_buf_sgt_dma_device(attach));
	dma_buf_detach(fake->dmabuf, attach);
}

/* Exactly one way to say what is offered */
static void test_export_offers(struct kunit *test)
{
	static const struct {
		bool match, single, typeless, ok;
	} combos[] = {
		{ .ok = false },
		{ .match = true, .ok = true },
		{ .single = true, .ok = true },
		{ .match = true, .single = true },
		{ .single = true, .typeless = true },
	};
	static const struct dma_buf_mapping_match typeless;

	for (int i = 0; i < ARRAY_SIZE(combos); i++) {
		struct fake *fake = fake_new(test, &sgt_offer);

		fake->ops.match_mapping = combos[i].match ? fake_match_mapping : NULL;
		fake->ops.single_exporter_match = combos[i].single ? &sgt_offer : NULL;
		if (combos[i].typeless)
			fake->ops.single_exporter_match = &typeless;
		if (combos[i].ok)
			fake_export(test, fake);
		else
			EXPECT_WARNS(test, 1, -EINVAL, PTR_ERR(try_export(fake)));
	}
}

static struct kunit_case dma_buf_match_cases[] = {
	KUNIT_CASE(test_match_random),
	KUNIT_CASE(test_match_order),
	KUNIT_CASE(test_match_no_pair),
	KUNIT_CASE(test_match_query),
	KUNIT_CASE(test_match_bad_arguments),
	KUNIT_CASE(test_match_bad_exporter),
	KUNIT_CASE(test_attach_complete),
	KUNIT_CASE(test_attach_fails),
	KUNIT_CASE(test_attach_owner),
	KUNIT_CASE(test_detach_bad_arguments),
	KUNIT_CASE(test_private_type),
	KUNIT_CASE(test_export_offers),
	{}
};

static struct kunit_suite dma_buf_match_suite = {
	.name = "dma-buf-match",
	.test_cases = dma_buf_match_cases,
};

/* ---- SGT ---- */

static void test_sgt_accessors(struct kunit *test)
{
	struct fake *fake = fake_new(test, &plain_offer);
	struct device *dev = fake_device(test);
	struct dma_buf_attachment *attach;

	fake_export(test, fake);
	attach = attach_one(fake, &plain_request);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	/* Words that an SGT accessor would take for its own */
	memset(&attach->map_type.payload, 2, sizeof(attach->map_type.payload));
	attach->map_type.sgt_data.exporter_requires_p2p =
		DMA_SGT_EXPORTER_REQUIRES_P2P_DISTANCE;
	KUNIT_EXPECT_NULL(test, dma_buf_sgt_dma_device(attach));
	KUNIT_EXPECT_FALSE(test, dma_buf_sgt_p2p_allowed(attach));
	KUNIT_EXPECT_NULL(test, dma_buf_get_sgt_ops(attach));
	dma_buf_detach(fake->dmabuf, attach);

	fake->offers = &sgt_offer;
	attach = dma_buf_sgt_attach(fake->dmabuf, dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_PTR_EQ(test, dev, dma_buf_sgt_dma_device(attach));
	KUNIT_EXPECT_FALSE(test, dma_buf_sgt_p2p_allowed(attach));
	KUNIT_EXPECT_PTR_EQ(test, &fake_sgt_ops, dma_buf_get_sgt_ops(attach));
	dma_buf_detach(fake->dmabuf, attach);
}

static const struct dma_buf_ops simple_ops = {
	DMA_BUF_SIMPLE_SGT_EXP_MATCH(fake_map, fake_unmap),
};

static void test_sgt_macros(struct kunit *test)
{
	struct device *dev = fake_device(test);
	struct pci_dev *pdev = (struct pci_dev *)dev;
	struct dma_buf_mapping_match m;

	m = DMA_BUF_IMAPPING_SGT(dev, true);
	KUNIT_EXPECT_PTR_EQ(test, &dma_buf_mapping_sgt_type, m.type);
	KUNIT_EXPECT_PTR_EQ(test, dev, m.sgt_data.importing_dma_device);
	KUNIT_EXPECT_EQ(test, DMA_SGT_IMPORTER_ACCEPTS_P2P,
			m.sgt_data.importer_accepts_p2p);
	m = DMA_BUF_IMAPPING_SGT(dev, false);
	KUNIT_EXPECT_EQ(test, DMA_SGT_NO_P2P, m.sgt_data.importer_accepts_p2p);

	m = DMA_BUF_EMAPPING_SGT(&fake_sgt_ops);
	KUNIT_EXPECT_PTR_EQ(test, &fake_sgt_ops.ops, m.exp_ops);
	KUNIT_EXPECT_EQ(test, DMA_SGT_NO_P2P, m.sgt_data.exporter_requires_p2p);
	m = DMA_BUF_EMAPPING_SGT_P2P(&fake_sgt_ops, pdev);
	KUNIT_EXPECT_PTR_EQ(test, pdev, m.sgt_data.exporting_p2p_device);
	KUNIT_EXPECT_EQ(test, DMA_SGT_EXPORTER_REQUIRES_P2P_DISTANCE,
			m.sgt_data.exporter_requires_p2p);

	KUNIT_EXPECT_PTR_EQ(test, &dma_buf_mapping_sgt_type,
			    simple_ops.single_exporter_match->type);
	KUNIT_EXPECT_NOT_NULL(test, simple_ops.single_exporter_match->exp_ops);
}

static void put_pci_dev(void *pdev)
{
	pci_dev_put(pdev);
}

/* Two different functions; real ones, as the distance walks real bridges */
static struct pci_dev *a_pci_dev(struct kunit *test, struct pci_dev *but_not)
{
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev) {
		if (!pci_is_root_bus(pdev->bus) ||
		    (but_not && PCI_SLOT(pdev->devfn) == PCI_SLOT(but_not->devfn)))
			continue;
		KUNIT_ASSERT_EQ(test, 0,
				kunit_add_action_or_reset(test, put_pci_dev, pdev));
		return pdev;
	}
	kunit_skip(test, "not enough PCI devices here");
	return NULL;
}

static void test_sgt_p2p(struct kunit *test)
{
	struct pci_dev *near, *far;
	struct dma_buf_mapping_match offer, request;
	struct device *child = fake_device(test);
	struct fake *fake = fake_new(test, &offer);
	struct dma_buf_attachment *attach;

	if (!IS_ENABLED(CONFIG_PCI_P2PDMA))
		kunit_skip(test, "needs CONFIG_PCI_P2PDMA");
	near = a_pci_dev(test, NULL);
	far = a_pci_dev(test, near);
	fake_export(test, fake);
	offer = DMA_BUF_EMAPPING_SGT_P2P(&fake_sgt_ops, near);

	request = DMA_BUF_IMAPPING_SGT(&near->dev, false);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, attach_err(fake, &request));

	/* The distance of a device to itself is 0 */
	request = DMA_BUF_IMAPPING_SGT(&near->dev, true);
	attach = attach_one(fake, &request);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_TRUE(test, dma_buf_sgt_p2p_allowed(attach));
	dma_buf_detach(fake->dmabuf, attach);

	/* pci_p2pdma_distance() would look at the parent, the map would not */
	child->parent = &near->dev;
	request = DMA_BUF_IMAPPING_SGT(child, true);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, attach_err(fake, &request));

	request = DMA_BUF_IMAPPING_SGT(&far->dev, true);
	if (pci_p2pdma_distance(near, &far->dev, false) < 0)
		KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, attach_err(fake, &request));
	else
		KUNIT_EXPECT_EQ(test, 0, attach_err(fake, &request));
}

/* A plain offer behind the P2P one is what an importer without P2P gets */
static void test_sgt_p2p_fallback(struct kunit *test)
{
	struct pci_dev *pdev = a_pci_dev(test, NULL);
	const struct dma_buf_mapping_match offers[] = {
		DMA_BUF_EMAPPING_SGT_P2P(&fake_sgt_ops, pdev),
		DMA_BUF_EMAPPING_SGT(&fake_sgt_ops),
	};
	struct fake *fake = fake_new(test, offers);
	struct dma_buf_attachment *attach;

	fake->noffers = 2;
	fake_export(test, fake);
	attach = dma_buf_sgt_attach(fake->dmabuf, &pdev->dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_FALSE(test, dma_buf_sgt_p2p_allowed(attach));
	dma_buf_detach(fake->dmabuf, attach);

	attach = dma_buf_sgt_dynamic_attach(fake->dmabuf, &pdev->dev,
					    &static_p2p_ops, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_EQ(test, IS_ENABLED(CONFIG_PCI_P2PDMA),
			dma_buf_sgt_p2p_allowed(attach));
	dma_buf_detach(fake->dmabuf, attach);
}

/* Whether the importer accepts P2P is said twice, but only in one way */
static void test_sgt_p2p_contradiction(struct kunit *test)
{
	struct device *dev = fake_device(test);
	struct dma_buf_mapping_match request = DMA_BUF_IMAPPING_SGT(dev, true);
	struct fake *fake = fake_new(test, &sgt_offer);

	fake_export(test, fake);
	EXPECT_WARNS(test, 1, -EINVAL,
		     PTR_ERR(dma_buf_mapping_attach(fake->dmabuf, &request, 1,
						    &importer_ops, fake)));
	request = DMA_BUF_IMAPPING_SGT(dev, false);
	EXPECT_WARNS(test, 1, -EINVAL,
		     PTR_ERR(dma_buf_mapping_attach(fake->dmabuf, &request, 1,
						    &p2p_importer_ops, fake)));
}

static void test_sgt_bogus(struct kunit *test)
{
	struct device *dev = fake_device(test);
	struct dma_buf_mapping_match offer = sgt_offer;
	struct dma_buf_mapping_match request = DMA_BUF_IMAPPING_SGT(dev, true);
	struct fake *fake = fake_new(test, &offer);

	fake_export(test, fake);
	/* A value of the other side, and one of neither */
	offer.sgt_data.exporter_requires_p2p = DMA_SGT_IMPORTER_ACCEPTS_P2P;
	EXPECT_WARNS(test, 1, -EINVAL, attach_err(fake, &request));
	offer.sgt_data.exporter_requires_p2p = 3;
	EXPECT_WARNS(test, 1, -EINVAL, attach_err(fake, &request));
	/* P2P without a device to reach */
	offer.sgt_data.exporter_requires_p2p = DMA_SGT_EXPORTER_REQUIRES_P2P_DISTANCE;
	EXPECT_WARNS(test, 1, -EINVAL, attach_err(fake, &request));
	offer = sgt_offer;
	offer.exp_ops = NULL;
	EXPECT_WARNS(test, 1, -EINVAL, attach_err(fake, &request));

	offer = sgt_offer;
	request.sgt_data.importer_accepts_p2p = DMA_SGT_EXPORTER_REQUIRES_P2P_DISTANCE;
	EXPECT_WARNS(test, 1, -EINVAL, attach_err(fake, &request));
	request = DMA_BUF_IMAPPING_SGT(NULL, false);
	EXPECT_WARNS(test, 1, -EINVAL, attach_err(fake, &request));
	EXPECT_WARNS(test, 1, -EINVAL, PTR_ERR(dma_buf_sgt_attach(fake->dmabuf, NULL)));
	EXPECT_WARNS(test, 1, -EINVAL, PTR_ERR(dma_buf_sgt_attach(NULL, dev)));
	/* Also if no offer is a scatterlist, so that nobody compares the two */
	fake->noffers = 0;
	EXPECT_WARNS(test, 1, -EINVAL, PTR_ERR(dma_buf_sgt_attach(fake->dmabuf, NULL)));
}

static void map_once(struct kunit *test, struct fake *fake, bool dynamic)
{
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;

	attach = dma_buf_sgt_dynamic_attach(fake->dmabuf, fake_device(test),
					    dynamic ? &importer_ops : NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	sgt = dma_buf_sgt_map_attachment_unlocked(attach, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, sgt);
	KUNIT_EXPECT_EQ(test, dynamic ? 0 : 1, fake->pins);
	KUNIT_EXPECT_EQ(test, SZ_1M, sg_dma_address(sgt->sgl));
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, sg_dma_len(sgt->sgl));
	if (IS_ENABLED(CONFIG_DMABUF_DEBUG)) {
		KUNIT_EXPECT_PTR_NE(test, fake->mapped, sgt);
		KUNIT_EXPECT_NULL(test, sg_page(sgt->sgl));
	} else {
		KUNIT_EXPECT_PTR_EQ(test, fake->mapped, sgt);
	}
	dma_buf_sgt_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, 0, fake->pins);
	dma_buf_detach(fake->dmabuf, attach);
}

static void test_sgt_map(struct kunit *test)
{
	struct fake *fake = fake_new(test, &sgt_offer);

	fake_export(test, fake);
	map_once(test, fake, false);
	map_once(test, fake, true);
	KUNIT_EXPECT_EQ(test, 2, fake->maps);
	KUNIT_EXPECT_EQ(test, 2, fake->unmaps);
	KUNIT_EXPECT_FALSE(test, fake->locked);
}

static void test_sgt_map_fails(struct kunit *test)
{
	static const struct {
		int pin_ret, map_ret, expected;
	} cases[] = {
		{ .pin_ret = -ENOSPC, .expected = -ENOSPC },
		{ .map_ret = -EINTR, .expected = -EINTR },
		{ .map_ret = 1, .expected = -ENOMEM },	/* NULL */
	};
	struct fake *fake = fake_new(test, &sgt_offer);
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;

	fake_export(test, fake);
	attach = dma_buf_sgt_attach(fake->dmabuf, fake_device(test));
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	for (int i = 0; i < ARRAY_SIZE(cases); i++) {
		fake->pin_ret = cases[i].pin_ret;
		fake->map_ret = cases[i].map_ret;
		sgt = dma_buf_sgt_map_attachment_unlocked(attach, DMA_TO_DEVICE);
		KUNIT_EXPECT_EQ(test, cases[i].expected, PTR_ERR(sgt));
		KUNIT_EXPECT_EQ(test, 0, fake->pins);
		KUNIT_EXPECT_EQ(test, 0, fake->maps);
	}
	dma_buf_detach(fake->dmabuf, attach);
}

/* An attachment of one type gives no mapping of another */
static void test_sgt_wrong_type(struct kunit *test)
{
	struct fake *fake = fake_new(test, &plain_offer);
	struct dma_buf_attachment *attach;
	struct sg_table sgt;

	fake_export(test, fake);
	attach = attach_one(fake, &plain_request);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	EXPECT_WARNS(test, 1, -EINVAL,
		     PTR_ERR(dma_buf_sgt_map_attachment_unlocked(attach, DMA_TO_DEVICE)));
	kunit_warning_suppress(test) {
		dma_buf_sgt_unmap_attachment_unlocked(attach, &sgt, DMA_TO_DEVICE);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	EXPECT_WARNS(test, 1, -EINVAL,
		     PTR_ERR(dma_buf_sgt_map_attachment(NULL, DMA_TO_DEVICE)));
	dma_buf_detach(fake->dmabuf, attach);
}

static struct kunit_case dma_buf_sgt_cases[] = {
	KUNIT_CASE(test_sgt_accessors),
	KUNIT_CASE(test_sgt_macros),
	KUNIT_CASE(test_sgt_p2p),
	KUNIT_CASE(test_sgt_p2p_fallback),
	KUNIT_CASE(test_sgt_p2p_contradiction),
	KUNIT_CASE(test_sgt_bogus),
	KUNIT_CASE(test_sgt_map),
	KUNIT_CASE(test_sgt_map_fails),
	KUNIT_CASE(test_sgt_wrong_type),
	{}
};

static struct kunit_suite dma_buf_sgt_suite = {
	.name = "dma-buf-sgt",
	.test_cases = dma_buf_sgt_cases,
};

/* ---- PAL ---- */

KUNIT_DEFINE_ACTION_WRAPPER(free_list, dma_buf_phys_list_free,
			    struct dma_buf_phys_list *);

static struct dma_buf_phys_list *new_list(struct kunit *test, size_t count)
{
	struct phys_vec *phys;
	struct dma_buf_phys_list *list = dma_buf_phys_list_alloc(count, &phys);

	KUNIT_ASSERT_NOT_NULL(test, list);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_list, list));
	KUNIT_ASSERT_PTR_EQ(test, &list->phys[0], phys);
	return list;
}

#define P(n)	((n) * PAGE_SIZE)

static const struct list_param {
	const char *desc;
	size_t count;
	struct phys_vec phys[3];
	size_t size;
	int memory;
	int expected;
} list_params[] = {
	{ "one page", 1, { { P(5), P(1) } }, P(1) },
	{ "page 0", 1, { { 0, P(1) } }, P(1) },
	{ "out of order", 3, { { P(9), P(2) }, { P(1), P(1) }, { P(5), P(3) } }, P(6) },
	{ "RAM", 1, { { P(5), P(1) } }, P(1), .memory = DMA_BUF_PHYS_RAM },
	{ "last page but one", 1, { { -P(2), P(1) } }, P(1) },
	{ "last page", 1, { { -P(1), P(1) } }, P(1), .expected = -EINVAL },
	{ "no range", 0, {}, 0, .expected = -EINVAL },
	{ "size 0", 1, { { P(5), P(1) } }, 0, .expected = -EINVAL },
	{ "empty range", 2, { { P(5), P(1) }, { P(7), 0 } }, P(1), .expected = -EINVAL },
	{ "unaligned address", 1, { { P(5) + 8, P(1) } }, P(1), .expected = -EINVAL },
	{ "unaligned length", 2, { { P(5), 8 }, { P(7), P(1) - 8 } }, P(1),
	  .expected = -EINVAL },
	{ "wraps around", 1, { { -P(1), P(2) } }, P(2), .expected = -EINVAL },
	{ "too short", 2, { { P(5), P(1) }, { P(7), P(1) } }, P(3), .expected = -EINVAL },
	{ "too long", 2, { { P(5), P(1) }, { P(7), P(2) } }, P(2), .expected = -EINVAL },
	{ "sum overflows", 3, { { 0, -P(1) }, { 0, P(1) }, { 0, P(1) } }, P(1),
	  .expected = -EINVAL },
};

static void list_desc(const struct list_param *param, char *desc)
{
	strscpy(desc, param->desc, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(list, list_params, list_desc);

static void test_pal_seal(struct kunit *test)
{
	const struct list_param *param = test->param_value;
	struct dma_buf_phys_list *list = new_list(test, param->count);

	memcpy(list->phys, param->phys, param->count * sizeof(param->phys[0]));
	KUNIT_EXPECT_EQ(test, param->expected,
			dma_buf_phys_list_seal(list, param->size, param->memory, NULL));
	KUNIT_EXPECT_EQ(test, param->expected ? 0 : param->size, list->size);
}

static void test_pal_seal_memory(struct kunit *test)
{
	struct dma_buf_phys_list *list = new_list(test, 1);
	struct p2pdma_provider provider = {};

	list->phys[0] = (struct phys_vec) { P(5), P(1) };
	EXPECT_WARNS(test, 1, -EINVAL, dma_buf_phys_list_seal(list, P(1), 7, NULL));
	EXPECT_WARNS(test, 1, -EINVAL,
		     dma_buf_phys_list_seal(list, P(1), DMA_BUF_PHYS_RAM, &provider));
	KUNIT_EXPECT_EQ(test, 0,
			dma_buf_phys_list_seal(list, P(1), DMA_BUF_PHYS_MMIO, &provider));
	KUNIT_EXPECT_PTR_EQ(test, &provider, list->provider);
	KUNIT_EXPECT_EQ(test, DMA_BUF_PHYS_MMIO, list->memory);
}

static struct dma_buf_phys_list *mixed_list(struct kunit *test, size_t count)
{
	struct dma_buf_phys_list *list = new_list(test, count);
	size_t size = 0;

	for (size_t i = 0; i < count; i++) {
		list->phys[i].paddr = P((count - i) * 16);
		list->phys[i].len = P(1 + i * 7 % 5);
		size += list->phys[i].len;
	}
	KUNIT_ASSERT_EQ(test, 0,
			dma_buf_phys_list_seal(list, size, DMA_BUF_PHYS_MMIO, NULL));
	return list;
}

static const size_t list_counts[] = { 1, 2, 63, 64, 65, 127, 128, 129, 1000 };

/* Every page of the buffer, against a walk from the start */
static void test_pal_seek(struct kunit *test)
{
	for (int c = 0; c < ARRAY_SIZE(list_counts); c++) {
		struct dma_buf_phys_list *list = mixed_list(test, list_counts[c]);
		struct dma_buf_phys_iter iter;
		size_t at = 0;

		for (size_t i = 0; i < list->count; i++) {
			for (size_t off = 0; off < list->phys[i].len; off += P(1)) {
				KUNIT_ASSERT_EQ(test, 0,
						dma_buf_phys_list_seek(list, at + off, &iter));
				KUNIT_ASSERT_PTR_EQ(test, &list->phys[i], iter.range);
				KUNIT_ASSERT_EQ(test, off, iter.offset);
			}
			at += list->phys[i].len;
		}
		KUNIT_EXPECT_EQ(test, list->size, at);
		KUNIT_EXPECT_EQ(test, -EINVAL, dma_buf_phys_list_seek(list, at, &iter));
		KUNIT_EXPECT_EQ(test, -EINVAL, dma_buf_phys_list_seek(list, SIZE_MAX, &iter));
		KUNIT_EXPECT_EQ(test, 0, dma_buf_phys_list_seek(list, at - 1, &iter));
		KUNIT_EXPECT_EQ(test, P(1) - 1, iter.offset % P(1));
	}
}

static void test_pal_iter(struct kunit *test)
{
	struct dma_buf_phys_list *list = mixed_list(test, 200);
	struct dma_buf_phys_iter iter;
	phys_addr_t paddr;
	size_t len;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_phys_list_seek(list, 0, &iter));
	KUNIT_EXPECT_EQ(test, 0, dma_buf_phys_iter_next(&iter, 0, &paddr));
	for (size_t i = 0; i < list->count; i++) {
		const struct phys_vec *range = &list->phys[i];

		/* A page of it, then the rest, and never the next range */
		KUNIT_ASSERT_EQ(test, P(1), dma_buf_phys_iter_next(&iter, P(1), &paddr));
		KUNIT_ASSERT_EQ(test, range->paddr, paddr);
		if (range->len == P(1))
			continue;
		len = dma_buf_phys_iter_next(&iter, SIZE_MAX, &paddr);
		KUNIT_ASSERT_EQ(test, range->len - P(1), len);
		KUNIT_ASSERT_EQ(test, range->paddr + P(1), paddr);
	}
	KUNIT_EXPECT_EQ(test, 0, dma_buf_phys_iter_next(&iter, P(1), &paddr));
}

/* 2 and 3 pages that are neighbours, 1 elsewhere, 4 behind that one */
static void test_pal_iter_neighbours(struct kunit *test)
{
	static const struct { int from, max, len, page; } steps[] = {
		{ 0, 100, 5, 10 }, { 0, 5, 5, 10 }, { 0, 4, 4, 10 }, { 0, 2, 2, 10 },
		{ 1, 100, 4, 11 }, { 1, 1, 1, 11 }, { 2, 100, 3, 12 }, { 4, 9, 1, 14 },
		{ 5, 100, 5, 50 }, { 5, 2, 2, 50 }, { 6, 100, 4, 51 }, { 9, 1, 1, 54 },
	};
	struct dma_buf_phys_list *list = new_list(test, 4);
	struct dma_buf_phys_iter iter;
	phys_addr_t paddr;

	list->phys[0] = (struct phys_vec) { .paddr = P(10), .len = P(2) };
	list->phys[1] = (struct phys_vec) { .paddr = P(12), .len = P(3) };
	list->phys[2] = (struct phys_vec) { .paddr = P(50), .len = P(1) };
	list->phys[3] = (struct phys_vec) { .paddr = P(51), .len = P(4) };
	KUNIT_ASSERT_EQ(test, 0,
			dma_buf_phys_list_seal(list, P(10), DMA_BUF_PHYS_MMIO, NULL));
	for (int i = 0; i < ARRAY_SIZE(steps); i++) {
		KUNIT_ASSERT_EQ(test, 0,
				dma_buf_phys_list_seek(list, P(steps[i].from), &iter));
		KUNIT_EXPECT_EQ(test, P(steps[i].len),
				dma_buf_phys_iter_next(&iter, P(steps[i].max), &paddr));
		KUNIT_EXPECT_EQ(test, P(steps[i].page), paddr);
		/* And the next step goes on from there */
		if (steps[i].from + steps[i].len == 4) {
			KUNIT_EXPECT_EQ(test, P(1),
					dma_buf_phys_iter_next(&iter, P(9), &paddr));
			KUNIT_EXPECT_EQ(test, P(14), paddr);
		}
	}
}

static struct dma_buf_attachment *pal_attach(struct kunit *test, struct fake *fake)
{
	const struct dma_buf_mapping_match request = DMA_BUF_IMAPPING_PAL();
	struct dma_buf_attachment *attach = attach_one(fake, &request);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	dma_resv_lock(fake->dmabuf->resv, NULL);
	return attach;
}

static void pal_detach(struct fake *fake, struct dma_buf_attachment *attach)
{
	dma_resv_unlock(fake->dmabuf->resv);
	dma_buf_detach(fake->dmabuf, attach);
}

/* The test frees the list, and there is no device: nothing is left to destroy */
static struct dma_buf_mapping_match fake_lend(struct fake *fake,
					      struct dma_buf_phys_list *list)
{
	fake->list = list;
	dma_buf_pal_source_init(&fake->source, list, false);
	return dma_buf_pal_source_offer(&fake->source);
}

static int fake_maps(struct fake *fake)
{
	return kref_read(&fake->source.kref) - 1;
}

/* The exporter's own list, twice: nothing is copied */
static void test_pal_map(struct kunit *test)
{
	struct dma_buf_mapping_match offer;
	struct fake *fake = fake_new(test, &offer);
	struct dma_buf_attachment *attach;

	offer = fake_lend(fake, mixed_list(test, 3));
	fake_export(test, fake);
	attach = pal_attach(test, fake);
	KUNIT_EXPECT_PTR_EQ(test, fake->list, dma_buf_pal_map_phys(attach));
	KUNIT_EXPECT_PTR_EQ(test, fake->list, dma_buf_pal_map_phys(attach));
	KUNIT_EXPECT_EQ(test, 2, fake_maps(fake));
	dma_buf_pal_unmap_phys(attach, fake->list);
	dma_buf_pal_unmap_phys(attach, fake->list);
	KUNIT_EXPECT_EQ(test, 0, fake_maps(fake));
	pal_detach(fake, attach);
}

static void test_pal_map_fails(struct kunit *test)
{
	struct dma_buf_mapping_match offer;
	struct fake *fake = fake_new(test, &offer);
	struct dma_buf_attachment *attach;

	offer = fake_lend(fake, mixed_list(test, 3));
	fake_export(test, fake);
	attach = pal_attach(test, fake);
	fake->source.revoked = true;
	KUNIT_EXPECT_EQ(test, -ENODEV, PTR_ERR(dma_buf_pal_map_phys(attach)));

	/* A list that was never sealed */
	fake->source.revoked = false;
	fake->source.list = new_list(test, 1);
	EXPECT_WARNS(test, 1, -EINVAL, PTR_ERR(dma_buf_pal_map_phys(attach)));
	EXPECT_WARNS(test, 1, -EINVAL, PTR_ERR(dma_buf_pal_map_phys(NULL)));
	KUNIT_EXPECT_EQ(test, 0, fake_maps(fake));
	pal_detach(fake, attach);
}

static void test_pal_wrong_type(struct kunit *test)
{
	struct fake *fake = fake_new(test, &sgt_offer);
	struct dma_buf_attachment *attach;

	fake_export(test, fake);
	attach = dma_buf_sgt_attach(fake->dmabuf, fake_device(test));
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	dma_resv_lock(fake->dmabuf->resv, NULL);
	EXPECT_WARNS(test, 1, -EINVAL, PTR_ERR(dma_buf_pal_map_phys(attach)));
	kunit_warning_suppress(test) {
		dma_buf_pal_unmap_phys(attach, new_list(test, 1));
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	KUNIT_EXPECT_EQ(test, 0, fake->maps + fake->unmaps);
	pal_detach(fake, attach);
}

static struct kunit_case dma_buf_pal_cases[] = {
	KUNIT_CASE_PARAM(test_pal_seal, list_gen_params),
	KUNIT_CASE(test_pal_seal_memory),
	KUNIT_CASE(test_pal_seek),
	KUNIT_CASE(test_pal_iter),
	KUNIT_CASE(test_pal_iter_neighbours),
	KUNIT_CASE(test_pal_map),
	KUNIT_CASE(test_pal_map_fails),
	KUNIT_CASE(test_pal_wrong_type),
	{}
};

static struct kunit_suite dma_buf_pal_suite = {
	.name = "dma-buf-pal",
	.test_cases = dma_buf_pal_cases,
};

kunit_test_suites(&dma_buf_match_suite, &dma_buf_sgt_suite,
		  &dma_buf_pal_suite);
