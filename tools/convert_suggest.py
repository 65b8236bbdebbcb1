# SPDX-License-Identifier: GPL-2.0
"""Where a driver does by hand what a view of mapping types does for it."""

import re
from dataclasses import dataclass

HOWTO = "Documentation/driver-api/dma-buf-mapping.rst"
# A loop over a scatterlist of the driver's own memory is another matter
IMPORTS = re.compile(r"dma_buf_(?:sgt_)?(?:dynamic_)?(?:attach|map_attachment)|import_attach|prime_import_sg")
LOOP = re.compile(r"for_each_(?:sg|sgtable_\w+|sg_\w+)$")


@dataclass
class Hint:
    line: int
    function: str
    text: str


KINDS = (
    ("contiguous", "tests whether the buffer is contiguous for the device: the view DAL answers that, "
     "dma_buf_dal_contiguous()"),
    ("addresses", "fills an array with DMA addresses: with the view DAL the importer walks runs, "
     "dma_buf_dal_next(), and needs no array"),
    ("clone", "copies a scatterlist: the view DAL maps a slice for another device of the importer, "
     "dma_buf_dal_map_for()"),
    ("physical", "takes physical addresses or pages out of a scatterlist, which the contract forbids: "
     "request PAL, or the view CPU to copy"),
)


def kind_of(words, text):
    """What the body of a loop over a scatterlist does."""
    if words & {"sg_set_page", "sg_assign_page"} and "sg_page" in words:
        return "clone"
    if "sg_phys" in words or "sg_virt" in words or "page_to_phys" in words:
        return "physical"
    takes = words & {"sg_dma_address", "sg_page_iter_dma_address", "dma_address"}
    if takes and re.search(r"\]\s*=[^=]|\*\s*\w+\+\+\s*=[^=]", text):
        return "addresses"
    if takes and "!=" in text:
        return "contiguous"
    return ""


def function_at(f, i):
    """The name of the function around a token."""
    brace = f.body(i)
    while brace > 0 and f.text(brace) != ")":
        brace -= 1
    return f.text(f.match.get(brace, 0) - 1)


def hints(source, statement_end):
    """What could be a view, one for each loop."""
    f, imports = source.code, IMPORTS.search(source.text)
    for i, token in enumerate(f.tokens):
        if LOOP.match(token.text) and f.text(i + 1) == "(" and f.body(i) >= 0:
            body = f.close(i + 1) + 1
            end = statement_end(f, body)
            text = source.text[f.tokens[body].start:f.tokens[end].end] if body < len(f.tokens) else ""
            kind = kind_of({t.text for t in f.tokens[body:end + 1]}, text)
            if kind == "clone" or kind and imports:
                yield Hint(source.line(token.start), function_at(f, i), dict(KINDS)[kind])
