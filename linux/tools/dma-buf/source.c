// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the buffers are read from, and what is missing there.
 *
 * debugfs has all buffers and their attachments, but only for root, and many
 * kernels have none. /proc has what processes have open. There also is a BPF
 * iterator for DMA-bufs, but it does not reach attachments, and nothing that it
 * tells of buffers is missing here.
 */
#include <errno.h>
#include <mntent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lsdmabuf.h"

static char *debugfs_dir(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent *entry;
	char *dir = NULL;

	while (mounts && !dir && (entry = getmntent(mounts)))
		if (!strcmp(entry->mnt_type, "debugfs"))
			dir = copy(entry->mnt_dir);
	if (mounts)
		endmntent(mounts);
	return dir;
}

/* What is missing is one line, and not among the answers: programs read these */
static void note_no_debugfs(void)
{
	if (geteuid())
		fprintf(stderr,
			"lsdmabuf: not root: buffers that your processes have open, without attachments; all: sudo lsdmabuf\n");
	else if (knows_filesystem("debugfs"))
		fprintf(stderr,
			"lsdmabuf: no debugfs: buffers that processes have open, without attachments; all: mount -t debugfs none /sys/kernel/debug\n");
	else
		fprintf(stderr,
			"lsdmabuf: this kernel has no debugfs (CONFIG_DEBUG_FS): buffers that processes have open, without attachments\n");
}

static bool has_types(const struct buffer *buf)
{
	const struct attachment *at;

	for (; buf; buf = buf->next)
		for (at = buf->attachments; at; at = at->next)
			if (at->type)
				return true;
	return false;
}

/* NULL if there is none, or none for this user */
static FILE *bufinfo_open(char *dir)
{
	char *path;
	FILE *file;

	path = format("%s/dma_buf", dir);
	if (access(path, F_OK) && errno == ENOENT)
		die("this kernel has no DMA-bufs (CONFIG_DMA_SHARED_BUFFER)");
	free(path);
	path = format("%s/dma_buf/bufinfo", dir);
	file = fopen(path, "re");
	free(path);
	return file;
}

static void note_no_types(const char *dir, const struct buffer *buffers)
{
	char *path = format("%s/dma_buf/converters", dir);

	if (access(path, F_OK) && !has_types(buffers))
		fprintf(stderr,
			"lsdmabuf: this kernel has no mapping types: it does not tell type, converter and route of attachments\n");
	free(path);
}

struct buffer *buffers_read(void)
{
	struct buffer *buffers = NULL;
	char *dir = debugfs_dir();
	FILE *file = dir ? bufinfo_open(dir) : NULL;

	if (file) {
		buffers = bufinfo_parse(file);
		fclose(file);
		note_no_types(dir, buffers);
	} else {
		note_no_debugfs();
	}
	free(dir);
	holders_read(&buffers, !file);
	return buffers;
}
