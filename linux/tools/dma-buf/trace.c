// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trace events of DMA-buf: live, of one command, or recorded in the background.
 *
 * Each use has its own tracefs instance. It takes no event from anybody else,
 * and goes away with everything that it switched on.
 */
#include <errno.h>
#include <linux/kernel.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <event-parse.h>
#include <tracefs.h>

#include "lsdmabuf.h"

#define SYSTEM "dma_buf"

static const char *const why_events[] = {
	"dma_buf_match",
	"dma_buf_mapping_attach",
	"dma_buf_refuse",
	"dma_buf_map",
	NULL,
};

static const char *const more_events[] = {
	"dma_buf_invalidate",
	"dma_buf_unmap",
	"dma_buf_detach",
	NULL,
};

struct reader {
	struct tep_handle *tep;
	bool verbose;
	bool lost;
};

/* ---- instances ---- */

/* The one that must not outlive this process */
static struct tracefs_instance *own;

static void own_destroy(void)
{
	if (!own)
		return;
	tracefs_instance_destroy(own);
	tracefs_instance_free(own);
	own = NULL;
}

static void check_tracefs(void)
{
	if (!tracefs_tracing_dir()) {
		if (!knows_filesystem("tracefs"))
			die("this kernel has no tracefs (CONFIG_TRACING)");
		die("no tracefs: mount -t tracefs none /sys/kernel/tracing");
	}
	if (!tracefs_event_file_exists(NULL, SYSTEM, "dma_buf_match", "enable"))
		die(UNPATCHED);
}

static struct tracefs_instance *instance_open(const char *name)
{
	struct tracefs_instance *instance = tracefs_instance_create(name);

	if (!instance)
		die("cannot make a tracefs instance: %s", strerror(errno));
	return instance;
}

static void own_open(void)
{
	char name[64];

	snprintf(name, sizeof(name), PROGRAM "-%d", getpid());
	own = instance_open(name);
	atexit(own_destroy);
}

static void enable(struct tracefs_instance *instance, const char *const *events)
{
	for (; *events; events++)
		if (tracefs_event_enable(instance, SYSTEM, *events))
			die("cannot record %s: %s", *events, strerror(errno));
}

/* ---- reading ---- */

static void reader_init(struct reader *reader, bool verbose)
{
	const char *const systems[] = { SYSTEM, NULL };

	memset(reader, 0, sizeof(*reader));
	reader->verbose = verbose;
	reader->tep = tracefs_local_events_system(NULL, systems);
	if (!reader->tep)
		die("cannot read the formats of the trace events");
}

/* The kernel remembers the names of tasks that had events, even of dead ones */
static const char *comm_of(struct reader *reader, int pid)
{
	if (!tep_is_pid_registered(reader->tep, pid))
		tracefs_load_cmdlines(NULL, reader->tep);
	return tep_data_comm_from_pid(reader->tep, pid);
}

static const char *text_of(struct tep_event *event, struct tep_record *record,
			   const char *field)
{
	int len;

	return tep_get_field_raw(NULL, event, field, record, &len, 0) ?: "none";
}

static unsigned long long
number_of(struct tep_event *event, struct tep_record *record, const char *field)
{
	unsigned long long value = 0;

	tep_get_field_val(NULL, event, field, record, &value, 0);
	return value;
}

static int read_why(struct tep_event *tep_event, struct tep_record *record,
		    int cpu, void *context)
{
	struct reader *reader = context;
	bool is_match = !strcmp(tep_event->name, "dma_buf_match");
	struct event event = {
		.name = tep_event->name,
		.pid = tep_data_pid(reader->tep, record),
		.attach = number_of(tep_event, record, "attach"),
		.ino = number_of(tep_event, record, "ino"),
		.exporter = text_of(tep_event, record, "exp_name"),
		.provider = text_of(tep_event, record, "provider"),
		.importer = text_of(tep_event, record, "importer"),
		.converter = text_of(tep_event, record, "converter"),
		.verdict = text_of(tep_event, record, "verdict"),
		.err = (int)number_of(tep_event, record, "err"),
	};

	event.comm = comm_of(reader, event.pid);
	event.offer = text_of(tep_event, record, is_match ? "offer" : "type");
	event.request = is_match ? text_of(tep_event, record, "request") :
				   event.offer;
	if (record->missed_events && !reader->lost) {
		printf("Events were lost: there were more refusals, or a reason is missing.\n");
		reader->lost = true;
		why_lost();
	}
	why_event(&event, stdout, reader->verbose);
	return 0;
}

static void print_why(struct tracefs_instance *instance, bool verbose)
{
	struct reader reader;

	reader_init(&reader, verbose);
	tracefs_iterate_raw_events(reader.tep, instance, NULL, 0, read_why,
				   &reader);
	why_flush(stdout);
	if (!why_sentences())
		printf("No import of a DMA-buf was refused.\n");
	tep_free(reader.tep);
}

static int read_watch(struct tep_event *event, struct tep_record *record,
		      int cpu, void *context)
{
	struct reader *reader = context;
	struct trace_seq seq;

	comm_of(reader, tep_data_pid(reader->tep, record));
	trace_seq_init(&seq);
	tep_print_event(reader->tep, &seq, record, "%6.1000d %s[%d] %s: %s\n",
			TEP_PRINT_TIME, TEP_PRINT_COMM, TEP_PRINT_PID,
			TEP_PRINT_NAME, TEP_PRINT_INFO);
	trace_seq_do_printf(&seq);
	trace_seq_destroy(&seq);
	return 0;
}

/* ---- signals ---- */

/* Wait for signals instead of dying: the instance has to be removed */
static sigset_t block_signals(void)
{
	static const int signals[] = {
		SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGCHLD,
	};
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	return set;
}

static void unblock_signals(const sigset_t *set)
{
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, set, NULL);
}

/* ---- what can be asked for ---- */

void watch(void)
{
	const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };
	struct reader reader;
	sigset_t signals;

	check_tracefs();
	reader_init(&reader, false);
	signals = block_signals();
	own_open();
	enable(own, why_events);
	enable(own, more_events);
	do {
		tracefs_iterate_raw_events(reader.tep, own, NULL, 0, read_watch,
					   &reader);
		/* The reader is gone */
		if (fflush(stdout))
			break;
	} while (sigtimedwait(&signals, NULL, &pause) < 0);
	tep_free(reader.tep);
}

/* Waits for the byte that says that everything it does is recorded */
static void __noreturn run_command(char **argv, const int *go,
				   const sigset_t *signals)
{
	char byte;

	close(go[1]);
	if (read(go[0], &byte, 1) != 1)
		_exit(EXIT_FAILURE);
	close(go[0]);
	unblock_signals(signals);
	execvp(*argv, argv);
	fprintf(stderr, PROGRAM ": %s: %s\n", *argv, strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static void record_process(pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	if (tracefs_instance_file_write(own, "set_event_pid", text) < 0 ||
	    tracefs_option_enable(own, TRACEFS_OPTION_EVENT_FORK))
		die("cannot record one process: %s", strerror(errno));
	enable(own, why_events);
}

static pid_t start_command(char **argv, const sigset_t *signals)
{
	pid_t child;
	int go[2];

	if (pipe(go))
		die("pipe: %s", strerror(errno));
	child = fork();
	if (child < 0)
		die("fork: %s", strerror(errno));
	if (!child)
		run_command(argv, go, signals);

	close(go[0]);
	record_process(child);
	if (write(go[1], "", 1) != 1)
		die("pipe: %s", strerror(errno));
	close(go[1]);
	return child;
}

/* The exit status of the command, as a shell would give it */
static int wait_for(pid_t child, const sigset_t *signals)
{
	int sig, status;
	pid_t ended;

	while (!(ended = waitpid(child, &status, WNOHANG))) {
		sigwait(signals, &sig);
		/* Signals of the keyboard have reached the command as well */
		if (sig == SIGTERM || sig == SIGHUP)
			kill(child, sig);
	}
	if (ended < 0)
		die("wait: %s", strerror(errno));
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
				     WEXITSTATUS(status);
}

int why_command(char **argv, bool verbose)
{
	sigset_t signals;
	int status;

	check_tracefs();
	signals = block_signals();
	own_open();
	status = wait_for(start_command(argv, &signals), &signals);
	print_why(own, verbose);
	return status;
}

void why_recorded(bool verbose)
{
	struct tracefs_instance *instance;
	bool recording;

	check_tracefs();
	recording = tracefs_instance_exists(PROGRAM);
	instance = instance_open(PROGRAM);
	if (recording) {
		print_why(instance, verbose);
	} else {
		enable(instance, why_events);
		printf("Recording: '%s --why' tells what was refused, '%s --why --stop' ends it.\n",
		       PROGRAM, PROGRAM);
	}
	tracefs_instance_free(instance);
}

void why_stop(void)
{
	struct tracefs_instance *instance;

	check_tracefs();
	if (!tracefs_instance_exists(PROGRAM))
		die("was not recording");
	instance = instance_open(PROGRAM);
	if (tracefs_instance_destroy(instance))
		die("cannot end the recording: %s", strerror(errno));
	tracefs_instance_free(instance);
}
