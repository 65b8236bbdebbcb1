/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One allocation fails in each pass, the first one, then the second one, and so
 * on, until a pass has no further one: /proc/thread-self/fail-nth.
 */
#ifndef GUEST_SWEEP_H
#define GUEST_SWEEP_H

#include <stdbool.h>

struct sweep {
	const char *name;
	/* What run() needs; may be NULL */
	void (*before)(const void *arg);
	/* Meets the fault: 0, an fd, or -errno */
	int (*run)(const void *arg);
	/* Gives everything back that is there after run() has returned @ret */
	void (*after)(const void *arg, int ret);
	const void *arg;
	/* What gives back cannot fail */
	bool must_work;
	/* What may come instead of -ENOMEM, up to a 0 */
	int also[4];
};

/* Once: faults everywhere, without a trace of each on the console */
void sweep_init(void);

/*
 * Ends the row if a fault does anything but -ENOMEM or one of @also, leaves a buffer or an
 * attachment behind, or if it does not work at the end. Returns the number of
 * faults that were injected.
 */
int sweep(const struct sweep *s);

#endif
