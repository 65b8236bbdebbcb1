# SPDX-License-Identifier: GPL-2.0
"""The code that tools/convert suggests, with the names of the driver in it."""

import re


def indentation(column, tabs):
    return "\t" * (column // 8) + " " * (column % 8) if tabs else " " * column


def test_for_both(d, names):
    """A feature test that says yes on kernels with mapping types as well."""
    new = "DMA_BUF_IMAPPING_SGT"
    word = d.word.replace("def", "").replace("ifn", "if")
    if d.word.endswith("ndef"):
        return f"#{word} !defined({names[0]}) && !defined({new})"
    if d.word.endswith("def"):
        return f"#{word} defined({names[0]}) || defined({new})"
    rest = " ".join(d.rest.split())
    for name in names:
        test = rf"defined\s*\(\s*{name}\s*\)|defined\s+{name}\b|\b{name}\b"
        whole = re.fullmatch(test, rest)
        found = re.search(test, rest)
        both = f"{found[0]} || defined({new})"
        rest = rest[:found.start()] + (both if whole else f"({both})") + rest[found.end():]
    return f"#{word} {rest}"


def stem(name):
    """my_dma_buf_ops -> my"""
    return re.sub(r"_?(dma_?buf|prime)?_?ops$", "", name) or "my"


def ops(name, mapped, unmapped):
    return f"static const struct dma_buf_mapping_sgt_exp_ops {name} = {{\n" \
        f"\t.map_dma_buf = {mapped},\n\t.unmap_dma_buf = {unmapped},\n}};\n"


def offer_at_file_scope(name, mapped, unmapped, assigned=""):
    """For an initialiser inside a function, or for what is assigned to a member of `assigned`."""
    base = stem(name)
    where = f"{assigned}single_exporter_match = &{base}_match;" if assigned else f".single_exporter_match = &{base}_match,"
    return ops(f"{base}_sgt_ops", mapped, unmapped) + \
        f"static const struct dma_buf_mapping_match {base}_match = {{\n\t.type = &dma_buf_mapping_sgt_type,\n" \
        f"\t.exp_ops = &{base}_sgt_ops.ops,\n}};\n\nand in the function\n\n{where}"


def p2p_offer(table, source, use):
    """What an exporter of device memory writes instead of its test of peer2peer."""
    name, mapped, unmapped = table
    base = stem(name)
    buffer = re.search(r"^\s+((?:struct\s+)?\w+)\s*\*\s*(\w+)\s*=\s*\w+(?:->dmabuf)?->priv;", source.text, re.M)
    kind, variable = (buffer[1], buffer[2]) if buffer else (f"struct {base}_buffer", "buf")
    return ops(f"{base}_sgt_ops", mapped, unmapped) + f"""
static int {base}_match_mapping(struct dma_buf_match_args *args)
{{
	{kind} *{variable} = args->dmabuf->priv;
	const struct dma_buf_mapping_match offers[] = {{
		DMA_BUF_EMAPPING_SGT_P2P(&{base}_sgt_ops, {pci_device(source) or variable + "->pdev"}),
		DMA_BUF_EMAPPING_SGT(&{base}_sgt_ops),	/* if the buffer can be in system memory */
	}};

	return dma_buf_match_mapping(args, offers, ARRAY_SIZE(offers));
}}

with .match_mapping = {base}_match_mapping instead of the two callbacks in {name}, and where it maps
{use}"""


def pci_device(source):
    """What the driver asks the distance from: the device that has the memory."""
    f = source.code
    for i, token in enumerate(f.tokens):
        if token.text in ("pci_p2pdma_distance", "pci_p2pdma_distance_many") and f.text(i + 1) == "(":
            for first, last in f.split(i + 2, f.close(i + 1)):
                return source.text[f.tokens[first].start:f.tokens[last].end]
    return ""
