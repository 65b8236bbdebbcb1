# SPDX-License-Identifier: GPL-2.0
"""Tests of docs/: the functions, files, steps and links that they name exist."""

import re
import sys
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tools"))
import ours     # noqa: E402

DOCS = [TOP / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted((TOP / "docs").glob("*.md"))

# A row of docs/tour.md: ... | `function()` | `file` | new, stock, or `step`, `step` | ...
ROW = re.compile(r"\| `(\w+)(?:\(\))?` \| `([\w/.-]+\.[ch])` \| ([^|]+) \|")

# Others write it; the README links to it already.


def patched_tree():
    """The tree of make tree, if there is one."""
    tree = ours.where("TREE")
    return tree if (tree / "drivers/dma-buf/dma-buf-match.c").exists() else None


def steps():
    """The names of the directories of series/, without their number."""
    return {re.sub(r"^\d+-", "", path.parent.name) for path in (TOP / "series").rglob("message")}


def names(text, function):
    """Does a file define a function, or an event of that name?"""
    return re.search(rf"^(?!\s)(?:\w[\w \t*]*[ \t*])?{function}\(|\w+_EVENT\((?:\w+, )?{function},", text, re.M)


class Tour(unittest.TestCase):
    def setUp(self):
        self.rows = ROW.findall((TOP / "docs/tour.md").read_text())

    def test_functions_are_where_it_says(self):
        self.assertGreater(len(self.rows), 60)
        for function, file, step in self.rows:
            path = file if "/" in file else f"drivers/dma-buf/{file}"
            self.assertEqual((TOP / "linux" / path).exists(), step == "new", f"{path}: is it new?")
            root = TOP / "linux" if step == "new" else patched_tree()
            if root:
                self.assertTrue(names((root / path).read_text(), function), f"{path} has no {function}")

    def test_steps_exist(self):
        known = steps()
        for function, _, step in self.rows:
            if step not in ("new", "stock"):
                self.assertLessEqual(set(re.findall(r"`([^`]+)`", step)), known, function)


class Links(unittest.TestCase):
    def test_files_exist(self):
        for path in DOCS:
            for name in re.findall(r"`((?:docs|linux|config|guest|tests|tools)/[\w./-]+|[A-Z]+\.md)`", path.read_text()):
                if not name.startswith("tools/dma-buf"):
                    self.assertTrue((TOP / name).exists(), f"{path.name} names {name}")

    def test_targets_exist(self):
        makefile = (TOP / "Makefile").read_text()
        for path in DOCS:
            for target in re.findall(r"(?:^|`|\t)(?:\w+=\S+ )?make ([a-z-]+)", path.read_text(), re.M):
                self.assertRegex(makefile, rf"(?m)^([\w-]+ )*{target}( [\w-]+)*:", f"{path.name}: make {target}")


class Changelog(unittest.TestCase):
    def test_the_first_heading_is_the_version(self):
        headings = re.findall(r"^## v(\d+)( \(unreleased\))?$", (TOP / "CHANGELOG.md").read_text(), re.M)
        versions = [int(version) for version, _ in headings]
        self.assertEqual(versions, list(range(versions[0], 0, -1)))
        self.assertFalse(any(unreleased for _, unreleased in headings[1:]))


if __name__ == "__main__":
    unittest.main()
