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
