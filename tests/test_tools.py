# SPDX-License-Identifier: GPL-2.0
"""Tests of set-up, fetch, base, kernel and lint: above all, how they fail.

Nothing here needs the network, root, or a kernel: the tools are copied into a
directory of their own and find fake programs first in their PATH.
"""

import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tools"))
import areas    # noqa: E402
import ours     # noqa: E402
IDENTITY = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org"}
MAKEFILE = """VERSION = 7
PATCHLEVEL = 3
SUBLEVEL = 0
"""


class Sandbox(unittest.TestCase):
    """A copy of the tools, and a directory of fake programs."""

    def setUp(self):
        self.top = Path(tempfile.mkdtemp(prefix="test-tools-"))
        self.addCleanup(shutil.rmtree, self.top, ignore_errors=True)
        self.bin = self.top / "fake"
        self.bin.mkdir()
        self.calls = self.top / "calls"
        for name in ("tools", "config"):
            shutil.copytree(TOP / name, self.top / name,
                            ignore=shutil.ignore_patterns("__pycache__"))
        self.out = self.top / "build/7.3"

    def fake(self, name, script):
        path = self.bin / name
        path.write_text(f"#!/bin/bash\necho {name} \"$*\" >>{self.calls}\n{script}\n")
        path.chmod(0o755)

    def called(self, text):
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return sum(text in line for line in lines)

    def environment(self, **more):
        drop = ("KVER", "LINUX", "STOCK", "JOBS", "NEED_GB", "FETCH_MIRROR", "APT_CONFIG")
        env = {k: v for k, v in os.environ.items() if k not in drop}
        return env | IDENTITY | {"PATH": f"{self.bin}:{env['PATH']}"} | more

    def run_tool(self, *argv, **env):
        return subprocess.run([self.top / "tools" / argv[0], *argv[1:]], text=True,
                              capture_output=True, env=self.environment(**env),
                              timeout=60)

    def start(self, *argv, **env):
        """Like run_tool(), and does not wait for it; what it says is in self.said."""
        self.said = self.top / "said"
        with self.said.open("w") as said:
            running = subprocess.Popen([self.top / "tools" / argv[0], *argv[1:]], text=True,
                                       start_new_session=True, stdout=said, stderr=said,
                                       env=self.environment(**env))
        self.addCleanup(self.stop, running)
        return running

    @staticmethod
    def stop(running):
        """With what it has started: a test that has failed must not wait for it."""
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()

    def second_waits_for_first(self, first, second):
        """The fake apt-get ends when there is a file named go."""
        first = self.start(*first, NEED_GB="0", KVER="7.4")
        self.wait_for(lambda: (self.top / "busy").exists())
        second = self.start(*second, NEED_GB="0", KVER="7.2")
        self.wait_for(lambda: "another run uses apt: waiting" in self.said.read_text())
        (self.top / "go").touch()
        self.assertEqual((first.wait(), second.wait()), (0, 0), self.said.read_text())

    def wait_for(self, condition):
        deadline = time.monotonic() + 120
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)

    def refused(self, done, *words, code=1):
        """It ended with one line that has these words in it."""
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        lines = done.stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, done.stderr)
        for word in words:
            self.assertIn(word, lines[0])

    def fine(self, done):
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def git(self, where, *argv):
        done = subprocess.run(["git", *argv], cwd=where, text=True, check=True,
                              capture_output=True, env=self.environment())
        return done.stdout.strip()


class Library(Sandbox):

    def bash(self, script, **env):
        return subprocess.run(["bash", "-c", f". {self.top}/tools/lib.sh; {script}"], text=True,
                              capture_output=True, env=self.environment(**env), timeout=60)

    def test_quick_steps_leave_no_message(self):
        done = self.bash("for i in {1..30}; do progress x 'echo a,' true; done")
        self.fine(done)
        self.assertEqual(done.stderr, "")


    def test_path_in_which_no_kernel_can_be_built(self):
        self.fake("apt-get", "exit 100")
        shutil.copy(TOP / "Makefile", self.top)
        for name, fine in (("a b", False), ("a:b", False), ("a'b", False), ("a$b", False), ("a\\b", False),
                           ("größe", True), ("a+b,c@d=e", True), ("[a", False)):
            top = self.top / name
            top.mkdir()
            for part in ("tools", "Makefile"):
                (top / part).symlink_to(self.top / part)
            done = subprocess.run(["bash", "-c", ". ./tools/lib.sh"], cwd=top, text=True,
                                  capture_output=True, env=self.environment())
            if fine:
                self.assertEqual((done.returncode, done.stderr), (0, ""), name)
            else:
                self.refused(done, f"cannot be built in {top} ", "another path")
                done = subprocess.run(["make", "tree"], cwd=top, text=True, capture_output=True,
                                      env=self.environment())
                self.assertIn(f"cannot be built in {top} ", done.stderr.splitlines()[0])
        self.assertEqual(self.called("apt-get"), 0)

    def test_build_of_somebody_else(self):
        """As `sudo make` leaves it; root may write anyway, so root tries it as nobody."""
        where = self.top / "build/7.3"
        where.mkdir(parents=True)
        where.chmod(0o555)
        self.top.chmod(0o755)
        nobody = ["setpriv", "--reuid=65534", "--clear-groups"] if os.getuid() == 0 else []
        done = subprocess.run([*nobody, "bash", "-c", f". {self.top}/tools/lib.sh"], text=True, cwd="/",
                              capture_output=True, env=self.environment())
        self.refused(done, "is not yours to write to", "chown")

    def test_build_is_a_link_to_such_a_path(self):
        (self.top / "a b").mkdir()
        (self.top / "build").symlink_to(self.top / "a b")
        self.refused(self.bash("true"), f"cannot be built in {self.top}/a b ")


class Setup(Sandbox):

    def packages(self, *missing):
        """A machine on which these packages are missing until they are installed."""
        tests = " ".join(f"[ $p = {name} ] && [ ! -e {self.top}/installed ] && continue;"
                         for name in missing)
        self.fake("dpkg-query", f"shift 3; for p; do {tests} echo installed $p; done")

    def test_all_there_is_silent(self):
        self.packages()
        self.assertEqual(self.fine(self.run_tool("setup", "build", "run", "series")), "")

    def test_missing_without_root_gives_one_command(self):
        self.packages("bison", "flex")
        self.fake("id", "echo 1000")
        self.fake("sudo", "exit 1")
        done = self.run_tool("setup", "build")
        self.refused(done, "apt-get install", "bison flex", "sudo sh -c '")
        self.assertEqual(done.stdout, "")

    def test_removed_package_is_missing(self):
        self.fake("dpkg-query", "shift 3; for p; do echo config-files $p; done")
        self.fake("id", "echo 1000")
        self.fake("sudo", "exit 1")
        self.refused(self.run_tool("setup", "fetch"), "git python3 xz-utils")

    def test_root_installs_and_updates_only_when_needed(self):
        self.packages("bison")
        self.fake("id", "echo 0")
        self.fake("apt-get", f"case $* in *update) touch {self.top}/lists;;\n"
                  f"*) [ -e {self.top}/lists ] && touch {self.top}/installed;; esac")
        self.fine(self.run_tool("setup", "build"))
        self.assertEqual((self.called("install --no-install-recommends bison"),
                          self.called("update")), (2, 1))
        (self.top / "installed").unlink()
        self.fine(self.run_tool("setup", "build"))
        self.assertEqual(self.called("update"), 1)

    def test_sudo_without_password(self):
        self.packages("bison")
        self.fake("id", "echo 1000")
        self.fake("sudo", "shift; \"$@\"")
        self.fake("apt-get", f"touch {self.top}/installed")
        self.fine(self.run_tool("setup", "build"))
        self.assertEqual(self.called("sudo -n env DEBIAN_FRONTEND"), 1)

    def test_two_at_once(self):
        """The second one waits, and finds that nothing is missing any more."""
        self.packages("bison")
        self.fake("id", "echo 0")
        self.fake("apt-get", f"touch {self.top}/busy; until [ -e {self.top}/go ]; do sleep 0.1; done; "
                  f"touch {self.top}/installed")
        self.second_waits_for_first(("setup", "build"), ("setup", "build"))
        self.assertEqual(self.called("apt-get"), 1)

    def test_without_sudo_the_command_is_for_su(self):
        self.packages("bison")
        for path in Path("/usr/bin").iterdir():
            if path.name not in ("sudo", "dpkg-query"):
                (self.bin / path.name).symlink_to(path)
        (self.bin / "id").unlink()
        self.fake("id", "echo 1000")
        self.refused(self.run_tool("setup", "build", PATH=str(self.bin)), "run: su -c 'apt-get update")

    def test_no_network(self):
        self.packages("bison")
        self.fake("id", "echo 0")
        self.fake("apt-get", "echo 'E: Could not resolve host' >&2; exit 100")
        self.refused(self.run_tool("setup", "build"), "does not answer", "check the network")

    def test_other_failure_is_quoted(self):
        self.packages("bison")
        self.fake("id", "echo 0")
        self.fake("apt-get", "echo 'E: dpkg was interrupted' >&2; exit 100")
        self.refused(self.run_tool("setup", "build"), "dpkg was interrupted", "build/setup.log")

    def other_distribution(self, *without):
        """All programs but those of Debian, and these."""
        for path in Path("/usr/bin").iterdir():
            if not path.name.startswith(("dpkg", "apt")) and path.name not in without:
                (self.bin / path.name).symlink_to(path)
        return {"PATH": str(self.bin)}

    def test_not_debian_needs_a_tree(self):
        path = self.other_distribution()
        self.refused(self.run_tool("setup", "fetch", "build", **path), "not a Debian machine", "LINUX=/path")

    def test_not_debian_names_what_is_missing(self):
        path = self.other_distribution("spatch", "clang-format", "bc", "gcc")
        self.fake("gcc", "case $* in -E*) ! grep -q libelf.h;; *print*) echo libc.a;; esac")
        self.refused(self.run_tool("setup", "fetch", "series", "build", LINUX="/x", **path),
                     "install what has bc clang-format spatch libc.a libelf.h")

    def test_not_debian_with_all_there(self):
        path = self.other_distribution()
        for name in ("spatch", "clang-format", "bc", "flex", "bison", "qemu-system-x86_64", "cpio", "gcc"):
            (self.bin / name).unlink(missing_ok=True)
            self.fake(name, "echo /usr/lib/libc.a")
        self.assertEqual(self.fine(self.run_tool("setup", "fetch", "series", "build", "run", LINUX="/x", **path)), "")

    def test_header_is_looked_for_by_gcc(self):
        path = self.other_distribution("bc", "flex", "bison")
        for name in ("bc", "flex", "bison"):
            self.fake(name, "true")
        setup = self.top / "tools/setup"
        text = setup.read_text()
        setup.write_text(text.replace("libelf.h", "stdio.h"))
        self.fine(self.run_tool("setup", "build", LINUX="/x", **path))
        setup.write_text(text.replace("libelf.h", "no/such.h"))
        self.refused(self.run_tool("setup", "build", LINUX="/x", **path), "install what has no/such.h")

    def test_unknown_need(self):
        self.refused(self.run_tool("setup", "nonsense"), "no such need 'nonsense'")


def write_tree(top):
    """A little of everything that git can store."""
    for name, text in {"Makefile": MAKEFILE, "Kconfig": "", ".gitignore": "*.o\n",
                       "drivers/x.c": "int x;\n", "drivers/x.o": "ignored, but source\n",
                       "drivers.txt": "int x;\n", "größe": "ü\n",
                       "deep/er/f": "f" * 300000}.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (top / "run.sh").write_text("#!/bin/sh\n")
    (top / "run.sh").chmod(0o755)
    for link, target in (("link", "drivers/x.c"), ("dirlink", "deep")):
        (top / link).unlink(missing_ok=True)
        (top / link).symlink_to(target)


class Base(Sandbox):

    def test_same_tree_as_git_add(self):
        one, other = self.top / "one", self.top / "other"
        for tree in (one, other):
            tree.mkdir()
            write_tree(tree)
            self.git(tree, "init", "-q")
        newest, root = self.fine(self.run_tool("base.py", one)).split()
        self.assertAlmostEqual(int(newest), time.time(), delta=60)
        self.git(other, "add", "-A", "-f")
        self.assertEqual(root, self.git(other, "write-tree"))
        self.assertEqual(self.git(one, "write-tree"), root)
        self.assertEqual(self.git(one, "fsck", "--full", "--strict", "--no-dangling"), "")
        self.git(one, "commit", "-q", "-m", "x")
        self.assertEqual(self.git(one, "status", "--porcelain"), "")
        (one / "drivers/x.c").write_text("int y;\n")
        self.assertEqual(self.git(one, "status", "--porcelain"), "M drivers/x.c")


class FakeMirror(Sandbox):
    """apt is a fake that has one package, with a checksum."""

    def setUp(self):
        super().setUp()
        self.package("7.3")

    def package(self, *kvers):
        """All that the mirror has is linux-source of these versions."""
        debs = [self.build(kver) for kver in kvers]
        self.deb = debs[0]
        asked = "".join(f"""
            *print-uris*{deb.name.partition("_")[0]}) echo "'http://mirror.example/x.deb' {deb.name} \\
                {deb.stat().st_size} SHA256:{hashlib.sha256(deb.read_bytes()).hexdigest()}";;"""
                        for deb in debs)
        self.fake("apt-get", f"""case "$*" in
            *indextargets*) echo 'Debian|Debian|main|bookworm|http://mirror.example/debian/';;{asked}
            *print-uris*) exit 100;;
            *update*) mkdir {self.top}/busy || exit 100
                until [ -z "$WAIT" -o -e {self.top}/go ]; do sleep 0.1; done; rmdir {self.top}/busy;;
            *download*) for last; do :; done; cp {self.top}/${{last}}_*.deb .;; esac""")

    def build(self, kver):
        name = f"linux-source-{kver}"
        root, source, deb = self.top / f"root-{kver}", self.top / name, self.top / f"{name}_{kver}.0-1_all.deb"
        write_tree(source)
        (root / "usr/src").mkdir(parents=True, exist_ok=True)
        (root / "DEBIAN").mkdir(exist_ok=True)
        (root / "DEBIAN/control").write_text(
            f"Package: {name}\nVersion: {kver}.0-1\nArchitecture: all\n"
            "Maintainer: a <a@example.org>\nDescription: x\n")
        subprocess.run(["tar", "-C", self.top, "-cJf", root / f"usr/src/{name}.tar.xz",
                        source.name], check=True)
        subprocess.run(["dpkg-deb", "-Znone", "-b", root, deb], check=True,
                       stdout=subprocess.DEVNULL)
        return deb

    def fetch(self, **env):
        return self.run_tool("fetch", NEED_GB="0", **env)


class Fetch(FakeMirror):

    def test_tree_record_and_second_run(self):
        self.fine(self.fetch())
        tree = self.out / "linux"
        self.assertEqual(self.git(tree, "status", "--porcelain"), "")
        self.assertEqual(self.git(tree, "symbolic-ref", "--short", "HEAD"), "mapping-types")
        self.assertEqual(self.git(tree, "log", "-1", "--format=%B", "base"),
                         "Linux 7.3.0\n\nDebian's linux-source-7.3 7.3.0-1.")
        record = (self.out / "source-version").read_text()
        self.assertIn("version 7.3.0-1\n", record)
        self.assertIn(hashlib.sha256(self.deb.read_bytes()).hexdigest(), record)
        self.assertIn("mirror.example/debian/ trixie-backports main",
                      (self.top / "build/apt/sources").read_text())
        calls = self.calls.read_text()
        self.assertEqual(self.fine(self.fetch()), "")
        self.assertEqual(self.calls.read_text(), calls)

    def test_same_commit_each_time(self):
        self.fine(self.fetch())
        first = self.git(self.out / "linux", "rev-parse", "base")
        shutil.rmtree(self.out)
        time.sleep(1.1)
        self.fine(self.fetch())
        self.assertEqual(self.git(self.out / "linux", "rev-parse", "base"), first)

    def test_system_configuration_is_only_read(self):
        self.fine(self.fetch())
        for line in self.calls.read_text().splitlines():
            if line.startswith("apt-get") and "indextargets" not in line:
                self.assertIn(f"-c {self.top}/build/apt/apt.conf", line)

    def test_damaged_package_is_loaded_again(self):
        (self.top / "build/dl").mkdir(parents=True)
        (self.top / "build/dl/linux-source-7.3_7.3.0-1_all.deb").write_text("half")
        self.fine(self.fetch())
        self.assertEqual(self.called(" download "), 3)      # with two --print-uris

    def test_mirror_lies(self):
        name = "linux-source-7.3_7.3.0-1_all.deb"
        self.fake("apt-get", f"""case "$*" in
            *print-uris*) echo "'http://m/x' {name} 4 SHA256:{'0' * 64}";;
            *download*) echo evil >{name};; esac""")
        self.refused(self.fetch(FETCH_MIRROR="http://m/"), "not what the list promised")
        self.assertFalse((self.out / "linux").exists())

    def kill_in(self, program):
        """Kill fetch, and all its children, while it runs this program."""
        self.fake(program, "sleep 60")
        running = self.start("fetch", NEED_GB="0")
        self.wait_for(lambda: self.called(program + " ") or running.poll())
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        (self.bin / program).unlink()

    def test_killed_while_unpacking(self):
        self.kill_in("xz")
        (self.out / "linux.part/junk").write_text("of the first run")
        self.assertFalse((self.out / "linux").exists())
        self.fine(self.fetch())
        self.assertFalse((self.out / "linux/junk").exists())
        self.assertEqual(self.called(" download linux"), 4)     # asked three times, loaded once
        self.assertEqual(self.git(self.out / "linux", "status", "--porcelain"), "")

    def test_killed_while_making_base(self):
        self.kill_in("python3")
        self.assertFalse((self.out / "linux").exists())
        self.fake("xz", "exit 1")       # must not be needed any more
        self.fine(self.fetch())
        self.assertEqual(self.git(self.out / "linux", "status", "--porcelain"), "")
        self.assertEqual(list(self.out.glob("linux?*")), [])

    def test_unpacking_fails(self):
        self.fake("xz", "echo 'xz: No space left on device' >&2; exit 1")
        self.refused(self.fetch(), "No space left on device", "run this again")

    def test_no_space(self):
        self.refused(self.run_tool("fetch", NEED_GB="999999"), "999999 GB are needed", "make room")
        self.assertEqual(self.called("apt-get"), 0)

    def test_mirror_does_not_answer(self):
        (self.bin / "apt-get").unlink()
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            mirror = f"http://127.0.0.1:{closed.getsockname()[1]}/debian/"
        start = time.monotonic()
        self.refused(self.fetch(FETCH_MIRROR=mirror), mirror, "does not answer")
        self.assertLess(time.monotonic() - start, 30)

    def test_no_debian_archive_configured(self):
        self.fake("apt-get", "echo 'Other|Other|main|x|http://other.example/'")
        self.refused(self.fetch(), "has no Debian archive", "FETCH_MIRROR=url", "LINUX=/path")

    def test_an_archive_called_like_the_release(self):
        """Without lists apt knows no origin: good enough on Debian, and nowhere else."""
        self.fake("apt-get", "case \"$*\" in *indextargets*) echo '|$(LABEL)|main|fresh|http://fresh.example/';;"
                  "*print-uris*) exit 100;; esac")
        release, fetch = self.top / "os-release", self.top / "tools/fetch"
        fetch.write_text(fetch.read_text().replace("/etc/os-release", str(release)))
        release.write_text("ID=debian\nVERSION_CODENAME=fresh\n")
        self.refused(self.fetch(), "http://fresh.example/ has no linux-source")
        release.write_text("ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=fresh\n")
        self.refused(self.fetch(), "has no Debian archive", "FETCH_MIRROR=url")

    def test_keyring_too_old(self):
        self.fake("apt-get", "echo 'W: GPG error: NO_PUBKEY 0123' >&2; exit 100")
        self.refused(self.fetch(FETCH_MIRROR="http://m/"), "debian-archive-keyring")

    def test_version_that_nobody_has(self):
        self.fake("apt-get", "case \"$*\" in *print-uris*) exit 100;; esac")
        self.refused(self.fetch(FETCH_MIRROR="http://m/", KVER="9.9"),
                     "linux-source-9.9 is in none of", "sid")
        self.refused(self.fetch(KVER="new"), "KVER=new", "such as 7.3")
        self.refused(self.fetch(FETCH_MIRROR="http://m/"), "no linux-source of 7.3 or 7.2",
                     "FETCH_MIRROR", "LINUX=/path")

    def test_two_versions_at_once(self):
        """apt has one lock for both; the second run waits for it, and only for that."""
        self.package("7.4", "7.2")
        with mock.patch.dict(os.environ, {"WAIT": "1"}):
            self.second_waits_for_first(("fetch",), ("fetch",))

    def where(self, **env):
        script = f". {self.top}/tools/lib.sh; base_tree >/dev/null; echo $KVER; $BASH -c 'echo $TREE'"
        done = subprocess.run(["bash", "-c", script], text=True, capture_output=True, timeout=60,
                              env=self.environment(NEED_GB="0", **env))
        return self.fine(done).split()

    def test_newest_that_the_mirror_has(self):
        self.package("7.2")
        self.assertIn("linux-source-7.2: 7.3 is not at this mirror any more", self.fine(self.fetch()))
        self.assertEqual(self.git(self.top / "build/7.2/linux", "log", "-1", "--format=%s", "base"),
                         "Linux 7.3.0")     # what its Makefile says
        self.assertEqual(self.called(" update"), 3)             # each suite once
        calls = self.calls.read_text()
        self.assertEqual(self.fine(self.fetch()), "")           # and offline from now on
        self.assertEqual(self.calls.read_text(), calls)
        self.assertFalse((self.top / "build/7.3/linux").exists())

    def test_all_tools_agree_on_the_version(self):
        self.package("7.2")
        tree = str(self.top / "build/7.2/linux")
        for _ in range(2):
            self.assertEqual(self.where(), ["7.2", tree])

    def test_newest_when_there(self):
        self.assertEqual(self.where()[0], "7.3")
        self.assertEqual((self.top / "build/kver").read_text(), "7.3\n")

    def test_tree_that_is_there_is_used(self):
        (self.out / "linux").mkdir(parents=True)
        self.assertEqual(self.where()[0], "7.3")
        self.assertEqual(self.called("apt-get"), 0)

    def test_asked_version_is_not_remembered(self):
        self.package("7.2")
        self.assertEqual(self.where(KVER="7.2")[0], "7.2")
        self.assertFalse((self.top / "build/kver").exists())

    def test_settled_version_that_is_gone(self):
        (self.top / "build").mkdir()
        (self.top / "build/kver").write_text("7.3\n")
        self.package("7.2")
        self.refused(self.fetch(), "linux-source-7.3 is not at", "run this again")
        self.assertEqual(self.where()[0], "7.2")

    def test_junk_in_kver_is_ignored(self):
        (self.top / "build").mkdir()
        (self.top / "build/kver").write_text("6.1\n")
        self.assertEqual(self.where()[0], "7.3")


HOSTILE = """
Acquire::AllowInsecureRepositories "true";
Acquire::AllowWeakRepositories "true";
Acquire::AllowDowngradeToInsecureRepositories "true";
APT::Get::AllowUnauthenticated "true";
APT::Get::Force-Yes "true";
Acquire::https::Verify-Peer "false";
Acquire::https::Verify-Host "false";
Acquire::https::mirror.example::Verify-Peer "false";
Acquire::https::mirror.example::Verify-Host "false";
Acquire::gpgv::Options { "--ignore-time-conflict"; };
APT::Hashes::SHA256::Untrusted "true";
APT::Hashes::MD5Sum::Untrusted "false";
APT::Hashes::SHA1::Weak "false";
"""
SECURE = """
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
APT::Get::AllowUnauthenticated "false";
APT::Get::Force-Yes "false";
Acquire::https::Verify-Peer "true";
Acquire::https::Verify-Host "true";
Acquire::https::mirror.example::Verify-Peer "true";
Acquire::https::mirror.example::Verify-Host "true";
"""


@unittest.skipUnless(shutil.which("apt-config"), "no apt")
class HostileConfiguration(FakeMirror):
    """The machine's apt is told to trust everyone; ours trusts Debian's key alone."""

    def setUp(self):
        super().setUp()
        self.conf = self.top / "hostile.conf"
        scoped = "".join(f"Binary::apt-get::{line}\n" for line in HOSTILE.split("\n")[1:-1])
        self.conf.write_text(HOSTILE + scoped)

    def effective(self):
        """What apt-get would see, from a program that can print it."""
        return subprocess.run(["bash", "-c", "exec -a apt-get apt-config -c $0 dump",
                               self.top / "build/apt/apt.conf"], text=True, check=True,
                              capture_output=True, env=os.environ | {"APT_CONFIG": str(self.conf)}
                              ).stdout.splitlines()

    def test_effective_values(self):
        self.fine(self.fetch(APT_CONFIG=str(self.conf), FETCH_MIRROR="https://mirror.example/debian/"))
        effective = self.effective()
        for line in SECURE.split("\n")[1:-1]:
            name = line.split()[0]
            self.assertEqual([e for e in effective if e.startswith(name + " ")], [line])
        for name in ("Acquire::gpgv::", "APT::Hashes::"):
            self.assertEqual([e for e in effective if e.startswith(name)], [])

    def test_no_option_of_the_source_is_left_open(self):
        self.fine(self.fetch())
        source = (self.top / "build/apt/sources").read_text()
        for option in ("allow-insecure=no", "allow-weak=no", "allow-downgrade-to-insecure=no"):
            self.assertIn(option, source)

    def test_unsigned_archive_is_refused(self):
        (self.bin / "apt-get").unlink()
        suite = self.top / "archive/dists/trixie-backports"
        (suite / "main/binary-amd64").mkdir(parents=True)
        packages = suite / "main/binary-amd64/Packages"
        packages.write_text(f"Package: linux-source-7.3\nVersion: 7.3.0-1\nArchitecture: all\n"
                            f"Filename: package.deb\nSize: {self.deb.stat().st_size}\n"
                            f"SHA256: {hashlib.sha256(self.deb.read_bytes()).hexdigest()}\n")
        data = packages.read_bytes()
        (suite / "Release").write_text(
            "Origin: Debian\nSuite: trixie-backports\nCodename: trixie-backports\n"
            "Date: Wed, 25 Nov 2026 02:10:59 UTC\nArchitectures: amd64\nComponents: main\nSHA256:\n"
            f" {hashlib.sha256(data).hexdigest()} {len(data)} main/binary-amd64/Packages\n")
        shutil.copy(self.deb, self.top / "archive/package.deb")
        self.refused(self.fetch(APT_CONFIG=str(self.conf), FETCH_MIRROR=f"file:{self.top}/archive"),
                     "is not signed")
        self.assertFalse((self.out / "linux").exists())


class UsersTree(Sandbox):

    def setUp(self):
        super().setUp()
        self.tree = self.top / "mine"
        self.tree.mkdir()
        write_tree(self.tree)
        self.git(self.tree, "init", "-q")
        self.git(self.tree, "add", "-A")
        self.git(self.tree, "commit", "-q", "-m", "mine")
        self.ours = self.top / "build/local-mine/linux"

    def fetch(self, tree):
        return self.run_tool("fetch", LINUX=str(tree), NEED_GB="0")

    def state(self):
        """Everything that could be seen of a change: content, refs, mtimes."""
        found = {}
        for path in sorted(self.tree.rglob("*")):
            info = path.lstat()
            found[str(path)] = (info.st_mtime_ns, info.st_size, info.st_ino)
        return found

    def test_tree_is_only_read(self):
        # A stat cache that is out of date is what git would like to write back.
        os.utime(self.tree / "drivers/x.c", (1, 1))
        before = self.state()
        self.assertIn("of " + str(self.tree), self.fine(self.fetch(self.tree)))
        self.git(self.ours, "commit", "-q", "--allow-empty", "-m", "step")
        self.assertEqual(self.state(), before)
        self.assertEqual(self.git(self.ours, "rev-parse", "base"),
                         self.git(self.tree, "rev-parse", "HEAD"))
        self.assertEqual(self.git(self.ours, "remote"), "")
        self.assertTrue((self.ours / ".git/objects/info/alternates").exists())
        self.assertEqual(self.fine(self.fetch(self.tree)), "")

    def test_follows_the_commit(self):
        self.fine(self.fetch(self.tree))
        (self.tree / "drivers/x.c").write_text("int y;\n")
        told = self.fine(self.fetch(self.tree))
        self.assertEqual(len(told.splitlines()), 1)
        self.assertIn("not committed", told)
        self.git(self.tree, "commit", "-q", "-a", "-m", "more")
        self.git(self.tree, "checkout", "-q", "--detach")
        self.fine(self.fetch(self.tree))
        self.assertEqual((self.ours / "drivers/x.c").read_text(), "int y;\n")

    def test_linked_worktree(self):
        self.git(self.tree, "worktree", "add", "-q", str(self.top / "linked"), "-b", "topic")
        self.fine(self.fetch(self.top / "linked"))
        self.assertTrue((self.top / "build/local-linked/linux/Kconfig").exists())

    def test_another_tree_of_the_same_name(self):
        self.fine(self.fetch(self.tree))
        other = self.top / "elsewhere/mine"
        shutil.copytree(self.tree, other, symlinks=True)
        (other / "new").write_text("")
        self.git(other, "add", "-A")
        self.git(other, "commit", "-q", "-m", "other")
        self.fine(self.fetch(other))
        self.assertTrue((self.ours / "new").exists())

    def test_refusals(self):
        self.refused(self.fetch(self.top / "nowhere"), "no such directory")
        self.refused(self.fetch(self.top / "tools"), "not a git work tree")
        self.refused(self.fetch(self.tree / "drivers"), "not the top of a kernel tree")
        self.git(self.tree, "rm", "-q", "Kconfig")
        self.git(self.tree, "commit", "-q", "-m", "no kernel any more")
        self.refused(self.fetch(self.tree), "not the top of a kernel tree")
        empty = self.top / "empty"
        empty.mkdir()
        self.git(empty, "init", "-q")
        self.refused(self.fetch(empty), "nothing is committed")


class Kernel(Sandbox):
    """A kernel tree whose make and merge_config.sh do what the test says."""

    def setUp(self):
        super().setUp()
        self.tree = self.out / "linux"
        (self.tree / "scripts/kconfig").mkdir(parents=True)
        (self.tree / "Kconfig").write_text("")
        merge = self.tree / "scripts/kconfig/merge_config.sh"
        merge.write_text("#!/bin/bash\nmkdir -p $3; shift 6; cat \"$@\" | grep -v LOSE_ME >$OLDPWD/x;"
                         "\nmv $OLDPWD/x " + str(self.out / "kernel/.config") + "\n")
        merge.chmod(0o755)
        self.makefile("mkdir -p $(O)/arch/x86/boot && echo '  CC x.o' && "
                      "touch $(O)/arch/x86/boot/bzImage")
        (self.top / "config/run.config").write_text("CONFIG_A=y\n# CONFIG_B is not set\n")
        (self.top / "config/7.3.config").write_text("CONFIG_C=y\n")
        self.git(self.tree, "init", "-q")
        self.commit()

    def makefile(self, recipe):
        (self.tree / "Makefile").write_text(
            f"{MAKEFILE}olddefconfig:\n\t@true\nbzImage:\n\t@echo built >>{self.calls}\n\t@{recipe}\n")

    def commit(self):
        self.git(self.tree, "add", "-A")
        self.git(self.tree, "commit", "-q", "--allow-empty", "-m", "x")

    def build(self):
        return subprocess.run([self.top / "tools/kernel", "run"], cwd=self.top, text=True,
                              capture_output=True, timeout=60,
                              env=self.environment(NEED_GB="0"))

    def test_builds_once(self):
        self.assertIn("run:", self.fine(self.build()))
        self.assertEqual(self.fine(self.build()), "")
        (self.tree / "Kconfig").write_text("config X\n")        # by hand: make decides
        self.fine(self.build())
        self.commit()
        self.fine(self.build())
        self.assertEqual(self.fine(self.build()), "")
        self.assertEqual(self.called("built"), 3)
        self.assertIn("CONFIG_C=y", (self.out / "kernel/.config").read_text())

    def test_lost_symbols_are_named(self):
        (self.top / "config/run.config").write_text("CONFIG_A=y\nCONFIG_LOSE_ME=y\nCONFIG_D=y\n")
        self.refused(self.build(), "CONFIG_LOSE_ME=y")
        self.refused(self.build(), "CONFIG_LOSE_ME=y")          # and not forgotten

    def test_first_error_is_quoted(self):
        self.makefile("echo 'x.c:3: error: no such thing'; echo later: error: two; false")
        self.refused(self.build(), "x.c:3: error: no such thing", "results/kernel-run.log")

    def test_refusals(self):
        self.refused(self.run_tool("kernel", "big", NEED_GB="0"), "no such flavour 'big'")
        shutil.rmtree(self.tree)
        self.refused(self.build(), "make tree")


class Soak(Sandbox):

    def soak(self, vm="", **env):
        (self.top / "tools/vm.py").write_text(f"import sys\nprint(*sys.argv[1:])\n{vm}\n")
        return self.run_tool("soak", self.out, SOAK_SEED="7", **env)

    def test_rounds_and_seeds(self):
        said = self.fine(self.soak(SOAK_ROUNDS="250000"))
        for kernel in ("debug", "kcsan"):
            self.assertRegex(said, rf"kernel-{kernel} +250000 +3 ")
        seeds = [word for word in said.split() if word.startswith("race.seed=")]
        self.assertEqual(len(set(seeds)), 6)
        self.assertEqual(said.split()[-1], "passed")

    def test_stops_by_itself(self):
        done = self.soak(SOAK_MINUTES="0")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no time", done.stdout)

    def test_one_failure_ends_it(self):
        done = self.soak(vm="sys.exit('race.seed=9' in sys.argv[-1])")
        self.assertEqual(done.returncode, 1)
        self.assertIn("FAILED: kernel-debug, seed 9", done.stdout)


class Lint(unittest.TestCase):

    def setUp(self):
        self.lint = ours.load("lint")
        self.top = Path(tempfile.mkdtemp(prefix="test-lint-"))
        self.addCleanup(shutil.rmtree, self.top)
        self.lint.TOP = self.top

    def problems(self, check, name, text):
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return list(check([path]))

    def test_names(self):
        for bad in ("/".join(["", "home", "someone"]), ".".join(["deb", "debian", "org"]),
                    "https://" + ".".join(["pypi", "org"])):
            self.assertEqual(len(self.problems(self.lint.names, "x", f"a {bad}/b\n")), 1, bad)
        self.assertEqual(self.problems(self.lint.names, "x", "$(OUT)/root/bin lore.kernel.org\n"), [])

    def test_long_functions(self):
        body = "\tx();\n" * 60
        for name, text in (("guest/a.c", f"int f(void)\n{{\n{body}}}\n"),
                           ("tools/a.py", "def f():\n" + "    x()\n" * 60),
                           ("tools/a", f"#!/bin/bash\nf() {{\n{body}}}\n")):
            self.assertEqual(len(self.problems(self.lint.length, name, text)), 1, name)
            self.assertEqual(self.problems(self.lint.length, name, text[:200] + "\n}\n")
                             if name[-1] != "y" else [], [])

    def test_licence(self):
        self.assertEqual(len(self.problems(self.lint.licence, "a.c", "int x;\n")), 1)
        tag = "SPDX-License" + "-Identifier: GPL-2.0"
        self.assertEqual(self.problems(self.lint.licence, "a.c", f"// {tag}\n"), [])

    def test_errors_cannot_be_allowed(self):
        self.lint.ALLOWED = self.top / "allow"
        self.lint.ALLOWED.write_text("# comment\nKIND | drivers/* | because\n")
        self.assertTrue(self.lint.allowed("WARNING", "KIND", "drivers/x.c"))
        self.assertFalse(self.lint.allowed("WARNING", "KIND", "include/x.h"))
        self.assertFalse(self.lint.allowed("WARNING", "OTHER", "drivers/x.c"))
        self.assertFalse(self.lint.allowed("ERROR", "KIND", "drivers/x.c"))


class Results(unittest.TestCase):

    def test_a_boot_that_was_not_is_no_boot_of_before(self):
        top = Path(tempfile.mkdtemp(prefix="test-results-"))
        self.addCleanup(shutil.rmtree, top)
        (top / "results").mkdir()
        ours.result(top, "name").write_text("{}")
        with self.assertRaisesRegex(SystemExit, "^name: .*kernel-none"):
            ours.boot(top, "name", "x", kernel="kernel-none")

    def test_a_pair_that_is_otherwise_is_a_failed_case(self):
        out = "head\na > b, long  map  the same\na > b  map  the same\nend\n"
        done = subprocess.CompletedProcess([], 1, out, "pairs: a > b on patched: none, not map\n")
        with mock.patch.object(areas.subprocess, "run", return_value=done), \
                mock.patch.object(areas, "no_gpu", return_value=""), \
                mock.patch.object(areas, "where"):
            cases = {case.name: case.result for case in areas.area_pairs()}
        self.assertEqual(cases, {"a > b, long": "pass", "a > b": "fail", "as tests/pairs.txt says": "fail"})


class FrontDoor(unittest.TestCase):

    def make(self, *argv):
        return subprocess.run(["make", "-C", TOP, "--no-print-directory", *argv],
                              text=True, capture_output=True)

    def phony(self):
        return next(line for line in (TOP / "Makefile").read_text().splitlines()
                    if line.startswith(".PHONY:")).split()[1:]

    def test_help_names_every_target(self):
        text = self.make("help").stdout
        for target in self.phony():
            if target != "help":
                self.assertRegex(text, rf"(?m)^(?:make|    ) {target} {{2,}}\S")

    def test_python_is_installed_before_it_is_used(self):
        python = [path.name for path in (TOP / "tools").iterdir()
                  if path.is_file() and "python3" in path.read_text().partition("\n")[0]]
        self.assertIn("test", python)
        for target in set(self.phony()) - {"help"}:
            recipe = self.make("-n", target).stdout
            first = re.search(rf"python3|tools/({'|'.join(python)})\b", recipe)
            if first:
                self.assertRegex(recipe[:first.start()], r"tools/setup|patched_tree", target)

    def test_deb_needs_a_configuration(self):
        for config, said in (("/nowhere/.config", "no /nowhere/.config: give"),
                             (TOP / "Makefile", "is not the .config of a kernel")):
            done = subprocess.run([TOP / "tools/deb"], text=True, capture_output=True,
                                  env=os.environ | {"CONFIG": str(config)})
            self.assertEqual(done.returncode, 1)
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
