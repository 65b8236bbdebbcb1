// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads the buffers and their attachments from the text of bufinfo in debugfs.
 *
 * Whoever holds a buffer can name it, with up to 31 bytes of free text and lines
 * of its own. Of each buffer the kernel writes
 *
 *	SIZE FLAGS MODE COUNT EXPORTER INO NAME, with tabs between
 *	its fences, one a line
 *	"\tAttached Devices:"
 *	a tab and the importer, one a line
 *	"Total N devices attached"
 *	an empty line
 *
 * Only the last two end a buffer, only after the third, and only if N is right.
 * A name is too short for the third and the last two, so that nothing in it can
 * end its buffer, or be taken for another one. What a name claims to be attached
 * is dropped when the kernel's own "Attached Devices:" comes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lsdmabuf.h"

#define NAME_LEN 31

enum { BETWEEN, IN_BUFFER, IN_ATTACHMENTS, AFTER_TOTAL };

struct parser {
	int state;
	/* The name may go on in the next line */
	bool in_name;
	unsigned int count;
	struct buffer *first;
	struct buffer **end;
	struct buffer *buf;
	struct attachment **at_end;
};

static struct buffer *parse_buffer(const char *line)
{
	struct buffer *buf = zalloc(sizeof(*buf));
	int name = 0;

	if (sscanf(line, "%llu\t%x\t%x\t%ld\t%m[^\t]\t%llu%n", &buf->size,
		   &buf->flags, &buf->mode, &buf->count, &buf->exporter,
		   &buf->ino, &name) != 6 ||
	    !name || line[name] != '\t') {
		free(buf->exporter);
		free(buf);
		return NULL;
	}
	buf->name = copy(line + name + 1);
	return buf;
}

/*
 * "\tIMPORTER", for kernels with mapping types followed by
 * "\ttype=TYPE converter=NAME", and whatever the type adds
 */
static struct attachment *parse_attachment(const char *line)
{
	struct attachment *at;
	const char *types;
	int end = 0;

	if (line[0] != '\t' || !line[1])
		return NULL;
	at = zalloc(sizeof(*at));
	types = strchrnul(line + 1, '\t');
	at->importer = strndup(line + 1, types - line - 1);
	if (!at->importer)
		die("out of memory");
	if (sscanf(types, "\ttype=%ms converter=%ms%n", &at->type,
		   &at->converter, &end) == 2 && end) {
		types += end + strspn(types + end, " ");
		at->detail = *types ? copy(types) : NULL;
	}
	if (is_address(at->importer)) {
		free(at->importer);
		at->importer = NULL;
	}
	if (at->converter && !strcmp(at->converter, "none")) {
		free(at->converter);
		at->converter = NULL;
	}
	return at;
}

static void attachments_free(struct attachment *at)
{
	struct attachment *next;

	for (; at; at = next) {
		next = at->next;
		free(at->importer);
		free(at->type);
		free(at->converter);
		free(at->detail);
		free(at);
	}
}

void buffers_free(struct buffer *buf)
{
	struct buffer *next;
	struct holder *holder;

	for (; buf; buf = next) {
		next = buf->next;
		attachments_free(buf->attachments);
		while ((holder = buf->holders)) {
			buf->holders = holder->next;
			free(holder);
		}
		free(buf->exporter);
		free(buf->name);
		free(buf);
	}
}

static void take_buffer(struct parser *parser, const char *line)
{
	struct buffer *buf = parse_buffer(line);

	if (!buf)
		return;
	*parser->end = buf;
	parser->end = &buf->next;
	parser->buf = buf;
	parser->state = IN_BUFFER;
	parser->in_name = true;
}

/* Fences come after the name. A name that looks like one is cut, and no more */
static bool is_fence(const char *line)
{
	return line[0] == '\t' && strstr(line, " fence:");
}

static void take_name(struct parser *parser, const char *line)
{
	char **name = &parser->buf->name, *longer;

	if (parser->in_name && !is_fence(line) &&
	    strlen(*name) + 1 + strlen(line) <= NAME_LEN) {
		longer = format("%s\n%s", *name, line);
		free(*name);
		*name = longer;
	} else {
		parser->in_name = false;
	}
}

static void begin_attachments(struct parser *parser)
{
	attachments_free(parser->buf->attachments);
	parser->buf->attachments = NULL;
	parser->at_end = &parser->buf->attachments;
	parser->count = 0;
	parser->state = IN_ATTACHMENTS;
}

static void take_attachment(struct parser *parser, const char *line)
{
	struct attachment *at = parse_attachment(line);
	unsigned int total;
	int end = 0;

	if (at) {
		*parser->at_end = at;
		parser->at_end = &at->next;
		parser->count++;
	} else if (sscanf(line, "Total %u devices attached%n", &total, &end) == 1 &&
		   end && !line[end] && total == parser->count) {
		parser->state = AFTER_TOTAL;
	}
}

static void take_line(struct parser *parser, const char *line)
{
	switch (parser->state) {
	case BETWEEN:
		take_buffer(parser, line);
		break;
	case IN_BUFFER:
		if (!strcmp(line, "\tAttached Devices:"))
			begin_attachments(parser);
		else
			take_name(parser, line);
		break;
	case IN_ATTACHMENTS:
		if (!strcmp(line, "\tAttached Devices:"))
			begin_attachments(parser);
		else
			take_attachment(parser, line);
		break;
	case AFTER_TOTAL:
		parser->state = *line ? IN_ATTACHMENTS : BETWEEN;
	}
}

/* The kernel has a word for no name */
static void finish_names(struct buffer *buf)
{
	for (; buf; buf = buf->next) {
		if (*buf->name && strcmp(buf->name, "<none>"))
			continue;
		free(buf->name);
		buf->name = NULL;
	}
}

struct buffer *bufinfo_parse(FILE *file)
{
	struct parser parser = { .end = &parser.first };
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	while ((len = getline(&line, &size, file)) > 0) {
		if (line[len - 1] == '\n')
			line[len - 1] = '\0';
		take_line(&parser, line);
	}
	if (ferror(file))
		die("bufinfo: %s", strerror(errno));
	free(line);
	finish_names(parser.first);
	return parser.first;
}
