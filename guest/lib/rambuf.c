// SPDX-License-Identifier: GPL-2.0
/* Compares DMA-bufs of RAM with what must be in them. */
#include "rambuf.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* On each side of a page boundary, and how many of these are looked at */
#define EDGE 16
#define EDGES 16

/* No two words that anybody writes are the same. */
static void new_bytes(uint8_t *bytes, size_t len)
{
	static uint64_t salt;

	for (size_t i = 0; i < len; i++) {
		salt = salt * 6364136223846793005ULL + 1442695040888963407ULL;
		bytes[i] = salt >> 56;
	}
}

struct rambuf rambuf_open(const char *name, int fd, uint64_t size)
{
	struct rambuf buf = { .name = name, .fd = fd, .size = size };

	if (fd < 0)
		fail("make a buffer, %s: %s", name, err(fd));
	buf.cpu = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	buf.shadow = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buf.cpu == MAP_FAILED || buf.shadow == MAP_FAILED)
		fail("map %s: %s", name, err(errno));
	new_bytes(buf.shadow, size);
	memcpy(buf.cpu, buf.shadow, size);
	return buf;
}

void rambuf_compare(const struct rambuf *buf, const char *when)
{
	for (uint64_t i = 0; i < buf->size; i++)
		if (buf->cpu[i] != buf->shadow[i])
			fail("%s, %s: + %#lx: expected %02x, saw %02x", buf->name, when, i,
			     buf->shadow[i], buf->cpu[i]);
}

/* The bytes around edge @i of a slice, in the buffer; the last one is its end. */
static struct range edge_of(struct range slice, int i)
{
	uint64_t pages = slice.len / PAGE, count = pages < EDGES ? pages : EDGES;
	uint64_t end = slice.offset + slice.len;
	uint64_t edge = slice.offset + pages * i / count * PAGE;
	struct range r = { edge == slice.offset ? edge : edge - EDGE, 2 * EDGE };

	if (r.offset + r.len > end)
		r.len = end - r.offset;
	return r;
}

static int edges_of(struct range slice)
{
	return (slice.len / PAGE < EDGES ? slice.len / PAGE : EDGES) + 1;
}

static void expect_writes(const struct rambuf *buf, const struct mover *mover,
			  struct range slice, uint64_t at)
{
	for (int i = 0; i < edges_of(slice); i++) {
		struct range r = edge_of(slice, i);

		new_bytes(buf->shadow + r.offset, r.len);
		mover->write(mover->who, at + r.offset - slice.offset,
			     buf->shadow + r.offset, r.len);
	}
	rambuf_compare(buf, "written");
}

static void expect_reads(const struct rambuf *buf, const struct mover *mover,
			 struct range slice, uint64_t at)
{
	uint8_t seen[2 * EDGE];

	for (int i = 0; i < edges_of(slice); i++) {
		struct range r = edge_of(slice, i);

		new_bytes(buf->shadow + r.offset, r.len);
		memcpy(buf->cpu + r.offset, buf->shadow + r.offset, r.len);
		mover->read(mover->who, at + r.offset - slice.offset, seen, r.len);
		if (memcmp(seen, buf->shadow + r.offset, r.len))
			fail("%s: what was read at + %#lx is not what the CPU wrote", buf->name,
			     r.offset);
	}
	rambuf_compare(buf, "read");
}

void rambuf_both_ways(const struct rambuf *buf, const struct mover *mover,
		      struct range slice, uint64_t at)
{
	expect_writes(buf, mover, slice, at);
	expect_reads(buf, mover, slice, at);
}

static void edu_writes(void *who, uint64_t at, const void *bytes, size_t len)
{
	const struct rambuf_edu *by = who;

	memcpy(by->lab->ram, bytes, len);
	edu_load(by->edu, IOVA_RAM, 0, len);
	edu_store(by->edu, at, 0, len);
}

static void edu_reads(void *who, uint64_t at, void *bytes, size_t len)
{
	const struct rambuf_edu *by = who;

	memset(by->lab->ram, 0, len);
	edu_load(by->edu, at, 0, len);
	edu_store(by->edu, IOVA_RAM, 0, len);
	memcpy(bytes, by->lab->ram, len);
}

struct mover rambuf_edu(struct rambuf_edu *who)
{
	return (struct mover){ edu_writes, edu_reads, who };
}
