// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA-buf mapping types: pick the pair of an exporter's offer and an importer's
 * request.
 *
 * Matching runs before the exporter's attach callback and takes nothing, so
 * there is nothing to undo if no pair fits. It runs without the reservation
 * lock, because a type may have to walk the PCI hierarchy.
 *
 * An offer is looked at here, where it is used, and not at export: drivers
 * change &dma_buf.ops later.
 */
#include <linux/dma-buf.h>
#include <linux/device.h>
#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/lockdep.h>
#include <linux/seq_file.h>

#include "dma-buf-converter.h"

#define CREATE_TRACE_POINTS
#include <trace/events/dma_buf_mapping.h>

/* Modules with their own mapping type trace their maps and unmaps */
EXPORT_TRACEPOINT_SYMBOL_GPL(dma_buf_map);
EXPORT_TRACEPOINT_SYMBOL_GPL(dma_buf_unmap);

#define NO_COMMON_TYPE	"no-common-type"

/* Every importer keeps an attachment, and pays for its size */
static_assert(sizeof(struct dma_buf_attachment) <= 96);

/* Each has its own file */
static const struct dma_buf_converter *const dma_buf_converters[] = {
	&dma_buf_pal_to_sgt,
	&dma_buf_pal_to_dal,
	&dma_buf_sgt_to_dal,
	&dma_buf_pal_to_cpu,
	&dma_buf_sgt_to_cpu,
	NULL
};

#if IS_ENABLED(CONFIG_DMABUF_KUNIT_TEST)
const struct dma_buf_converter *dma_buf_test_converter;
EXPORT_SYMBOL_FOR_MODULES(dma_buf_test_converter, "dmabuf_kunit");
#endif

/* The rows of the table, then the tests' converter, then NULL */
static const struct dma_buf_converter *dma_buf_converter_at(size_t i)
{
	const size_t end = ARRAY_SIZE(dma_buf_converters) - 1;

#if IS_ENABLED(CONFIG_DMABUF_KUNIT_TEST)
	if (i == end)
		return dma_buf_test_converter;
#endif
	return i < end ? dma_buf_converters[i] : NULL;
}

/* The converter that these ops belong to, NULL if they are an exporter's */
const struct dma_buf_converter *
dma_buf_converter_by_ops(const struct dma_buf_mapping_exp_ops *ops)
{
	const struct dma_buf_converter *converter;
	size_t i;

	for (i = 0; ops && (converter = dma_buf_converter_at(i)); i++)
		if (converter->ops == ops)
			return converter;
	return NULL;
}

/* For display: the converter that made the offer of a match, or "none" */
const char *dma_buf_converter_name(const struct dma_buf_mapping_match *match)
{
	const struct dma_buf_converter *converter = NULL;

	if (match->type)
		converter = dma_buf_converter_by_ops(match->exp_ops);
	return converter ? converter->name : "none";
}

/* dma_buf/converters in debugfs: name, from and to of each row of the table */
int dma_buf_converters_show(struct seq_file *s, void *unused)
{
	const struct dma_buf_converter *converter;
	size_t i;

	for (i = 0; (converter = dma_buf_converter_at(i)); i++)
		seq_printf(s, "%s\t%s\t%s\n", converter->name,
			   converter->from->name, converter->to->name);
	return 0;
}

/* For display: the name of the matched type, or "none" if the attach failed */
const char *dma_buf_match_type_name(const struct dma_buf_mapping_match *match)
{
	return match->type ? match->type->name : "none";
}

static struct device *
dma_buf_match_device(const struct dma_buf_mapping_match *match)
{
	if (!match->type || !match->type->device)
		return NULL;
	return match->type->device(match);
}

/* For display: the device of an offer or a request, or "none" */
const char *
dma_buf_match_device_name(const struct dma_buf_mapping_match *match)
{
	struct device *dev = dma_buf_match_device(match);

	return dev ? dev_name(dev) : "none";
}

/* For display: the device of the importer, else its name */
const char *dma_buf_importer_name(const struct dma_buf_attachment *attach)
{
	struct device *dev = dma_buf_match_device(&attach->map_type);
	const struct dma_buf_attach_ops *ops = attach->importer_ops;

	if (dev)
		return dev_name(dev);
	return ops && ops->name ? ops->name : "none";
}

/**
 * dma_buf_match_refuse - refuse a pair, and say why
 * @args:	[in]	the attach, as passed to &dma_buf_mapping_type.match
 * @why:	[in]	the reason as one word, such as "foreign-link"; a constant
 *			string
 *
 * For &dma_buf_mapping_type.match, as only that callback knows the reason. It
 * ends up in the trace event dma_buf_match.
 *
 * Context: As &dma_buf_mapping_type.match.
 *
 * Return: -EOPNOTSUPP.
 */
int dma_buf_match_refuse(struct dma_buf_match_args *args, const char *why)
{
	args->why = why;
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_match_refuse, "DMA_BUF");

/**
 * dma_buf_attach_refuse - refuse an attachment or a mapping, and say why
 * @attach:	[in]	the attachment, with the match
 * @why:	[in]	the reason as one word, such as "revoked"
 * @err:	[in]	the error code
 *
 * For exporters, in &dma_buf_ops.attach and in map callbacks. The reason ends
 * up in the trace event dma_buf_refuse, and the process can read it with
 * DMA_BUF_IOCTL_OUTCOME.
 *
 * Context: Any.
 *
 * Return: @err.
 */
int dma_buf_attach_refuse(const struct dma_buf_attachment *attach,
			  const char *why, int err)
{
	trace_dma_buf_refuse(attach, why, err);
	dma_buf_outcome_set(attach->dmabuf,
			    dma_buf_match_type_name(&attach->map_type), why,
			    err);
	return err;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_attach_refuse, "DMA_BUF");

static void dma_buf_match_trace(const struct dma_buf_match_args *args,
				const struct dma_buf_mapping_match *exp,
				const struct dma_buf_mapping_match *imp,
				const char *verdict, int err)
{
	/* Nobody attaches if dma_buf_match_query() asks */
	if (args->dmabuf)
		trace_dma_buf_match(args->dmabuf, exp, imp, verdict, err);
}

static const char *
dma_buf_match_verdict(const struct dma_buf_match_args *args,
		      const struct dma_buf_mapping_match *exp,
		      const struct dma_buf_mapping_match *imp, int err)
{
	if (!err)
		return "match";
	if (err != -EOPNOTSUPP)
		return "error";
	return exp->type == imp->type ? args->why : NO_COMMON_TYPE;
}

/* Does this offer fit this request? */
static int dma_buf_match_pair(struct dma_buf_match_args *args,
			      const struct dma_buf_mapping_match *exp,
			      const struct dma_buf_mapping_match *imp)
{
	const struct dma_buf_mapping_type *type = exp->type;

	if (type != imp->type) {
		/* A pair whose types meet tells more */
		if (!args->why)
			args->why = NO_COMMON_TYPE;
		return -EOPNOTSUPP;
	}
	args->why = "refused";
	return type->match ? type->match(args, exp, imp) : 0;
}

static int dma_buf_match_try(struct dma_buf_match_args *args,
			     const struct dma_buf_mapping_match *exp,
			     const struct dma_buf_mapping_match *imp)
{
	int ret = -EINVAL;

	if (!WARN_ON(!exp->type || !imp->type))
		ret = dma_buf_match_pair(args, exp, imp);
	/* A positive verdict is not a match */
	if (WARN_ON(ret > 0))
		ret = -EINVAL;
	/* The first pair that both sides know would have been the best */
	if (ret == -EOPNOTSUPP && exp->type == imp->type && !args->passed)
		args->passed = args->why;
	dma_buf_match_trace(args, exp, imp,
			    dma_buf_match_verdict(args, exp, imp, ret), ret);
	return ret;
}

/* Find the first request that this offer fits */
static int dma_buf_match_offer(struct dma_buf_match_args *args,
			       const struct dma_buf_mapping_match *exp)
{
	const struct dma_buf_mapping_match *imp = args->imp_matches;
	size_t i;
	int ret;

	for (i = 0; i < args->imp_len; i++, imp++) {
		ret = dma_buf_match_try(args, exp, imp);
		if (ret == -EOPNOTSUPP)
			continue;
		if (ret)
			return ret;

		args->attach->map_type = *exp;
		if (args->dmabuf && exp->type->finish_match)
			exp->type->finish_match(args, exp, imp);
		return 0;
	}
	return -EOPNOTSUPP;
}

/* The first request of this type, NULL if there is none */
static const struct dma_buf_mapping_match *
dma_buf_match_requested(const struct dma_buf_match_args *args,
			const struct dma_buf_mapping_type *type)
{
	size_t i;

	for (i = 0; i < args->imp_len; i++)
		if (args->imp_matches[i].type == type)
			return &args->imp_matches[i];
	return NULL;
}

/* What nobody may have as it is does not become available by a converter */
static int dma_buf_match_unobstructed(struct dma_buf_match_args *args,
				      const struct dma_buf_mapping_match *exp)
{
	if (exp->type != &dma_buf_mapping_pal_type || !exp->pal_data.obstacle)
		return 0;
	return dma_buf_match_refuse(args, exp->pal_data.obstacle);
}

/* Serve the importer from this offer by way of this converter */
static int dma_buf_match_convert(struct dma_buf_match_args *args,
				 const struct dma_buf_mapping_match *exp,
				 const struct dma_buf_converter *converter)
{
	const struct dma_buf_mapping_match *imp;
	struct dma_buf_mapping_match offer;
	int ret;

	args->exp = exp;
	imp = dma_buf_match_requested(args, converter->to);
	if (converter->from != exp->type || !imp)
		return -EOPNOTSUPP;

	args->why = "refused";
	ret = dma_buf_match_unobstructed(args, exp) ?:
	      converter->offer(args, exp, &offer);
	if (ret) {
		dma_buf_match_trace(args, exp, imp, args->why, ret);
		return ret;
	}

	ret = dma_buf_match_offer(args, &offer);
	if (!ret)
		args->attach->converted = exp->exp_ops;
	return ret;
}

/* Find the first converter whose offer fits */
static int dma_buf_match_converted(struct dma_buf_match_args *args,
				   const struct dma_buf_mapping_match *exp)
{
	const struct dma_buf_converter *converter;
	size_t i;
	int ret;

	for (i = 0; (converter = dma_buf_converter_at(i)); i++) {
		ret = dma_buf_match_convert(args, exp, converter);
		if (ret != -EOPNOTSUPP)
			return ret;
	}
	return -EOPNOTSUPP;
}

/* Every offer as it is, and then what converters make of it */
static int dma_buf_match_offers(struct dma_buf_match_args *args,
				const struct dma_buf_mapping_match *exp,
				size_t exp_len)
{
	size_t i;
	int ret;

	for (i = 0; i < exp_len; i++) {
		ret = dma_buf_match_offer(args, &exp[i]);
		if (ret != -EOPNOTSUPP)
			return ret;
	}
	for (i = 0; i < exp_len; i++) {
		ret = dma_buf_match_converted(args, &exp[i]);
		if (ret != -EOPNOTSUPP)
			return ret;
	}
	return -EOPNOTSUPP;
}

/**
 * dma_buf_match_query - what would come of an attach?
 * @query:	[in,out] the importer's request, and the answer
 * @exp:	[in]	the offers that a buffer would make
 * @exp_len:	[in]	number of offers
 *
 * Does what dma_buf_match_mapping() does, for one request and without a buffer.
 * Nothing is taken or traced. An attach may still fail for other reasons, such
 * as a lack of memory.
 *
 * Context: May sleep.
 *
 * Return: What dma_buf_match_mapping() would return.
 */
int dma_buf_match_query(struct dma_buf_match_query *query,
			const struct dma_buf_mapping_match *exp,
			size_t exp_len)
{
	struct dma_buf_attachment attach = {};
	struct dma_buf_match_args args = {
		.attach = &attach,
		.imp_matches = &query->request,
		.imp_len = 1,
		.why = exp_len ? NULL : "no-offer",
	};
	int ret;

	might_sleep();

	ret = dma_buf_match_offers(&args, exp, exp_len);
	query->why = ret == -EOPNOTSUPP ? args.why : NULL;
	query->type = attach.map_type.type;
	return ret;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_match_query, "DMA_BUF");

/**
 * dma_buf_match_mapping - pick the mapping type of a new attachment
 * @args:	[in]	the attach, as passed to &dma_buf_ops.match_mapping
 * @exp:	[in]	the exporter's offers, the best one first
 * @exp_len:	[in]	number of offers; 0 if there is none for this importer
 *
 * Called by exporters from their &dma_buf_ops.match_mapping callback. Tries
 * every request of the importer against the first offer, then against the
 * second, and so on, and records the first pair that fits in
 * &dma_buf_attachment.map_type. If none does, it tries converters in the same
 * order.
 *
 * Context: May sleep. The dma-buf reservation lock must not be held.
 *
 * Return: 0 on success, -EOPNOTSUPP if no pair fits, or the error code with
 * which a mapping type's match callback stopped the search.
 */
int dma_buf_match_mapping(struct dma_buf_match_args *args,
			  const struct dma_buf_mapping_match *exp,
			  size_t exp_len)
{
	might_sleep();

	if (WARN_ON(!args || !args->dmabuf || !args->attach ||
		    !args->imp_matches || !args->imp_len ||
		    (exp_len && !exp)))
		return -EINVAL;

	lockdep_assert_not_held(&args->dmabuf->resv->lock.base);

	if (!exp_len)
		return dma_buf_attach_refuse(args->attach, "no-offer",
					     -EOPNOTSUPP);
	return dma_buf_match_offers(args, exp, exp_len);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_match_mapping, "DMA_BUF");
