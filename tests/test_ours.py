#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of tools/ours.py: an area that silently tests less than it should fails."""

import sys
import tempfile
import unittest
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
import areas    # noqa: E402
import ours  # noqa: E402


@dataclass
class Case:
    name: str
    result: str = "pass"
    reason: str = ""


TABLE = """\
# a comment
heap | least | 2
heap | need | console is *
heap | skip | pool * | no device has a pool and an IOMMU
heap | absent | all heaps | there are none on this machine
other | least | 1
"""


def table(text=TABLE):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "areas.txt")
        path.write_text(text)
        return ours.read_areas(path)


class Area(unittest.TestCase):
    good = [Case("console is clean"), Case("one")]

    def judge(self, *cases, name="heap"):
        return ours.judge_area(name, cases, table())

    def test_all_that_is_demanded(self):
        self.assertEqual(self.judge(*self.good), [])

    def test_nothing(self):
        self.assertEqual(self.judge(), ["0 cases passed, at least 2 must",
                                        "no case 'console is *' passed"])

    def test_fewer_than_demanded(self):
        self.assertEqual(self.judge(self.good[0]), ["1 cases passed, at least 2 must"])

    def test_failures_and_skips_are_not_passes(self):
        self.assertEqual(self.judge(self.good[0], Case("a", "fail"), Case("pool a", "skip")),
                         ["1 cases passed, at least 2 must"])

    def test_demanded_case_is_missing(self):
        self.assertEqual(self.judge(Case("one"), Case("two")), ["no case 'console is *' passed"])

    def test_demanded_case_failed(self):
        self.assertEqual(self.judge(Case("one"), Case("two"), Case("console is clean", "fail")),
                         ["no case 'console is *' passed"])

    def test_expected_skip(self):
        self.assertEqual(self.judge(*self.good, Case("pool of edu", "skip", "no pool")), [])

    def test_unexpected_skip(self):
        problem, = self.judge(*self.good, Case("edu", "skip", "no edu"))
        self.assertRegex(problem, "edu was skipped, which .* does not expect: no edu")

    def test_skip_that_another_area_expects(self):
        problem, = self.judge(Case("one"), Case("pool of edu", "skip"), name="other")
        self.assertIn("was skipped", problem)

    def test_area_that_is_absent_as_a_whole(self):
        self.assertEqual(self.judge(Case("all heaps", "skip", "none")), [])
        # An area of two boots says it twice.
        self.assertEqual(self.judge(*2 * [Case("all heaps", "skip", "none")]), [])

    def test_absent_excuses_nothing_else(self):
        self.assertEqual(len(self.judge(Case("all heaps", "fail"))), 2)
        self.assertEqual(len(self.judge(Case("all heaps", "skip"), Case("pool a", "skip"))), 3)
        self.assertEqual(len(self.judge(Case("nothing", "skip"))), 3)

    def test_area_that_nobody_has_listed(self):
        problem, = self.judge(*self.good, name="new")
        self.assertIn("how many cases of new must pass", problem)


class Table(unittest.TestCase):
    def test_bad_lines_are_refused(self):
        for line in ("heap | most | 3", "heap | least | many", "heap | least | 0",
                     "heap | least", "heap | skip | pool *", "heap | absent | pool *",
                     "| least | 3", "heap | skip | a | why | more"):
            with self.subTest(line=line), self.assertRaises(ValueError):
                table(line + "\n")

    def test_rows_are_filled_up(self):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "table")
            path.write_text("# text\n\na | b\n c|d | e \nf | | g\n")
            self.assertEqual(ours.read_table(path, 3), [("a", "b", ""), ("c|d", "e", ""), ("f", "", "g")])

    def test_the_file_of_the_project(self):
        table = ours.read_areas()
        self.assertEqual(table.keys(), {"run", *areas.AREAS, *areas.EXTRA})


if __name__ == "__main__":
    unittest.main()
