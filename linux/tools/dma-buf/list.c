// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers as a table, as a tree, and as JSON: the largest ones first.
 */
#include <stdlib.h>
#include <string.h>

#include "lsdmabuf.h"

static const char *none_or(const char *text)
{
	return text ? clean(text) : "-";
}

/* "qemu[12],weston[7]" */
static char *holders_of(const struct buffer *buf)
{
	const struct holder *holder;
	char *text = NULL;
	size_t len;
	FILE *file;

	if (!buf->holders)
		return copy("-");
	file = open_memstream(&text, &len);
	if (!file)
		die("out of memory");
	for (holder = buf->holders; holder; holder = holder->next)
		fprintf(file, "%s[%d]%s", clean_comm(holder->comm), holder->pid,
			holder->next ? "," : "");
	if (fclose(file))
		die("out of memory");
	return text;
}

static int by_size(const void *a, const void *b)
{
	const struct buffer *one = *(const struct buffer *const *)a;
	const struct buffer *other = *(const struct buffer *const *)b;

	if (one->size != other->size)
		return one->size < other->size ? 1 : -1;
	return one->ino < other->ino ? -1 : one->ino > other->ino;
}

static int by_exporter(const void *a, const void *b)
{
	const struct buffer *one = *(const struct buffer *const *)a;
	const struct buffer *other = *(const struct buffer *const *)b;

	return strcmp(one->exporter, other->exporter) ?: by_size(a, b);
}

/* The list as an array that ends with NULL */
static struct buffer **sorted(struct buffer *first,
			      int (*order)(const void *, const void *))
{
	struct buffer **all, *buf;
	size_t count = 0, i = 0;

	for (buf = first; buf; buf = buf->next)
		count++;
	all = zalloc((count + 1) * sizeof(*all));
	for (buf = first; buf; buf = buf->next)
		all[i++] = buf;
	qsort(all, count, sizeof(*all), order);
	return all;
}

/* ---- table ---- */

#define COLUMNS 9

static const char *const titles[COLUMNS] = {
	"INO",	    "SIZE", "EXPORTER",	 "NAME",   "HOLDERS",
	"IMPORTER", "TYPE", "CONVERTER", "DETAIL",
};

struct row {
	struct row *next;
	char *cells[COLUMNS];
};

static void buffer_cells(struct row *row, const struct buffer *buf)
{
	row->cells[0] = format("%llu", buf->ino);
	row->cells[1] = copy(human(buf->size));
	row->cells[2] = copy(clean(buf->exporter));
	row->cells[3] = buf->name ? format("\"%s\"", clean_quoted(buf->name)) :
				    copy("-");
	row->cells[4] = holders_of(buf);
}

static void attachment_cells(struct row *row, const struct attachment *at)
{
	row->cells[5] = copy(none_or(at->importer));
	row->cells[6] = copy(none_or(at->type));
	row->cells[7] = copy(none_or(at->converter));
	row->cells[8] = at->detail ? copy(clean(at->detail)) : NULL;
}

/* The first attachment is beside its buffer, the others beneath */
static struct row **rows_of(struct row **end, const struct buffer *buf)
{
	const struct attachment *at = buf->attachments;
	struct row *row = zalloc(sizeof(*row));

	buffer_cells(row, buf);
	if (!at)
		row->cells[5] = copy("-");
	for (;;) {
		*end = row;
		end = &row->next;
		if (!at)
			return end;
		attachment_cells(row, at);
		at = at->next;
		if (!at)
			return end;
		row = zalloc(sizeof(*row));
	}
}

/* Do not pad what has nothing to its right */
static void print_row(char *const *cells, const int *width)
{
	int i, last = COLUMNS - 1;

	while (last && !cells[last])
		last--;
	for (i = 0; i < last; i++)
		fprintf(out, "%*s  ", i < 2 ? width[i] : -width[i],
			cells[i] ?: "");
	fprintf(out, "%s\n", cells[last]);
}

static void print_rows(const struct row *rows)
{
	const struct row *row;
	int width[COLUMNS] = {};
	int i;

	for (row = rows; row; row = row->next)
		for (i = 0; i < COLUMNS; i++)
			if (row->cells[i] && (int)strlen(row->cells[i]) > width[i])
				width[i] = strlen(row->cells[i]);
	for (row = rows; row; row = row->next)
		print_row(row->cells, width);
}

void list_table(struct buffer *buffers)
{
	struct row *head = zalloc(sizeof(*head));
	struct row **end = &head->next;
	struct buffer **all = sorted(buffers, by_size), **buf;
	int i;

	for (i = 0; i < COLUMNS; i++)
		head->cells[i] = copy(titles[i]);
	for (buf = all; *buf; buf++)
		end = rows_of(end, *buf);
	print_rows(head);
	free(all);
}

/* ---- tree ---- */

static void tree_attachment(const struct attachment *at)
{
	fprintf(out, "   %s %s", at->next ? "|-" : "`-", none_or(at->importer));
	if (at->type)
		fprintf(out, "  %s", clean(at->type));
	if (at->converter)
		fprintf(out, " by %s", clean(at->converter));
	if (at->detail)
		fprintf(out, "  %s", clean(at->detail));
	putc('\n', out);
}

static void tree_buffer(const struct buffer *buf, bool last)
{
	const struct attachment *at;
	char *holders = holders_of(buf);

	fprintf(out, "%s %llu  %s", last ? "`-" : "|-", buf->ino,
		human(buf->size));
	if (buf->name)
		fprintf(out, "  \"%s\"", clean_quoted(buf->name));
	fprintf(out, "  held by %s\n", buf->holders ? holders : "the kernel");
	free(holders);
	for (at = buf->attachments; at; at = at->next) {
		putc(last ? ' ' : '|', out);
		tree_attachment(at);
	}
}

void list_tree(struct buffer *buffers)
{
	struct buffer **all = sorted(buffers, by_exporter), **buf;
	const char *exporter = NULL;

	for (buf = all; *buf; buf++) {
		if (!exporter || strcmp(exporter, (*buf)->exporter))
			fprintf(out, "%s\n", clean((*buf)->exporter));
		exporter = (*buf)->exporter;
		tree_buffer(*buf, !buf[1] || strcmp(exporter, buf[1]->exporter));
	}
	free(all);
}

/* ---- JSON ---- */

static void json_holders(const struct holder *holder)
{
	fprintf(out, "\"holders\": [");
	for (; holder; holder = holder->next) {
		fprintf(out, "{\"pid\": %d, ", holder->pid);
		json_member("comm", holder->comm);
		fprintf(out, ", \"fds\": %u, \"maps\": %u}%s", holder->fds,
			holder->maps, holder->next ? ", " : "");
	}
	fprintf(out, "]");
}

/* The word after "p2p=", NULL if the type says nothing about P2P */
static char *p2p_of(const struct attachment *at)
{
	char *p2p = NULL;

	if (at->detail && sscanf(at->detail, "p2p=%ms", &p2p) != 1)
		p2p = NULL;
	return p2p;
}

static void json_attachment(const struct attachment *at)
{
	char *p2p = p2p_of(at);

	fprintf(out, "{");
	json_member("importer", at->importer);
	fprintf(out, ", ");
	json_member("type", at->type);
	fprintf(out, ", ");
	json_member("converter", at->converter);
	fprintf(out, ", ");
	json_member("p2p", p2p);
	fprintf(out, ", ");
	json_member("detail", at->detail);
	fprintf(out, "}%s", at->next ? ", " : "");
	free(p2p);
}

static void json_buffer(const struct buffer *buf)
{
	const struct attachment *at;

	fprintf(out, "{\"ino\": %llu, \"size\": %llu, ", buf->ino, buf->size);
	fprintf(out, "\"flags\": %u, \"mode\": %u, \"count\": %ld, ", buf->flags,
		buf->mode, buf->count);
	json_member("exporter", buf->exporter);
	fprintf(out, ", ");
	json_member("name", buf->name);
	fprintf(out, ",\n   ");
	json_holders(buf->holders);
	fprintf(out, ",\n   \"attachments\": [");
	for (at = buf->attachments; at; at = at->next)
		json_attachment(at);
	fprintf(out, "]}");
}

void list_json(struct buffer *buffers)
{
	struct buffer **all = sorted(buffers, by_size), **buf;

	fprintf(out, "{\"buffers\": [");
	for (buf = all; *buf; buf++) {
		fprintf(out, "\n  ");
		json_buffer(*buf);
		if (buf[1])
			putc(',', out);
	}
	fprintf(out, "\n]}\n");
	free(all);
}
