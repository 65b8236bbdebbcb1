# SPDX-License-Identifier: GPL-2.0
"""What the tools share: each other, tables of what is expected, and boots of a VM."""

import glob
import importlib.machinery
import importlib.util
import json
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
TOP = TOOLS.parent
AREAS = TOP / "tests/areas.txt"


def where(name):
    """OUT, TREE, RESULTS or KVER, as tools/lib.sh has it from the environment."""
    said = subprocess.run(["bash", "-c", f'. {TOOLS}/lib.sh; echo "${name}"'], cwd=TOP, text=True,
                          capture_output=True, check=False)
    if said.returncode:
        sys.exit(said.stderr.strip())
    return Path(said.stdout.strip())


def read_table(path, columns):
    """The rows of `a | b | c | why`, each with that many columns; # starts a comment. A bar
    with no space around it is text, as in a regular expression."""
    rows = []
    for number, line in enumerate(Path(path).read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        row = [part.strip() for part in re.split(r"(?<!\S)\|(?!\S)", line)]
        if len(row) > columns or not row[0]:
            raise ValueError(f"{path}:{number}: not {columns} columns: {line}")
        rows.append(tuple(row + [""] * (columns - len(row))))
    return rows


# What tests/areas.txt may say of an area: the word, and whether it must say why.
WORDS = {"least": False, "need": False, "skip": True, "absent": True}


def read_areas(path=AREAS):
    """{area: [(word, what, why)]}"""
    table = {}
    for area, word, what, why in read_table(path, 4):
        if word not in WORDS or not what or (WORDS[word] and not why):
            raise ValueError(f"{path}: {area} | {word} | {what}: want one of "
                             f"{', '.join(WORDS)}, what it is for, and why")
        if word == "least" and not (what.isdigit() and int(what)):
            raise ValueError(f"{path}: {area}: least {what} is not a number of cases")
        table.setdefault(area, []).append((word, what, why))
    return table


def judge_area(name, cases, table):
    """What the cases of an area lack that tests/areas.txt demands, one line each. A case
    has .name, .result (pass, fail or skip) and .reason; failed cases are not repeated."""
    said = {word: [what for had, what, _ in table.get(name, ()) if had == word] for word in WORDS}
    if not said["least"]:
        return [f"tests/areas.txt does not say how many cases of {name} must pass"]
    skipped = [case for case in cases if case.result == "skip"]
    if cases and all(case.result == "skip" and matches(case.name, said["absent"]) for case in cases):
        return []
    return [*unexpected_skips(skipped, said["skip"]), *lacking(cases, said)]


def matches(name, patterns):
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def unexpected_skips(skipped, patterns):
    return [f"{case.name} was skipped, which tests/areas.txt does not expect: {case.reason}"
            for case in skipped if not matches(case.name, patterns)]


def lacking(cases, said):
    """Fewer passes than demanded, and demanded cases that did not pass."""
    passed = [case.name for case in cases if case.result == "pass"]
    for least in map(int, said["least"]):
        if len(passed) < least:
            yield f"{len(passed)} cases passed, at least {least} must"
    for pattern in said["need"]:
        if not any(fnmatchcase(name, pattern) for name in passed):
            yield f"no case '{pattern}' passed"


def load(name):
    """Another tool of ours, whose file has no suffix."""
    loader = importlib.machinery.SourceFileLoader(name, str(TOOLS / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    sys.modules[name] = module
    loader.exec_module(module)
    return module


BZIMAGE = "arch/x86/boot/bzImage"


def vm(out, name, programs, *more, kernel="kernel-debug", image=None, append="", loaded=(), timeout=600):
    """The command that boots a kernel of build/KVER (out), and runs the guest's programs in it.

    The guest loads the modules first. Results are out/results/name.*; more is for vm.py."""
    initrd = image or ("test.cpio" if kernel == "kernel-debug" else "initramfs.cpio")
    return [sys.executable, TOOLS / "vm.py", "--results", out / "results", "--name", name,
            "--kernel", out / kernel / BZIMAGE, "--initrd", out / "guest" / initrd, "--run", programs,
            "--timeout", str(timeout), *more,
            "--append", f"{append} {modules(out / kernel, loaded)}".strip()]


def result(out, name):
    return out / "results" / f"{name}.json"


def boot(out, name, programs, *more, **how):
    """What vm.py writes of a boot; never what an earlier one of that name has left."""
    saved = result(out, name)
    saved.unlink(missing_ok=True)
    done = subprocess.run(vm(out, name, programs, *more, **how), capture_output=True, text=True, check=False)
    if not saved.exists():
        said = (done.stdout + done.stderr).strip().splitlines() or ["no message"]
        sys.exit(f"{name}: {said[-1]}")
    return json.loads(saved.read_text())


# What makes the debug kernel the exporter or importer of everything that QEMU has.
LIVE = ["virtio-gpu", "vgem", "vivid", "e1000e", "veth", "mbochs"]


def built_modules(kernel):
    """All that a kernel's build has made; beside a make, whose files come and go."""
    return sorted(map(Path, glob.glob(f"{glob.escape(str(kernel))}/**/*.ko", recursive=True)))


def modules(kernel, wanted):
    """The kernel command line that has the guest load these, those that they need first;
    nothing for a kernel that has them built in."""
    files = {path.stem.replace("-", "_"): path for path in built_modules(kernel)} if wanted else {}
    order = []

    def add(name):
        if name in files and files[name].stem not in order:
            for needed in re.search(rb"\0depends=([\w,-]*)\0", files[name].read_bytes())[1].split(b","):
                add(needed.decode().replace("-", "_"))
            order.append(files[name].stem)

    for name in wanted:
        if files and name.replace("-", "_") not in files:
            sys.exit(f"{kernel.name}: no module {name}: build it first")
        add(name.replace("-", "_"))
    return f"guest.modules={','.join(order)}" if order else ""
