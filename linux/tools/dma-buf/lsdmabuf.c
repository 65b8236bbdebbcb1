// SPDX-License-Identifier: GPL-2.0-only
/*
 * lsdmabuf - lists DMA-bufs and their attachments, and says why imports fail
 */
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lsdmabuf.h"

#define VERSION "1.0"

static const char usage_text[] =
	"usage: lsdmabuf [--tree | --json]\n"
	"       lsdmabuf --watch\n"
	"       lsdmabuf --why [--verbose] [COMMAND [ARGUMENT...]]\n"
	"       lsdmabuf --why --stop\n"
	"\n"
	"Lists DMA-bufs, who holds them, and who imports them as which mapping type.\n"
	"\n"
	"  -t, --tree     exporters, their buffers, and the attachments of these\n"
	"  -j, --json     everything as one JSON document\n"
	"  -w, --watch    attach, map, unmap and the like, live until Ctrl-C\n"
	"  -y, --why      run COMMAND, then say why imports were refused; without\n"
	"                 COMMAND record in the background, or say what was recorded\n"
	"      --stop     end the recording\n"
	"  -v, --verbose  with --why: each pair of types that was tried\n"
	"  -h, --help     this text\n"
	"  -V, --version  the version\n";

enum { OPT_STOP = 256 };

static const struct option long_options[] = {
	{ "tree", no_argument, NULL, 't' },
	{ "json", no_argument, NULL, 'j' },
	{ "watch", no_argument, NULL, 'w' },
	{ "why", no_argument, NULL, 'y' },
	{ "stop", no_argument, NULL, OPT_STOP },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{}
};

struct options {
	/* The letter of the option that chooses one, or 0 */
	int mode;
	bool stop;
	bool verbose;
};

void die(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
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

static void take_option(struct options *options, int opt)
{
	switch (opt) {
	case 't':
	case 'j':
	case 'w':
	case 'y':
		set_mode(options, opt);
		break;
	case OPT_STOP:
		options->stop = true;
		break;
	case 'v':
		options->verbose = true;
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
	bool why = options->mode == 'y';

	if (!why && (command || options->stop || options->verbose))
		usage();
	if (options->stop && (command || options->verbose))
		usage();
}

static int why(const struct options *options, char **command)
{
	if (*command)
		return why_command(command, options->verbose);
	if (options->stop)
		why_stop();
	else
		why_recorded(options->verbose);
	return EXIT_SUCCESS;
}

static int run(const struct options *options, char **command)
{
	switch (options->mode) {
	case 't':
		list_tree(buffers_read());
		break;
	case 'j':
		list_json(buffers_read());
		break;
	case 'w':
		watch();
		break;
	case 'y':
		return why(options, command);
	default:
		list_table(buffers_read());
	}
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct options options = {};
	int opt, status;

	/* '+': what follows the command belongs to it */
	while ((opt = getopt_long(argc, argv, "+tjwyvhV", long_options,
				  NULL)) != -1)
		take_option(&options, opt);
	check_options(&options, optind < argc);
	if (geteuid())
		die("needs root: sudo " PROGRAM);
	status = run(&options, argv + optind);
	if (fflush(stdout) && options.mode != 'w')
		die("cannot write");
	return status;
}
