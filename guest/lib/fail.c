// SPDX-License-Identifier: GPL-2.0
/* fail() of programs whose rows are processes: what is left of one ends. */
#include "channel.h"
#include "vfio.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* Weak, for rows.c has one that lets the parent look for what is left first. */
__attribute__((weak)) void fail(const char *fmt, ...)
{
	char reason[600];
	va_list args;

	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	say("fail %s", reason);
	_exit(0);
}
