/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hints for spatch (--macro-file) on kernel macros that its C parser cannot
 * read by itself.  A function that does not parse is skipped silently, so a
 * macro that is missing here loses edits: the gates of the steps catch that.
 * Read in addition to coccinelle's own standard.h.
 */

/* A statement follows, as after for (...) */
#define scoped_guard YACFE_ITERATOR
#define scoped_cond_guard YACFE_ITERATOR
#define scoped_user_read_access YACFE_ITERATOR
#define xe_validation_guard YACFE_ITERATOR
#define drm_exec_until_all_locked YACFE_ITERATOR

/* Attributes behind a struct member or a declaration: nothing, for us */
#define __counted_by(x)
#define __counted_by_ptr(x)
#define __counted_by_le(x)
#define __guarded_by(x)

/* Builds the name of the function that it defines */
#define UVERBS_HANDLER(x) YACFE_IDENT_BUILDER
