#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tests of tools/convert: what it does with files, and the common shapes; the others
are in test_convert_shapes.py."""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

CONVERT = Path(__file__).resolve().parent.parent / "tools/convert"
sys.path.insert(0, str(CONVERT.parent))
import ours     # noqa: E402

EXPORTER = """\
#include <linux/dma-buf.h>

static struct sg_table *my_map(struct dma_buf_attachment *attach,
			       enum dma_data_direction dir)
{
	return my_sgt(attach->dev, dir);
}

static void my_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
		     enum dma_data_direction dir)
{
	my_put(attach->dev, sgt);
}

static const struct dma_buf_ops my_ops = {
	.map_dma_buf = my_map,
	.unmap_dma_buf = my_unmap,
	.release = my_release,
};
"""
IMPORTER = """\
/* Undone by dma_buf_unmap_attachment() */
int my_import(struct my *my, struct dma_buf *buf)
{
	my->attach = dma_buf_dynamic_attach(buf, my->dev, &my_attach_ops, my);
	if (my->attach->dev != my->dev)
		return -EINVAL;
	my->sgt = dma_buf_map_attachment_unlocked(my->attach, DMA_BIDIRECTIONAL);
	return PTR_ERR_OR_ZERO(my->sgt);
}
"""


class Convert(unittest.TestCase):
    def setUp(self):
        self.top = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def write(self, text, name="driver.c"):
        path = self.top / name
        path.write_text(text)
        return path

    def run_it(self, *args, **env):
        if env:
            return subprocess.run([sys.executable, CONVERT, *(args or (self.top,))], text=True,
                                  capture_output=True, env=os.environ | env)
        # In this process: there are some hundred runs
        out, err, argv = io.StringIO(), io.StringIO(), ["convert", *map(str, args or (self.top,))]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), mock.patch.object(sys, "argv", argv):
            code = ours.load("convert").main()
        return subprocess.CompletedProcess(argv, code, out.getvalue(), err.getvalue())

    def good(self, text):
        """Converts it, checks that nothing is left, and returns the new text."""
        path = self.write(text)
        done = self.run_it()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("1 files converted, 0 uses left", done.stdout)
        return path.read_text()

    def reported(self, text, line, *says):
        """Reports the use in this line."""
        path = self.write(text)
        done = self.run_it()
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        mine = [at for at in done.stderr.splitlines() if at.startswith(f"{path}:{line}: ")]
        self.assertTrue(mine, done.stderr)
        for what in says:
            self.assertIn(what, mine[0])
        return path.read_text()

    def refused(self, text, line, *says):
        """Reports it, and leaves the file as it is."""
        self.assertEqual(self.reported(text, line, "left as it is", *says), text)


class Shapes(Convert):
    def test_exporter(self):
        text = self.good(EXPORTER)
        self.assertIn("DMA_BUF_SIMPLE_SGT_EXP_MATCH(my_map, my_unmap),", text)
        self.assertIn("my_sgt(dma_buf_sgt_dma_device(attach), dir)", text)
        self.assertNotIn(".map_dma_buf", text)
        self.assertIn(".release = my_release,", text)

    def test_importer_and_its_comment(self):
        text = self.good("#include <linux/dma-buf.h>\nstruct my { struct dma_buf_attachment *attach; "
                         "struct device *dev; struct sg_table *sgt; };\n" + IMPORTER)
        self.assertIn("dma_buf_sgt_dynamic_attach(buf, my->dev, &my_attach_ops", text)
        self.assertIn("dma_buf_sgt_map_attachment_unlocked(my->attach", text)
        self.assertIn("/* Undone by dma_buf_sgt_unmap_attachment() */", text)
        self.assertIn("dma_buf_sgt_dma_device(my->attach) != my->dev", text)

    def test_virtio(self):
        text = self.good(EXPORTER.replace("dma_buf_ops my_ops = {", "virtio_dma_buf_ops my_ops = {\n\t.ops = {")
                         .replace("= my_release,\n", "= my_release,\n\t},\n"))
        self.assertIn("DMA_BUF_SIMPLE_SGT_EXP_MATCH(my_map, my_unmap)", text)

    def test_function_pointer(self):
        self.assertIn("f = dma_buf_sgt_unmap_attachment;",
                      self.good("void g(void)\n{\n\tf = dma_buf_unmap_attachment;\n}\n"))

    def test_again_changes_nothing(self):
        path = self.write(EXPORTER)
        self.run_it()
        before = path.read_text(), path.stat().st_mtime_ns
        done = self.run_it()
        self.assertEqual((done.returncode, path.read_text(), path.stat().st_mtime_ns), (0, *before))
        self.assertIn("0 files converted", done.stdout)

    def test_dry_run(self):
        path = self.write(EXPORTER)
        done = self.run_it("--dry-run", self.top)
        self.assertEqual(path.read_text(), EXPORTER)
        self.assertIn("+	DMA_BUF_SIMPLE_SGT_EXP_MATCH(my_map, my_unmap),", done.stdout)

    def test_other_files_stay(self):
        path = self.write("int attach_dev(struct a *a) { return a->dev; }\n", "other.c")
        os.utime(path, (1, 1))
        self.write(EXPORTER)
        self.run_it()
        self.assertEqual(path.stat().st_mtime, 1)

    def test_mode_stays(self):
        path = self.write(EXPORTER)
        path.chmod(0o640)
        self.run_it()
        self.assertEqual(path.stat().st_mode & 0o777, 0o640)


class Reports(Convert):
    def test_peer2peer(self):
        text = self.reported("int f(struct dma_buf_attachment *a)\n{\n\treturn a->peer2peer;\n}\n", 3,
                             "dma_buf_sgt_p2p_allowed(a)")
        self.assertIn("peer2peer", text)

    def test_allow_peer2peer_is_fine(self):
        self.write("static const struct dma_buf_attach_ops o = {\n\t.allow_peer2peer = true,\n};\n")
        self.assertEqual(self.run_it().returncode, 0)

    def test_code_that_does_not_parse(self):
        self.assertIn("dma_buf_sgt_attach(b, d); )",
                      self.good("void f(void)\n{\n\tMY_LOOP(x) MY_DO {{ dma_buf_attach(b, d); ) }\n}\n"))

    def test_name_made_by_a_macro(self):
        text = self.reported("#define GET(a) MY( dma_buf_map_ ## a, dma_buf_unmap_attachment \\\n\t(a) }\n", 1, "##")
        self.assertIn("dma_buf_sgt_unmap_attachment", text)

    def test_run_time_assignment(self):
        self.reported("void f(struct dma_buf_ops *o)\n{\n\to->map_dma_buf = g;\n}\n", 3, "run time")

    def test_comparison(self):
        self.reported("int f(struct dma_buf *b)\n{\n\treturn b->ops->map_dma_buf == g;\n}\n", 3,
                      "dma_buf_get_sgt_ops")


class Refuses(Convert):
    def test_feature_test_of_a_field(self):
        self.refused(EXPORTER + "#if defined(NV_DMA_BUF_ATTACHMENT_HAS_PEER2PEER)\nint x;\n#endif\n", 20,
                     "a test for what is gone")

    def test_feature_test_of_a_function(self):
        self.refused(EXPORTER + "#ifdef HAVE_DMA_BUF_DYNAMIC_ATTACH\nint x;\n#endif\n", 20, "DMA_BUF_IMAPPING_SGT")

    def test_feature_test_over_two_lines(self):
        self.refused(EXPORTER + "#if defined(A) && \\\n\tdefined(B_PEER2PEER)\nint x;\n#endif\n", 20)

    def test_comment_about_peer2peer_is_fine(self):
        self.good(EXPORTER + "/* #if defined(X_PEER2PEER) */\n")


class Surroundings(Convert):
    def test_no_such_directory(self):
        done = self.run_it(self.top / "no")
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r"\Aconvert: \S+: no such file or directory: [^\n]+\n\Z")

    def test_nothing_in_it(self):
        done = self.run_it()
        self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1))
        self.assertIn("no .c or .h file", done.stderr)

    def test_no_c_file(self):
        self.assertIn(": no C file: ", self.run_it(self.write("a", "x.txt")).stderr)

    def test_compat_changes_files(self):
        self.write(EXPORTER)
        with self.assertRaises(SystemExit) as left:
            self.run_it("--check", "--compat", self.top)
        self.assertEqual(left.exception.code, 2)

    def test_directory_that_cannot_be_read(self):
        """Nothing is called converted that was not looked at. Root reads everything, so this is a fault."""
        self.write(EXPORTER)
        denied = PermissionError(13, "Permission denied", "driver/sub")
        with mock.patch("os.walk", lambda top, onerror=None: onerror(denied)):
            done = self.run_it()
        self.assertEqual((done.returncode, done.stderr),
                         (2, "convert: driver/sub: Permission denied: correct that, and run again\n"))

    def test_file_that_cannot_be_replaced(self):
        path = self.write(EXPORTER)
        with mock.patch("tempfile.mkstemp", side_effect=PermissionError(13, "Permission denied", "temporary")):
            done = self.run_it()
        self.assertEqual((done.returncode, path.read_text()), (2, EXPORTER))
        self.assertIn(f"convert: {path}: cannot be replaced: Permission denied: ", done.stderr)

    def test_links(self):
        """One that is given stays a link; one that leads out of the driver is mentioned, not followed."""
        path = self.write(EXPORTER, "real.c")
        driver = self.top / "driver"
        driver.mkdir()
        (driver / "link.c").symlink_to(path)
        (driver / "directory").symlink_to(self.top)
        self.write("int a;\n", "driver/a.c")
        done = self.run_it(driver)
        self.assertEqual((done.returncode, path.read_text()), (0, EXPORTER))
        for name in ("link.c", "directory"):
            self.assertIn(f"{driver}/{name}:1: note: a link to {self.top}", done.stderr)
        self.assertEqual(self.run_it(driver / "link.c").stderr, "")
        self.assertTrue((driver / "link.c").is_symlink())
        self.assertIn("dma_buf_sgt_dma_device", path.read_text())

    def test_needs_no_other_tool(self):
        self.write(EXPORTER)
        self.assertEqual(self.run_it(PATH="").returncode, 0)

    def test_installed_without_the_repository(self):
        """The archive of make convert-dist, behind a link, far from here."""
        away = self.top / "opt"
        subprocess.run([CONVERT.with_name("convert-dist"), away], check=True, capture_output=True)
        archive, = away.iterdir()
        subprocess.run(["tar", "-C", away, "-xf", archive], check=True)
        tool, = away.glob("dma-buf-convert-*/convert")
        (away / "bin").mkdir()
        (away / "bin/convert").symlink_to(tool)
        driver = self.top / "driver"
        driver.mkdir()
        path = self.write(EXPORTER, "driver/exporter.c")
        done = subprocess.run([sys.executable, "-I", away / "bin/convert", "--compat", "driver"], text=True, cwd=self.top,
                              capture_output=True, env={"PATH": ""})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("DMA_BUF_SIMPLE_SGT_EXP_MATCH", path.read_text())
        self.assertTrue((driver / "dma-buf-compat.h").is_file())
        self.assertTrue((tool.parent / "convert.md").is_file())

    def test_layout_of_the_driver(self):
        self.write("BasedOnStyle: LLVM\nIndentWidth: 8\nUseTab: Always\nContinuationIndentWidth: 8\n",
                   ".clang-format")
        text = self.good("void f(void)\n{\n\ta_long_name = dma_buf_map_attachment_unlocked("
                         "another_name, DMA_BIDIRECTIONAL);\n}\n")
        self.assertLess(max(map(len, text.expandtabs().splitlines())), 81)


if __name__ == "__main__":
    unittest.main()
