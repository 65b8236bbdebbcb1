// SPDX-License-Identifier: GPL-2.0
/* Has devices move bytes, and compares the BAR with what must be in it. */
#include "lab.h"
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Bytes that are written and looked at on each side of an edge. */
#define EDGE 16
#define WINDOW (2 * EDGE)
/* One window per range and end, and one inside each range. */
#define MAX_WINDOWS (2 * MAX_RANGES + 1)

struct machine *machine;

/* ---- shapes and views ---- */

uint64_t shape_size(const struct shape *shape)
{
	uint64_t size = 0;

	for (int i = 0; i < shape->count; i++)
		size += shape->ranges[i].len;
	return size;
}

struct view view_of(const struct shape *shape, struct range slice, uint64_t iova)
{
	struct view v = { 0 };
	uint64_t pos = 0, slice_end = slice.offset + slice.len;

	for (int i = 0; i < shape->count; i++) {
		const struct range *r = &shape->ranges[i];
		uint64_t from = pos > slice.offset ? pos : slice.offset;
		uint64_t end = pos + r->len < slice_end ? pos + r->len : slice_end;

		if (from < end) {
			v.seg[v.count].iova = iova + from - slice.offset;
			v.seg[v.count].off = r->offset + from - pos;
			v.seg[v.count++].len = end - from;
		}
		pos += r->len;
	}
	return v;
}

static uint64_t view_end(const struct view *v)
{
	return v->seg[v->count - 1].iova + v->seg[v->count - 1].len;
}

static uint64_t view_off(const struct view *v, uint64_t iova)
{
	int i = 0;

	while (iova - v->seg[i].iova >= v->seg[i].len)
		i++;
	return v->seg[i].off + iova - v->seg[i].iova;
}

/* ---- the host file ---- */

static void hear_hex(uint8_t *bytes, size_t len)
{
	char line[LINE_MAX_LEN];
	unsigned int b;

	hear(line, sizeof(line));
	if (strlen(line) != 2 * len)
		fail("host: expected %zu bytes, got '%.40s'", len, line);
	for (size_t i = 0; i < len; i++) {
		if (sscanf(line + 2 * i, "%2x", &b) != 1)
			fail("host: not hex: '%.40s'", line);
		bytes[i] = b;
	}
}

void peek_file(uint64_t file, uint8_t *bytes, size_t len)
{
	say("peek %lu %zu", file, len);
	hear_hex(bytes, len);
}

void expect_file(uint64_t file, const uint8_t *bytes, size_t len,
		 const char *when)
{
	uint8_t seen[256];

	if (len > sizeof(seen))
		fail("bad test: %zu bytes are too many", len);
	peek_file(file, seen, len);
	for (size_t i = 0; i < len; i++) {
		if (seen[i] != bytes[i])
			fail("%s: host file + %#lx: expected %02x, saw %02x",
			     when, file + i, bytes[i], seen[i]);
	}
}

static void poke(struct lab *lab, uint64_t off, const uint8_t *bytes, size_t len)
{
	char hex[2 * WINDOW + 1], answer[64];

	for (size_t i = 0; i < len; i++)
		sprintf(hex + 2 * i, "%02x", bytes[i]);
	say("poke %lu %s", lab->file + off, hex);
	hear(answer, sizeof(answer));
	if (strcmp(answer, "ok"))
		fail("host: poke: '%s'", answer);
}

/* ---- bytes ---- */

static void new_bytes(struct lab *lab, uint8_t *bytes, size_t len)
{
	uint64_t x = ++lab->salt * 0x9e3779b97f4a7c15ULL;

	for (size_t i = 0; i < len; i++) {
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		bytes[i] = x >> 56;
	}
}

/*
 * The shadow is made once and inherited: a row starts with the background, and
 * what it changes is its own. No eight bytes of it are the same.
 */
static uint8_t shadow[BAR_SIZE] __attribute__((aligned(PAGE)));

void lab_init(void)
{
	uint64_t x = 0, *word = (uint64_t *)shadow;

	for (size_t i = 0; i < BAR_SIZE / 8; i++) {
		x += 0x632be59bd9b4e019ULL;
		word[i] = x ^ x >> 31;
	}
}

__attribute__((noreturn))
static void wrong_byte(const struct view *v, const char *when, const char *who,
		       uint64_t off, int expected, int seen)
{
	for (int i = 0; i < v->count; i++) {
		if (off - v->seg[i].off < v->seg[i].len)
			fail("%s: %s, range %d of %d + %#lx: expected %02x, saw %02x",
			     when, who, i + 1, v->count, off - v->seg[i].off,
			     expected, seen);
	}
	fail("%s: %s, outside all ranges, BAR + %#lx: expected %02x, saw %02x",
	     when, who, off, expected, seen);
}

static void compare(const struct view *v, const char *when, const char *who,
		    uint64_t off, const uint8_t *seen, size_t len)
{
	const uint8_t *expected = shadow + off;

	if (!memcmp(seen, expected, len))
		return;
	for (size_t i = 0; i < len; i++) {
		if (seen[i] != expected[i])
			wrong_byte(v, when, who, off + i, expected[i], seen[i]);
	}
}

/* Both sides of one edge, or the side that is inside the BAR. */
static void compare_file_edge(struct lab *lab, const struct view *v,
			      const char *when, uint64_t edge)
{
	uint64_t from = edge < EDGE ? 0 : edge - EDGE;
	uint64_t end = edge + EDGE;
	uint8_t seen[WINDOW];

	if (end > BAR_SIZE)
		end = BAR_SIZE;
	peek_file(lab->file + from, seen, end - from);
	compare(v, when, "host file", from, seen, end - from);
}

static void compare_bar(struct lab *lab, const struct view *v, const char *when)
{
	for (uint64_t off = 0; off < BAR_SIZE; off += PAGE)
		compare(v, when, "CPU mapping", off, lab->exporter.bar + off, PAGE);
}

void expect_bytes(struct lab *lab, const struct view *v, const char *when)
{
	if (lab->exporter.bar)
		compare_bar(lab, v, when);
	for (int i = 0; i < v->count; i++) {
		compare_file_edge(lab, v, when, v->seg[i].off);
		compare_file_edge(lab, v, when, v->seg[i].off + v->seg[i].len);
	}
}

/* ---- windows: the IOVAs that a device writes and reads ---- */

struct window {
	uint64_t iova;
	size_t len;
	unsigned int slot;	/* in edu's buffer and in the RAM */
};

struct windows {
	int count;
	size_t bytes;
	struct window w[MAX_WINDOWS];
};

static void add_window(struct windows *ws, const struct view *v, uint64_t edge)
{
	struct window *w = &ws->w[ws->count++];
	uint64_t end = edge + EDGE;

	w->iova = edge == v->seg[0].iova ? edge : edge - EDGE;
	if (end > view_end(v))
		end = view_end(v);
	w->len = end - w->iova;
	w->slot = ws->bytes;
	ws->bytes += w->len;
}

/*
 * A window around the start of each range, so that one transfer crosses from
 * each range into the next one, one around a page boundary inside each range
 * that has one, and one at the end.
 */
static struct windows windows_of(const struct view *v)
{
	struct windows ws = { 0 };

	for (int i = 0; i < v->count; i++) {
		uint64_t pages = v->seg[i].len / PAGE;

		add_window(&ws, v, v->seg[i].iova);
		if (pages > 1)
			add_window(&ws, v, v->seg[i].iova +
				   (1 + pages / 3) * PAGE);
	}
	add_window(&ws, v, view_end(v));
	return ws;
}

static void shadow_window(const struct view *v, const struct window *w,
			  const uint8_t *bytes)
{
	for (size_t i = 0; i < w->len; i++)
		shadow[view_off(v, w->iova + i)] = bytes[i];
}

static void expect_writes(struct lab *lab, struct pdev *edu,
			  const struct view *v)
{
	struct windows ws = windows_of(v);

	new_bytes(lab, lab->ram, ws.bytes);
	edu_load(edu, IOVA_RAM, 0, ws.bytes);
	for (int i = 0; i < ws.count; i++) {
		edu_store(edu, ws.w[i].iova, ws.w[i].slot, ws.w[i].len);
		shadow_window(v, &ws.w[i], lab->ram + ws.w[i].slot);
	}
	expect_bytes(lab, v, "after the device wrote");
}

/* New bytes, every other window from the CPU and from the host. */
static void write_window(struct lab *lab, const struct view *v,
			 const struct window *w, bool from_host)
{
	uint8_t bytes[WINDOW];

	new_bytes(lab, bytes, w->len);
	shadow_window(v, w, bytes);
	for (size_t i = 0; i < w->len; i++) {
		uint64_t off = view_off(v, w->iova + i);
		size_t run = 1;

		while (i + run < w->len &&
		       view_off(v, w->iova + i + run) == off + run)
			run++;
		if (from_host || !lab->exporter.bar)
			poke(lab, off, bytes + i, run);
		else
			memcpy(lab->exporter.bar + off, bytes + i, run);
		i += run - 1;
	}
}

static void compare_window(struct lab *lab, const struct view *v,
			   const struct window *w)
{
	for (size_t i = 0; i < w->len; i++)
		compare(v, "the device read", "device",
			view_off(v, w->iova + i), lab->ram + w->slot + i, 1);
}

static void expect_reads(struct lab *lab, struct pdev *edu,
			 const struct view *v)
{
	struct windows ws = windows_of(v);

	for (int i = 0; i < ws.count; i++)
		write_window(lab, v, &ws.w[i], i & 1);
	for (int i = 0; i < ws.count; i++)
		edu_load(edu, ws.w[i].iova, ws.w[i].slot, ws.w[i].len);
	memset(lab->ram, 0, PAGE);
	edu_store(edu, IOVA_RAM, 0, ws.bytes);
	for (int i = 0; i < ws.count; i++)
		compare_window(lab, v, &ws.w[i]);
	/* The host wrote half of it: its view needs no look of its own. */
	compare_bar(lab, v, "after the device read");
}

void expect_both_ways(struct lab *lab, struct pdev *edu, const struct view *v)
{
	expect_writes(lab, edu, v);
	expect_reads(lab, edu, v);
}

void expect_moved(struct lab *lab, const struct mover *mover, const struct view *v)
{
	struct windows ws = windows_of(v);

	new_bytes(lab, lab->ram, ws.bytes);
	for (int i = 0; i < ws.count; i++) {
		mover->write(mover->who, ws.w[i].iova, lab->ram + ws.w[i].slot,
			     ws.w[i].len);
		shadow_window(v, &ws.w[i], lab->ram + ws.w[i].slot);
	}
	expect_bytes(lab, v, "after it wrote");

	for (int i = 0; i < ws.count; i++)
		write_window(lab, v, &ws.w[i], i & 1);
	memset(lab->ram, 0, PAGE);
	for (int i = 0; i < ws.count; i++) {
		mover->read(mover->who, ws.w[i].iova, lab->ram + ws.w[i].slot,
			    ws.w[i].len);
		compare_window(lab, v, &ws.w[i]);
	}
	expect_bytes(lab, v, "after it read");
}

/* ---- faults ---- */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/*
 * The kernel reports three DMA faults in five seconds, then it is silent. So
 * wait until it may speak: under -icount that costs nothing.
 */
static void wait_for_ratelimit(void)
{
	int64_t left = machine->last_fault_ms + 5500 - now_ms();

	if (left > 0)
		usleep(left * 1000);
	machine->last_fault_ms = now_ms();
}

/*
 * The IOMMU reported that @edu faulted in the page of @iova. The host is told: a fault
 * that no row announces fails the run.
 */
static void expect_fault(struct lab *lab, struct pdev *edu, uint64_t iova,
			 const char *kind, const char *when)
{
	char text[2048], addr[64];
	ssize_t n;

	say("fault %s %s %#lx", kind + strlen("DMA "), edu->bdf, iova & ~(PAGE - 1));
	snprintf(addr, sizeof(addr), "fault addr %#lx ", iova & ~(PAGE - 1));
	while ((n = read(lab->kmsg, text, sizeof(text) - 1)) != -1 ||
	       errno == EPIPE) {
		text[n < 0 ? 0 : n] = '\0';
		if (strstr(text, kind) && strstr(text, edu->bdf) &&
		    strstr(text, addr))
			return;
	}
	fail("%s: no [%s] fault of %s at %#lx was reported", when, kind,
	     edu->bdf, iova);
}

static void dead_store(struct lab *lab, struct pdev *edu, uint64_t iova)
{
	new_bytes(lab, lab->ram, 8);
	edu_load(edu, IOVA_RAM, 0, 8);
	edu_store(edu, iova, 0, 8);
}

static void dead_load(struct lab *lab, struct pdev *edu, const struct view *v,
		      uint64_t iova, const char *when)
{
	edu_load(edu, iova, 0, 8);
	edu_store(edu, IOVA_RAM, 0, 8);
	if (!memcmp(lab->ram, shadow + view_off(v, iova), 8))
		fail("%s: the device read the BAR at %#lx", when, iova);
}

/* Three transfers: more would run into the rate limit. */
void expect_dead(struct lab *lab, struct pdev *edu, const struct view *v,
		 const char *when)
{
	uint64_t first = v->seg[0].iova, last = view_end(v) - 8;

	wait_for_ratelimit();
	dead_store(lab, edu, first);
	dead_store(lab, edu, last);
	dead_load(lab, edu, v, first, when);
	expect_bytes(lab, v, when);
	expect_fault(lab, edu, first, "DMA Write", when);
	expect_fault(lab, edu, last, "DMA Write", when);
	expect_fault(lab, edu, first, "DMA Read", when);
}

/*
 * The stores come first: once QEMU's IOTLB has a page as read-only, it drops
 * the write to it without a report.
 */
void expect_read_only(struct lab *lab, struct pdev *edu, const struct view *v)
{
	uint64_t first = v->seg[0].iova, last = view_end(v) - 8;

	wait_for_ratelimit();
	dead_store(lab, edu, first);
	dead_store(lab, edu, last);
	expect_bytes(lab, v, "read-only");
	expect_fault(lab, edu, first, "DMA Write", "read-only");
	expect_fault(lab, edu, last, "DMA Write", "read-only");
	expect_reads(lab, edu, v);
}

/* ---- opening ---- */

uint32_t lab_new_ioas(struct lab *lab)
{
	uint32_t ioas = ioas_new(lab->iommufd);

	ioas_map_ram(lab->iommufd, ioas, lab->ram, PAGE, IOVA_RAM);
	return ioas;
}

/* edu copies from here and to here. */
static uint8_t ram[PAGE] __attribute__((aligned(PAGE)));

static int kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || lseek(fd, 0, SEEK_END) < 0)
		fail("/dev/kmsg: %s", err(errno));
	return fd;
}

void lab_open(struct lab *lab, enum exporter which)
{
	memset(lab, 0, sizeof(*lab));
	lab->salt = (uint64_t)getpid() << 32;	/* a row is a process */
	lab->kmsg = kmsg_open();
	lab->iommufd = iommufd_open();
	pdev_open(&lab->exporter, machine->exporter[which], 2, lab->iommufd);
	if (lab->exporter.bar_len != BAR_SIZE)
		fail("%s: BAR of %zu bytes", lab->exporter.bdf, lab->exporter.bar_len);
	pdev_open(&lab->edu[0], machine->edu[0], 0, lab->iommufd);
	lab->file = which * BAR_SIZE;
	lab->ram = ram;
	lab->ioas = lab_new_ioas(lab);
	pdev_attach(&lab->edu[0], lab->ioas);
	memcpy(lab->exporter.bar, shadow, BAR_SIZE);
}

void lab_open_second_edu(struct lab *lab)
{
	pdev_open(&lab->edu[1], machine->edu[1], 0, lab->iommufd);
}

struct bufinfo bufinfo_read(void)
{
	FILE *f = fopen("/sys/kernel/debug/dma_buf/bufinfo", "re");
	struct bufinfo info = { 0 };
	char line[256], what[16];
	int n, lines = 0;

	if (!f)
		fail("dma_buf/bufinfo: %s", err(errno));
	for (; fgets(line, sizeof(line), f); lines++) {
		/* The lines of attachments: importer, tab, type and converter. */
		if (line[0] == '\t')
			snprintf(info.type, sizeof(info.type), "%.*s",
				 (int)strcspn(strrchr(line, '\t') + 1, "\n"),
				 strrchr(line, '\t') + 1);
		if (sscanf(line, "Total %d %15s", &n, what) != 2)
			continue;
		if (!strcmp(what, "objects,"))
			info.buffers = n;
		else
			info.attached += n;
	}
	fclose(f);
	if (!lines)
		fail("dma_buf/bufinfo is empty");
	return info;
}
