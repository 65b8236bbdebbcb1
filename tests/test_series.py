#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of the series engine, on tiny kernel trees that they make themselves.

Each test runs the engine as a person would and looks at what it says and at
the tree that it leaves.  `refuse` holds every failure to the same rules: one
line, exit code 1, a clean tree on the last good commit, ready for a new run.
"""

import difflib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ENGINE = Path(__file__).resolve().parent.parent / "tools/series.py"

A_C = """\
#include <linux/x.h>

static int a_user(struct x *x)
{
	return old_call(x, "a long first argument, to fill the line",
			x->second, x->third);
}

struct x_ops a_ops = {
	.name		= "a",
	.old_ops	= a_user,
	.release	= NULL,
};
"""
B_C = """\
#include <linux/x.h>

int b_user(struct x *x)
{
	return old_call(x, "b", 1, 2);
}
"""
TREE = {
    "Makefile": "# SPDX\nVERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\n",
    ".clang-format": "BasedOnStyle: LLVM\nIndentWidth: 8\nUseTab: Always\n"
                     "ContinuationIndentWidth: 8\nBreakBeforeBraces: Linux\n",
    "drivers/Makefile": "obj-y += a.o\nobj-y += b.o\n",
    "drivers/a.c": A_C,
    "drivers/b.c": B_C,
    "drivers/other.c": "int other;\n",
    "include/linux/x.h": "int old_call(struct x *x, const char *s, int a, int b);\n",
}
RENAME = """\
@@
expression list es;
@@
- old_call(es)
+ a_new_call_with_a_longer_name(es)

@@
identifier X;
expression E;
@@
  struct x_ops X = {
-	.old_ops = E,
+	.new_ops = E,
  };
"""
GONE = """gone = [{ re = '\\bold_call\\(', in = ["drivers"] }]\n"""
GONE_A = GONE.replace('"drivers"', '"drivers/a.c"')
GONE_B = GONE.replace('"drivers"', '"drivers/b.c"')


P = "1-one/"        # the phase of all steps here, but where a test is about phases


def edit(old="obj-y += a.o", new="obj-m += a.o", path="drivers/Makefile", text=None):
    """A patch, as git writes it, that replaces something in a file."""
    before = TREE[path] if text is None else text
    return diff(path, before, before.replace(old, new))


def diff(path, before, after):
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{path}", f"b/{path}", n=1)
    return f"diff --git a/{path} b/{path}\n" + "".join(lines)


def smpl(files="files = ['drivers/a.c', 'drivers/b.c']", gates=GONE):
    return f"{gates}\n[[rule]]\nsmpl = 'rename.cocci'\n{files}\n"


class Engine(unittest.TestCase):
    """A tree, a series and a person, all in a directory of their own."""

    def setUp(self):
        self.top = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.series, self.linux = self.top / "series", self.top / "linux"
        self.home = self.top / "home"
        for path in (self.series, self.linux, self.home):
            path.mkdir()
        (self.series / "macros.h").write_text("/* none */\n")
        (self.series / P).mkdir()
        (self.series / P / "cover-letter").write_text("x: The cover\n\nIts body.\n")
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "USER": "login",
                    "TMPDIR": str(self.top),
                    "GIT_CONFIG_NOSYSTEM": "1", "PYTHONDONTWRITEBYTECODE": "1",
                    "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.fsync",
                    "GIT_CONFIG_VALUE_0": "none"}
        self.person("A Person", "person@example.org")
        self.tree = self.make_tree(self.top / "tree")

    # ------------------------------------------------------------- helpers

    def person(self, name, mail):
        (self.home / ".gitconfig").write_text(
            f"[user]\nname = {name}\nemail = {mail}\n" if name else "")

    def git(self, *args, tree=None, check=True):
        return subprocess.run(["git", "-C", tree or self.tree, *args], env=self.env,
                              text=True, capture_output=True, check=check).stdout.strip()

    def make_tree(self, path, **changed):
        for name, text in (TREE | changed.get("files", {})).items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(text)
        self.git("init", "-q", "-b", "mapping-types", tree=path.parent
                 if not path.exists() else path)
        self.git("add", "-A", tree=path)
        self.git("commit", "-q", "-m", "base", "--date", "@1000000 +0000", tree=path)
        self.git("tag", "base", tree=path)
        return path

    def base(self, **files):
        """The same tree with other files in base."""
        shutil.rmtree(self.tree)
        self.make_tree(self.tree, files=files.get("files", files))

    def step(self, name, toml="", patch="", cocci=RENAME, message=None, **patches):
        where = self.series / (name if "/" in name else P + name)
        where.mkdir(exist_ok=True)
        (where / "message").write_text(message or f"x: Do {where.name}\n\nBecause.\n")
        files = {"step.toml": toml, "edits.patch": patch,
                 "rename.cocci": cocci if "rename.cocci" in toml else ""}
        files |= {f"edits-{kver[1:].replace('_', '.')}.patch": text for kver, text in patches.items()}
        for file, text in files.items():
            (where / file).write_text(text)
            if not text:
                (where / file).unlink()
        return where

    def good(self):
        """A series that has everything and fits."""
        (self.linux / "drivers").mkdir()
        (self.linux / "drivers/new.c").write_text("int added;\n")
        self.step("01-add", "add = ['drivers/new.c']\n",
                  edit("obj-y += b.o\n", "obj-y += b.o\nobj-y += new.o\n"))
        self.step("02-smpl", smpl())
        self.step("03-edit", "", edit("int other;", "int another;", "drivers/other.c"))

    def engine(self, *args, **env):
        return subprocess.run(
            [sys.executable, ENGINE, *map(str, args), "--series", self.series,
             "--linux", self.linux], env=self.env | env, text=True, capture_output=True,
            cwd=self.top)

    def apply(self, *more, **env):
        done = self.engine("apply", self.tree, *more, **env)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertEqual(self.git("status", "--porcelain"), "")
        return self.git("rev-parse", "HEAD^{tree}")

    def refuse(self, *says, args=None, commits=0, tree=True, **env):
        done = self.engine(*(args or ("apply", self.tree)), **env)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stderr, r"\Aseries: [^\n]+: [^\n]+\n\Z")
        for what in says:
            self.assertIn(what, done.stderr)
        if tree:
            self.assertEqual(self.git("status", "--porcelain"), "")
            self.assertEqual(self.git("rev-list", "--count", "base..HEAD"), str(commits))
        return done.stderr

    def read(self, name):
        return (self.tree / name).read_text()

    def mtime(self, name):
        return (self.tree / name).stat().st_mtime_ns

    def path_of(self, *tools, without=()):
        """A PATH with these tools, or with all that the engine needs, but one."""
        where = Path(tempfile.mkdtemp(dir=self.top))
        for tool in tools or {"git", "grep", "spatch", "clang-format",
                              "python3", "sh"} - set(without):
            (where / tool).symlink_to(shutil.which(tool))
        return where


class Good(Engine):

    def test_result(self):
        self.good()
        self.apply()
        self.assertEqual(self.read("drivers/new.c"), "int added;\n")
        self.assertEqual(self.read("drivers/Makefile"),
                         "obj-y += a.o\nobj-y += b.o\nobj-y += new.o\n")
        self.assertEqual(self.read("drivers/other.c"), "int another;\n")
        self.assertIn("a_new_call_with_a_longer_name(x, \"b\", 1, 2)",
                      self.read("drivers/b.c"))
        self.assertEqual(self.git("log", "--format=%s", "--reverse", "base..HEAD"),
                         "x: Do 01-add\nx: Do 02-smpl\nx: Do 03-edit")

    def test_same_hash_twice(self):
        self.good()
        self.apply()
        first = self.git("rev-parse", "HEAD")
        (self.tree / ".git/series-steps").unlink()
        self.git("checkout", "-q", "-B", "mapping-types", "base")
        time.sleep(1.1)     # a date taken from the clock would show
        self.apply()
        self.assertEqual(self.git("rev-parse", "HEAD"), first)

    def test_author_and_sign_off(self):
        self.good()
        tree = self.apply()
        self.assertEqual(self.git("log", "-1", "--format=%an <%ae> %cn %at"),
                         "A Person <person@example.org> A Person " +
                         str(int(self.git("log", "-1", "--format=%ct", "base")) + 3))
        self.assertEqual(self.git("log", "-1", "--format=%B").splitlines()[-3:],
                         ["Because.", "", "Signed-off-by: A Person <person@example.org>"])
        self.person("", "")
        self.assertEqual(self.apply(), tree)
        self.assertRegex(self.git("log", "-1", "--format=%ae"), r"^login@.")
        self.assertNotIn("Signed-off-by", self.git("log", "--format=%B", "base..HEAD"))

    def test_layout_of_added_lines_only(self):
        self.good()
        self.apply()
        text = self.read("drivers/a.c")
        self.assertTrue(all(len(line.expandtabs()) <= 80 for line in text.split("\n")), text)
        self.assertIn(".new_ops = a_user,", text)
        # clang-format alone would take the alignment from these as well.
        self.assertIn("\t.name\t\t= \"a\",\n", text)
        self.assertIn("\t.release\t= NULL,\n", text)

    def test_renamed_function_takes_its_parameters_along(self):
        head = ("int old_call(struct some_long_name *first_of_them,\n"
                "\t     struct some_long_name *second_of_them)\n")
        self.base(**{"drivers/b.c": head + "{\n\treturn 0;\n}\n"})
        self.step("01-def", smpl("files = ['drivers/b.c']", GONE_B),
                  cocci="@@\ntype T;\nparameter list ps;\n@@\n  T\n- old_call\n+ called\n"
                        "  (ps) { ... }\n")
        self.apply()
        self.assertIn("int called(struct some_long_name *first_of_them,\n"
                      "\t   struct some_long_name *second_of_them)\n", self.read("drivers/b.c"))

    def test_format_false(self):
        cocci = RENAME.replace(".new_ops = E", "A_MACRO(E, with_one_long_argument, "
                               "and_another_one, and_one_more_that_is_too_long)")
        for more, narrow in (("", True), ("format = false\n", False)):
            self.step("01-smpl", smpl("files = ['drivers/a.c']\n" + more, GONE_A), cocci=cocci)
            self.apply()
            lines = self.read("drivers/a.c").expandtabs().split("\n")
            self.assertEqual(max(map(len, lines)) <= 80, narrow)

    def test_grep_takes_the_files_that_match(self):
        self.step("01-smpl", smpl("grep = 'old_call'\nin = ['drivers']"))
        self.apply()
        self.assertEqual(self.git("diff", "--name-only", "base"),
                         "drivers/a.c\ndrivers/b.c")

    def test_kver(self):
        self.step("01-edit", v7_2=edit(new="obj-7.2 += a.o"), v7_3=edit(new="obj-7.3 += a.o"))
        self.step("02-old", v7_4=edit("int other;", "int newer;", "drivers/other.c"))
        self.apply()
        self.assertEqual(self.read("drivers/Makefile"), "obj-7.3 += a.o\nobj-y += b.o\n")
        self.assertEqual(self.git("rev-list", "--count", "base..HEAD"), "1")

    def test_kver_that_is_newer_than_all(self):
        self.base(**{"Makefile": "VERSION = 7\nPATCHLEVEL = 10\n"})
        self.step("01-edit", v7_2=edit(new="obj-7.2 += a.o"), v7_3=edit(new="obj-7.3 += a.o"))
        self.apply()
        self.assertIn("obj-7.3 += a.o", self.read("drivers/Makefile"))

    def test_phases_in_order(self):
        self.step("01-x", "", edit("int other;", "int one;", "drivers/other.c"))
        for phase, old, new in (("2-two", "one", "two"), ("10-ten", "two", "ten")):
            (self.series / phase).mkdir()
            (self.series / phase / "cover-letter").write_text("x: More\n\nBody.\n")
            self.step(f"{phase}/01-{new}", "", diff("drivers/other.c", f"int {old};\n", f"int {new};\n"))
        self.apply()
        self.assertEqual(self.read("drivers/other.c"), "int ten;\n")

    def test_linux_has_the_final_version(self):
        """What is added first is that version without what later steps do to it."""
        (self.linux / "new.c").write_text("int a;\nint b;\nint c;\n")
        (self.linux / "new.c").chmod(0o755)
        self.step("01-add", "add = ['new.c']")
        self.step("02-b", "", diff("new.c", "int a;\n", "int a;\nint b;\n"))
        self.step("03-c", "", diff("new.c", "int a;\nint b;\n", "int a;\nint b;\nint c;\n"))
        self.apply()
        self.assertEqual(self.git("show", "HEAD~2:new.c"), "int a;")
        self.assertEqual(self.git("show", "HEAD~1:new.c"), "int a;\nint b;")
        self.assertEqual(self.read("new.c"), (self.linux / "new.c").read_text())
        self.assertTrue(os.access(self.tree / "new.c", os.X_OK))

    def test_an_edit_knows_its_place(self):
        """Lines have moved, and the outer line of context is another one: a newer kernel."""
        text = "int x;\nint y;\nint b;\nint z;\n"
        self.base(**{"drivers/other.c": "int moved;\n" * 3 + text})
        self.step("01-x", "", "--- a/drivers/other.c\n+++ b/drivers/other.c\n@@ -1,4 +1,5 @@\n int older;\n"
                  " int y;\n+int new;\n int b;\n int z;\n")
        self.apply()
        self.assertIn("int y;\nint new;\nint b;\n", self.read("drivers/other.c"))

    def test_upto(self):
        self.good()
        self.apply("--upto", P + "01-add")
        self.assertEqual(self.git("rev-list", "--count", "base..HEAD"), "1")
        self.apply()
        self.assertEqual(self.git("rev-list", "--count", "base..HEAD"), "3")
        self.refuse("--upto 04-none", "03-edit", commits=3, args=("apply", self.tree, "--upto", "04-none"))


class Again(Engine):

    def test_mtimes(self):
        self.good()
        self.apply()
        names = ("Makefile", "drivers/a.c", "drivers/new.c")
        before = {name: self.mtime(name) for name in names}
        late = self.mtime("drivers/other.c")
        self.step("03-edit", "", edit("int other;", "int one_more;", "drivers/other.c"))
        self.apply()
        self.assertEqual({name: self.mtime(name) for name in names}, before)
        self.assertGreater(self.mtime("drivers/other.c"), late)

    def test_up_to_date(self):
        self.good()
        self.apply()
        done = self.engine("apply", self.tree, PATH=str(self.path_of("git")))
        self.assertEqual(done.stdout, "series: up to date\n")

    def test_not_up_to_date(self):
        self.good()
        tree = self.apply()
        self.git("checkout", "-q", "-B", "mapping-types", "HEAD~1")
        self.assertEqual(self.apply(), tree)
        (self.linux / "drivers/new.c").write_text("int added_later;\n")
        self.apply()
        self.assertEqual(self.read("drivers/new.c"), "int added_later;\n")

    def test_work_by_hand_is_not_lost(self):
        self.good()
        self.apply()
        (self.tree / "drivers/a.c").write_text("by hand\n")
        done = self.engine("apply", self.tree)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("drivers/a.c: changed by hand", done.stderr)
        self.assertEqual(self.read("drivers/a.c"), "by hand\n")

    def test_new_file_that_git_ignores(self):
        self.good()
        # As Debian's .gitignore says it.
        (self.tree / ".git/info/exclude").write_text("/*\n!/debian/\n")
        self.apply()
        (self.tree / "drivers/by-hand.c").write_text("by hand\n")
        done = self.engine("apply", self.tree)
        self.assertEqual(done.returncode, 1)
        self.assertIn("drivers/by-hand.c: changed by hand", done.stderr)

    def test_killed(self):
        self.good()
        right = self.apply()
        self.step("02-smpl", smpl(), cocci=RENAME + "\n// again\n")
        # A spatch that kills the engine, and goes on working on the tree.
        path = self.path_of(without=["spatch"])
        (path / "sleep").symlink_to(shutil.which("sleep"))
        (path / "spatch").write_text(
            f"#!/bin/sh\nkill -9 $PPID\nsleep 1\ncd {self.tree}\n"
            "echo junk >> drivers/b.c\necho junk > drivers/junk.c\n: > .git/index.lock\n"
            f": > {self.top}/ended\n")
        (path / "spatch").chmod(0o755)
        self.assertEqual(self.engine("apply", self.tree, PATH=str(path)).returncode, -9)
        self.step("02-smpl", smpl())
        again = time.time_ns() - 50_000_000     # a file system's clock is coarse
        self.assertEqual(self.apply(), right)
        self.assertTrue((self.top / "ended").exists(), "did not wait for the rest")
        # It may have been built in between: the make must see a new file.
        self.assertGreater(self.mtime("drivers/b.c"), again)

    def test_after_a_failure(self):
        self.good()
        right = self.apply()
        self.step("03-edit", "", diff("drivers/other.c", "int none;\n", "int one_more;\n"))
        self.refuse("03-edit", "drivers/other.c:1: edits.patch does not apply", commits=2)
        kept = self.mtime("drivers/new.c")
        self.step("03-edit", "", edit("int other;", "int another;", "drivers/other.c"))
        self.assertEqual(self.apply(), right)
        self.assertEqual(self.mtime("drivers/new.c"), kept)


class Refused(Engine):
    """A tree on which a step does not fit, by name."""

    def test_smpl_matches_nothing(self):
        self.step("01-smpl", smpl("files = ['drivers/other.c']",
                                  "have = [{ re = 'other', in = ['drivers'] }]"))
        self.refuse("step " + P + "01-smpl: drivers/other.c: rename.cocci changes nothing")

    def test_grep_matches_nothing(self):
        self.step("01-smpl", smpl("grep = 'no_such_call'\nin = ['drivers']"))
        self.refuse("step " + P + "01-smpl: drivers: nothing matches 'no_such_call'")

    def test_grep_matches_but_nothing_changes(self):
        self.step("01-smpl", smpl("grep = 'int other'\nin = ['drivers']"))
        self.refuse("step " + P + "01-smpl: drivers/other.c: rename.cocci changes nothing")

    def test_smpl_matches_one_of_two(self):
        self.base(**{"drivers/b.c": "int b;\n"})
        self.step("01-smpl", smpl())
        self.refuse("step " + P + "01-smpl: drivers/b.c: rename.cocci changes nothing")

    def test_file_is_not_there(self):
        for toml in (smpl("files = ['drivers/none.c']"),
                     smpl(gates="gone = [{ re = 'x', in = ['drivers/none.c'] }]")):
            self.step("01-x", toml)
            self.refuse("step " + P + "01-x: drivers/none.c: not in this tree")
        self.step("01-x", "", diff("drivers/none.c", "int x;\n", "int y;\n"))
        self.refuse("step " + P + "01-x: drivers/none.c: No such file or directory")

    def test_unparsed_function(self):
        bad = "int c(void)\n{\n\tODD_MACRO({ old_call(1, 2, 3, 4);\n}\n"
        self.base(**{"drivers/b.c": B_C + bad})
        self.step("01-smpl", smpl())
        self.refuse("step " + P + "01-smpl: drivers/b.c:9: '\\bold_call\\(' is still there (1 ")

    def test_another_user_of_an_old_name(self):
        self.base(**{"drivers/deep/c.c": B_C.replace("b_user", "c_user")})
        self.step("01-smpl", smpl())
        self.refuse("step " + P + "01-smpl: drivers/deep/c.c:5: ")

    def test_another_user_that_a_step_has_made(self):
        self.step("01-edit", "", edit("int other;", "int x = old_call(1);", "drivers/other.c"))
        self.step("02-smpl", smpl())
        self.refuse("step " + P + "02-smpl: drivers/other.c:1: ", commits=1)

    def test_have(self):
        have = "have = [{ re = 'a_new_call', in = ['drivers']%s }]"
        self.step("01-smpl", smpl(gates=have % ", count = 2"))
        self.apply()
        self.step("01-smpl", smpl(gates=have % ", count = 3"))
        self.refuse("step " + P + "01-smpl: drivers: 'a_new_call' is there 2 times, not 3")
        self.step("01-smpl", smpl(gates="have = [{ re = 'nil', in = ['drivers'] }]"))
        self.refuse("step " + P + "01-smpl: drivers: 'nil' is there 0 times")

    def test_gone_was_never_there(self):
        self.step("01-smpl", smpl(gates="gone = [{ re = 'nil', in = ['drivers'] }]"))
        self.refuse("step " + P + "01-smpl: drivers: 'nil' must be gone after this step, and was never there")

    def test_gone_since_an_earlier_step(self):
        """A later step may guard what an earlier one removed."""
        self.step("01-smpl", smpl())
        self.step("02-edit", GONE, edit("int other;", "int another;", "drivers/other.c"))
        self.apply()

    def test_edits_do_not_apply(self):
        self.step("01-edit", "", edit().replace("-obj-y += a.o", "-obj-x += a.o"))
        self.refuse("step " + P + "01-edit: drivers/Makefile:1: edits.patch does not apply")

    def test_edits_are_no_patch(self):
        self.step("01-edit", "", "obj-y\n")
        self.refuse("01-edit/edits.patch: ", "No valid patches", "correct it")

    def test_rule_on_a_new_file(self):
        self.good()
        self.step("02-smpl", smpl("files = ['drivers/a.c', 'drivers/b.c', 'drivers/new.c']"))
        self.refuse("step " + P + "02-smpl: a rule is run on linux/drivers/new.c")

    def test_later_step_contradicts_linux(self):
        """Somebody changed a line of linux/ that a later step has made."""
        (self.linux / "new.c").write_text("int a;\nint x;\n")
        self.step("01-add", "add = ['new.c']")
        self.step("02-b", "", diff("new.c", "int a;\n", "int a;\nint b;\n"))
        self.refuse("linux/new.c", "step " + P + "02-b adds or changes this", "make take")

    def test_step_that_undoes_itself(self):
        cocci = "@@\nexpression list es;\n@@\n- old_call(es)\n+ old_calls(es)\n"
        self.step("01-nil", smpl("files = ['drivers/b.c']", "have = [{ re = 'old_call', in = ['drivers/b.c'] }]"),
                  edit("old_calls", "old_call", "drivers/b.c", B_C.replace("old_call", "old_calls")), cocci=cocci)
        self.refuse("step " + P + "01-nil: changes nothing")

    def test_add_what_is_there(self):
        self.good()
        self.base(**{"drivers/new.c": "int from_upstream;\n"})
        self.refuse("step " + P + "01-add: drivers/new.c: is in the tree already")

    def test_spatch_trouble_in_one_of_two_files(self):
        # A nested call is tagged twice: an EXN, an exit code of 0, no change.
        self.base(**{"drivers/b.c": "int b(void)\n{\n\treturn old_call(old_call(1));\n}\n"})
        self.step("01-smpl", smpl("grep = 'old_call'\nin = ['drivers']",
                                  "have = [{ re = 'once', in = ['drivers'] }]"),
                  cocci="@@\nexpression E;\nexpression list es;\n@@\n(\n- old_call(E)\n"
                        "+ once(E, E)\n|\n- old_call(es)\n+ once(es)\n)\n")
        self.refuse("step " + P + "01-smpl: drivers/b.c: rename.cocci: spatch says", "already tagged")

    def spatch_and(self, more):
        """A PATH with an spatch that also runs a line of shell."""
        wrapper = self.top / "bin/spatch"
        wrapper.parent.mkdir(exist_ok=True)
        wrapper.write_text(f'#!/bin/sh\n{shutil.which("spatch")} "$@"\n{more}\n')
        wrapper.chmod(0o755)
        return f"{wrapper.parent}:{os.environ['PATH']}"

    def test_spatch_changes_another_file(self):
        self.step("01-smpl", smpl())
        self.refuse("drivers/other.c: changed by a step, but in no list", commits=1,
                    PATH=self.spatch_and(f"echo >> {self.tree}/drivers/other.c"))

    def test_timeout_of_spatch(self):
        self.step("01-smpl", smpl())
        for said in "timeout (we abort): a.c", "EXN: Coccinelle_modules.Common.Timeout":
            self.refuse("spatch says", "imeout", PATH=self.spatch_and(f"echo '{said}' >&2"))

    def test_warning_that_names_a_function(self):
        self.step("01-smpl", smpl())
        self.apply(PATH=self.spatch_and(
            "echo 'warning: line 5: wait_for_completion_timeout is odd' >&2"))

    def test_semantic_patch_that_does_not_parse(self):
        self.step("01-smpl", smpl(), cocci="@@ @@\n- old_call(\n")
        self.refuse("step " + P + "01-smpl: rename.cocci: spatch says", "parse error")


class Wrong(Engine):
    """A series that is wrong in itself: nothing is touched."""

    def wrong(self, *says):
        self.refuse(*says)
        self.refuse(*says, args=("check",))

    def test_unknown_key(self):
        self.step("01-x", smpl("files = ['drivers/a.c']\nformt = false"))
        self.wrong("step " + P + "01-x: step.toml: rule: unknown key 'formt'")
        self.step("01-x", smpl(gates="gone = [{ re = 'x', inn = ['x'], in = ['x'] }]"))
        self.wrong("step " + P + "01-x: step.toml: gone: unknown key 'inn'")
        self.step("01-x", "say = 1\n", edit())
        self.wrong("step " + P + "01-x: step.toml: unknown key 'say'")

    def test_wrong_type(self):
        self.step("01-x", smpl("files = 'drivers/a.c'"))
        self.wrong("step " + P + "01-x: step.toml: rule: 'files' has the wrong type")

    def test_wrong_structure(self):
        self.step("01-x", smpl(gates="gone = ['old_call']"))
        self.wrong("step " + P + "01-x: step.toml: has another structure")

    def test_no_gate(self):
        self.step("01-x", smpl(gates=""))
        self.wrong("step " + P + "01-x: step.toml: a rule, and no gate")

    def test_nothing_to_do(self):
        self.step("01-x")
        self.wrong("step " + P + "01-x: does nothing")

    def test_numbers_and_names(self):
        self.step("01-x", "", edit())
        self.step("03-y", "", edit("int other;", "int another;", "drivers/other.c"))
        self.wrong("1-one: its steps are not numbered from 01")
        (self.series / P / "03-y").rename(self.series / P / "y")
        self.wrong("1-one/y: not the name of a step")
        shutil.rmtree(self.series / P / "y")
        (self.series / "more").mkdir()
        self.wrong("more: not the name of a phase")
        (self.series / "more").rename(self.series / "2-more")
        self.wrong("2-more/cover-letter: missing")

    def test_not_toml(self):
        self.step("01-x", "[[do]\n")
        self.wrong("step " + P + "01-x: step.toml: ")

    def test_orphan_and_double(self):
        self.good()
        (self.linux / "orphan.c").write_text("\n")
        self.wrong("linux/orphan.c: added by no step")
        (self.linux / "orphan.c").unlink()
        self.step("04-again", "add = ['drivers/new.c']\n")
        self.wrong("linux/drivers/new.c: added twice, by 1-one/01-add, 1-one/04-again")
        (self.linux / "drivers/new.c").unlink()
        self.wrong("linux/drivers/new.c: missing")

    def test_semantic_patch_that_nobody_uses(self):
        self.step("01-x", "", edit())
        (self.series / P / "01-x/left.cocci").write_text(RENAME)
        self.wrong("step " + P + "01-x: left.cocci: used by no rule")

    def test_message(self):
        for message, says in (
                ("Do this\n\nBecause.\n", "prefix"),
                ("x: " + 73 * "y" + "\n\nBecause.\n", "over 75"),
                ("x: Do this\n", "no body"),
                ("x: Do this\n\n" + 20 * "long " + "\n", "wrap"),
                ("x: Do this\n\nBecause.\n\nSigned-off-by: N N <n@n>\n", "Signed-off-by")):
            self.step("01-x", "", edit(), message=message)
            self.wrong("step " + P + "01-x: message: ", says)

    def test_check(self):
        self.good()
        done = self.engine("check")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.step("02-smpl", smpl(), cocci="@@ @@\n- old_call(\n")
        self.refuse("step " + P + "02-smpl: rename.cocci: ", args=("check",))


class Surroundings(Engine):

    def test_wrong_tree(self):
        self.good()
        self.git("tag", "-d", "base")
        self.refuse("tree: no tag 'base'", tree=False)
        (self.tree / "Makefile").write_text("all:\n")
        self.refuse("tree: not a kernel tree", tree=False)
        shutil.rmtree(self.tree / ".git")
        self.refuse("tree: not the top of a git work tree", tree=False)
        # A directory inside another repository is not a tree of ours either.
        self.git("init", "-q", tree=self.top)
        self.refuse("tree: not the top of a git work tree", tree=False)
        shutil.rmtree(self.tree)
        self.refuse("tree: no such directory", tree=False)

    def test_another_branch(self):
        self.good()
        self.git("checkout", "-q", "-b", "mine")
        self.refuse("on branch 'mine'")

    def test_missing_tools(self):
        self.good()
        for tool, package in (("spatch", "coccinelle"), ("git", "git"),
                              ("clang-format", "clang-format")):
            path = self.path_of(without=[tool])
            self.refuse(f"{tool} is missing", f"apt-get install {package}", PATH=str(path))

    def test_no_space(self):
        self.good()
        small = self.top / "small"
        small.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", small],
                          capture_output=True, check=False).returncode:
            self.skipTest("cannot mount a small tmpfs: needs root")
        self.addCleanup(subprocess.run, ["umount", small], check=True)
        self.tree = self.make_tree(small / "tree")
        right = self.apply()
        (self.linux / "drivers/new.c").write_text("int added;\n" * 1000)
        with (open(small / "filler", "wb", buffering=0) as filler,
              self.assertRaises(OSError)):
            while filler.write(bytes(4096)):
                pass
        self.refuse("No space left on device", tree=False)
        (small / "filler").unlink()
        (self.linux / "drivers/new.c").write_text("int added;\n")
        self.assertEqual(self.apply(), right)

    def test_two_at_a_time(self):
        self.good()
        right = self.apply()
        (self.tree / ".git/series-steps").unlink()
        self.git("checkout", "-q", "-B", "mapping-types", "base")
        runs = [subprocess.Popen([sys.executable, ENGINE, "apply", self.tree, "--series",
                                  self.series, "--linux", self.linux], env=self.env,
                                 stdout=subprocess.DEVNULL) for _ in range(2)]
        self.assertEqual([run.wait() for run in runs], [0, 0])
        self.assertEqual(self.git("rev-parse", "HEAD^{tree}"), right)

    def test_configuration_of_the_user(self):
        self.good()
        right = self.apply()
        (self.tree / ".git/series-steps").unlink()
        self.git("checkout", "-q", "-B", "mapping-types", "base")
        with open(self.home / ".gitconfig", "a", encoding="utf-8") as config:
            config.write("[core]\nautocrlf = true\nhooksPath = /nonexistent\n"
                         "[diff]\nnoprefix = true\nmnemonicPrefix = true\n"
                         "[color]\nui = always\n[commit]\ngpgSign = true\n"
                         "[status]\nshowUntrackedFiles = no\n")
        self.assertEqual(self.apply(), right)


class Export(Engine):

    def test_git_am(self):
        self.good()
        right = self.apply()
        out = self.top / "out" / P
        out.mkdir(parents=True)
        (out / "0009-old.patch").write_text("old\n")
        done = self.engine("export", self.tree, self.top / "out")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        names = [path.name for path in sorted(out.glob("*"))]
        self.assertEqual(names, ["v1-0000-cover-letter.patch", "v1-0001-x-Do-01-add.patch",
                                 "v1-0002-x-Do-02-smpl.patch", "v1-0003-x-Do-03-edit.patch"])
        for path in out.glob("*"):
            self.assertNotIn("multipart", path.read_text())
        self.git("checkout", "-q", "--detach", "base")
        self.git("am", "-q", *(out / name for name in names[1:]))
        self.assertEqual(self.git("rev-parse", "HEAD^{tree}"), right)

    def test_cover_letter(self):
        self.good()
        self.apply()
        self.engine("export", self.tree, self.top / "out")
        cover = (self.top / "out" / P / "v1-0000-cover-letter.patch").read_text()
        self.assertIn("Subject: [PATCH v1 0/3] x: The cover\n", cover)
        self.assertIn("\n\nIts body.\n\nA Person (3):\n  x: Do 01-add\n", cover)
        self.assertIn(" 5 files changed", cover)
        self.assertIn("base-commit: " + self.git("rev-parse", "base"), cover)
        self.assertNotIn("***", cover)

    def test_without_identity(self):
        self.good()
        self.apply()
        self.person("", "")
        self.refuse("no git identity", commits=3,
                    args=("export", self.tree, self.top / "out"))
        self.assertFalse((self.top / "out").exists())

    def test_of_another_person(self):
        self.good()
        self.apply()
        self.person("Another", "another@example.org")
        self.refuse("for somebody else", commits=3,
                    args=("export", self.tree, self.top / "out"))

    def test_nothing_to_export(self):
        self.refuse("run 'make tree' first", args=("export", self.tree, self.top / "out"))


class Take(Engine):
    """What somebody commits in the tree goes back to series/ and linux/."""

    def setUp(self):
        super().setUp()
        self.good()
        self.apply()

    def files(self):
        return {str(path.relative_to(self.top)): path.read_bytes() for top in (self.series, self.linux)
                for path in sorted(top.rglob("*")) if path.is_file()}

    def take(self, *says):
        done = self.engine("take", self.tree)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        for what in says:
            self.assertIn(what, done.stdout)
        self.assertEqual(self.engine("check").stderr, "")
        right = self.git("rev-parse", "HEAD^{tree}")
        self.assertEqual(self.apply(), right)
        return self.files()

    def commit(self, name, text, *how):
        (self.tree / name).write_text(text)
        self.git("add", "-f", name)
        self.git("commit", "-q", *(how or ("-m", "x: Do more of it\n\nBecause.")))

    def rebase(self):
        """As `git rebase -i --autosquash base`, with what it proposes."""
        self.env |= {"GIT_SEQUENCE_EDITOR": "true", "GIT_EDITOR": "true"}
        self.git("rebase", "-q", "-i", "--autosquash", "base")

    def test_nothing_changed(self):
        head = self.git("rev-parse", "HEAD")
        first = self.take()     # the patches may be laid out as git does it
        self.assertEqual(self.take(), first)
        self.assertEqual(self.git("rev-parse", "HEAD"), head)

    def test_fixup(self):
        self.commit("drivers/other.c", "int fixed;\n", "--fixup=HEAD")
        self.rebase()
        files = self.take("changed  1-one/03-edit")
        self.assertIn(b"+int fixed;", files["series/1-one/03-edit/edits.patch"])
        self.assertEqual(self.git("rev-list", "--count", "base..HEAD"), "3")

    def test_fixup_of_a_new_file(self):
        self.commit("drivers/new.c", "int fixed;\n", "--fixup=HEAD~2")
        self.rebase()
        files = self.take("changed  1-one/01-add")
        self.assertEqual(files["linux/drivers/new.c"], b"int fixed;\n")

    def test_new_step_changes_a_new_file(self):
        self.commit("drivers/new.c", "int added;\nint more;\n")
        files = self.take("new      1-one/do-more-of-it")
        self.assertEqual(files["linux/drivers/new.c"], b"int added;\nint more;\n")
        self.assertIn(b"+int more;", files["series/1-one/04-do-more-of-it/edits.patch"])
        self.assertEqual(self.git("show", "HEAD~3:drivers/new.c"), "int added;")

    def test_new_step_adds_a_file(self):
        self.commit("drivers/second.c", "int second;\n")
        files = self.take()
        self.assertIn(b'"drivers/second.c"', files["series/1-one/04-do-more-of-it/step.toml"])
        self.assertEqual(files["linux/drivers/second.c"], b"int second;\n")

    def test_reworded_and_moved(self):
        self.git("commit", "-q", "--amend", "-m", "x: Say it better\n\nBecause.")
        self.env["GIT_SEQUENCE_EDITOR"] = "sed -i '1{h;d};2{G}'"      # the first two change places
        self.git("rebase", "-q", "-i", "base")
        files = self.take()
        self.assertEqual(files["series/1-one/03-edit/message"], b"x: Say it better\n\nBecause.\n")
        self.assertEqual(sorted(p.name for p in (self.series / P).iterdir()),
                         ["01-smpl", "02-add", "03-edit", "cover-letter"])

    def test_dropped(self):
        self.git("reset", "-q", "--hard", "HEAD~1")
        files = self.take("dropped  1-one/03-edit")
        self.assertFalse([name for name in files if "03-edit" in name])

    def test_file_is_not_added_any_more(self):
        self.git("rebase", "-q", "--onto", "base", "HEAD~2")
        self.assertFalse([name for name in self.take() if "new.c" in name])

    def test_beside_a_rule(self):
        text = self.read("drivers/a.c").replace('"a",\n\t.', '"aa",\n\t.')
        self.commit("drivers/a.c", text, "--fixup=HEAD~1")
        self.rebase()
        files = self.take("changed  1-one/02-smpl")
        patch = files["series/1-one/02-smpl/edits.patch"].decode()
        self.assertIn('"aa"', patch)
        self.assertNotIn("+\t.new_ops", patch)

    def test_what_a_rule_made(self):
        before = self.files()
        self.commit("drivers/b.c", self.read("drivers/b.c").replace('"b", 1, 2', '"b", 1, 3'), "--fixup=HEAD~1")
        self.rebase()
        self.refuse("step 1-one/02-smpl: drivers/b.c:5: a semantic patch made this line", commits=3,
                    args=("take", self.tree))
        self.assertEqual(self.files(), before)

    def test_not_committed(self):
        (self.tree / "drivers/a.c").write_text("by hand\n")
        self.refuse("drivers/a.c: not committed", args=("take", self.tree), tree=False)

    def test_series_changed_as_well(self):
        self.commit("drivers/other.c", "int fixed;\n")
        self.step("03-edit", "", edit("int other;", "int third;", "drivers/other.c"))
        self.refuse("step 1-one/03-edit: was changed since the tree was made", commits=4,
                    args=("take", self.tree))

    def test_merge(self):
        self.git("checkout", "-q", "-b", "side", "base")
        self.commit("drivers/second.c", "int second;\n")
        self.git("checkout", "-q", "mapping-types")
        self.git("merge", "-q", "side", "-m", "merge")
        self.refuse("a merge: rebase instead", commits=5, args=("take", self.tree))

    def test_fixup_that_is_not_squashed(self):
        self.commit("drivers/other.c", "int fixed;\n", "-m", "fixup! second")
        self.refuse("fixup! second: first GIT_SEQUENCE_EDITOR=true git rebase", commits=4,
                    args=("take", self.tree))

    def test_commits_are_not_lost_by_apply(self):
        self.commit("drivers/other.c", "int fixed;\n")
        self.refuse("has commits that are not of the series", "make take", commits=4)

    def test_moved_between_phases(self):
        (self.series / "2-two").mkdir()
        (self.series / "2-two/cover-letter").write_text("x: Two\n\nBody.\n")
        shutil.move(self.series / P / "03-edit", self.series / "2-two/01-edit")
        self.apply()
        self.env["GIT_SEQUENCE_EDITOR"] = "sed -i '1{h;d};3{G}'"     # the first one goes last
        self.git("rebase", "-q", "-i", "base")
        self.take()
        self.assertEqual(sorted(str(p.relative_to(self.series)) for p in self.series.glob("*/*-*") if p.is_dir()),
                         ["1-one/01-smpl", "2-two/01-edit", "2-two/02-add"])

    def test_other_version(self):
        self.step("03-edit", v7_2=edit("int other;", "int older;", "drivers/other.c"),
                  v7_4=edit("int other;", "int newer;", "drivers/other.c"))
        self.apply()
        self.refuse("Linux 7.3; linux/ and edits.patch are those of 7.4", commits=3, args=("take", self.tree))


if __name__ == "__main__":
    unittest.main()
