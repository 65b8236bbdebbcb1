# SPDX-License-Identifier: GPL-2.0
"""Text files of a driver that are no C: build files and feature tests, for which
an old name is an answer that changes; and documents, for which it is a word."""

import re

from convert_driver import CALLBACK, DOCUMENT, OLD, P2P, SWEEP
from convert_rules import Finding, Marks, new_name

NEW = re.compile(r"DMA_BUF_IMAPPING_SGT|dma_buf_sgt_\w+")


def kind_of(word):
    """(what it is called, what to do) for a hit of the sweep."""
    if re.fullmatch(OLD, word):
        return word, f"the function is called {new_name(word)} now: test for both"
    if re.fullmatch(CALLBACK, word):
        return word, "the member is gone from dma_buf_ops: test for DMA_BUF_IMAPPING_SGT as well"
    if re.fullmatch(P2P, word):
        return "peer2peer", "the member is gone, the match decides about P2P: test for DMA_BUF_IMAPPING_SGT as well"
    return "->dev", "the member is gone: test for DMA_BUF_IMAPPING_SGT as well"


def looked_through(path, text):
    """A finding for each hit; those of one name are one decision."""
    marks, is_document = Marks(text), bool(DOCUMENT.search(path.name))
    # The device of something else is none of our business
    attachments = "dma_buf_attachment" in text
    for number, line in enumerate(text.split("\n"), 1):
        if marks(number, "feature-test") or NEW.search(line):
            continue
        for m in SWEEP.finditer(line):
            word, todo = kind_of(m[0])
            if word == "->dev" and not attachments:
                continue
            if is_document:
                yield Finding(path, number, f"'{word}'", "a document that has an old name", "document", ("document",),
                              note=True)
            else:
                yield Finding(path, number, f"'{word}'", f"an answer that changes: {todo}", "feature-test",
                              (path, "text", word))
