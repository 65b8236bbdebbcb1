#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The series engine: turns series/ and linux/ into commits on a kernel tree.

A step is a directory series/NN-name with a commit message, a step.toml that
lists its operations, and the semantic patches that they name.  A step either
fits the tree completely and becomes one commit, or it is refused by name:

  * an operation must change what it says it changes: an explicit file list to
    the last file, an exact edit as often as it says
  * spatch skips what it cannot parse and calls that a success, so every
    semantic patch carries gates: what must be gone, what must be there

The commits depend on the base commit, the series and the author only, so the
same input gives the same hashes.  Files that end up as they were before the
run keep their mtime, so that the next build is incremental.
"""

import argparse
import contextlib
import dataclasses
import errno
import fcntl
import getpass
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

BRANCH = "mapping-types"
HERE = Path(__file__).resolve()
ROOT = HERE.parent.parent

# Debian's package for each tool that is not part of git or python.
PACKAGES = {"git": "git", "grep": "grep", "spatch": "coccinelle",
            "clang-format": "clang-format"}

SPATCH = ["spatch", "--very-quiet", "--in-place", "--no-show-diff",
          "--include-headers", "--timeout", "120"]
# spatch reports trouble with a file in passing and still exits with 0.
# Whole words: a warning may name the function wait_for_completion_timeout().
TROUBLE = re.compile(r"\b(EXN|parse error|exception|skipping|fatal|timeout|failure"
                     r"|already tagged|incompatible|cannot|no such)\b|error:", re.I)

# The keys of step.toml: what may stand beside `add`, `smpl` and `edit`.
KINDS = {
    "add": {"add": list},
    "smpl": {"smpl": str, "files": list, "grep": str, "in": list,
             "headers": bool, "format": bool},
    "edit": {"edit": str, "old": str, "new": str, "count": int},
}
COMMON = {"kver": (str, list), "gone": list, "have": list}
GATES = {"gone": {"re": str, "in": list, "span": bool},
         "have": {"re": str, "in": list, "count": int}}
SHARED = "shared/"      # semantic patches that several steps use


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
            raise Fail(f"{tool} is missing: install it with "
                       f"'apt-get install {PACKAGES[tool]}'")


@dataclasses.dataclass
class Tree:
    """A kernel tree with tag base, on our branch."""
    path: Path
    keep: tuple = ()        # the lock: children hold it as long as they live
    was: dict = dataclasses.field(default_factory=dict)     # see touch()
    commits: list = dataclasses.field(default_factory=list)     # not written yet
    known: set = dataclasses.field(default_factory=set)     # see search_base()
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
        raw = self.git("diff-tree", "-r", "-z", "--no-renames", "base",
                       "HEAD").stdout.split("\0")
        return {path: meta.split()[3] for meta, path in zip(raw[::2], raw[1::2])}


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


# ------------------------------------------------------------ reading steps

@dataclasses.dataclass
class Step:
    path: Path
    message: str
    ops: list

    @property
    def name(self):
        return self.path.name


@dataclasses.dataclass
class Series:
    path: Path
    linux: Path
    steps: list
    problems: list


def kind_of(op):
    return next(k for k in KINDS if k in op)


def kvers_of(op):
    """The kernel versions that an operation is for; [None] is all."""
    only = op.get("kver")
    return only if isinstance(only, list) else [only]


def for_kver(op, kver):
    return "kver" not in op or kver in kvers_of(op)


def wrong_keys(table, known, where):
    for key, value in table.items():
        if key not in known:
            yield f"{where}: unknown key '{key}': known are {', '.join(known)}"
        elif not isinstance(value, known[key]):
            yield f"{where}: '{key}' has the wrong type: see the other steps"


def wrong_op(op):
    """What is wrong with one [[do]], as far as the file itself can tell."""
    kinds = [k for k in KINDS if k in op]
    if len(kinds) != 1:
        yield "step.toml: each [[do]] needs one of add, smpl, edit: give one"
        return
    kind = kinds[0]
    yield from wrong_keys(op, KINDS[kind] | COMMON, f"step.toml: {kind}")
    for gate in GATES:
        for table in op.get(gate, []):
            yield from wrong_keys(table, GATES[gate], f"step.toml: {gate}")
            if not {"re", "in"} <= table.keys():
                yield f"step.toml: {gate} needs 're' and 'in': give both"
    if kind == "edit" and (not op.get("old") or op["old"] == op.get("new", op["old"])):
        yield f"step.toml: edit {op['edit']}: needs 'old' and another 'new': give both"
    if kind == "smpl":
        if ("files" in op) == ("grep" in op) or ("grep" in op) != ("in" in op):
            yield f"step.toml: {op['smpl']}: needs 'files', or 'grep' and 'in': give one"
        if not op.get("gone") and not op.get("have"):
            yield f"step.toml: {op['smpl']}: no gate: say what must be gone or there"


def wrong_message(text):
    lines = text.split("\n")
    subject = lines[0]
    if not re.match(r"[\w./,+ -]+: \S", subject):
        yield "message: subject without a prefix: write 'subsystem: Do this'"
    if len(subject) > 75 or subject.endswith("."):
        yield "message: subject over 75 characters or with a full stop: shorten it"
    if len(lines) < 3 or lines[1] or not lines[2]:
        yield "message: no body after an empty line: say why"
    for line in lines[1:]:
        # A link, or something quoted by indentation, cannot be wrapped.
        if len(line) > 75 and " " in line.strip() and not line.startswith("  "):
            yield f"message: line over 75 characters: wrap '{line[:30]}...'"
    if "Signed-off-by:" in text:
        yield "message: has a Signed-off-by: remove it, the engine signs off"


def read_step(path, problems):
    """Read one step; what is wrong with it goes to `problems`."""
    found, message, ops = [], "", []
    try:
        message = (path / "message").read_text("utf-8").strip("\n")
        toml = tomllib.loads((path / "step.toml").read_text("utf-8"))
        found += wrong_keys(toml, {"do": list}, "step.toml")
        ops = toml.get("do", [])
        found += [p for op in ops for p in wrong_op(op)]
        found += wrong_message(message)
        if not ops:
            found.append("step.toml: no [[do]]: say what the step does")
    except FileNotFoundError as err:
        found.append(f"{Path(err.filename).name}: missing: write it")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        found.append(f"step.toml: {err}: correct it")
    except (AttributeError, TypeError):     # a string where a table belongs
        found.append("step.toml: has another structure: see the other steps")
    if not found:
        used = {op["smpl"] for op in ops if "smpl" in op}
        there = {f.name for f in path.iterdir()} - {"message", "step.toml"}
        found += [f"{f}: missing: write it" for f in sorted(used - there)
                  if not (f.startswith(SHARED) and (path.parent / f).is_file())]
        found += [f"{f}: used by no operation: remove it" for f in sorted(there - used)]
    problems += [f"step {path.name}: {p}" for p in found]
    return Step(path, message, ops)


def wrong_adds(series):
    """Every file of linux/ is added by exactly one step (of a version)."""
    adds = {}
    for step in series.steps:
        for op in step.ops:
            for name in op.get("add", []):
                adds.setdefault(name, []).append((step.name, op))
    files = {str(f.relative_to(series.linux))
             for f in series.linux.rglob("*") if not f.is_dir()}
    for name in sorted(files - adds.keys()):
        yield f"linux/{name}: added by no step: add it in one, or remove it"
    for name, users in sorted(adds.items()):
        steps = ", ".join(step for step, _ in users)
        if name not in files:
            yield f"step {steps}: linux/{name}: missing: write it"
        elif len(kvers := [v for _, op in users for v in kvers_of(op)]) > 1 and (
                None in kvers or len(kvers) > len(set(kvers))):
            yield f"linux/{name}: added twice, by {steps}: keep one"


def wrong_shared(series):
    used = {op.get("smpl") for step in series.steps for op in step.ops}
    for path in sorted(series.path.glob(SHARED + "*")):
        if SHARED + path.name not in used:
            yield f"{SHARED}{path.name}: used by no step: remove it"


def load(series, linux):
    """Read the whole series; never fails on what is in it."""
    result = Series(Path(series).resolve(), Path(linux).resolve(), [], [])
    if not result.path.is_dir():
        raise Fail(f"{series}: no such directory: give the series with --series")
    for path in sorted(p for p in result.path.iterdir() if p.is_dir()):
        if path.name == SHARED.strip("/"):
            continue
        if re.fullmatch(r"\d\d-[\w-]+", path.name):
            result.steps.append(read_step(path, result.problems))
        else:
            result.problems.append(f"{path.name}: not the name of a step: "
                                   "call it NN-name")
    if not result.steps:
        result.problems.append(f"{series}: no steps: write one")
    if not (result.path / "macros.h").is_file():
        result.problems.append(f"{series}/macros.h: missing: write it")
    if not result.problems:
        result.problems += [*wrong_adds(result), *wrong_shared(result)]
    return result


# ------------------------------------------------------------- the operations

def do_add(tree, series, op):
    for name in op["add"]:
        there = tree.path / name
        if there.exists():
            raise Fail(f"{name}: is in the tree already: change it with an edit")
        tree.touch(name)
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(series.linux / name, there)
        there.chmod(0o755 if os.access(series.linux / name, os.X_OK) else 0o644)


def do_edit(tree, op):
    name, want = op["edit"], op.get("count", 1)
    path = tree.path / name
    if not path.is_file():
        raise Fail(f"{name}: not in this tree: adapt the edit")
    text = path.read_bytes()
    found = text.count(op["old"].encode())
    if found != want:
        first = op["old"].strip().split("\n")[0][:40]
        raise Fail(f"{name}: '{first}' found {found} times, not {want}: "
                   "adapt the old text of the edit")
    tree.touch(name)
    path.write_bytes(text.replace(op["old"].encode(), op["new"].encode()))


def sources(tree, op):
    """The files that a semantic patch is run on."""
    if "files" in op:
        for name in op["files"]:
            if not (tree.path / name).is_file():
                raise Fail(f"{name}: not in this tree: adapt the list of files")
        return sorted(op["files"])
    found = grep(tree, "-l", op["grep"], op["in"])
    files = [f for f in found if f.endswith((".c", ".h"))]
    if not files:
        raise Fail(f"{', '.join(op['in'])}: nothing matches '{op['grep']}': "
                   "adapt the step to this tree")
    return files


def do_smpl(tree, series, step, op):
    files = sources(tree, op)
    tree.touch(*files)
    before = {name: (tree.path / name).read_bytes() for name in files}
    spatch(tree, series, step, op, files)
    left = [f for f in files if (tree.path / f).read_bytes() == before[f]]
    if left == files or (left and "files" in op):
        raise Fail(f"{left[0]}: {op['smpl']} changes nothing in it: "
                   "adapt it to this tree")
    if op.get("format", True):
        layout(tree, {f: before[f] for f in files if f not in left})


def patch_of(series, step, op):
    shared = op["smpl"].startswith(SHARED)
    return (series.path if shared else step.path) / op["smpl"]


def spatch(tree, series, step, op, files):
    # From an empty directory: the kernel's .cocciconfig says --use-gitgrep,
    # which looks for each file's names all over the tree, for minutes.
    with tempfile.TemporaryDirectory(prefix="series-") as empty:
        groups = Path(empty, "groups")
        # One file a group: files in one group are one unit for `depends on`.
        groups.write_text("\n\n".join(str(tree.path / f) for f in files) + "\n")
        done = command(
            SPATCH + ["--smpl-spacing"] * op.get("headers", False) +
            ["--macro-file", str(series.path / "macros.h"), "--file-groups",
             str(groups), "--sp-file", str(patch_of(series, step, op))],
            empty, env={"HOME": empty, "TMPDIR": empty}, keep=tree.keep, ok=range(256))
    if said := trouble(done):
        # "EXN: what happened in FILE"
        where = re.search(r" in (\S+)$", said)
        where = where[1].replace(f"{tree.path}/", "") + ": " if where else ""
        raise Fail(f"{where}{op['smpl']}: spatch says '{said[:160]}': correct "
                   "the semantic patch, or series/macros.h")


def trouble(done):
    """What spatch has to say, in one line; '' if all is well."""
    lines = (done.stderr + done.stdout).replace("\\n", " ").splitlines()
    for line, following in zip(lines, lines[1:] + [""]):
        if TROUBLE.search(line) and not line.endswith("be a metavariable?"):
            # A parse error says where in the line that follows.
            said = line + (following if line.rstrip().endswith("error:") else "")
            return " ".join(said.split())
    return f"exit code {done.returncode}" if done.returncode else ""


# ------------------------------------------------------------------- layout

def layout(tree, old):
    """Lay out the lines that spatch added, as the kernel's .clang-format says.

    `old` has the content of each file from before.
    """
    for name, content in old.items():
        path = tree.path / name
        before, added = lines_of(path), added_lines(tree, name, content)
        if not added:
            continue
        command(["clang-format", "-i", "--style=file", "--fallback-style=none",
                 *(f"--lines={i + 1}:{i + 1}" for i in sorted(added)), name],
                tree.path, keep=tree.keep)
        wanted = only_added(before, lines_of(path), added)
        text = "\n".join(wanted).encode(errors="surrogateescape")
        if path.read_bytes() != text:
            path.write_bytes(text)


def lines_of(path):
    return path.read_bytes().decode(errors="surrogateescape").split("\n")


def added_lines(tree, name, old):
    """The indices of the lines that are not in the old content of the file."""
    with tempfile.NamedTemporaryFile(prefix="series-") as file:
        file.write(old)
        file.flush()
        diff = tree.git("diff", "--no-index", "-U0", "--no-ext-diff", "--text",
                        "--diff-algorithm=myers", "--indent-heuristic", "--", file.name,
                        name, ok=(0, 1)).stdout
    found = set()
    for hunk in re.finditer(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@", diff, re.M):
        first, count = int(hunk[1]) - 1, int(hunk[2] or 1)
        found.update(range(first, first + count))
    return found


def only_added(before, after, added):
    """Take clang-format's layout for the added lines only.

    It lays out whole statements: a line added to an initialiser would undo the
    alignment of all the others.  The two versions differ in white space only,
    so a count of the other characters says which lines correspond.  Behind
    added lines, others may follow with their indentation (the parameters of a
    renamed function), or with a line break that moved over the border.
    """
    starts, ends, at = {}, {}, 0
    for i, line in enumerate(after):
        if black(line):
            starts[at] = i
            at += black(line)
            ends[at] = i + 1
    result, at, i, follows = [], 0, 0, False
    while i < len(before):
        end = unit_end(before, i, added)
        stop = at + sum(map(black, before[i:end]))
        if i in added:
            while stop not in ends and end < min(len(before), i + 20):
                stop += black(before[end])
                end += 1
        old, new = before[i:end], after[starts.get(at, 0):ends.get(stop, 0)]
        fits = squeeze(old) == squeeze(new) != ""
        follows = fits and (i in added or follows and old != new and
                            old[0].lstrip() == new[0].lstrip())
        result += new if follows else old
        at, i = stop, end
    return result


def unit_end(lines, i, added):
    """The end of a run of added lines, or of one other line."""
    end = i + 1
    while i in added and end in added and black(lines[end]) and black(lines[i]):
        end += 1
    return end


def black(line):
    return len(squeeze([line]))


def squeeze(lines):
    return "".join("".join(lines).split())


# ---------------------------------------------------------- search and gates

def literal(regex):
    """The first literal name of a pattern."""
    return re.search(r"\w{6,}", re.sub(r"\\.", " ", regex))[0]


def searches(op):
    """(pattern, files and directories) of all that an operation looks for."""
    if "grep" in op:
        yield op["grep"], op["in"]
    for gate in op.get("gone", []) + op.get("have", []):
        yield literal(gate["re"]) if gate.get("span") else gate["re"], gate["in"]


def search_base(tree, ops):
    """Search base once for everything that the operations look for anywhere.

    What does not match, and is not touched by a step, cannot match later: no
    other search has to read the whole tree.
    """
    where = set()
    for regex, places in (found for op in ops for found in searches(op)):
        if directories := [p for p in places if (tree.path / p).is_dir()]:
            tree.known.add(regex)
            where.update(directories)
    if where:
        found = git_grep(tree, "-l", sorted(tree.known), sorted(where))
        tree.hits = set(found.splitlines())


def git_grep(tree, flags, patterns, where):
    return tree.git("grep", "--no-color", "-IP", flags,
                    *(word for regex in patterns for word in ("-e", regex)), "--",
                    *(f":(literal){name}" for name in where), ok=(0, 1)).stdout


def grep(tree, flags, regex, where):
    """The lines that `git grep` prints, but from the files that can match."""
    for name in where:
        if not (tree.path / name).exists():
            raise Fail(f"{name}: not in this tree: adapt the step")
    if regex not in tree.known and any((tree.path / name).is_dir() for name in where):
        return git_grep(tree, flags, [regex], where).splitlines()
    files = sorted(name for name in {*tree.hits, *tree.was, *where}
                   if (tree.path / name).is_file() and
                   any(place in (".", name) or name.startswith(f"{place}/")
                       for place in where))
    # In the C locale a file that is not UTF-8 is text as well, as it is to git.
    return command(["grep", "-IPH", flags, "-e", regex, "--", *files], tree.path,
                   env={"LC_ALL": "C"}, keep=tree.keep,
                   ok=(0, 1)).stdout.splitlines() if files else []


def spanning(tree, gate):
    """What matches over several lines, as FILE:LINE; grep sees one line.

    The first literal name of the pattern says which files are worth a look.
    """
    for file in grep(tree, "-l", literal(gate["re"]), gate["in"]):
        text = (tree.path / file).read_bytes().decode(errors="surrogateescape")
        for match in re.finditer(gate["re"], text):
            yield f"{file}:{text.count(chr(10), 0, match.end()) + 1}:"


def check_gates(tree, op):
    for gate in op.get("gone", []):
        found = (list(spanning(tree, gate)) if gate.get("span") else
                 grep(tree, "-n", gate["re"], gate["in"]))
        if found:
            place = ":".join(found[0].split(":", 2)[:2])
            raise Fail(f"{place}: '{gate['re']}' is still there ({len(found)} "
                       "lines): adapt the step so that it covers this one too")
    for gate in op.get("have", []):
        count = len(grep(tree, "-oh", gate["re"], gate["in"]))
        if count != gate.get("count", count or 1):
            raise Fail(f"{', '.join(gate['in'])}: '{gate['re']}' is there "
                       f"{count} times, not {gate.get('count', 'once or more')}: "
                       "adapt the step to this tree")


# -------------------------------------------------------------------- apply

def identity(series):
    """(name, mail, sign-off) of whoever runs this; nobody is invented."""
    name, mail = (command(["git", "config", f"user.{key}"], series.path,
                          ok=(0, 1)).stdout.strip() for key in ("name", "email"))
    if name and mail:
        return name, mail, f"Signed-off-by: {name} <{mail}>"
    login = getpass.getuser()
    return login, f"{login}@{socket.gethostname()}", ""


def fingerprint(tree, series, who, upto):
    """A hash of everything that the result depends on."""
    total = hashlib.sha256()
    for part in (tree.out("rev-parse", "base^{commit}"), *who, upto or ""):
        total.update(part.encode(errors="surrogateescape") + b"\0")
    for root in (series.path, series.linux, HERE):
        files = sorted(root.rglob("*")) if root.is_dir() else [root]
        for path in (f for f in files if f.is_file()):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{path.relative_to(root)} {os.access(path, os.X_OK)} "
                         f"{content}\0".encode(errors="surrogateescape"))
    return total.hexdigest()


def run_step(tree, series, step, kver):
    """Run a step's operations; return the files that it changed."""
    for op in (op for op in step.ops if for_kver(op, kver)):
        if "add" in op:
            do_add(tree, series, op)
        elif "edit" in op:
            do_edit(tree, op)
        else:
            do_smpl(tree, series, step, op)
        check_gates(tree, op)
    changed = {name: now for name, was in sorted(tree.was.items())
               if (now := tree.state(name)) != was}
    if not changed:
        raise Fail("changes nothing: adapt it to this tree, or remove it")
    return changed


def commit(tree, step, number, who, changed):
    """Remember a commit, in the language of git fast-import."""
    name, mail, signed = who
    trailer = re.search(r"\n\n(?:[\w-]+: .*\n?)+\Z", step.message)
    gap = "\n" if trailer else "\n\n"
    text = step.message + (gap + signed if signed else "") + "\n"
    when = int(tree.out("log", "-1", "--format=%ct", "base")) + number
    person = tree.out("var", "GIT_COMMITTER_IDENT",
                      env={"GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": mail,
                           "GIT_COMMITTER_DATE": f"@{when} +0000"})
    lines = [f"commit refs/heads/{BRANCH}", f"author {person}", f"committer {person}"]
    content = ["\n".join(lines).encode(errors="surrogateescape"), counted(text.encode())]
    if not tree.commits:
        content.append(b"from " + tree.out("rev-parse", "base^{commit}").encode())
    for path, (mode, data) in changed.items():
        content += [f"M {mode} inline {path}".encode(), counted(data)]
    tree.commits.append(b"\n".join(content))
    tree.was.update(changed)


def counted(data):
    return b"data %d\n%s" % (len(data), data)


def write_commits(tree):
    """Write what was remembered: one git, that never reads the large index.

    Plumbing: no hook, no signature and no editor of the user's gets between.
    """
    if tree.commits:
        stream = b"\n".join(tree.commits) + b"\n"
        tree.git("fast-import", "--quiet", "--date-format=raw",
                 text=stream.decode(errors="surrogateescape"))
        tree.commits = []


def stage(tree):
    """Put what was touched into the index, with the mtimes that it has now."""
    if tree.was:
        tree.git("update-index", "--add", "--remove", "-z", "--stdin",
                 text="".join(f"{p}\0" for p in sorted(tree.was)))


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


def mtimes(tree):
    """{path: (blob, mtime)} of the files that the series made as they are."""
    return {path: (blob, (tree.path / path).stat().st_mtime_ns)
            for path, blob in tree.blobs().items() if (tree.path / path).is_file()}


def restore_mtimes(tree, before):
    for path, blob in tree.blobs().items():
        if path in before and before[path][0] == blob:
            os.utime(tree.path / path, ns=(before[path][1],) * 2)


def selected(series, upto):
    names = [step.name for step in series.steps]
    if upto and upto not in names:
        raise Fail(f"--upto {upto}: no such step: there are {', '.join(names)}")
    return series.steps[:names.index(upto) + 1] if upto else series.steps


def apply(args):
    tree = open_tree(args.tree)
    series = load(args.series, args.linux)
    if series.problems:
        raise Fail(series.problems[0])
    steps, who = selected(series, args.upto), identity(series)
    with locked(tree) as (lock, broken):
        now = fingerprint(tree, series, who, args.upto)
        state = tree.private("series-state")
        dirty = tree.dirty() if not broken else ""
        if dirty:
            raise Fail(f"{tree.path}/{dirty}: changed by hand: move the change to the "
                       f"series, then 'git -C {tree.path} stash -a', and run again")
        recorded = json.loads(state.read_text()) if state.is_file() else None
        if not broken and recorded == [now, tree.head()]:
            print("series: up to date")
            return
        if any("smpl" in op for step in steps for op in step.ops):
            need("spatch", "clang-format")
        # What an interrupted run left may have been built: nothing to keep.
        before = {} if broken else mtimes(tree)
        lock.write("running")
        lock.flush()
        if broken:
            remove_locks(tree)
        try:
            if broken or tree.head() != tree.out("rev-parse", "base^{commit}"):
                to_commit(tree, "base")
            search_base(tree, [op for step in steps for op in step.ops
                               if for_kver(op, tree.kver())])
            for number, step in enumerate(steps, 1):
                one_step(tree, series, step, number, who)
            write_commits(tree)
            restore_mtimes(tree, before)
            stage(tree)
            if tree.dirty():
                raise Fail(f"{tree.dirty()}: changed by a step, but in no list of "
                           "files: correct the step")
            state.write_text(json.dumps([now, tree.head()]))
        except (Fail, OSError):
            with contextlib.suppress(Fail, OSError):
                write_commits(tree)
                stage(tree)
                to_commit(tree, "HEAD")
                lock.truncate(0)
            raise
        lock.truncate(0)
        print(f"series: {len(steps)} steps, tree {tree.out('rev-parse', 'HEAD^{tree}')}")


def one_step(tree, series, step, number, who):
    start, kver = time.monotonic(), tree.kver()
    print(f"  {step.name:32}", end="", flush=True)
    try:
        if not any(for_kver(op, kver) for op in step.ops):
            print(f" not for {kver}")
            return
        changed = run_step(tree, series, step, kver)
        commit(tree, step, number, who, changed)
    except Fail as err:
        print(" refused", flush=True)
        raise Fail(f"step {step.name}: {err}") from None
    except OSError:
        print(" stopped", flush=True)
        raise
    print(f"{len(changed):5} files{time.monotonic() - start:6.1f} s", flush=True)


# ------------------------------------------------------------ export, check

def export(args):
    """Mailable patches with a cover letter."""
    tree, outdir = open_tree(args.tree), Path(args.outdir).resolve()
    series = load(args.series, args.linux)
    *_, signed = identity(series)
    if not signed:
        raise Fail("no git identity to send patches from: set it with "
                   "'git config user.name' and 'git config user.email'")
    commits = tree.out("log", "-z", "--format=%B", "base..HEAD").split("\0")[:-1]
    if not commits:
        raise Fail(f"{tree.path}: no commits on base: run 'apply' first")
    if other := [text for text in commits if signed not in text.splitlines()]:
        raise Fail(f"'{other[-1].splitlines()[0]}' is not signed off by you: run 'apply'")
    subject, _, body = (series.path / "cover-letter").read_text("utf-8").partition("\n")
    outdir.mkdir(parents=True, exist_ok=True)
    for old in outdir.glob("*.patch"):
        old.unlink()
    plain = [f"format.{key}=false" for key in ("signOff", "thread")]
    plain += [f"branch.{BRANCH}.description={subject}\n\n{body.strip()}"]
    tree.git(*(word for each in plain for word in ("-c", each)),
             "format-patch", "-q", "-o", str(outdir), "--base=base", "--cover-letter",
             "--cover-from-description=subject", "--no-renames", "--no-signature",
             "--no-ext-diff", "--no-to", "--no-cc", "--no-add-header",
             "--no-attach",
             "--subject-prefix=PATCH", "-n", f"base..{BRANCH}")
    print(f"series: {len(list(outdir.glob('*.patch')))} patches in {outdir}")


def check(args):
    """Everything about the series that can be seen without a tree."""
    series = load(args.series, args.linux)
    problems = list(series.problems)
    if not (series.path / "cover-letter").is_file():
        problems.append("series/cover-letter: missing: write it")
    patches = sorted(series.path.glob("*/*.cocci"))
    for path in patches if shutil.which("spatch") else []:
        said = trouble(command(["spatch", "--very-quiet", "--parse-cocci", str(path)],
                               path.parent, ok=range(256)))
        if said:
            problems.append(f"step {path.parent.name}: {path.name}: {said}: correct it")
    for problem in problems:
        print(f"series: {problem}", file=sys.stderr)
    if not problems:
        print(f"series: {len(series.steps)} steps, {len(patches)} semantic patches: ok")
    return 1 if problems else 0


def gates(args):
    """What steps have removed is gone at the end as well, everywhere they say."""
    tree, series, left = open_tree(args.tree), load(args.series, args.linux), 0
    for step in series.steps:
        for op in (op for op in step.ops if for_kver(op, tree.kver())):
            try:
                check_gates(tree, {"gone": op.get("gone", [])})
            except Fail as err:
                print(f"series: step {step.name}: {err}", file=sys.stderr)
                left += 1
    print(f"series: {left} of the old names left")
    return 1 if left else 0


def main():
    parser = argparse.ArgumentParser(description="Turns series/ and linux/ into commits.")
    subs = parser.add_subparsers(required=True)
    for run, words in ((apply, ["tree"]), (export, ["tree", "outdir"]),
                       (gates, ["tree"]), (check, [])):
        sub = subs.add_parser(run.__name__, help=run.__doc__)
        sub.set_defaults(run=run)
        for word in words:
            sub.add_argument(word)
        sub.add_argument("--series", default=ROOT / "series", type=Path)
        sub.add_argument("--linux", default=ROOT / "linux", type=Path)
        if run is apply:
            sub.add_argument("--upto", metavar="NN-name")
    args = parser.parse_args()
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
