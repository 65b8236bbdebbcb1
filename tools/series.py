#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The series engine: turns series/ and linux/ into commits on a kernel tree, and back.

A step is a directory series/PHASE/NN-name: docs/series.md. It either fits the
tree completely and becomes one commit, or it is refused by name:

  * a semantic patch must change every file that it is given by name, edits.patch
    must apply, and the commit must change something
  * spatch skips what it cannot parse and calls that a success, so every step with
    a semantic patch has gates: what must be gone, what must be there

The commits depend on the base commit, the series and the author only, so the
same input gives the same hashes, and a run begins at the first step that differs
from what is in the tree.  Files that end up as they were before the run keep
their mtime, so that the next build is incremental.
"""

import argparse
import contextlib
import errno
import getpass
import json
import os
import re
import shutil
import socket
import sys
import time
from pathlib import Path

import gates as gate
import smpl
import take as back
from ktree import BRANCH, Fail, command, locked, need, open_tree, remove_locks, to_commit
from steps import ROOT, first_versions, keys, load, touched


# ------------------------------------------------------------- the operations

def add(tree, step):
    for name, (mode, data) in step.first.items():
        there = tree.path / name
        if there.exists():
            raise Fail(f"{name}: is in the tree already: change it with edits.patch")
        tree.touch(name)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(data)
        there.chmod(int(mode[-3:], 8))


def sources(tree, series, rule):
    """The files that a semantic patch is run on; never our own, which have no rule."""
    if "files" in rule:
        for name in rule["files"]:
            if not (tree.path / name).is_file():
                raise Fail(f"{name}: not in this tree: adapt the list of files")
        return sorted(rule["files"])
    found = gate.grep(tree, "-l", rule["grep"], rule["in"])
    files = [f for f in found if f.endswith((".c", ".h")) and not (series.linux / f).exists()]
    if not files:
        raise Fail(f"{', '.join(rule['in'])}: nothing matches '{rule['grep']}': "
                   "adapt the step to this tree")
    return files


def run_rule(tree, series, step, rule):
    files = sources(tree, series, rule)
    tree.touch(*files)
    smpl.run(tree, series.macros, step.patch_of(rule), rule, files)


def edit(tree, patch):
    tree.touch(*touched(patch))
    # One line of context must do where two do not fit: another version of the kernel.
    done = tree.git("apply", "-C1", "--whitespace=nowarn", str(patch), ok=(0, 1, 128))
    if done.returncode:
        said = [line.removeprefix("error: ") for line in done.stderr.splitlines()]
        place = next((line.removeprefix("patch failed: ") for line in said
                      if line.startswith("patch failed: ")), said[0] if said else "git apply failed")
        raise Fail(f"{place}: {patch.name} does not apply: adapt it to this tree")


def run_step(tree, series, step, kver):
    """Do what a step says; return the files that it changed."""
    gate.check_before(tree, step)
    add(tree, step)
    for rule in step.rules:
        run_rule(tree, series, step, rule)
    for patch in step.edits(kver):
        edit(tree, patch)
    gate.check_gone(tree, step)
    gate.check_have(tree, step)
    changed = {name: now for name, was in sorted(tree.was.items())
               if (now := tree.state(name)) != was}
    if not changed:
        raise Fail("changes nothing: adapt it to this tree, or remove it")
    return changed


# ------------------------------------------------------------------ commits

def identity(series):
    """(name, mail, sign-off) of whoever runs this; nobody is invented."""
    name, mail = (command(["git", "config", f"user.{key}"], series.path,
                          ok=(0, 1)).stdout.strip() for key in ("name", "email"))
    if name and mail:
        return name, mail, f"Signed-off-by: {name} <{mail}>"
    login = getpass.getuser()
    return login, f"{login}@{socket.gethostname()}", ""


def text_of(step, signed):
    trailer = re.search(r"\n\n(?:[\w-]+: .*\n?)+\Z", step.message)
    gap = "\n" if trailer else "\n\n"
    return step.message + (gap + signed if signed else "") + "\n"


class Commits:
    """What git fast-import is to write: one git, that never reads the large index.

    Plumbing: no hook, no signature and no editor of the user's gets between.
    """

    def __init__(self, tree, who, parent):
        self.tree, self.who, self.parent = tree, who, parent
        self.began = int(tree.out("log", "-1", "--format=%ct", "base"))
        self.stream, self.done = [], []     # done: [step, key] of each

    def person(self, number):
        """The date says which step it is, also after a rebase; see take.py."""
        name, mail, _ = self.who
        return self.tree.out("var", "GIT_COMMITTER_IDENT",
                             env={"GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": mail,
                                  "GIT_COMMITTER_DATE": f"@{self.began + number} +0000"})

    def add(self, step, number, key, changed):
        person = self.person(number)
        lines = [f"commit refs/heads/{BRANCH}", f"author {person}", f"committer {person}"]
        content = ["\n".join(lines).encode(errors="surrogateescape"),
                   counted(text_of(step, self.who[2]).encode())]
        if not self.stream:
            content.append(b"from " + self.parent.encode())
        for path, state in changed.items():
            if state:
                content += [b"M %s inline %s" % (state[0].encode(), path.encode()), counted(state[1])]
            else:
                content.append(b"D " + path.encode())
        self.stream.append(b"\n".join(content))
        self.done.append([step.name, key])
        self.tree.was.update(changed)

    def write(self):
        """Returns [step, key, commit] of each commit written."""
        if not self.stream:
            return []
        stream = b"\n".join(self.stream) + b"\n"
        self.tree.git("fast-import", "--quiet", "--date-format=raw",
                      text=stream.decode(errors="surrogateescape"))
        self.stream = []
        hashes = self.tree.out("rev-list", "--reverse", f"{self.parent}..HEAD").split()
        return [[*one, commit] for one, commit in zip(self.done, hashes)]


def counted(data):
    return b"data %d\n%s" % (len(data), data)


def stage(tree):
    """Put what was touched into the index, with the mtimes that it has now."""
    if tree.was:
        tree.git("update-index", "--add", "--remove", "-z", "--stdin",
                 text="".join(f"{p}\0" for p in sorted(tree.was)))


def mtimes(tree):
    """{path: (blob, mtime)} of the files that the series made as they are."""
    return {path: (blob, (tree.path / path).stat().st_mtime_ns)
            for path, blob in tree.blobs().items() if (tree.path / path).is_file()}


def restore_mtimes(tree, before):
    for path, blob in tree.blobs().items():
        if path in before and before[path][0] == blob:
            os.utime(tree.path / path, ns=(before[path][1],) * 2)


# -------------------------------------------------------------------- apply

def selected(series, upto):
    names = [step.name for step in series.steps]
    if upto and upto not in names:
        raise Fail(f"--upto {upto}: no such step: there are {', '.join(names)}")
    return series.steps[:names.index(upto) + 1] if upto else series.steps


def recorded(tree):
    """[step, key, commit] of what apply has made and is still in git."""
    state = tree.private("series-steps")
    with contextlib.suppress(OSError, ValueError):
        return json.loads(state.read_text())
    return []


def record(tree, done):
    tree.private("series-steps").write_text(json.dumps(done, indent=0) + "\n")


def reusable(tree, plan, before):
    """How many of the first steps are in git as they would be made."""
    for number, ((step, key), old) in enumerate(zip(plan, before)):
        if [step.name, key] != old[:2] or not tree.out("cat-file", "-t", old[2], ok=(0, 128)):
            return number
    return min(len(plan), len(before))


def own_work(tree, before, broken):
    """What somebody did in the tree, and would lose."""
    if broken:
        return
    if dirty := tree.dirty():
        raise Fail(f"{tree.path}/{dirty}: changed by hand: commit it and 'make take', or "
                   f"'git -C {tree.path} stash -a', and run again")
    taken = tree.private("series-taken")
    known = {tree.base(), taken.read_text() if taken.is_file() else "", *(commit for *_, commit in before)}
    if tree.head() not in known:
        raise Fail(f"{tree.path}: has commits that are not of the series: 'make take' brings them "
                   f"there, 'git -C {tree.path} checkout -B {BRANCH} base' forgets them")


def load_good(args):
    series = load(args.series, args.linux)
    if series.problems:
        raise Fail(series.problems[0])
    first_versions(series)
    return series


def plan_of(tree, series, upto=None):
    """(step, key) of each step that is for this tree."""
    kver, who = tree.kver(), identity(series)
    wanted = {id(step) for step in selected(series, upto)}
    return [(step, key) for step, key in zip(series.steps, keys(series, tree.base(), kver, *who))
            if id(step) in wanted and step.is_for(kver)]


def apply(args):
    """Commit every step on base."""
    tree, series = open_tree(args.tree), load_good(args)
    plan = plan_of(tree, series, args.upto)
    with locked(tree) as (lock, broken):
        before = recorded(tree)
        own_work(tree, before, broken)
        start = reusable(tree, plan, before)
        if not broken and start == len(plan) and tree.head() == before[start - 1][2]:
            print("series: up to date")
            return
        with running(tree, lock, broken):
            make(tree, series, plan, before[:start], broken)
    print(f"series: {len(plan)} steps, {start} as they were, tree {tree.out('rev-parse', 'HEAD^{tree}')}")


@contextlib.contextmanager
def running(tree, lock, broken):
    """The lock file has content meanwhile; a failure leaves the last good commit."""
    lock.write("running")
    lock.flush()
    if broken:
        remove_locks(tree)
    try:
        yield
    except (Fail, OSError):
        with contextlib.suppress(Fail, OSError):
            to_commit(tree, "HEAD")
            lock.truncate(0)
        raise
    lock.truncate(0)


def make(tree, series, plan, kept, broken):
    """The steps of the plan after those that are kept."""
    if any(step.rules for step, _ in plan[len(kept):]):
        need("spatch", "clang-format")
    # What an interrupted run left may have been built: nothing to keep.
    before = {} if broken else mtimes(tree)
    parent = kept[-1][2] if kept else tree.base()
    if broken or tree.head() != parent:
        to_commit(tree, parent)
    commits = Commits(tree, identity(series), parent)
    try:
        gate.search(tree, [step for step, _ in plan[len(kept):]])
        for number, (step, key) in enumerate(plan[len(kept):], len(kept) + 1):
            one_step(tree, series, step, lambda changed: commits.add(step, number, key, changed))
    finally:
        with contextlib.suppress(Fail) if sys.exc_info()[0] else contextlib.nullcontext():
            record(tree, kept + commits.write())
    restore_mtimes(tree, before)
    stage(tree)
    if tree.dirty():
        raise Fail(f"{tree.dirty()}: changed by a step, but in no list of files: correct the step")


def one_step(tree, series, step, commit):
    start = time.monotonic()
    print(f"  {step.name:32}", end="", flush=True)
    try:
        changed = run_step(tree, series, step, tree.kver())
        commit(changed)
    except Fail as err:
        print(" refused", flush=True)
        raise Fail(f"step {step.name}: {err}") from None
    except OSError:
        print(" stopped", flush=True)
        raise
    print(f"{len(changed):5} files{time.monotonic() - start:6.1f} s", flush=True)


# ------------------------------------------------------------------- export

def version(series):
    """Of the first heading of CHANGELOG.md."""
    log = series.path.parent / "CHANGELOG.md"
    found = re.search(r"^## v(\d+)", log.read_text("utf-8") if log.is_file() else "", re.M)
    return found[1] if found else "1"


def people(tree, start, end):
    """To and Cc, as the tree's own MAINTAINERS has them."""
    script = "scripts/get_maintainer.pl"
    if not (tree.path / script).is_file():
        return []
    names = tree.out("diff", "--name-only", "--no-renames", start, end).splitlines()
    options = []
    for word, kind in (("to", ["--no-l", "--no-r"]), ("cc", ["--no-m"])):
        said = command(["perl", script, "--no-git", "--no-git-fallback", "--no-rolestats", *kind, "-f",
                        *(name for name in names if (tree.path / name).is_file())],
                       tree.path).stdout
        options += [f"--{word}={line}" for line in said.splitlines()]
    return options


def write_phase(tree, series, phase, start, end, where):
    """One series that can be mailed: what b4 and maintainers expect of it."""
    where.mkdir(parents=True, exist_ok=True)
    for old in where.glob("*.patch"):
        old.unlink()
    tree.git("-c", "format.signOff=false", "-c", "format.thread=false",
             "format-patch", "-q", "-o", str(where), "--base=base", "--cover-letter",
             "--cover-from-description=none", "--no-renames", "--no-signature",
             "--no-ext-diff", "--no-to", "--no-cc", "--no-add-header", "--no-attach",
             "--subject-prefix=PATCH", "-n", f"-v{version(series)}", *people(tree, start, end),
             f"{start}..{end}")
    cover, = where.glob("*-cover-letter.patch")
    subject, _, body = (series.path / phase / "cover-letter").read_text("utf-8").partition("\n")
    text = cover.read_text("utf-8").replace("*** SUBJECT HERE ***", subject, 1)
    cover.write_text(text.replace("*** BLURB HERE ***", body.strip(), 1), "utf-8")
    print(f"{phase:16} {len(list(where.glob('*.patch'))) - 1} patches in {where}")


def ranges(before):
    """{phase: (parent, last commit)} of what was applied."""
    found, parent = {}, "base"
    for step, _, commit in before:
        phase = step.split("/")[0]
        found[phase] = (found.get(phase, (parent,))[0], commit)
        parent = commit
    return found


def export(args):
    """Patches that can be mailed, with a cover letter: a directory for each phase."""
    tree, outdir = open_tree(args.tree), Path(args.outdir).resolve()
    series, before = load(args.series, args.linux), recorded(tree)
    if not identity(series)[2]:
        raise Fail("no git identity to send patches from: set it with "
                   "'git config user.name' and 'git config user.email'")
    if not before or tree.head() != before[-1][2]:
        raise Fail(f"{tree.path}: not what the series makes of it: run 'make tree' first")
    plan = [[step.name, key] for step, key in plan_of(tree, load_good(args))]
    if plan != [old[:2] for old in before]:
        raise Fail(f"{tree.path}: made of another series, or for somebody else: run 'make tree' first")
    phases = ranges(before)
    if args.phase and args.phase not in phases:
        raise Fail(f"--phase {args.phase}: no such phase: there are {', '.join(phases)}")
    for phase in [args.phase] if args.phase else phases:
        write_phase(tree, series, phase, *phases[phase], outdir / phase)


# -------------------------------------------------------------- take, checks

def take(args):
    """Write commits of the tree back to series/ and linux/."""
    tree, series = open_tree(args.tree), load_good(args)
    with locked(tree) as (_, broken):
        if broken:
            raise Fail(f"{tree.path}: a run was interrupted there: run 'make tree' first")
        if dirty := tree.dirty():
            raise Fail(f"{tree.path}/{dirty}: not committed: commit it, a fixup! is enough")
        before = recorded(tree)
        plan = [[step.name, key] for step, key in plan_of(tree, series)]
        if plan != [old[:2] for old in before]:
            changed = next((new[0] for new, old in zip(plan, before) if new != old[:2]), "its end")
            raise Fail(f"step {changed}: was changed since the tree was made: stash the one, "
                       "and take the other")
        back.take(tree, series, before, identity(series)[2])
        tree.private("series-taken").write_text(tree.head())


def check(args):
    """Everything about the series that can be seen without a tree."""
    series = load(args.series, args.linux)
    problems = list(series.problems)
    if not problems:
        try:
            first_versions(series)
        except Fail as err:
            problems.append(str(err))
    patches = sorted(series.path.glob("**/*.cocci"))
    for path in patches if shutil.which("spatch") else []:
        said = smpl.trouble(command(["spatch", "--very-quiet", "--parse-cocci", str(path)],
                                    path.parent, ok=range(256)))
        if said:
            problems.append(f"step {path.parent.relative_to(series.path)}: {path.name}: {said}: correct it")
    for problem in problems:
        print(f"series: {problem}", file=sys.stderr)
    if not problems:
        print(f"series: {len(series.phases)} phases, {len(series.steps)} steps, "
              f"{len(patches)} semantic patches: ok")
    return 1 if problems else 0


def steps(args):
    """Which commit is which step: the end of each phase first, or all in order."""
    before = recorded(open_tree(args.tree))
    ends = [end for _, end in ranges(before).values()]
    for step, _, commit in sorted(before, key=lambda one: not args.in_order and one[2] not in ends):
        print(commit, step)


def gates(args):
    """What steps have removed is gone at the end as well, everywhere they say."""
    tree, series, left = open_tree(args.tree), load(args.series, args.linux), 0
    for step in (step for step in series.steps if step.is_for(tree.kver())):
        try:
            gate.check_gone(tree, step)
        except Fail as err:
            print(f"series: step {step.name}: {err}", file=sys.stderr)
            left += 1
    print(f"series: {left} of the old names left")
    return 1 if left else 0


def arguments():
    parser = argparse.ArgumentParser(description="Turns series/ and linux/ into commits, and back.")
    subs = parser.add_subparsers(required=True)
    for run, words in ((apply, ["tree"]), (take, ["tree"]), (export, ["tree", "outdir"]),
                       (gates, ["tree"]), (steps, ["tree"]), (check, [])):
        sub = subs.add_parser(run.__name__, help=run.__doc__)
        sub.set_defaults(run=run)
        for word in words:
            sub.add_argument(word)
        sub.add_argument("--series", default=ROOT / "series", type=Path)
        sub.add_argument("--linux", default=ROOT / "linux", type=Path)
        if run is apply:
            sub.add_argument("--upto", metavar="PHASE/NN-name")
        if run is export:
            sub.add_argument("--phase")
        if run is steps:
            sub.add_argument("--in-order", action="store_true")
    return parser.parse_args()


def main():
    args = arguments()
    try:
        return args.run(args)
    except Fail as err:
        print(f"series: {err}", file=sys.stderr)
    except OSError as err:
        what = f"{err.filename or ''}: {err.strerror}".lstrip(": ")
        todo = "free some" if err.errno == errno.ENOSPC else "correct that"
        print(f"series: {what}: {todo}, and run again", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nseries: interrupted: run again", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
