// SPDX-License-Identifier: GPL-2.0-only
/*
 * Collects the buffers and their attachments from debugfs, and the processes
 * that have them open or mapped from /proc.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lsdmabuf.h"

/* In the names of files in /proc */
#define DMABUF_PATH "/dmabuf:"

#ifndef DMA_BUF_MAGIC
#define DMA_BUF_MAGIC 0x444d4142
#endif

/* ---- debugfs ---- */

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
	if (dir)
		return dir;
	if (!knows_filesystem("debugfs"))
		die("this kernel has no debugfs (CONFIG_DEBUG_FS)");
	die("no debugfs: mount -t debugfs none /sys/kernel/debug");
}

static FILE *bufinfo_open(void)
{
	char path[4096], *dir = debugfs_dir();
	FILE *file;

	snprintf(path, sizeof(path), "%s/dma_buf", dir);
	if (access(path, F_OK))
		die("this kernel has no DMA-bufs (CONFIG_DMA_SHARED_BUFFER)");

	snprintf(path, sizeof(path), "%s/dma_buf/converters", dir);
	if (access(path, F_OK))
		die(UNPATCHED);

	snprintf(path, sizeof(path), "%s/dma_buf/bufinfo", dir);
	file = fopen(path, "re");
	if (!file)
		die("%s: %s", path, strerror(errno));
	free(dir);
	return file;
}

static struct buffer *parse_buffer(const char *line)
{
	struct buffer *buf = zalloc(sizeof(*buf));
	int name = 0;

	if (sscanf(line, "%llu\t%x\t%x\t%ld\t%m[^\t]\t%llu\t%n", &buf->size,
		   &buf->flags, &buf->mode, &buf->count, &buf->exporter,
		   &buf->ino, &name) != 6 ||
	    !name) {
		free(buf->exporter);
		free(buf);
		return NULL;
	}
	if (strcmp(line + name, "<none>"))
		buf->name = copy(line + name);
	return buf;
}

/* "\tIMPORTER\ttype=TYPE converter=NAME", then whatever the type adds */
static struct attachment *parse_attachment(const char *line)
{
	struct attachment *at = zalloc(sizeof(*at));
	int end = 0;

	if (sscanf(line, "\t%m[^\t]\ttype=%ms converter=%ms%n", &at->importer,
		   &at->type, &at->converter, &end) != 3 ||
	    !end) {
		free(at->importer);
		free(at->type);
		free(at);
		return NULL;
	}
	if (!strcmp(at->converter, "none"))
		at->converter = NULL;
	line += end + strspn(line + end, " ");
	if (*line)
		at->detail = copy(line);
	return at;
}

/*
 * Whoever holds a buffer can name it, with up to 31 bytes of free text and
 * lines of its own. These come before the kernel's "Attached Devices:", where
 * nothing is trusted; attachments that they claim end there.
 */
enum { BETWEEN, IN_BUFFER, IN_ATTACHMENTS };

struct parser {
	int state;
	struct buffer *first;
	struct buffer **end;
	struct buffer *buf;
	struct attachment **at_end;
};

static void take_buffer(struct parser *parser, const char *line)
{
	struct buffer *buf = parse_buffer(line);

	if (!buf)
		return;
	*parser->end = buf;
	parser->end = &buf->next;
	parser->buf = buf;
	parser->state = IN_BUFFER;
}

static void take_attachment(struct parser *parser, const char *line)
{
	struct attachment *at = parse_attachment(line);

	if (!at)
		return;
	*parser->at_end = at;
	parser->at_end = &at->next;
}

static void take_line(struct parser *parser, const char *line)
{
	if (parser->state == BETWEEN) {
		take_buffer(parser, line);
	} else if (!strcmp(line, "\tAttached Devices:")) {
		parser->buf->attachments = NULL;
		parser->at_end = &parser->buf->attachments;
		parser->state = IN_ATTACHMENTS;
	} else if (parser->state == IN_ATTACHMENTS) {
		if (!strncmp(line, "Total ", 6))
			parser->state = BETWEEN;
		else
			take_attachment(parser, line);
	}
}

static struct buffer *bufinfo_read(void)
{
	struct parser parser = { .end = &parser.first };
	FILE *file = bufinfo_open();
	char *line = NULL;
	size_t size = 0;
	ssize_t len;

	while ((len = getline(&line, &size, file)) > 0) {
		if (line[len - 1] == '\n')
			line[len - 1] = '\0';
		take_line(&parser, line);
	}
	if (ferror(file))
		die("bufinfo: %s", strerror(errno));
	free(line);
	fclose(file);
	return parser.first;
}

/* ---- /proc ---- */

static char *comm_of(int pid)
{
	char path[64], comm[64] = "?";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "re");
	if (file) {
		if (fgets(comm, sizeof(comm), file))
			comm[strcspn(comm, "\n")] = '\0';
		fclose(file);
	}
	return copy(comm);
}

static struct holder *holder_new(int pid)
{
	struct holder *holder = zalloc(sizeof(*holder));

	holder->pid = pid;
	holder->comm = comm_of(pid);
	return holder;
}

/* NULL for a buffer that is newer than what was read from debugfs */
static struct holder *holder_of(struct buffer *buf, unsigned long long ino,
				int pid)
{
	struct holder **at;

	while (buf && buf->ino != ino)
		buf = buf->next;
	if (!buf)
		return NULL;
	for (at = &buf->holders; *at; at = &(*at)->next)
		if ((*at)->pid == pid)
			return *at;
	*at = holder_new(pid);
	return *at;
}

/* Opening it could block; following the link cannot, once it looks like ours */
static bool is_dmabuf(const char *path)
{
	const size_t len = strlen(DMABUF_PATH);
	char target[64];
	struct statfs fs;

	if (readlink(path, target, sizeof(target)) < (ssize_t)len)
		return false;
	return !strncmp(target, DMABUF_PATH, len) && !statfs(path, &fs) &&
	       fs.f_type == DMA_BUF_MAGIC;
}

static void read_fds(struct buffer *buffers, int pid)
{
	struct holder *holder;
	struct dirent *entry;
	char path[300];
	struct stat st;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid,
			 entry->d_name);
		if (!is_dmabuf(path) || stat(path, &st))
			continue;
		holder = holder_of(buffers, st.st_ino, pid);
		if (holder)
			holder->fds++;
	}
	if (dir)
		closedir(dir);
}

static void read_maps(struct buffer *buffers, int pid)
{
	unsigned long long ino;
	struct holder *holder;
	char *line = NULL;
	size_t size = 0;
	char path[64];
	FILE *file;
	int name;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	file = fopen(path, "re");
	while (file && getline(&line, &size, file) > 0) {
		name = 0;
		if (sscanf(line, "%*s %*s %*s %*s %llu %n", &ino, &name) != 1 ||
		    strncmp(line + name, DMABUF_PATH, strlen(DMABUF_PATH)))
			continue;
		holder = holder_of(buffers, ino, pid);
		if (holder)
			holder->maps++;
	}
	free(line);
	if (file)
		fclose(file);
}

/* Processes come and go meanwhile: one that is gone holds nothing */
static void read_holders(struct buffer *buffers)
{
	struct dirent *entry;
	DIR *dir = opendir("/proc");

	if (!dir)
		die("/proc: %s", strerror(errno));
	while ((entry = readdir(dir))) {
		if (!isdigit(entry->d_name[0]))
			continue;
		read_fds(buffers, atoi(entry->d_name));
		read_maps(buffers, atoi(entry->d_name));
	}
	closedir(dir);
}

struct buffer *buffers_read(void)
{
	struct buffer *buffers = bufinfo_read();

	if (buffers)
		read_holders(buffers);
	return buffers;
}
