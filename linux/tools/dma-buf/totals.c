// SPDX-License-Identifier: GPL-2.0-only
/*
 * How much memory each exporter and each process has in DMA-bufs. A buffer that
 * several processes hold counts for each of them.
 */
#include <stdlib.h>
#include <string.h>

#include "lsdmabuf.h"

struct total {
	const char *name;
	/* 0 for an exporter */
	int pid;
	unsigned long long buffers;
	unsigned long long size;
};

struct totals {
	struct total *all;
	size_t count;
	size_t room;
};

static void totals_add(struct totals *totals, const char *name, int pid,
		       unsigned long long size)
{
	if (totals->count == totals->room) {
		totals->room = totals->room * 2 ?: 64;
		totals->all = realloc(totals->all,
				      totals->room * sizeof(*totals->all));
		if (!totals->all)
			die("out of memory");
	}
	totals->all[totals->count++] = (struct total){ name, pid, 1, size };
}

static int by_name(const void *a, const void *b)
{
	const struct total *one = a, *other = b;

	if (one->pid != other->pid)
		return one->pid < other->pid ? -1 : 1;
	return one->pid ? 0 : strcmp(one->name, other->name);
}

static int by_total(const void *a, const void *b)
{
	const struct total *one = a, *other = b;

	if (one->size != other->size)
		return one->size < other->size ? 1 : -1;
	return by_name(a, b);
}

/* One for each name or process, the largest first */
static void totals_merge(struct totals *totals)
{
	struct total *all = totals->all;
	size_t i, kept = 0;

	if (!totals->count)
		return;
	qsort(all, totals->count, sizeof(*all), by_name);
	for (i = 1; i < totals->count; i++) {
		if (by_name(&all[kept], &all[i])) {
			all[++kept] = all[i];
			continue;
		}
		all[kept].buffers++;
		all[kept].size += all[i].size;
	}
	totals->count = kept + 1;
	qsort(all, totals->count, sizeof(*all), by_total);
}

static struct totals of_exporters(const struct buffer *buf)
{
	struct totals totals = {};

	for (; buf; buf = buf->next)
		totals_add(&totals, buf->exporter, 0, buf->size);
	totals_merge(&totals);
	return totals;
}

static struct totals of_processes(const struct buffer *buf)
{
	const struct holder *holder;
	struct totals totals = {};

	for (; buf; buf = buf->next)
		for (holder = buf->holders; holder; holder = holder->next)
			totals_add(&totals, holder->comm, holder->pid,
				   buf->size);
	totals_merge(&totals);
	return totals;
}

static void print_totals(const struct totals *totals, const char *title)
{
	const struct total *total;

	fprintf(out, "%8s  %8s  %s\n", "BUFFERS", "SIZE", title);
	for (total = totals->all; total < totals->all + totals->count; total++) {
		fprintf(out, "%8llu  %8s  ", total->buffers,
			human(total->size));
		if (total->pid)
			fprintf(out, "%s[%d]\n", clean_comm(total->name),
				total->pid);
		else
			fprintf(out, "%s\n", clean(total->name));
	}
}

void totals_table(const struct buffer *buffers)
{
	struct totals exporters = of_exporters(buffers);
	struct totals processes = of_processes(buffers);

	print_totals(&exporters, "EXPORTER");
	putc('\n', out);
	print_totals(&processes, "PROCESS");
	free(exporters.all);
	free(processes.all);
}

static void json_totals(const struct totals *totals, const char *name)
{
	size_t i;

	fprintf(out, "\"%s\": [", name);
	for (i = 0; i < totals->count; i++) {
		const struct total *total = &totals->all[i];

		fprintf(out, "%s\n  {", i ? "," : "");
		if (total->pid)
			fprintf(out, "\"pid\": %d, ", total->pid);
		json_member(total->pid ? "comm" : "exporter", total->name);
		fprintf(out, ", \"buffers\": %llu, \"size\": %llu}",
			total->buffers, total->size);
	}
	fprintf(out, "\n]");
}

void totals_json(const struct buffer *buffers)
{
	struct totals exporters = of_exporters(buffers);
	struct totals processes = of_processes(buffers);

	fprintf(out, "{");
	json_totals(&exporters, "exporters");
	fprintf(out, ",\n");
	json_totals(&processes, "processes");
	fprintf(out, "}\n");
	free(exporters.all);
	free(processes.all);
}
