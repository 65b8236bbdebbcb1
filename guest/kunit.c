// SPDX-License-Identifier: GPL-2.0
/*
 * Turns the results of the KUnit suites that ran while the kernel booted into
 * rows. Fails when there is no result at all, or when a suite that the kernel
 * command line names (kunit.need=a,b) has none. A module with suites is loaded
 * before, by guest.modules=.
 *
 * A results file is KTAP: the cases of the suite are indented by four blanks,
 * parameters of a case by eight; the line of the suite itself is not indented.
 */
#include "lib/channel.h"
#include "lib/file.h"
#include "lib/inject.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RESULTS "/sys/kernel/debug/kunit"

static int rows;

static void row(const char *suite, const char *name, const char *fmt,
		const char *reason)
{
	say("row %s.%s", suite, name);
	say(fmt, reason);
	rows++;
}

/* The first "# case: EXPECTATION FAILED" line is worth more than "not ok". */
static void remember(char *why, size_t size, const char *line)
{
	const char *failed = strstr(line, "FAILED at");

	if (failed && !why[0])
		snprintf(why, size, "%.*s", (int)strcspn(failed, "\n"), failed);
}

/* "ok 1 name # SKIP reason" */
static void result_line(const char *suite, char *line, char *why)
{
	bool ok = !strncmp(line, "ok ", 3);
	char *name, *skip;
	int at = 0;

	if (sscanf(line, ok ? "ok %*d %n" : "not ok %*d %n", &at) || !at)
		return;
	name = line + at;
	name[strcspn(name, "\n")] = '\0';
	skip = strstr(name, " # SKIP");
	if (skip) {
		*skip = '\0';
		skip += strlen(" # SKIP");
	}
	if (skip)
		row(suite, name, "skip %s", skip + strspn(skip, " "));
	else if (ok)
		row(suite, name, "pass", "");
	else
		row(suite, name, "fail %s", why[0] ? why : "see the console");
	why[0] = '\0';
}

static void read_suite(const char *suite)
{
	char path[300], line[LINE_MAX_LEN], why[256] = "";
	int before = rows;
	FILE *f;

	snprintf(path, sizeof(path), RESULTS "/%s/results", suite);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		remember(why, sizeof(why), line);
		if (!strncmp(line, "    ", 4) && line[4] != ' ')
			result_line(suite, line + 4, why);
		else if (rows == before && strstr(line, " # SKIP"))
			result_line(suite, line, why);
	}
	if (f)
		fclose(f);
	if (rows == before)
		row(suite, "result", "fail no result in %s", path);
}

static void check_needed(void)
{
	char list[1024], path[300], *suite, *save = NULL;

	if (!cmdline_get("kunit.need", list, sizeof(list)))
		return;
	for (suite = strtok_r(list, ",", &save); suite;
	     suite = strtok_r(NULL, ",", &save)) {
		snprintf(path, sizeof(path), RESULTS "/%s/results", suite);
		if (access(path, F_OK))
			row(suite, "suite", "fail did not run: no %s", path);
	}
}

static void need(const char *what, int ret)
{
	if (ret)
		row("kunit", what, "fail %s", strerror(-ret));
}

/*
 * kunit.faults=SUITE runs that one now, with allocations that fail; kunit.autorun=0
 * must have kept it from running before, or what it skipped stays skipped.
 */
static void run_with_faults(void)
{
	char suite[64], path[300];

	if (!cmdline_get("kunit.faults", suite, sizeof(suite)))
		return;
	need("fault injection", inject_setup());
	need("faults", write_file("/sys/module/dmabuf_kunit/parameters/faults", "1"));
	snprintf(path, sizeof(path), RESULTS "/%s/run", suite);
	need(suite, write_file(path, "1"));
}

int main(void)
{
	struct dirent **list;
	int n;

	run_with_faults();
	n = scandir(RESULTS, &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		if (list[i]->d_name[0] != '.')
			read_suite(list[i]->d_name);
	}
	check_needed();
	if (!rows)
		row("kunit", "results", "fail nothing in %s: is KUnit in this kernel?",
		    RESULTS);
	return 0;
}
