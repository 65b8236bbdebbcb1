// SPDX-License-Identifier: GPL-2.0
/* Sets up the kernel's fault injection. */
#include "inject.h"
#include "file.h"

#include <stdio.h>

int inject_set(const char *file, const char *value)
{
	char path[100];

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s", file);
	return write_file(path, value);
}

int inject_setup(void)
{
	static const char *const settings[][2] = {
		{ "failslab/ignore-gfp-wait", "N" },
		{ "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "fail_page_alloc/verbose", "0" },
	};
	int first = 0;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		int ret = inject_set(settings[i][0], settings[i][1]);

		if (!first)
			first = ret;
	}
	return first;
}
