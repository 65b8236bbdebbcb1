#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of tools/door's verdict: a way that nobody refuses is never a success."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
import ours  # noqa: E402

door = ours.load("door")

MAP = door.Way("map", "modpost", "'dma_buf_pal_map_phys' from namespace", "EINVAL")
LIST = door.Way("list", "compile", "undefined type", "")
HONEST = door.Way("honest", "none", "", "0")
REFUSED = "ERROR: modpost: map.ko: module uses symbol 'dma_buf_pal_map_phys' from namespace 'module:iommufd', but"


class Table(unittest.TestCase):
    def test_every_source_has_a_row(self):
        self.assertEqual({way.name for way in door.read_ways()},
                         {path.stem for path in (door.WAYS).glob("*.c")})

    def test_something_builds_and_something_is_loaded(self):
        ways = door.read_ways()
        self.assertTrue([way for way in ways if way.where == "none" and way.code == "0"])
        self.assertTrue([way for way in ways if way.where == "load"])

    def test_what_is_refused_has_a_text(self):
        for row in (("map", "modpost", "", ""), ("map", "none", "text", "0"), ("map", "linker", "text", "")):
            with self.subTest(row), self.assertRaises(ValueError):
                door.Way(*row)


class Verdict(unittest.TestCase):
    def test_as_the_table_says(self):
        self.assertIsNone(door.fault(MAP, REFUSED, False))
        self.assertIsNone(door.fault(LIST, "list.c:4:5: error: invalid use of undefined type 'struct x'", False))
        self.assertIsNone(door.fault(HONEST, "", True))

    def test_an_open_door(self):
        self.assertIn("the door is open", door.fault(MAP, "", True))
        self.assertIn("the door is open", door.fault(LIST, "", False))

    def test_refused_by_another(self):
        said = "map.c:3:1: error: expected ';'"
        self.assertEqual(f"is refused for another reason: {said}", door.fault(MAP, said, False))

    def test_what_is_said_of_others(self):
        self.assertIn("the door is open", door.fault(MAP, REFUSED.replace("map.ko", "remap.ko"), False))

    def test_the_control_must_build(self):
        self.assertIn("does not build: honest.c:1:1: error: x",
                      door.fault(HONEST, "honest.c:1:1: error: x", False))


if __name__ == "__main__":
    unittest.main()
