# SPDX-License-Identifier: GPL-2.0
"""When `make test` runs which area: two at a time, and within a budget.

What areas cost is learnt from the last run, or from tests/costs.json, and scaled by
how fast this machine has compiled.
"""

import json
import threading
import time

from areas import NEEDS, Case, Stop

SPARE = 1.15        # what the last area to begin may take, of what it took before


# ------------------------------------------------------------------- budget

class Budget:
    """What things cost in seconds, and how much time is left."""

    def __init__(self, minutes, costs, there=()):
        self.deadline = time.monotonic() + 60 * minutes if minutes else float("inf")
        self.costs, self.measured, self.speed = costs, {}, 1.0
        self.there = there      # what was made by an earlier run

    def left(self):
        return self.deadline - time.monotonic()

    def cost(self, name):
        """As far as is known: an area that never ran is no reason to leave it out."""
        return 0 if name in self.there else self.speed * self.costs.get(name, 0)

    def spent(self, name, seconds):
        """Learn; a kernel that was built from nothing says how fast this machine is."""
        if name in self.there:
            return
        self.measured[name] = seconds
        if name in ("run", "debug") and self.costs.get(name):
            self.speed = seconds / self.costs[name]

    def save(self, path):
        """Also what an earlier run has measured and this one has not."""
        kept = json.loads(path.read_text()) if path.exists() else {}
        kept |= {name: round(seconds) for name, seconds in self.measured.items()}
        path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


def known_costs(recorded, learnt):
    """Of the last run here; of the machine on record where that has nothing."""
    costs = json.loads(recorded.read_text())
    if learnt.exists():
        costs |= json.loads(learnt.read_text())
    return costs


# ----------------------------------------------------------------- schedule

def closure(need):
    """What is needed for it, in order, and itself."""
    return [name for before in NEEDS[need][1] for name in closure(before)] + [need]


class Schedule:
    """Which area is next. Two run at a time, and what an area needs is made by the first
    one that needs it; nobody waits for it who can do without."""

    def __init__(self, table, budget, run, report):
        self.table, self.budget, self.todo = table, budget, list(table)
        self.run, self.report = run, report
        self.changed = threading.Condition()
        self.made = {}          # what is needed: "busy", "ready", or why it failed
        self.running, self.done = {}, {}

    def missing(self, name):
        """What has to be made for an area, in order."""
        found = dict.fromkeys(need for top in self.table[name].needs for need in closure(top))
        return [need for need in found if self.made.get(need) != "ready"]

    def cost(self, name):
        return self.budget.cost(name) + sum(map(self.budget.cost, self.missing(name)))

    def too_late(self, name):
        """Why an area is left out, if it is."""
        cost, left = self.cost(name) * SPARE, self.budget.left()
        return f"left out: takes about {cost:.0f} s, and {max(left, 0):.0f} s are left" if cost > left else ""

    def choose(self):
        """The first area that can begin; None if each waits for another's work. An area is
        left out only when it could begin: while a kernel is being built, nobody knows how
        much time will be left."""
        for name in list(self.todo):
            if "busy" in map(self.made.get, self.missing(name)):
                continue
            if not (reason := self.too_late(name)):
                return name
            self.todo.remove(name)
            self.finish(name, [Case("the area itself", "skip", reason)])
        return None

    def next(self):
        """Blocks until an area can begin; None when there is none left."""
        with self.changed:
            while (name := self.choose()) is None and self.todo:
                self.changed.wait()
            if name:
                self.todo.remove(name)
                self.running[name] = time.monotonic()
                for need in self.missing(name):
                    if need not in self.made:
                        self.made[need] = "busy"
            return name

    def make(self, name):
        """Whatever the area needs; raises Stop if that failed, now or before."""
        for need in self.missing(name):
            if self.made[need] == "busy":
                began = time.monotonic()
                try:
                    NEEDS[need][0]()
                    self.set(need, "ready")
                    self.budget.spent(need, time.monotonic() - began)
                except Stop as err:
                    self.set(need, str(err))
                except Exception as err:    # others wait for it
                    self.set(need, f"{type(err).__name__}: {err}")
            if self.made[need] != "ready":
                self.give_up(name)
                raise Stop(f"{need}: {self.made[need]}")

    def set(self, need, state):
        with self.changed:
            self.made[need] = state
            self.changed.notify_all()

    def give_up(self, name):
        """What this area was to make is not made: others fail for the same reason."""
        reason = next(self.made[need] for need in self.missing(name) if self.made[need] != "busy")
        for need in self.missing(name):
            if self.made[need] == "busy":
                self.set(need, reason)

    def finish(self, name, cases, seconds=0.0):
        """Called with the lock held."""
        self.running.pop(name, None)
        self.done[name] = cases
        self.report(name, cases, seconds)
        self.changed.notify_all()

    def run_one(self, name):
        seconds = 0.0
        try:
            self.make(name)
            began = self.running[name] = time.monotonic()
            cases = self.run(name)
            seconds = time.monotonic() - began
            if all(case.result != "fail" for case in cases):
                self.budget.spent(name, seconds)
        except Stop as err:
            cases = [Case("the area itself", "fail", str(err))]
        with self.changed:
            self.finish(name, cases, seconds)

    def work(self):
        while name := self.next():
            self.run_one(name)

    def percent(self):
        """Of the seconds that all areas, and what they need, are expected to take."""
        with self.changed:
            needs = {need for area in self.table.values() for top in area.needs for need in closure(top)}
            weight = {name: self.budget.cost(name) + 1 for name in [*self.table, *needs]}
            got = sum(weight[name] for name in self.done)
            got += sum(weight[name] for name, state in self.made.items() if state == "ready")
            got += sum(min(time.monotonic() - began, 0.9 * weight[name]) for name, began in self.running.items())
            return min(100 * got / sum(weight.values()), 99)
