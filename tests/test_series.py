#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of the series engine, on tiny kernel trees that they make themselves.

Each test runs the engine as a person would and looks at what it says and at
the tree that it leaves.  `refuse` holds every failure to the same rules: one
line, exit code 1, a clean tree on the last good commit, ready for a new run.
"""

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


def edit(old="obj-y += a.o", new="obj-m += a.o", more="", path="drivers/Makefile"):
    return f"[[do]]\nedit = '{path}'\nold = '''{old}'''\nnew = '''{new}'''\n{more}"


def smpl(files="files = ['drivers/a.c', 'drivers/b.c']", gates=GONE):
    return f"[[do]]\nsmpl = 'rename.cocci'\n{files}\n{gates}"


class Engine(unittest.TestCase):
    """A tree, a series and a person, all in a directory of their own."""

    def setUp(self):
        self.top = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.series, self.linux = self.top / "series", self.top / "linux"
        self.home = self.top / "home"
        for path in (self.series, self.linux, self.home):
            path.mkdir()
        (self.series / "macros.h").write_text("/* none */\n")
        (self.series / "cover-letter").write_text("x: The cover\n\nIts body.\n")
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

    def step(self, name, toml, cocci=RENAME, message=None):
        where = self.series / name
        where.mkdir(exist_ok=True)
        (where / "step.toml").write_text(toml)
        (where / "message").write_text(message or f"x: Do {name}\n\nBecause.\n")
        if "rename.cocci" in toml:
            (where / "rename.cocci").write_text(cocci)

    def good(self):
        """A series that has everything and fits."""
        (self.linux / "drivers").mkdir()
        (self.linux / "drivers/new.c").write_text("int added;\n")
        self.step("01-add", "[[do]]\nadd = ['drivers/new.c']\n" +
                  edit("obj-y += b.o\n", "obj-y += b.o\nobj-y += new.o\n"))
        self.step("02-smpl", smpl())
        self.step("03-edit", edit("int other;", "int another;", "", "drivers/other.c"))

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
        (self.tree / ".git/series-state").unlink()
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
                  "@@\ntype T;\nparameter list ps;\n@@\n  T\n- old_call\n+ called\n"
                  "  (ps) { ... }\n")
        self.apply()
        self.assertIn("int called(struct some_long_name *first_of_them,\n"
                      "\t   struct some_long_name *second_of_them)\n", self.read("drivers/b.c"))

    def test_format_false(self):
        cocci = RENAME.replace(".new_ops = E", "A_MACRO(E, with_one_long_argument, "
                               "and_another_one, and_one_more_that_is_too_long)")
        for more, narrow in (("", True), ("format = false\n", False)):
            self.step("01-smpl", smpl("files = ['drivers/a.c']\n" + more, GONE_A), cocci)
            self.apply()
            lines = self.read("drivers/a.c").expandtabs().split("\n")
            self.assertEqual(max(map(len, lines)) <= 80, narrow)

    def test_grep_takes_the_files_that_match(self):
        self.step("01-smpl", smpl("grep = 'old_call'\nin = ['drivers']"))
        self.apply()
        self.assertEqual(self.git("diff", "--name-only", "base"),
                         "drivers/a.c\ndrivers/b.c")

    def test_kver(self):
        self.step("01-edit", edit(new="obj-7.2 += a.o", more="kver = '7.2'\n") +
                  edit(new="obj-7.3 += a.o", more="kver = ['7.3', '7.4']\n"))
        self.step("02-old", edit(old="obj-y += b.o", new="", more="kver = '7.2'\n"))
        self.apply()
        self.assertEqual(self.read("drivers/Makefile"), "obj-7.3 += a.o\nobj-y += b.o\n")
        self.assertEqual(self.git("rev-list", "--count", "base..HEAD"), "1")

    def test_upto(self):
        self.good()
        self.apply("--upto", "01-add")
        self.assertEqual(self.git("rev-list", "--count", "base..HEAD"), "1")
        self.apply()
        self.assertEqual(self.git("rev-list", "--count", "base..HEAD"), "3")
        self.refuse("--upto 04-none", "03-edit", commits=3,
                    args=("apply", self.tree, "--upto", "04-none"))


class Again(Engine):

    def test_mtimes(self):
        self.good()
        self.apply()
        names = ("Makefile", "drivers/a.c", "drivers/new.c")
        before = {name: self.mtime(name) for name in names}
        late = self.mtime("drivers/other.c")
        self.step("03-edit", edit("int other;", "int one_more;", "", "drivers/other.c"))
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
        self.step("03-edit", edit("int other;", "int one_more;", "", "drivers/other.c"))
        # A spatch that kills the engine, and goes on working on the tree.
        path = self.path_of(without=["spatch"])
        (path / "sleep").symlink_to(shutil.which("sleep"))
        (path / "spatch").write_text(
            f"#!/bin/sh\nkill -9 $PPID\nsleep 1\ncd {self.tree}\n"
            "echo junk >> drivers/b.c\necho junk > drivers/junk.c\n: > .git/index.lock\n"
            f": > {self.top}/ended\n")
        (path / "spatch").chmod(0o755)
        self.assertEqual(self.engine("apply", self.tree, PATH=str(path)).returncode, -9)
        self.step("03-edit", edit("int other;", "int another;", "", "drivers/other.c"))
        again = time.time_ns() - 50_000_000     # a file system's clock is coarse
        self.assertEqual(self.apply(), right)
        self.assertTrue((self.top / "ended").exists(), "did not wait for the rest")
        # It may have been built in between: the make must see a new file.
        self.assertGreater(self.mtime("drivers/new.c"), again)

    def test_after_a_failure(self):
        self.good()
        right = self.apply()
        self.step("03-edit", edit("int other;", "int one_more;", "", "drivers/other.c") +
                  edit("no such text", "", "", "drivers/other.c"))
        self.refuse("03-edit", commits=2)
        kept = self.mtime("drivers/new.c")
        self.step("03-edit", edit("int other;", "int another;", "", "drivers/other.c"))
        self.assertEqual(self.apply(), right)
        self.assertEqual(self.mtime("drivers/new.c"), kept)


class Refused(Engine):
    """A tree on which a step does not fit, by name."""

    def test_smpl_matches_nothing(self):
        self.step("01-smpl", smpl("files = ['drivers/other.c']",
                                  "have = [{ re = 'other', in = ['drivers'] }]"))
        self.refuse("step 01-smpl: drivers/other.c: rename.cocci changes nothing")

    def test_grep_matches_nothing(self):
        self.step("01-smpl", smpl("grep = 'no_such_call'\nin = ['drivers']"))
        self.refuse("step 01-smpl: drivers: nothing matches 'no_such_call'")

    def test_grep_matches_but_nothing_changes(self):
        self.step("01-smpl", smpl("grep = 'int other'\nin = ['drivers']"))
        self.refuse("step 01-smpl: drivers/other.c: rename.cocci changes nothing")

    def test_smpl_matches_one_of_two(self):
        self.base(**{"drivers/b.c": "int b;\n"})
        self.step("01-smpl", smpl())
        self.refuse("step 01-smpl: drivers/b.c: rename.cocci changes nothing")

    def test_file_is_not_there(self):
        for toml in (smpl("files = ['drivers/none.c']"), edit(path="drivers/none.c"),
                     smpl(gates="gone = [{ re = 'x', in = ['drivers/none.c'] }]")):
            shutil.rmtree(self.series / "01-x", ignore_errors=True)
            self.step("01-x", toml)
            self.refuse("step 01-x: drivers/none.c: not in this tree")

    def test_unparsed_function(self):
        bad = "int c(void)\n{\n\tODD_MACRO({ old_call(1, 2, 3, 4);\n}\n"
        self.base(**{"drivers/b.c": B_C + bad})
        self.step("01-smpl", smpl())
        self.refuse("step 01-smpl: drivers/b.c:9: '\\bold_call\\(' is still there (1 ")

    def test_another_user_of_an_old_name(self):
        self.base(**{"drivers/deep/c.c": B_C.replace("b_user", "c_user")})
        self.step("01-smpl", smpl())
        self.refuse("step 01-smpl: drivers/deep/c.c:5: ")

    def test_another_user_that_a_step_has_made(self):
        self.step("01-edit", edit("int other;", "int x = old_call(1);", "",
                                  "drivers/other.c"))
        self.step("02-smpl", smpl())
        self.refuse("step 02-smpl: drivers/other.c:1: ", commits=1)

    def test_have(self):
        have = "have = [{ re = 'a_new_call', in = ['drivers']%s }]"
        self.step("01-smpl", smpl(gates=have % ", count = 2"))
        self.apply()
        self.step("01-smpl", smpl(gates=have % ", count = 3"))
        self.refuse("step 01-smpl: drivers: 'a_new_call' is there 2 times, not 3")
        self.step("01-smpl", smpl(gates="have = [{ re = 'nil', in = ['drivers'] }]"))
        self.refuse("step 01-smpl: drivers: 'nil' is there 0 times")

    def test_edit_count(self):
        self.step("01-edit", edit("obj-x", "obj-z"))
        self.refuse("step 01-edit: drivers/Makefile: 'obj-x' found 0 times, not 1")
        self.step("01-edit", edit("obj-y", "obj-z"))
        self.refuse("step 01-edit: drivers/Makefile: 'obj-y' found 2 times, not 1")
        self.step("01-edit", edit("obj-y", "obj-z", "count = 2\n"))
        self.apply()
        self.assertEqual(self.read("drivers/Makefile"), "obj-z += a.o\nobj-z += b.o\n")

    def test_step_that_undoes_itself(self):
        self.step("01-nil", edit("a.o", "c.o") + edit("c.o", "a.o"))
        self.refuse("step 01-nil: changes nothing")

    def test_add_what_is_there(self):
        self.good()
        self.base(**{"drivers/new.c": "int from_upstream;\n"})
        self.refuse("step 01-add: drivers/new.c: is in the tree already")

    def test_spatch_trouble_in_one_of_two_files(self):
        # A nested call is tagged twice: an EXN, an exit code of 0, no change.
        self.base(**{"drivers/b.c": "int b(void)\n{\n\treturn old_call(old_call(1));\n}\n"})
        self.step("01-smpl", smpl("grep = 'old_call'\nin = ['drivers']",
                                  "have = [{ re = 'once', in = ['drivers'] }]"),
                  "@@\nexpression E;\nexpression list es;\n@@\n(\n- old_call(E)\n"
                  "+ once(E, E)\n|\n- old_call(es)\n+ once(es)\n)\n")
        self.refuse("step 01-smpl: drivers/b.c: rename.cocci: spatch says", "already tagged")

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
        self.step("01-smpl", smpl(), "@@ @@\n- old_call(\n")
        self.refuse("step 01-smpl: rename.cocci: spatch says", "parse error")


class Wrong(Engine):
    """A series that is wrong in itself: nothing is touched."""

    def wrong(self, *says):
        self.refuse(*says)
        self.refuse(*says, args=("check",))

    def test_unknown_key(self):
        self.step("01-x", edit(more="cuont = 2\n"))
        self.wrong("step 01-x: step.toml: edit: unknown key 'cuont'")
        self.step("01-x", smpl(gates="gone = [{ re = 'x', inn = ['x'], in = ['x'] }]"))
        self.wrong("step 01-x: step.toml: gone: unknown key 'inn'")
        self.step("01-x", "say = 1\n" + edit())
        self.wrong("step 01-x: step.toml: unknown key 'say'")

    def test_wrong_type(self):
        self.step("01-x", smpl("files = 'drivers/a.c'"))
        self.wrong("step 01-x: step.toml: smpl: 'files' has the wrong type")

    def test_wrong_structure(self):
        self.step("01-x", smpl(gates="gone = ['old_call']"))
        self.wrong("step 01-x: step.toml: has another structure")

    def test_no_gate(self):
        self.step("01-x", smpl(gates=""))
        self.wrong("step 01-x: step.toml: rename.cocci: no gate")

    def test_edit_to_the_same(self):
        self.step("01-x", edit("a", "a"))
        self.wrong("step 01-x: step.toml: edit drivers/Makefile")

    def test_not_toml(self):
        self.step("01-x", "[[do]\n")
        self.wrong("step 01-x: step.toml: ")

    def test_orphan_and_double(self):
        self.good()
        (self.linux / "orphan.c").write_text("\n")
        self.wrong("linux/orphan.c: added by no step")
        (self.linux / "orphan.c").unlink()
        self.step("04-again", "[[do]]\nadd = ['drivers/new.c']\n")
        self.wrong("linux/drivers/new.c: added twice, by 01-add, 04-again")
        (self.linux / "drivers/new.c").unlink()
        self.wrong("linux/drivers/new.c: missing")

    def test_added_once_for_each_version(self):
        self.good()
        for name, kver in (("01-add", "7.3"), ("04-old", "7.2")):
            self.step(name, f"[[do]]\nadd = ['drivers/new.c']\nkver = '{kver}'\n")
        self.apply()

    def test_semantic_patch_that_nobody_uses(self):
        self.step("01-x", edit())
        (self.series / "01-x/left.cocci").write_text(RENAME)
        self.wrong("step 01-x: left.cocci: used by no operation")

    def test_message(self):
        for message, says in (
                ("Do this\n\nBecause.\n", "prefix"),
                ("x: " + 73 * "y" + "\n\nBecause.\n", "over 75"),
                ("x: Do this\n", "no body"),
                ("x: Do this\n\n" + 20 * "long " + "\n", "wrap"),
                ("x: Do this\n\nBecause.\n\nSigned-off-by: N N <n@n>\n", "Signed-off-by")):
            self.step("01-x", edit(), message=message)
            self.wrong("step 01-x: message: ", says)

    def test_check(self):
        self.good()
        done = self.engine("check")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.step("02-smpl", smpl(), "@@ @@\n- old_call(\n")
        self.refuse("step 02-smpl: rename.cocci: ", args=("check",))


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
        (self.tree / ".git/series-state").unlink()
        runs = [subprocess.Popen([sys.executable, ENGINE, "apply", self.tree, "--series",
                                  self.series, "--linux", self.linux], env=self.env,
                                 stdout=subprocess.DEVNULL) for _ in range(2)]
        self.assertEqual([run.wait() for run in runs], [0, 0])
        self.assertEqual(self.git("rev-parse", "HEAD^{tree}"), right)

    def test_configuration_of_the_user(self):
        self.good()
        right = self.apply()
        with open(self.home / ".gitconfig", "a", encoding="utf-8") as config:
            config.write("[core]\nautocrlf = true\nhooksPath = /nonexistent\n"
                         "[diff]\nnoprefix = true\nmnemonicPrefix = true\n"
                         "[color]\nui = always\n[commit]\ngpgSign = true\n"
                         "[status]\nshowUntrackedFiles = no\n")
        (self.tree / ".git/series-state").unlink()
        self.assertEqual(self.apply(), right)


class Export(Engine):

    def test_git_am(self):
        self.good()
        right = self.apply()
        out = self.top / "out"
        out.mkdir()
        (out / "0009-old.patch").write_text("old\n")
        done = self.engine("export", self.tree, out)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        names = [path.name for path in sorted(out.glob("*"))]
        self.assertEqual(names, ["0000-cover-letter.patch", "0001-x-Do-01-add.patch",
                                 "0002-x-Do-02-smpl.patch", "0003-x-Do-03-edit.patch"])
        for path in out.glob("*"):
            self.assertNotIn("multipart", path.read_text())
        self.git("checkout", "-q", "--detach", "base")
        self.git("am", "-q", *(out / name for name in names[1:]))
        self.assertEqual(self.git("rev-parse", "HEAD^{tree}"), right)

    def test_cover_letter(self):
        self.good()
        self.apply()
        self.engine("export", self.tree, self.top / "out")
        cover = (self.top / "out/0000-cover-letter.patch").read_text()
        self.assertIn("Subject: [PATCH 0/3] x: The cover\n", cover)
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
        self.refuse("not signed off by you", commits=3,
                    args=("export", self.tree, self.top / "out"))

    def test_nothing_to_export(self):
        self.refuse("no commits on base", args=("export", self.tree, self.top / "out"))


if __name__ == "__main__":
    unittest.main()
