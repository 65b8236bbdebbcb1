# SPDX-License-Identifier: GPL-2.0
"""Semantic patches: spatch, and the layout of the lines that it adds."""

import re
import tempfile
from pathlib import Path

from ktree import Fail, command

SPATCH = ["spatch", "--very-quiet", "--in-place", "--no-show-diff",
          "--include-headers", "--timeout", "120"]
# spatch reports trouble with a file in passing and still exits with 0.
# Whole words: a warning may name the function wait_for_completion_timeout().
TROUBLE = re.compile(r"\b(EXN|parse error|exception|skipping|fatal|timeout|failure"
                     r"|already tagged|incompatible|cannot|no such)\b|error:", re.I)


def run(tree, macros, patch, rule, files):
    """Run a rule of a step on files of a tree; each must change that is listed by name."""
    before = {name: (tree.path / name).read_bytes() for name in files}
    spatch(tree, macros, patch, rule, files)
    left = [f for f in files if (tree.path / f).read_bytes() == before[f]]
    if left == files or (left and "files" in rule):
        raise Fail(f"{left[0]}: {patch.name} changes nothing in it: adapt it to this tree")
    if rule.get("format", True):
        layout(tree, {f: before[f] for f in files if f not in left})


def spatch(tree, macros, patch, rule, files):
    # From an empty directory: the kernel's .cocciconfig says --use-gitgrep,
    # which looks for each file's names all over the tree, for minutes.
    with tempfile.TemporaryDirectory(prefix="series-") as empty:
        groups = Path(empty, "groups")
        # One file a group: files in one group are one unit for `depends on`.
        groups.write_text("\n\n".join(str(tree.path / f) for f in files) + "\n")
        done = command(
            SPATCH + ["--smpl-spacing"] * rule.get("headers", False) +
            ["--macro-file", str(macros), "--file-groups", str(groups), "--sp-file", str(patch)],
            empty, env={"HOME": empty, "TMPDIR": empty}, keep=tree.keep, ok=range(256))
    if said := trouble(done):
        # "EXN: what happened in FILE"
        where = re.search(r" in (\S+)$", said)
        where = where[1].replace(f"{tree.path}/", "") + ": " if where else ""
        raise Fail(f"{where}{patch.name}: spatch says '{said[:160]}': correct "
                   "the semantic patch, or series/macros.h")


def trouble(done):
    """What spatch has to say, in one line; '' if all is well."""
    lines = (done.stderr + done.stdout).replace("\\n", " ").splitlines()
    for line, following in zip(lines, lines[1:] + [""]):
        if TROUBLE.search(line) and not line.endswith("be a metavariable?"):
            # A parse error says where in the line that follows.
            said = line + (following if line.rstrip().endswith("error:") else "")
            return " ".join(said.split())
    return f"exit code {done.returncode}" if done.returncode else ""


# ------------------------------------------------------------------- layout

def layout(tree, old):
    """Lay out the lines that spatch added, as the kernel's .clang-format says.

    `old` has the content of each file from before.
    """
    for name, content in old.items():
        path = tree.path / name
        before, added = lines_of(path), added_lines(tree, name, content)
        if not added:
            continue
        command(["clang-format", "-i", "--style=file", "--fallback-style=none",
                 *(f"--lines={i + 1}:{i + 1}" for i in sorted(added)), name],
                tree.path, keep=tree.keep)
        wanted = only_added(before, lines_of(path), added)
        text = "\n".join(wanted).encode(errors="surrogateescape")
        if path.read_bytes() != text:
            path.write_bytes(text)


def lines_of(path):
    return path.read_bytes().decode(errors="surrogateescape").split("\n")


def added_lines(tree, name, old):
    """The indices of the lines that are not in the old content of the file."""
    with tempfile.NamedTemporaryFile(prefix="series-") as file:
        file.write(old)
        file.flush()
        diff = tree.git("diff", "--no-index", "-U0", "--no-ext-diff", "--text",
                        "--diff-algorithm=myers", "--indent-heuristic", "--", file.name,
                        name, ok=(0, 1)).stdout
    found = set()
    for hunk in re.finditer(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@", diff, re.M):
        first, count = int(hunk[1]) - 1, int(hunk[2] or 1)
        found.update(range(first, first + count))
    return found


def only_added(before, after, added):
    """Take clang-format's layout for the added lines only.

    It lays out whole statements: a line added to an initialiser would undo the
    alignment of all the others.  The two versions differ in white space only,
    so a count of the other characters says which lines correspond.  Behind
    added lines, others may follow with their indentation (the parameters of a
    renamed function), or with a line break that moved over the border.
    """
    starts, ends, at = {}, {}, 0
    for i, line in enumerate(after):
        if black(line):
            starts[at] = i
            at += black(line)
            ends[at] = i + 1
    result, at, i, follows = [], 0, 0, False
    while i < len(before):
        end = unit_end(before, i, added)
        stop = at + sum(map(black, before[i:end]))
        if i in added:
            while stop not in ends and end < min(len(before), i + 20):
                stop += black(before[end])
                end += 1
        old, new = before[i:end], after[starts.get(at, 0):ends.get(stop, 0)]
        fits = squeeze(old) == squeeze(new) != ""
        follows = fits and (i in added or follows and old != new and
                            old[0].lstrip() == new[0].lstrip())
        result += new if follows else old
        at, i = stop, end
    return result


def unit_end(lines, i, added):
    """The end of a run of added lines, or of one other line."""
    end = i + 1
    while i in added and end in added and black(lines[end]) and black(lines[i]):
        end += 1
    return end


def black(line):
    return len(squeeze([line]))


def squeeze(lines):
    return "".join("".join(lines).split())
