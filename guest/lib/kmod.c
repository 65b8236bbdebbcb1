// SPDX-License-Identifier: GPL-2.0
/* Loads and unloads kernel modules, for the guest has no modprobe. */
#include "kmod.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void in_sysfs(const char *name, char *to)
{
	while (*name) {
		*to++ = *name == '-' ? '_' : *name;
		name++;
	}
	*to = '\0';
}

/* The words NAME.param=value of the kernel command line, without NAME and the dot. */
static void params_of(const char *name, char *params, size_t size)
{
	char text[4096] = "", real[64], *word, *dot, *save = NULL;
	size_t len = 0;
	FILE *f = fopen("/proc/cmdline", "re");

	params[0] = '\0';
	if (!f || !fgets(text, sizeof(text), f))
		return;
	fclose(f);
	for (word = strtok_r(text, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		dot = strchr(word, '.');
		if (!dot || dot - word >= (long)sizeof(real))
			continue;
		*dot = '\0';
		in_sysfs(word, real);
		if (!strcmp(real, name) && len < size)
			len += snprintf(params + len, size - len, "%s ", dot + 1);
	}
}

int kmod_load(const char *name, const char *params)
{
	char path[64], real[64], from_cmdline[1024];
	int fd, ret;

	in_sysfs(name, real);
	if (!params)
		params_of(real, from_cmdline, sizeof(from_cmdline));
	snprintf(path, sizeof(path), "/bin/%s.ko", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, params ? params : from_cmdline, 0) ? -errno : 0;
	close(fd);
	return ret;
}

int kmod_unload(const char *name)
{
	char real[64];

	in_sysfs(name, real);
	return syscall(SYS_delete_module, real, O_NONBLOCK) ? -errno : 0;
}

int kmod_refs(const char *name)
{
	char path[128], real[64];
	int value = -1;
	FILE *f;

	in_sysfs(name, real);
	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", real);
	f = fopen(path, "re");
	if (f && fscanf(f, "%d", &value) != 1)
		value = -1;
	if (f)
		fclose(f);
	return value;
}
