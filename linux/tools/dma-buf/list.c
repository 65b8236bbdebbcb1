// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers as a table, as a tree, and as JSON.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lsdmabuf.h"

static __printf(1, 2) char *format(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		die("out of memory");
	va_end(args);
	return text;
}

/* A name is free text: it must not talk to the terminal */
static char *printable(const char *text)
{
	char *clean = copy(text ?: "-");
	char *c;

	for (c = clean; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return clean;
}

/* 4K, 1.5M: exact if there is no point, else rounded down */
static char *human(unsigned long long size)
{
	static const char units[] = " KMGTPE";
	unsigned long long tenths = 0;
	const char *unit = units;

	while (size >= 1024) {
		tenths = size % 1024 * 10 / 1024;
		size /= 1024;
		unit++;
	}
	if (unit == units)
		return format("%llu", size);
	if (!tenths)
		return format("%llu%c", size, *unit);
	return format("%llu.%llu%c", size, tenths, *unit);
}

/* "qemu[12],weston[7]" */
static char *holders_of(const struct buffer *buf)
{
	const struct holder *holder;
	char *all = NULL;

	for (holder = buf->holders; holder; holder = holder->next) {
		char *before = all;

		all = format("%s%s%s[%d]", before ?: "", before ? "," : "",
			     printable(holder->comm), holder->pid);
		free(before);
	}
	return all ?: copy("-");
}

/* ---- table ---- */

#define COLUMNS 9

static const char *const titles[COLUMNS] = {
	"INO",	    "SIZE", "EXPORTER",	 "NAME",   "HOLDERS",
	"IMPORTER", "TYPE", "CONVERTER", "DETAIL",
};

struct row {
	struct row *next;
	const char *cells[COLUMNS];
};

static void buffer_cells(struct row *row, const struct buffer *buf)
{
	row->cells[0] = format("%llu", buf->ino);
	row->cells[1] = human(buf->size);
	row->cells[2] = buf->exporter;
	row->cells[3] = printable(buf->name);
	row->cells[4] = holders_of(buf);
}

static void attachment_cells(struct row *row, const struct attachment *at)
{
	row->cells[5] = at->importer;
	row->cells[6] = at->type;
	row->cells[7] = at->converter ?: "-";
	row->cells[8] = at->detail ?: "";
}

static struct row *row_new(void)
{
	struct row *row = zalloc(sizeof(*row));
	int i;

	for (i = 0; i < COLUMNS; i++)
		row->cells[i] = "";
	return row;
}

/* The first attachment is beside its buffer, the others beneath */
static struct row **rows_of(struct row **end, const struct buffer *buf)
{
	const struct attachment *at = buf->attachments;
	struct row *row = row_new();

	buffer_cells(row, buf);
	if (!at)
		row->cells[5] = "-";
	for (;;) {
		*end = row;
		end = &row->next;
		if (!at)
			return end;
		attachment_cells(row, at);
		at = at->next;
		if (!at)
			return end;
		row = row_new();
	}
}

/* Do not pad what has nothing to its right */
static void print_row(const struct row *row, const int *width)
{
	int i, last = COLUMNS - 1;

	while (last && !*row->cells[last])
		last--;
	for (i = 0; i < last; i++)
		printf("%*s  ", i < 2 ? width[i] : -width[i], row->cells[i]);
	printf("%s\n", row->cells[last]);
}

static void print_rows(const struct row *rows)
{
	const struct row *row;
	int width[COLUMNS] = {};
	int i;

	for (row = rows; row; row = row->next)
		for (i = 0; i < COLUMNS; i++)
			if ((int)strlen(row->cells[i]) > width[i])
				width[i] = strlen(row->cells[i]);
	for (row = rows; row; row = row->next)
		print_row(row, width);
}

void list_table(const struct buffer *buffers)
{
	struct row *head = row_new();
	struct row **end = &head->next;

	memcpy(head->cells, titles, sizeof(titles));
	for (; buffers; buffers = buffers->next)
		end = rows_of(end, buffers);
	print_rows(head);
}

/* ---- tree ---- */

static const struct buffer *next_of(const struct buffer *buf,
				    const char *exporter)
{
	while (buf && strcmp(buf->exporter, exporter))
		buf = buf->next;
	return buf;
}

static bool is_first(const struct buffer *buffers, const struct buffer *buf)
{
	return next_of(buffers, buf->exporter) == buf;
}

static void tree_attachment(const struct attachment *at)
{
	printf("   %s %s  %s", at->next ? "|-" : "`-", at->importer, at->type);
	if (at->converter)
		printf(" by %s", at->converter);
	printf("%s%s\n", at->detail ? "  " : "", at->detail ?: "");
}

static void tree_buffer(const struct buffer *buf, bool last)
{
	const struct attachment *at;

	printf("%s %llu  %s", last ? "`-" : "|-", buf->ino, human(buf->size));
	if (buf->name)
		printf("  \"%s\"", printable(buf->name));
	printf("  held by %s\n", buf->holders ? holders_of(buf) : "the kernel");
	for (at = buf->attachments; at; at = at->next) {
		putchar(last ? ' ' : '|');
		tree_attachment(at);
	}
}

void list_tree(const struct buffer *buffers)
{
	const struct buffer *first, *buf, *next;

	for (first = buffers; first; first = first->next) {
		if (!is_first(buffers, first))
			continue;
		printf("%s\n", first->exporter);
		for (buf = first; buf; buf = next) {
			next = next_of(buf->next, first->exporter);
			tree_buffer(buf, !next);
		}
	}
}

/* ---- JSON ---- */

/* Length of the UTF-8 character that begins here, 0 if none does */
static int utf8_len(const unsigned char *s)
{
	static const unsigned int least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	int i, len = *s >= 0xf0 ? 4 : *s >= 0xe0 ? 3 : 2;
	unsigned int code = *s & (0x7f >> len);

	if (*s < 0xc0 || *s > 0xf4)
		return 0;
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (code < least[len] || code > 0x10ffff || code >> 11 == 0x1b)
		return 0;
	return len;
}

/* Writes one character; returns how many bytes it took */
static int json_char(const unsigned char *s)
{
	int len = *s < 0x80 ? 1 : utf8_len(s);

	if (*s == '"' || *s == '\\')
		printf("\\%c", *s);
	else if (*s < ' ' || *s == 0x7f)
		printf("\\u%04x", *s);
	else if (len)
		printf("%.*s", len, s);
	else
		printf("\\ufffd");
	return len ?: 1;
}

static void json_string(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	if (!text) {
		printf("null");
		return;
	}
	putchar('"');
	while (*s)
		s += json_char(s);
	putchar('"');
}

static void json_member(const char *key, const char *value)
{
	printf("\"%s\": ", key);
	json_string(value);
}

static void json_holders(const struct holder *holder)
{
	printf("\"holders\": [");
	for (; holder; holder = holder->next) {
		printf("{\"pid\": %d, ", holder->pid);
		json_member("comm", holder->comm);
		printf(", \"fds\": %u, \"maps\": %u}%s", holder->fds,
		       holder->maps, holder->next ? ", " : "");
	}
	printf("]");
}

/* The word after "p2p=", NULL if the type says nothing about P2P */
static char *p2p_of(const struct attachment *at)
{
	char *p2p = NULL;

	if (at->detail && sscanf(at->detail, "p2p=%ms", &p2p) != 1)
		p2p = NULL;
	return p2p;
}

static void json_attachments(const struct attachment *at)
{
	printf("\"attachments\": [");
	for (; at; at = at->next) {
		char *p2p = p2p_of(at);

		printf("{");
		json_member("importer", at->importer);
		printf(", ");
		json_member("type", at->type);
		printf(", ");
		json_member("converter", at->converter);
		printf(", ");
		json_member("p2p", p2p);
		printf(", ");
		json_member("detail", at->detail);
		printf("}%s", at->next ? ", " : "");
		free(p2p);
	}
	printf("]");
}

static void json_buffer(const struct buffer *buf)
{
	printf("{\"ino\": %llu, \"size\": %llu, ", buf->ino, buf->size);
	printf("\"flags\": %u, \"mode\": %u, \"count\": %ld, ", buf->flags,
	       buf->mode, buf->count);
	json_member("exporter", buf->exporter);
	printf(", ");
	json_member("name", buf->name);
	printf(",\n   ");
	json_holders(buf->holders);
	printf(",\n   ");
	json_attachments(buf->attachments);
	printf("}");
}

void list_json(const struct buffer *buffers)
{
	printf("{\"buffers\": [");
	for (; buffers; buffers = buffers->next) {
		printf("\n  ");
		json_buffer(buffers);
		if (buffers->next)
			putchar(',');
	}
	printf("\n]}\n");
}
