# SPDX-License-Identifier: GPL-2.0
"""The modules of a driver: the new names are symbols of the namespace DMA_BUF, which
each module that uses one must import."""

import re

import convert_compat
from convert_driver import COMPAT, decoded
from convert_rules import Finding

LISTS = re.compile(r"^[ \t]*([\w-]+?)-(?:m|y|objs|\$[({][^)}]*[)}])[ \t]*[:+?]?=((?:\\\r?\n|[^\n#])*)", re.M)
LICENCE = re.compile(r"^[ \t]*MODULE_LICENSE\s*\(", re.M)
IMPORTS = re.compile(r"IMPORT_NS(?:_GPL)?\(\s*(?:\"?DMA_BUF\"?)?\s*\)")


def objects(directory):
    """{module: its source files, relative} as Kbuild or Makefile of a directory says."""
    found = {}
    for name in ("Kbuild", "Makefile"):
        path = directory / name
        if path.is_file():
            for m in LISTS.finditer(decoded(path.read_bytes())):
                found.setdefault(m[1], []).extend(re.findall(r"([\w./-]+)\.o\b", m[2]))
    return {module: [f"{part}.c" for part in found.get(module, [module])] for module in found.get("obj", [])}


def modules(paths, tops):
    """The files of each module: of those that a Kbuild names, and else by directory."""
    directories = {path.parent for path in paths}
    above = {up for directory in directories for up in directory.parents if up in tops or any(
        top in up.parents for top in tops)}
    groups, named = [], set()
    for directory in sorted(directories | above):
        for parts in objects(directory).values():
            mine = {p for part in parts if (p := directory / part) in paths}
            groups += [mine] if mine else []
            named |= mine
    rest = {}
    for path in paths - named:
        rest.setdefault(path.parent, set()).add(path)
    return groups + list(rest.values())


def module_of(group, groups):
    """The files that are one module with a group: itself, or with the only one that has a MODULE_LICENSE."""
    if has_licence(group):
        return group
    licensed = [g for g in groups if has_licence(g)]
    return group | licensed[0] if len(licensed) == 1 else set()


def has_licence(group):
    return any(LICENCE.search(text_of(path)) for path in group)


def text_of(path):
    return decoded(path.read_bytes())


def missing_imports(driver, tops):
    """A finding for each module that uses a new name and imports nothing of DMA-buf."""
    users = {s.path for s in driver.sources.values() if s.path.name != COMPAT and
             convert_compat.uses(s, convert_compat.KERNEL_NAMES)}
    if not users:
        return
    paths = {path for path in [*driver.sources, *driver.others] if path.suffix == ".c"}
    groups = modules(paths, set(tops))
    for group in [module_of(group, groups) for group in groups if users & group]:
        texts = {path: driver.sources[path].text if path in driver.sources else text_of(path) for path in sorted(group)}
        licence = next(((path, m) for path, text in texts.items() if (m := LICENCE.search(text))), None)
        headers = [s.text for s in driver.sources.values() if s.path.suffix == ".h" and s.path.name != COMPAT]
        if licence and not any(IMPORTS.search(text) for text in [*texts.values(), *headers]):
            path, m = licence
            yield Finding(path, texts[path].count("\n", 0, m.end()) + 1, "MODULE_LICENSE", "the new names need "
                          'MODULE_IMPORT_NS("DMA_BUF"); below it (before Linux 6.13 without the quotes; with --compat write '
                          "DMA_BUF_COMPAT_IMPORT_NS();)", "module", (path, "module"))
