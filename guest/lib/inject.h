/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fault injection: what may fail at all; when it does is up to whoever writes to
 * fail-nth, or to a test inside the kernel.
 */
#ifndef GUEST_INJECT_H
#define GUEST_INJECT_H

/*
 * Every allocation, also one that may sleep or is a single page. None prints a trace,
 * for the host takes that for a bug of the kernel. 0 or -errno.
 */
int inject_setup(void);

/* One more setting, a file of debugfs: 0 or -errno. */
int inject_set(const char *file, const char *value);

#endif
