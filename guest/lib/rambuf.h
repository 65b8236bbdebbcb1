/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A DMA-buf of RAM, as its exporter maps it for the CPU, and as a device or a virtual CPU
 * sees it. The rule is that of the lab: there is a shadow of the whole buffer, whoever may
 * write writes new bytes around page boundaries, and then everything is compared.
 */
#ifndef GUEST_RAMBUF_H
#define GUEST_RAMBUF_H

#include "lab.h"

struct rambuf {
	const char *name;
	int fd;
	uint64_t size;
	uint8_t *cpu, *shadow;
};

/* Maps the buffer @fd and fills it. */
struct rambuf rambuf_open(const char *name, int fd, uint64_t size);
/* The whole buffer against its shadow */
void rambuf_compare(const struct rambuf *buf, const char *when);
/* @mover writes and reads in the slice of the buffer that it sees from @at on. */
void rambuf_both_ways(const struct rambuf *buf, const struct mover *mover,
		      struct range slice, uint64_t at);

/* Whose @who is a struct rambuf_edu: edu, by way of the RAM of the lab */
struct rambuf_edu {
	struct lab *lab;
	struct pdev *edu;
};

struct mover rambuf_edu(struct rambuf_edu *who);

#endif
