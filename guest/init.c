// SPDX-License-Identifier: GPL-2.0
/*
 * PID 1 of the test guest. It mounts what the programs need, opens the
 * protocol channel, loads the modules that the kernel command line names
 * (guest.modules=a,b: /bin/a.ko, then /bin/b.ko), runs the programs that it
 * names (guest.run=a,b: /bin/a, then /bin/b), looks for what they left behind
 * (leaks, taint), says the success token and powers off.
 *
 * A program exits with 0 when it has reported all of its rows, whatever their
 * result. Any other end is a failed row of its own.
 */
#include "lib/channel.h"
#include "lib/file.h"
#include "lib/kmod.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define KMEMLEAK "/sys/kernel/debug/kmemleak"

/* Taint bits of trouble: machine check, bad page, oops, WARN, soft lockup. */
#define TAINT_TROUBLE (1 << 4 | 1 << 5 | 1 << 7 | 1 << 9 | 1 << 14)

static void die(const char *what)
{
	fprintf(stderr, "init: %s: %s\n", what, strerror(errno));
	reboot(RB_AUTOBOOT);
	exit(1);
}

static void mount_all(void)
{
	static const struct {
		const char *type, *dir;
		bool optional;
	} m[] = {
		{ "devtmpfs", "/dev", false },
		{ "proc", "/proc", false },
		{ "sysfs", "/sys", false },
		{ "debugfs", "/sys/kernel/debug", false },
		{ "tracefs", "/sys/kernel/tracing", true },
		{ "tmpfs", "/tmp", false },
	};

	for (size_t i = 0; i < sizeof(m) / sizeof(m[0]); i++) {
		mkdir(m[i].dir, 0755);
		if (mount("none", m[i].dir, m[i].type, 0, NULL) &&
		    errno != EBUSY && !m[i].optional)
			die(m[i].dir);
	}
}

static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR);

	if (fd < 0)
		die("/dev/console");
	for (int i = 0; i < 3; i++)
		if (fd != i)
			dup2(fd, i);
	if (fd > 2)
		close(fd);
}

static void open_channel(void)
{
	struct termios raw;
	int fd = open("/dev/ttyS1", O_RDWR | O_NOCTTY);

	if (fd < 0 || tcgetattr(fd, &raw))
		die("/dev/ttyS1");
	cfmakeraw(&raw);
	if (tcsetattr(fd, TCSANOW, &raw))
		die("tcsetattr(/dev/ttyS1)");
	if (fd != CHANNEL_FD) {
		dup2(fd, CHANNEL_FD);
		close(fd);
	}
}

/* Orphans become our children: reap them too, until @pid itself has ended. */
static int wait_for(pid_t pid)
{
	int status;
	pid_t got;

	do {
		got = wait(&status);
		if (got < 0 && errno != EINTR)
			die("wait");
	} while (got != pid);
	return status;
}

static void run(const char *name)
{
	char path[256];
	int status;
	pid_t pid;

	say("run %s", name);
	snprintf(path, sizeof(path), "/bin/%s", name);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		execl(path, name, NULL);
		_exit(127);
	}

	status = wait_for(pid);
	if (!status)
		return;
	say("row %s: end of program", name);
	if (WIFSIGNALED(status))
		say("fail killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == 127)
		say("fail cannot run %s: put it into the initramfs", path);
	else
		say("fail exit status %d", WEXITSTATUS(status));
}

/* Calls @each with every word of a list on the kernel command line. */
static void for_each(const char *key, void (*each)(const char *word))
{
	char list[1024], *word, *save = NULL;

	if (!cmdline_get(key, list, sizeof(list)))
		return;
	for (word = strtok_r(list, ",", &save); word;
	     word = strtok_r(NULL, ",", &save))
		each(word);
}

static void load(const char *name)
{
	int ret = kmod_load(name, NULL);

	if (!ret || ret == -EEXIST)
		return;
	say("row module %s", name);
	say("fail cannot be loaded: %s", strerror(-ret));
}

/* Counts the reports; the full text goes to the console for the reader. */
static int print_leaks(char *first, size_t size)
{
	FILE *f = fopen(KMEMLEAK, "r");
	char line[512];
	int count = 0;

	if (!f)
		die(KMEMLEAK);
	while (fgets(line, sizeof(line), f)) {
		fputs(line, stdout);
		if (strncmp(line, "unreferenced object", 19))
			continue;
		if (!count++)
			snprintf(first, size, "%s", line);
	}
	fclose(f);
	fflush(stdout);
	return count;
}

/*
 * kmemleak reports an object that is older than 5 s, and whose contents did
 * not change from one scan to the next: so wait, and scan twice.
 */
static void check_leaks(void)
{
	char first[512] = "", word[8];
	int count;

	if (access(KMEMLEAK, F_OK) || (cmdline_get("kmemleak", word, sizeof(word)) && !strcmp(word, "off")))
		return;
	say("row kmemleak");
	sleep(6);
	if (write_file(KMEMLEAK, "scan") || write_file(KMEMLEAK, "scan"))
		die(KMEMLEAK);
	count = print_leaks(first, sizeof(first));
	if (count)
		say("fail %d leaks, first: %s", count, first);
	else
		say("pass");
}

static void check_taint(void)
{
	FILE *f = fopen("/proc/sys/kernel/tainted", "r");
	unsigned long taint;

	if (!f)
		return;		/* kernel without sysctl: the console tells */
	if (fscanf(f, "%lu", &taint) != 1)
		die("/proc/sys/kernel/tainted");
	fclose(f);
	say("row taint");
	if (taint & TAINT_TROUBLE)
		say("fail the kernel is tainted: %#lx", taint);
	else
		say("pass");
}

int main(void)
{
	char nonce[128];

	mount_all();
	open_console();
	open_channel();
	if (!cmdline_get("proof.nonce", nonce, sizeof(nonce)))
		die("no proof.nonce= on the kernel command line");

	say("hello %s", nonce);
	for_each("guest.modules", load);
	for_each("guest.run", run);
	say("run init");
	check_leaks();
	check_taint();
	say("done %s", nonce);
	tcdrain(CHANNEL_FD);
	reboot(RB_POWER_OFF);
	die("power off");
}
