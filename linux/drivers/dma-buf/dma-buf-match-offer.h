/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMA-buf mapping types: one offer against all requests. Inline, because every
 * attach runs through it, most often with one offer and the one request that
 * fits. Private to the core.
 */
#ifndef __DMA_BUF_MATCH_OFFER_H__
#define __DMA_BUF_MATCH_OFFER_H__

#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/lockdep.h>

#include <trace/events/dma_buf_mapping.h>

void dma_buf_trace_verdict(const struct dma_buf *dmabuf,
			   const struct dma_buf_mapping_match *exp,
			   const struct dma_buf_mapping_match *imp,
			   const char *verdict, int err);
int dma_buf_stop_match(struct dma_buf_match_args *args,
		       const struct dma_buf_mapping_match *exp,
		       const struct dma_buf_mapping_match *imp, int err);
int dma_buf_match_all_converted(struct dma_buf_match_args *args,
				const struct dma_buf_mapping_match *exp,
				size_t exp_len);

#define NO_COMMON_TYPE "no-common-type"

static __always_inline int
dma_buf_match_pair(struct dma_buf *dmabuf,
		   const struct dma_buf_mapping_type *type,
		   const struct dma_buf_mapping_match *exp,
		   const struct dma_buf_mapping_match *imp)
{
	/* The caller has read @type from @exp already */
	if (type != imp->type) {
		if (WARN_ON(!imp->type))
			return -EINVAL;
		if (!dmabuf || trace_dma_buf_match_enabled())
			dma_buf_match_refuse(dmabuf, exp, imp, NO_COMMON_TYPE);
		return -EOPNOTSUPP;
	}
	if (!type->match)
		return 0;
	return type->match(dmabuf, exp, imp);
}

/*
 * Find the first request that fits this offer, which has a type. Nobody changes
 * the arguments meanwhile, so read what most attaches need only once.
 */
static __always_inline int
dma_buf_match_offer(struct dma_buf_match_args *args,
		    const struct dma_buf_mapping_match *exp)
{
	const struct dma_buf_mapping_match *imp = args->imp_matches;
	struct dma_buf_attachment *attach = args->attach;
	const struct dma_buf_mapping_type *type = exp->type;
	struct dma_buf *dmabuf = args->dmabuf;
	int ret;

	do {
		ret = dma_buf_match_pair(dmabuf, type, exp, imp);
		if (likely(!ret)) {
			if (trace_dma_buf_match_enabled())
				dma_buf_trace_verdict(dmabuf, exp, imp,
						      "match", 0);
			attach->map_type = *exp;
			if (dmabuf && type->finish_match)
				type->finish_match(args, exp, imp);
			return 0;
		}
		if (ret != -EOPNOTSUPP)
			return dma_buf_stop_match(args, exp, imp, ret);
	} while (++imp < args->imp_matches + args->imp_len);
	return -EOPNOTSUPP;
}

/* dma_buf_match_mapping() for exporters with a single offer */
static __always_inline int
dma_buf_match_single(struct dma_buf_match_args *args,
		     const struct dma_buf_mapping_match *exp)
{
	int ret;

	might_sleep();
	lockdep_assert_not_held(&args->dmabuf->resv->lock.base);

	ret = dma_buf_match_offer(args, exp);
	if (ret != -EOPNOTSUPP)
		return ret;
	return dma_buf_match_all_converted(args, exp, 1);
}

#endif /* __DMA_BUF_MATCH_OFFER_H__ */
