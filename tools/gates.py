# SPDX-License-Identifier: GPL-2.0
"""The gates of a step: what must be gone, what must be there; and the search for it."""

import re

from ktree import Fail, command


def literal(regex):
    """The first literal name of a pattern."""
    return re.search(r"\w{6,}", re.sub(r"\\.", " ", regex))[0]


def searches(step):
    """(pattern, files and directories) of all that a step looks for."""
    for rule in step.rules:
        if "grep" in rule:
            yield rule["grep"], rule["in"]
    for gate in step.toml.get("gone", []) + step.toml.get("have", []):
        yield literal(gate["re"]) if gate.get("span") else gate["re"], gate["in"]


def search(tree, steps):
    """Search the tree once for everything that the steps look for anywhere.

    What does not match, and is not touched by a step, cannot match later: no
    other search has to read the whole tree.
    """
    where = set()
    for regex, places in (found for step in steps for found in searches(step)):
        if directories := [p for p in places if (tree.path / p).is_dir()]:
            tree.known.add(regex)
            where.update(directories)
    if where:
        found = git_grep(tree, "-l", sorted(tree.known), sorted(where))
        tree.hits = set(found.splitlines())


def git_grep(tree, flags, patterns, where):
    return tree.git("grep", "--no-color", "-IP", flags,
                    *(word for regex in patterns for word in ("-e", regex)), "--",
                    *(f":(literal){name}" for name in where), ok=(0, 1)).stdout


def grep(tree, flags, regex, where):
    """The lines that `git grep` prints, but from the files that can match."""
    for name in where:
        if not (tree.path / name).exists():
            raise Fail(f"{name}: not in this tree: adapt the step")
    if regex not in tree.known and any((tree.path / name).is_dir() for name in where):
        return git_grep(tree, flags, [regex], where).splitlines()
    files = sorted(name for name in {*tree.hits, *tree.was, *where}
                   if (tree.path / name).is_file() and
                   any(place in (".", name) or name.startswith(f"{place}/")
                       for place in where))
    # In the C locale a file that is not UTF-8 is text as well, as it is to git.
    return command(["grep", "-IPH", flags, "-e", regex, "--", *files], tree.path,
                   env={"LC_ALL": "C"}, keep=tree.keep,
                   ok=(0, 1)).stdout.splitlines() if files else []


def spanning(tree, gate):
    """What matches over several lines, as FILE:LINE; grep sees one line.

    The first literal name of the pattern says which files are worth a look.
    """
    for file in grep(tree, "-l", literal(gate["re"]), gate["in"]):
        text = (tree.path / file).read_bytes().decode(errors="surrogateescape")
        for match in re.finditer(gate["re"], text):
            yield f"{file}:{text.count(chr(10), 0, match.end()) + 1}:"


def matches(tree, gate):
    return list(spanning(tree, gate)) if gate.get("span") else grep(tree, "-n", gate["re"], gate["in"])


def check_before(tree, step):
    """A pattern that never matched says nothing when it is gone."""
    for gate in step.toml.get("gone", []):
        if not matches(tree, gate) and not in_base(tree, gate):
            raise Fail(f"{', '.join(gate['in'])}: '{gate['re']}' must be gone after this step, "
                       "and was never there: adapt the gate")


def in_base(tree, gate):
    """Was it there before the series?  Earlier steps may have removed what a later one guards."""
    regex = literal(gate["re"]) if gate.get("span") else gate["re"]
    files = tree.out("grep", "-lIP", "-e", regex, "base", "--",
                     *(f":(literal){name}" for name in gate["in"]), ok=(0, 1)).splitlines()
    return any(re.search(gate["re"], tree.git("show", file).stdout) for file in files) if gate.get("span") else files


def check_gone(tree, step):
    for gate in step.toml.get("gone", []):
        if found := matches(tree, gate):
            place = ":".join(found[0].split(":", 2)[:2])
            raise Fail(f"{place}: '{gate['re']}' is still there ({len(found)} "
                       "lines): adapt the step so that it covers this one too")


def check_have(tree, step):
    for gate in step.toml.get("have", []):
        count = len(grep(tree, "-oh", gate["re"], gate["in"]))
        if count != gate.get("count", count or 1):
            raise Fail(f"{', '.join(gate['in'])}: '{gate['re']}' is there "
                       f"{count} times, not {gate.get('count', 'once or more')}: "
                       "adapt the step to this tree")
