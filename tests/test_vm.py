#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of tools/vm.py: what must not be called a success is not called one.

No kernel is booted. A small script takes the place of QEMU: it finds the
channel and the console in its arguments as QEMU would, and plays a guest.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
import vm  # noqa: E402

# Harmless lines, those that come close to a pattern above all.
CLEAN = """\
[    0.000000] Linux version 7.3.4 (build@localhost) (gcc, GNU ld) #1 SMP
[    0.000000] Command line: console=ttyS0 panic=-1 oops=panic intel_iommu=on
[    0.000000] kasan: KernelAddressSanitizer initialized (generic)
[    0.012345] Lock dependency validator: Copyright (c) 2006 Red Hat, Inc.
[    0.000000] kmemleak: Kernel memory leak detector disabled
[    0.014000] kmemleak: Kernel memory leak detector initialized (mem pool available: 15)
[    0.015000] kmemleak: Automatic memory scanning thread started
[    0.100000] DMA-API: preallocated 65536 debug entries
[    0.100001] DMA-API: debugging enabled by kernel config
[    0.200000] rcu: \tRCU debug extended QS entry/exit.
[    0.300000] DMAR: DRHD: handling fault status reg 2
[    0.300001] DMAR: IOMMU batching disallowed due to virtualization
[    0.400000] Warning: unable to open an initial console.
[    0.500000] # dma_buf_match: initializing suite
[    0.600000] Run /init as init process
[    0.700000] reboot: Power down
"""

SPLATS = """\
WARNING: drivers/dma-buf/dma-buf.c:123 at dma_buf_export+0x1/0x2, CPU#0: proof/42
BUG: kernel NULL pointer dereference, address: 0000000000000008
BUG: KASAN: slab-use-after-free in dma_buf_release+0x1/0x2
KASAN: null-ptr-deref in range [0x0000000000000000-0x0000000000000007]
UBSAN: array-index-out-of-bounds in drivers/iommu/iommufd/pages.c:1:2
kernel BUG at mm/slub.c:448!
Oops: general protection fault, probably for non-canonical address 0xdead: 0000 [#1]
traps: proof[42] trap invalid opcode ip:401000 sp:7ffd error:0
unable to handle page fault for address: ffff888000000000
Kernel panic - not syncing: Fatal exception
Call Trace:
possible recursive locking detected
WARNING: possible circular locking dependency detected
WARNING: inconsistent lock state
inconsistent lock state
WARNING: bad unlock balance detected!
[ BUG: Invalid wait context ]
INFO: trying to register non-static key.
INFO: task proof:42 blocked for more than 120 seconds.
watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [proof:42]
rcu: INFO: rcu_preempt self-detected stall on CPU
suspicious RCU usage
BUG: sleeping function called from invalid context at kernel/locking/mutex.c:1
BUG: scheduling while atomic: proof/42/0x00000002
refcount_t: underflow; use-after-free.
sleeping function called from invalid context at kernel/locking/mutex.c:1
Kernel stack is corrupted: stack-protector in: foo+0x1/0x2
list_add corruption. prev->next should be next (1), but was 2. (prev=3).
list_del corruption, ffff888000000000->next is NULL
list_add double add: new=1, prev=2, next=3.
BUG: Bad page state in process proof  pfn:12345
Poison overwritten
proof: page allocation failure: order:5, mode:0x40dc0(GFP_KERNEL|__GFP_ZERO), nodemask=(null)
proof: page allocation stall for 10 secs: order:0, mode:0xcc0(GFP_KERNEL) nodemask=(null)
proof: vmalloc error: size 131072, failed to allocate pages, mode:0xdc0(GFP_KERNEL), nodemask=(null)
proof invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
percpu: allocation failed, size=8 align=8 atomic=0, failed to allocate new chunk
ODEBUG: free active (active state 0) object: 1 object type: timer_list hint: x
kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
kmemleak: Cannot allocate a kmemleak_object structure
kmemleak: Kernel memory leak detector disabled
unreferenced object 0xffff888100000000 (size 64):
DMA-API: pci 0000:00:03.0: device driver frees DMA memory with wrong function
DMA-API: debugging out of memory - disabling
DMAR: [INTR-REMAP] Request device [0000:00:02.0] fault index 0x1d [fault reason 0x22] Present field in the IRTE entry is clear
DMAR: DRHD: handling fault status reg 3
DMAR: DRHD: handling fault status reg 20
dmar_fault: 5 callbacks suppressed
DMAR: VT-d detected Invalidation Queue Error: Reason 1
AMD-Vi: Event logged [IO_PAGE_FAULT device=0000:00:02.0 domain=0x0001 address=0x4000000 flags=0x0020]
proof[42]: segfault at 8 ip 0000000000401000 sp 00007ffd error 4 in proof
"""

# What the guest does; `say`, `ask`, `console` and `nonce` are there.
GOOD = """\
say("hello " + nonce)
say("run proof")
say("row one"); say("note what it proves"); say("pass")
"""
DONE = 'say("done " + nonce)\n'
DMA_FAULT = ("DMAR: [DMA {0} NO_PASID] Request device [0000:00:0{1}.0] fault addr 0x4000000 "
             "[fault reason 0x05] PTE {0} access is not set")

FAKE_QEMU = """\
#!{python}
import os, re, socket, sys, time
args = " ".join(sys.argv)
channel = socket.socket(fileno=int(re.search(r"id=channel,fd=(\\d+)", args)[1]))
log = open(re.search(r"id=console,path=(\\S+)", args)[1], "w", buffering=1)
nonce = re.search(r"proof.nonce=(\\S+)", args)[1]
lines = channel.makefile("r")

def say(text):
    channel.sendall(text.encode() + b"\\n")

def ask(text):
    say(text)
    return lines.readline().strip()

def console(text):
    log.write(text + "\\n")

log.write({clean!r})
{guest}
"""


class Scan(unittest.TestCase):
    def test_clean_log(self):
        self.assertEqual(vm.scan(CLEAN), [])

    def test_each_splat_is_found_where_it_is(self):
        for splat in SPLATS.splitlines():
            for prefix in ("[   12.345678] ", ""):
                with self.subTest(splat=splat):
                    found = vm.scan(CLEAN + prefix + splat + "\n")
                    self.assertEqual([(n, line) for n, _, line in found],
                                     [(len(CLEAN.splitlines()) + 1,
                                       prefix + splat)])

    def test_what_the_fuzzer_has_injected_is_excused(self):
        injected = ("fuzz: vmalloc error: size 131072, failed to allocate pages, mode:0xdc0\n"
                    "CPU: 0 UID: 0 PID: 80 Comm: fuzz Not tainted 7.3\nHardware name: QEMU\n"
                    "Call Trace:\n")
        self.assertEqual(vm.scan(injected), [])
        self.assertEqual([name for _, name, _ in vm.scan(injected + "Call Trace:\n")], ["call trace"])
        other = [name for _, name, _ in vm.scan(injected.replace("fuzz", "proof"))]
        self.assertEqual(other, ["memory", "call trace"])

    def test_each_pattern_has_a_splat_here(self):
        found = {name for _, name, _ in vm.scan(SPLATS)}
        self.assertEqual(found, {name for name, _ in vm.SPLATS})


class Boot(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = Path(directory.name)
        for name in ("bzImage", "initrd"):
            (self.dir / name).touch()

    def run_main(self, qemu, *more):
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            status = vm.main(["--kernel", str(self.dir / "bzImage"),
                              "--initrd", str(self.dir / "initrd"),
                              "--run", "proof", "--results", str(self.dir),
                              "--qemu", str(qemu), *more])
        return status, out.getvalue()

    def play(self, guest, *more):
        """Runs vm.py on a fake; returns (exit code, output, result)."""
        fake = self.dir / "qemu"
        fake.write_text(FAKE_QEMU.format(python=sys.executable, clean=CLEAN,
                                         guest=guest))
        fake.chmod(0o755)
        status, out = self.run_main(fake, *more)
        return status, out, json.loads((self.dir / "proof.json").read_text())

    def refuse(self, guest, reason, *more):
        status, out, result = self.play(guest, *more)
        self.assertEqual(status, 1, out)
        self.assertFalse(result["ok"])
        last = out.splitlines()[-1]
        self.assertTrue(last.startswith("FAILED: "), last)
        self.assertRegex(last, reason)
        self.assertIn(str(self.dir / "proof.console.log"), last)
        return out, result

    def test_success(self):
        status, out, result = self.play(GOOD + DONE, "--table")
        self.assertEqual(status, 0, out)
        self.assertTrue(result["ok"])
        self.assertRegex(out, r"  one +pass  what it proves\nOK: 1 passed, 0 failed")
        ktap = (self.dir / "proof.ktap").read_text()
        self.assertEqual(ktap, "KTAP version 1\n1..1\nok 1 proof: one\n")

    def test_files_of_the_bars(self):
        status, out, _ = self.play(GOOD + textwrap.dedent(f"""
            assert ask("peek 0 4") == "00000000"
            assert ask("poke 16 a1b2") == "ok"
            assert ask("peek 15 4") == "00a1b200"
            assert ask("poke {vm.BAR_SIZE - 1} 7f") == "ok"
            assert ask("poke {vm.BAR_SIZE} 01") == "ok"
            paths = re.findall(r"mem-path=([^ ,]+)", args)
            assert open(paths[0], "rb").read()[15:19] == bytes.fromhex("00a1b200")
            assert open(paths[0], "rb").read()[-1:] == b"\\x7f"
            assert open(paths[1], "rb").read(1) == b"\\x01"
            """) + DONE)
        self.assertEqual(status, 0, out)

    def test_files_of_the_results(self):
        old = self.dir / "proof.files"
        old.mkdir()
        (old / "old").touch()
        status, out, _ = self.play(GOOD + 'say("save a.b 4142")\nsay("save a.b 43")\n' + DONE)
        self.assertEqual(status, 0, out)
        self.assertEqual([(f.name, f.read_bytes()) for f in old.iterdir()], [("a.b", b"ABC")])
        for bad in ("../a 41", ".a 41", "a 4", "a"):
            self.refuse(GOOD + f'say("save {bad}")\n' + DONE, "protocol: 'save")

    def test_no_done(self):
        self.refuse(GOOD, "without the success token")

    def test_wrong_nonce(self):
        self.refuse(GOOD + 'say("done 0123")', "protocol: 'done 0123: wrong nonce'")

    def test_wrong_hello(self):
        self.refuse('say("hello 0123")\n' + GOOD[GOOD.index("\n"):] + DONE,
                    "init did not start")

    def test_token_on_the_console_only(self):
        self.refuse(GOOD + 'console("done " + nonce)', "without the success token")

    def test_failed_row(self):
        out, _ = self.refuse(GOOD + 'say("row two")\n'
                             'say("fail map 3 ranges: EOPNOTSUPP")\n' + DONE,
                             "1 passed, 1 failed")
        self.assertRegex(out, r"  two +FAIL  map 3 ranges: EOPNOTSUPP\n")
        self.assertNotIn("  one ", out)     # without --table only what failed
        self.assertIn("# map 3 ranges: EOPNOTSUPP\nnot ok 2 proof: two\n",
                      (self.dir / "proof.ktap").read_text())

    def test_skipped_row(self):
        status, out, _ = self.play(GOOD + 'say("row s"); say("skip no edu")\n' + DONE)
        self.assertEqual(status, 0, out)
        self.assertIn("1 skipped", out)
        self.assertIn("ok 2 proof: s # SKIP no edu\n",
                      (self.dir / "proof.ktap").read_text())

    def test_nothing_but_skips(self):
        self.refuse(GOOD + 'say("run kunit")\nsay("row s"); say("skip no edu")\n'
                    'say("run init")\nsay("row taint"); say("pass")\n' + DONE,
                    "kunit reported nothing but skips", "--run", "proof,kunit", "--name", "proof")

    def faults(self, announced, seen):
        """A guest that announces faults, and a console that shows some."""
        return (GOOD + 'say("row faults")\n' +
                "".join(f'say("fault {text}")\n' for text in announced) + 'say("pass")\n' +
                "".join(f'console("{DMA_FAULT.format(*fault)}")\n' for fault in seen) + DONE)

    def test_announced_faults(self):
        status, out, _ = self.play(self.faults(
            ["Write 0000:00:01.0 0x4000000"] * 2 + ["Read 0000:00:02.0 0x4000000"],
            [("Read", 2), ("Write", 1), ("Write", 1)]))
        self.assertEqual(status, 0, out)

    def test_fault_that_no_row_announced(self):
        for announced, seen in (
                ([], [("Write", 1)]),
                (["Write 0000:00:01.0 0x4000000"], [("Write", 1)] * 2),
                (["Read 0000:00:01.0 0x4000000"], [("Write", 1), ("Read", 1)]),
                (["Write 0000:00:02.0 0x4000000"], [("Write", 1), ("Write", 2)]),
                (["Write 0000:00:01.0 0x5000000"], [("Write", 1)]),
                (["* 0000:00:02.0 *"], [("Write", 1), ("Write", 2)])):
            with self.subTest(announced=announced, seen=seen):
                self.refuse(self.faults(announced, seen), "DMA faults that no row announced: 1 in "
                            "all, first: DMA Write of 0000:00:01.0 at 0x4000000")

    def test_announced_fault_that_did_not_come(self):
        for announced, seen in (
                (["Write 0000:00:01.0 0x4000000"], []),
                (["Write 0000:00:01.0 0x4000000"] * 2, [("Write", 1)]),
                (["* 0000:00:01.0 *"], [])):
            with self.subTest(announced=announced):
                self.refuse(self.faults(announced, seen),
                            r"announced DMA faults that did not come: 1 in all, "
                            r"first: DMA (Write|\*) of 0000:00:01.0")

    def test_any_number_of_faults(self):
        status, out, _ = self.play(self.faults(["* 0000:00:01.0 *"], [("Write", 1), ("Read", 1)]))
        self.assertEqual(status, 0, out)

    def test_announcement_without_a_row(self):
        for bad in ("Write 0000:00:01.0", "Poke 0000:00:01.0 0x4000000"):
            self.refuse(self.faults([bad], []), "protocol: 'fault")
        self.refuse(GOOD + 'say("fault Write 0000:00:01.0 0x4000000")\n' + DONE,
                    "protocol: 'fault .*: no row")

    def test_what_the_area_demands(self):
        table = {"small": [("least", "1", "")], "large": [("least", "2", "")],
                 "one": [("least", "1", ""), ("need", "on[ey]", "")],
                 "two": [("least", "1", ""), ("need", "two", "")],
                 "skips": [("least", "1", ""), ("skip", "no *", "for a reason")]}
        skip = 'say("row no edu"); say("skip none")\n'
        with mock.patch.object(vm.ours, "read_areas", return_value=table):
            for area, more in (("small", ""), ("one", ""), ("skips", skip)):
                self.assertEqual(self.play(GOOD + more + DONE, "--expect", area)[0], 0, area)
            for area, reason in (("large", "1 cases passed, at least 2 must"),
                                 ("two", "no case 'two' passed"),
                                 ("unknown", "how many cases of unknown must pass")):
                self.refuse(GOOD + DONE, reason, "--expect", area)
            self.refuse(GOOD + skip + DONE, "no edu was skipped, which .* does not expect: none",
                        "--expect", "small")

    def test_splat(self):
        self.refuse(GOOD + 'console("[   1.0] WARNING: x.c:1 at y")\n' + DONE,
                    r"1 splat, first in line \d+: .*WARNING: x.c:1 at y")

    def test_splat_while_powering_off(self):
        self.refuse(GOOD + DONE + 'time.sleep(0.3)\nconsole("BUG: KASAN: late")\n',
                    "KASAN: late")

    def test_empty_console(self):
        self.refuse(GOOD + "log.truncate(0)\n" + DONE, "shows no kernel")

    def test_no_rows(self):
        self.refuse('say("hello " + nonce)\n' + DONE, "proof reported no row")

    def test_program_without_rows(self):
        self.refuse(GOOD + 'say("run kunit")\n' + DONE, "kunit reported no row",
                    "--run", "proof,kunit", "--name", "proof")

    def test_row_that_does_not_end(self):
        out, _ = self.refuse(GOOD + 'say("row two")\nsay("row three")\nsay("pass")\n'
                             + DONE, "2 passed, 1 failed")
        self.assertRegex(out, r"  two +FAIL  did not end\n")

    def test_result_without_a_row(self):
        self.refuse(GOOD + 'say("pass")\n' + DONE, "protocol: 'pass: no row'")

    def test_unknown_message(self):
        self.refuse(GOOD + 'say("feed me")\n' + DONE, "protocol: 'feed me'")

    def test_peek_outside(self):
        self.refuse(GOOD + f'say("peek {vm.BAR_SIZE - 1} 2")\n' + DONE, "protocol: 'peek")

    def test_guest_dies_in_a_row(self):
        out, _ = self.refuse(GOOD + 'say("row two")\n',
                             "without the success token in row 'two'")
        self.assertRegex(out, r"  two +FAIL  the guest died here\n")

    def test_qemu_fails(self):
        self.refuse('print("no such device", file=sys.stderr)\nsys.exit(1)',
                    "QEMU ended with 1: no such device")

    def test_qemu_dies_of_a_signal(self):
        self.refuse(GOOD + "os.abort()", "QEMU ended with -6")

    def test_timeout(self):
        began = time.monotonic()
        out, _ = self.refuse(GOOD + 'say("row two")\ntime.sleep(60)', "timeout in row 'two'",
                             "--timeout", "1")
        self.assertRegex(out, r"  two +FAIL  timeout\n")
        self.assertLess(time.monotonic() - began, 10)

    def test_no_power_off(self):
        self.refuse(GOOD + DONE + "time.sleep(60)", "did not power off",
                    "--timeout", "1")

    def test_nothing_is_left_running(self):
        self.refuse(f'open("{self.dir}/pid", "w").write(str(os.getpid()))\n'
                    'time.sleep(60)', "timeout", "--timeout", "1")
        pid = int((self.dir / "pid").read_text())
        self.assertRaises(ProcessLookupError, os.kill, pid, 0)

    def test_one_line_when_something_is_missing(self):
        for qemu, remove, line in (
                ("/nonexistent/qemu", None, r"vm: /nonexistent/qemu is not installed: .+"),
                (sys.executable, "bzImage", r"vm: no kernel .*/bzImage: build it first"),
                (sys.executable, "initrd", r"vm: no initrd .*/initrd: build it first")):
            with self.subTest(line=line):
                if remove:
                    (self.dir / remove).rename(self.dir / "away")
                status, out = self.run_main(qemu)
                self.assertEqual(status, 2)
                self.assertRegex(out, rf"\A{line}\n\Z")
                if remove:
                    (self.dir / "away").rename(self.dir / remove)

    def test_a_log_of_last_time_counts_for_nothing(self):
        (self.dir / "proof.console.log").write_text(CLEAN)
        self.refuse("os.unlink(log.name)\n" + GOOD + DONE, "shows no kernel")


class Gpu(unittest.TestCase):
    """QEMU's GPU without a file in the /dev of this machine."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.dir = Path(directory.name)

    def unshare(self, script):
        """A fake unshare is all that there is on the PATH."""
        (self.dir / "unshare").write_text(f"#!/bin/sh\n{script}\n")
        (self.dir / "unshare").chmod(0o755)
        return mock.patch.dict(os.environ, {"PATH": str(self.dir)})

    def udmabuf(self, name):
        return mock.patch.object(vm, "UDMABUF", str(self.dir / name))

    def test_a_real_one_is_used(self):
        (self.dir / "udmabuf").touch()
        with self.udmabuf("udmabuf"), self.unshare("exit 1"):
            self.assertEqual(vm.no_gpu(), "")
            self.assertEqual(vm.namespace("live", self.dir), [])

    def test_a_user_namespace_if_no_other(self):
        with self.udmabuf("none"), self.unshare('[ $1 = -rm ]'):
            self.assertEqual(vm.no_gpu(), "")
            self.assertEqual(vm.namespace("live,switch", self.dir)[:2], ["unshare", "-rm"])

    def test_no_namespace(self):
        with self.udmabuf("none"), self.unshare('echo "unshare: not permitted" >&2; exit 1'):
            self.assertRegex(vm.no_gpu(), "none, which does not exist, .*: unshare: not permitted$")
            with self.assertRaisesRegex(vm.VmError, "QEMU's GPU needs"):
                vm.namespace("live", self.dir)

    def test_one_that_cannot_be_opened(self):
        (self.dir / "udmabuf").touch()
        with self.udmabuf("udmabuf"), self.unshare("exit 1"), \
                mock.patch.object(os, "access", return_value=False):
            self.assertRegex(vm.no_gpu(), "udmabuf, which cannot be opened, and")

    def test_no_unshare(self):
        with self.udmabuf("none"), mock.patch.dict(os.environ, {"PATH": str(self.dir)}):
            self.assertIn("unshare: No such file", vm.no_gpu())

    def test_machines_without_a_gpu_need_nothing(self):
        with self.udmabuf("none"), self.unshare("exit 1"):
            self.assertEqual(vm.namespace("switch", self.dir), [])

    def test_the_machine_stays_as_it_is(self):
        dev, before = self.dir / "dev", sorted(os.listdir("/dev"))
        dev.mkdir()
        prefix, why = vm.private_dev(dev)
        if why:
            self.skipTest(f"no mount namespaces here: {why}")
        seen = subprocess.run([*prefix, "sh", "-c", "echo /dev/* && echo more > /dev/udmabuf"],
                              capture_output=True, text=True, check=True).stdout
        self.assertIn("/dev/udmabuf", seen)
        self.assertEqual(sorted(os.listdir("/dev")), before)


class Machine(unittest.TestCase):
    def command(self, smp):
        with tempfile.TemporaryDirectory() as directory:
            return " ".join(vm.qemu_command("qemu", "k", "i", "a", "1G", smp,
                                            vm.Bars(directory), 5, "c,d"))

    def test_never_kvm(self):
        for smp in (1, 2):
            self.assertIn("-accel tcg", self.command(smp))
            self.assertNotIn("kvm", self.command(smp))

    def test_virtual_time_needs_one_cpu(self):
        self.assertIn("-icount", self.command(1))
        self.assertNotIn("-icount", self.command(2))

    def test_comma_in_a_path(self):
        self.assertIn("path=c,,d", self.command(1))


if __name__ == "__main__":
    unittest.main()
