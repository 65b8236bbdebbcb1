/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * lsdmabuf: DMA-bufs, who holds and who imports them, and why an import failed.
 */
#ifndef LSDMABUF_H
#define LSDMABUF_H

#include <linux/compiler.h>
#include <stdbool.h>
#include <stdio.h>

#define PROGRAM "lsdmabuf"
#define UNPATCHED "this kernel has no DMA-buf mapping types"

/* Print one line to stderr, what is wrong or what to do, and exit */
void __noreturn __printf(1, 2) die(const char *fmt, ...);

/* Like calloc(1, size) and strdup(), but exit if out of memory */
void *zalloc(size_t size);
char *copy(const char *text);

/* Is this a type of file system that the kernel knows? */
bool knows_filesystem(const char *type);

/* bufinfo.c: lists are in the order of the kernel, and live until the end */

struct holder {
	struct holder *next;
	int pid;
	char *comm;
	unsigned int fds;
	unsigned int maps;
};

struct attachment {
	struct attachment *next;
	char *importer;
	char *type;
	/* NULL without one */
	char *converter;
	/* What the type says of itself, or NULL */
	char *detail;
};

struct buffer {
	struct buffer *next;
	unsigned long long ino;
	unsigned long long size;
	unsigned int flags;
	unsigned int mode;
	long count;
	char *exporter;
	/* NULL without one */
	char *name;
	struct holder *holders;
	struct attachment *attachments;
};

struct buffer *buffers_read(void);

/* list.c */
void list_table(const struct buffer *buffers);
void list_tree(const struct buffer *buffers);
void list_json(const struct buffer *buffers);

/* trace.c */
void watch(void);
/* Returns the exit status of the command */
int why_command(char **argv, bool verbose);
void why_recorded(bool verbose);
void why_stop(void);

/* why.c: what a trace event says, without the library that reads it */

struct event {
	const char *name;
	int pid;
	const char *comm;
	unsigned long long attach;
	unsigned long long ino;
	const char *exporter;
	/* The device that has the memory, "none" where no type says so */
	const char *provider;
	const char *importer;
	/* For an attachment, both are the matched type */
	const char *offer;
	const char *request;
	const char *converter;
	const char *verdict;
	int err;
};

/* Events in the order of time; prints a sentence to @out for each refusal */
void why_event(const struct event *event, FILE *out, bool verbose);
/* Call this before an event if events before it were lost */
void why_lost(void);
/* After the last event */
void why_flush(FILE *out);
/* Number of sentences so far */
unsigned int why_sentences(void);

#endif /* LSDMABUF_H */
