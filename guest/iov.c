// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping types that drivers bring themselves: the samples LINK, which has no
 * device, and IOV, between a PF and its VFs. The devices are QEMU's nvme, whose
 * VFs have a large MSI-X table: memory that keeps what is written, in a BAR that
 * both sides reach.
 *
 * Each row is a process of its own. What it needs (modules loaded, PFs and VFs
 * bound) is set up before, so a row may leave it in any state. What the PF of
 * another VF falls back to is told by iov.foreign=: the CPU decides it.
 */
#include "../linux/samples/dma-buf/iov-ioctl.h"
#include "../linux/samples/dma-buf/link-ioctl.h"
#include "lib/channel.h"
#include "lib/file.h"
#include "lib/kmod.h"
#include "lib/lab.h"
#include "lib/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/module.h>
#include <linux/pci_regs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ID_NVME 0x1b360010
#define PFS 2
#define VFS 2
#define PCI "/sys/bus/pci"
#define TRACING "/sys/kernel/tracing"
#define FABRIC "/sys/module/link_importer/parameters/fabric"

/* The MSI-X table of a VF: 500 entries of 16 bytes, two pages without a word */
#define TABLE 0x2000UL
#define WORDS 512

static char pf_bdf[PFS][16], vf_bdf[PFS][VFS][16];
static char foreign[16] = "none";

static void expect(const char *what, long ret, long want)
{
	if (ret != want && ret >= 0 && want >= 0)
		fail("%s: %ld, not %ld", what, ret, want);
	if (ret != want)
		fail("%s: %s, not %s", what, err(ret < 0 ? ret : 0),
		     err(want < 0 ? want : 0));
}

/* ---- files and modules ---- */

static int get_int(const char *path)
{
	FILE *f = fopen(path, "re");
	int value = -1;

	if (f && fscanf(f, "%d", &value) != 1)
		value = -1;
	if (f)
		fclose(f);
	return value;
}

/* In the order in which they need each other */
static const char *const modules[] = {
	"dma-buf-example", "link-exporter", "link-importer", "iov-pf",
	"iov-vfio-pci",
};

#define MODULES (sizeof(modules) / sizeof(modules[0]))

static void load_all(void)
{
	for (size_t i = 0; i < MODULES; i++) {
		int ret = kmod_refs(modules[i]) < 0 ? kmod_load(modules[i], "") : 0;

		if (ret)
			fail("load %s: %s", modules[i], err(ret));
	}
}

/* ---- PFs and VFs ---- */

static int attr(const char *bdf, const char *name, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), PCI "/devices/%s/%s", bdf, name);
	return write_file(path, text);
}

static bool bound(const char *bdf)
{
	char path[160];

	snprintf(path, sizeof(path), PCI "/devices/%s/driver", bdf);
	return !access(path, F_OK);
}

static void bind(const char *bdf, const char *driver)
{
	int ret;

	if (bound(bdf))
		return;
	ret = attr(bdf, "driver_override", driver);
	if (!ret)
		ret = write_file(PCI "/drivers_probe", bdf);
	if (ret || !bound(bdf))
		fail("bind %s to %s: %s", bdf, driver, err(ret));
}

static void find_vfs(int pf)
{
	char path[160], link[200];
	ssize_t n;

	for (int i = 0; i < VFS; i++) {
		snprintf(path, sizeof(path), PCI "/devices/%s/virtfn%d",
			 pf_bdf[pf], i);
		n = readlink(path, link, sizeof(link) - 1);
		if (n < 0)
			fail("%s has no VF %d: %s", pf_bdf[pf], i, err(errno));
		link[n] = '\0';
		snprintf(vf_bdf[pf][i], 16, "%.15s", strrchr(link, '/') + 1);
	}
}

static int numvfs(int pf, const char *count)
{
	return attr(pf_bdf[pf], "sriov_numvfs", count);
}

static void setup_pf(int pf)
{
	char path[160];
	int ret;

	bind(pf_bdf[pf], "iov-pf");
	snprintf(path, sizeof(path), PCI "/devices/%s/sriov_numvfs", pf_bdf[pf]);
	ret = get_int(path) == VFS ? 0 : numvfs(pf, "2");
	if (ret)
		fail("VFs of %s: %s", pf_bdf[pf], err(ret));
	find_vfs(pf);
	for (int i = 0; i < VFS; i++)
		bind(vf_bdf[pf][i], "iov-vfio-pci");
}

static void setup(const void *unused)
{
	load_all();
	for (int pf = 0; pf < PFS; pf++)
		setup_pf(pf);
}

/* ---- trace events ---- */

static char trace[65536];

static void trace_start(void)
{
	int ret = write_file(TRACING "/events/dma_buf/enable", "1");

	if (ret)
		fail("trace events: %s", err(ret));
	write_file(TRACING "/trace", "\n");
	close(open(TRACING "/trace", O_WRONLY | O_TRUNC));
}

static void trace_read(void)
{
	int fd = open(TRACING "/trace", O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, trace + len, sizeof(trace) - 1 - len)) > 0)
		len += n;
	trace[len] = '\0';
	close(fd);
}

/* A line of the trace has all these words. */
static void need_event(const char *name, const char *words)
{
	char *copy = strdup(trace), *line, *save = NULL;

	for (line = strtok_r(copy, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strstr(line, name) && strstr(line, words)) {
			free(copy);
			return;
		}
	}
	fail("no event %s with '%s' in: %.400s", name, words,
	     strlen(trace) > 400 ? trace + strlen(trace) - 400 : trace);
}

/* The line of an attachment in bufinfo ends with this. */
static void need_bufinfo(const char *importer, const char *words)
{
	FILE *f = fopen("/sys/kernel/debug/dma_buf/bufinfo", "re");
	char line[256], want[200], seen[256] = "";

	snprintf(want, sizeof(want), "\t%s\t%s\n", importer, words);
	while (f && fgets(line, sizeof(line), f)) {
		if (line[0] == '\t' && strstr(line, "type="))
			strcpy(seen, line);
		if (strstr(line, want)) {
			fclose(f);
			return;
		}
	}
	fail("bufinfo: '%s', not '%s'", seen, want);
}

/* Its output; there is no shell for popen(). */
static FILE *run(const char *program)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC))
		fail("pipe: %s", err(errno));
	if (!fork()) {
		dup2(fd[1], STDOUT_FILENO);
		dup2(fd[1], STDERR_FILENO);
		execl(program, program, NULL);
		_exit(126);
	}
	close(fd[1]);
	return fdopen(fd[0], "r");
}

/* lsdmabuf shows this, whatever the width of its columns is. */
static void need_lsdmabuf(const char *words)
{
	FILE *f = run("/bin/lsdmabuf");
	char line[400], squeezed[400] = "";

	while (f && fgets(line, sizeof(line), f)) {
		char *to = squeezed;

		for (char *c = line; *c; c++)
			if (*c != ' ' || c[1] != ' ')
				*to++ = *c;
		*to = '\0';
		if (strstr(squeezed, words)) {
			fclose(f);
			return;
		}
	}
	fail("lsdmabuf: '%s', not '%s'", squeezed, words);
}

/* ---- LINK ---- */

static int open_dev(const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail("open %s: %s", path, err(errno));
	return fd;
}

static int ctl(int fd, unsigned long cmd, unsigned long arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

static int link_export(int fabric)
{
	int exporter = open_dev("link-exporter");
	int fd = ctl(exporter, LINK_EXPORT, fabric);

	if (fd < 0)
		fail("LINK_EXPORT: %s", err(fd));
	close(exporter);
	return fd;
}

static int link_import(int dmabuf)
{
	int fd = open_dev("link-importer");

	expect("LINK_IMPORT", ctl(fd, LINK_IMPORT, dmabuf), 0);
	return fd;
}

static void row_link(const void *unused)
{
	char out[300], in[300] = "";
	int dmabuf, one, two;

	trace_start();
	dmabuf = link_export(1);
	one = link_import(dmabuf);
	two = link_import(dmabuf);
	memset(out, 0x5a, sizeof(out));
	if (pwrite(one, out, 300, 3000) != 300 || pread(two, in, 300, 3000) != 300)
		fail("copy over the link: %s", err(errno));
	if (memcmp(in, out, 300))
		fail("other bytes came out of the link");
	expect("outside", pread(two, in, 300, 4000) < 0 ? -errno : 0, -EINVAL);
	need_bufinfo("link-importer",
		     "type=LINK converter=none fabric=1");
	need_lsdmabuf("link-importer LINK");
	close(one);
	close(two);
	trace_read();
	need_event("dma_buf_match:", "provider=none importer=none offer=LINK request=LINK converter=none verdict=match err=0");
	need_event("dma_buf_mapping_attach:", "size=4096 importer=link-importer type=LINK converter=none verdict=attached err=0");
	need_event("dma_buf_map:", "type=LINK converter=none ranges=1 bytes=4096 route=none err=0");
	need_event("dma_buf_unmap:", "type=LINK");
	need_event("dma_buf_detach:", "exp_name=link_exporter");
	expect("buffers attached", bufinfo_read().attached, 0);
	say("note type=LINK, bytes verified, bufinfo and 5 trace events seen");
}

static void row_link_foreign(const void *unused)
{
	int fd = open_dev("link-importer"), dmabuf;

	trace_start();
	dmabuf = link_export(1);
	link_import(dmabuf);
	expect("fabric=2", write_file(FABRIC, "2"), 0);
	expect("another fabric", ctl(fd, LINK_IMPORT, dmabuf), -EOPNOTSUPP);
	expect("fabric=1", write_file(FABRIC, "1"), 0);
	expect("no DMA-buf", ctl(fd, LINK_IMPORT, fd), -EINVAL);
	trace_read();
	need_event("dma_buf_match:", "offer=LINK request=LINK converter=none verdict=match err=0");
	need_event("dma_buf_match:", "offer=LINK request=LINK converter=none verdict=foreign-link err=-95");
	need_event("dma_buf_mapping_attach:", "type=none converter=none verdict=failed err=-95");
	say("note EOPNOTSUPP, foreign-link");
}

static void row_link_iommufd(const void *unused)
{
	const struct range page = { .len = PAGE };
	int iommufd = iommufd_open();

	expect("iommufd", ioas_map_fd(iommufd, ioas_new(iommufd), link_export(1),
				      &page, PAGE, false), -EOPNOTSUPP);
	say("note EOPNOTSUPP");
}

/* ---- IOV ---- */

/* A VF with its BAR mapped, and a PF's device */
struct pair {
	struct pdev vf;
	int pf, pf_index;
};

static int open_pf(int pf)
{
	char name[40];

	snprintf(name, sizeof(name), "iov-%s", pf_bdf[pf]);
	return open_dev(name);
}

static void open_pair(struct pair *pair, int pf, int vf_of, int vf)
{
	pdev_open(&pair->vf, vf_bdf[vf_of][vf], 0, iommufd_open());
	pair->pf = open_pf(pf);
	pair->pf_index = pf;
}

static const struct range table_page = { TABLE, PAGE };

static int export(struct pair *pair, const struct range *ranges, int count)
{
	int fd = pdev_export(&pair->vf, ranges, count);

	if (fd < 0)
		fail("export of %s: %s", pair->vf.bdf, err(fd));
	return fd;
}

static struct iov_status status(struct pair *pair)
{
	struct iov_status st;

	expect("IOV_STATUS", ctl(pair->pf, IOV_STATUS, (unsigned long)&st), 0);
	return st;
}

static void need_type(struct pair *pair, const char *type)
{
	struct iov_status st = status(pair);

	if (strcmp(st.type, type))
		fail("type '%s', not '%s'", st.type, type);
}

static void need_mapped(struct pair *pair, bool mapped, const char *when)
{
	if (status(pair).mapped != mapped)
		fail("%s: %s", when, mapped ? "not mapped" : "still mapped");
}

static void attach_and_map(struct pair *pair, int dmabuf)
{
	expect("attach", ctl(pair->pf, IOV_ATTACH, dmabuf), 0);
	need_type(pair, "IOV");
	expect("map", ctl(pair->pf, IOV_MAP, 0), 0);
}

static void own_vf(struct pair *pair)
{
	open_pair(pair, 0, 0, 0);
	attach_and_map(pair, export(pair, &table_page, 1));
}

static uint32_t salt;

static void new_words(uint32_t *words)
{
	uint32_t x = ++salt * 2654435761u ^ getpid();

	for (int i = 0; i < WORDS; i++) {
		x = x * 1664525 + 1013904223;
		words[i] = x >> 4;
	}
}

static volatile uint32_t *bar_words(struct pair *pair, uint64_t offset)
{
	return (volatile uint32_t *)(pair->vf.bar + offset);
}

static void pf_write(struct pair *pair, uint64_t pos, const uint32_t *words)
{
	if (pwrite(pair->pf, words, WORDS * 4, pos) != WORDS * 4)
		fail("the PF writes at %#lx: %s", pos, err(errno));
}

static void pf_expect(struct pair *pair, uint64_t pos, const uint32_t *words)
{
	uint32_t seen[WORDS];

	if (pread(pair->pf, seen, sizeof(seen), pos) != sizeof(seen))
		fail("the PF reads at %#lx: %s", pos, err(errno));
	for (int i = 0; i < WORDS; i++)
		if (seen[i] != words[i])
			fail("the PF reads at %#lx: %08x, not %08x", pos + 4 * i,
			     seen[i], words[i]);
}

static void bar_expect(struct pair *pair, uint64_t offset,
		       const uint32_t *words)
{
	volatile uint32_t *bar = bar_words(pair, offset);

	for (int i = 0; i < WORDS; i++)
		if (bar[i] != words[i])
			fail("BAR of %s + %#lx: %08x, not %08x", pair->vf.bdf,
			     offset + 4 * i, bar[i], words[i]);
}

/* Place @pos of the buffer is @offset of the VF's BAR, both ways */
static void both_ways(struct pair *pair, uint64_t pos, uint64_t offset)
{
	uint32_t words[WORDS];

	new_words(words);
	pf_write(pair, pos, words);
	bar_expect(pair, offset, words);
	new_words(words);
	for (int i = 0; i < WORDS; i++)
		bar_words(pair, offset)[i] = words[i];
	pf_expect(pair, pos, words);
}

struct cell {
	int pf, vf_of, vf;
};

static void row_own(const void *arg)
{
	const struct cell *cell = arg;
	char words[80];
	struct pair pair;

	open_pair(&pair, cell->pf, cell->vf_of, cell->vf);
	attach_and_map(&pair, export(&pair, &table_page, 1));
	both_ways(&pair, 0, TABLE);
	snprintf(words, sizeof(words), "type=IOV converter=none vf=%d bar=0",
		 cell->vf);
	need_bufinfo(pf_bdf[cell->pf], words);
	expect("unmap", ctl(pair.pf, IOV_UNMAP, 0), 0);
	expect("read when unmapped", pread(pair.pf, words, 4, 0) < 0 ? -errno : 0,
	       -ENODEV);
	expect("map again", ctl(pair.pf, IOV_MAP, 0), 0);
	both_ways(&pair, 0, TABLE);
	expect("detach", ctl(pair.pf, IOV_DETACH, 0), 0);
	say("note IOV, bytes verified both ways");
}

/* As an SGT, if this machine lets PCI devices talk to each other */
static void foreign_sgt(struct pair *pair, int dmabuf)
{
	uint32_t word;

	expect("attach", ctl(pair->pf, IOV_ATTACH, dmabuf), 0);
	need_type(pair, "SGT");
	expect("map", ctl(pair->pf, IOV_MAP, 0), 0);
	need_bufinfo(pf_bdf[pair->pf_index], "type=SGT converter=PAL->SGT p2p=host-bridge-iova");
	expect("read", pread(pair->pf, &word, 4, 0) < 0 ? -errno : 0, -EOPNOTSUPP);
	expect("close of the exporter", close(pair->vf.fd), 0);
}

static void row_foreign(const void *arg)
{
	const struct cell *cell = arg;
	struct pair pair;
	char words[200];
	int dmabuf;

	trace_start();
	open_pair(&pair, cell->pf, cell->vf_of, cell->vf);
	dmabuf = export(&pair, &table_page, 1);
	if (!strcmp(foreign, "SGT"))
		foreign_sgt(&pair, dmabuf);
	else
		expect("attach", ctl(pair.pf, IOV_ATTACH, dmabuf), -EOPNOTSUPP);
	trace_read();
	snprintf(words, sizeof(words), "provider=%s importer=%s offer=IOV request=IOV converter=none verdict=foreign-pf err=-95",
		 pair.vf.bdf, pf_bdf[cell->pf]);
	need_event("dma_buf_match:", words);
	need_event("dma_buf_match:", strcmp(foreign, "SGT") ?
		   "offer=SGT request=SGT converter=PAL->SGT verdict=host-bridge-not-whitelisted err=-95" :
		   "offer=SGT request=SGT converter=PAL->SGT verdict=match err=0");
	say("note foreign-pf, then %s", strcmp(foreign, "SGT") ? "EOPNOTSUPP" :
	    "SGT by PAL->SGT, mapped");
}

/* Two pages of the table, the wrong way round */
static void row_two_ranges(const void *unused)
{
	static const struct range two[] = {
		{ TABLE + PAGE, PAGE }, { TABLE, PAGE },
	};
	uint32_t words[WORDS];
	struct pair pair;

	open_pair(&pair, 0, 0, 1);
	attach_and_map(&pair, export(&pair, two, 2));
	both_ways(&pair, 0, TABLE + PAGE);
	both_ways(&pair, PAGE, TABLE);
	/* One transfer from the middle of one range into the other */
	new_words(words);
	pf_write(&pair, PAGE / 2 + 1024, words);
	for (int i = 0; i < 256; i++)
		if (bar_words(&pair, TABLE + PAGE + PAGE / 2 + 1024)[i] != words[i] ||
		    bar_words(&pair, TABLE)[i] != words[256 + i])
			fail("word %d of a transfer across ranges", i);
	say("note bytes verified both ways, and across the edge");
}

/* The buffer is a part of the BAR, and what is read a part of the buffer */
static void row_slice(const void *unused)
{
	static const struct range upper = { TABLE + PAGE, PAGE };
	uint32_t words[WORDS];
	struct pair pair;

	open_pair(&pair, 1, 1, 1);
	attach_and_map(&pair, export(&pair, &upper, 1));
	both_ways(&pair, 16, TABLE + PAGE + 16);
	expect("read at the end", pread(pair.pf, words, 1024, PAGE - 512), 512);
	expect("read behind the end", pread(pair.pf, words, 4, PAGE), 0);
	expect("read of half a word", pread(pair.pf, words, 4, 2) < 0 ? -errno : 0,
	       -EINVAL);
	say("note bytes verified both ways, nothing behind the end");
}

/* VFs of one PF must not be taken for each other */
static void row_two_vfs(const void *unused)
{
	uint32_t words[2][WORDS];
	struct pair pair[2];

	for (int i = 0; i < 2; i++) {
		open_pair(&pair[i], 0, 0, i);
		attach_and_map(&pair[i], export(&pair[i], &table_page, 1));
		new_words(words[i]);
		pf_write(&pair[i], 0, words[i]);
	}
	for (int i = 0; i < 2; i++)
		bar_expect(&pair[i], TABLE, words[i]);
	say("note each VF has its own bytes");
}

/* ---- the end of mappings ---- */

static void need_dead(struct pair *pair, const char *when)
{
	uint32_t word;

	need_mapped(pair, false, when);
	if (!status(pair).invalidated)
		fail("%s: nobody asked the PF to unmap", when);
	expect("read when dead", pread(pair->pf, &word, 4, 0) < 0 ? -errno : 0,
	       -ENODEV);
}

/* A VF has no such bit, so vfio-pci lends the memory again at once */
static void row_decode(const void *unused)
{
	struct pair pair;

	own_vf(&pair);
	pdev_decode(&pair.vf, false);
	need_dead(&pair, "decode off");
	pdev_decode(&pair.vf, true);
	expect("map", ctl(pair.pf, IOV_MAP, 0), 0);
	both_ways(&pair, 0, TABLE);
	say("note unmapped by invalidate, bytes verified after a new map");
}

static off_t power_register(struct pair *pair)
{
	uint8_t at = 0, id = 0;
	off_t config = pair->vf.config;

	pread(pair->vf.fd, &at, 1, config + PCI_CAPABILITY_LIST);
	while (at) {
		pread(pair->vf.fd, &id, 1, config + at);
		if (id == PCI_CAP_ID_PM)
			return config + at + PCI_PM_CTRL;
		pread(pair->vf.fd, &at, 1, config + at + 1);
	}
	return 0;
}

static void power(struct pair *pair, off_t reg, uint16_t state)
{
	if (pwrite(pair->vf.fd, &state, 2, reg) != 2)
		fail("power state %d: %s", state, err(errno));
	usleep(20000);
}

static void row_power(const void *unused)
{
	struct pair pair;
	off_t reg;

	own_vf(&pair);
	reg = power_register(&pair);
	if (!reg) {
		say("skip the VF has no power management");
		_exit(0);
	}
	power(&pair, reg, 3);
	need_dead(&pair, "D3hot");
	expect("map in D3hot", ctl(pair.pf, IOV_MAP, 0), -ENODEV);
	power(&pair, reg, 0);
	expect("map in D0", ctl(pair.pf, IOV_MAP, 0), 0);
	both_ways(&pair, 0, TABLE);
	say("note unmapped by invalidate, ENODEV, bytes verified after D0");
}

static void row_reset(const void *unused)
{
	struct pair pair;

	own_vf(&pair);
	expect("reset of the VF", pdev_reset(&pair.vf), 0);
	need_dead(&pair, "reset");
	expect("map", ctl(pair.pf, IOV_MAP, 0), 0);
	both_ways(&pair, 0, TABLE);
	say("note unmapped by invalidate, bytes verified after a new map");
}

static void row_exporter_closed(const void *unused)
{
	struct pair pair;

	trace_start();
	own_vf(&pair);
	pdev_close(&pair.vf);
	need_dead(&pair, "VF closed");
	expect("map", ctl(pair.pf, IOV_MAP, 0), -ENODEV);
	trace_read();
	need_event("dma_buf_refuse:", "type=IOV converter=none verdict=revoked err=-19");
	expect("detach", ctl(pair.pf, IOV_DETACH, 0), 0);
	say("note unmapped by invalidate, ENODEV for good, revoked");
}

/* The buffer and its attachment outlive the VF */
static void row_no_vfs(const void *unused)
{
	struct pair pair;

	own_vf(&pair);
	pdev_close(&pair.vf);
	expect("sriov_numvfs=0", numvfs(0, "0"), 0);
	need_dead(&pair, "no VFs");
	expect("map", ctl(pair.pf, IOV_MAP, 0), -ENODEV);
	expect("sriov_numvfs=2", numvfs(0, "2"), 0);
	expect("map of a VF that was", ctl(pair.pf, IOV_MAP, 0), -ENODEV);
	expect("detach", ctl(pair.pf, IOV_DETACH, 0), 0);
	say("note ENODEV, also when there is a new VF of that number");
}

/* In a child, since it has to wait for the VF */
static pid_t start(int (*what)(void))
{
	pid_t pid = fork();

	if (!pid) {
		/* A copy of the VF's file would keep it open */
		close_range(CHANNEL_FD + 1, ~0U, 0);
		_exit(-what());
	}
	usleep(300000);
	return pid;
}

static void need_waiting(pid_t pid, const char *what)
{
	if (waitpid(pid, NULL, WNOHANG))
		fail("%s did not wait for the VF", what);
}

static void need_end(pid_t pid, const char *what)
{
	int status;

	waitpid(pid, &status, 0);
	if (status)
		fail("%s: %s", what, err(WEXITSTATUS(status)));
}

static int drop_vfs(void)
{
	return numvfs(0, "0");
}

static int unbind_pf(void)
{
	return write_file(PCI "/drivers/iov-pf/unbind", pf_bdf[0]);
}

static void row_no_vfs_in_use(const void *unused)
{
	struct pair pair;
	pid_t pid;

	own_vf(&pair);
	pdev_unmap_bar(&pair.vf);
	pid = start(drop_vfs);
	need_waiting(pid, "sriov_numvfs=0");
	need_mapped(&pair, true, "VF in use");
	pdev_close(&pair.vf);
	need_end(pid, "sriov_numvfs=0");
	need_dead(&pair, "no VFs");
	expect("map", ctl(pair.pf, IOV_MAP, 0), -ENODEV);
	say("note waits until the VF is closed, then ENODEV");
}

/* The VF does not notice, and is there for a PF that is bound again */
static void row_unbind(const void *unused)
{
	struct pair pair;
	uint32_t word;

	own_vf(&pair);
	expect("unbind", unbind_pf(), 0);
	need_mapped(&pair, false, "PF unbound");
	need_type(&pair, "");
	expect("attached", bufinfo_read().attached, 0);
	expect("map", ctl(pair.pf, IOV_MAP, 0), -ENODEV);
	expect("read", pread(pair.pf, &word, 4, 0) < 0 ? -errno : 0, -ENODEV);
	setup(NULL);
	expect("attach by an old file", ctl(pair.pf, IOV_ATTACH, 0), -ENODEV);
	pair.pf = open_pf(0);
	attach_and_map(&pair, export(&pair, &table_page, 1));
	both_ways(&pair, 0, TABLE);
	say("note detached, ENODEV, bytes verified after a new bind");
}

/* PF and VF are both gone, the buffer and the file are not. */
static void row_unbind_closed(const void *unused)
{
	struct pair pair;

	own_vf(&pair);
	pdev_close(&pair.vf);
	expect("sriov_numvfs=0", numvfs(0, "0"), 0);
	expect("unbind", unbind_pf(), 0);
	need_type(&pair, "");
	expect("map", ctl(pair.pf, IOV_MAP, 0), -ENODEV);
	say("note detached, ENODEV");
}

/* The PF leaves the bus, and is found there again; VFs must be gone before. */
static void row_remove(const void *unused)
{
	struct pair pair;

	own_vf(&pair);
	pdev_close(&pair.vf);
	expect("sriov_numvfs=0", numvfs(0, "0"), 0);
	expect("remove", attr(pf_bdf[0], "remove", "1"), 0);
	need_type(&pair, "");
	expect("map", ctl(pair.pf, IOV_MAP, 0), -ENODEV);
	expect("rescan", write_file(PCI "/rescan", "1"), 0);
	setup(NULL);
	own_vf(&pair);
	both_ways(&pair, 0, TABLE);
	say("note detached, ENODEV, bytes verified with the new device");
}

/* A process with all of it open dies */
static void row_killed(const void *unused)
{
	struct pair pair;
	int status;
	pid_t pid = fork();

	if (!pid) {
		own_vf(&pair);
		raise(SIGKILL);
	}
	waitpid(pid, &status, 0);
	if (!WIFSIGNALED(status))
		fail("bad test: not killed");
	usleep(10000);
	expect("buffers", bufinfo_read().buffers, 0);
	own_vf(&pair);
	both_ways(&pair, 0, TABLE);
	say("note nothing left, bytes verified by the next one");
}

/* ---- races ---- */

static void row_race(const void *unused)
{
	int ret, mapped = 0, tries = 0, status;
	struct pair pair;
	pid_t pid;

	own_vf(&pair);
	pid = fork();
	if (!pid) {
		for (int i = 0; i < 100; i++) {
			pdev_decode(&pair.vf, i & 1);
			usleep(i * 37 % 500);
		}
		_exit(0);
	}
	while (!waitpid(pid, &status, WNOHANG)) {
		ret = ctl(pair.pf, IOV_MAP, 0);
		if (ret && ret != -ENODEV && ret != -EBUSY)
			fail("map: %s", err(ret));
		mapped += !ret;
		tries++;
		usleep(tries * 61 % 300);
	}
	expect("revokes", status, 0);
	say("note %d of %d maps between 100 revokes", mapped, tries);
}

/* ---- modules ---- */

static void row_pinned(const void *unused)
{
	int dmabuf = link_export(1), before = kmod_refs("dma-buf-example"), fd;

	fd = link_import(dmabuf);
	expect("references of an attachment",
	       kmod_refs("dma-buf-example") - before, 1);
	expect("unload while attached", kmod_unload("dma-buf-example"), -EWOULDBLOCK);
	expect("unload of the importer", kmod_unload("link-importer"), -EWOULDBLOCK);
	expect("unload of the exporter", kmod_unload("link-exporter"), -EWOULDBLOCK);
	close(fd);
	expect("references after detach", kmod_refs("dma-buf-example"), before);
	expect("unload of the exporter", kmod_unload("link-exporter"), -EWOULDBLOCK);
	close(dmabuf);
	usleep(10000);
	expect("unload of the importer", kmod_unload("link-importer"), 0);
	expect("unload of the exporter", kmod_unload("link-exporter"), 0);
	expect("unload of the type", kmod_unload("dma-buf-example"), 0);
	say("note EWOULDBLOCK while attached, then unloaded");
}

static void row_iov_pinned(const void *unused)
{
	int before = kmod_refs("iov-pf"), dmabuf;
	struct pair pair;

	open_pair(&pair, 0, 0, 0);
	dmabuf = export(&pair, &table_page, 1);
	attach_and_map(&pair, dmabuf);
	expect("references of a file and an attachment", kmod_refs("iov-pf") - before, 2);
	expect("unload of the type", kmod_unload("iov-pf"), -EWOULDBLOCK);
	close(pair.pf);
	pdev_close(&pair.vf);
	/* The buffer is all that is left of the VF, and has the driver's ops */
	for (int pf = 0; pf < PFS; pf++)
		expect("sriov_numvfs=0", numvfs(pf, "0"), 0);
	expect("unload with a buffer", kmod_unload("iov-vfio-pci"), -EWOULDBLOCK);
	close(dmabuf);
	usleep(10000);
	expect("unload", kmod_unload("iov-vfio-pci"), 0);
	expect("unload of the type", kmod_unload("iov-pf"), 0);
	say("note EWOULDBLOCK while attached or exported, then unloaded");
}

/* Attaches as long as there are modules: 0, or what says that there are none */
static int attach_often(void)
{
	for (int i = 0; i < 60; i++) {
		int exporter = open("/dev/link-exporter", O_RDWR | O_CLOEXEC);
		int importer = open("/dev/link-importer", O_RDWR | O_CLOEXEC);
		int dmabuf = exporter < 0 ? -1 : ctl(exporter, LINK_EXPORT, 1);
		int ret = importer < 0 || dmabuf < 0 ? 0 :
			  ctl(importer, LINK_IMPORT, dmabuf);

		if (ret)
			return ret;
		usleep(i * 37 % 900);
		close(importer);
		close(dmabuf);
		close(exporter);
		usleep(i * 611 % 9000);
	}
	return 0;
}

static void row_load_race(const void *unused)
{
	int status, loads = 0, ret, refused = 0;
	pid_t pid = fork();

	if (!pid)
		_exit(-attach_often());
	while (!waitpid(pid, &status, WNOHANG)) {
		for (int i = 2; i >= 0; i--) {
			ret = kmod_unload(modules[i]);
			if (ret && ret != -EWOULDBLOCK && ret != -ENOENT)
				fail("unload %s: %s", modules[i], err(ret));
			refused += ret == -EWOULDBLOCK;
		}
		for (int i = 0; i < 3; i++) {
			ret = kmod_load(modules[i], "");
			if (ret && ret != -EEXIST)
				fail("load %s: %s", modules[i], err(ret));
			loads += !ret;
		}
		usleep(500);
	}
	if (status)
		fail("attach: %s", err(WEXITSTATUS(status)));
	say("note 60 rounds against %d loads, %d unloads refused", loads, refused);
}

/* ---- what lsdmabuf says of two private types that do not meet ---- */

/* As the command of lsdmabuf: the PF knows IOV and SGT, the buffer is LINK */
static int meet(void)
{
	if (pci_find(ID_NVME, pf_bdf, PFS) != PFS)
		return 1;
	return ctl(open_pf(0), IOV_ATTACH, link_export(1)) != -EOPNOTSUPP;
}

static FILE *start_why(pid_t *pid)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC))
		fail("pipe: %s", err(errno));
	*pid = fork();
	if (!*pid) {
		dup2(fd[1], STDOUT_FILENO);
		execl("/bin/lsdmabuf", "lsdmabuf", "--why", "/bin/iov", "meet", NULL);
		_exit(127);
	}
	close(fd[1]);
	return fdopen(fd[0], "r");
}

static void row_why(const void *unused)
{
	static const char want[] = "the exporter offers LINK, the importer asks for IOV and SGT, "
		"and they do not meet; one of the two drivers has to know a type of the other as well.";
	char line[LINE_MAX_LEN] = "";
	int status;
	pid_t pid;
	FILE *out = start_why(&pid);

	while (out && fgets(line, sizeof(line), out) && !strstr(line, want))
		fputs(line, stdout);
	waitpid(pid, &status, 0);
	expect("status of lsdmabuf", status, 0);
	if (!strstr(line, want))
		fail("it said '%.200s'", line);
	say("note %s", line);
}

/* ---- each allocation fails once: the area "faults" ---- */

static struct pair fault_pair;
static int fault_fd, fault_dmabuf;

static int fault_link_export(const void *unused)
{
	return ctl(fault_fd, LINK_EXPORT, 1);
}

static void fault_close(const void *unused, int ret)
{
	if (ret >= 0)
		close(ret);
}

static void fault_link(const void *unused)
{
	fault_dmabuf = link_export(1);
	fault_fd = open_dev("link-importer");
}

static int fault_link_import(const void *unused)
{
	return ctl(fault_fd, LINK_IMPORT, fault_dmabuf);
}

static void fault_link_end(const void *unused, int ret)
{
	close(fault_fd);
	close(fault_dmabuf);
}

static int fault_iov_export(const void *unused)
{
	return pdev_export(&fault_pair.vf, &table_page, 1);
}

static void fault_iov(const void *unused)
{
	fault_dmabuf = export(&fault_pair, &table_page, 1);
}

static int fault_attach(const void *unused)
{
	return ctl(fault_pair.pf, IOV_ATTACH, fault_dmabuf);
}

static void fault_attached(const void *unused)
{
	fault_iov(NULL);
	expect("attach", fault_attach(NULL), 0);
}

static int fault_map(const void *unused)
{
	return ctl(fault_pair.pf, IOV_MAP, 0);
}

static void fault_mapped(const void *unused)
{
	fault_attached(NULL);
	expect("map", fault_map(NULL), 0);
}

static int fault_unmap(const void *unused)
{
	return ctl(fault_pair.pf, IOV_UNMAP, 0);
}

static int fault_detach(const void *unused)
{
	return ctl(fault_pair.pf, IOV_DETACH, 0);
}

static int fault_reset(const void *unused)
{
	return pdev_reset(&fault_pair.vf);
}

static void fault_iov_end(const void *unused, int ret)
{
	fault_detach(NULL);
	close(fault_dmabuf);
}

static const struct sweep link_sweeps[] = {
	{ "LINK, export", NULL, fault_link_export, .after = fault_close },
	{ "LINK, attach and map", fault_link, fault_link_import, .after = fault_link_end },
};

static const struct sweep iov_sweeps[] = {
	{ "IOV, export", NULL, fault_iov_export, .after = fault_close },
	{ "IOV, attach", fault_iov, fault_attach, .after = fault_iov_end },
	{ "IOV, map", fault_attached, fault_map, .after = fault_iov_end },
	{ "IOV, unmap", fault_mapped, fault_unmap, fault_iov_end, .must_work = true },
	{ "IOV, detach", fault_mapped, fault_detach, fault_iov_end, .must_work = true },
	{ "IOV, reset of the VF", fault_mapped, fault_reset, fault_iov_end, .must_work = true },
};

static void row_link_faults(const void *arg)
{
	fault_fd = open_dev("link-exporter");
	say("note %d faults", sweep(arg));
}

static void row_iov_faults(const void *arg)
{
	open_pair(&fault_pair, 0, 0, 0);
	say("note %d faults", sweep(arg));
	attach_and_map(&fault_pair, export(&fault_pair, &table_page, 1));
	both_ways(&fault_pair, 0, TABLE);
}

/* ---- all rows ---- */

/* In a process of its own, whose end gives everything back. */
static void row(const char *name, void (*test)(const void *), const void *arg)
{
	int status;
	pid_t pid;

	say("row %s", name);
	pid = fork();
	if (!pid) {
		test(arg);
		say("pass");
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (status)
		say("fail died with status %#x", status);
	usleep(10000);
	if (bufinfo_read().buffers) {
		say("row %s: the end", name);
		say("fail a DMA-buf is left");
	}
}

static void table(void)
{
	for (int pf = 0; pf < PFS; pf++) {
		for (int of = 0; of < PFS; of++) {
			for (int vf = 0; vf < VFS; vf++) {
				struct cell cell = { pf, of, vf };
				char name[60];

				snprintf(name, sizeof(name), "PF %c, VF %d of %c",
					 'a' + pf, vf, 'a' + of);
				row(name, pf == of ? row_own : row_foreign,
				    &cell);
			}
		}
	}
}

static void prepare(const char *name, void (*test)(const void *))
{
	setup(NULL);
	row(name, test, NULL);
}

static void faults(void)
{
	sweep_init();
	for (size_t i = 0; i < sizeof(link_sweeps) / sizeof(link_sweeps[0]); i++)
		row(link_sweeps[i].name, row_link_faults, &link_sweeps[i]);
	for (size_t i = 0; i < sizeof(iov_sweeps) / sizeof(iov_sweeps[0]); i++)
		row(iov_sweeps[i].name, row_iov_faults, &iov_sweeps[i]);
}

int main(int argc, char **argv)
{
	char only[16];

	if (argc > 1 && !strcmp(argv[1], "meet"))
		return meet();
	cmdline_get("iov.foreign", foreign, sizeof(foreign));
	say("row modules, PFs and VFs");
	if (pci_find(ID_NVME, pf_bdf, PFS) != PFS)
		fail("not %d nvme devices", PFS);
	setup(NULL);
	say("pass");
	if (cmdline_get("iov.only", only, sizeof(only))) {
		faults();
		return 0;
	}
	row("link", row_link, NULL);
	row("link, another fabric", row_link_foreign, NULL);
	row("link, iommufd", row_link_iommufd, NULL);
	row("link, type is pinned", row_pinned, NULL);
	prepare("link, load and unload", row_load_race);
	setup(NULL);
	table();
	row("two private types", row_why, NULL);
	row("two ranges", row_two_ranges, NULL);
	row("slice", row_slice, NULL);
	row("two VFs", row_two_vfs, NULL);
	row("decode off and on", row_decode, NULL);
	row("D3hot", row_power, NULL);
	row("VF reset", row_reset, NULL);
	row("VF closed", row_exporter_closed, NULL);
	row("process killed", row_killed, NULL);
	row("100 revokes", row_race, NULL);
	row("VFs disabled", row_no_vfs, NULL);
	prepare("VFs disabled, in use", row_no_vfs_in_use);
	prepare("PF unbound", row_unbind);
	row("VFs disabled, PF unbound", row_unbind_closed, NULL);
	prepare("PF removed and found", row_remove);
	prepare("unload while attached", row_iov_pinned);
	return 0;
}
