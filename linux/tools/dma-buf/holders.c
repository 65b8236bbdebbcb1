// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who holds a buffer: looks through the open files and mappings of all processes.
 *
 * A link to an open file is followed only if it looks like a DMA-buf, and nothing
 * is ever opened: that could block. Without debugfs the files are also what tells
 * which buffers there are.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lsdmabuf.h"

/* In the names of files in /proc; tests have files of other kinds */
#ifndef DMABUF_PATH
#define DMABUF_PATH "/dmabuf:"
#endif
#ifndef DMABUF_MAGIC
#define DMABUF_MAGIC 0x444d4142
#endif

#define BUCKETS 4096

struct scan {
	struct buffer *first;
	struct buffer **end;
	struct buffer *buckets[BUCKETS];
	/* The file system of all DMA-bufs, once one is found */
	dev_t dev;
	/* Buffers that are not in the list yet are added */
	bool add;
	int pid;
	char *comm;
};

/* ---- buffers by inode number ---- */

static struct buffer **bucket_of(struct scan *scan, unsigned long long ino)
{
	return &scan->buckets[ino % BUCKETS];
}

static void scan_add(struct scan *scan, struct buffer *buf)
{
	struct buffer **bucket = bucket_of(scan, buf->ino);

	buf->same_hash = *bucket;
	*bucket = buf;
}

static struct buffer *scan_find(struct scan *scan, unsigned long long ino)
{
	struct buffer *buf = *bucket_of(scan, ino);

	while (buf && buf->ino != ino)
		buf = buf->same_hash;
	return buf;
}

/* ---- what /proc says of a buffer ---- */

static void take_field(struct buffer *buf, const char *line)
{
	if (sscanf(line, "size:\t%llu", &buf->size) == 1 ||
	    sscanf(line, "count:\t%ld", &buf->count) == 1 ||
	    sscanf(line, "flags:\t%o", &buf->flags) == 1)
		return;
	if (!strncmp(line, "exp_name:\t", 10) && !buf->exporter)
		buf->exporter = copy(line + 10);
}

/* The name is last, and goes on to the end: no line of it is another field */
static void read_name(struct buffer *buf, const char *line, FILE *file)
{
	char more[64];
	size_t len = fread(more, 1, sizeof(more) - 1, file);

	if (len && more[len - 1] == '\n')
		len--;
	more[len] = '\0';
	buf->name = len ? format("%s\n%s", line, more) : copy(line);
}

static struct buffer *buffer_of_fdinfo(int pid, const char *fd,
				       unsigned long long ino)
{
	struct buffer *buf = zalloc(sizeof(*buf));
	char path[300], line[300];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", pid, fd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "name:\t", 6)) {
			read_name(buf, line + 6, file);
			break;
		}
		take_field(buf, line);
	}
	if (file)
		fclose(file);
	buf->ino = ino;
	if (!buf->exporter)
		buf->exporter = copy("?");
	return buf;
}

/* ---- holders ---- */

static const char *comm_of(struct scan *scan)
{
	char path[64], comm[64] = "?";
	FILE *file;
	size_t len;

	if (scan->comm)
		return scan->comm;
	snprintf(path, sizeof(path), "/proc/%d/comm", scan->pid);
	file = fopen(path, "re");
	if (file) {
		/* It may have line feeds of its own; the last is the kernel's */
		len = fread(comm, 1, sizeof(comm) - 1, file);
		comm[len ? len - 1 : 0] = '\0';
		fclose(file);
	}
	scan->comm = copy(comm);
	return scan->comm;
}

/* Each process is looked at once: if it is a holder already, it is the last */
static struct holder *holder_of(struct buffer *buf, struct scan *scan)
{
	struct holder *holder = buf->last_holder;

	if (holder && holder->pid == scan->pid)
		return holder;
	holder = zalloc(sizeof(*holder));
	holder->pid = scan->pid;
	holder->comm = comm_of(scan);
	if (buf->last_holder)
		buf->last_holder->next = holder;
	else
		buf->holders = holder;
	buf->last_holder = holder;
	return holder;
}

static struct buffer *buffer_of_fd(struct scan *scan, const char *fd,
				   unsigned long long ino)
{
	struct buffer *buf = scan_find(scan, ino);

	/* Newer than what was read from debugfs */
	if (buf || !scan->add)
		return buf;
	buf = buffer_of_fdinfo(scan->pid, fd, ino);
	*scan->end = buf;
	scan->end = &buf->next;
	scan_add(scan, buf);
	return buf;
}

/*
 * A name alone proves nothing, a file of that name can be anywhere. The first
 * real one tells the file system of all others.
 */
static bool is_dmabuf(struct scan *scan, int dir, const char *fd, struct stat *st)
{
	const size_t len = strlen(DMABUF_PATH);
	char target[64], path[300];
	struct statfs fs;

	if (readlinkat(dir, fd, target, sizeof(target)) < (ssize_t)len ||
	    strncmp(target, DMABUF_PATH, len) || fstatat(dir, fd, st, 0))
		return false;
	if (scan->dev)
		return st->st_dev == scan->dev;
	snprintf(path, sizeof(path), "/proc/%d/fd/%s", scan->pid, fd);
	if (statfs(path, &fs) || fs.f_type != DMABUF_MAGIC)
		return false;
	scan->dev = st->st_dev;
	return true;
}

static void read_fds(struct scan *scan)
{
	struct dirent *entry;
	struct buffer *buf;
	char path[64];
	struct stat st;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", scan->pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (!is_dmabuf(scan, dirfd(dir), entry->d_name, &st))
			continue;
		buf = buffer_of_fd(scan, entry->d_name, st.st_ino);
		if (buf)
			holder_of(buf, scan)->fds++;
	}
	if (dir)
		closedir(dir);
}

static void read_maps(struct scan *scan)
{
	unsigned long long ino;
	unsigned int major_nr, minor_nr;
	struct buffer *buf;
	char *line = NULL;
	size_t size = 0;
	char path[64];
	FILE *file;
	int name;

	snprintf(path, sizeof(path), "/proc/%d/maps", scan->pid);
	file = fopen(path, "re");
	while (file && getline(&line, &size, file) > 0) {
		name = 0;
		/* Most lines have nothing of it: do not take them apart */
		if (!strstr(line, DMABUF_PATH) ||
		    sscanf(line, "%*s %*s %*s %x:%x %llu %n", &major_nr,
			   &minor_nr, &ino, &name) != 3 ||
		    strncmp(line + name, DMABUF_PATH, strlen(DMABUF_PATH)))
			continue;
		/* A file of that name is none of ours */
		if (major_nr || (scan->dev && minor_nr != minor(scan->dev)))
			continue;
		buf = scan_find(scan, ino);
		if (buf)
			holder_of(buf, scan)->maps++;
	}
	free(line);
	if (file)
		fclose(file);
}

/* Processes come and go meanwhile: one that is gone holds nothing */
void holders_read(struct buffer **buffers, bool add)
{
	struct scan *scan = zalloc(sizeof(*scan));
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	if (!dir)
		die("/proc: %s", strerror(errno));
	scan->add = add;
	for (scan->end = buffers; *scan->end; scan->end = &(*scan->end)->next)
		scan_add(scan, *scan->end);
	while ((entry = readdir(dir))) {
		if (!isdigit(entry->d_name[0]))
			continue;
		scan->pid = atoi(entry->d_name);
		/* Holders share it, to the end */
		scan->comm = NULL;
		read_fds(scan);
		read_maps(scan);
	}
	closedir(dir);
	free(scan);
}
