# SPDX-License-Identifier: GPL-2.0
"""The sentences of lsdmabuf --why, for all that the trace events can say."""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "linux/tools/dma-buf"

# What is taken of the kernel's own tools/include, which may not be fetched yet.
HEADERS = {
    "compiler.h": "#define __noreturn __attribute__((noreturn))\n"
                  "#define __printf(a, b) __attribute__((format(printf, a, b)))\n",
    "kernel.h": "#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))\n",
}

# One event a line: name pid ino importer offer request converter verdict err
MAIN = r"""
#include <stdlib.h>
#include <string.h>
#include "lsdmabuf.h"

void *zalloc(size_t size) { return calloc(1, size); }
char *copy(const char *text) { return strdup(text); }
void die(const char *fmt, ...) { abort(); }

int main(int argc, char **argv)
{
	char name[64], importer[64], offer[64], request[64], converter[64], verdict[64];
	struct event event = {
		.name = name, .comm = "qemu", .exporter = "vfio_pci", .provider = "0000:00:09.0",
		.importer = importer,
		.offer = offer, .request = request, .converter = converter,
		.verdict = verdict, .attach = 1,
	};

	if (argc > 1 && !strcmp(argv[1], "lost"))
		why_lost();
	while (scanf("%63s %d %llu %63s %63s %63s %63s %63s %d", name, &event.pid, &event.ino,
		     importer, offer, request, converter, verdict, &event.err) == 9)
		why_event(&event, stdout, argc > 1 && !strcmp(argv[1], "-v"));
	why_flush(stdout);
	return 0;
}
"""

EOPNOTSUPP, ENODEV, EINVAL, EBUSY, ENOMEM = -95, -19, -22, -16, -12


def match(verdict, offer="SGT", request="SGT", converter="none", err=EOPNOTSUPP, ino=4, pid=7,
          importer="0000:00:01.0"):
    return f"dma_buf_match {pid} {ino} {importer} {offer} {request} {converter} {verdict} {err}"


def end(err=EOPNOTSUPP, importer="none", ino=4, pid=7):
    return f"dma_buf_mapping_attach {pid} {ino} {importer} X X none {'failed' if err else 'attached'} {err}"


def refuse(verdict, err, kind="PAL"):
    return f"dma_buf_refuse 7 4 0000:00:01.0 {kind} {kind} none {verdict} {err}"


def mapped(err):
    return f"dma_buf_map 7 4 0000:00:01.0 PAL PAL none none {err}"


@unittest.skipUnless(shutil.which("gcc"), "no gcc")
class Sentences(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory()
        top = Path(cls.dir.name)
        (top / "linux").mkdir()
        for name, text in HEADERS.items():
            (top / "linux" / name).write_text(text)
        (top / "main.c").write_text(MAIN)
        subprocess.run(["gcc", "-Wall", "-Wno-format-truncation", "-Werror", "-D_GNU_SOURCE",
                        "-fsanitize=undefined,address", f"-I{top}", f"-I{SOURCE}",
                        "-o", top / "why", top / "main.c", SOURCE / "why.c"], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.dir.cleanup()

    def said(self, *events, more=()):
        """What is said of these events, without its beginning where that is the usual one."""
        done = subprocess.run([f"{self.dir.name}/why", *more], input="\n".join(events),
                              text=True, capture_output=True,
                              env={"ASAN_OPTIONS": "detect_leaks=0"}, check=True)
        usual = "0000:00:01.0 (qemu[7]) cannot import buffer 4 of vfio_pci: "
        return [line.removeprefix(usual) for line in done.stdout.splitlines()]

    def one(self, *events):
        said = self.said(*events)
        self.assertEqual(len(said), 1, said)
        return said[0]

    def test_each_verdict_of_the_core(self):
        for verdict, start in (
                ("importer-refuses-p2p", "the buffer is memory of 0000:00:09.0, and this importer does"),
                ("host-bridge-not-whitelisted", "the host bridge between the importer and 0000:00:09.0, which"),
                ("p2p-distance", "the buffer is memory of 0000:00:09.0, and this importer, being")):
            said = self.one(match("no-common-type", "PAL"),
                            match(verdict, converter="PAL->SGT"), end())
            self.assertTrue(said.startswith(start), said)
            self.assertIn("; ", said)

    def test_each_verdict_of_an_exporter(self):
        for verdict, err, start in (
                ("no-offer", EOPNOTSUPP, "the exporter has nothing to offer"),
                ("revoked", ENODEV, "the exporter has taken the memory back; "),
                ("not-revocable", EOPNOTSUPP, "the exporter may have to take the memory back"),
                ("p2p-distance", EINVAL, "pci_p2pdma knows no peer-to-peer path from the importer")):
            said = self.one(match("no-common-type", "PAL"), match("match", err=0),
                            refuse(verdict, err), end(err, "0000:00:01.0"))
            self.assertTrue(said.startswith(start), said)

    def test_private_types_that_do_not_meet(self):
        self.assertEqual(
            self.one(match("no-common-type", "IOV", "UAL"), end()),
            "the exporter offers IOV, the importer asks for UAL, and they do not meet; "
            "one of the two drivers has to know a type of the other as well.")

    def test_many_types_that_do_not_meet(self):
        pairs = [match("no-common-type", offer, request, converter)
                 for offer, converter in (("IOV", "none"), ("PAL", "none"), ("SGT", "PAL->SGT"))
                 for request in ("UAL", "UAL2")]
        self.assertEqual(
            self.one(*pairs, end()),
            "the exporter offers IOV and PAL and SGT (PAL->SGT), the importer asks for UAL and "
            "UAL2, and they do not meet; "
            "one of the two drivers has to know a type of the other as well.")

    def test_only_pal_will_do(self):
        self.assertEqual(
            self.one(match("no-common-type", "SGT", "PAL", importer="none"),
                     end(importer="iommufd")),
            "iommufd (qemu[7]) cannot import buffer 4 of vfio_pci: the exporter offers "
            "SGT, the importer asks for PAL, and they do not meet; use a buffer whose exporter "
            "offers PAL, as vfio-pci does.")

    def test_word_of_a_private_type(self):
        self.assertEqual(
            self.one(match("foreign-link", "IOV", "IOV"), match("no-common-type", "SGT", "IOV"), end()),
            "the mapping type IOV refuses with the word 'foreign-link'; "
            "the driver that brings IOV says what would change that.")

    def test_word_of_an_exporter(self):
        self.assertEqual(
            self.one(match("match", err=0), refuse("in-use", EBUSY), end(EBUSY)),
            "the exporter refuses with the word 'in-use' (EBUSY); "
            "the driver that exports it says what would change that.")

    def test_two_refusals_are_two_sentences(self):
        said = self.said(match("foreign-link", "IOV", "IOV"), match("importer-refuses-p2p"),
                         match("importer-refuses-p2p", converter="PAL->SGT"), end())
        self.assertEqual(len(said), 2, said)

    def test_tried_again(self):
        failing = (match("importer-refuses-p2p"), end())
        said = self.said(*failing * 3, match("foreign-link", "IOV", "IOV"), end(), *failing)
        self.assertEqual([line.endswith(" (3 times)") for line in said], [True, False, False])
        self.assertTrue(said[0].startswith(said[2]))

    def test_error_ends_the_search(self):
        self.assertIn("SGT ended the search with EINVAL",
                      self.one(match("error", err=EINVAL), end(EINVAL)))

    def test_no_reason(self):
        for events in ((end(ENOMEM, "0000:00:01.0"),),
                       (match("match", err=0), end(ENOMEM, "0000:00:01.0"))):
            self.assertEqual(self.one(*events),
                             "nothing says why, the error is ENOMEM; the kernel log may say more.")
        self.assertIn("error 512", self.one(match("match", err=0), end(-512)))

    def test_success_says_nothing(self):
        self.assertEqual(self.said(match("no-common-type", "PAL"), match("foreign-link", "IOV", "IOV"),
                                   match("match", converter="PAL->SGT", err=0), end(0)), [])

    def test_refusals_before_a_match_are_over(self):
        self.assertIn("taken the memory back",
                      self.one(match("foreign-link", "IOV", "IOV"), match("match", err=0),
                               refuse("revoked", ENODEV), end(ENODEV)))

    def test_map(self):
        attached = (match("match", err=0), end(0))
        who = "0000:00:01.0 (qemu[7]) cannot map buffer 4 of vfio_pci: "
        self.assertTrue(self.one(*attached, refuse("revoked", ENODEV), mapped(ENODEV))
                        .startswith(who + "the exporter has taken"))
        self.assertEqual(self.one(*attached, mapped(ENOMEM)),
                         who + "nothing says why, the error is ENOMEM; the kernel log may say more.")
        self.assertEqual(self.said(*attached, mapped(0)), [])
        self.assertEqual(len(self.said(*attached, refuse("revoked", ENODEV), mapped(ENODEV),
                                       mapped(0), mapped(ENOMEM))), 2)

    def test_threads_do_not_mix(self):
        said = self.said(match("importer-refuses-p2p", pid=7), match("match", err=0, pid=8),
                         end(0, pid=8), end(pid=7))
        self.assertEqual(len(said), 1)
        self.assertIn("does not accept peer-to-peer", said[0])

    def test_lost_end(self):
        said = self.one(match("importer-refuses-p2p", ino=3), match("foreign-link", "IOV", "IOV"), end())
        self.assertIn("foreign-link", said)

    def test_lost_reason(self):
        self.assertEqual(self.said(end(), more=["lost"]), [])
        self.assertEqual(len(self.said(end(), match("foreign-link", "IOV", "IOV"), end(),
                                       more=["lost"])), 1)

    def test_verbose_lists_all_pairs(self):
        said = self.said(match("no-common-type", "PAL"),
                         match("match", converter="PAL->SGT", err=0), end(0), more=["-v"])
        self.assertEqual(said, [
            "  qemu[7] buffer 4 of vfio_pci: offer PAL, request SGT of 0000:00:01.0: no-common-type",
            "  qemu[7] buffer 4 of vfio_pci: offer SGT by PAL->SGT, request SGT of 0000:00:01.0: match"])


if __name__ == "__main__":
    unittest.main()
