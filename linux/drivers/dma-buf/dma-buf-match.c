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

/**
 * dma_buf_match_mapping - pick the mapping type of a new attachment
 * @args:	[in]	the attach, as passed to &dma_buf_ops.match_mapping
 * @exp:	[in]	the exporter's offers, the best one first
 * @exp_len:	[in]	number of offers; 0 if there is none for this importer
 *
 * Called by exporters from their &dma_buf_ops.match_mapping callback. Tries
 * every request of the importer against the first offer, then against the
 * second, and so on, and records the first pair that fits in
 * &dma_buf_attachment.map_type.
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
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_match_mapping, "DMA_BUF");
