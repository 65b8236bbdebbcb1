# SPDX-License-Identifier: GPL-2.0
"""series/ and linux/: phases and their steps, and what is wrong with them.

docs/series.md explains the files of a step.
"""

import dataclasses
import functools
import hashlib
import os
import re
import tempfile
import tomllib
from pathlib import Path

from ktree import Fail, command

ROOT = Path(__file__).resolve().parent.parent
SHARED = "shared/"      # semantic patches that several steps use
# The keys of step.toml.
STEP = {"add": list, "gone": list, "have": list, "rule": list}
RULE = {"smpl": str, "files": list, "grep": str, "in": list, "headers": bool, "format": bool}
GATES = {"gone": {"re": str, "in": list, "span": bool},
         "have": {"re": str, "in": list, "count": int}}
EDITS = re.compile(r"edits(?:-(\d+\.\d+))?\.patch")


@dataclasses.dataclass
class Step:
    """One commit to be."""
    path: Path
    message: str = ""
    toml: dict = dataclasses.field(default_factory=dict)
    first: dict = dataclasses.field(default_factory=dict)   # name -> (mode, content), as added

    @property
    def phase(self):
        return self.path.parent.name

    @property
    def name(self):
        return f"{self.phase}/{self.path.name}"

    @property
    def add(self):
        return self.toml.get("add", [])

    @property
    def rules(self):
        return self.toml.get("rule", [])

    @property
    def subject(self):
        return self.message.split("\n", 1)[0]

    def patch_of(self, rule):
        where = self.path.parent.parent if rule["smpl"].startswith(SHARED) else self.path
        return where / rule["smpl"]

    def variant(self, kver):
        """edits-VERSION.patch for a tree: of that version, or of the newest before it."""
        there = {found[1]: path for path in self.path.iterdir()
                 if (found := EDITS.fullmatch(path.name)) and found[1]}
        older = [v for v in there if number(v) <= number(kver)]
        return there[max(older, key=number)] if older else None

    def edits(self, kver):
        """The patches for a tree of a version."""
        common = self.path / "edits.patch"
        return [path for path in (common, self.variant(kver)) if path and path.is_file()]

    def is_for(self, kver):
        return bool(self.add or self.rules or self.edits(kver))


@dataclasses.dataclass
class Series:
    path: Path
    linux: Path
    phases: list
    steps: list
    problems: list

    @property
    def macros(self):
        return self.path / "macros.h"


def number(kver):
    return tuple(map(int, kver.split(".")))


# ------------------------------------------------------------ what is wrong

def wrong_keys(table, known, where):
    for key, value in table.items():
        if key not in known:
            yield f"{where}: unknown key '{key}': known are {', '.join(known)}"
        elif not isinstance(value, known[key]):
            yield f"{where}: '{key}' has the wrong type: see the other steps"


def wrong_toml(toml):
    """What is wrong with step.toml, as far as the file itself can tell."""
    yield from wrong_keys(toml, STEP, "step.toml")
    for gate in GATES:
        for table in toml.get(gate, []):
            yield from wrong_keys(table, GATES[gate], f"step.toml: {gate}")
            if not {"re", "in"} <= table.keys():
                yield f"step.toml: {gate} needs 're' and 'in': give both"
    for rule in toml.get("rule", []):
        yield from wrong_keys(rule, RULE, "step.toml: rule")
        if "smpl" not in rule:
            yield "step.toml: rule: needs 'smpl', the semantic patch: give it"
        elif ("files" in rule) == ("grep" in rule) or ("grep" in rule) != ("in" in rule):
            yield f"step.toml: {rule['smpl']}: needs 'files', or 'grep' and 'in': give one"
    if toml.get("rule") and not toml.get("gone") and not toml.get("have"):
        yield "step.toml: a rule, and no gate: say what must be gone or there"


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
        # A link, a tag, or something quoted by indentation, cannot be wrapped.
        if len(line) > 75 and " " in line.strip() and not line.startswith(("  ", "Fixes: ")):
            yield f"message: line over 75 characters: wrap '{line[:30]}...'"
    if "Signed-off-by:" in text:
        yield "message: has a Signed-off-by: remove it, the engine signs off"


def wrong_files(step):
    """Files of a step that nothing uses, and files that it names and has not."""
    used = {rule["smpl"] for rule in step.rules}
    there = {path.name for path in step.path.iterdir()} - {"message", "step.toml"}
    patches = {name for name in there if EDITS.fullmatch(name)}
    if not used and not patches and not step.add:
        yield "does nothing: add a file, a rule or edits.patch"
    for name in sorted(used - there):
        if not (name.startswith(SHARED) and step.patch_of({"smpl": name}).is_file()):
            yield f"{name}: missing: write it"
    for name in sorted(there - used - patches):
        yield f"{name}: used by no rule: remove it"
    for name in sorted(patches):
        if not (step.path / name).stat().st_size:
            yield f"{name}: empty: remove it"


def wrong_adds(series):
    """Every file of linux/ is added by exactly one step, and no rule is run on it."""
    adds = {}
    for step in series.steps:
        for name in step.add:
            adds.setdefault(name, []).append(step.name)
    files = {str(f.relative_to(series.linux)) for f in series.linux.rglob("*") if not f.is_dir()}
    for name in sorted(files - adds.keys()):
        yield f"linux/{name}: added by no step: add it in one, or remove it"
    for name, users in sorted(adds.items()):
        if name not in files:
            yield f"step {users[0]}: linux/{name}: missing: write it"
        elif len(users) > 1:
            yield f"linux/{name}: added twice, by {', '.join(users)}: keep one"
    for step in series.steps:
        for name in {name for rule in step.rules for name in rule.get("files", [])} & files:
            yield f"step {step.name}: a rule is run on linux/{name}: change it in edits.patch"


def wrong_shared(series):
    used = {rule["smpl"] for step in series.steps for rule in step.rules}
    for path in sorted(series.path.glob(SHARED + "*")):
        if SHARED + path.name not in used:
            yield f"{SHARED}{path.name}: used by no step: remove it"


# ------------------------------------------------------------------ reading

def read_step(path, problems):
    """Read one step; what is wrong with it goes to `problems`."""
    found, step = [], Step(path)
    try:
        step.message = (path / "message").read_text("utf-8").strip("\n")
        if (path / "step.toml").exists():
            step.toml = tomllib.loads((path / "step.toml").read_text("utf-8"))
        found += [*wrong_toml(step.toml), *wrong_message(step.message)]
    except FileNotFoundError as err:
        found.append(f"{Path(err.filename).name}: missing: write it")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        found.append(f"step.toml: {err}: correct it")
    except (AttributeError, TypeError):     # a string where a table belongs
        found.append("step.toml: has another structure: see the other steps")
    if not found:
        found += wrong_files(step)
    problems += [f"step {step.name}: {p}" for p in found]
    return step


def read_phase(series, path):
    series.phases.append(path.name)
    if not (path / "cover-letter").is_file():
        series.problems.append(f"{path.name}/cover-letter: missing: write it")
    numbers = []
    for where in sorted(p for p in path.iterdir() if p.is_dir()):
        if not re.fullmatch(r"\d\d-[\w-]+", where.name):
            series.problems.append(f"{path.name}/{where.name}: not the name of a step: call it NN-name")
            continue
        numbers.append(int(where.name[:2]))
        series.steps.append(read_step(where, series.problems))
    if numbers != list(range(1, len(numbers) + 1)):
        series.problems.append(f"{path.name}: its steps are not numbered from 01: renumber them")


def load(series, linux):
    """Read the whole series; never fails on what is in it."""
    result = Series(Path(series).resolve(), Path(linux).resolve(), [], [], [])
    if not result.path.is_dir():
        raise Fail(f"{series}: no such directory: give the series with --series")
    there = [p for p in result.path.iterdir() if p.is_dir() and p.name != SHARED.strip("/")]
    for path in [p for p in there if not re.fullmatch(r"\d+-[\w-]+", p.name)]:
        result.problems.append(f"{path.name}: not the name of a phase: call it N-name")
        there.remove(path)
    for path in sorted(there, key=lambda p: int(p.name.split("-")[0])):
        read_phase(result, path)
    if not result.steps:
        result.problems.append(f"{series}: no steps: write one")
    if not result.macros.is_file():
        result.problems.append(f"{series}/macros.h: missing: write it")
    if not result.problems:
        result.problems += [*wrong_adds(result), *wrong_shared(result)]
    return result


# ------------------------------------------------------------ first versions

def outside(where, *args, **more):
    """git apply in a directory that is no repository to it: in one, it looks at the top only."""
    return command(["git", "apply", *map(str, args)], where, **more,
                   env={"GIT_CEILING_DIRECTORIES": str(Path(where).resolve().parent)})


def touched(patch):
    """The files that a patch changes, as git reads it."""
    said = outside(patch.parent, "--numstat", "-z", patch, ok=(0, 1, 128))
    if said.returncode:
        raise Fail(f"{patch.parent.name}/{patch.name}: {said.stderr.strip()}: correct it")
    return [line.split("\t", 2)[2] for line in said.stdout.split("\0")[:-1]]


def newest(series):
    """The version whose variants linux/ has in it."""
    found = {match[1] for step in series.steps for path in step.path.iterdir()
             if (match := EDITS.fullmatch(path.name)) and match[1]}
    return max(found, key=number, default="999.0")


def first_versions(series):
    """What each step adds: the file of linux/, with the edits of later steps taken back."""
    ours = {name for step in series.steps for name in step.add}
    kver = newest(series)
    with tempfile.TemporaryDirectory(prefix="series-") as top:
        for name in ours:
            there = Path(top, name)
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes((series.linux / name).read_bytes())
        for step in reversed(series.steps):
            for patch in reversed(step.edits(kver)):
                take_back(step, patch, sorted(ours & set(touched(patch))), top)
            step.first = {name: (mode_of(series.linux / name), Path(top, name).read_bytes())
                          for name in step.add}


def mode_of(path):
    return "100755" if os.access(path, os.X_OK) else "100644"


def take_back(step, patch, names, top):
    if not names:
        return
    done = outside(top, "-R", "--whitespace=nowarn", *(f"--include={name}" for name in names), patch, ok=(0, 1))
    if done.returncode:
        place = re.search(r"patch failed: (\S+)", done.stderr)
        raise Fail(f"linux/{place[1] if place else names[0]}: step {step.name} adds or changes this: "
                   "change it in the tree, and 'make take', or correct that step too")


# --------------------------------------------------------------------- keys

def keys(series, *more):
    """A hash for each step of all that its commit depends on."""
    total, result = hashlib.sha256(), []
    for part in (*more, *map(content, engine()), content(series.macros)):
        total.update(part.encode(errors="surrogateescape") + b"\0")
    for step in series.steps:
        files = [p for p in sorted(step.path.iterdir()) if p.is_file()]
        files += [step.patch_of(r) for r in step.rules if r["smpl"].startswith(SHARED)]
        for path in files:
            total.update(f"{path.name} {content(path)}\0".encode())
        for name, (mode, data) in sorted(step.first.items()):
            total.update(f"{name} {mode} {hashlib.sha256(data).hexdigest()}\0".encode())
        result.append(total.copy().hexdigest())
    return result


@functools.cache
def content(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def engine():
    """What says how a step becomes a commit."""
    return [ROOT / "tools" / name for name in ("series.py", "steps.py", "smpl.py", "gates.py", "ktree.py")]
