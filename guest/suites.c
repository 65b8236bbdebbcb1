// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of DMA-bufs that others wrote, from a newer Debian, in whose tree this
 * runs: v4l2-compliance, IGT, and a QEMU that gives two devices to a guest of
 * its own. Their lines become rows. What the rows should be is known to the
 * host, which compares kernels.
 */
#include "lib/channel.h"
#include "lib/file.h"
#include "lib/vfio.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define IGT "/usr/libexec/igt-gpu-tools/"
#define SECONDS "600"

/* Finds the name and the verdict in a line, if it has them. */
typedef bool line_fn(char *line, char **name, char **verdict);

/* "        test VIDIOC_QUERYCAP: OK (Not Supported)" */
static bool v4l2_line(char *line, char **name, char **verdict)
{
	/* Behind a progress that has been written over */
	line = strstr(line, "\ttest ");
	*verdict = line ? strrchr(line, ':') : NULL;
	if (!*verdict)
		return false;
	*name = line + 6;
	*(*verdict)++ = '\0';
	*verdict += strspn(*verdict, " ");
	return true;
}

/* "Subtest basic: SUCCESS (0.001s)", or without subtests "SUCCESS (0.001s)" */
static bool igt_line(char *line, char **name, char **verdict)
{
	static char whole[] = "whole";
	char *colon = strstr(line, ": ");

	*name = whole;
	*verdict = line;
	if (!strncmp(line, "Subtest ", 8) && colon) {
		*colon = '\0';
		*name = line + 8;
		*verdict = colon + 2;
	}
	return !strncmp(*verdict, "SUCCESS (", 9) ||
	       !strncmp(*verdict, "FAIL (", 6) || !strncmp(*verdict, "SKIP (", 6);
}

static void report(const char *suite, const char *name, const char *verdict)
{
	say("row %s: %s", suite, name);
	if (!strncmp(verdict, "SKIP", 4) || strstr(verdict, "Not Supported"))
		say("skip %s", verdict);
	else if (!strncmp(verdict, "OK", 2) || !strncmp(verdict, "SUCCESS", 7))
		say("pass");
	else
		say("fail %s", verdict);
}

/* ---- programs ---- */

static FILE *start(const char *const *argv, const char *input, pid_t *pid)
{
	int fd[2], in[2];

	if (pipe2(fd, O_CLOEXEC) || pipe2(in, O_CLOEXEC) ||
	    write(in[1], input, strlen(input)) < 0)
		return NULL;
	*pid = fork();
	if (!*pid) {
		close(CHANNEL_FD);
		dup2(in[0], STDIN_FILENO);
		dup2(fd[1], STDOUT_FILENO);
		dup2(fd[1], STDERR_FILENO);
		alarm(atoi(SECONDS));
		execv(argv[0], (char **)argv);
		_exit(127);
	}
	close(in[0]);
	close(fd[1]);
	return fdopen(fd[0], "r");
}

static void run(const char *suite, line_fn *parse, const char *const *argv)
{
	char line[4 * LINE_MAX_LEN], *name, *verdict;
	FILE *out;
	int status = 0, rows = 0;
	pid_t pid = -1;

	out = start(argv, "", &pid);
	while (out && fgets(line, sizeof(line), out)) {
		fputs(line, stdout);
		line[strcspn(line, "\n")] = '\0';
		if (parse(line, &name, &verdict)) {
			report(suite, name, verdict);
			rows++;
		}
	}
	if (out)
		fclose(out);
	fflush(stdout);
	waitpid(pid, &status, 0);
	say("row %s: end", suite);
	say("note %d rows, status %#x", rows, status);
	if (WIFSIGNALED(status) || !rows)
		say("fail %d rows, status %#x", rows, status);
	else
		say("pass");
}

static void igt(const char *name)
{
	const char *argv[] = { NULL, NULL };
	char path[100];

	snprintf(path, sizeof(path), IGT "%s", name);
	argv[0] = path;
	run(name, igt_line, argv);
}

/* Frames from one device's buffers into the other one: streaming by DMA-buf */
static void v4l2(const char *name, const char *capture, const char *output)
{
	const char *argv[] = {
		"/usr/bin/v4l2-compliance", "-d", capture, "-e", output, "-s5",
		"--color", "never", NULL,
	};

	run(name, v4l2_line, argv);
}

/* ---- QEMU as a client of vfio and iommufd ---- */

#define TRACING "/sys/kernel/tracing"

static void trace(const char *file, const char *text)
{
	char path[100];
	int ret;

	snprintf(path, sizeof(path), TRACING "/%s", file);
	ret = write_file(path, text);
	if (ret)
		printf("%s: %s: %s\n", path, text, err(ret));
}

/* Stock and patched kernels each have one of the two. */
static void count_maps(void)
{
	trace("kprobe_events", "p:suites/map iommufd_ioas_map_file");
	trace("kprobe_events", "p:suites/export vfio_pci_core_feature_dma_buf");
	trace("events/suites/enable", "1");
}

static unsigned long hits(const char *event)
{
	FILE *f = fopen(TRACING "/kprobe_profile", "re");
	char name[64], line[200];
	unsigned long count, found = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %lu", name, &count) == 2 &&
		    !strcmp(name, event))
			found = count;
	if (f)
		fclose(f);
	return found;
}

/*
 * What a guest's firmware would do: the address of BAR 2 of device 4 and of BAR 0
 * of device 5, and memory decode and bus mastering on.
 */
static const char program_bars[] =
	"outl 0xcf8 0x80002018\noutl 0xcfc 0xe0000000\n"
	"outl 0xcf8 0x8000201c\noutl 0xcfc 0x0\n"
	"outl 0xcf8 0x80002004\noutw 0xcfc 0x6\n"
	"outl 0xcf8 0x80002810\noutl 0xcfc 0xf0000000\n"
	"outl 0xcf8 0x80002804\noutw 0xcfc 0x6\n";

static int count_lines(const char *text)
{
	int count = 0;

	while ((text = strchr(text, '\n'))) {
		count++;
		text++;
	}
	return count;
}

/*
 * Until each line of the program has its "OK"; returns how many have none. What else
 * it says is that a small BAR cannot be a DMA-buf, and that one device has no reset.
 */
static int talk(FILE *out)
{
	int left = count_lines(program_bars);
	char line[LINE_MAX_LEN];

	while (left && out && fgets(line, sizeof(line), out)) {
		fputs(line, stdout);
		left -= !strncmp(line, "OK", 2);
	}
	return left;
}

static void vfio_option(char *option, size_t size, uint32_t id, int slot)
{
	char bdf[2][16];

	if (pci_find(id, bdf, 2) < 1 || pci_bind_vfio(bdf[0]))
		fail("no device %#x for vfio-pci", id);
	snprintf(option, size, "vfio-pci,host=%s,iommufd=iommufd0,addr=%d", bdf[0], slot);
}

/* Devices as its guest would get them; qtest has no guest that runs. */
static void qemu(void)
{
	char exporter[80], importer[80];
	const char *argv[] = {
		"/usr/bin/qemu-system-x86_64", "-L", "/usr/share/qemu",
		"-L", "/usr/share/seabios", "-M", "q35", "-accel", "qtest",
		"-m", "128", "-nodefaults", "-display", "none",
		"-object", "iommufd,id=iommufd0", "-device", exporter,
		"-device", importer, "-qtest", "stdio", NULL,
	};
	pid_t pid = -1;
	FILE *out;
	int left;

	say("row qemu: devices");
	vfio_option(exporter, sizeof(exporter), ID_IVSHMEM, 4);
	vfio_option(importer, sizeof(importer), ID_EDU, 5);
	say("pass");
	count_maps();
	out = start(argv, program_bars, &pid);
	left = talk(out);
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	say("row qemu: %lu exports, %lu maps of files", hits("export"), hits("map"));
	if (left || !hits("export") || !hits("map"))
		fail("%d answers are missing", left);
	say("pass");
}

static void in_child(void (*fn)(void))
{
	pid_t pid = fork();

	if (!pid) {
		fn();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void mounts(void)
{
	mkdir("/dev/shm", 0777);
	mount("none", "/dev/shm", "tmpfs", 0, NULL);
	mkdir("/run", 0755);
	setenv("HOME", "/tmp", 1);
	setenv("PATH", "/usr/bin:/bin", 1);
}

int main(void)
{
	static const char *const igts[] = {
		"vgem_basic", "dmabuf_sync_file", "sw_sync",
	};

	mounts();
	v4l2("v4l2-compliance, vmalloc", "/dev/video0", "/dev/video1");
	v4l2("v4l2-compliance, dma-contig", "/dev/video2", "/dev/video3");
	for (size_t i = 0; i < sizeof(igts) / sizeof(igts[0]); i++)
		igt(igts[i]);
	in_child(qemu);
	return 0;
}
