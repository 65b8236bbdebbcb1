// SPDX-License-Identifier: GPL-2.0-only
/*
 * lsdmabuf - lists DMA-bufs and their attachments, and says why imports fail
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lsdmabuf.h"

#define VERSION "1.0"

static const char usage_text[] =
	"usage: lsdmabuf [--tree | --totals] [--json] [-p PID] [-o FILE]\n"
	"       lsdmabuf --watch [--json] [-o FILE]\n"
	"       lsdmabuf --why [--json] [--verbose] [-o FILE] [-u USER] [COMMAND [ARGUMENT...]]\n"
	"       lsdmabuf --why --stop\n"
	"\n"
	"Lists DMA-bufs, who holds them, and who imports them as which mapping type.\n"
	"\n"
	"  -t, --tree         exporters, their buffers, and the attachments of these\n"
	"  -T, --totals       how much each exporter and each process has\n"
	"  -p, --pid PID      only buffers that this process holds\n"
	"  -w, --watch        attach, map, unmap and the like, live until Ctrl-C\n"
	"  -y, --why          run COMMAND, then say why imports failed; without COMMAND\n"
	"                     record in the background, or say what was recorded\n"
	"      --stop         end the recording\n"
	"  -u, --user USER    run COMMAND as this user\n"
	"  -v, --verbose      with --why: each pair of types that was tried\n"
	"  -j, --json         the same for programs\n"
	"  -o, --output FILE  write it to FILE\n"
	"  -h, --help         this text\n"
	"  -V, --version      the version\n";

enum { OPT_STOP = 256 };

static const char short_options[] = "+tTjwyvhVp:o:u:";

static const struct option long_options[] = {
	{ "tree", no_argument, NULL, 't' },
	{ "totals", no_argument, NULL, 'T' },
	{ "pid", required_argument, NULL, 'p' },
	{ "watch", no_argument, NULL, 'w' },
	{ "why", no_argument, NULL, 'y' },
	{ "stop", no_argument, NULL, OPT_STOP },
	{ "user", required_argument, NULL, 'u' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "json", no_argument, NULL, 'j' },
	{ "output", required_argument, NULL, 'o' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{}
};

struct options {
	/* The letter of the option that chooses one, or 0 */
	int mode;
	int pid;
	const char *output;
	bool stop;
	struct why_options why;
};

FILE *out;

void die(const char *fmt, ...)
{
	va_list args;

	if (out)
		fflush(out);
	va_start(args, fmt);
	fprintf(stderr, PROGRAM ": ");
	vfprintf(stderr, fmt, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(EXIT_FAILURE);
}

void *zalloc(size_t size)
{
	void *mem = calloc(1, size);

	if (!mem)
		die("out of memory");
	return mem;
}

char *copy(const char *text)
{
	char *mem = strdup(text);

	if (!mem)
		die("out of memory");
	return mem;
}

bool knows_filesystem(const char *type)
{
	FILE *file = fopen("/proc/filesystems", "re");
	bool found = false;
	char line[256];

	/* Each line is "nodev" or nothing, a tab, and the type */
	while (file && fgets(line, sizeof(line), file)) {
		char *tab = strchr(line, '\t');

		line[strcspn(line, "\n")] = '\0';
		found |= tab && !strcmp(tab + 1, type);
	}
	if (file)
		fclose(file);
	return found;
}

static void usage(void)
{
	fputs(usage_text, stderr);
	exit(EXIT_FAILURE);
}

static void set_mode(struct options *options, int mode)
{
	if (options->mode && options->mode != mode)
		usage();
	options->mode = mode;
}

static int pid_of(const char *text)
{
	char *end;
	long pid = strtol(text, &end, 10);

	if (*end || end == text || pid <= 0 || pid > INT_MAX)
		die("'%s' is not a PID", text);
	return pid;
}

static void take_option(struct options *options, int opt)
{
	switch (opt) {
	case 't':
	case 'T':
	case 'w':
	case 'y':
		set_mode(options, opt);
		break;
	case OPT_STOP:
		options->stop = true;
		break;
	case 'p':
		options->pid = pid_of(optarg);
		break;
	case 'j':
		options->why.json = true;
		break;
	case 'v':
		options->why.verbose = true;
		break;
	case 'u':
		options->why.user = optarg;
		break;
	case 'o':
		options->output = optarg;
		break;
	case 'h':
		fputs(usage_text, stdout);
		exit(EXIT_SUCCESS);
	case 'V':
		puts(PROGRAM " " VERSION);
		exit(EXIT_SUCCESS);
	default:
		usage();
	}
}

/* Refuse what makes no sense together; only --why takes a command */
static void check_options(const struct options *options, bool command)
{
	bool why = options->mode == 'y', watch = options->mode == 'w';

	if (!why && (command || options->stop || options->why.verbose))
		usage();
	if (options->why.user && !(why && command))
		usage();
	if (options->pid && (why || watch))
		usage();
	if (options->mode == 't' && options->why.json)
		usage();
	if (options->stop && (command || options->why.verbose ||
			      options->why.json || options->output))
		usage();
}

static bool is_held_by(const struct buffer *buf, int pid)
{
	const struct holder *holder = buf->holders;

	while (holder && holder->pid != pid)
		holder = holder->next;
	return holder;
}

static struct buffer *chosen_buffers(const struct options *options)
{
	struct buffer *first = buffers_read(), **at = &first;

	while (options->pid && *at)
		if (is_held_by(*at, options->pid))
			at = &(*at)->next;
		else
			*at = (*at)->next;
	return first;
}

static void list(const struct options *options)
{
	struct buffer *buffers = chosen_buffers(options);
	bool json = options->why.json;

	if (options->mode == 't')
		list_tree(buffers);
	else if (options->mode == 'T' && json)
		totals_json(buffers);
	else if (options->mode == 'T')
		totals_table(buffers);
	else if (json)
		list_json(buffers);
	else
		list_table(buffers);
}

static int why(const struct options *options, char **command)
{
	if (*command)
		return why_command(command, &options->why);
	if (options->stop)
		why_stop();
	else
		why_recorded(&options->why);
	return EXIT_SUCCESS;
}

static int run(const struct options *options, char **command)
{
	if ((options->mode == 'w' || options->mode == 'y') && geteuid())
		die("needs root: sudo " PROGRAM);
	if (options->mode == 'y')
		return why(options, command);
	if (options->mode == 'w')
		watch(options->why.json);
	else
		list(options);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct options options = {};
	int opt, status;

	/* '+': what follows the command belongs to it */
	while ((opt = getopt_long(argc, argv, short_options, long_options,
				  NULL)) != -1)
		take_option(&options, opt);
	check_options(&options, optind < argc);
	out = options.output ? fopen(options.output, "we") : stdout;
	if (!out)
		die("%s: %s", options.output, strerror(errno));
	status = run(&options, argv + optind);
	if (fflush(out) && options.mode != 'w')
		die("cannot write");
	return status;
}
