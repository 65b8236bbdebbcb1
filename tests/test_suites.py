#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of tools/suites' verdict: what fails on both kernels is not a success."""

import contextlib
import copy
import io
import sys
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
import ours  # noqa: E402

suites = ours.load("suites")

GOOD = {"heap": {"alloc": ["pass"], "map": ["pass"]}, "fence": {"chain": ["fail"], "wait": ["pass"]},
        "core": {"attach": ["pass"]}}
FOUND = {"stock": {suite: GOOD[suite] for suite in ("heap", "fence")}, "patched": GOOD}
EXPECTED = [("fence", "chain", "fail", "fail", "it takes too long in an emulator"),
            ("core", "*", "-", "pass", "of the series")]
LEAST = {"heap": (2, ""), "fence": (1, ""), "core": (1, "")}


class Verdict(unittest.TestCase):
    def setUp(self):
        self.found = {kernel: copy.deepcopy(found) for kernel, found in FOUND.items()}
        self.expected, self.least = list(EXPECTED), dict(LEAST)

    def wrong(self):
        return suites.judge(self.found, self.expected, self.least)[1]

    def on_both(self, suite, test, result):
        for found in self.found.values():
            found[suite][test] = [result]

    def test_good(self):
        fine, wrong = suites.judge(self.found, self.expected, self.least)
        self.assertEqual(wrong, [])
        self.assertEqual(fine, ["core: attach: - -> pass", "fence: chain: fail -> fail"])

    def test_everything_fails_on_both(self):
        for found in self.found.values():
            for tests in found.values():
                tests.update({test: ["fail"] for test in tests})
        wrong = "\n".join(self.wrong())
        for line in ("heap: 0 tests passed", "heap: alloc: fail -> fail", "heap: map: fail -> fail",
                     "fence: wait: fail -> fail", "core: attach: - -> fail"):
            self.assertIn(line, wrong)
        self.assertNotIn("fence: chain", wrong)

    def test_unlisted_failure_on_both(self):
        self.least["heap"] = (1, "")
        self.on_both("heap", "map", "fail")
        self.assertEqual(self.wrong(), ["heap: map: fail -> fail"])

    def test_failure_of_one_of_several(self):
        for found in self.found.values():
            found["heap"]["map"] = ["pass", "fail", "pass"]
        self.assertEqual(self.wrong(), ["heap: map: pass fail pass -> pass fail pass"])

    def test_unlisted_difference(self):
        self.found["patched"]["heap"]["more"] = ["pass"]
        self.assertEqual(self.wrong(), ["heap: more: - -> pass"])

    def test_listed_failure_that_passes(self):
        self.on_both("fence", "chain", "pass")
        self.assertEqual(self.wrong(), ["fence | chain | fail | fail: no test does so any more, "
                                        "remove it from tests/suites.txt"])

    def test_listed_failure_that_now_passes_on_one(self):
        self.found["patched"]["fence"] = {"chain": ["pass"], "wait": ["pass"]}
        self.assertEqual(len(self.wrong()), 2)

    def test_line_without_a_reason(self):
        self.expected[0] = (*self.expected[0][:4], "")
        self.assertIn("fence: chain: fail -> fail", self.wrong())

    def test_suite_that_is_gone_on_both(self):
        for found in self.found.values():
            del found["heap"]
        self.assertEqual(self.wrong(), ["heap: 0 tests passed with the series, at least 2 must"])

    def test_suite_that_only_skips(self):
        for test in ("alloc", "map"):
            self.on_both("heap", test, "skip")
        self.assertEqual(self.wrong(), ["heap: 0 tests passed with the series, at least 2 must"])

    def test_suite_without_a_number(self):
        del self.least["heap"]
        self.assertEqual(self.wrong(),
                         ["heap: tests/suites.txt does not say how many tests must pass"])

    def test_suite_of_which_nothing_must_pass(self):
        self.least["heap"] = (0, "")
        self.assertEqual(self.wrong(),
                         ["heap: nothing must pass, and tests/suites.txt does not say why"])
        self.least["heap"] = (0, "there is no heap")
        self.assertEqual(self.wrong(), [])


class Main(unittest.TestCase):
    def run_main(self, found):
        results = iter((found["stock"], found["patched"]))
        with contextlib.redirect_stdout(io.StringIO()) as out, \
                mock.patch.multiple(suites, build_vfio=mock.DEFAULT, image=mock.DEFAULT), \
                mock.patch.object(suites, "measure", side_effect=lambda *_: next(results)), \
                mock.patch.multiple(suites.areas, step=mock.DEFAULT, build_selftests=lambda _: []), \
                mock.patch.object(suites, "read_expected", return_value=(EXPECTED, LEAST)), \
                mock.patch.object(Path, "write_text"), \
                mock.patch.object(sys, "argv", ["suites", "build/none"]):
            return suites.main(), out.getvalue()

    def test_good(self):
        status, out = self.run_main(FOUND)
        self.assertEqual(status, 0, out)
        self.assertIn("suites: 5 tests, 0 problems", out)

    def test_everything_fails_on_both(self):
        failed = {suite: dict.fromkeys(tests, ["fail"]) for suite, tests in GOOD.items()}
        status, out = self.run_main({"stock": failed, "patched": failed})
        self.assertEqual(status, 1, out)
        self.assertIn("WRONG     heap: alloc: fail -> fail", out)


class Table(unittest.TestCase):
    def test_the_file_of_the_project(self):
        expected, least = suites.read_expected()
        for row in expected:
            self.assertTrue(all(row), f"{row}: want suite | test | stock | patched | why")
        self.assertGreater(least["iommufd"][0], 0)
        for suite, *_ in expected:
            self.assertIn(suite, least)


if __name__ == "__main__":
    unittest.main()
