// SPDX-License-Identifier: GPL-2.0-only
/*
 * Matching: random offers against random requests, and a model of the rule: each
 * offer against all requests, first as they are, then through converters.
 */
#include "test.h"

/* ---- the outcome for the caller ---- */

/* Only the last word is left; the kernel keeps one for each buffer */
void dma_buf_outcome_set(struct dma_buf *dmabuf, const char *type, const char *why, int err)
{
	CHECK(dmabuf && why[0]);
	shim.told = (struct event){ .name = type, .verdict = why, .err = err };
}

void dma_buf_outcome_add(struct dma_buf *dmabuf, const char *type, const char *why, int err)
{
	if (shim.told.err != err)
		dma_buf_outcome_set(dmabuf, type, why, err);
}

#define MAX_OFFERS	4
#define MAX_REQUESTS	4

/* The first word of a private type's payload says how the pair shall end */
enum verdict { FITS, UNFIT, STOPS, BOGUS, VERDICTS };

static const int verdict_err[VERDICTS] = { 0, -EOPNOTSUPP, -EPERM, 7 };

static struct pci_dev gpu = { .dev = { .name = "gpu", .is_pci = true } };

static enum verdict verdict_of(const struct dma_buf_mapping_match *exp,
			       const struct dma_buf_mapping_match *imp)
{
	return (exp->payload[0] + imp->payload[0]) % VERDICTS;
}

static int private_match(struct dma_buf_match_args *args,
			 const struct dma_buf_mapping_match *exp,
			 const struct dma_buf_mapping_match *imp)
{
	int err = verdict_err[verdict_of(exp, imp)];

	CHECK(exp->type == imp->type);
	return err == -EOPNOTSUPP ? dma_buf_match_refuse(args, "unfit") : err;
}

static void private_finish(struct dma_buf_match_args *args,
			   const struct dma_buf_mapping_match *exp,
			   const struct dma_buf_mapping_match *imp)
{
	CHECK(args->dmabuf);
	CHECK(args->attach->map_type.payload[1] == exp->payload[1]);
	args->attach->map_type.payload[2] = imp->payload[1];
}

static const struct dma_buf_mapping_type picky = {
	.name = "picky", .match = private_match, .finish_match = private_finish };
static const struct dma_buf_mapping_type easy = {
	.name = "easy", .finish_match = private_finish };
static const struct dma_buf_mapping_type curt = {
	.name = "curt", .match = private_match };

/* Refuses, and does not say why */
static int mute_match(struct dma_buf_match_args *args,
		      const struct dma_buf_mapping_match *exp,
		      const struct dma_buf_mapping_match *imp)
{
	(void)args;
	(void)exp;
	(void)imp;
	return -EOPNOTSUPP;
}

static const struct dma_buf_mapping_type mute = { .name = "mute", .match = mute_match };

static const struct dma_buf_mapping_type *const types[] = {
	&picky, &easy, &curt, &dma_buf_mapping_sgt_type, &dma_buf_mapping_pal_type };

/* ---- the tests' own row of the table, from any type to a private one ---- */

static const struct dma_buf_mapping_exp_ops *const row_ops =
	(const struct dma_buf_mapping_exp_ops *)&row_ops;
static const struct dma_buf_mapping_type *row_to;
static int row_err;
static unsigned long row_word;

static int row_offer(struct dma_buf_match_args *args,
		     const struct dma_buf_mapping_match *exp,
		     struct dma_buf_mapping_match *offer)
{
	(void)args;
	(void)exp;
	*offer = (struct dma_buf_mapping_match){
		.type = row_to, .exp_ops = row_ops, .payload = { row_word, 77 } };
	return row_err;
}

/* ---- the model ---- */

struct model {
	const struct dma_buf_mapping_match *exp, *imp;	/* the match */
	bool converted;
	unsigned int warns, events;
};

static int model_sgt(const struct dma_buf_mapping_match *exp,
		     const struct dma_buf_mapping_match *imp)
{
	const struct device *dev = imp->sgt_data.importing_dma_device;

	if (!exp->sgt_data.exporter_requires_p2p)
		return 0;
	return imp->sgt_data.importer_accepts_p2p && dev->is_pci && !dev->far ? 0 :
	       -EOPNOTSUPP;
}

static int model_pair(struct model *m, const struct dma_buf_mapping_match *exp,
		      const struct dma_buf_mapping_match *imp)
{
	int err = 0;

	if (exp->type != imp->type)
		err = -EOPNOTSUPP;
	else if (exp->type == &dma_buf_mapping_sgt_type)
		err = model_sgt(exp, imp);
	else if (exp->type == &picky || exp->type == &curt)
		err = verdict_err[verdict_of(exp, imp)];
	m->events++;
	m->warns += err > 0;
	return err > 0 ? -EINVAL : err;
}

static int model_offer(struct model *m, const struct dma_buf_mapping_match *exp,
		       const struct dma_buf_match_args *args)
{
	for (size_t i = 0; i < args->imp_len; i++) {
		int err = model_pair(m, exp, &args->imp_matches[i]);

		m->exp = exp;
		m->imp = &args->imp_matches[i];
		if (err != -EOPNOTSUPP)
			return err;
	}
	return -EOPNOTSUPP;
}

static bool requested(const struct dma_buf_match_args *args,
		      const struct dma_buf_mapping_type *type)
{
	for (size_t i = 0; i < args->imp_len; i++)
		if (args->imp_matches[i].type == type)
			return true;
	return false;
}

static int model_row(struct model *m, const struct dma_buf_mapping_match *exp,
		     struct dma_buf_match_args *args, struct dma_buf_mapping_match *offer)
{
	int err = row_offer(args, exp, offer);

	m->events += !!err;
	return err ?: model_offer(m, offer, args);
}

static int model_convert(struct model *m, const struct dma_buf_mapping_match *exp,
			 struct dma_buf_match_args *args,
			 struct dma_buf_mapping_match *offer)
{
	bool sgt = exp->type == &dma_buf_mapping_pal_type &&
		   requested(args, &dma_buf_mapping_sgt_type);
	int err = -EOPNOTSUPP;

	m->converted = true;
	if (sgt && !exp->pal_data.p2p_device && !exp->pal_data.is_ram) {
		m->events++;
	} else if (sgt) {
		*offer = (struct dma_buf_mapping_match){
			.type = &dma_buf_mapping_sgt_type, .exp_ops = dma_buf_pal_to_sgt.ops };
		offer->sgt_data.exporting_p2p_device = exp->pal_data.p2p_device;
		if (exp->pal_data.p2p_device)
			offer->sgt_data.exporter_requires_p2p =
				DMA_SGT_EXPORTER_REQUIRES_P2P_DISTANCE;
		err = model_offer(m, offer, args);
	}
	if (err != -EOPNOTSUPP || !dma_buf_test_converter ||
	    dma_buf_test_converter->from != exp->type || !requested(args, row_to))
		return err;
	return model_row(m, exp, args, offer);
}

static int model_match(struct model *m, struct dma_buf_match_args *args,
		       const struct dma_buf_mapping_match *exp, size_t len,
		       struct dma_buf_mapping_match *offer)
{
	int err = -EOPNOTSUPP;
	size_t i;

	for (i = 0; i < len && err == -EOPNOTSUPP; i++)
		err = model_offer(m, &exp[i], args);
	for (i = 0; i < len && err == -EOPNOTSUPP; i++) {
		err = model_convert(m, &exp[i], args, offer);
		if (!err)
			CHECK(args->attach->converted == exp[i].exp_ops);
	}
	return err;
}

/* ---- random pairs ---- */

static struct sg_table *no_map(struct dma_buf_attachment *attach, enum dma_data_direction dir)
{
	(void)attach;
	(void)dir;
	return NULL;
}

static void no_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
		     enum dma_data_direction dir)
{
	(void)attach;
	(void)sgt;
	(void)dir;
}

#define SOME_SGT { .map_dma_buf = no_map, .unmap_dma_buf = no_unmap }
static const struct dma_buf_mapping_sgt_exp_ops some_ops[4] = {
	SOME_SGT, SOME_SGT, SOME_SGT, SOME_SGT };
static const struct dma_buf_pal_source some_sources[4];

static void take_match(struct input *in, struct dma_buf_mapping_match *match,
		       struct device *dev, bool offer)
{
	*match = (struct dma_buf_mapping_match){ .type = types[take(in, ARRAY_SIZE(types))] };
	if (offer)
		match->exp_ops = match->type == &dma_buf_mapping_pal_type ?
				 &some_sources[take(in, 4)].ops : &some_ops[take(in, 4)].ops;
	if (match->type == &dma_buf_mapping_pal_type && offer) {
		match->pal_data.p2p_device = take(in, 2) ? &gpu : NULL;
		match->pal_data.is_ram = take(in, 2);
	} else if (match->type == &dma_buf_mapping_sgt_type && offer) {
		if (take(in, 2)) {
			match->sgt_data.exporting_p2p_device = &gpu;
			match->sgt_data.exporter_requires_p2p =
				DMA_SGT_EXPORTER_REQUIRES_P2P_DISTANCE;
		}
	} else if (match->type == &dma_buf_mapping_sgt_type) {
		match->sgt_data.importing_dma_device = dev;
		match->sgt_data.importer_accepts_p2p = take(in, 2);
	} else if (match->type != &dma_buf_mapping_pal_type) {
		/* Mostly such that the search goes on */
		match->payload[0] = take(in, 4) ? (offer ? take(in, 2) : 0) : take(in, 4);
		match->payload[1] = take(in, 256);
	}
}

static void check_picked(const struct model *m, const struct dma_buf_attachment *attach)
{
	const struct dma_buf_mapping_match *got = &attach->map_type;

	CHECK(got->type == m->exp->type && got->exp_ops == m->exp->exp_ops);
	EQ(!!attach->converted, m->converted);
	if (got->type == &dma_buf_mapping_sgt_type) {
		CHECK(got->sgt_data.importing_dma_device ==
		      m->imp->sgt_data.importing_dma_device);
		EQ(got->sgt_data.importer_accepts_p2p, m->imp->sgt_data.importer_accepts_p2p);
		EQ(got->sgt_data.exporter_requires_p2p, m->exp->sgt_data.exporter_requires_p2p);
		CHECK(got->sgt_data.exporting_p2p_device ==
		      m->exp->sgt_data.exporting_p2p_device);
	} else if (got->type != &dma_buf_mapping_pal_type) {
		EQ(got->payload[1], m->exp->payload[1]);
		if (got->type->finish_match)
			EQ(got->payload[2], m->imp->payload[1]);
	}
}

static void check_match(struct dma_buf_match_args *args,
			const struct dma_buf_mapping_match *exp, size_t len)
{
	struct dma_buf_mapping_match offer;
	struct model m = {};
	int ret, warned;

	shim.may_warn = UINT_MAX;
	warned = shim.warned;
	shim.nr_events = 0;
	ret = dma_buf_match_mapping(args, exp, len);
	EQ(ret, model_match(&m, args, exp, len, &offer));
	EQ(shim.warned - warned, m.warns);
	shim.may_warn = shim.warned;
	if (!ret)
		check_picked(&m, args->attach);
	else
		CHECK(!args->attach->map_type.type && !args->attach->converted);
	if (shim.traced)
		EQ(shim.nr_events, m.events);
}

static void take_row(struct input *in, struct dma_buf_converter *row)
{
	static const int errs[] = { 0, 0, -EOPNOTSUPP, -ENOMEM };

	*row = (struct dma_buf_converter){
		.name = "row", .from = types[take(in, ARRAY_SIZE(types))],
		.to = row_to = types[take(in, 3)], .ops = row_ops, .offer = row_offer };
	dma_buf_test_converter = take(in, 2) ? row : NULL;
	row_err = errs[take(in, ARRAY_SIZE(errs))];
	row_word = take(in, 4);
}

void run_match(struct input *in)
{
	struct dma_buf_mapping_match exp[MAX_OFFERS], imp[MAX_REQUESTS];
	struct dma_resv resv = {};
	struct dma_buf dmabuf = { .resv = &resv, .size = PAGE_SIZE };
	struct dma_buf_attachment attach = { .dmabuf = &dmabuf };
	struct dma_buf_converter row;
	struct device dev = { .name = "dev", .is_pci = take(in, 4), .far = !take(in, 4) };
	struct dma_buf_match_args args = {
		.dmabuf = &dmabuf, .attach = &attach, .imp_matches = imp };
	size_t len = 1 + take(in, MAX_OFFERS);

	args.imp_len = 1 + take(in, MAX_REQUESTS);
	take_row(in, &row);
	for (size_t i = 0; i < len; i++)
		take_match(in, &exp[i], &dev, true);
	for (size_t i = 0; i < args.imp_len; i++)
		take_match(in, &imp[i], &dev, false);
	check_match(&args, exp, len);
	dma_buf_test_converter = NULL;
}

/* ---- one by one ---- */

struct pair {
	struct dma_resv resv;
	struct dma_buf dmabuf;
	struct dma_buf_attachment attach;
	struct dma_buf_match_args args;
	struct dma_buf_mapping_match exp, imp;
	struct device dev;
};

static struct pair pair;

static const struct dma_buf_mapping_sgt_exp_ops nothing = SOME_SGT;

static void pair_init(void)
{
	pair = (struct pair){ .dev = { .name = "dev", .is_pci = true } };
	pair.dmabuf = (struct dma_buf){ .resv = &pair.resv, .size = PAGE_SIZE };
	pair.attach.dmabuf = &pair.dmabuf;
	pair.imp = DMA_BUF_IMAPPING_SGT(&pair.dev, true);
	pair.exp = DMA_BUF_EMAPPING_SGT(&nothing);
	pair.args = (struct dma_buf_match_args){
		.dmabuf = &pair.dmabuf, .attach = &pair.attach,
		.imp_matches = &pair.imp, .imp_len = 1 };
	shim.traced = true;
}

static int pair_match(void)
{
	shim.nr_events = 0;
	return dma_buf_match_mapping(&pair.args, &pair.exp, 1);
}

static void said(const char *verdict, int err)
{
	CHECK(shim.nr_events);
	EQ(strcmp(shim.events[shim.nr_events - 1].verdict, verdict), 0);
	EQ(shim.events[shim.nr_events - 1].err, err);
}

static void test_bad_arguments(void)
{
	pair_init();
	shim.may_warn = 6;
	EQ(dma_buf_match_mapping(NULL, &pair.exp, 1), -EINVAL);
	EQ(dma_buf_match_mapping(&pair.args, NULL, 1), -EINVAL);
	pair.args.dmabuf = NULL;
	EQ(pair_match(), -EINVAL);
	pair_init();
	pair.args.attach = NULL;
	EQ(pair_match(), -EINVAL);
	pair_init();
	pair.args.imp_matches = NULL;
	EQ(pair_match(), -EINVAL);
	pair_init();
	pair.args.imp_len = 0;
	EQ(pair_match(), -EINVAL);
}

static void test_no_offer(void)
{
	pair_init();
	EQ(dma_buf_match_mapping(&pair.args, NULL, 0), -EOPNOTSUPP);
	said("no-offer", -EOPNOTSUPP);
}

/* Where its turn comes, and the event has a name for it */
static void test_no_type(void)
{
	struct dma_buf_mapping_match requests[2] = {};

	shim.may_warn = 1;
	pair_init();
	requests[1] = pair.imp;
	pair.args.imp_matches = requests;
	pair.args.imp_len = 2;
	EQ(pair_match(), -EINVAL);
	said("error", -EINVAL);
	requests[0] = pair.imp;
	requests[1].type = NULL;
	EQ(pair_match(), 0);
}

/* Drivers change dma_buf.ops after the export: an offer may lack anything */
static void test_incomplete_offer(void)
{
	static const struct dma_buf_mapping_sgt_exp_ops sgt[] = {
		{ .map_dma_buf = no_map }, { .unmap_dma_buf = no_unmap } };

	shim.may_warn = 4;
	for (int i = 0; i < 2; i++) {
		pair_init();
		pair.exp = DMA_BUF_EMAPPING_SGT(&sgt[i]);
		EQ(pair_match(), -EINVAL);
	}
	pair.exp.exp_ops = NULL;
	EQ(pair_match(), -EINVAL);
	pair.imp = DMA_BUF_IMAPPING_PAL();
	pair.exp.type = pair.imp.type;
	EQ(pair_match(), -EINVAL);
}

static void test_bad_offer(void)
{
	shim.may_warn = 5;
	pair_init();
	pair.exp.type = NULL;
	EQ(pair_match(), -EINVAL);
	pair_init();
	pair.exp.exp_ops = NULL;
	EQ(pair_match(), -EINVAL);
	pair_init();
	pair.exp.sgt_data.exporter_requires_p2p = 1;
	EQ(pair_match(), -EINVAL);
	pair.exp.sgt_data.exporter_requires_p2p = 3;
	pair.exp.sgt_data.exporting_p2p_device = &gpu;
	EQ(pair_match(), -EINVAL);
	pair.exp.sgt_data.exporting_p2p_device = NULL;
	pair.exp.sgt_data.exporter_requires_p2p = DMA_SGT_EXPORTER_REQUIRES_P2P_DISTANCE;
	EQ(pair_match(), -EINVAL);
	said("error", -EINVAL);
}

/* Of a converter: nothing is taken from it */
static void test_bad_row(void)
{
	struct dma_buf_converter row = {
		.name = "row", .from = &easy, .to = &picky, .ops = row_ops, .offer = row_offer };

	shim.may_warn = 1;
	pair_init();
	dma_buf_test_converter = &row;
	pair.exp.type = &easy;
	pair.imp.type = &picky;
	row_to = NULL;
	EQ(pair_match(), -EINVAL);
	CHECK(!pair.attach.converted);
	dma_buf_test_converter = NULL;
}

static void test_bad_request(void)
{
	static const struct dma_buf_attach_ops p2p = { .allow_peer2peer = true }, no_p2p;

	shim.may_warn = 4;
	pair_init();
	pair.imp.sgt_data.importing_dma_device = NULL;
	EQ(pair_match(), -EINVAL);
	pair_init();
	pair.imp.sgt_data.importer_accepts_p2p = 2;
	EQ(pair_match(), -EINVAL);
	pair_init();
	pair.attach.importer_ops = &p2p;
	EQ(pair_match(), 0);
	pair.attach.importer_ops = &no_p2p;
	EQ(pair_match(), -EINVAL);
	pair.attach.importer_ops = &p2p;
	pair.imp.sgt_data.importer_accepts_p2p = DMA_SGT_NO_P2P;
	EQ(pair_match(), -EINVAL);
}

static void test_p2p_words(void)
{
	pair_init();
	pair.exp = DMA_BUF_EMAPPING_SGT_P2P(&nothing, &gpu);
	EQ(pair_match(), 0);
	said("match", 0);
	CHECK(dma_buf_sgt_p2p_allowed(&pair.attach));
	pair.dev.far = true;
	EQ(pair_match(), -EOPNOTSUPP);
	/* There is no dma-buf-p2p.c here: test_p2p_obstacle() has that */
	said("no-p2pdma", -EOPNOTSUPP);
	pair.dev.is_pci = false;
	EQ(pair_match(), -EOPNOTSUPP);
	said("p2p-distance", -EOPNOTSUPP);
	pair.imp.sgt_data.importer_accepts_p2p = DMA_SGT_NO_P2P;
	EQ(pair_match(), -EOPNOTSUPP);
	said("importer-refuses-p2p", -EOPNOTSUPP);
	pair.imp.type = &easy;
	EQ(pair_match(), -EOPNOTSUPP);
	said("no-common-type", -EOPNOTSUPP);
}

/* What comes of several offers, and the word that is left of them */
static void match_says(const struct dma_buf_mapping_match *exp, size_t len,
		       const char *why)
{
	shim.nr_events = 0;
	pair.args.why = NULL;
	EQ(dma_buf_match_mapping(&pair.args, exp, len), -EOPNOTSUPP);
	EQ(strcmp(pair.args.why, why), 0);
}

static void said_at(unsigned int i, const char *verdict)
{
	CHECK(i < shim.nr_events);
	EQ(strcmp(shim.events[i].verdict, verdict), 0);
}

static void test_best_word(void)
{
	struct dma_buf_mapping_match exp[] = {
		{ .type = &easy }, DMA_BUF_EMAPPING_SGT_P2P(&nothing, &gpu), { .type = &easy } };

	pair_init();
	pair.imp = DMA_BUF_IMAPPING_SGT(&pair.dev, false);
	match_says(exp, 1, "no-common-type");
	match_says(exp, 3, "importer-refuses-p2p");
	said_at(2, "no-common-type");
}

/* The first pair that both sides know is better than the one that fits */
static void test_passed_over(void)
{
	struct dma_buf_mapping_match exp[] = {
		{ .type = &easy }, DMA_BUF_EMAPPING_SGT_P2P(&nothing, &gpu),
		DMA_BUF_EMAPPING_SGT(&nothing) };

	pair_init();
	EQ(dma_buf_match_mapping(&pair.args, exp, 3), 0);
	CHECK(!pair.args.passed);
	pair.imp = DMA_BUF_IMAPPING_SGT(&pair.dev, false);
	EQ(dma_buf_match_mapping(&pair.args, exp, 3), 0);
	CHECK(!strcmp(pair.args.passed, "importer-refuses-p2p"));
	pair.dev.far = true;
	pair.imp = DMA_BUF_IMAPPING_SGT(&pair.dev, true);
	EQ(dma_buf_match_mapping(&pair.args, exp, 3), 0);
	CHECK(!strcmp(pair.args.passed, "importer-refuses-p2p"));
}

static void test_no_word(void)
{
	struct dma_buf_mapping_match exp[] = {
		DMA_BUF_EMAPPING_SGT_P2P(&nothing, &gpu), { .type = &mute } };
	struct dma_buf_mapping_match imp[2] = { {}, { .type = &mute } };

	pair_init();
	imp[0] = DMA_BUF_IMAPPING_SGT(&pair.dev, false);
	pair.args.imp_matches = imp;
	pair.args.imp_len = 2;
	match_says(exp, 2, "refused");
	EQ(shim.nr_events, 4);
	said_at(0, "importer-refuses-p2p");
	said_at(1, "no-common-type");
	said_at(2, "no-common-type");
	said_at(3, "refused");
}

static void test_no_word_of_a_row(void)
{
	static const struct dma_buf_converter row = {
		.name = "row", .from = &easy, .to = &picky, .ops = (void *)&row, .offer = row_offer };

	pair_init();
	dma_buf_test_converter = &row;
	row_err = -EOPNOTSUPP;
	pair.exp.type = &easy;
	pair.imp.type = &picky;
	match_says(&pair.exp, 1, "refused");
	EQ(shim.nr_events, 2);
	said_at(1, "refused");
	dma_buf_test_converter = NULL;
	row_err = 0;
}

/* Of the SGT exporter that can say which devices its memory is not for */
static const char *near_only(const struct dma_buf_mapping_match *exp, struct device *dev)
{
	CHECK(exp == &pair.exp);
	return dev->far ? "far" : NULL;
}

static void test_obstacle(void)
{
	static const struct dma_buf_mapping_sgt_exp_ops ops = {
		.map_dma_buf = no_map, .unmap_dma_buf = no_unmap, .obstacle = near_only };

	pair_init();
	pair.exp = DMA_BUF_EMAPPING_SGT(&ops);
	EQ(pair_match(), 0);
	pair.dev.far = true;
	EQ(pair_match(), -EOPNOTSUPP);
	said("far", -EOPNOTSUPP);
}

/* ---- a query, before there is a buffer ---- */

static void query_says(const struct dma_buf_mapping_match *exp, size_t len, int err,
		       const struct dma_buf_mapping_type *type, const char *why)
{
	struct dma_buf_match_query query = {
		.request = pair.imp, .type = &curt, .why = "before" };

	EQ(dma_buf_match_query(&query, exp, len), err);
	CHECK(query.type == type);
	CHECK(!query.why == !why);
	if (why)
		EQ(strcmp(query.why, why), 0);
	EQ(shim.nr_events, 0);
}

static void test_query(void)
{
	struct dma_buf_mapping_match exp[] = {
		DMA_BUF_EMAPPING_SGT_P2P(&nothing, &gpu), DMA_BUF_EMAPPING_SGT(&nothing) };

	pair_init();
	shim.may_warn = 1;
	pair.imp = DMA_BUF_IMAPPING_SGT(&pair.dev, false);
	query_says(NULL, 0, -EOPNOTSUPP, NULL, "no-offer");
	query_says(exp, 1, -EOPNOTSUPP, NULL, "importer-refuses-p2p");
	query_says(exp, 2, 0, &dma_buf_mapping_sgt_type, NULL);
	exp[1].type = NULL;
	query_says(exp, 2, -EINVAL, NULL, NULL);
	exp[1] = (struct dma_buf_mapping_match){
		.type = &dma_buf_mapping_pal_type, .exp_ops = &some_sources[0].ops };
	query_says(&exp[1], 1, -EOPNOTSUPP, NULL, "unknown-memory");
	/* Nothing is attached that could be finished */
	exp[0].type = pair.imp.type = &easy;
	query_says(exp, 1, 0, &easy, NULL);
}

static void test_verdict_is_no_errno(void)
{
	pair_init();
	shim.may_warn = 1;
	pair.exp = (struct dma_buf_mapping_match){ .type = &picky, .payload = { BOGUS } };
	pair.imp = (struct dma_buf_mapping_match){ .type = &picky };
	EQ(pair_match(), -EINVAL);
	said("error", -EINVAL);
}

static void test_lock_is_free(void)
{
	/* A die() is what this must give; the caller looks for it */
	pair_init();
	pair.resv.lock.base = true;
	pair_match();
}

static void test_refusals_are_told(void)
{
	pair_init();
	pair.attach.map_type.type = &easy;
	EQ(dma_buf_attach_refuse(&pair.attach, "shy", -EBUSY), -EBUSY);
	said("shy", -EBUSY);
	CHECK(!strcmp(shim.told.name, "easy") && !strcmp(shim.told.verdict, "shy"));
	EQ(shim.told.err, -EBUSY);
	EQ(dma_buf_match_refuse(&pair.args, "coy"), -EOPNOTSUPP);
	EQ(strcmp(pair.args.why, "coy"), 0);
}

/* ---- names, for people ---- */

static void test_names_of_importers(void)
{
	static const struct dma_buf_attach_ops ops = { .name = "importer" };
	static const struct dma_buf_attach_ops no_ops;

	pair_init();
	CHECK(!strcmp(dma_buf_match_type_name(&pair.attach.map_type), "none"));
	EQ(pair_match(), 0);
	CHECK(!strcmp(dma_buf_match_type_name(&pair.attach.map_type), "SGT"));
	CHECK(!strcmp(dma_buf_importer_name(&pair.attach), "dev"));
	pair.attach.map_type.type = &easy;
	CHECK(!strcmp(dma_buf_importer_name(&pair.attach), "none"));
	pair.attach.importer_ops = &no_ops;
	CHECK(!strcmp(dma_buf_importer_name(&pair.attach), "none"));
	pair.attach.importer_ops = &ops;
	CHECK(!strcmp(dma_buf_importer_name(&pair.attach), "importer"));
}

static void test_names_of_devices(void)
{
	struct dma_buf_mapping_match offer = DMA_BUF_EMAPPING_SGT_P2P(&nothing, &gpu);

	pair_init();
	CHECK(!strcmp(dma_buf_match_device_name(&offer), "gpu"));
	CHECK(!strcmp(dma_buf_match_device_name(&pair.exp), "none"));
	CHECK(!strcmp(dma_buf_match_device_name(&pair.imp), "dev"));
	offer.sgt_data.importing_dma_device = &pair.dev;
	CHECK(!strcmp(dma_buf_match_device_name(&offer), "dev"));
	offer.type = NULL;
	CHECK(!strcmp(dma_buf_match_device_name(&offer), "none"));
}

static bool converter_is(const struct dma_buf_mapping_type *type,
			 const struct dma_buf_mapping_exp_ops *ops,
			 const char *name)
{
	const struct dma_buf_mapping_match match = { .type = type, .exp_ops = ops };

	return !strcmp(dma_buf_converter_name(&match), name);
}

#define ROWS	"PAL->SGT\tPAL\tSGT\nPAL->DAL\tPAL\tDAL\nSGT->DAL\tSGT\tDAL\n" \
		"PAL->CPU\tPAL\tCPU\nSGT->CPU\tSGT\tCPU\n"

static void test_converter_rows(void)
{
	static const struct dma_buf_converter row = {
		.name = "row", .from = &easy, .to = &curt,
		.ops = (const struct dma_buf_mapping_exp_ops *)&row };
	struct seq_file s = {};

	pair_init();
	dma_buf_converters_show(&s, NULL);
	EQ(strcmp(s.text, ROWS), 0);
	dma_buf_test_converter = &row;
	s.len = 0;
	dma_buf_converters_show(&s, NULL);
	EQ(strcmp(s.text, ROWS "row\teasy\tcurt\n"), 0);
	CHECK(converter_is(&easy, row.ops, "row"));
	CHECK(converter_is(&easy, dma_buf_pal_to_sgt.ops, "PAL->SGT"));
	CHECK(converter_is(&easy, dma_buf_pal_to_dal.ops, "PAL->DAL"));
	CHECK(converter_is(&easy, dma_buf_sgt_to_dal.ops, "SGT->DAL"));
	CHECK(converter_is(&easy, dma_buf_pal_to_cpu.ops, "PAL->CPU"));
	CHECK(converter_is(&easy, dma_buf_sgt_to_cpu.ops, "SGT->CPU"));
	CHECK(converter_is(&easy, &nothing.ops, "none"));
	CHECK(converter_is(&easy, NULL, "none"));
	/* Without a match the ops are of nobody */
	CHECK(converter_is(NULL, row.ops, "none"));
	dma_buf_test_converter = NULL;
	CHECK(converter_is(&easy, row.ops, "none"));
}

const struct test match_tests[] = {
	{ "match: arguments that are missing", test_bad_arguments },
	{ "match: nothing is offered", test_no_offer },
	{ "match: offers that are wrong", test_bad_offer },
	{ "match: offers that lack a function", test_incomplete_offer },
	{ "match: a request without a type", test_no_type },
	{ "match: offers of a converter that are wrong", test_bad_row },
	{ "match: requests that are wrong", test_bad_request },
	{ "match: each reason has its word", test_p2p_words },
	{ "match: the best of several words is left", test_best_word },
	{ "match: what was better than the match", test_passed_over },
	{ "match: a type that does not say why", test_no_word },
	{ "match: a converter that does not say why", test_no_word_of_a_row },
	{ "match: an exporter that says who cannot map", test_obstacle },
	{ "match: a query without a buffer", test_query },
	{ "match: a verdict that is no errno", test_verdict_is_no_errno },
	{ "match: dies with the lock held", test_lock_is_free },
	{ "match: refusals are told", test_refusals_are_told },
	{ "names: importers", test_names_of_importers },
	{ "names: devices", test_names_of_devices },
	{ "names: rows of the table of converters", test_converter_rows },
	{}
};
