/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rows on the lab. Each is a process of its own, so that it starts with nothing open,
 * and whatever state it fails in is gone before the next row. After each row no DMA-buf
 * may exist any more.
 */
#ifndef GUEST_ROWS_H
#define GUEST_ROWS_H

#include "lab.h"

struct row {
	const char *name, *proves;
	void (*fn)(const struct row *row);
	const struct shape *shape;
};

/* Once, before the rows: false without memory. */
bool rows_machine(void);
/* PROGRAM.only=a,b: the first row, and those with one of these in the name, + is a space. */
void rows_run(const char *program, const struct row *rows, size_t count);

/* The first row: finds the devices and binds them. */
void row_devices(const struct row *row);
#define ROW_DEVICES { "devices", "two ivshmem and two edu on vfio-pci", row_devices, NULL }

/* Offsets in the BAR */
extern const struct shape one, whole_bar;
/* Out of order, with gaps, no two of the same length: 41 pages */
extern const struct shape three;
/* Every other page from 1 MiB on, shuffled; filled in by rows_machine() */
extern struct shape sixty_four;

#define BOTH(name, proves, fn) \
	{ name ", 1 range", proves, fn, &one }, \
	{ name ", 3 ranges", proves, fn, &three }

/* Ends a row that cannot be tried here. */
__attribute__((noreturn)) void skip(const char *why);

/* In a row */
void expect_bufinfo(const char *when, int buffers, int attached);
struct range all_of(const struct shape *shape);

#endif
