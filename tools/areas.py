# SPDX-License-Identifier: GPL-2.0
"""The areas of `make test`: what each does, and what it needs.

An area is a generator of cases. tools/test runs them, and reports.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
import traceback
import unittest
from dataclasses import dataclass
from pathlib import Path

import ours
from ours import TOP, where
from vm import no_gpu

# Suites without which a run of KUnit proves nothing. Not run are dma-buf-fence*:
# the series does not touch fences, their test_wait_backward takes a quarter of
# an hour under lockdep, and their test_unwrap_merge_order leaks, in stock 7.3.
KUNIT_NEEDED = "dma-buf-match,dma-buf-sgt,dma-buf-pal,dma-buf-converter,dma-buf-resv"
KUNIT_SUITES = "dma-buf-[!f][!2]*"     # p2p is an area of its own
KUNIT = ["dmabuf_kunit"]
# tools/coverage has other names of results, and a program that ends each boot.
PREFIX, LAST_PROGRAM = "", ""


@dataclass
class Case:
    """One thing that was tested."""
    name: str
    result: str = "pass"        # pass, fail or skip
    reason: str = ""
    seconds: float = 0.0


class Stop(Exception):
    """An area cannot go on; the text says what and what to do."""


# ---------------------------------------------------------------- processes

def step(script, *args):
    """A line of shell that says itself how far it is; its failure ends the area."""
    line = ""
    with subprocess.Popen(["bash", "-c", f". {TOP}/tools/lib.sh; {script}", "-", *args], cwd=TOP,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
        for line in running.stdout:
            print(line, end="", flush=True)
    if running.returncode:
        raise Stop(line.strip() or f"{script.split()[0]} failed")


# How far each running area is; tools/test shows it. Each runs in a thread of its own.
PROGRESS, THREAD = {}, threading.local()


def status(what, text):
    area = getattr(THREAD, "area", what)
    PROGRESS[area] = text if what == area else f"{what}: {text}"


def output(argv, cwd, **more):
    done = subprocess.run(argv, cwd=cwd, text=True, capture_output=True, **more)
    if done.returncode:
        said = (done.stderr + done.stdout).strip().splitlines() or ["no message"]
        raise Stop(f"{' '.join(map(str, argv[:3]))}: {said[-1]}")
    return done.stdout.strip()


# ------------------------------------------------------- tests of the tools

class Cases(unittest.TestResult):
    """Prints a line of JSON for each test."""

    def __init__(self):
        super().__init__()
        self.buffer, self.began, self.failed = True, 0.0, False

    def startTest(self, test):
        super().startTest(test)
        self.began, self.failed = time.monotonic(), False

    def note(self, test, result, reason=""):
        row = [test.id(), result, reason, round(time.monotonic() - self.began, 2)]
        print(json.dumps(row), file=sys.__stdout__, flush=True)

    def addSuccess(self, test):
        if not self.failed:
            self.note(test, "pass")

    def addSkip(self, test, reason):
        self.note(test, "skip", reason)

    def addFailure(self, test, err):
        self.failed = True
        self.note(test, "fail", traceback.format_exception_only(*err[:2])[-1].strip())

    def addError(self, test, err):
        self.addFailure(test, err)

    def addSubTest(self, test, subtest, err):
        if err:
            self.addFailure(subtest, err)


def area_tools():
    """python3 -m unittest, in tests/; a process of its own, for it catches what is printed."""
    with subprocess.Popen([sys.executable, __file__, "unittest"], cwd=TOP, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as running:
        for number, line in enumerate(running.stdout, 1):
            case = Case(*json.loads(line))
            status("tools", f"{number} done, {case.name.split('.')[-1]}")
            yield case
    if running.returncode:
        raise Stop(f"the tests ended with {running.returncode}")


def area_lint():
    for name, problems in ours.load("lint").run():
        skip = [p for p in problems if p.startswith("SKIP")]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        yield Case(name, "skip" if skip else "fail" if problems else "pass",
                   (problems[0] + more) if problems else "")


# ---------------------------------------------------------------- the series

def fresh_tree(tree, copy):
    """A second tree at base, that shares the objects of the first."""
    shutil.rmtree(copy, ignore_errors=True)
    output(["git", "clone", "-q", "--shared", "--no-checkout", tree, copy], TOP)
    output(["git", "checkout", "-q", "-B", "mapping-types", "base"], copy)


def hashes(tree, what="HEAD"):
    return output(["git", "rev-parse", what, f"{what}^{{tree}}"], tree).split()


def apply(tree):
    output([sys.executable, TOP / "tools/series.py", "apply", tree], TOP)
    return hashes(tree)


def as_somebody():
    """Patches need an author: where git has none, the tests are one."""
    if subprocess.run(["git", "config", "user.email"], cwd=TOP,
                      stdout=subprocess.DEVNULL).returncode:
        os.environ |= {"GIT_CONFIG_COUNT": "2",
                       "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "tests",
                       "GIT_CONFIG_KEY_1": "user.email", "GIT_CONFIG_VALUE_1": "tests@localhost"}


def same(name, one, other):
    return Case(name, "pass" if one == other else "fail",
                "" if one == other else f"{one} is not {other}")


def area_series():
    """What `make series` gives: reproducible, mailable, clean."""
    tree, out = where("TREE"), where("OUT")
    copy, patches = out / "check", out / "check-patches"
    as_somebody()
    status("series", "second tree")
    fresh_tree(tree, copy)
    first = apply(copy)
    yield same("fresh clone gives the tree of make tree", first[1], hashes(tree)[1])
    shutil.rmtree(patches, ignore_errors=True)
    output([sys.executable, TOP / "tools/series.py", "export", copy, patches], TOP)
    phases = sorted(patches.iterdir(), key=lambda path: int(path.name.split("-")[0]))
    mails = [mail for phase in phases for mail in sorted(phase.glob("*.patch"))[1:]]
    output(["git", "checkout", "-q", "-B", "mapping-types", "base"], copy)
    output(["git", "am", "-q", *mails], copy)
    lint = ours.load("lint")
    yield same("git am of the patches gives the same tree", hashes(copy)[1], first[1])
    yield same("the tree has the files of linux/", *ours_and_theirs(copy))
    for mail in mails:
        said = lint.run_checkpatch(tree, "--showfile", str(mail))
        yield Case(f"checkpatch {mail.name}", "fail" if said else "pass", "".join(said[:1]))
    for name, code in BY_HAND.items():
        yield refused(copy, name, code)
    shutil.rmtree(copy)


def ours_and_theirs(tree):
    """The first file of linux/ that the tree has otherwise, and that of the tree."""
    for path in sorted(p for p in (TOP / "linux").rglob("*") if p.is_file()):
        there = tree / path.relative_to(TOP / "linux")
        if not there.is_file() or there.read_bytes() != path.read_bytes():
            return path.relative_to(TOP), there
    return "", ""


# What somebody might add to the tree, where no step looks for it by name.
BY_HAND = {
    "drivers/char/one-more-exporter.c": "static const struct dma_buf_ops more_ops = {\n"
    "\t.map_dma_buf = more_map,\n\t.unmap_dma_buf = more_unmap,\n};\n",
    "fs/one-more-user.c": "void f(void)\n{\n\tdma_buf_unmap_attachment(a, b, c);\n}\n",
}


def refused(copy, name, code):
    """The engine names the file, instead of leaving it behind."""
    output(["git", "checkout", "-q", "-B", "mapping-types", "base"], copy)
    (copy / name).write_text(code)
    output(["git", "add", "-f", name], copy)
    output(["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "by hand"], copy)
    output(["git", "tag", "-f", "base"], copy)
    done = subprocess.run([sys.executable, TOP / "tools/series.py", "apply", copy],
                          text=True, capture_output=True)
    output(["git", "tag", "-f", "base", "base^"], copy)
    good = done.returncode == 1 and name in done.stderr
    return Case(f"{name} added by hand is refused", "pass" if good else "fail",
                "" if good else done.stderr.strip() or "was not noticed")


def area_names():
    """Nothing old is left: what each step says is gone, at the end of the series."""
    done = subprocess.run([sys.executable, TOP / "tools/series.py", "gates", where("TREE")],
                          text=True, capture_output=True)
    yield Case("no old name is left", "fail" if done.returncode else "pass", done.stderr.strip())


def area_pairs():
    """Exporters against importers, on the patched kernel; stock is on record."""
    yield from pairs()


def area_pairs_stock():
    """The same on both kernels, and i915 with its tests."""
    step("build_kernel live-stock")
    step("build_kernel live")
    yield from pairs("--stock")


def pairs(*more):
    if no_gpu():
        yield Case("all pairs", "skip", no_gpu())
        return
    done = subprocess.run([TOP / "tools/pairs", where("OUT"), *more], text=True, capture_output=True)
    bad = [line.removeprefix("pairs: ") for line in done.stderr.strip().splitlines()]
    for line in done.stdout.splitlines()[1:-1]:
        name = line.split("  ")[0].strip()
        said = [text for text in bad if text.startswith((f"{name} on ", f"{name}: "))]
        yield Case(name, "fail" if said else "pass", "; ".join(said))
    yield Case("as tests/pairs.txt says", "fail" if done.returncode else "pass", "; ".join(bad[:3]))


# ------------------------------------------------------------- in the kernel

# kmemleak takes 30 CPU s of a boot, so a boot that mostly repeats what another one runs
# goes without it.
REPEATED = "kmemleak=off"


def in_vm(name, programs, *more, append="", modules=(), kernel="kernel-debug", image=None,
          timeout=2400, mem="640M"):
    """Boot a kernel, load modules, run programs, return their rows and the verdict. The
    less memory, the less KASAN has to clear and kmemleak to scan."""
    name, out = PREFIX + name, where("OUT")
    status(name, "in the VM")
    saved = ours.result(out, name)
    saved.unlink(missing_ok=True)
    said = watch(name, ours.vm(out, name, programs + LAST_PROGRAM, "--table", "--mem", mem, *more, kernel=kernel,
                               image=image, append=append, loaded=modules, timeout=timeout))
    if not saved.exists():
        raise Stop(said or "the VM gave no result")
    data = json.loads(saved.read_text())
    for row in data["rows"]:
        yield Case(row["name"], row["result"], row["reason"], row["seconds"])
    yield Case("console is clean", "fail" if data["splats"] else "pass",
               str(data["splats"][0]) if data["splats"] else "")
    yield Case("end with the success token", "fail" if data["errors"] else "pass",
               "; ".join(data["errors"]))


def watch(area, argv):
    """Run argv, show its lines as progress, return the last one."""
    count, line = 0, ""
    with subprocess.Popen(argv, cwd=TOP, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as running:
        for count, line in enumerate(running.stdout, 1):
            status(area, f"{count} done, {' '.join(line.split())}")
    return line.strip()


def area_sparse():
    """Our own files, as the debug kernel compiles them; xe is in area xe."""
    ours = [path.relative_to(TOP / "linux") for path in sorted((TOP / "linux").rglob("*.c"))]
    yield from sparse("kernel-debug", [path for path in ours if not path.is_relative_to("tools")
                                       and not path.is_relative_to(XE)])


def sparse(kernel, files):
    """Debian 12's sparse does not know __typeof_unqual__, and the kernel then goes
    without it; for our files the plain __typeof__ will do. Nor is the length of a
    string a constant to it, as MODULE_IMPORT_NS() wants.
    """
    tree, out = where("TREE"), where("OUT")
    for path in files:
        target = path.with_suffix(".o")
        # KVM's common files are a part of each architecture's module.
        made = f"arch/x86/kvm/../../../{target}" if path.is_relative_to("virt/kvm") else target
        status("sparse", str(target))
        done = subprocess.run(
            ["make", "-s", "-C", tree, f"O={out}/{kernel}", "LOCALVERSION=", "C=2",
             "CHECK=sparse -D__typeof_unqual__=__typeof__ '-D__builtin_strlen(x)=(sizeof(x)-1)'",
             made], text=True, capture_output=True)
        said = [line for line in done.stderr.splitlines()
                if re.search(r"warning:|error:|not available|\*\*\*", line)]
        yield Case(str(target), "fail" if said or done.returncode else "pass",
                   "".join(said[:1]).replace(f"{tree}/", ""))


def area_compile():
    """Every object that the series touches, in an allmodconfig with W=1."""
    done = subprocess.run([TOP / "tools/compile"], cwd=TOP, text=True, capture_output=True)
    if done.returncode:
        raise Stop(done.stderr.strip() or "tools/compile failed")
    for line in done.stdout.splitlines():
        result, _, rest = line.partition(" ")
        name, _, said = rest.partition(": ")
        yield Case(name, "pass" if result == "ok" else "fail", said)


def area_door():
    """Each way to physical addresses, as a module: refused by the compiler, by modpost, and
    by the kernel if it is loaded all the same."""
    out = where("OUT") / "door"
    done = subprocess.run([TOP / "tools/door", where("TREE"), where("OUT") / "kernel-debug", out],
                          text=True, capture_output=True)
    if done.returncode:
        raise Stop((done.stderr.strip() or "tools/door failed").splitlines()[-1])
    for line in done.stdout.splitlines():
        result, _, rest = line.partition(" ")
        name, _, said = rest.partition(": ")
        yield Case(name, "pass" if result == "ok" else "fail", said)
    wants = json.loads((out / "wants.json").read_text())
    step('IMAGE=door.cpio build_guest "$@"', *(str(out / f"{name}.ko") for name in wants))
    yield from in_vm("door", "door", image="door.cpio", timeout=300,
                     append="kunit.enable=0 door.want=" + ",".join(f"{name}:{code}" for name, code in wants.items()))


def area_kunit():
    """All suites, then once more with the trace events of DMA-buf on."""
    which = f"kunit.need={KUNIT_NEEDED} kunit.filter_glob={KUNIT_SUITES}"
    yield from in_vm("kunit", "kunit", append=which, modules=KUNIT)
    for case in in_vm("kunit-traced", "kunit", append=f"{which} trace_event=dma_buf:* {REPEATED}", modules=KUNIT):
        yield Case(f"traced: {case.name}", case.result, case.reason, case.seconds)


# Which way a machine must take, what makes it take that one, and whether each
# allocation on it shall fail once. DMA-API debugging gives up at the first fault
# that hits its own memory, which happens where each range is mapped by itself: so
# that way is taken with the one and with the other.
P2P_ROUTES = (("refused", "", REPEATED, False), ("bus-address", "switch", "", True),
              ("host-bridge-iova", "cpu=EPYC", "", True),
              ("host-bridge-phys", "cpu=EPYC", f"iommu=pt {REPEATED}", False),
              ("host-bridge-phys", "cpu=EPYC", "iommu=pt dma_debug=off", True))


def area_p2p():
    """Each route, one allocation failing after the other."""
    for number, (route, machine, append, faults) in enumerate(P2P_ROUTES):
        cases, faults = (("dma-buf-p2p", "kunit.autorun=0 kunit.faults=dma-buf-p2p") if faults
                         else ("dma-buf-p2p.test_[!f]*", ""))
        for case in in_vm(f"p2p-{number}-{route}", "kunit", "--machine", machine, modules=KUNIT,
                          append=f"kunit.filter_glob={cases} kunit.need=dma-buf-p2p "
                                 f"dmabuf_kunit.p2p_route={route} {append} {faults}"):
            yield Case(f"{route}: {case.name}", case.result, case.reason, case.seconds)


SELFTESTS = ["iommu/iommufd", "iommu/iommufd_fail_nth",
             "dmabuf-heaps/dmabuf-heap", "dmabuf-heaps/device-heap", "drivers/dma-buf/outcome"]


def uapi_text():
    """Options of gcc for the UAPI headers of the tree, see guest/Makefile; for a shell."""
    return output(["make", "-s", "-C", TOP / "guest", f"OUT={where('OUT')}/guest",
                   f"LINUX={where('TREE')}", "uapi"], TOP).strip()


def uapi():
    return shlex.split(uapi_text())


def build_selftests(names):
    """The kernel's own selftests, static, from the patched tree."""
    tree, out = where("TREE"), where("OUT")
    source, programs = tree / "tools/testing/selftests", []
    # 30 s for a test is not enough in an emulator.
    harness = (source / "kselftest_harness.h").read_text()
    (out / "guest/kselftest_harness.h").write_text(
        harness.replace("TEST_TIMEOUT_DEFAULT 30\n", "TEST_TIMEOUT_DEFAULT 600\n"))
    for name in names:
        program = out / "guest" / Path(name).name
        output(["gcc", "-O2", "-w", "-static", "-s", "-D_GNU_SOURCE=",
                *uapi(), f"-I{out}/guest", f"-I{source}",
                f"-I{tree}/tools/include", "-o", program,
                source / f"{name}.c", "-lcap"], TOP)
        programs.append(program)
    return programs


def kselftest(name, run, more="", modules=()):
    yield from in_vm(name, "kselftest", mem="1G", modules=modules,
                     append=f"kunit.enable=0 kselftest.run={run} {more}")


def build_lsdmabuf():
    """The series' own tool, static, from the patched tree."""
    tree, objects = where("TREE"), where("OUT") / "guest/lsdmabuf.build"
    objects.mkdir(exist_ok=True)
    output(["make", "-s", "-C", tree / "tools/dma-buf", f"O={objects}", "LDFLAGS=-static -s"], TOP)
    return objects / "lsdmabuf"


# Name, machine, kernel command line; the GPU gets to a BAR by why.route.
WHY = (("why", "live", ""), ("why-epyc", "live,cpu=EPYC", f"why.route=host-bridge-iova {REPEATED}"),
       ("why-acs", "live,switch,acs", f"why.acs=1 {REPEATED}"))
# One vivid for vb2-vmalloc, one for vb2-dma-contig.
VIVID = "vivid.n_devs=2 vivid.allocators=0,1 vivid.node_types=0x1,0x1"


def area_why():
    """lsdmabuf: what it lists, and what it says of imports that fail."""
    for name, machine, more in WHY:
        yield from why(name, machine, more)


def area_why_stock():
    """lsdmabuf on a kernel without the series."""
    step("build_kernel live-stock")
    yield from why("why-stock", "live", "why.stock=1", kernel="kernel-live-stock")


def why(name, machine, more, **how):
    if no_gpu():
        yield Case("lsdmabuf", "skip", no_gpu())
        return
    yield from in_vm(name, "why", "--machine", machine, append=f"kunit.enable=0 {VIVID} {more}",
                     modules=ours.LIVE, timeout=600, **how)
    yield from json_of(PREFIX + name)


QUERIES = f"{VIVID} cma=32M@256M dma_debug_driver=virtio-pci"


def area_queries():
    """What the query of heaps says of every importer, against what its attach does."""
    if no_gpu():
        yield Case("queries", "skip", no_gpu())
        return
    yield from in_vm("queries", "modules", "--machine", "live", modules=ours.LIVE, timeout=900,
                     append=f"{QUERIES} modules.only=queries kunit.enable=0")


def area_modules():
    """What the series adds as modules: loaded, used, unloaded; queries; KUnit."""
    if no_gpu():
        yield Case("modules", "skip", no_gpu())
        return
    step("build_kernel live")
    modules = ours.built_modules(where("OUT") / "kernel-live")
    step('IMAGE=live.cpio build_guest "$@"', *map(str, modules))
    yield from in_vm("modules", "modules,kunit", "--machine", "live", kernel="kernel-live", image="live.cpio", timeout=900,
                     append=f"kunit.need={KUNIT_NEEDED} kunit.filter_glob={KUNIT_SUITES} {QUERIES}")


# Rows whose note is JSON, and what is in it: the name of a list, and how long that is.
JSON_ROWS = {"--json": ("buffers", 2), "--why --json": ("findings", 1)}


def json_of(name):
    """What lsdmabuf --json has printed, if it did, in the eyes of another parser."""
    for row in json.loads((where("RESULTS") / f"{name}.json").read_text())["rows"]:
        if row["name"] not in JSON_ROWS or row["result"] != "pass":
            continue
        what, length = JSON_ROWS[row["name"]]
        try:
            good = len(json.loads(row["note"])[what]) == length
            yield Case(f"{row['name']} is JSON", "pass" if good else "fail", "" if good else row["note"])
        except (ValueError, KeyError) as err:
            yield Case(f"{row['name']} is JSON", "fail", str(err))


PROGRAMS = TOP / "tests/kcov/programs.txt"


def build_reproducer():
    """What the fuzzer has kept, and the first of it as C, compiled."""
    out = where("OUT") / "guest"
    source = out / "reproducer.c"
    source.write_text(output([out / "fuzz", "c", PROGRAMS], TOP))
    output(["gcc", "-O2", "-Wall", "-static", "-s", *uapi(),
            "-o", out / "reproducer", source], TOP)
    return [PROGRAMS, out / "reproducer"]


def area_kcov():
    """The fuzzer of the ioctls: the programs that it has kept, then FUZZ_RUNS new ones."""
    runs, seed = (int(os.environ.get(f"FUZZ_{name}", default)) for name, default in
                  (("RUNS", "3000"), ("SEED", "1")))
    yield from in_vm("kcov", "fuzz", timeout=600 + runs / 20, mem="1G",
                     append=f"kunit.enable=0 cma=32M fuzz.runs={runs} fuzz.seed={seed}")
    what_was_fuzzed("kcov")


def what_was_fuzzed(name):
    """The counts; of a program that something is wrong with, C that does the same."""
    name, results = PREFIX + name, where("RESULTS")
    rows = json.loads((results / f"{name}.json").read_text())["rows"]
    for row in rows:
        if row["program"] != "fuzz" or row["name"] == "end of program":
            continue
        if row["result"] == "pass":
            print(f"{name:9} {row['name']}: {row['note']}")
        elif re.fullmatch("[0-9a-f]+", row["note"]):
            (results / f"{name}.txt").write_text(row["note"])
            text = output([where("OUT") / "guest/fuzz", "c", results / f"{name}.txt"], TOP)
            (results / f"{name}.c").write_text(text)
            print(text[text.index("int main"):])
            print(f"{name:9} complete: {(results / f'{name}.c').relative_to(TOP)}")
    found = results / f"{name}.files/programs.txt"
    if os.environ.get("FUZZ_KEEP") and found.exists():
        PROGRAMS.write_text("".join(PROGRAMS.read_text().splitlines(True)[:2]) + found.read_text())


def area_iommufd():
    yield from kselftest("iommufd", "iommufd,outcome")


def area_fail_nth():
    """The DMA-buf case alone: others leak, in stock 7.3 as well."""
    yield from kselftest("fail_nth", "iommufd_fail_nth:map_dmabuf_domain")


RECORDED_ON = "7.3"


def area_bench():
    """No exact count may grow by more than 2 %."""
    if str(where("KVER")) != RECORDED_ON or os.environ.get("LINUX"):
        yield Case("instructions", "skip", f"tests/bench.json was recorded on {RECORDED_ON}")
        return
    done = subprocess.run([TOP / "tools/bench", where("OUT"), "--check"],
                          capture_output=True, text=True, check=False)
    worse = [line.removeprefix("bench: ") for line in done.stderr.splitlines()]
    said = done.stdout.strip().removeprefix("bench: ")
    if said.startswith("skipped: "):
        yield Case("instructions", "skip", said.removeprefix("skipped: "))
    else:
        yield Case(said or "tools/bench", "fail" if done.returncode else "pass", "; ".join(worse))


# Of KVM; guest/kvm.c runs them.
KVM_SELFTESTS = ("dmabuf_memslot_test", "guest_memfd_test", "pre_fault_memory_test")


def build_kvm_selftests():
    tree, to = where("TREE"), where("OUT") / "guest/kvm-selftests"
    to.mkdir(exist_ok=True)
    headers = f"{uapi_text()} -isystem {shlex.quote(str(tree))}/arch/x86/include/uapi"
    programs = [to / name for name in KVM_SELFTESTS]
    output(["make", "-s", "-C", tree / "tools/testing/selftests/kvm", f"OUTPUT={to}", f"KHDR_INCLUDES={headers}",
            "LDFLAGS=-static -pthread", f"top_srcdir={tree}", *programs], TOP)
    return programs


# Both are modules of the debug kernel, so that modpost has checked what they may use.
KVM = ("kvm", "kvm-amd")
# A page table of its own for each kind of MMU: TDP MMU, shadow pages for TDP, shadow paging.
KVM_BOOTS = (("tdp", ""), ("tdp-shadow", f"kvm.tdp_mmu=0 {REPEATED}"), ("shadow", f"kvm-amd.npt=0 {REPEATED}"))


def area_kvm():
    """KVM as importer, in a CPU that can run virtual machines, on each of KVM's MMUs."""
    for name, more in KVM_BOOTS:
        for case in in_vm(f"kvm-{name}", "kvm", "--machine", "cpu=EPYC", modules=KVM,
                          append=f"kunit.enable=0 {more}"):
            yield Case(f"{name}: {case.name}", case.result, case.reason, case.seconds)


# Contiguous memory, and memory that the kernel does not have, for a pool.
HEAP_CMA = "cma=48M@256M dma_heap.mem_accounting=1"
HEAP_POOL = ("memmap=48M$384M device_heap_test.pool_base=0x18000000 "
             "device_heap_test.pool_size=0x3000000")


def area_heap():
    """Device heaps; the same with faults, which DMA-API debugging does not survive, for it
    allocates as well; with bounce buffers for everybody; then the kernel's own test, on all
    heaps that others can import from. All but the last give the edu its heap."""
    faults = ("faults", "faults_of_another_device")
    yield from kselftest("heap", f"device-heap:-{'-'.join(faults)}", f"{HEAP_CMA} {HEAP_POOL}")
    for case in kselftest("heap-faults", f"device-heap:{'+'.join(faults)}", f"{HEAP_CMA} {HEAP_POOL} dma_debug=off"):
        yield Case(f"faults: {case.name}", case.result, case.reason, case.seconds)
    yield from kselftest("heap-bounce", "device-heap:bounce_buffers", f"{HEAP_CMA} {HEAP_POOL} swiotlb=force")
    yield from kselftest("heap-others", "device-heap:sysfs,dmabuf-heap", HEAP_CMA, ["vgem"])


# As in tools/run
KVM_IN_RUN = "kvm:+1+range,kvm:+3+ranges,kvm:+with+iommufd,kvm:+RAM,kvm:+revoke+while,kvm:+reset"


def area_proof():
    """What `make run` shows, on its kernel."""
    yield from in_vm("proof", "proof,kvm", "--machine", "cpu=EPYC", append=f"kvm.only={KVM_IN_RUN}", kernel="kernel")


def area_proof_debug():
    """The same, on the debug kernel."""
    yield from in_vm("proof-debug", "proof", append="kunit.enable=0")


XE = Path("drivers/gpu/drm/xe")


def area_xe():
    """VRAM of VFs: xe's KUnit, without a device; and sparse. Not in `make test`, for it
    takes a kernel of its own, which is 20 minutes of building the first time."""
    step("build_kernel xe")
    yield from sparse("kernel-xe", [XE / "xe_sriov_pf_vram.c"])
    yield from in_vm("xe", "kunit", append="kunit.need=pf_vram kunit.filter_glob=pf_vram", kernel="kernel-xe")


# Name, CPU, kernel command line; with EPYC, PCI devices may talk to each other.
IOV = (("iov", "qemu64", ""), ("iov-epyc", "EPYC", "iov.foreign=SGT"))


def area_iov():
    """Mapping types that drivers bring themselves: a link, and a PF with its VFs."""
    for name, cpu, more in IOV:
        yield from in_vm(name, "iov", "--machine", f"sriov,cpu={cpu}", append=f"kunit.enable=0 {more}")


# Boot, program, machine, kernel command line. In the second one RAM is mapped with
# faults, which DMA-API debugging does not survive: it allocates as well.
FAULTS = (("faults", "faults", "cpu=EPYC", f"{HEAP_CMA} {HEAP_POOL}"),
          ("faults-ram", "faults", "cpu=EPYC",
           f"{HEAP_CMA} {HEAP_POOL} dma_debug=off faults.only=map,+SGT"),
          ("faults-iov", "iov", "sriov,cpu=EPYC", "iov.only=faults"))
LEAST_FAULTS = 1000


def area_faults():
    """Each allocation on the way fails once, for every step in the life of a buffer."""
    faults = 0
    for name, program, machine, more in FAULTS:
        for case in in_vm(name, program, "--machine", machine, mem="1G", modules=KVM,
                          append=f"kunit.enable=0 {more}"):
            yield Case(f"{name}: {case.name}", case.result, case.reason, case.seconds)
        rows = json.loads((where("RESULTS") / f"{PREFIX}{name}.json").read_text())["rows"]
        faults += sum(int(found[1]) for row in rows
                      if (found := re.match(r"(\d+) faults$", row["note"])))
    yield Case(f"{faults} faults", "pass" if faults >= LEAST_FAULTS else "fail",
               f"expected {LEAST_FAULTS}")


def race(name, rounds, **how):
    """With a newer QEMU: 7.2 crashes, or does not answer any more, when one CPU changes
    the memory map while another one is at a BAR."""
    step("newer_debian")
    yield from in_vm(name, "race", "--qemu", TOP / "tools/newer-qemu", "--smp", "2", "--machine", "cpu=EPYC", mem="1G",
                     append=f"kunit.enable=0 kcsan.skip_watch=20 race.rounds={rounds} race.seed=1", **how)


def area_race():
    """Everything against everything, on two CPUs, under KASAN and lockdep."""
    yield from race("race", 30000, modules=KVM)


def area_kcsan():
    """The same under KCSAN; `make soak` runs both for longer, with other seeds."""
    step("build_kernel kcsan")
    yield from race("kcsan", 100000, kernel="kernel-kcsan")


def area_user():
    """The core of the mapping types in user space, under sanitizers."""
    done = subprocess.run([TOP / "tools/user"], cwd=TOP, text=True, capture_output=True)
    for line in done.stdout.splitlines():
        if found := re.match(r"(ok|not ok) (.*?)(?:: (FAIL .*|/.*error.*|=.*))?$", line):
            yield Case(found[2], {"ok": "pass", "not ok": "fail"}[found[1]],
                       found[3] or "")
    if not re.search(r"^(not )?ok ", done.stdout, re.M):
        raise Stop((done.stderr.strip() or "nothing was run").splitlines()[-1])
    if done.returncode and "\nnot ok " not in f"\n{done.stdout}":
        raise Stop(f"tools/user ended with {done.returncode}")


# ---------------------------------------------------------------- the table

def image():
    """The initramfs of the debug kernel: with its modules, and what is built for it."""
    out = where("OUT")
    modules = ours.built_modules(out / "kernel-debug")
    step('IMAGE=test.cpio build_guest "$@"', *map(str, build_selftests(SELFTESTS) + [
        build_lsdmabuf(), *build_kvm_selftests(), *build_reproducer(), *modules]))


# What areas need: how it is made, what it needs itself, and the file that says that all
# but the last changes was made before.
NEEDS = {"tree": (lambda: step("patched_tree"), (), "linux/Makefile"),
         "run": (lambda: step("build_kernel run"), ("tree",), f"kernel/{ours.BZIMAGE}"),
         "debug": (lambda: step("build_kernel debug"), ("tree",), f"kernel-debug/{ours.BZIMAGE}"),
         "guest": (lambda: step("build_guest"), ("tree",), "guest/initramfs.cpio"),
         "image": (image, ("guest", "debug"), "guest/test.cpio")}
PACKAGES = {"tree": "fetch series", "run": "build", "debug": "build", "guest": "run", "image": "test"}


@dataclass
class Area:
    run: callable
    needs: tuple = ()
    packages: str = ""


# In the order of what they protect: a budget (TEST_MINUTES) is spent from the top.
AREAS = {
    "lint": Area(area_lint, ("tree",), "lint"),
    "proof": Area(area_proof, ("run", "guest")),
    "kunit": Area(area_kunit, ("image",)),
    "iommufd": Area(area_iommufd, ("image",)),
    "proof-debug": Area(area_proof_debug, ("image",)),
    "pairs": Area(area_pairs, ("image",)),
    "kvm": Area(area_kvm, ("image",)),
    "heap": Area(area_heap, ("image",)),
    "faults": Area(area_faults, ("image",)),
    "queries": Area(area_queries, ("image",)),
    "p2p": Area(area_p2p, ("image",)),
    "why": Area(area_why, ("image",)),
    "iov": Area(area_iov, ("image",)),
    "race": Area(area_race, ("image",)),
    "names": Area(area_names, ("tree",)),
    "door": Area(area_door, ("debug", "guest"), "run"),
    "tools": Area(area_tools, ("tree",), "user"),
    "user": Area(area_user, ("tree",), "user"),
    "bench": Area(area_bench, ("run", "guest")),
    "sparse": Area(area_sparse, ("debug",), "lint"),
    "compile": Area(area_compile, ("tree",), "compile"),
    "series": Area(area_series, ("tree",), "lint"),
    "fail_nth": Area(area_fail_nth, ("image",)),
    "kcov": Area(area_kcov, ("image",)),
}
# Of `make test-all`: kernels of their own.
EXTRA = {
    "kcsan": Area(area_kcsan, ("image",)),
    "pairs-stock": Area(area_pairs_stock, ("image",)),
    "modules": Area(area_modules, ("image",)),
    "why-stock": Area(area_why_stock, ("image",)),
    "xe": Area(area_xe, ("image",)),
}

if __name__ == "__main__":
    if sys.argv[1:] == ["image"]:
        step("build_guest")
        image()
    else:
        unittest.TestLoader().discover(str(TOP / "tests")).run(Cases())
