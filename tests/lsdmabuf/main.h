/* SPDX-License-Identifier: GPL-2.0 */
/* What lsdmabuf's main program defines for the parts of it that tests are built from. */
#include <stdlib.h>
#include <string.h>

#include "lsdmabuf.h"

FILE *out;

void *zalloc(size_t size)
{
	return calloc(1, size);
}

char *copy(const char *text)
{
	return strdup(text);
}

void die(const char *fmt, ...)
{
	abort();
}
