// SPDX-License-Identifier: GPL-2.0-only
/*
 * What came of the last import of a buffer, for the process that tried it.
 *
 * An errno cannot tell one refusal from another, and the caller of a V4L2 or
 * iommufd ioctl sees nothing else. Each buffer keeps the last reason why it was
 * not imported, or not in the best way. Whoever made the attempt can read it,
 * without privileges and without tracing, and nobody else can.
 */
#include <linux/cleanup.h>
#include <linux/dma-buf.h>
#include <linux/minmax.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <uapi/linux/dma-buf.h>

#include "dma-buf-converter.h"

struct dma_buf_outcome_record {
	struct pid *process;
	struct dma_buf_outcome outcome;
};

/* Protects &dma_buf.outcome of all buffers */
static DEFINE_SPINLOCK(dma_buf_outcome_lock);

static void
dma_buf_outcome_free_record(struct dma_buf_outcome_record *record)
{
	if (!record)
		return;
	put_pid(record->process);
	kfree(record);
}

/* Keep @record, or nothing, instead of what is there */
static void dma_buf_outcome_replace(struct dma_buf *dmabuf,
				    struct dma_buf_outcome_record *record)
{
	scoped_guard(spinlock_irqsave, &dma_buf_outcome_lock)
		swap(dmabuf->outcome, record);
	dma_buf_outcome_free_record(record);
}

/* For the release of the buffer */
void dma_buf_outcome_free(struct dma_buf *dmabuf)
{
	dma_buf_outcome_free_record(dmabuf->outcome);
}

/* The current process starts a new import: what it was told is no longer true */
void dma_buf_outcome_clear(struct dma_buf *dmabuf)
{
	struct dma_buf_outcome told;

	if (dma_buf_outcome_get(dmabuf, &told))
		dma_buf_outcome_replace(dmabuf, NULL);
}

/*
 * Keep @why for the current process. Without memory the word is lost, not the
 * import.
 */
void dma_buf_outcome_set(struct dma_buf *dmabuf, const char *type,
			 const char *why, int err)
{
	struct dma_buf_outcome_record *record;

	record = kzalloc_obj(*record, GFP_NOWAIT | __GFP_NOWARN);
	if (!record)
		return;

	record->process = get_pid(task_tgid(current));
	record->outcome.error = err;
	strscpy(record->outcome.type, type);
	strscpy(record->outcome.why, why);
	dma_buf_outcome_replace(dmabuf, record);
}

/* As dma_buf_outcome_set(), unless the same failure has been given a word */
void dma_buf_outcome_add(struct dma_buf *dmabuf, const char *type,
			 const char *why, int err)
{
	struct dma_buf_outcome told;

	if (!dma_buf_outcome_get(dmabuf, &told) || told.error != err)
		dma_buf_outcome_set(dmabuf, type, why, err);
}

/* Is there a word for the current process, and what is it? */
bool dma_buf_outcome_get(struct dma_buf *dmabuf, struct dma_buf_outcome *told)
{
	guard(spinlock_irqsave)(&dma_buf_outcome_lock);
	if (!dmabuf->outcome ||
	    dmabuf->outcome->process != task_tgid(current))
		return false;
	*told = dmabuf->outcome->outcome;
	return true;
}

/* DMA_BUF_IOCTL_OUTCOME */
long dma_buf_outcome_ioctl(struct dma_buf *dmabuf, void __user *arg)
{
	struct dma_buf_outcome told;

	if (!dma_buf_outcome_get(dmabuf, &told))
		return -ENODATA;
	return copy_to_user(arg, &told, sizeof(told)) ? -EFAULT : 0;
}
