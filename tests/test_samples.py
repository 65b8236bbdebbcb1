# SPDX-License-Identifier: GPL-2.0
"""Tests of the samples: the documentation prints the code that is built, and
their mapping types need nothing of the core."""

import re
import sys
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tools"))
import howto    # noqa: E402
import steps    # noqa: E402

SAMPLES = TOP / "linux/samples/dma-buf"
DOC = TOP / "linux" / howto.DOC

# What a sample has beside the type: the link itself, and the guard of a header.
NOT_PRINTED = r"/\* (The|What the hardware of a real) link\b|[^{;]*\blink_(publish|withdraw|copy)\(|#ifndef |#endif"

EXPORT = re.compile(r'^EXPORT_SYMBOL_NS_GPL\((\w+), "(\w+)"\)', re.M)
IMPORT = re.compile(r'^MODULE_IMPORT_NS\("(\w+)"\)', re.M)


def parts(code):
    """Functions, structures, groups of lines: what blank lines in column 0 separate."""
    return re.split(r"\n\n+(?=\S)", code.strip("\n"))


def exports():
    """{symbol: namespace} of the files that the series adds."""
    return dict(EXPORT.findall("\n".join(path.read_text() for path in (TOP / "linux/drivers").rglob("*.c"))))


class Printed(unittest.TestCase):
    """The how-to, see tools/howto.py, which compiles and links what is checked here."""

    def setUp(self):
        files = howto.printed_files(DOC.read_text())
        self.samples = {name: code for name, code in files.items() if name}

    def sample(self, name):
        """The parts of a file, without the comment on top."""
        return parts(re.sub(r"\A(//[^\n]*\n|/\*.*?\*/\n)+", "", (TOP / "linux" / name).read_text(), flags=re.S))

    def test_what_is_printed_is_in_the_sample(self):
        self.assertEqual(set(self.samples), {f"samples/dma-buf/{name}" for name in
                                             ("link.h", "dma-buf-example.c", "link-exporter.c")})
        for name, code in self.samples.items():
            built, printed = self.sample(name), parts(code)
            self.assertEqual([part for part in built if part in printed], printed, name)

    def test_the_type_is_printed_as_a_whole(self):
        for name in ("samples/dma-buf/link.h", "samples/dma-buf/dma-buf-example.c"):
            printed = parts(self.samples[name])
            for part in self.sample(name):
                if part not in printed:
                    self.assertRegex(part, rf"\A({NOT_PRINTED})", f"{name} is not printed as a whole")

    def test_modules_import_what_they_use(self):
        known = exports()
        self.assertEqual(known["dma_buf_match_refuse"], "DMA_BUF")
        modules = {path.name: path.read_text() for path in SAMPLES.glob("*.c")}
        modules["printed"] = self.samples["samples/dma-buf/dma-buf-example.c"]
        for name, code in modules.items():
            wanted = {known[word] for word in re.findall(r"\w+", code) if word in known}
            self.assertLessEqual(wanted, set(IMPORT.findall(code)), name)

    def test_blocks_without_a_caption_are_examples(self):
        text = ".. code-block:: c\n\n\tint a;\n\n\tint b;\n\nText\n\n.. code-block:: c\n\t:caption: x.c\n\n\tint c;\n\n" \
               ".. code-block:: c\n\n\tint d;\n\n.. code-block:: diff\n\n\t-int e;\n"
        self.assertEqual(howto.printed_files(text), {"": "int a;\n\nint b;\n\nint d;\n", "x.c": "int c;\n"})


class Samples(unittest.TestCase):
    def test_example_is_short(self):
        self.assertLess(len((SAMPLES / "dma-buf-example.c").read_text().splitlines()), 150)

    def test_no_core_file_is_touched(self):
        found = [step for step in steps.load(TOP / "series", TOP / "linux").steps if "-sample-" in step.name]
        self.assertEqual(len(found), 3)
        for step in found:
            for path in step.add + sum(map(steps.touched, step.edits("7.3")), []):
                self.assertRegex(path, r"^(samples/|MAINTAINERS$)")


if __name__ == "__main__":
    unittest.main()
