#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""howto TREE OBJECTS: compile and link the C code of dma-buf-mapping.rst as printed.

TREE is the patched tree, OBJECTS where tools/compile has just built its objects.
The printed files of samples/dma-buf make one module, the examples of the other
sections a second one, after tests/howto.h. Both are compiled like the sample and
go through modpost. Prints a line for each: "ok NAME" or "error NAME: WHAT".
"""

import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
DOC = "Documentation/driver-api/dma-buf-mapping.rst"
SAMPLE = "samples/dma-buf/dma-buf-example"
# The examples stand alone: nobody calls them, and they must link all the same.
UNUSED = ("-Wno-unused", "-Wno-unused-const-variable", "-fkeep-static-functions", "-fkeep-static-consts")
CORE = "drivers/dma-buf/dma-buf*.o"


def code_blocks(text):
    """(caption or "", code) of each block of C in a document."""
    pattern = r"^\.\. code-block:: c\n(?:\t:caption: (\S+)\n)?\n((?:\t[^\n]*\n|\n)+)"
    return [(caption, re.sub(r"^\t", "", code, flags=re.M).strip("\n") + "\n")
            for caption, code in re.findall(pattern, text, re.M)]


def printed_files(text):
    """{file: its code}; blocks without a caption are the file ""."""
    files = {}
    for caption, code in code_blocks(text):
        files[caption] = files.get(caption, "") + ("\n" if caption in files else "") + code
    return files


def compiler(objects):
    """The sample's own command, up to where it names the object."""
    words = (objects / Path(SAMPLE).parent / f".{Path(SAMPLE).name}.o.cmd").read_text()
    command = words.split(":= ", 1)[1].splitlines()[0].split(" ; ")[0]
    argv = shlex.split(command)
    return [word for word in argv[:argv.index("-o")] if not word.startswith("-Wp,-MMD")]


def first(pattern, said, otherwise):
    return next((line for line in said.splitlines() if re.search(pattern, line)), otherwise)


class Printed:
    """What is printed, as files of a scratch directory, and what the tools say."""

    def __init__(self, tree, objects, scratch):
        self.objects, self.scratch = objects, scratch
        self.files = printed_files((tree / DOC).read_text(encoding="utf-8"))

    def write(self, name, *texts):
        (self.scratch / name).write_text("\n".join(texts), encoding="utf-8")

    def modpost(self, *args):
        argv = [self.objects / "scripts/mod/modpost", "-w", "-M", *args]
        return subprocess.run(argv, cwd=self.scratch, text=True, capture_output=True).stderr

    def exports(self):
        """What the core exports, and in which namespace, for modpost."""
        core = sorted(self.objects.glob(CORE))
        subprocess.run(["ld", "-r", "-o", self.scratch / "vmlinux.o", *core], check=True)
        self.modpost("-o", "core.symvers", "vmlinux.o")

    def fault(self, name):
        """What the compiler or modpost has against the module, or None."""
        argv = [*compiler(self.objects), *UNUSED, "-I", self.scratch, "-o",
                self.scratch / f"{name}.o", self.scratch / f"{name}.c"]
        done = subprocess.run(argv, cwd=self.objects, text=True, capture_output=True)
        if done.returncode:
            return first("error:", done.stderr, "does not compile").replace(f"{self.scratch}/", "")
        # Symbols of the rest of the kernel are unresolved here.
        said = self.modpost("-i", "core.symvers", "-o", f"{name}.symvers", f"{name}.o")
        return first(r"(ERROR|WARNING): (?!.*(undefined!|unresolved symbol))", said, None)

    def modules(self):
        self.write("link.h", self.files.get("samples/dma-buf/link.h", ""))
        self.write("dma-buf-example.c", self.files.get(f"{SAMPLE}.c", ""))
        self.write("howto.c", (TOP / "tests/howto.h").read_text(encoding="utf-8"), self.files.get("", ""))
        return ["dma-buf-example", "howto"]


def main(tree, objects):
    with tempfile.TemporaryDirectory(prefix="howto-") as scratch:
        printed = Printed(Path(tree), Path(objects), Path(scratch))
        printed.exports()
        for name in printed.modules():
            fault = printed.fault(name)
            print(f"error {DOC}, {name}: {fault}" if fault else f"ok {DOC}, {name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
