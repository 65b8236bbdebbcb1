// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the kernel's own selftests that the kernel command line names
 * (kselftest.run=a,b runs /bin/a, then /bin/b) and turns their TAP lines into
 * rows. A test that dies before its plan is fulfilled is a failed row.
 * With kselftest.vfio=1 they get an igb on vfio-pci, as VFIO's want it.
 */
#include "lib/channel.h"
#include "lib/file.h"
#include "lib/vfio.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KSFT_SKIP 4	/* the exit status of a program that skipped everything */

struct tap {
	const char *test;
	int planned, seen, failed;
	char why[256];		/* the first complaint before "not ok" */
};

static char igb[16];

/* VFIO's test of its own drivers lets the igb access what is not mapped. */
static void announce_faults(const char *name)
{
	if (igb[0] && strstr(name, "unmapped_iova"))
		say("fault * %s *", igb);
}

/* "ok 1 name", "not ok 2 name", "ok 3 name # SKIP reason" */
static void result_line(struct tap *tap, char *line, bool ok)
{
	char *comment = strstr(line, " # ");
	char *name = line + strcspn(line, "0123456789");

	name += strspn(name, "0123456789 ");
	if (comment)
		*comment = '\0';
	tap->seen++;
	tap->failed += !ok;
	say("row %s: %s", tap->test, name);
	announce_faults(name);
	if (!ok)
		say("fail %s", tap->why[0] ? tap->why : "see the console");
	else if (comment && !strncmp(comment + 3, "SKIP", 4))
		say("skip %s", comment + 3 + strlen("SKIP") +
		    strspn(comment + 3 + strlen("SKIP"), " "));
	else
		say("pass");
	tap->why[0] = '\0';
}

static void take_line(struct tap *tap, char *line)
{
	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "1..%d", &tap->planned) == 1)
		return;
	if (!strncmp(line, "ok ", 3))
		result_line(tap, line, true);
	else if (!strncmp(line, "not ok ", 7))
		result_line(tap, line, false);
	else if (!tap->why[0] &&
		 (strstr(line, "Expected") || strstr(line, "terminated")))
		snprintf(tap->why, sizeof(tap->why), "%s", line + strspn(line, "# "));
}

/* Ends the text at the separator; returns what is behind it, if there is one. */
static char *split(char *text, char separator)
{
	char *found = strchr(text, separator);

	if (!found)
		return NULL;
	*found = '\0';
	return found + 1;
}

#define MOST_ARGS 16

/* "one+two", or "-one-two" for all but these, as arguments of the harness */
static void add_filters(char **args, char *only)
{
	char *flag = only && *only == '-' ? "-T" : "-t", *name, *save = NULL;
	int n = 1;

	for (name = only ? strtok_r(only, "+-", &save) : NULL; name && n + 2 <= MOST_ARGS;
	     name = strtok_r(NULL, "+-", &save)) {
		args[n++] = flag;
		args[n++] = name;
	}
}

/* The test writes into a pipe; the channel to the host is not for it. */
static FILE *start(char *test, char *only, pid_t *pid)
{
	char path[300], *args[MOST_ARGS + 1] = { test };
	int fd[2];

	snprintf(path, sizeof(path), "/bin/%s", test);
	if (pipe2(fd, O_CLOEXEC))
		return NULL;
	*pid = fork();
	if (!*pid) {
		dup2(fd[1], STDOUT_FILENO);
		dup2(fd[1], STDERR_FILENO);
		add_filters(args, only);
		execv(path, args);
		_exit(127);
	}
	close(fd[1]);
	return fdopen(fd[0], "r");
}

/* A test that reports no failure must not end as if there was one. */
static bool ended_well(const struct tap *tap, int status)
{
	return WIFEXITED(status) && (tap->failed || !WEXITSTATUS(status) ||
				     WEXITSTATUS(status) == KSFT_SKIP);
}

/* NAME, or NAME:TEST+TEST for these tests alone, or NAME:-TEST-TEST for all others */
static void run(char *test)
{
	char *only = split(test, ':');
	struct tap tap = { .test = test, .planned = -1 };
	char line[LINE_MAX_LEN];
	pid_t pid = -1;
	FILE *out = start(test, only, &pid);
	int status = 0;

	while (out && fgets(line, sizeof(line), out)) {
		fputs(line, stdout);
		take_line(&tap, line);
	}
	if (out)
		fclose(out);
	fflush(stdout);
	waitpid(pid, &status, 0);
	say("row %s: all planned tests", test);
	if (tap.seen && tap.seen == tap.planned && ended_well(&tap, status))
		say("pass");
	else
		say("fail %d of %d came, status %#x", tap.seen, tap.planned, status);
}

#define ID_IGB 0x808610c9

static void give_igb(void)
{
	char on[8], bdf[2][16];

	if (!cmdline_get("kselftest.vfio", on, sizeof(on)))
		return;
	say("row igb on vfio-pci");
	if (pci_find(ID_IGB, bdf, 2) < 1 || pci_bind_vfio(bdf[0]))
		fail("there is no igb, or it cannot be bound");
	snprintf(igb, sizeof(igb), "%s", bdf[0]);
	setenv("VFIO_SELFTESTS_BDF", igb, 1);
	say("pass");
}

int main(void)
{
	char list[1024], *test, *save = NULL;

	if (!cmdline_get("kselftest.run", list, sizeof(list)))
		list[0] = '\0';
	fcntl(CHANNEL_FD, F_SETFD, FD_CLOEXEC);
	give_igb();
	/* The largest test maps 128 MiB */
	if (write_file("/proc/sys/vm/nr_hugepages", "96"))
		perror("nr_hugepages");
	for (test = strtok_r(list, ",", &save); test; test = strtok_r(NULL, ",", &save))
		run(test);
	return 0;
}
