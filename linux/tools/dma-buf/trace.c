// SPDX-License-Identifier: GPL-2.0-only
/*
 * Trace events of DMA-buf: live, of one command, or recorded in the background.
 *
 * Each use has its own tracefs instance. It takes no event from anybody else,
 * and goes away with everything that it switched on. Of a process that is killed
 * it stays; the next one removes it. An instance in use has an open file, so that
 * the kernel refuses to remove it.
 *
 * The errors of system calls are in a second instance: a command may make so many
 * of them that they would push out what is looked for.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/kernel.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <event-parse.h>
#include <tracefs.h>

#include "lsdmabuf.h"

#define SYSTEM "dma_buf"
#define CALLS "raw_syscalls"

/* What a kernel does not have is left out, see check_tracefs() */
static const char *const why_events[] = {
	"dma_buf_get",
	"dma_buf_p2p_obstacle",
	"dma_buf_match",
	"dma_buf_mapping_attach",
	"dma_buf_refuse",
	"dma_buf_map",
	"dma_buf_failed",
	"dma_buf_detach",
	NULL,
};

static const char *const stock_events[] = {
	"dma_buf_get",
	"dma_buf_dynamic_attach",
	"dma_buf_detach",
	NULL,
};

static const char *const watch_events[] = {
	"dma_buf_invalidate",
	"dma_buf_unmap",
	NULL,
};

/* Those in which buffers are imported */
static const int calls[] = {
	__NR_ioctl, __NR_io_uring_enter, __NR_io_uring_register,
	__NR_sendmsg, __NR_sendto, __NR_setsockopt, __NR_write,
};

/* The end of a system call */
struct call {
	int pid;
	unsigned long long time;
	long ret;
};

struct reader {
	struct tep_handle *tep;
	bool json;
	/* In the order of threads, and in each of time */
	struct call *calls;
	size_t nr_calls;
	/* Of calls before that, some are unknown */
	unsigned long long calls_from;
};

/* ---- instances ---- */

/* Those that must not outlive this process */
static struct own {
	struct tracefs_instance *instance;
	int busy;
} own, own_calls;

static void own_close(struct own *own)
{
	if (!own->instance)
		return;
	close(own->busy);
	tracefs_instance_destroy(own->instance);
	tracefs_instance_free(own->instance);
	own->instance = NULL;
}

static void own_destroy(void)
{
	own_close(&own);
	own_close(&own_calls);
}

static bool has_event(const char *system, const char *event)
{
	return tracefs_event_file_exists(NULL, system, event, "enable");
}

/* Whether the kernel is stock */
static bool check_tracefs(void)
{
	if (!tracefs_tracing_dir()) {
		if (!knows_filesystem("tracefs"))
			die("this kernel has no tracefs (CONFIG_TRACING)");
		die("no tracefs: mount -t tracefs none /sys/kernel/tracing");
	}
	if (!has_event(SYSTEM, "dma_buf_get"))
		die("this kernel has no trace events of DMA-bufs: they take Linux 7.0");
	return !has_event(SYSTEM, "dma_buf_match");
}

static struct tracefs_instance *instance_open(const char *name)
{
	struct tracefs_instance *instance = tracefs_instance_create(name);

	if (!instance)
		die("cannot make a tracefs instance: %s", strerror(errno));
	return instance;
}

/* What killed processes have left: the kernel keeps those in use */
static void remove_stale(void)
{
	char *path = tracefs_get_tracing_file("instances");
	DIR *dir = path ? opendir(path) : NULL;
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, PROGRAM "-", strlen(PROGRAM "-")))
			unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
	if (dir)
		closedir(dir);
	tracefs_put_tracing_file(path);
}

static void own_open(struct own *own, const char *suffix)
{
	char name[64];

	snprintf(name, sizeof(name), PROGRAM "-%d%s", getpid(), suffix);
	own->instance = instance_open(name);
	own->busy = tracefs_instance_file_open(own->instance, "tracing_on",
					       O_RDONLY | O_CLOEXEC);
	/* One clock, so that events of two instances are in one order */
	tracefs_instance_file_write(own->instance, "trace_clock", "mono");
}

static void enable(struct tracefs_instance *instance, const char *const *events)
{
	for (; *events; events++)
		if (has_event(SYSTEM, *events) &&
		    tracefs_event_enable(instance, SYSTEM, *events))
			die("cannot record %s: %s", *events, strerror(errno));
}

static void enable_why(struct tracefs_instance *instance, bool stock)
{
	enable(instance, stock ? stock_events : why_events);
}

/* ---- system calls ---- */

static void enable_calls(struct tracefs_instance *instance)
{
	char filter[400] = "";
	size_t i, len = 0;

	for (i = 0; i < ARRAY_SIZE(calls); i++)
		len += snprintf(filter + len, sizeof(filter) - len,
				"%sid == %d", i ? " || " : "", calls[i]);
	tracefs_event_file_write(instance, CALLS, "sys_exit", "filter", filter);
	if (has_event(CALLS, "sys_exit"))
		tracefs_event_enable(instance, CALLS, "sys_exit");
}

static int by_thread(const void *a, const void *b)
{
	const struct call *one = a, *other = b;

	if (one->pid != other->pid)
		return one->pid < other->pid ? -1 : 1;
	return one->time < other->time ? -1 : one->time > other->time;
}

static unsigned long long
number_of(struct tep_event *event, struct tep_record *record, const char *field)
{
	unsigned long long value = 0;

	tep_get_field_val(NULL, event, field, record, &value, 0);
	return value;
}

static int read_call(struct tep_event *event, struct tep_record *record,
		     int cpu, void *context)
{
	struct reader *reader = context;
	size_t count = reader->nr_calls;
	struct call *call;

	if (record->missed_events)
		reader->calls_from = record->ts;
	/* At 0 and each power of two there is no room for another one */
	if (!(count & (count - 1))) {
		call = realloc(reader->calls,
			       (count * 2 ?: 1) * sizeof(*reader->calls));
		if (!call)
			die("out of memory");
		reader->calls = call;
	}
	call = &reader->calls[reader->nr_calls++];
	call->pid = tep_data_pid(reader->tep, record);
	call->time = record->ts;
	call->ret = (long)number_of(event, record, "ret");
	return 0;
}

static void read_calls(struct reader *reader)
{
	if (!own_calls.instance)
		return;
	tracefs_iterate_raw_events(reader->tep, own_calls.instance, NULL, 0,
				   read_call, reader);
	qsort(reader->calls, reader->nr_calls, sizeof(*reader->calls),
	      by_thread);
}

/* The first one of the event's thread that ends after it */
static void find_call(const struct reader *reader, struct event *event)
{
	const struct call key = { .pid = event->pid, .time = event->time };
	size_t low = 0, high = reader->nr_calls;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_thread(&reader->calls[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (event->time < reader->calls_from || low == reader->nr_calls ||
	    reader->calls[low].pid != event->pid)
		return;
	event->call = low + 1;
	/* Those beyond 511 mean that the kernel makes the call again */
	if (reader->calls[low].ret < 0 && reader->calls[low].ret > -4096 &&
	    (reader->calls[low].ret > -512 || reader->calls[low].ret < -516))
		event->call_err = (int)reader->calls[low].ret;
}

/* ---- reading ---- */

static void reader_init(struct reader *reader, bool json)
{
	const char *const systems[] = { SYSTEM, CALLS, NULL };

	memset(reader, 0, sizeof(*reader));
	reader->json = json;
	reader->tep = tracefs_local_events_system(NULL, systems);
	if (!reader->tep)
		die("cannot read the formats of the trace events");
}

static void reader_free(struct reader *reader)
{
	tep_free(reader->tep);
	free(reader->calls);
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

/* Events have different names for the same things; what one lacks is "none" */
static const char *either(struct tep_event *event, struct tep_record *record,
			  const char *field, const char *other)
{
	return text_of(event, record,
		       tep_find_any_field(event, field) ? field : other);
}

static int read_why(struct tep_event *tep_event, struct tep_record *record,
		    int cpu, void *context)
{
	struct reader *reader = context;
	struct event event = {
		.name = tep_event->name,
		.pid = tep_data_pid(reader->tep, record),
		.time = record->ts,
		.attach = number_of(tep_event, record, "attach"),
		.ino = number_of(tep_event, record, "ino"),
		.exporter = text_of(tep_event, record, "exp_name"),
		.provider = text_of(tep_event, record, "provider"),
		.importer = either(tep_event, record, "importer", "dev_name"),
		.offer = either(tep_event, record, "offer", "type"),
		.request = either(tep_event, record, "request", "type"),
		.converter = text_of(tep_event, record, "converter"),
		.verdict = either(tep_event, record, "verdict", "what"),
		.err = (int)number_of(tep_event, record, "err"),
		.ranges = number_of(tep_event, record, "ranges"),
		.function = text_of(tep_event, record, "function"),
		.vendor = number_of(tep_event, record, "vendor"),
		.device = number_of(tep_event, record, "device"),
	};

	event.comm = comm_of(reader, event.pid);
	find_call(reader, &event);
	if (record->missed_events)
		why_lost();
	why_event(&event);
	return 0;
}

static void print_why(struct tracefs_instance *instance,
		      const struct why_options *options)
{
	struct reader reader;

	reader_init(&reader, options->json);
	read_calls(&reader);
	why_begin(options);
	tracefs_iterate_raw_events(reader.tep, instance, NULL, 0, read_why,
				   &reader);
	why_end();
	reader_free(&reader);
}

/* ---- watch ---- */

static void json_field(struct tep_event *event, struct tep_record *record,
		       struct tep_format_field *field)
{
	unsigned long long value = 0;

	fprintf(out, ", ");
	if (field->flags & TEP_FIELD_IS_STRING) {
		json_member(field->name, text_of(event, record, field->name));
		return;
	}
	tep_read_number_field(field, record->data, &value);
	/* Beyond what numbers of JSON can be relied on for */
	if (field->flags & TEP_FIELD_IS_POINTER)
		fprintf(out, "\"%s\": \"0x%llx\"", field->name, value);
	else if (field->flags & TEP_FIELD_IS_SIGNED && field->size == 4)
		fprintf(out, "\"%s\": %d", field->name, (int)value);
	else
		fprintf(out, "\"%s\": %llu", field->name, value);
}

/* One document a line */
static void watch_json(struct tep_event *event, struct tep_record *record,
		       const char *comm, int pid)
{
	struct tep_format_field *field;

	fprintf(out, "{\"time\": %llu.%09llu, ", record->ts / 1000000000,
		record->ts % 1000000000);
	json_member("comm", comm);
	fprintf(out, ", \"pid\": %d, ", pid);
	json_member("event", event->name);
	for (field = event->format.fields; field; field = field->next)
		json_field(event, record, field);
	fprintf(out, "}\n");
}

static void watch_text(struct reader *reader, struct tep_event *event,
		       struct tep_record *record, const char *comm, int pid)
{
	struct trace_seq seq;

	trace_seq_init(&seq);
	tep_print_event(reader->tep, &seq, record, "%s", TEP_PRINT_INFO);
	trace_seq_terminate(&seq);
	fprintf(out, "%6llu.%06llu %s[%d] %s: %s\n", record->ts / 1000000000,
		record->ts % 1000000000 / 1000, clean_comm(comm), pid,
		event->name, clean(seq.buffer));
	trace_seq_destroy(&seq);
}

static int read_watch(struct tep_event *event, struct tep_record *record,
		      int cpu, void *context)
{
	struct reader *reader = context;
	int pid = tep_data_pid(reader->tep, record);
	const char *comm = comm_of(reader, pid);

	if (reader->json)
		watch_json(event, record, comm, pid);
	else
		watch_text(reader, event, record, comm, pid);
	return 0;
}

/* False if nobody reads what it prints any more */
static bool watch_pass(struct reader *reader)
{
	tracefs_iterate_raw_events(reader->tep, own.instance, NULL, 0,
				   read_watch, reader);
	return !fflush(out);
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

void watch(bool json)
{
	const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };
	struct reader reader;
	sigset_t signals;
	bool stock = check_tracefs();

	reader_init(&reader, json);
	signals = block_signals();
	atexit(own_destroy);
	remove_stale();
	own_open(&own, "");
	enable_why(own.instance, stock);
	enable(own.instance, watch_events);
	while (watch_pass(&reader) && sigtimedwait(&signals, NULL, &pause) < 0)
		;
	/* What came after the last look, up to the signal */
	watch_pass(&reader);
	reader_free(&reader);
}

/* In the child, which must not remove what is its parent's: no die() */
static void switch_to(const struct passwd *user)
{
	if (initgroups(user->pw_name, user->pw_gid) || setgid(user->pw_gid) ||
	    setuid(user->pw_uid)) {
		fprintf(stderr, PROGRAM ": cannot become %s: %s\n",
			user->pw_name, strerror(errno));
		_exit(EXIT_FAILURE);
	}
	setenv("HOME", user->pw_dir, true);
	setenv("USER", user->pw_name, true);
	setenv("LOGNAME", user->pw_name, true);
}

/* Waits for the byte that says that everything it does is recorded */
static void __noreturn run_command(char **argv, const struct passwd *user,
				   const int *go, const sigset_t *signals)
{
	char byte;

	close(go[1]);
	if (read(go[0], &byte, 1) != 1)
		_exit(EXIT_FAILURE);
	close(go[0]);
	unblock_signals(signals);
	if (user)
		switch_to(user);
	execvp(*argv, argv);
	fprintf(stderr, PROGRAM ": %s: %s\n", *argv, strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static void record_process(struct tracefs_instance *instance, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	if (tracefs_instance_file_write(instance, "set_event_pid", text) < 0 ||
	    tracefs_option_enable(instance, TRACEFS_OPTION_EVENT_FORK))
		die("cannot record one process: %s", strerror(errno));
}

static pid_t start_command(char **argv, const struct why_options *options,
			   const sigset_t *signals)
{
	const struct passwd *user = NULL;
	pid_t child;
	int go[2];

	if (options->user) {
		user = getpwnam(options->user);
		if (!user)
			die("there is no user %s", options->user);
	}
	if (pipe(go))
		die("pipe: %s", strerror(errno));
	child = fork();
	if (child < 0)
		die("fork: %s", strerror(errno));
	if (!child)
		run_command(argv, user, go, signals);

	close(go[0]);
	record_process(own.instance, child);
	record_process(own_calls.instance, child);
	enable_calls(own_calls.instance);
	enable_why(own.instance, options->stock);
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

int why_command(char **argv, const struct why_options *given)
{
	struct why_options options = *given;
	sigset_t signals;
	int status;

	options.stock = check_tracefs();
	signals = block_signals();
	atexit(own_destroy);
	remove_stale();
	own_open(&own, "");
	own_open(&own_calls, "-calls");
	status = wait_for(start_command(argv, &options, &signals), &signals);
	print_why(own.instance, &options);
	return status;
}

void why_recorded(const struct why_options *given)
{
	struct why_options options = *given;
	struct tracefs_instance *instance;
	bool recording;

	options.stock = check_tracefs();
	remove_stale();
	recording = tracefs_instance_exists(PROGRAM);
	instance = instance_open(PROGRAM);
	if (recording) {
		print_why(instance, &options);
	} else {
		enable_why(instance, options.stock);
		fprintf(stderr,
			"Recording: '%s --why' tells what was refused, '%s --why --stop' ends it.\n",
			PROGRAM, PROGRAM);
	}
	tracefs_instance_free(instance);
}

void why_stop(void)
{
	struct tracefs_instance *instance;

	check_tracefs();
	remove_stale();
	if (!tracefs_instance_exists(PROGRAM))
		die("was not recording");
	instance = instance_open(PROGRAM);
	if (tracefs_instance_destroy(instance))
		die("cannot end the recording: %s", strerror(errno));
	tracefs_instance_free(instance);
}
