/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the trace events of an import say, and the sentences that come of it.
 */
#ifndef LSDMABUF_WHY_H
#define LSDMABUF_WHY_H

#include "lsdmabuf.h"

/* A PCI function in the way of P2P */
struct function {
	struct function *next;
	char *name;
	unsigned int vendor;
	unsigned int device;
};

/* A pair of an offer and a request that was tried, or what the exporter said */
struct pair {
	struct pair *next;
	bool exporter;
	/* The device that has the memory */
	char *provider;
	char *importer;
	char *offer;
	char *request;
	char *converter;
	char *verdict;
	int err;
	struct function *functions;
};

/* What is said of one import; the rest of the sentence goes to @file */
struct finding {
	const char *kind;
	const char *importer;
	const char *comm;
	int pid;
	unsigned long long ino;
	const char *exporter;
	const char *word;
	int err;
	FILE *file;
	char *text;
	size_t len;
};

/* All of them */
extern struct findings {
	bool json;
	unsigned int count;
	unsigned int printed;
} findings;

/* finding.c */

/* Opens @file, and with the event writes the beginning of the sentence */
void finding_open(struct finding *finding);
void finding_begin(struct finding *finding, const char *kind,
		   const struct event *event, const char *importer);
/* "VERB buffer 7 of EXPORTER" */
void finding_buffer(const struct finding *finding, const char *verb);
/* The sentence is complete: print it, or count it if it is that of before */
void finding_finish(struct finding *finding);
void findings_flush(void);
bool is_named(const char *importer);

/* reasons.c */

bool is_none(const char *text);
const char *errno_name(int err);

/* Each writes the rest of a sentence, with its full stop */
void tell_pair(const struct pair *pair, FILE *out);
void tell_no_common_type(const struct pair *pairs, FILE *out);
void tell_nothing_said(int err, FILE *out);
void tell_failed_map(int err, FILE *out);
void tell_failed(const char *what, int err, FILE *out);
void tell_own_reason(const char *type, unsigned long long ranges, int err,
		     FILE *out);

#endif /* LSDMABUF_WHY_H */
