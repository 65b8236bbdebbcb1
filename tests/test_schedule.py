# SPDX-License-Identifier: GPL-2.0
"""Tests of tools/schedule.py: what is run when, and what a budget leaves out."""

import json
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
import schedule     # noqa: E402
from areas import Area, Case, Stop      # noqa: E402
from schedule import Budget, Schedule, known_costs     # noqa: E402


def nothing():
    pass


def refuse():
    raise Stop("make failed: see the log")


class Scheduled(unittest.TestCase):

    def run_areas(self, table, needs=None, budget=None, workers=2, run=None):
        """{area: result of its first case}, and the order in which areas were run."""
        order = []

        def each(name):
            order.append(name)
            return (run or {}).get(name, lambda: [Case(name)])()

        with mock.patch.object(schedule, "NEEDS", needs or {"kernel": (nothing, ())}):
            made = Schedule({name: Area(None, tuple(wants)) for name, wants in table.items()},
                            budget or Budget(0, {}), each, lambda *_: None)
            threads = [threading.Thread(target=made.work) for _ in range(workers)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
                self.assertFalse(thread.is_alive())
        self.made = made
        return {name: cases[0].result for name, cases in made.done.items()}, order

    def test_all_in_order(self):
        done, order = self.run_areas({"a": [], "b": ["kernel"], "c": []}, workers=1)
        self.assertEqual(done, dict.fromkeys("abc", "pass"))
        self.assertEqual(order, ["a", "b", "c"])

    def test_each_need_is_made_once_and_first(self):
        made = []
        needs = {"tree": (lambda: made.append("tree"), ()), "kernel": (lambda: made.append("kernel"), ("tree",))}
        self.run_areas({"a": ["kernel"], "b": ["kernel"], "c": ["tree"]}, needs)
        self.assertEqual(made, ["tree", "kernel"])

    def test_nobody_waits_for_what_he_does_not_need(self):
        other = threading.Event()
        needs = {"kernel": (lambda: self.assertTrue(other.wait(10)), ())}
        done, order = self.run_areas({"a": ["kernel"], "b": ["kernel"], "c": []}, needs,
                                     run={"c": lambda: other.set() or [Case("c")]})
        self.assertEqual(order[0], "c")
        self.assertEqual(done, dict.fromkeys("abc", "pass"))

    def test_what_cannot_be_made_fails_every_area_that_needs_it(self):
        needs = {"tree": (refuse, ()), "kernel": (nothing, ("tree",))}
        done, order = self.run_areas({"a": ["kernel"], "b": ["tree"], "c": []}, needs)
        self.assertEqual(done, {"a": "fail", "b": "fail", "c": "pass"})
        self.assertEqual(order, ["c"])
        self.assertIn("make failed", self.made.done["b"][0].reason)

    def test_an_error_of_ours_is_no_reason_to_wait_for_ever(self):
        done, _ = self.run_areas({"a": ["kernel"], "b": ["kernel"]}, {"kernel": (lambda: 1 / 0, ())})
        self.assertEqual(done, {"a": "fail", "b": "fail"})
        self.assertIn("ZeroDivisionError", self.made.done["a"][0].reason)

    def test_budget_leaves_out_what_cannot_end(self):
        budget = Budget(1, {"a": 1, "b": 100, "c": 1, "kernel": 30, "d": 10})
        done, order = self.run_areas({"a": [], "b": [], "c": [], "d": ["kernel"]}, budget=budget, workers=1)
        self.assertEqual(done, {"a": "pass", "b": "skip", "c": "pass", "d": "pass"})
        self.assertIn("takes about 115 s", self.made.done["b"][0].reason)

    def test_budget_counts_the_kernel_that_an_area_needs(self):
        budget = Budget(1, {"a": 30, "kernel": 40})
        done, _ = self.run_areas({"a": ["kernel"]}, budget=budget)
        self.assertEqual(done, {"a": "skip"})

    def test_while_a_kernel_is_being_made_nobody_is_too_late(self):
        budget = Budget(1, {"a": 30, "kernel": 50})
        with mock.patch.object(schedule, "NEEDS", {"kernel": (nothing, ())}):
            made = Schedule({"a": Area(None, ("kernel",))}, budget, None, None)
            made.made["kernel"] = "busy"
            self.assertIsNone(made.choose())
            self.assertEqual(made.todo, ["a"])
            made.made["kernel"] = "ready"
            self.assertEqual(made.choose(), "a")

    def test_a_kernel_that_is_there_costs_nothing(self):
        budget = Budget(1, {"a": 30, "kernel": 40}, ["kernel"])
        done, _ = self.run_areas({"a": ["kernel"]}, budget=budget)
        self.assertEqual(done, {"a": "pass"})

    def test_no_budget_leaves_out_nothing(self):
        done, _ = self.run_areas({"a": []}, budget=Budget(0, {"a": 10**9}))
        self.assertEqual(done, {"a": "pass"})

    def test_percent(self):
        self.run_areas({"a": [], "b": ["kernel"]})
        with mock.patch.object(schedule, "NEEDS", {"kernel": (nothing, ())}):
            self.assertEqual(self.made.percent(), 99)


class Costs(unittest.TestCase):

    def test_a_slow_machine_makes_all_slower(self):
        budget = Budget(60, {"run": 100, "a": 50})
        budget.spent("run", 300)
        self.assertEqual(budget.cost("a"), 150)

    def test_a_kernel_that_was_there_says_nothing(self):
        budget = Budget(60, {"run": 100, "a": 50}, ["run"])
        budget.spent("run", 1)
        self.assertEqual(budget.measured, {})
        self.assertEqual(budget.cost("a"), 50)

    def test_learnt_and_kept(self):
        with tempfile.TemporaryDirectory() as directory:
            recorded, learnt = (Path(directory, name) for name in ("recorded", "learnt"))
            recorded.write_text(json.dumps({"a": 1, "b": 2}))
            self.assertEqual(known_costs(recorded, learnt), {"a": 1, "b": 2})
            budget = Budget(0, {})
            budget.spent("a", 7.2)
            budget.save(learnt)
            self.assertEqual(known_costs(recorded, learnt), {"a": 7, "b": 2})

    def test_time_passes(self):
        budget = Budget(1, {})
        before = budget.left()
        time.sleep(0.01)
        self.assertLess(budget.left(), before)


if __name__ == "__main__":
    unittest.main()
