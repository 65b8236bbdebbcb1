// SPDX-License-Identifier: GPL-2.0
/*
 * Loads modules that want the physical addresses of a DMA-buf, and some that do not,
 * and compares what comes of it with what the kernel command line says:
 * door.want=name:0,name:EINVAL means /bin/name.ko.
 */
#include "lib/channel.h"
#include "lib/kmod.h"

#include <stdio.h>
#include <string.h>

static const char *name_of(int ret)
{
	return ret ? strerrorname_np(-ret) : "0";
}

/* What can be loaded must also be one that can go again */
static void try(const char *name, const char *want)
{
	int ret = kmod_load(name, "");

	say("row load %s", name);
	if (!ret)
		ret = kmod_unload(name);
	if (strcmp(name_of(ret), want))
		say("fail %s, not %s", name_of(ret), want);
	else
		say("pass");
}

int main(void)
{
	char list[LINE_MAX_LEN], *word, *want, *save = NULL;

	if (!cmdline_get("door.want", list, sizeof(list))) {
		fprintf(stderr, "door: nothing to load\n");
		return 1;
	}
	for (word = strtok_r(list, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		want = strchr(word, ':');
		if (!want)
			return 1;
		*want++ = '\0';
		try(word, want);
	}
	return 0;
}
