// SPDX-License-Identifier: GPL-2.0
/*
 * What lsdmabuf prints, without a kernel that has DMA-bufs:
 *
 *	lister table|tree|json|totals|totals-json < BUFINFO
 *	lister many COUNT	COUNT files that this process holds, and the time in CPU ms
 *
 * holders.c is compiled to take memfds for DMA-bufs. The comm of the holder of every
 * buffer in BUFINFO is argv[2].
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "main.h"

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 77;
}

#define EACH 10000	/* a process may have no more open, for some */

/* A process that has COUNT files open until @end is closed */
static void open_files(int count, const int *ready, const int *end)
{
	char byte;

	close(end[1]);
	while (count--)
		if (memfd_create("x", 0) < 0)
			_exit(fail("memfd_create"));
	if (write(ready[1], "", 1) == 1 && read(end[0], &byte, 1))
		_exit(1);
	_exit(0);
}

static bool processes(int count, const int *ready, const int *end)
{
	char byte;

	for (int i = 0; i < count; i += EACH) {
		if (!fork())
			open_files(count - i < EACH ? count - i : EACH, ready, end);
		if (read(ready[0], &byte, 1) != 1)
			return false;
	}
	return true;
}

static int many(int count)
{
	struct buffer *buffers = NULL, *buf;
	int found = 0, ready[2], end[2];
	clock_t began;

	if (pipe(ready) || pipe(end) || !processes(count, ready, end))
		return fail("processes");
	/* The first time for what debugfs would tell */
	holders_read(&buffers, true);
	for (buf = buffers; buf; buf = buf->next)
		buf->holders = buf->last_holder = NULL;
	began = clock();
	holders_read(&buffers, false);
	out = fopen("/dev/null", "w");
	list_table(buffers);
	totals_table(buffers);
	began = clock() - began;
	for (buf = buffers; buf; buf = buf->next)
		found += !!buf->holders;
	printf("%d %ld\n", found, began * 1000 / CLOCKS_PER_SEC);
	return 0;
}

static void hold(struct buffer *buf, const char *comm)
{
	for (int pid = 12; buf; buf = buf->next, pid++) {
		buf->holders = zalloc(sizeof(*buf->holders));
		buf->holders->pid = pid;
		buf->holders->comm = comm;
		buf->holders->fds = 1;
	}
}

int main(int argc, char **argv)
{
	struct buffer *buffers;

	if (argc < 3)
		return 1;
	if (!strcmp(argv[1], "many"))
		return many(atoi(argv[2]));
	out = stdout;
	buffers = bufinfo_parse(stdin);
	hold(buffers, argv[2]);
	if (!strcmp(argv[1], "table"))
		list_table(buffers);
	else if (!strcmp(argv[1], "tree"))
		list_tree(buffers);
	else if (!strcmp(argv[1], "json"))
		list_json(buffers);
	else if (!strcmp(argv[1], "totals"))
		totals_table(buffers);
	else
		totals_json(buffers);
	return 0;
}
