/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's side of the protocol channel: one line a message. /init opens
 * the second serial port as CHANNEL_FD, and every program it starts inherits
 * it. The console is not the channel, so nothing that the kernel prints can
 * be mistaken for a result.
 */
#ifndef GUEST_CHANNEL_H
#define GUEST_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#define CHANNEL_FD 3
#define LINE_MAX_LEN 1024

/* Sends one line; a newline inside the text becomes a space. */
__attribute__((format(printf, 1, 2))) void say(const char *fmt, ...);

/* Receives one line, without its newline. */
void hear(char *line, size_t size);

/* Value of key=value on the kernel command line, false when it is not there. */
bool cmdline_get(const char *key, char *value, size_t size);

#endif
