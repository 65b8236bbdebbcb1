// SPDX-License-Identifier: GPL-2.0
/*
 * Lets the benchmark of the kernel, /dev/dma-buf-bench, run over buffers of
 * several exporters, one row for each, with the numbers as its note.
 */
#include "channel.h"
#include "dma-buf-bench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096UL

static int heap_buffer(size_t pages)
{
	struct dma_heap_allocation_data data = {
		.len = pages * PAGE,
		.fd_flags = O_RDWR | O_CLOEXEC,
	};
	int heap = open("/dev/dma_heap/system", O_RDWR);
	int ret = heap < 0 ? -1 : ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data);

	close(heap);
	return ret ? -1 : (int)data.fd;
}

static int udmabuf_buffer(size_t pages)
{
	int memfd = memfd_create("bench", MFD_ALLOW_SEALING);
	struct udmabuf_create create = { .memfd = memfd, .size = pages * PAGE };
	int dev = open("/dev/udmabuf", O_RDWR);
	int fd = -1;

	if (memfd >= 0 && dev >= 0 && !ftruncate(memfd, pages * PAGE) &&
	    !fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK))
		fd = ioctl(dev, UDMABUF_CREATE, &create);
	close(dev);
	close(memfd);
	return fd;
}

static const struct row {
	const char *name;
	int (*buffer)(size_t pages);
	size_t pages;
	uint32_t op, others;
} rows[] = {
	{ "attach static", heap_buffer, 1, BENCH_ATTACH_STATIC, 0 },
	{ "attach static, 64 others", heap_buffer, 1, BENCH_ATTACH_STATIC, 64 },
	{ "attach dynamic", heap_buffer, 1, BENCH_ATTACH_DYNAMIC, 0 },
	{ "attach dynamic, 64 others", heap_buffer, 1, BENCH_ATTACH_DYNAMIC, 64 },
	{ "map heap 1", heap_buffer, 1, BENCH_MAP_STATIC, 0 },
	{ "map heap 256", heap_buffer, 256, BENCH_MAP_STATIC, 0 },
	{ "map heap 16384", heap_buffer, 16384, BENCH_MAP_STATIC, 0 },
	{ "map heap 1, dynamic", heap_buffer, 1, BENCH_MAP_DYNAMIC, 0 },
	{ "map udmabuf 1", udmabuf_buffer, 1, BENCH_MAP_STATIC, 0 },
	{ "map udmabuf 256", udmabuf_buffer, 256, BENCH_MAP_STATIC, 0 },
};

static void run(int bench, const struct row *row)
{
	struct bench_run run = { .op = row->op, .others = row->others };

	say("row %s", row->name);
	run.fd = row->buffer(row->pages);
	if (run.fd < 0) {
		say("fail no buffer: %s", strerror(errno));
		return;
	}
	if (ioctl(bench, BENCH_RUN, &run)) {
		say("fail %s", strerror(errno));
	} else if (run.thousand < 1000 || run.thousand > 1010) {
		say("fail 1000 instructions count %llu: start QEMU with -icount shift=0",
		    run.thousand);
	} else {
		say("note %llu %llu", run.there, run.back);
		say("pass");
	}
	close(run.fd);
}

/* bench.only=N: that row alone, for a profile */
int main(void)
{
	int bench = open("/dev/dma-buf-bench", O_RDWR | O_CLOEXEC);
	char only[8] = "";

	cmdline_get("bench.only", only, sizeof(only));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!only[0] || (size_t)atoi(only) == i)
			run(bench, &rows[i]);
	return 0;
}
