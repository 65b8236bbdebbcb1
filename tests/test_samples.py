# SPDX-License-Identifier: GPL-2.0
"""Tests of the samples: the documentation shows what is in them, and their
mapping types need nothing of the core."""

import re
import tomllib
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
SAMPLES = TOP / "linux/samples/dma-buf"
DOC = TOP / "linux/Documentation/driver-api/dma-buf-mapping.rst"


def squeeze(text):
    return " ".join(text.split())


def code_blocks(section):
    """The C code of a section of the documentation."""
    text = re.search(rf"^{section}\n=+\n(.*?)^[^\n]+\n=+\n", DOC.read_text(), re.M | re.S)[1]
    return re.findall(r"^\.\. code-block:: c\n\n((?:\t[^\n]*\n|\n)+)", text, re.M)


class Samples(unittest.TestCase):
    def test_documentation_shows_the_sample(self):
        source = squeeze("\n".join(path.read_text() for path in sorted(SAMPLES.glob("*.[ch]"))))
        blocks = code_blocks("How to write a mapping type")
        self.assertGreater(len(blocks), 3)
        for block in blocks:
            for part in re.split(r"\n\n+(?=\t\S)", block.strip("\n")):
                self.assertIn(squeeze(part), source)

    def test_example_is_short(self):
        self.assertLess(len((SAMPLES / "dma-buf-example.c").read_text().splitlines()), 150)

    def test_no_core_file_is_touched(self):
        for step in ("56-sample-link", "57-sample-iov"):
            ops = tomllib.loads((TOP / f"series/{step}/step.toml").read_text())["do"]
            for path in sum((op.get("add", [op.get("edit")]) for op in ops), []):
                self.assertRegex(path, r"^(samples/|MAINTAINERS$)")


if __name__ == "__main__":
    unittest.main()
