// SPDX-License-Identifier: GPL-2.0-only
/*
 * Text from elsewhere: names of buffers, processes, devices and drivers.
 *
 * Anybody may have chosen it. What is not printable ASCII is escaped, so that no
 * name can make a line of its own, or talk to the terminal.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lsdmabuf.h"

/* So many cleaned texts are valid at a time: enough for one line */
#define RING 16

char *format(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		die("out of memory");
	va_end(args);
	return text;
}

/* Spaces in a row, or at an end, would look like another column */
static bool is_plain(const char *text, const char *c, const char *special)
{
	if (*c == ' ')
		return c != text && c[-1] != ' ' && c[1];
	return *c > ' ' && *c < 0x7f && *c != '\\' && !strchr(special, *c);
}

static char *escape(const char *text, const char *special)
{
	char *clean = malloc(4 * strlen(text) + 1), *end = clean;
	const char *c;

	if (!clean)
		die("out of memory");
	for (c = text; *c; c++) {
		if (is_plain(text, c, special))
			*end++ = *c;
		else if (*c == '\\' || *c == '"')
			end += sprintf(end, "\\%c", *c);
		else
			end += sprintf(end, "\\x%02x", (unsigned char)*c);
	}
	*end = '\0';
	return clean;
}

static const char *keep(char *text)
{
	static char *ring[RING];
	static unsigned int next;

	free(ring[next % RING]);
	ring[next % RING] = text;
	return ring[next++ % RING];
}

const char *clean(const char *text)
{
	return keep(escape(text, ""));
}

/* Inside "name[12],name[34]", and in the brackets of a sentence */
const char *clean_comm(const char *text)
{
	return keep(escape(text, "[](),"));
}

/* Inside quotation marks */
const char *clean_quoted(const char *text)
{
	return keep(escape(text, "\""));
}

bool is_address(const char *text)
{
	return !strncmp(text, "0x", 2) &&
	       !text[2 + strspn(text + 2, "0123456789abcdef")];
}

/* 4K, 1.5M: exact if there is no point, else rounded down */
const char *human(unsigned long long size)
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
		return keep(format("%llu", size));
	if (!tenths)
		return keep(format("%llu%c", size, *unit));
	return keep(format("%llu.%llu%c", size, tenths, *unit));
}

/* ---- JSON ---- */

/*
 * The character that begins here, and its length. What is not UTF-8 counts as
 * one byte, and becomes the replacement character.
 */
static unsigned int utf8_char(const unsigned char *s, int *len)
{
	static const unsigned int least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	int i, bytes = *s >= 0xf0 ? 4 : *s >= 0xe0 ? 3 : 2;
	unsigned int code = *s & (0x7f >> bytes);

	*len = 1;
	if (*s < 0x80)
		return *s;
	if (*s < 0xc0 || *s > 0xf4)
		return 0xfffd;
	for (i = 1; i < bytes; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0xfffd;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (code < least[bytes] || code > 0x10ffff || code >> 11 == 0x1b)
		return 0xfffd;
	*len = bytes;
	return code;
}

static void json_char(unsigned int code)
{
	if (code == '"' || code == '\\')
		fprintf(out, "\\%c", code);
	else if (code >= ' ' && code < 0x7f)
		putc(code, out);
	else if (code < 0x10000)
		fprintf(out, "\\u%04x", code);
	else
		fprintf(out, "\\u%04x\\u%04x", 0xd7c0 + (code >> 10),
			0xdc00 + (code & 0x3ff));
}

void json_string(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	int len;

	if (!text) {
		fprintf(out, "null");
		return;
	}
	putc('"', out);
	for (; *s; s += len)
		json_char(utf8_char(s, &len));
	putc('"', out);
}

void json_member(const char *key, const char *value)
{
	fprintf(out, "\"%s\": ", key);
	json_string(value);
}
