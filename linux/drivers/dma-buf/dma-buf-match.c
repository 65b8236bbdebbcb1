// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA-buf mapping types: pick the pair of an exporter's offer and an importer's
 * request.
 *
 * Matching runs before the exporter's attach callback and takes nothing, so
 * there is nothing to undo if no pair fits. Only a match makes the attach take
 * a reference, to the module of the type. Matching runs without the reservation
 * lock, because a type may have to walk the PCI hierarchy.
 */
#include <linux/dma-buf.h>
#include <linux/device.h>
#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/lockdep.h>
#include <linux/seq_file.h>

#include "dma-buf-converter.h"
#include "dma-buf-match-offer.h"

#define CREATE_TRACE_POINTS
#include <trace/events/dma_buf_mapping.h>

/* Modules with their own mapping type trace their maps and unmaps */
EXPORT_TRACEPOINT_SYMBOL_GPL(dma_buf_map);
EXPORT_TRACEPOINT_SYMBOL_GPL(dma_buf_unmap);

/* Each has its own file */
static const struct dma_buf_converter *const dma_buf_converters[] = {
	&dma_buf_pal_to_sgt,
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
static const struct dma_buf_converter *
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

/*
 * For display: the importer. Without a device, name the function that tells the
 * importer to unmap.
 */
void dma_buf_importer_name(const struct dma_buf_attachment *attach, char *name)
{
	struct device *dev = dma_buf_match_device(&attach->map_type);
	const struct dma_buf_attach_ops *ops = attach->importer_ops;
	const size_t size = DMA_BUF_IMPORTER_NAME_LEN;

	if (dev)
		strscpy(name, dev_name(dev), size);
	else if (ops && ops->invalidate_mappings)
		scnprintf(name, size, "%ps", ops->invalidate_mappings);
	else
		strscpy(name, "none", size);
}

/* Without a buffer it is the request of a query, which wants to know */
static void dma_buf_match_answer(const struct dma_buf_mapping_match *imp,
				 const char *why)
{
	struct dma_buf_match_query *query =
		container_of((struct dma_buf_mapping_match *)imp,
			     struct dma_buf_match_query, request);

	/* Pairs that did meet tell more than those that did not */
	if (!query->why || strcmp(why, NO_COMMON_TYPE))
		query->why = why;
}

/**
 * dma_buf_match_refuse - refuse a pair, and say why
 * @dmabuf:	[in]	the buffer, or NULL
 * @exp:	[in]	the offer
 * @imp:	[in]	the request
 * @why:	[in]	the reason as one word, such as "foreign-link"
 *
 * For &dma_buf_mapping_type.match, as only that callback knows the reason. The
 * reason ends up in the trace event dma_buf_match; if a callback returns a bare
 * -EOPNOTSUPP, the trace lacks the pair.
 *
 * Context: As &dma_buf_mapping_type.match.
 *
 * Return: -EOPNOTSUPP.
 */
int dma_buf_match_refuse(const struct dma_buf *dmabuf,
			 const struct dma_buf_mapping_match *exp,
			 const struct dma_buf_mapping_match *imp,
			 const char *why)
{
	if (dmabuf)
		trace_dma_buf_match(dmabuf, exp, imp, why, -EOPNOTSUPP);
	else
		dma_buf_match_answer(imp, why);
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
 * up in the trace event dma_buf_refuse.
 *
 * Context: Any.
 *
 * Return: @err.
 */
int dma_buf_attach_refuse(const struct dma_buf_attachment *attach,
			  const char *why, int err)
{
	trace_dma_buf_refuse(attach, why, err);
	return err;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_attach_refuse, "DMA_BUF");

/*
 * Out of line like all functions of its kind: disabled events cost a nop and no
 * registers.
 */
noinline void dma_buf_trace_verdict(const struct dma_buf *dmabuf,
				    const struct dma_buf_mapping_match *exp,
				    const struct dma_buf_mapping_match *imp,
				    const char *verdict, int err)
{
	if (dmabuf)
		trace_dma_buf_match(dmabuf, exp, imp, verdict, err);
}

/* The search ends with this pair. A positive verdict is not a match */
noinline int dma_buf_stop_match(struct dma_buf_match_args *args,
				const struct dma_buf_mapping_match *exp,
				const struct dma_buf_mapping_match *imp,
				int err)
{
	if (WARN_ON(err > 0))
		err = -EINVAL;
	dma_buf_trace_verdict(args->dmabuf, exp, imp, "error", err);
	return err;
}

/* For offers that dma_buf_export() has not checked */
static __always_inline int
dma_buf_try_offer(struct dma_buf_match_args *args,
		  const struct dma_buf_mapping_match *exp)
{
	if (WARN_ON(!exp->type))
		return -EINVAL;
	return dma_buf_match_offer(args, exp);
}

/* Find the first converter whose offer fits */
static int dma_buf_match_converted(struct dma_buf_match_args *args,
				   const struct dma_buf_mapping_match *exp)
{
	const struct dma_buf_converter *converter;
	struct dma_buf_mapping_match offer;
	size_t i;
	int ret;

	for (i = 0; (converter = dma_buf_converter_at(i)); i++) {
		if (converter->from != exp->type)
			continue;

		ret = converter->offer(exp, &offer);
		if (!ret)
			ret = dma_buf_try_offer(args, &offer);
		if (!ret)
			args->attach->converted = exp->exp_ops;
		if (ret != -EOPNOTSUPP)
			return ret;
	}
	return -EOPNOTSUPP;
}

/* Every offer by the way of a converter */
noinline int
dma_buf_match_all_converted(struct dma_buf_match_args *args,
			    const struct dma_buf_mapping_match *exp,
			    size_t exp_len)
{
	size_t i;
	int ret;

	for (i = 0; i < exp_len; i++) {
		ret = dma_buf_match_converted(args, &exp[i]);
		if (ret != -EOPNOTSUPP)
			return ret;
	}
	return -EOPNOTSUPP;
}

/* Every offer as it is, and then what converters make of it */
static __always_inline int
dma_buf_match_offers(struct dma_buf_match_args *args,
		     const struct dma_buf_mapping_match *exp, size_t exp_len)
{
	size_t i;
	int ret;

	for (i = 0; i < exp_len; i++) {
		ret = dma_buf_try_offer(args, &exp[i]);
		if (ret != -EOPNOTSUPP)
			return ret;
	}
	return dma_buf_match_all_converted(args, exp, exp_len);
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
	};
	int ret;

	might_sleep();

	query->why = exp_len ? NULL : "no-offer";
	ret = dma_buf_match_offers(&args, exp, exp_len);
	/* A pair that was refused is not why another one ends the search */
	if (ret != -EOPNOTSUPP)
		query->why = NULL;
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
