// SPDX-License-Identifier: GPL-2.0
/*
 * bufinfo as the kernel writes it, of buffers that a byte string describes: names of up
 * to 31 bytes of anything, fences, attachments of both kinds of kernels. Whatever the
 * names are, the parser of lsdmabuf must find these buffers and their attachments, and
 * nothing else. Then the byte string itself, as if the kernel had written that.
 *
 * Without libFuzzer: each argument is a file with such a string, and a number is so many
 * random ones.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "main.h"

#define BUFFERS		5
#define ATTACHMENTS	4
#define FENCES		3
#define NAME_LEN	31

#define CHECK(what)							\
	do {								\
		if (!(what)) {						\
			fprintf(stderr, "FAIL %s\n", #what);		\
			abort();					\
		}							\
	} while (0)

struct input {
	const uint8_t *bytes;
	size_t len;
};

static unsigned int take(struct input *in, unsigned int below)
{
	if (!in->len)
		return 0;
	in->len--;
	return *in->bytes++ % below;
}

/* What a name would have to contain; a single byte of the input picks one */
static const char *const lures[] = {
	"\tAttached Devices:", "Total 0 devices attached", "\n", "\n\n", "\t", "Total ",
	"Total 1 devices attached", "00001000\t00000002\t00000003\t1\tx\t7\ty",
	"\tx\ttype=SGT converter=none", "\twrite fence:", "8\t0\t0\t1\tx\t9\ty", "<none>",
};

#define LURES (sizeof(lures) / sizeof(lures[0]))

struct model {
	unsigned int fences, attachments;
	char name[NAME_LEN + 1];
};

static void take_name(struct input *in, char *name)
{
	unsigned int want = take(in, NAME_LEN + 1), len = 0;

	memset(name, 0, NAME_LEN + 1);
	while (len < want) {
		unsigned int c = take(in, 256);

		if (c >= 256 - LURES)
			strncpy(name + len, lures[256 - 1 - c], want - len);
		else
			name[len] = c ?: 'a';
		len = strlen(name);
	}
}

/* As dma_buf_debug_show() does it */
static void write_buffer(FILE *file, const struct model *model, unsigned int i, bool stock)
{
	fprintf(file, "%08zu\t%08x\t%08x\t%08ld\t%s\t%08lu\t%s\n", (size_t)4096 * (i + 1), 2, 3, 1L,
		"exporter", 100UL + i, model->name[0] ? model->name : "<none>");
	for (unsigned int k = 0; k < model->fences; k++)
		fprintf(file, "\t%s fence:%u:%u timeline driver signalled\n", k ? "read" : "write", k, k);
	fprintf(file, "\tAttached Devices:\n");
	for (unsigned int k = 0; k < model->attachments; k++)
		fprintf(file, "\t0000:00:%02u.0%s\n", k,
			stock ? "" : "\ttype=SGT converter=PAL->SGT p2p=none");
	fprintf(file, "Total %u devices attached\n\n", model->attachments);
}

static void check_buffer(const struct buffer *buf, const struct model *model, unsigned int i, bool stock)
{
	const struct attachment *at = buf->attachments;

	CHECK(buf->ino == 100 + i && buf->size == 4096 * (i + 1));
	CHECK(!strcmp(buf->exporter, "exporter"));
	for (unsigned int k = 0; k < model->attachments; k++, at = at->next) {
		char importer[32];

		CHECK(at);
		snprintf(importer, sizeof(importer), "0000:00:%02u.0", k);
		CHECK(!strcmp(at->importer, importer));
		CHECK(stock ? !at->type : !strcmp(at->type, "SGT"));
		CHECK(stock ? !at->converter : !strcmp(at->converter, "PAL->SGT"));
	}
	CHECK(!at);
	/* A name that looks like lines of the kernel may be cut, and no more than that */
	if (buf->name)
		CHECK(!strncmp(buf->name, model->name, strlen(buf->name)));
	if (model->name[0] && strcmp(model->name, "<none>") && !strchr(model->name, '\t'))
		CHECK(buf->name && !strcmp(buf->name, model->name));
}

static struct buffer *parse(const char *text, size_t len)
{
	FILE *file = fmemopen((void *)text, len, "r");
	struct buffer *buffers;

	CHECK(file);
	buffers = bufinfo_parse(file);
	fclose(file);
	return buffers;
}

static void model_run(struct input in)
{
	unsigned int count = take(&in, BUFFERS + 1), stock = take(&in, 2);
	struct model models[BUFFERS] = {};
	struct buffer *buffers, *buf;
	char *text;
	size_t len;
	FILE *file = open_memstream(&text, &len);

	fprintf(file, "\nDma-buf Objects:\n%-8s\t%-8s\t%-8s\t%-8s\texp_name\t%-8s\tname\n", "size",
		"flags", "mode", "count", "ino");
	for (unsigned int i = 0; i < count; i++) {
		models[i].fences = take(&in, FENCES);
		models[i].attachments = take(&in, ATTACHMENTS);
		take_name(&in, models[i].name);
		write_buffer(file, &models[i], i, stock);
	}
	fprintf(file, "\nTotal %u objects, %u bytes\n", count, count);
	fclose(file);

	buf = buffers = parse(text, len);
	for (unsigned int i = 0; i < count; i++, buf = buf->next) {
		CHECK(buf);
		check_buffer(buf, &models[i], i, stock);
	}
	CHECK(!buf);
	buffers_free(buffers);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct input in = { bytes, len };

	model_run(in);
	if (len)
		buffers_free(parse((const char *)bytes, len));
	return 0;
}

#ifndef LIBFUZZER
static void run_file(const char *path)
{
	static uint8_t bytes[4096];
	FILE *file = fopen(path, "r");

	CHECK(file);
	LLVMFuzzerTestOneInput(bytes, fread(bytes, 1, sizeof(bytes), file));
	fclose(file);
}

static void run_random(unsigned int count)
{
	uint8_t bytes[200];

	srand(1);
	while (count--) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = rand() % 3 ? rand() : 256 - 1 - rand() % LURES;
		LLVMFuzzerTestOneInput(bytes, sizeof(bytes));
	}
}

int main(int argc, char **argv)
{
	for (; argc > 1; argc--, argv++)
		if (atoi(argv[1]))
			run_random(atoi(argv[1]));
		else
			run_file(argv[1]);
	return 0;
}
#endif
