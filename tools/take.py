# SPDX-License-Identifier: GPL-2.0
"""`make take`: commits of the tree become the steps of series/ and the files of linux/.

Which step a commit was is in its author date, which survives amending, rebasing and
picking: apply dates its commits a second apart. A commit with another date is a new
step. What a commit does beyond its semantic patches becomes edits.patch.
"""

import dataclasses
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import smpl
from ktree import Fail, Tree
from steps import Step, newest, touched

# Lines of context: few, so that other versions of the kernel fit as well, but as many as it
# takes for each hunk to fit in one place only.
CONTEXT = (2, 3, 5, 8, 12)
DIFF = ["-c", "diff.noprefix=false", "-c", "diff.mnemonicPrefix=false", "-c", "diff.suppressBlankEmpty=false",
        "diff", "--no-color", "--no-ext-diff", "--no-renames", "--diff-algorithm=myers", "--indent-heuristic",
        "--full-index", "--src-prefix=a/", "--dst-prefix=b/"]


@dataclasses.dataclass
class Taken:
    """A commit, and the step that it was or becomes."""
    commit: str
    parent: str
    message: str
    step: Step = None           # as it is in series/, None for a new one
    was: str = ""               # its commit as apply made it
    phase: str = ""
    slug: str = ""
    files: dict = dataclasses.field(default_factory=dict)   # name in the step's directory -> text
    add: list = dataclasses.field(default_factory=list)


# ------------------------------------------------------------ which step it is

def commits_of(tree, series, before, signed):
    steps = {step.name: step for step in series.steps}
    known = {date(tree, commit): (steps[name], commit) for name, _, commit in before}
    parent, result = tree.base(), []
    for commit in tree.commits():
        if tree.out("rev-list", "--parents", "-1", commit).split()[1:] != [parent]:
            raise Fail(f"{commit[:12]}: a merge: rebase instead, a series has none")
        text = tree.git("log", "-1", "--format=%B", commit).stdout.strip("\n")
        if re.match(r"(fixup|squash|amend)! ", text):
            raise Fail(f"{commit[:12]}: {text.splitlines()[0]}: first "
                       "GIT_SEQUENCE_EDITOR=true git rebase -i --autosquash base")
        lines = [line for line in text.split("\n") if line != signed]
        one = Taken(commit, parent, "\n".join(lines).strip("\n"))
        one.step, one.was = known.pop(date(tree, commit), (None, ""))
        result.append(one)
        parent = commit
    return result


def date(tree, commit):
    return tree.out("log", "-1", "--format=%at", commit)


def longest_in_order(numbers):
    """The indices of a longest run of the numbers that does not fall."""
    best = []       # for each end: (length, index before it)
    for i, n in enumerate(numbers):
        best.append(max(((best[j][0] + 1, j) for j in range(i) if numbers[j] <= n), default=(1, -1)))
    i = max(range(len(best)), key=lambda k: best[k][0], default=-1)
    found = set()
    while i >= 0:
        found.add(i)
        i = best[i][1]
    return found


def place(series, taken):
    """A step stays in its phase; one that was moved, or is new, joins the one before it."""
    old = [one for one in taken if one.step]
    numbers = [series.phases.index(one.step.phase) for one in old]
    stay = {id(old[i]) for i in longest_in_order(numbers)}
    phase = next((one.step.phase for one in taken if id(one) in stay), series.phases[0])
    for one in taken:
        phase = one.step.phase if id(one) in stay else phase
        one.phase = phase
        one.slug = one.step.path.name[3:] if one.step else slug(one.message)


def slug(message):
    words = re.findall(r"[a-z0-9]+", message.split("\n")[0].split(": ", 1)[-1].lower())
    return "-".join(words[:4]) or "step"


# ------------------------------------------------------------- what it does

def after_rules(tree, series, one):
    """{file: content} that the semantic patches of a step make of its parent commit."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="take-") as top:
        copy = Tree(Path(top))
        fetch(tree, one.parent, ".clang-format", copy)
        for rule in one.step.rules:
            files = rule.get("files") or [
                line.split(":", 1)[1] for line in tree.out(
                    "grep", "-lIP", "-e", rule["grep"], one.parent, "--",
                    *(f":(literal){name}" for name in rule["in"]), ok=(0, 1)).splitlines()]
            files = sorted(f for f in files if f.endswith((".c", ".h")) and not (series.linux / f).exists())
            for name in files:
                if name not in found:
                    fetch(tree, one.parent, name, copy)
            smpl.run(copy, series.macros, one.step.patch_of(rule), rule, files)
            found |= {name: (copy.path / name).read_bytes() for name in files}
    return found


def fetch(tree, commit, name, copy):
    there = copy.path / name
    there.parent.mkdir(parents=True, exist_ok=True)
    text = tree.git("show", f"{commit}:{name}", ok=(0, 128))
    if text.returncode:
        raise Fail(f"{name}: not in {commit[:12]}, where a rule wants it: adapt the step")
    there.write_bytes(text.stdout.encode(errors="surrogateescape"))


def with_files(tree, commit, files):
    """A git tree: that of a commit, with other content in some files."""
    if not files:
        return f"{commit}^{{tree}}"
    with tempfile.TemporaryDirectory(prefix="take-") as top:
        env = {"GIT_INDEX_FILE": f"{top}/index"}
        tree.git("read-tree", commit, env=env)
        lines = []
        for name, data in files.items():
            blob = tree.out("hash-object", "-w", "--stdin", text=data.decode(errors="surrogateescape"))
            mode = tree.out("ls-tree", commit, "--", name).split()[0]
            lines.append(f"{mode} {blob}\t{name}\n")
        tree.git("update-index", "--index-info", env=env, text="".join(lines))
        return tree.out("write-tree", env=env)


def clear_diff(tree, old, new):
    """{file: its patch}, each with the context that it needs."""
    found, todo = {}, None
    for context in CONTEXT:
        got = diff(tree, old, new, *(todo or ()), context=context)
        found |= got
        todo = [name for name, patch in got.items()
                if not one_place(patch, tree.git("show", f"{old}:{name}", ok=(0, 128)).stdout)]
        if not todo:
            break
    return found


def one_place(patch, text):
    """Is what each hunk replaces in the file only once?"""
    for hunk in re.split(r"(?m)^@@ .*\n", patch)[1:]:
        old = "".join(line[1:] for line in hunk.splitlines(True) if line[0] in " -")
        if f"\n{text}".count(f"\n{old}") > 1:
            return False
    return True


def diff(tree, old, new, *names, context=0):
    """{file: its patch}; without the names of blobs, which say nothing to a reader."""
    text = tree.git(*DIFF, f"-U{context}", old, new, "--", *(f":(literal){n}" for n in names)).stdout
    parts = [part for part in re.split(r"(?m)^(?=diff --git )", text) if part]
    return {re.match(r"diff --git a/(.*) b/\1\n", part)[1]: re.sub(r"(?m)^index [0-9a-f]+\.\..*\n", "", part, count=1)
            for part in parts}


def lines(patch, sign):
    """The line numbers that a patch without context adds (+) or removes (-)."""
    found = set()
    for hunk in re.finditer(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", patch, re.M):
        first, count = (hunk[3], hunk[4]) if sign == "+" else (hunk[1], hunk[2])
        found.update(range(int(first), int(first) + int(count or 1)))
    return found


def check_rules(tree, one, ruled, made):
    """Nobody has changed by hand what a rule makes."""
    rule = diff(tree, one.parent, made, *ruled)
    hand = diff(tree, made, one.commit, *ruled)
    for name in hand.keys() & rule.keys():
        if both := lines(rule[name], "+") & lines(hand[name], "-"):
            raise Fail(f"step {one.step.name}: {name}:{min(both)}: a semantic patch made this line, and "
                       "somebody changed it: change the semantic patch")


def same_change(tree, one):
    """Does a commit make the same of the same files as when apply made it?"""
    return bool(one.was) and (one.was == one.commit or blobs(tree, one.was) == blobs(tree, one.commit))


def blobs(tree, commit):
    """Each file that a commit changes, with its content before and after."""
    return tree.out("diff-tree", "-r", "--no-renames", "--full-index", f"{commit}^", commit)


def added(tree, one):
    return tree.out("diff", "--name-only", "--no-renames", "--diff-filter=A", one.parent, one.commit).splitlines()


def edits(tree, series, one):
    """{file: patch} of what a commit does beyond new files and rules."""
    made = one.parent
    if one.step and one.step.rules:
        ruled = after_rules(tree, series, one)
        made = with_files(tree, one.parent, ruled)
        check_rules(tree, one, ruled, made)
    found = clear_diff(tree, made, one.commit)
    return {name: patch for name, patch in found.items() if name not in one.add}


# ------------------------------------------------------------ the step's files

def read(tree, series, one, kver):
    """Fill in what the directory of a step will have."""
    old = one.step.path if one.step else None
    if old:
        one.files = {p.name: p.read_text("utf-8", "surrogateescape") for p in old.iterdir() if p.is_file()}
    one.files["message"] = one.message + "\n"
    one.add = one.step.add if one.step else []
    if same_change(tree, one):
        return
    one.add = sorted(added(tree, one))
    if one.step and sorted(one.step.add) == one.add:
        one.add = one.step.add      # in the order that somebody chose
    patches = edits(tree, series, one)
    variant = one.step.variant(kver) if one.step else None
    special = set(touched(variant)) if variant else set()
    write_patch(one, "edits.patch", [patches[n] for n in sorted(patches) if n not in special])
    if variant:
        write_patch(one, variant.name, [patches[n] for n in sorted(patches) if n in special])
    if not one.step or one.add != one.step.add:
        one.files["step.toml"] = with_adds(one.files.get("step.toml", ""), one.add)


def write_patch(one, name, parts):
    one.files.pop(name, None)
    if parts:
        one.files[name] = "".join(parts)


def with_adds(toml, names):
    """The text of step.toml with another list of new files; '' if there is nothing in it."""
    head = "# SPDX-License-Identifier: GPL-2.0\n"
    rest = re.sub(r"(?ms)^add = \[.*?\]\n", "", toml.removeprefix(head)).lstrip("\n")
    listed = "add = [\n" + "".join(f'\t"{name}",\n' for name in names) + "]\n" if names else ""
    return head + listed + ("\n" if listed and rest else "") + rest if listed or rest else ""


# ------------------------------------------------------------------- writing

def write(series, taken):
    """All new directories first, then in place of the old ones: an end halfway loses nothing."""
    new = series.path.with_name(series.path.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    for phase in series.phases:
        (new / phase).mkdir(parents=True)
        shutil.copy(series.path / phase / "cover-letter", new / phase / "cover-letter")
        for number, one in enumerate((o for o in taken if o.phase == phase), 1):
            where = new / phase / f"{number:02}-{one.slug}"
            where.mkdir()
            for name, text in one.files.items():
                if text:
                    (where / name).write_text(text, "utf-8", "surrogateescape")
    for phase in series.phases:
        sync(new / phase, series.path / phase)
    shutil.rmtree(new)


def sync(new, old):
    """Make old what new is; a file that is the same keeps its date."""
    for path in sorted(old.rglob("*"), reverse=True):
        there = new / path.relative_to(old)
        if not there.exists() or path.is_dir() != there.is_dir():
            path.rmdir() if path.is_dir() else path.unlink()
    for path in sorted(new.rglob("*")):
        there = old / path.relative_to(new)
        if path.is_dir():
            there.mkdir(exist_ok=True)
        elif not there.exists() or there.read_bytes() != path.read_bytes():
            shutil.copy(path, there)


def write_linux(tree, series, taken):
    names = {name for one in taken for name in one.add}
    for name in sorted(names):
        mode, data = tree.state(name) or (None, None)
        if not mode:
            raise Fail(f"{name}: added, and removed by a later commit: drop both")
        there = series.linux / name
        there.parent.mkdir(parents=True, exist_ok=True)
        if not there.exists() or there.read_bytes() != data:
            there.write_bytes(data)
        there.chmod(int(mode[-3:], 8))
    for path in [p for p in series.linux.rglob("*") if p.is_file()]:
        if str(path.relative_to(series.linux)) not in names:
            path.unlink()
    for path in sorted((p for p in series.linux.rglob("*") if p.is_dir()), reverse=True):
        if not os.listdir(path):
            path.rmdir()


def left_out(series, taken, kver):
    """Steps that have no commit: dropped, or for other versions only."""
    there = {one.step.name for one in taken if one.step}
    return [step for step in series.steps if step.name not in there and step.is_for(kver)]


def take(tree, series, before, signed):
    kver = tree.kver()
    if kver != newest(series) != "999.0":
        raise Fail(f"{tree.path}: Linux {kver}; linux/ and edits.patch are those of {newest(series)}: "
                   "take from its tree, and correct edits-*.patch by hand")
    taken = commits_of(tree, series, before, signed)
    place(series, taken)
    clear = "\r\033[K" if sys.stdout.isatty() else ""
    for number, one in enumerate(taken, 1):
        if clear:
            print(f"{clear}  {number} of {len(taken)}: {one.slug}", end="", flush=True)
        read(tree, series, one, kver)
    print(clear, end="")
    dropped = left_out(series, taken, kver)
    write_linux(tree, series, taken)
    write(series, taken)
    for one in taken:
        if not one.step:
            print(f"new      {one.phase}/{one.slug}")
        elif one.step.phase != one.phase:
            print(f"moved    {one.step.name} to {one.phase}")
    for step in dropped:
        print(f"dropped  {step.name}")
    other = [one.step.name for one in taken if one.step and not same_change(tree, one)]
    for name in other:
        print(f"changed  {name}")
    print(f"series: {len(taken)} steps taken")
