# SPDX-License-Identifier: GPL-2.0
"""One source for old and new kernels: a header with the new names for old kernels."""

import os
import re

from convert_driver import COMPAT

HEADER = """\
/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The names of DMA-buf mapping types for kernels without them, so that one source
 * builds on both. Written by tools/convert --compat. Of the types there is SGT only,
 * and an exporter that offers more needs #ifdef DMA_BUF_IMAPPING_SGT for that.
 */
#ifndef DMA_BUF_COMPAT_H
#define DMA_BUF_COMPAT_H

#include <linux/dma-buf.h>
#include <linux/module.h>
#include <linux/stringify.h>
#include <linux/version.h>

#ifndef DMA_BUF_IMAPPING_SGT

/* Functions, for a driver may have macros of these names */
static inline struct dma_buf_attachment *
dma_buf_sgt_attach(struct dma_buf *dmabuf, struct device *dev)
{
	return dma_buf_attach(dmabuf, dev);
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 7, 0)
static inline struct dma_buf_attachment *
dma_buf_sgt_dynamic_attach(struct dma_buf *dmabuf, struct device *dev,
			   const struct dma_buf_attach_ops *importer_ops,
			   void *importer_priv)
{
	return dma_buf_dynamic_attach(dmabuf, dev, importer_ops, importer_priv);
}
#else
#define dma_buf_sgt_dynamic_attach	dma_buf_dynamic_attach
#endif

static inline struct sg_table *
dma_buf_sgt_map_attachment(struct dma_buf_attachment *attach,
			   enum dma_data_direction dir)
{
	return dma_buf_map_attachment(attach, dir);
}

static inline void
dma_buf_sgt_unmap_attachment(struct dma_buf_attachment *attach,
			     struct sg_table *sgt, enum dma_data_direction dir)
{
	dma_buf_unmap_attachment(attach, sgt, dir);
}

/* For an older kernel that has the functions all the same: define this in Kbuild */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0) && !defined(DMA_BUF_COMPAT_HAS_UNLOCKED)
#define DMA_BUF_COMPAT_HAS_UNLOCKED
#endif

static inline struct sg_table *
dma_buf_sgt_map_attachment_unlocked(struct dma_buf_attachment *attach,
				    enum dma_data_direction dir)
{
#ifdef DMA_BUF_COMPAT_HAS_UNLOCKED
	return dma_buf_map_attachment_unlocked(attach, dir);
#else
	return dma_buf_map_attachment(attach, dir);
#endif
}

static inline void
dma_buf_sgt_unmap_attachment_unlocked(struct dma_buf_attachment *attach,
				      struct sg_table *sgt,
				      enum dma_data_direction dir)
{
#ifdef DMA_BUF_COMPAT_HAS_UNLOCKED
	dma_buf_unmap_attachment_unlocked(attach, sgt, dir);
#else
	dma_buf_unmap_attachment(attach, sgt, dir);
#endif
}

/* The two fields of struct dma_buf_ops. Other fields may stand around them. */
#define DMA_BUF_SIMPLE_SGT_EXP_MATCH(_map, _unmap)	\\
	.map_dma_buf = (_map),				\\
	.unmap_dma_buf = (_unmap)

static inline bool dma_buf_is_sgt(const struct dma_buf_attachment *attach)
{
	return true;
}

static inline struct device *
dma_buf_sgt_dma_device(const struct dma_buf_attachment *attach)
{
	return attach->dev;
}

/* Here the importer's wish, which the exporter's attach callback may deny */
static inline bool
dma_buf_sgt_p2p_allowed(const struct dma_buf_attachment *attach)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 8, 0)
	return attach->peer2peer;
#else
	return false;
#endif
}

#endif /* DMA_BUF_IMAPPING_SGT */

/* MODULE_IMPORT_NS("DMA_BUF") as each kernel wants it; write a ; behind it */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define DMA_BUF_COMPAT_IMPORT_NS()	MODULE_IMPORT_NS("DMA_BUF")
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(5, 16, 0)
#define DMA_BUF_COMPAT_IMPORT_NS()	MODULE_IMPORT_NS(DMA_BUF)
#else
#define DMA_BUF_COMPAT_IMPORT_NS()	MODULE_INFO(dma_buf_compat, "1")
#endif

#endif /* DMA_BUF_COMPAT_H */
"""
NEW_NAMES = re.compile(r"\bdma_buf_(?:sgt_\w+|is_sgt)\b|\bDMA_BUF_(?:SIMPLE_SGT_EXP_MATCH|COMPAT_IMPORT_NS)\b")
KERNEL_NAMES = re.compile(NEW_NAMES.pattern + r"|\bDMA_BUF_[EI]MAPPING_\w+|\bdma_buf_(?:get_sgt_ops|match_mapping|mapping_\w+)\b")


def uses(source, names=NEW_NAMES):
    """Does the code, or a macro, use a new name?"""
    return any(token.kind == "id" and names.fullmatch(token.text)
               for f in source.fragments() for token in f.tokens)


def included(source, header):
    """The edit that includes the header: below the last #include at the top, or below the guard."""
    name = os.path.relpath(header, source.path.parent)
    if source.path.name == COMPAT or any(d.word == "include" and COMPAT in d.rest for d in source.directives):
        return None
    tops = list(top_includes(source))
    newline = source.newline()
    if tops:
        at = source.text.find("\n", tops[-1].end)
        at = len(source.text) if at < 0 else at + 1
    else:
        at = behind_guard(source)
    return at, at, f'#include "{name}"{newline}'


def top_includes(source):
    """Those before the code, outside of #if; a header's guard does not count."""
    depth, guard = 0, guard_of(source)
    for d in source.directives:
        if d.at > 0 and not is_prelude(source, d):
            return
        depth += (d.word.startswith("if") and d is not guard) - (d.word == "endif")
        if d.word == "include" and depth == 0:
            yield d


def is_prelude(source, d):
    """Only declarations without a body before it: extern, forward declarations, typedefs."""
    return "{" not in {token.text for token in source.code.tokens[:d.at]}


def guard_of(source):
    first = source.directives[0] if source.directives else None
    return first if first and first.word == "ifndef" and first.at == 0 and len(source.directives) > 1 and \
        source.directives[1].word == "define" else None


def behind_guard(source):
    if guard_of(source):
        at = source.text.find("\n", source.directives[1].end)
    elif source.code.tokens:
        at = source.text.rfind("\n", 0, min([source.code.tokens[0].start, *(d.start for d in source.directives)]))
    else:
        at = len(source.text) - 1
    return at + 1
