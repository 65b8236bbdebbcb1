// SPDX-License-Identifier: GPL-2.0
/* Runs each row in a process of its own, and tells the host how it ended. */
#include "rows.h"
#include "channel.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* A verdict that starts with this is the reason for a skip. */
#define SKIP '\t'

static int verdict_fd = -1;

void fail(const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (write(verdict_fd, text, strlen(text)) < 0)
		perror("verdict");
	_exit(1);
}

void skip(const char *why)
{
	dprintf(verdict_fd, "%c%s", SKIP, why);
	_exit(0);
}

void expect_bufinfo(const char *when, int buffers, int attached)
{
	struct bufinfo seen = bufinfo_read();

	if (seen.buffers != buffers || seen.attached != attached)
		fail("%s: expected %d buffers with %d attached, bufinfo has %d with %d",
		     when, buffers, attached, seen.buffers, seen.attached);
}

struct range all_of(const struct shape *shape)
{
	return (struct range) { 0, shape_size(shape) };
}

/* ---- shapes ---- */

const struct shape one = {
	"1 range", 1, { { 0x123000, 0x10000 } }
};

const struct shape three = {
	"3 ranges", 3, {
		{ 0x300000, 0x05000 }, { 0x041000, 0x03000 },
		{ 0x180000, 0x21000 },
	}
};

const struct shape whole_bar = {
	"the whole BAR", 1, { { 0, BAR_SIZE } }
};

struct shape sixty_four = { .name = "64 ranges", .count = 64 };

/* 37 and 64 have no common divisor. */
static void make_sixty_four(void)
{
	for (int i = 0; i < 64; i++)
		sixty_four.ranges[i] = (struct range) {
			.offset = 0x100000 + (i * 37 % 64) * 2 * PAGE,
			.len = PAGE,
		};
}

/* ---- the machine ---- */

static void find_devices(void)
{
	char bdf[8][16];

	if (pci_find(ID_IVSHMEM, bdf, 8) != EXPORTERS)
		fail("expected %d ivshmem devices", EXPORTERS);
	memcpy(machine->exporter, bdf, sizeof(machine->exporter));
	if (pci_find(ID_EDU, bdf, 8) != EDUS)
		fail("expected %d edu devices", EDUS);
	memcpy(machine->edu, bdf, sizeof(machine->edu));
}

static void bind(const char *bdf)
{
	int ret = pci_bind_vfio(bdf);

	if (ret)
		fail("bind %s to vfio-pci: %s", bdf, err(ret));
}

void row_devices(const struct row *row)
{
	/* First and last page of the BAR */
	static const struct shape ends = {
		"2 ranges", 2, { { BAR_SIZE - PAGE, PAGE }, { 0, PAGE } }
	};
	struct view v = view_of(&ends, all_of(&ends), 0);
	struct lab lab;

	find_devices();
	for (int i = 0; i < EXPORTERS; i++)
		bind(machine->exporter[i]);
	for (int i = 0; i < EDUS; i++)
		bind(machine->edu[i]);
	for (int i = 0; i < EXPORTERS; i++) {
		lab_open(&lab, i);
		expect_bytes(&lab, &v, "after the CPU wrote");
		pdev_close(&lab.exporter);
		pdev_close(&lab.edu[0]);
	}
}

bool rows_machine(void)
{
	lab_init();
	make_sixty_four();
	machine = mmap(NULL, sizeof(*machine), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (machine == MAP_FAILED)
		return false;
	machine->last_fault_ms = -10000;
	return true;
}

/* ---- rows as processes ---- */

static void row_child(const struct row *row)
{
	row->fn(row);
	_exit(0);
}

/* Reads what the child wrote to @fd until all its writers are gone. */
static void read_verdict(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 && (n = read(fd, text + len, size - 1 - len)) > 0)
		len += n;
	text[len] = '\0';
}

static void judge(const char *reason, int status)
{
	if (reason[0] == SKIP)
		say("skip %s", reason + 1);
	else if (reason[0])
		say("fail %s", reason);
	else if (WIFSIGNALED(status))
		say("fail killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
	else if (WEXITSTATUS(status))
		say("fail exit status %d", WEXITSTATUS(status));
	else
		say("pass");
}

/* Runs @fn in a process of its own; gives its wait status and the reason. */
static int in_child(void (*fn)(const struct row *), const struct row *row,
		    char *reason, size_t size)
{
	int pipefd[2], status = -1;
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC))
		exit(1);
	pid = fork();
	if (pid < 0)
		exit(1);
	if (!pid) {
		verdict_fd = pipefd[1];
		fn(row);
	}
	close(pipefd[1]);
	read_verdict(pipefd[0], reason, size);
	close(pipefd[0]);
	waitpid(pid, &status, 0);
	return status;
}

/* No buffer may outlive its row, however the row ended. */
static void leftover_child(const struct row *row)
{
	expect_bufinfo("after the row", 0, 0);
	_exit(0);
}

static void run_row(const struct row *row)
{
	char reason[600], leftover[600];
	int status;

	say("row %s", row->name);
	say("note %s", row->proves);
	status = in_child(row_child, row, reason, sizeof(reason));
	in_child(leftover_child, row, leftover, sizeof(leftover));
	judge(reason[0] || status ? reason : leftover, status);
}

/* Is one of the comma-separated texts part of the name? */
static bool listed(const char *name, const char *texts)
{
	char copy[256], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", texts);
	for (char *text = strtok_r(copy, ",", &save); text; text = strtok_r(NULL, ",", &save))
		if (strstr(name, text))
			return true;
	return false;
}

void rows_run(const char *program, const struct row *rows, size_t count)
{
	char key[32], only[256];
	bool all;

	snprintf(key, sizeof(key), "%s.only", program);
	all = !cmdline_get(key, only, sizeof(only));
	for (char *p = only; !all && (p = strchr(p, '+')); )
		*p = ' ';
	for (size_t i = 0; i < count; i++) {
		if (!i || all || listed(rows[i].name, only))
			run_row(&rows[i]);
	}
}
