# SPDX-License-Identifier: GPL-2.0
"""Edits put into a text, and the lines behind a bracket that moved."""

import bisect

from convert_code import indentation


def with_edits(text, edits):
    """The text with (start, end, new) put in; of two for the same place, the first one first."""
    parts, at = [], 0
    for start, end, new in in_order(edits):
        parts += [text[at:start], new]
        at = max(at, end)
    return "".join([*parts, text[at:]])


def in_order(edits):
    """Without those that are inside of a longer one."""
    result = []
    for edit in sorted(edits, key=lambda e: (e[0], e[1] > e[0] and e[2] == "", e[1])):
        if result and edit[0] < result[-1][1]:
            if edit[1] > result[-1][1]:
                result[-1] = edit
            continue
        result.append(edit)
    return result


class Moved:
    """Where an offset of the old text is in the new one."""

    def __init__(self, edits):
        self.starts, self.shifts, shift = [], [], 0
        for start, end, new in in_order(edits):
            shift += len(new) - (end - start)
            self.starts.append(end)
            self.shifts.append(shift)

    def __call__(self, offset):
        i = bisect.bisect_right(self.starts, offset) - 1
        return offset + (self.shifts[i] if i >= 0 else 0)


def column(text, offset):
    return len(text[text.rfind("\n", 0, offset) + 1:offset].expandtabs())


def aligned(source, edits, after):
    """Lines that stood below what follows a bracket stand there again."""
    moved, found, gone = Moved(edits), [], in_order(edits)
    f = source.code
    for n in range(1, len(f.tokens)):
        token, opener = f.tokens[n], f.up[n]
        if opener < 0 or f.text(opener) != "(" or token.text in ("}", ")") or source.line(token.start) == source.line(f.tokens[n - 1].end):
            continue
        old = f.tokens[opener].end
        if source.column(token.start) == source.column(old) and near(source, edits, old) and \
                not any(start < token.start < end for start, end, _ in gone):
            found.append((moved(old - 1) + 1, moved(token.start)))
    for n in range(len(found)):
        after = realigned(after, found, n)
    return after


def near(source, edits, offset):
    """Was the line of this bracket edited?"""
    line = source.line(offset)
    return any(source.line(start) == line for start, _, _ in edits)


def realigned(text, found, n):
    """Indent a line for its bracket. Whatever is behind it moves, in the text and in `found`."""
    bracket, line = found[n]
    start = text.rfind("\n", 0, line) + 1
    old = text[start:line]
    if old.strip():
        return text
    new = indentation(column(text, bracket), "\t" in old or not old)
    shift = len(new) - len(old)
    found[n + 1:] = [(b + shift * (b > start), at + shift * (at > start)) for b, at in found[n + 1:]]
    return text[:start] + new + text[line:]
