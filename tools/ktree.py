# SPDX-License-Identifier: GPL-2.0
"""A kernel tree with tag base, on our branch: what git knows of it, and one run at a time."""

import contextlib
import dataclasses
import errno
import fcntl
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

BRANCH = "mapping-types"
# Debian's package for each tool that is not part of git or python.
PACKAGES = {"git": "git", "grep": "grep", "spatch": "coccinelle", "clang-format": "clang-format",
            "perl": "perl"}


class Fail(Exception):
    """One line for the person at the keyboard: what happened: what to do."""


# ---------------------------------------------------------------- processes

def command(argv, cwd, env=None, text=None, ok=(0,), keep=()):
    """Run a tool; return its CompletedProcess or fail in one line."""
    need(argv[0])
    full = {k: v for k, v in os.environ.items()
            if not re.match(r"GIT_(DIR|WORK_TREE|INDEX_FILE|PREFIX)", k)}
    full |= {"LC_ALL": "C.UTF-8"} | (env or {})
    done = subprocess.run(argv, cwd=cwd, env=full, input=text, capture_output=True,
                          pass_fds=keep, encoding="utf-8", errors="surrogateescape")
    if re.search("no space left|out of diskspace", done.stderr, re.I):
        raise OSError(errno.ENOSPC, "No space left on device", str(cwd))
    if done.returncode not in ok:
        said = " ".join(done.stderr.split())[:200] or f"exit code {done.returncode}"
        word = next((w for w in argv[1:] if re.fullmatch(r"[a-z-]{4,}", w)), "")
        raise Fail(f"{argv[0]} {word}: {said}: correct that, and run again")
    return done


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise Fail(f"{tool} is missing: install it with 'apt-get install {PACKAGES[tool]}'")


# --------------------------------------------------------------------- tree

@dataclasses.dataclass
class Tree:
    path: Path
    keep: tuple = ()        # the lock: children hold it as long as they live
    was: dict = dataclasses.field(default_factory=dict)     # see touch()
    known: set = dataclasses.field(default_factory=set)     # see gates.search()
    hits: set = dataclasses.field(default_factory=set)

    def git(self, *args, **more):
        # Nobody's configuration may change what we read from git.
        plain = ["git", "-c", "core.quotePath=false", "-c", "core.autocrlf=false",
                 "-c", "core.fsmonitor=false", "-c", "color.ui=false"]
        return command(plain + list(args), self.path, keep=self.keep, **more)

    def out(self, *args, **more):
        return self.git(*args, **more).stdout.strip()

    def private(self, name):
        return self.path / self.out("rev-parse", "--git-path", name)

    def head(self):
        return self.out("rev-parse", "HEAD")

    def base(self):
        return self.out("rev-parse", "base^{commit}")

    def dirty(self):
        """The first path that is not as HEAD has it, or ''."""
        found = self.git("status", "--porcelain", "-z", "-uno").stdout[3:]
        # Debian's .gitignore has /*, which would hide every new file.
        found = found or self.git("ls-files", "-o", "-z", "--exclude-standard",
                                  "--exclude=!/*").stdout
        return found.split("\0")[0]

    def state(self, name):
        """(git's mode, content) of a file, or None."""
        path = self.path / name
        if not path.is_file():
            return None
        return "100755" if path.stat().st_mode & 0o100 else "100644", path.read_bytes()

    def touch(self, *names):
        """Before a file is changed: remember what the last commit has of it."""
        for name in names:
            if name not in self.was:
                self.was[name] = self.state(name)

    def kver(self):
        text = (self.path / "Makefile").read_text("utf-8")
        return ".".join(re.search(rf"^{key} *= *(\d+)", text, re.M)[1]
                        for key in ("VERSION", "PATCHLEVEL"))

    def blobs(self):
        """{path: blob} of every file in which HEAD differs from base."""
        raw = self.git("diff-tree", "-r", "-z", "--no-renames", "base", "HEAD").stdout.split("\0")
        return {path: meta.split()[3] for meta, path in zip(raw[::2], raw[1::2])}

    def commits(self):
        """Every commit on base, the first one first."""
        return self.out("rev-list", "--reverse", "base..HEAD").split()


def open_tree(path):
    """Refuse everything that is not a kernel tree prepared for us."""
    path = Path(path).resolve()
    if not path.is_dir():
        raise Fail(f"{path}: no such directory: prepare one with 'make tree'")
    advice = "move it away, then 'make tree' prepares another"
    need("git")
    tree = Tree(path)
    top = tree.git("rev-parse", "--show-toplevel", ok=(0, 128)).stdout.strip()
    if not top or Path(top).resolve() != path:
        raise Fail(f"{path}: not the top of a git work tree: {advice}")
    try:
        tree.kver()
    except (OSError, TypeError):
        raise Fail(f"{path}: not a kernel tree, its Makefile names no "
                   f"VERSION and PATCHLEVEL: {advice}") from None
    if not tree.out("rev-parse", "-q", "--verify", "refs/tags/base", ok=(0, 1)):
        raise Fail(f"{path}: no tag 'base': {advice}")
    branch = tree.out("symbolic-ref", "-q", "--short", "HEAD", ok=(0, 1))
    if branch != BRANCH:
        raise Fail(f"{path}: on branch '{branch}', not '{BRANCH}': go there "
                   f"with 'git -C {path} checkout -B {BRANCH} base'")
    return tree


@contextlib.contextmanager
def locked(tree):
    """Only one run at a time; yields whether the last one was interrupted.

    The lock file has content while a run works on the tree.  The children hold
    the lock too: what a killed run left behind ends before the next one starts.
    """
    with open(tree.private("series-lock"), "a+") as lock:
        for _ in range(100):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.1)
        else:
            raise Fail(f"{tree.path}: another run works on it: wait for its end")
        tree.keep = (lock.fileno(),)
        lock.seek(0)
        broken = bool(lock.read())
        yield lock, broken


def to_commit(tree, commit):
    """Back to a commit; only files that differ from it are written."""
    tree.git("reset", "-q", "--hard", commit)
    tree.git("clean", "-fdq", "-e", "!/*")      # see dirty()


def remove_locks(tree):
    """What git's own locks are when it is killed."""
    for name in ("index.lock", "HEAD.lock", f"refs/heads/{BRANCH}.lock"):
        tree.private(name).unlink(missing_ok=True)
