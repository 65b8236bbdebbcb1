/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Programs of operations, as byte strings: random ones here, others from a
 * fuzzer. What is not there reads as 0, so every string is a program.
 */
#ifndef TEST_H
#define TEST_H

#include <linux/dma-buf-mapping.h>
#include "dma-buf-converter.h"

#define MAX_PIECE	ALIGN_DOWN(UINT_MAX, PAGE_SIZE)

struct input {
	const u8 *bytes;
	size_t len;
};

static inline unsigned int take(struct input *in, unsigned int below)
{
	if (!in->len)
		return 0;
	in->len--;
	return *in->bytes++ % below;
}

/* For those who look into the list anyhow */
static inline struct dma_buf_phys_list *new_list(size_t count)
{
	struct phys_vec *phys;

	return dma_buf_phys_list_alloc(count, &phys);
}

/* A number of so many bytes */
static inline u64 take_long(struct input *in, unsigned int bytes)
{
	u64 value = 0;

	while (bytes--)
		value = value << 8 | take(in, 256);
	return value;
}

void run_program(const u8 *bytes, size_t len);

/* The parts of a program */
void run_list(struct input *in);
void run_match(struct input *in);
void run_buffer(struct input *in);

/* A list that can be mapped, when it is sealed; NULL without memory */
struct dma_buf_phys_list *list_build(struct input *in);

/* Tests by name, to the end of the array */
struct test {
	const char *name;
	void (*run)(void);
};

extern const struct test list_tests[], match_tests[], buffer_tests[], sgt_tests[], p2p_tests[],
	cpu_tests[], ram_tests[];

#endif /* TEST_H */
