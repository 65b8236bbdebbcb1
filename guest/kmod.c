// SPDX-License-Identifier: GPL-2.0
#include "kmod.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int kmod_load(const char *name, const char *params)
{
	char path[64];
	int fd, ret;

	snprintf(path, sizeof(path), "/bin/%s.ko", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, params, 0) ? -errno : 0;
	close(fd);
	return ret;
}

static void in_sysfs(const char *name, char *to)
{
	while (*name) {
		*to++ = *name == '-' ? '_' : *name;
		name++;
	}
	*to = '\0';
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
