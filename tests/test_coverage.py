#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of tools/coverage: what was not run is said, whatever the file is."""

import contextlib
import io
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tools"))
import ours     # noqa: E402


OLD = "int f(int x)\n{\n\treturn x;\n}\n"
NEW = "int f(int x)\n{\n\tif (x)\n\t\treturn g(x);\n\treturn x;\n}\n"


class Coverage(unittest.TestCase):

    def setUp(self):
        self.coverage = ours.load("coverage")
        self.top = Path(tempfile.mkdtemp(prefix="test-coverage-"))
        self.addCleanup(shutil.rmtree, self.top)
        self.coverage.EXCLUDED = self.top / "coverage.txt"
        self.exclude("")
        self.name = "drivers/dma-buf/x.c"
        file = self.top / self.name
        file.parent.mkdir(parents=True)
        file.write_text(OLD)
        for argv in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"], ["tag", "base"]):
            subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *argv],
                           cwd=self.top, check=True)
        file.write_text(NEW)

    def exclude(self, text):
        self.coverage.EXCLUDED.write_text(text)

    def report(self, counts, branches=(1, 1)):
        """Line 3, which has the branches, and lines 4 and 5; what is wrong, and the gaps."""
        source = self.coverage.Source()
        for at, count in zip((3, 4, 5), counts):
            source.add({"line_number": at, "count": count, "function_name": "f",
                        "branches": [{"count": n} for n in branches] if at == 3 else []})
        gaps = self.top / "out/gaps.txt"
        with contextlib.redirect_stdout(io.StringIO()) as out:
            bad = self.coverage.report(self.top, {self.name: source}, gaps)
        return bad, gaps.read_text(), out.getvalue()

    def test_only_lines_of_ours(self):
        self.assertEqual(self.coverage.lines_of_ours(self.top, self.name), {3, 4})
        bad, gaps, out = self.report((1, 1, 0))
        self.assertEqual((bad, gaps), ([], ""))
        self.assertRegex(out, r"all +2/2 +100.0 % +2/2 ")

    def test_a_line_that_was_never_run(self):
        bad, gaps, _ = self.report((1, 0, 1))
        self.assertEqual(gaps, f"{self.name}:4: never run: return g(x);\n")
        self.assertEqual(bad, ["only 50.0 % of the lines, the goal is 98.0 %"])

    def test_a_branch_that_was_never_taken(self):
        bad, gaps, _ = self.report((1, 1, 1), (0, 1))
        self.assertEqual(gaps, f"{self.name}:3: one way only: if (x)\n")
        self.assertEqual(bad, ["only 50.0 % of the branches, the goal is 90.0 %"])

    def test_runs_add_up(self):
        source = self.coverage.Source()
        for counts in ((0, 5), (3, 0)):
            source.add({"line_number": 3, "count": 1, "function_name": "f",
                        "branches": [{"count": n} for n in counts]})
        self.assertEqual(list(source.branches.values()), [3, 5])

    def test_exclusions(self):
        for what, pattern in (("line", "return g"), ("function", "f")):
            self.exclude(f"# comment\n{what} | drivers/* | {pattern} | because\n")
            self.assertEqual(self.report((1, 0, 1))[:2], ([], ""), what)
        self.exclude("branch | drivers/* | return g | because\n")
        self.assertEqual(len(self.report((1, 0, 1))[0]), 2)

    def test_an_exclusion_of_nothing(self):
        self.exclude("branch | drivers/* | return g | because\n")
        self.assertEqual(self.report((1, 1, 1))[0],
                         ["coverage.txt: nothing fits 'return g' of drivers/*"])

    def test_no_reason(self):
        self.exclude("line | drivers/* | return g\n")
        with self.assertRaises(SystemExit):
            self.report((1, 1, 1))

    def test_nothing_was_counted(self):
        bad = self.coverage.report(self.top, {}, self.top / "out/gaps.txt")
        self.assertEqual(bad, ["nothing was counted"])

    def test_which_files(self):
        for name, wanted in (("drivers/dma-buf/dma-buf.c", True), ("drivers/dma-buf/st-dma-p2p.c", False),
                             ("drivers/dma-buf/heaps/device_heap.c", True), ("mm/slub.c", False),
                             ("drivers/dma-buf/heaps/device_heap_test.c", False),
                             ("include/linux/dma-buf-pal.h", True),
                             ("drivers/iommu/iommufd/selftest.c", False)):
            self.assertEqual(self.coverage.wanted(name), wanted, name)


if __name__ == "__main__":
    unittest.main()
