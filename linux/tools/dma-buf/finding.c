// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is said of imports, one finding after the other: as a sentence, or for
 * programs as JSON with the same sentence in it.
 */
#include <stdlib.h>
#include <string.h>

#include "why.h"

struct findings findings;

/* The finding before this one, not printed yet, and how often it came */
static char *last;
static unsigned int last_count;

/* Without names of functions, the kernel has nothing but an address */
bool is_named(const char *importer)
{
	return !is_none(importer) && !is_address(importer);
}

void finding_open(struct finding *finding)
{
	finding->file = open_memstream(&finding->text, &finding->len);
	if (!finding->file)
		die("out of memory");
}

static void close_text(struct finding *finding)
{
	if (fclose(finding->file))
		die("out of memory");
}

void finding_begin(struct finding *finding, const char *kind,
		   const struct event *event, const char *importer)
{
	*finding = (struct finding){
		.kind = kind,
		.importer = is_named(importer) ? importer : NULL,
		.comm = event->comm,
		.pid = event->pid,
		.ino = event->ino,
		.exporter = event->exporter,
		.err = event->err,
	};
	finding_open(finding);
	fprintf(finding->file, "%s (%s[%d]) ",
		finding->importer ? clean(importer) : "an importer without a device",
		clean_comm(event->comm), event->pid);
	findings.count++;
}

void finding_buffer(const struct finding *finding, const char *verb)
{
	fprintf(finding->file, "%s buffer %llu of %s", verb, finding->ino,
		clean(finding->exporter));
}

/* The JSON of a finding, without its end: how often it came */
static char *json_of(const struct finding *finding)
{
	FILE *real = out;
	char *text;
	size_t len;

	out = open_memstream(&text, &len);
	if (!out)
		die("out of memory");
	fprintf(out, "  {");
	json_member("kind", finding->kind);
	fprintf(out, ", ");
	json_member("importer", finding->importer);
	fprintf(out, ", ");
	json_member("comm", finding->comm);
	fprintf(out, ", \"pid\": %d, \"ino\": %llu, ", finding->pid,
		finding->ino);
	json_member("exporter", finding->exporter);
	fprintf(out, ", ");
	json_member("word", finding->word);
	fprintf(out, ", \"errno\": %d, ", abs(finding->err));
	json_member("text", finding->text);
	if (fclose(out))
		die("out of memory");
	out = real;
	return text;
}

void findings_flush(void)
{
	if (!last)
		return;
	if (findings.json) {
		fprintf(out, "%s%s, \"times\": %u}", findings.printed ? ",\n" : "", last,
			last_count);
	} else {
		fputs(last, out);
		if (last_count > 1)
			fprintf(out, " (%u times)", last_count);
		putc('\n', out);
	}
	findings.printed++;
	free(last);
	last = NULL;
}

/* A program that tries again and again gets a single sentence */
void finding_finish(struct finding *finding)
{
	char *text;

	close_text(finding);
	text = finding->text;
	if (findings.json) {
		text = json_of(finding);
		free(finding->text);
	}
	if (last && !strcmp(last, text)) {
		free(text);
	} else {
		findings_flush();
		last = text;
		last_count = 0;
	}
	last_count++;
}
