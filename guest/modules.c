// SPDX-License-Identifier: GPL-2.0
/*
 * What the series adds, as modules: device heaps, whose query is asked about
 * every importer that there is and compared with what its attach then does;
 * what a module can be taken away from; KUnit, for the next program to report.
 */
#include "lib/channel.h"
#include "lib/dmabufs.h"
#include "lib/file.h"
#include "lib/kmod.h"
#include "lib/vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRACING "/sys/kernel/tracing"
#define ATTACH "dma_buf_mapping_attach"
#define IMPORTER "/dev/device-heap-test"

static void load(const char *name)
{
	int ret = kmod_load(name, "");

	if (ret)
		fail("load %s: %s", name, err(ret));
}

static void expect(const char *what, long got, long want)
{
	if (got != want)
		fail("%s: %ld, not %ld", what, got, want);
}

/* Each row is a process: what it has opened goes with it. */
static void row(const char *name, void (*run)(const void *), const void *arg)
{
	pid_t pid;

	say("row %s", name);
	pid = fork();
	if (!pid) {
		run(arg);
		say("pass");
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

/* ---- a query, and what comes of an attach ---- */

static int query(int heap, struct dma_heap_query_importer *who)
{
	struct dma_heap_query_data data = {
		.importers = (uintptr_t)who, .count = 1, .importer_size = sizeof(*who),
	};

	return ioctl(heap, DMA_HEAP_IOCTL_QUERY, &data) ? -errno : 0;
}

/* What the importer was told by the attach itself, by the trace event. */
static int attach_result(void)
{
	FILE *f = fopen(TRACING "/trace", "re");
	char line[1024], *found;
	int result = -ENODATA;

	while (f && fgets(line, sizeof(line), f)) {
		found = strstr(line, ATTACH ":");
		found = found ? strstr(found, " err=") : NULL;
		if (found)
			sscanf(found, " err=%d", &result);
	}
	if (f)
		fclose(f);
	return result;
}

struct ask {
	const char *heap;
	const struct importer_row *importer;
};

static void compare(const void *arg)
{
	const struct ask *ask = arg;
	struct dma_heap_query_importer who = {
		.device_fd = ask->importer->device(),
	};
	int heap = heap_open(ask->heap), buf = heap_buffer(heap), ret;

	expect("query", query(heap, &who), 0);
	close(open(TRACING "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC));
	ret = ask->importer->import(buf);
	expect("attach against what the query said", attach_result(), who.error);
	say("note %s%s, import: %s", who.type, who.reason, err(ret));
	if (who.error && ret != who.error)
		fail("import: %s, query: %s", err(ret), err(who.error));
}

/* The selftest has those that are refused; these are what user space has */
static void queries(void)
{
	static const char *const heaps[] = {
		"system", "test-heap", "test-heap-cma",
	};
	char name[64];

	for (size_t h = 0; h < sizeof(heaps) / sizeof(heaps[0]); h++) {
		for (size_t i = 0; importers[i].name; i++) {
			struct ask ask = { heaps[h], &importers[i] };

			if (!importers[i].device)
				continue;
			snprintf(name, sizeof(name), "%s > %s", heaps[h],
				 importers[i].name);
			row(name, compare, &ask);
		}
	}
}

/* ---- modules come and go ---- */

static void trace_attach(void)
{
	int ret = write_file(TRACING "/events/dma_buf/" ATTACH "/enable", "1");

	if (ret)
		fail("trace events: %s", err(ret));
}

static void load_heaps(const void *unused)
{
	load("device_heap");
	load("device_heap_test");
	close(heap_buffer(heap_open("test-heap")));
	close(heap_buffer(heap_open("test-heap-cma")));
	trace_attach();
}

static int sync_start(int buf)
{
	struct dma_buf_sync sync = {
		.flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW,
	};

	return ioctl(buf, DMA_BUF_IOCTL_SYNC, &sync) ? -errno : 0;
}

static int try_alloc(int heap)
{
	struct dma_heap_allocation_data alloc = {
		.len = PAGE, .fd_flags = O_RDWR | O_CLOEXEC,
	};

	return ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &alloc) ? -errno : 0;
}

/* The file is closed by a task work, a moment after close() */
static int unload_soon(const char *name)
{
	int ret = kmod_unload(name);

	for (int i = 0; ret == -EWOULDBLOCK && i < 50; i++) {
		usleep(100000);
		ret = kmod_unload(name);
	}
	return ret;
}

static void unload_in_use(const void *unused)
{
	int heap = heap_open("test-heap"), buf = heap_buffer(heap);
	int importer = open(IMPORTER, O_RDWR | O_CLOEXEC);
	struct dma_heap_query_importer who = {};

	expect("the importer is there", importer >= 0, true);
	expect("sync", sync_start(buf), 0);
	expect("unload with its file open", kmod_unload("device_heap_test"),
	       -EWOULDBLOCK);
	close(importer);
	expect("unload of what is needed", kmod_unload("device_heap"),
	       -EWOULDBLOCK);
	expect("unload with a heap open", unload_soon("device_heap_test"), 0);
	expect("sync after it", sync_start(buf), -ENODEV);
	expect("allocate after it", try_alloc(heap), -ENODEV);
	expect("query after it", query(heap, &who), -ENODEV);
	expect("name after it", access("/dev/dma_heap/test-heap", F_OK), -1);
	expect("unload with a buffer", kmod_unload("device_heap"),
	       -EWOULDBLOCK);
	close(buf);
	expect("unload without a buffer", unload_soon("device_heap"), 0);
	expect("allocate without the code", try_alloc(heap), -ENODEV);
	expect("query without the code", query(heap, &who), -ENODEV);
}

static void load_kunit(const void *unused)
{
	load("dmabuf_kunit");
}

int main(void)
{
	char only[16];

	/* On a kernel that has the heaps built in */
	if (cmdline_get("modules.only", only, sizeof(only))) {
		trace_attach();
		queries();
		return 0;
	}
	row("load device heaps", load_heaps, NULL);
	queries();
	row("unload while in use", unload_in_use, NULL);
	row("load again", load_heaps, NULL);
	row("unload while in use, again", unload_in_use, NULL);
	row("load KUnit", load_kunit, NULL);
	return 0;
}
