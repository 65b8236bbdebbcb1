// SPDX-License-Identifier: GPL-2.0
/*
 * lsdmabuf, the tool of the series, on the running kernel: what it lists, and
 * what it says of imports that fail.
 *
 * With an argument this program is the command that fails: it exports, imports,
 * and its exit status is the errno. Rows whose outcome depends on the machine
 * go by why.route=, which is how the GPU reaches the exporter's BAR, if it
 * does. With why.stock=1 it tries a kernel without the series, with why.acs=1 a switch
 * that redirects what passes it.
 */
#include "lib/channel.h"
#include "lib/dmabufs.h"
#include "lib/ram.h"
#include "lib/vfio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/dma-buf.h>
#include <linux/udmabuf.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOOL "/bin/lsdmabuf"
#define SELF "/bin/why"
#define INSTANCES "/sys/kernel/tracing/instances"
#define NO_TYPES "lsdmabuf: this kernel has no mapping types: *"
#define MSI_IOVA 0xfee00000UL	/* reserved for interrupts */
#define NOBODY 65534

static bool is_command, stock;
static char route[32];		/* empty if there is none */

void fail(const char *fmt, ...)
{
	char reason[600];
	va_list args;

	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	if (is_command) {
		fprintf(stderr, "%s\n", reason);
		_exit(99);
	}
	say("fail %s", reason);
	_exit(0);
}

/* ---- this program as a command ---- */

static int import_revoked(void)
{
	int fd = export_vfio();

	pdev_decode(&vfio_exporter, false);
	return import_iommufd(fd);
}

static int in_a_child(void)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(-import_zcrx(export_vfio()));
	waitpid(pid, &status, 0);
	return -WEXITSTATUS(status);
}

/* A frame buffer of vivid, as scatterlist and nothing else */
static int export_frame(void)
{
	const struct exporter_row *row = exporters;

	while (row->name && strcmp(row->name, "vb2-vmalloc"))
		row++;
	if (!row->name)
		fail("no exporter 'vb2-vmalloc'");
	return row->export();
}

/* More events than the buffer of the instance takes. */
static int import_often(void)
{
	const struct range page = { .len = PAGE };
	int fd = export_frame(), iommufd = iommufd_open(), ret = 0;
	uint32_t ioas = ioas_new(iommufd);

	for (int i = 0; i < 12000; i++)
		ret = ioas_map_fd(iommufd, ioas, fd, &page, PAGE, false);
	return ret;
}

static int import_by(const char *name, int fd)
{
	const struct importer_row *row = importers;

	while (row->name && strcmp(row->name, name))
		row++;
	if (!row->name)
		fail("no importer '%s'", name);
	return row->import(fd);
}

/* RAM whose pages are in reverse order, so that no two are contiguous. */
static int export_scattered(void)
{
	const unsigned int pages = 256;
	struct udmabuf_create_list *list =
		calloc(1, sizeof(*list) + pages * sizeof(list->list[0]));
	int dev = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	int memfd = sealed_memfd(pages * PAGE), fd;

	list->flags = UDMABUF_FLAGS_CLOEXEC;
	list->count = pages;
	for (unsigned int i = 0; i < pages; i++)
		list->list[i] = (struct udmabuf_create_item){
			.memfd = memfd, .size = PAGE,
			.offset = (pages - 1 - i) * PAGE,
		};
	fd = ioctl(dev, UDMABUF_CREATE_LIST, list);
	if (fd < 0)
		fail("udmabuf: %s", err(errno));
	free(list);
	return fd;
}

static int command(const char *name)
{
	if (!strcmp(name, "contiguous"))
		return import_by("vb2-dma-contig", export_scattered());
	if (!strcmp(name, "vmap"))
		return import_by("vb2-vmalloc", export_vfio());
	if (!strcmp(name, "iova"))
		return import_iommufd_at(export_vfio(), MSI_IOVA);
	if (!strcmp(name, "uid"))
		return -(int)getuid();
	if (!strcmp(name, "zcrx"))
		return import_zcrx(export_vfio());
	if (!strcmp(name, "gpu"))
		return import_virtio_gpu(export_vfio());
	if (!strcmp(name, "revoked"))
		return import_revoked();
	if (!strcmp(name, "types"))
		return import_iommufd(export_frame());
	if (!strcmp(name, "pal"))
		return import_iommufd(export_vfio());
	if (!strcmp(name, "often"))
		return import_often();
	if (!strcmp(name, "child"))
		return in_a_child();
	if (!strcmp(name, "killed"))
		raise(SIGKILL);
	fail("no command '%s'", name);
}

/* ---- the tool as a child ---- */

struct output {
	pid_t pid;
	int fd;
	int status;		/* as a shell has it */
	char text[16384];	/* stdout and stderr */
};

static struct output output;

static void start(const char *const *argv)
{
	int fd[2];

	if (pipe2(fd, O_CLOEXEC))
		fail("pipe: %s", err(errno));
	output.fd = fd[0];
	output.pid = fork();
	if (!output.pid) {
		dup2(fd[1], STDOUT_FILENO);
		dup2(fd[1], STDERR_FILENO);
		execv(argv[0], (char **)argv);
		_exit(126);
	}
	close(fd[1]);
}

static void read_output(void)
{
	size_t len = 0;
	ssize_t n;

	while ((n = read(output.fd, output.text + len,
			 sizeof(output.text) - 1 - len)) > 0)
		len += n;
	output.text[len] = '\0';
	close(output.fd);
}

static void finish(void)
{
	int status;

	read_output();
	waitpid(output.pid, &status, 0);
	output.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
					      WEXITSTATUS(status);
	printf("%s", output.text);
	fflush(stdout);
}

#define TOOL_RUN(...)						\
	do {							\
		start((const char *const[]){ TOOL, ##__VA_ARGS__, NULL }); \
		finish();					\
	} while (0)

static int lines(void)
{
	int count = 0;

	for (const char *c = output.text; *c; c++)
		count += *c == '\n';
	return count;
}

/* A line that looks like this; fails the row if there is none. */
__attribute__((format(printf, 1, 2)))
static const char *need_line(const char *fmt, ...)
{
	static char text[sizeof(output.text)];
	char pattern[400], *line, *save = NULL;
	va_list args;

	va_start(args, fmt);
	vsnprintf(pattern, sizeof(pattern), fmt, args);
	va_end(args);
	strcpy(text, output.text);
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (!fnmatch(pattern, line, 0))
			return line;
	fail("no line '%s' in: %s", pattern, output.text);
}

static void need_status(int status)
{
	if (output.status != status)
		fail("exit status %d, not %d: %s", output.status, status,
		     output.text);
}

static void need_one_line(const char *pattern, int status)
{
	need_status(status);
	need_line("%s", pattern);
	if (lines() != 1)
		fail("%d lines: %s", lines(), output.text);
}

/* What the tool switches on, it removes. */
static void need_instances(int want)
{
	DIR *dir = opendir(INSTANCES);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && want-- <= 0)
			fail("the instance %s is left behind", entry->d_name);
	if (dir)
		closedir(dir);
}

static void need_no_instance(void)
{
	need_instances(0);
}

/* ---- rows: --why COMMAND ---- */

struct sentence {
	const char *name;
	const char *command;
	int status;
	const char *pattern;
};

#define NOT_REFUSED "The kernel saw no refusal; it saw: 1 looked up, 1 attached, *"
#define NO_IMPORT "The kernel saw no import of a DMA-buf. *"

static const struct sentence always[] = {
	{ "static importer of a BAR", "zcrx", EOPNOTSUPP,
	  "0000:* (why[[]*]) cannot import buffer * of vfio_pci*: *does not accept peer-to-peer; *." },
	{ "by a child of the command", "child", EOPNOTSUPP,
	  "0000:* (why[[]*]) cannot import buffer * of vfio_pci*: *does not accept peer-to-peer; *." },
	{ "revoked buffer", "revoked", ENODEV,
	  "* (why[[]*]) cannot import buffer * of vfio_pci*: the exporter has taken the memory back; *." },
	{ "types that do not meet", "types", EOPNOTSUPP,
	  "* (why[[]*]) cannot import buffer * of videobuf2*: the exporter offers SGT, the importer asks for PAL, *." },
	{ "nothing refused", "pal", 0, NOT_REFUSED },
	{ "importer wants contiguous memory", "contiguous", EFAULT,
	  "* (why[[]*]) gave back buffer * of udmabuf after it was mapped, as SGT in * pieces, and its system call failed with EFAULT: *contiguous*" },
	{ "exporter has nothing for the CPU", "vmap", EFAULT,
	  "why[[]*] cannot vmap buffer * of vfio_pci*: its exporter cannot give it to the CPU; *" },
	{ "reserved IOVA", "iova", EINVAL,
	  "* (why[[]*]) gave back buffer * of vfio_pci* after it was *, and its system call failed with EINVAL: *reserved*" },
	{},
};

static const struct sentence gpu_refused = {
	"bridge not whitelisted", "gpu", EOPNOTSUPP,
	"0000:* (why[[]*]) cannot import buffer * of vfio_pci*: the host bridge between *; *."
};

static const struct sentence gpu_redirected = {
	"ACS redirection", "gpu", EOPNOTSUPP,
	"0000:* (why[[]*]) cannot import buffer * of vfio_pci*: *ACS redirection at 0000:*; boot with pci=disable_acs_redir=0000:*, which *."
};

/* Pairs are refused before the converter comes to it: not a word of these. */
static const struct sentence gpu_converted = {
	"refused, then converted", "gpu", 0, NOT_REFUSED
};

static void row_sentence(const void *arg)
{
	const struct sentence *want = arg;

	TOOL_RUN("--why", SELF, want->command);
	need_one_line(want->pattern, want->status);
	need_no_instance();
	say("note %s", output.text);
}

static void row_verbose(const void *unused)
{
	TOOL_RUN("--why", "--verbose", SELF, "gpu");
	need_line("  why[[]*] buffer * of vfio_pci*: offer PAL, request SGT of 0000:*: no-common-type");
	need_line("  why[[]*] buffer * of vfio_pci*: offer SGT by PAL->SGT, request SGT of 0000:*: %s",
		  route[0] ? "match" : "host-bridge-not-whitelisted");
	say("note %s", output.text);
}

/* Whether it is JSON is for the host to say */
static void row_why_json(const void *unused)
{
	TOOL_RUN("--why", "--json", SELF, "zcrx");
	need_status(EOPNOTSUPP);
	need_line("*\"kind\": \"refused\", \"importer\": \"0000:*\", \"comm\": \"why\", *\"word\": \"importer-refuses-p2p\", \"errno\": 95, *");
	say("note %s", output.text);
}

static void row_output(const void *unused)
{
	TOOL_RUN("--why", "-o", "/tmp/said", SELF, "zcrx");
	need_status(EOPNOTSUPP);
	if (output.text[0])
		fail("said %s", output.text);
	output.fd = open("/tmp/said", O_RDONLY | O_CLOEXEC);
	if (output.fd < 0)
		fail("no file: %s", err(errno));
	read_output();
	need_line("* (why[[]*]) cannot import buffer * of vfio_pci*");
}

static void row_user(const void *unused)
{
	static const char line[] = "tester:x:77:78::/tmp:/bin/none\n";
	int fd;

	mkdir("/etc", 0755);
	fd = open("/etc/passwd", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, line, strlen(line)) != (ssize_t)strlen(line))
		fail("/etc/passwd: %s", err(errno));
	close(fd);
	TOOL_RUN("--why", "-u", "tester", SELF, "uid");
	need_one_line(NO_IMPORT, 77);
	TOOL_RUN("--why", "-u", "nobody-of-this-name", SELF, "uid");
	need_one_line("lsdmabuf: there is no user nobody-of-this-name", 1);
	need_no_instance();
}

static void row_exit_status(const void *unused)
{
	TOOL_RUN("--why", SELF, "killed");
	need_one_line(NO_IMPORT, 128 + SIGKILL);
	TOOL_RUN("--why", "/bin/nothing");
	need_status(127);
	need_line("lsdmabuf: /bin/nothing: No such file or directory");
	need_no_instance();
}

static void row_often(const void *unused)
{
	TOOL_RUN("--why", SELF, "often");
	need_status(EOPNOTSUPP);
	need_line("Events were lost: *");
	need_line("* cannot import buffer * of videobuf2*: * (* times)");
	if (lines() != 2)
		fail("%d lines: %s", lines(), output.text);
	say("note %s", output.text);
}

/* ---- rows: --why ---- */

static void import_in_background(const char *name)
{
	pid_t pid = fork();

	if (!pid) {
		execl(SELF, SELF, name, NULL);
		_exit(126);
	}
	waitpid(pid, NULL, 0);
}

static void row_record(const void *unused)
{
	TOOL_RUN("--why");
	need_one_line("Recording: *", 0);
	import_in_background("zcrx");
	import_in_background("types");
	TOOL_RUN("--why");
	need_status(0);
	need_line("* (why[[]*]) cannot import * of vfio_pci*: *peer-to-peer*");
	need_line("* (why[[]*]) cannot import * of videobuf2_*: *");
	say("note %s", output.text);
	TOOL_RUN("--why");
	need_one_line(NO_IMPORT, 0);
	import_in_background("types");
	TOOL_RUN("--why");
	need_one_line("* (why[[]*]) cannot import * of videobuf2_*: *", 0);
	TOOL_RUN("--why", "--stop");
	need_status(0);
}

static void row_stop(const void *unused)
{
	TOOL_RUN("--why");
	TOOL_RUN("--why", "--stop");
	need_status(0);
	need_no_instance();
	TOOL_RUN("--why", "--stop");
	need_one_line("lsdmabuf: was not recording", 1);
}

/* ---- rows: what there is ---- */

static unsigned long ino_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		fail("fstat: %s", err(errno));
	return st.st_ino;
}

/* Somebody who has no file of it open, but a mapping. */
static pid_t map_elsewhere(int fd)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready))
		fail("pipe: %s", err(errno));
	pid = fork();
	if (!pid) {
		if (mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
			_exit(1);
		close(fd);
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		fail("cannot map the buffer");
	return pid;
}

struct shared {
	int heap, bar;
	pid_t mapper;
};

/* It tries to end its buffer, and hides nothing from the table. */
#define HOSTILE "a \"\n\tAttached Devices:\nTotal \n"

static struct shared share(void)
{
	struct shared shared = { .heap = export_system() };
	int ret;

	if (ioctl(shared.heap, DMA_BUF_SET_NAME, HOSTILE))
		fail("DMA_BUF_SET_NAME: %s", err(errno));
	shared.mapper = map_elsewhere(shared.heap);
	ret = import_virtio_gpu(shared.heap);
	if (ret)
		fail("virtio-gpu: %s", err(ret));
	shared.bar = export_vfio();
	ret = import_iommufd(shared.bar);
	if (!ret && route[0])
		ret = import_virtio_gpu(shared.bar);
	if (ret)
		fail("import of the BAR: %s", err(ret));
	return shared;
}

static void row_table(const void *unused)
{
	struct shared shared = share();
	int pid = getpid();

	TOOL_RUN();
	kill(shared.mapper, SIGKILL);
	need_status(0);
	need_line("INO *SIZE  EXPORTER  *NAME *HOLDERS *IMPORTER *TYPE  CONVERTER  DETAIL");
	need_line("*%lu  *1M  system *\"a \\\\\"*\"*why[[]%d],why[[]%d]*0000:* SGT *- *p2p=*",
		  ino_of(shared.heap), pid, shared.mapper);
	need_line("*%lu  *1M  vfio_pci* - *why[[]%d]*", ino_of(shared.bar), pid);
	need_line("* iommufd *PAL   -");
	if (route[0])
		need_line(" *0000:* SGT *PAL->SGT *p2p=%s", route);
	if (lines() != (route[0] ? 4 : 3))
		fail("%d lines: %s", lines(), output.text);
}

static void row_tree(const void *unused)
{
	struct shared shared = share();
	int pid = getpid();

	TOOL_RUN("--tree");
	kill(shared.mapper, SIGKILL);
	need_status(0);
	need_line("system");
	need_line("`- %lu  1M  \"a \\\\\"*\"  held by why[[]%d],why[[]%d]",
		  ino_of(shared.heap), pid, shared.mapper);
	need_line("    `- 0000:*  SGT  p2p=*");
	need_line("`- %lu  1M  held by why[[]%d]", ino_of(shared.bar), pid);
	if (route[0])
		need_line("    ?- 0000:*  SGT by PAL->SGT  p2p=%s", route);
}

/* Whether it is JSON is for the host to say, which gets it as the note. */
static void row_json(const void *unused)
{
	struct shared shared = share();

	TOOL_RUN("--json");
	kill(shared.mapper, SIGKILL);
	need_status(0);
	need_line("*\"ino\": %lu, \"size\": 1048576, *\"name\": \"a \\\\\"*\",",
		  ino_of(shared.heap));
	need_line("*{\"pid\": %d, \"comm\": \"why\", \"fds\": 0, \"maps\": 1}*",
		  shared.mapper);
	if (route[0])
		need_line("*\"converter\": \"PAL->SGT\", \"p2p\": \"%s\"*", route);
	say("note %s", output.text);
}

/* ---- rows: --watch ---- */

/* The last event that is switched on. */
static void wait_until_watching(void)
{
	char path[200], on = '0';

	snprintf(path, sizeof(path), INSTANCES
		 "/lsdmabuf-%d/events/dma_buf/%s/enable", output.pid,
		 stock ? "dma_buf_detach" : "dma_buf_unmap");
	for (int ms = 0; on != '1'; ms += 10) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (ms > 20000)
			fail("it does not begin to watch");
		if (fd >= 0 && read(fd, &on, 1) != 1)
			fail("read %s: %s", path, err(errno));
		close(fd);
		usleep(10000);
	}
}

static void row_watch(const void *unused)
{
	start((const char *const[]){ TOOL, "--watch", NULL });
	wait_until_watching();
	import_in_background("pal");
	import_in_background("revoked");
	sleep(2);
	kill(output.pid, SIGINT);
	finish();
	need_status(0);
	need_line("* why[[]*] dma_buf_match: *offer=PAL request=PAL *verdict=match err=0");
	need_line("* why[[]*] dma_buf_mapping_attach: *type=PAL *verdict=attached err=0");
	need_line("* why[[]*] dma_buf_map: *type=PAL *ranges=1 bytes=1048576 *err=0");
	need_line("* dma_buf_unmap: *type=PAL *");
	need_line("* dma_buf_detach: *");
	need_line("* why[[]*] dma_buf_refuse: *verdict=revoked err=-19");
	need_no_instance();
	say("note %d lines, such as: %s", lines(), need_line("*dma_buf_map:*"));
}

/* ---- rows: errors ---- */

/* The next one that starts removes what is left of it. */
static void row_killed(const void *unused)
{
	start((const char *const[]){ TOOL, "--watch", NULL });
	wait_until_watching();
	kill(output.pid, SIGKILL);
	finish();
	need_status(128 + SIGKILL);
	start((const char *const[]){ TOOL, "--watch", NULL });
	wait_until_watching();
	need_instances(1);
	import_in_background("pal");
	kill(output.pid, SIGINT);
	finish();
	/* The one that was in use meanwhile still is */
	need_line("* why[[]*] dma_buf_mapping_attach: *");
	need_no_instance();
}

static void become_nobody(void)
{
	if (setgid(NOBODY) || setuid(NOBODY))
		fail("setuid: %s", err(errno));
}

/* What one's own processes have open, and a line about what is missing. */
static void row_not_root(const void *unused)
{
	int fd = export_system();

	if (ioctl(fd, DMA_BUF_SET_NAME, "mine"))
		fail("DMA_BUF_SET_NAME: %s", err(errno));
	become_nobody();
	/* Becoming somebody else makes a process private, up to the next exec */
	TOOL_RUN();
	need_status(0);
	need_line("lsdmabuf: not root: buffers that your processes have open, *: sudo lsdmabuf");
	need_line("INO *");
	if (fcntl(fd, F_SETFD, 0))
		fail("fcntl: %s", err(errno));
	TOOL_RUN("--json");
	need_status(0);
	need_line("*\"ino\": %lu, \"size\": 1048576, *\"exporter\": \"system\", \"name\": \"mine\",",
		  ino_of(fd));
	need_line("*\"comm\": \"lsdmabuf\", \"fds\": 1, *");
	TOOL_RUN("--why", SELF, "pal");
	need_one_line("lsdmabuf: needs root: sudo lsdmabuf", 1);
}

static void row_no_debugfs(const void *unused)
{
	int fd = export_system();

	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    umount2("/sys/kernel/debug", MNT_DETACH))
		fail("cannot unmount debugfs: %s", err(errno));
	TOOL_RUN();
	need_status(0);
	need_line("lsdmabuf: no debugfs: buffers that processes have open, *: mount -t debugfs none /sys/kernel/debug");
	need_line("*%lu *1M *system *- *why[[]%d] *-", ino_of(fd), getpid());
	say("note %s", output.text);
}

static void row_totals(const void *unused)
{
	struct shared shared = share();

	TOOL_RUN("--totals");
	kill(shared.mapper, SIGKILL);
	need_line("*BUFFERS *SIZE *EXPORTER");
	need_line(" *1 *1M  system");
	need_line(" *2 *2M  why[[]%d]", getpid());
	need_line(" *1 *1M  why[[]%d]", shared.mapper);
	TOOL_RUN("--totals", "--json");
	need_line("*\"exporter\": \"system\", \"buffers\": 1, \"size\": 1048576*");
	TOOL_RUN("-p", "1");
	need_one_line("INO *", 0);
}

static void row_usage(const void *unused)
{
	TOOL_RUN("--tree", "--json");
	need_status(1);
	need_line("usage: lsdmabuf *");
	TOOL_RUN("--user", "root");
	need_status(1);
	need_line("usage: lsdmabuf *");
	TOOL_RUN("-p", "x");
	need_one_line("lsdmabuf: 'x' is not a PID", 1);
	TOOL_RUN("--nothing");
	need_status(1);
	need_line("usage: lsdmabuf *");
	TOOL_RUN("--help");
	need_status(0);
	need_line("usage: lsdmabuf *");
	TOOL_RUN("--version");
	need_one_line("lsdmabuf *", 0);
}

/* Buffers, holders and importers show; types do not, and it says so. */
static void row_stock_list(const void *unused)
{
	int fd = export_system(), ret = import_virtio_gpu(fd);

	if (ret)
		fail("virtio-gpu: %s", err(ret));
	TOOL_RUN();
	need_status(0);
	need_line(NO_TYPES);
	need_line("*%lu  *1M  system *- *why[[]%d] *0000:* - *-", ino_of(fd), getpid());
	say("note %s", output.text);
}

static void row_stock_why(const void *arg)
{
	const struct sentence *want = arg;

	TOOL_RUN("--why", SELF, want->command);
	need_one_line(want->pattern, want->status);
	need_no_instance();
	say("note %s", output.text);
}

static const struct sentence stock_sentences[] = {
	{ "stock: static importer of a BAR", "zcrx", EOPNOTSUPP,
	  "why[[]*] looked up buffer * of vfio_pci*, and its system call failed with EOPNOTSUPP before it was attached: this kernel does not tell *" },
	{ "stock: importer wants contiguous memory", "contiguous", EFAULT,
	  "* (why[[]*]) gave back buffer * of udmabuf after it was attached, and its system call failed with EFAULT: *" },
	{ "stock: nothing refused", "uid", 0, NO_IMPORT },
	{},
};

static void row_stock_watch(const void *unused)
{
	stock = true;
	start((const char *const[]){ TOOL, "--watch", "--json", NULL });
	wait_until_watching();
	import_in_background("contiguous");
	sleep(2);
	kill(output.pid, SIGINT);
	finish();
	need_status(0);
	need_line("{\"time\": *, \"comm\": \"why\", \"pid\": *, \"event\": \"dma_buf_detach\", *}");
	need_no_instance();
}

/* ---- all rows ---- */

/* In a process of its own, whose end gives everything back. */
static void row(const char *name, void (*test)(const void *), const void *arg)
{
	int status;
	pid_t pid;

	say("row %s", name);
	pid = fork();
	if (!pid) {
		test(arg);
		say("pass");
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (status)
		say("fail died with status %#x", status);
}

static void all_rows(void)
{
	const struct sentence *gpu = route[0] ? &gpu_converted : &gpu_refused;

	for (const struct sentence *s = always; s->name; s++)
		row(s->name, row_sentence, s);
	row(gpu->name, row_sentence, gpu);
	row("--verbose", row_verbose, NULL);
	row("--why --json", row_why_json, NULL);
	row("--output", row_output, NULL);
	row("--user", row_user, NULL);
	row("exit status", row_exit_status, NULL);
	row("12000 times", row_often, NULL);
	row("record, tell, record", row_record, NULL);
	row("stop", row_stop, NULL);
	row("table", row_table, NULL);
	row("--tree", row_tree, NULL);
	row("--json", row_json, NULL);
	row("--totals", row_totals, NULL);
	row("--watch", row_watch, NULL);
	row("killed", row_killed, NULL);
	row("not root", row_not_root, NULL);
	row("no debugfs", row_no_debugfs, NULL);
	row("usage", row_usage, NULL);
}

static void stock_rows(void)
{
	row("stock: list", row_stock_list, NULL);
	for (const struct sentence *s = stock_sentences; s->name; s++)
		row(s->name, row_stock_why, s);
	row("stock: --watch", row_stock_watch, NULL);
}

int main(int argc, char **argv)
{
	char word[4];

	if (argc > 1) {
		is_command = true;
		return -command(argv[1]);
	}
	fcntl(CHANNEL_FD, F_SETFD, FD_CLOEXEC);
	cmdline_get("why.route", route, sizeof(route));
	if (cmdline_get("why.stock", word, sizeof(word)))
		stock_rows();
	else if (cmdline_get("why.acs", word, sizeof(word)))
		row(gpu_redirected.name, row_sentence, &gpu_redirected);
	else
		all_rows();
	return 0;
}
