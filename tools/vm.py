#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boots a kernel in QEMU, runs guest programs, and judges the result.

The guest talks over its second serial port, one line a message:

  hello NONCE    it is up; the nonce was given on the kernel command line
  run PROGRAM    the rows that follow belong to this program
  row NAME       a row starts; pass | fail REASON | skip REASON ends it
  note TEXT      what the row proves
  fault KIND DEVICE ADDRESS
                 the row makes the IOMMU report one fault: Read or Write, of this
                 device, in the page at ADDRESS. `*` for KIND or ADDRESS stands for
                 any, and for one report or more
  peek OFF LEN   the host answers with LEN bytes of the BAR's file, as hex
  poke OFF HEX   the host writes the file and answers "ok"
  save FILE HEX  bytes for the end of a file of the results
  done NONCE     everything was run

Each ivshmem device has a file of BAR_SIZE bytes; OFF counts through the files
one after the other. A run succeeds only if the nonce came back, QEMU ended by
itself, every program reported rows that were not all skipped, no row failed, and
the console, which is always scanned, shows no splat and exactly the IOMMU faults
that rows announced. `--expect AREA` also demands what tests/areas.txt says of AREA:
how many rows pass, which ones must, and which may be skipped.

Acceleration is always TCG: a /dev/kvm may exist and still not run the kernel.
With one CPU, virtual time is the count of instructions, and an idle guest
skips to its next timer: waiting costs nothing. With more CPUs time is real.
"""

import argparse
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import ours

BAR_SIZE = 4 << 20
COUNT_BAR_SIZE = 1 << 30
BARS = 2
EDUS = 2
POWER_OFF_SECONDS = 60

# What must not be on the console: name, pattern. None can be switched off.
# DMA-API: and kmemleak: have harmless lines while the kernel boots, and the latter
# one more when a fault is injected into its own memory.
SPLATS = [(name, re.compile(pattern)) for name, pattern in (
    ("warning", r"WARNING:"),
    ("bug", r"\bBUG:|kernel BUG at"),
    ("sanitizer", r"\b(KASAN|UBSAN|KCSAN|KMSAN)\b|\bKFENCE: \w*BUG"),
    ("oops", r"\bOops\b|general protection|unable to handle"),
    ("panic", r"Kernel panic"),
    ("call trace", r"Call Trace:"),
    ("lockdep", r"possible (recursive|circular|irq|interrupt).*(locking|lock)|"
                r"inconsistent lock state|bad unlock balance|held lock freed|"
                r"lock held when returning|Invalid wait context|"
                r"non-static key|turning off the locking correctness"),
    ("rcu", r"suspicious RCU|rcu.*(self-)?detected.*stall"),
    ("hang", r"INFO: task|soft lockup|hard LOCKUP|workqueue lockup"),
    ("atomic", r"sleeping function called|scheduling while atomic"),
    ("refcount", r"refcount_t"),
    ("list", r"list_(add|del)\w* (corruption|double)"),
    ("memory", r"Bad page|Bad rss-counter|Poison overwritten|"
               r"Redzone overwritten|Object already free|ODEBUG:|"
               r"page allocation (failure|stall)|invoked oom-killer|"
               r"vmalloc error:|percpu: allocation failed"),
    ("stack", r"stack-protector|Thread overran stack"),
    ("leak", r"unreferenced object|kmemleak: (?!Kernel memory leak detector "
             r"(initialized|disabled)|Automatic memory scanning thread started|"
             r"Cannot allocate a scan area)|"
             # as the kernel command line says, or later because it gave up
             r"(?<!\[    0\.000000\] )kmemleak: Kernel memory leak detector disabled"),
    ("dma debug", r"DMA-API: (?!preallocated \d+ debug entries|debugging "
                  r"(enabled by kernel config|disabled on kernel command line)|"
                  r"dma_debug_entry pool grown|enable driver filter)"),
    # Reports of DMA faults are counted, see judge_faults(); this is what hides one.
    ("iommu", r"DMAR: \[(?!DMA (Read|Write) )|DMAR: .*fault status reg (?!2$)|"
              r"dmar_fault: \d+ callbacks suppressed|DMAR: VT-d detected|"
              r"AMD-Vi: .*(Event logged|IO_PAGE_FAULT)"),
    ("user crash", r"segfault at|traps: \S+\[\d+\] "),
)]

# The fuzzer and the sweep make allocations fail, and vmalloc() reports that. The report and its trace
# are excused, and nothing else.
INJECTED = re.compile(r"\b(fuzz|reproducer|faults): vmalloc error: ")
LINES_TO_TRACE = 5

# A fault as VT-d reports it: kind, device, address of the page.
FAULT = re.compile(r"DMAR: \[DMA (Read|Write) [^]]*\] Request device \[([\w:.]+)\] "
                   r"fault addr (0x[0-9a-f]+)")


class VmError(Exception):
    """The VM cannot be started: one line that says what, and what to do."""


@dataclass
class Row:
    """One thing that was tried, as the guest reported it."""
    name: str
    program: str
    result: str = "fail"
    reason: str = "did not end"
    note: str = ""
    seconds: float = 0.0


@dataclass
class Result:
    """All about one boot."""
    kernel: str
    programs: list
    console: str
    rows: list = field(default_factory=list)
    splats: list = field(default_factory=list)
    errors: list = field(default_factory=list)
    seconds: float = 0.0

    def count(self, what):
        return sum(row.result == what for row in self.rows)

    @property
    def ok(self):
        return not (self.errors or self.splats or self.count("fail"))

    def summary(self):
        text = (f"{self.count('pass')} passed, {self.count('fail')} failed, "
                f"{self.count('skip')} skipped, {self.seconds:.1f} s")
        for error in self.errors:
            text += f"; {error}"
        if self.splats:
            number, _, line = self.splats[0]
            count = len(self.splats)
            text += (f"; {count} splat{'s' * (count > 1)}, "
                     f"first in line {number}: {line[:120]}")
        return text if self.ok else f"{text}; console: {self.console}"


def scan(text):
    """The splats of a console log: a list of (line number, name, line)."""
    found, injected = [], -LINES_TO_TRACE
    for number, line in enumerate(text.splitlines(), 1):
        if INJECTED.search(line):
            injected = number
            continue
        if "Call Trace:" in line and number < injected + LINES_TO_TRACE:
            injected = -LINES_TO_TRACE
            continue
        for name, pattern in SPLATS:
            if pattern.search(line):
                found.append((number, name, line.strip()))
                break
    return found


def fits(fault, announced):
    return all(want in ("*", had) for had, want in zip(fault, announced))


def described(faults):
    kind, device, address = faults[0]
    return f"{len(faults)} in all, first: DMA {kind} of {device} at {address}"


def judge_faults(text, announced):
    """What differs between the faults on the console and those that rows announced."""
    exact = Counter(fault for fault in announced if "*" not in fault)
    many = [fault for fault in announced if "*" in fault]
    seen = Counter(FAULT.findall(text))
    missing, stray = list((exact - seen).elements()), list((seen - exact).elements())
    missing += [fault for fault in many if not any(fits(one, fault) for one in stray)]
    stray = [one for one in stray if not any(fits(one, fault) for fault in many)]
    if stray:
        yield f"DMA faults that no row announced: {described(stray)}"
    if missing:
        yield f"announced DMA faults that did not come: {described(missing)}"


class Bars:
    """The files behind the BARs of the ivshmem devices."""

    def __init__(self, directory, size=BAR_SIZE):
        self.paths = [Path(directory, f"bar{i}") for i in range(BARS)]
        for path in self.paths:
            with open(path, "wb") as file:
                file.truncate(size)

    def open(self, offset, length):
        index, offset = divmod(offset, BAR_SIZE)
        if not 0 <= index < BARS or not 0 < length <= BAR_SIZE - offset:
            raise ValueError(f"{length} bytes at BAR {index} + {offset:#x}")
        file = open(self.paths[index], "r+b", buffering=0)
        file.seek(offset)
        return file

    def peek(self, offset, length):
        with self.open(offset, length) as file:
            return file.read(length)

    def poke(self, offset, data):
        with self.open(offset, len(data)) as file:
            file.write(data)


class Session:
    """The host's side of the channel: takes messages, gives answers."""

    def __init__(self, nonce, bars, report, files):
        self.nonce, self.bars, self.report, self.files = nonce, bars, report, files
        self.rows, self.errors, self.faults = [], [], []
        self.hello = self.done = False
        self.program = ""
        self.current = None
        self.started = 0.0

    def take(self, message):
        """Handles one message; returns the answer, or None."""
        word, _, rest = message.partition(" ")
        handler = getattr(self, "take_" + word, None)
        try:
            if handler:
                return handler(rest)
        except ValueError as error:
            message += f": {error}"
        self.errors.append(f"protocol: '{message[:80]}'")
        return None

    def take_hello(self, nonce):
        if nonce != self.nonce or self.hello:
            raise ValueError("wrong nonce or not the first")
        self.hello = True

    def take_run(self, program):
        self.finish("fail", "did not end")
        self.program = program

    def take_row(self, name):
        self.finish("fail", "did not end")
        self.current = Row(name, self.program)
        self.started = time.monotonic()

    def take_note(self, text):
        if not self.current:
            raise ValueError("no row")
        self.current.note = text

    def take_fault(self, rest):
        kind, device, address = rest.split()
        if not self.current or kind not in ("Read", "Write", "*"):
            raise ValueError("no row, or not a fault")
        self.faults.append((kind, device, address))

    def end(self, result, reason):
        if not self.current:
            raise ValueError("no row")
        self.finish(result, reason)

    def take_pass(self, rest):
        self.end("pass", rest)

    def take_fail(self, reason):
        self.end("fail", reason or "no reason was given")

    def take_skip(self, reason):
        self.end("skip", reason or "no reason was given")

    def take_peek(self, rest):
        offset, length = map(int, rest.split())
        return self.bars.peek(offset, length).hex()

    def take_poke(self, rest):
        offset, data = rest.split()
        self.bars.poke(int(offset), bytes.fromhex(data))
        return "ok"

    def take_save(self, rest):
        name, data = rest.split()
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise ValueError("not a name for a file")
        self.files.mkdir(exist_ok=True)
        with open(self.files / name, "ab") as file:
            file.write(bytes.fromhex(data))

    def take_done(self, nonce):
        self.finish("fail", "did not end")
        if nonce != self.nonce:
            raise ValueError("wrong nonce")
        self.done = True

    def finish(self, result, reason):
        """Ends the current row, if there is one."""
        row, self.current = self.current, None
        if row:
            row.result, row.reason = result, reason
            row.seconds = round(time.monotonic() - self.started, 2)
            self.rows.append(row)
            self.report(row)


def escaped(path):
    """A path inside an option of QEMU: a comma is doubled."""
    return str(path).replace(",", ",,")


SWITCH = ["-device", "pcie-root-port,id=switch_port,chassis=2,slot=2",
          "-device", "x3130-upstream,id=up,bus=switch_port",
          "-device", "xio3130-downstream,id=down0,bus=up,chassis=3,slot=3",
          "-device", "xio3130-downstream,id=down1,bus=up,chassis=4,slot=4"]


# A bridge that has ACS, which the switch's own ports have not: below the second of these
# it redirects what passes between the two.
ACS_PORT = ["-device", "pcie-root-port,id=acs,bus=down1,chassis=8,slot=8"]

# A network card that VFIO's selftests have a driver for; QEMU has it since 8.0.
IGB = ["-device", "pcie-root-port,id=igb_port,chassis=7,slot=7", "-device", "igb,bus=igb_port"]


def importers(words):
    """A GPU and a network card for the larger kernel, edus for the others. Next to
    the exporter, below a switch, there is room for one device."""
    bus = "down0" if "switch" in words else "pcie.0"
    edus = ["-device", "edu"] * EDUS
    if "live" not in words:
        return edus if bus == "pcie.0" else ["-device", f"edu,bus={bus}"]
    return ["-device", f"virtio-gpu-pci,blob=on,iommu_platform=on,disable-legacy=on,bus={bus}",
            "-device", "e1000e", *edus]


def functions():
    """Two nvme with two VFs each, whose MSI-X table is memory that keeps what is written
    to it: more than two pages of it, 600 entries (QEMU 10 gives a VF no more than its
    part of sriov_vi_flexible; older ones give it the whole table)."""
    devices = []
    for index in range(2):
        devices += [
            "-device", f"pcie-root-port,id=sriov{index},chassis={5 + index},slot={5 + index}",
            "-device", f"nvme-subsys,id=subsys{index}",
            "-device", f"nvme,serial=pf{index},subsys=subsys{index},bus=sriov{index},"
                       "sriov_max_vfs=2,sriov_vq_flexible=4,sriov_vi_flexible=1200,"
                       "max_ioqpairs=6,msix_qsize=1201"]
    return devices


def qemu_command(qemu, kernel, initrd, append, mem, smp, bars, channel, console,
                 machine=""):
    """The machine: two exporters, one of them behind a root port, and edus.

    `machine` may have more: "live" for the devices of the larger kernel,
    "switch" to put exporter and importer below one, "acs" to have it redirect, "sriov" for PFs with VFs,
    "igb" for that card, "cpu=MODEL", "count" for a time stamp counter that counts instructions and
    BARs of a GiB.
    """
    words = dict(word.partition("=")[::2] for word in machine.split(",") if word)
    first_bus = "acs" if "acs" in words else "down1" if "switch" in words else "pcie.0"
    time_options = ["-accel", "tcg,thread=multi"]
    if smp > 1:
        # A busy host may be late with the ticks that this check counts.
        append += " no_timer_check"
    if smp == 1:
        time_options = ["-accel", "tcg,thread=single",
                        "-icount", f"shift={0 if 'count' in words else 3},sleep=off"]
    devices = ["-device", "intel-iommu,intremap=on,caching-mode=on"]
    # First, so that what is below a switch has the lowest bus numbers.
    devices += (SWITCH if "switch" in words else []) + importers(words)
    devices += ACS_PORT if "acs" in words else []
    devices += ["-device", "pcie-root-port,id=root_port,chassis=1,slot=1"]
    devices += functions() if "sriov" in words else []
    devices += IGB if "igb" in words else []
    memory = []
    if "live" in words:
        memory = ["-object", f"memory-backend-memfd,id=ram,size={mem},share=on",
                  "-machine", "memory-backend=ram"]
    for index, (path, bus) in enumerate(zip(bars.paths, (first_bus, "root_port"))):
        devices += [
            "-object", f"memory-backend-file,id=bar{index},size={path.stat().st_size},"
                       f"share=on,mem-path={escaped(path)}",
            "-device", f"ivshmem-plain,memdev=bar{index},bus={bus}"]
    # ACPI hot plug puts code for each slot into the tables. The debug kernel takes seconds
    # to interpret it, and nobody plugs anything in.
    return [qemu, "-M", "q35,kernel-irqchip=split", *memory,
            "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
            "-cpu", words.get("cpu", "qemu64"),
            "-smp", str(smp), "-m", mem, *time_options,
            "-nodefaults", "-display", "none", "-no-reboot",
            "-chardev", f"file,id=console,path={escaped(console)}",
            "-serial", "chardev:console",
            "-chardev", f"socket,id=channel,fd={channel}",
            "-serial", "chardev:channel",
            *devices, "-kernel", str(kernel), "-initrd", str(initrd),
            "-append", append]


def talk(sock, session, deadline):
    """Serves the channel; False if QEMU did not close it in time."""
    pending = b""
    while True:
        if session.done:
            deadline = min(deadline, time.monotonic() + POWER_OFF_SECONDS)
        try:
            sock.settimeout(max(deadline - time.monotonic(), 0.001))
            data = sock.recv(65536)
            if not data:
                return True
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                answer = session.take(line.decode(errors="replace"))
                if answer is not None:
                    sock.sendall(answer.encode() + b"\n")
        except TimeoutError:
            return False
        except ConnectionError:
            return True


def judge(result, session, programs, ended, status, stderr):
    """Fills in what went wrong; nothing filled in is success."""
    at = f" in row '{session.current.name}'" if session.current else ""
    session.finish("fail", "the guest died here" if ended else "timeout")
    result.rows, result.errors = session.rows, session.errors
    if not ended:
        what = "did not power off" if session.done else f"timeout{at}"
        result.errors.append(f"{what} after {result.seconds:.0f} s")
    elif status:
        last = stderr.strip().splitlines()[-1:] or ["no message"]
        result.errors.append(f"QEMU ended with {status}{at}: {last[0][:200]}")
    elif not session.done:
        result.errors.append(f"the guest ended without the success token{at}")
    if not session.hello:
        result.errors.append("the guest's init did not start")
    reported = {row.program for row in result.rows}
    result.errors += [f"{p} reported no row" for p in programs
                      if p not in reported and session.done]
    ran = {row.program for row in result.rows if row.result != "skip"}
    result.errors += [f"{p} reported nothing but skips" for p in programs if p in reported - ran]


def read_console(result, announced):
    """The scan is part of every run: a log that shows no kernel is an error."""
    path = Path(result.console)
    text = path.read_text(errors="replace") if path.exists() else ""
    if "Linux version" not in text:
        result.errors.append("the console shows no kernel")
    result.splats = scan(text)
    result.errors += judge_faults(text, announced)


def run_qemu(command, channel, session, timeout):
    """Runs QEMU to its end; returns (ended by itself, status, stderr)."""
    deadline = time.monotonic() + timeout
    near, far = channel
    # QEMU must not outlive us, not even when we are killed.
    if shutil.which("setpriv"):
        command = ["setpriv", "--pdeathsig", "KILL", *command]
    with tempfile.TemporaryFile("w+", errors="replace") as stderr:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                   stdout=stderr, stderr=stderr,
                                   pass_fds=[far.fileno()])
        far.close()
        try:
            ended = talk(near, session, deadline)
            if ended:
                process.wait(10)
        except subprocess.TimeoutExpired:
            ended = False
        finally:
            process.kill()
            status = process.wait()
        stderr.seek(0)
        return ended, status, stderr.read()


# ---------------------------------------------------------------- QEMU's GPU

UDMABUF = "/dev/udmabuf"

# A /dev of the process's own, below directory $1: what QEMU opens, and an empty udmabuf.
PRIVATE_DEV = """\
for node in null zero full random urandom shm; do
    if [ -d "/dev/$node" ]; then mkdir -p "$1/$node"; else : > "$1/$node"; fi
    mount --bind "/dev/$node" "$1/$node" || exit
done
: > "$1/udmabuf" && mount --rbind "$1" /dev || exit
shift; exec "$@"
"""


def private_dev(directory):
    """What to put before a command so that it has such a /dev, by mount namespace, or
    else by user namespace; and why there is none."""
    last = ""
    for how in ("-m", "-rm"):
        prefix = ["unshare", how, "sh", "-c", PRIVATE_DEV, "private-dev", str(directory)]
        try:
            done = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)
        except OSError as error:
            return [], f"unshare: {error.strerror}"
        if not done.returncode:
            return prefix, ""
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return [], last


def gpu_dev(directory):
    """The prefix of private_dev() for a QEMU with a GPU, and why it can have none.

    For a GPU with blobs QEMU opens /dev/udmabuf. It uses it for guests that draw, and
    ours does not: an empty file is as good, but never one in the machine's own /dev.
    """
    if os.access(UDMABUF, os.R_OK | os.W_OK):
        return [], ""
    prefix, why = private_dev(directory)
    what = "cannot be opened" if os.path.exists(UDMABUF) else "does not exist"
    return prefix, why and (f"QEMU's GPU needs {UDMABUF}, which {what}, and QEMU cannot "
                            f"be given a /dev of its own: {why}")


def no_gpu():
    """Why QEMU cannot have a GPU here; empty if it can."""
    with tempfile.TemporaryDirectory(prefix="vm-") as directory:
        return gpu_dev(directory)[1]


def namespace(machine, directory):
    """What goes before the command of QEMU, for this machine."""
    if "live" not in machine.split(","):
        return []
    dev = Path(directory, "dev")
    dev.mkdir()
    prefix, why = gpu_dev(dev)
    if why:
        raise VmError(why)
    return prefix


def check_inputs(qemu, kernel, initrd):
    if not shutil.which(qemu):
        raise VmError(f"{qemu} is not installed: apt-get install qemu-system-x86")
    for what, path in (("kernel", kernel), ("initrd", initrd)):
        if not Path(path).is_file():
            raise VmError(f"no {what} {path}: build it first")


def boot(kernel, initrd, programs, *, results, name, mem="1G", smp=1, append="",
         timeout=120, qemu="qemu-system-x86_64", machine="", expect="",
         report=lambda row: None):
    """Boots, serves the guest until it ends, and returns the Result."""
    check_inputs(qemu, kernel, initrd)
    results = Path(results)
    results.mkdir(parents=True, exist_ok=True)
    console = results / f"{name}.console.log"
    console.unlink(missing_ok=True)
    shutil.rmtree(results / f"{name}.files", ignore_errors=True)
    nonce = secrets.token_hex(16)
    append = (f"console=ttyS0 ignore_loglevel panic=-1 oops=panic intel_iommu=on "
              f"proof.nonce={nonce} guest.run={','.join(programs)} {append}")
    result = Result(str(kernel), list(programs), str(console))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vm-") as directory:
        bars = Bars(directory, COUNT_BAR_SIZE if "count" in machine.split(",") else BAR_SIZE)
        session = Session(nonce, bars, report, results / f"{name}.files")
        near, far = socket.socketpair()
        with near, far:
            command = [*namespace(machine, directory),
                       *qemu_command(qemu, kernel, initrd, append, mem, smp, bars,
                                     far.fileno(), console, machine)]
            end = run_qemu(command, (near, far), session, timeout)
    result.seconds = round(time.monotonic() - started, 1)
    judge(result, session, programs, *end)
    read_console(result, session.faults)
    if expect:
        result.errors += ours.judge_area(expect, result.rows, ours.read_areas())
    return result


def ktap(result):
    """The rows as KTAP version 1."""
    lines = ["KTAP version 1", f"1..{len(result.rows)}"]
    for number, row in enumerate(result.rows, 1):
        name = f"{row.program}: {row.name}".replace("#", "")
        ok = "not ok" if row.result == "fail" else "ok"
        skip = f" # SKIP {row.reason}" if row.result == "skip" else ""
        if row.result == "fail":
            lines.append(f"# {row.reason}")
        lines.append(f"{ok} {number} {name}{skip}")
    lines += [f"# error: {error}" for error in result.errors]
    lines += [f"# splat: {line}" for _, _, line in result.splats]
    return "\n".join(lines) + "\n"


def save(result, results, name):
    """Writes NAME.json and NAME.ktap; the console log is there already."""
    data = {"ok": result.ok, **asdict(result)}
    Path(results, f"{name}.json").write_text(json.dumps(data, indent=1) + "\n")
    Path(results, f"{name}.ktap").write_text(ktap(result))


def print_row(row):
    mark = {"pass": "pass", "fail": "FAIL", "skip": "skip"}[row.result]
    print(f"  {row.name:<28} {mark}  {row.reason or row.note}", flush=True)


def print_failed_row(row):
    if row.result == "fail":
        print_row(row)


def parse_args(argv):
    parser = argparse.ArgumentParser(
        description="boot a kernel in QEMU and run guest programs in it")
    add = parser.add_argument
    add("--kernel", required=True, metavar="BZIMAGE")
    add("--initrd", required=True, metavar="CPIO")
    add("--run", required=True, metavar="A,B", help="guest programs, in order")
    add("--results", required=True, metavar="DIR")
    add("--name", help="of the files in DIR; default: the programs")
    add("--mem", default="1G")
    add("--smp", type=int, default=1, metavar="N")
    add("--append", default="", help="more for the kernel command line")
    add("--timeout", type=float, default=120, metavar="SECONDS")
    add("--qemu", default="qemu-system-x86_64")
    add("--machine", default="", metavar="WORDS", help="live, switch, acs, sriov, igb, cpu=MODEL, count")
    add("--expect", default="", metavar="AREA", help="demand what tests/areas.txt says of it")
    add("--table", action="store_true", help="print every row, not only failed ones")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    name = args.name or args.run.replace(",", "+")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        result = boot(args.kernel, args.initrd, args.run.split(","),
                      results=args.results, name=name, mem=args.mem,
                      smp=args.smp, append=args.append, timeout=args.timeout,
                      qemu=args.qemu, machine=args.machine, expect=args.expect,
                      report=print_row if args.table else print_failed_row)
        save(result, args.results, name)
    except (VmError, OSError, ValueError) as error:
        print(f"vm: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("vm: interrupted", file=sys.stderr)
        return 130
    print(f"{'OK' if result.ok else 'FAILED'}: {result.summary()}")
    return 0 if result.ok else 1


if __name__ == "__main__":
    sys.exit(main())
