// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA-buf mapping types: pick the pair of an exporter's offer and an importer's
 * request.
 *
 * Matching runs before the exporter's attach callback and takes nothing, so
 * that a failing attach has nothing to undo. It also runs without the
 * reservation lock, because the type of exporter that needs P2P has to walk the
 * PCI hierarchy.
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/lockdep.h>

#include "dma-buf-converter.h"

/* Each is a file of its own */
static const struct dma_buf_converter *const dma_buf_converters[] = {
	NULL
};

#if IS_ENABLED(CONFIG_DMABUF_KUNIT_TEST)
const struct dma_buf_converter *dma_buf_test_converter;
EXPORT_SYMBOL_FOR_MODULES(dma_buf_test_converter, "dmabuf_kunit");
#endif

/* The rows of the table, then the one of the tests, then NULL */
static const struct dma_buf_converter *dma_buf_converter_at(size_t i)
{
	const size_t end = ARRAY_SIZE(dma_buf_converters) - 1;

#if IS_ENABLED(CONFIG_DMABUF_KUNIT_TEST)
	if (i == end)
		return dma_buf_test_converter;
#endif
	return i < end ? dma_buf_converters[i] : NULL;
}

/* The converter that serves an attachment, NULL if it has what was offered */
const struct dma_buf_converter *
dma_buf_converter_of(const struct dma_buf_attachment *attach)
{
	const struct dma_buf_converter *converter;
	size_t i;

	for (i = 0; attach->converted && (converter = dma_buf_converter_at(i)); i++)
		if (converter->ops == attach->map_type.exp_ops)
			return converter;
	return NULL;
}

static int dma_buf_match_pair(struct dma_buf *dmabuf,
			      const struct dma_buf_mapping_match *exp,
			      const struct dma_buf_mapping_match *imp)
{
	int ret;

	if (exp->type != imp->type)
		return -EOPNOTSUPP;
	if (!exp->type->match)
		return 0;

	ret = exp->type->match(dmabuf, exp, imp);
	/* A verdict that is no errno must not pass for a match */
	if (WARN_ON(ret > 0))
		return -EINVAL;
	return ret;
}

static void dma_buf_finish_match(struct dma_buf_match_args *args,
				 const struct dma_buf_mapping_match *exp,
				 const struct dma_buf_mapping_match *imp)
{
	args->attach->map_type = *exp;
	if (exp->type->finish_match)
		exp->type->finish_match(args, exp, imp);
}

/* The first request that fits this offer */
static int dma_buf_match_offer(struct dma_buf_match_args *args,
			       const struct dma_buf_mapping_match *exp)
{
	size_t i;
	int ret;

	if (WARN_ON(!exp->type))
		return -EINVAL;

	for (i = 0; i < args->imp_len; i++) {
		const struct dma_buf_mapping_match *imp = &args->imp_matches[i];

		ret = dma_buf_match_pair(args->dmabuf, exp, imp);
		if (ret == -EOPNOTSUPP)
			continue;
		if (!ret)
			dma_buf_finish_match(args, exp, imp);
		return ret;
	}
	return -EOPNOTSUPP;
}

/* The first converter that makes an offer of it which fits */
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
			ret = dma_buf_match_offer(args, &offer);
		if (!ret)
			args->attach->converted = exp->exp_ops;
		if (ret != -EOPNOTSUPP)
			return ret;
	}
	return -EOPNOTSUPP;
}

/**
 * dma_buf_match_mapping - pick the mapping type of a new attachment
 * @args:	[in]	the attach, as passed to &dma_buf_ops.match_mapping
 * @exp:	[in]	the exporter's offers, the best one first
 * @exp_len:	[in]	number of offers; 0 if there is none for this importer
 *
 * Called by exporters from their &dma_buf_ops.match_mapping callback. Tries
 * every request of the importer against the first offer, then against the
 * second, and so on, and records the first pair that fits in
 * &dma_buf_attachment.map_type. If none does, converters are tried in the same
 * order.
 *
 * Context: May sleep. The dma-buf reservation lock must not be held.
 *
 * Return: 0 on success, -EOPNOTSUPP if no pair fits, or the error code with
 * which a mapping type's match callback has stopped the search.
 */
int dma_buf_match_mapping(struct dma_buf_match_args *args,
			  const struct dma_buf_mapping_match *exp,
			  size_t exp_len)
{
	size_t i;
	int ret;

	might_sleep();

	if (WARN_ON(!args || !args->dmabuf || !args->attach ||
		    !args->imp_matches || (exp_len && !exp)))
		return -EINVAL;

	lockdep_assert_not_held(&args->dmabuf->resv->lock.base);

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
EXPORT_SYMBOL_NS_GPL(dma_buf_match_mapping, "DMA_BUF");
