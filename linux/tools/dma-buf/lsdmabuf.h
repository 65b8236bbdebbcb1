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

/* Where all answers go: standard output, or the file of --output */
extern FILE *out;

/* Print one line to stderr, what is wrong or what to do, and exit */
void __noreturn __printf(1, 2) die(const char *fmt, ...);

/* Like calloc(1, size) and strdup(), but exit if out of memory */
void *zalloc(size_t size);
char *copy(const char *text);

/* Is this a type of file system that the kernel knows? */
bool knows_filesystem(const char *type);

/* text.c */

/* Like asprintf(), but exits if out of memory */
char *__printf(1, 2) format(const char *fmt, ...);

/*
 * What comes from elsewhere, in a form that may be printed; inside "name[12]", and
 * inside quotation marks. What these return lives for the next few calls.
 */
const char *clean(const char *text);
const char *clean_comm(const char *text);
const char *clean_quoted(const char *text);
/* 4K, 1.5M */
/* A kernel without names of functions has given the address of one */
bool is_address(const char *text);
const char *human(unsigned long long size);

/* To @out, as ASCII; NULL is null */
void json_string(const char *text);
void json_member(const char *key, const char *value);

/* source.c: lists live until the end */

struct holder {
	struct holder *next;
	int pid;
	const char *comm;
	unsigned int fds;
	unsigned int maps;
};

struct attachment {
	struct attachment *next;
	char *importer;
	/* NULL if this kernel has no mapping types */
	char *type;
	/* NULL without one */
	char *converter;
	/* What the type says of itself, or NULL */
	char *detail;
};

struct buffer {
	struct buffer *next;
	struct buffer *same_hash;
	unsigned long long ino;
	unsigned long long size;
	unsigned int flags;
	unsigned int mode;
	long count;
	char *exporter;
	/* NULL without one */
	char *name;
	struct holder *holders;
	struct holder *last_holder;
	struct attachment *attachments;
};

struct buffer *buffers_read(void);

/* bufinfo.c */
struct buffer *bufinfo_parse(FILE *file);
void buffers_free(struct buffer *buf);

/* holders.c: with @add, buffers that are not in the list are added to it */
void holders_read(struct buffer **buffers, bool add);

/* list.c */
void list_table(struct buffer *buffers);
void list_tree(struct buffer *buffers);
void list_json(struct buffer *buffers);

/* totals.c */
void totals_table(const struct buffer *buffers);
void totals_json(const struct buffer *buffers);

/* trace.c */
struct why_options {
	/* The kernel has no mapping types: set by trace.c */
	bool stock;
	bool json;
	bool verbose;
	/* Who runs the command, NULL for the caller */
	const char *user;
};

void watch(bool json);
/* Returns the exit status of the command */
int why_command(char **argv, const struct why_options *options);
void why_recorded(const struct why_options *options);
void why_stop(void);

/* why.c: what a trace event says, without the library that reads it */

struct event {
	const char *name;
	int pid;
	const char *comm;
	/* Nanoseconds */
	unsigned long long time;
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
	/* For dma_buf_failed, what failed */
	const char *verdict;
	int err;
	/* Of a map */
	unsigned long long ranges;
	/* Of dma_buf_p2p_obstacle */
	const char *function;
	unsigned int vendor;
	unsigned int device;
	/*
	 * The system call in which this happened: a number of its own, 0 if that
	 * is unknown, and its error, 0 if it had none
	 */
	unsigned long call;
	int call_err;
};

void why_begin(const struct why_options *options);
/* Events in the order of time */
void why_event(const struct event *event);
/* Call this before an event if events before it were lost */
void why_lost(void);
/* After the last event: the rest, and what was seen */
void why_end(void);

#endif /* LSDMABUF_H */
