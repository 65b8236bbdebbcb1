# SPDX-License-Identifier: GPL-2.0
"""Drivers that tools/convert --compat has converted build as modules, from one
source, with W=1 and without a warning: on the patched tree, on the stock tree, and
with Debian 12's headers. tools/convert-headers prepares all three."""

import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tools"))
import convert_code     # noqa: E402
from convert_driver import Source   # noqa: E402
from ours import where  # noqa: E402

OUT = where("OUT")
DEBIAN = TOP / "build/headers-6.1/usr/src"
MAKEFILE = "obj-m := exporter.o importer.o p2p.o\n"
# Where there is no Module.symvers, the symbols of the kernel are unknown.
FINE = re.compile(r"undefined!|Module\.symvers is missing|may not have dependencies|You may get many unresolved|"
                  r"skipping some|suppressed \d+ unresolved|compiler differs|You are using:|The kernel was built by:|"
                  r"Skipping BTF|modpost: Symbol info of vmlinux|You can set KBUILD_MODPOST_WARN")


def trees():
    """name -> arguments of make for each kernel that is there."""
    found = {name: ["-C", OUT / name, f"O={OUT}/headers-{name}", "KBUILD_MODPOST_WARN=1"]
             for name in ("linux", "linux-stock") if (OUT / f"headers-{name}/scripts/mod/modpost").exists()}
    for common in sorted(DEBIAN.glob("linux-headers-6.1*-common")):
        found["6.1"] = ["-C", common, f"O={str(common).replace('-common', '-amd64')}"]
    return found


class Builds(unittest.TestCase):
    def setUp(self):
        self.top = Path(self.enterContext(tempfile.TemporaryDirectory()))
        for path in (TOP / "tests/convert").iterdir():
            shutil.copy(path, self.top)
        (self.top / "Makefile").write_text(MAKEFILE)

    def make(self, kernel, *more):
        there = trees()
        if kernel not in there:
            self.skipTest(f"no headers of {kernel}: tools/convert-headers")
        done = subprocess.run(["make", *there[kernel], f"M={self.top}", "W=1", "CC=gcc", *more, "modules"], text=True,
                              capture_output=True)
        lines = [line for line in (done.stdout + done.stderr).splitlines()
                 if re.search("warning|error", line, re.I) and not FINE.search(line)]
        return done.returncode, lines

    def convert(self):
        p2p = self.top / "p2p.c"
        offer = convert_code.p2p_offer(("bar_dma_buf_ops", "bar_map", "bar_unmap"), Source(p2p, p2p.read_text()), "")
        p2p.write_text(p2p.read_text().replace("/* here */", offer.partition("\nwith ")[0]))
        done = subprocess.run([sys.executable, TOP / "tools/convert", "--compat", self.top], text=True, capture_output=True)
        self.assertEqual((done.returncode, "\n".join(x for x in done.stderr.splitlines() if ": note: " not in x)), (0, ""))

    def builds(self, kernel):
        self.convert()
        self.assertEqual(self.make(kernel), (0, []))
        self.assertEqual(len(list(self.top.glob("*.ko"))), 3)

    def test_patched(self):
        self.builds("linux")

    def test_stock(self):
        self.builds("linux-stock")

    def test_debian_12(self):
        self.builds("6.1")

    def test_they_need_it(self):
        """As they are, the patched tree refuses them; the others do not."""
        self.assertNotEqual(self.make("linux")[0], 0)

    def test_they_are_right_before(self):
        (self.top / "Makefile").write_text("obj-m := exporter.o importer.o\n")
        for kernel in ("linux-stock", "6.1"):
            with self.subTest(kernel=kernel):
                self.assertEqual(self.make(kernel), (0, []))


if __name__ == "__main__":
    unittest.main()
