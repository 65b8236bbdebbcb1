// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs each test in a process of its own, one line each, then random programs.
 * A test that "dies" must.
 * `user FILE...` runs programs of files instead; `user -s SEED -n PROGRAMS`.
 */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "test.h"

static struct {
	u8 bytes[4096];
	size_t len;
} program;

/* A reproducer, to be pasted into a test */
static void print_program(void)
{
	if (!program.len)
		return;
	fprintf(stderr, "static const u8 program[] = {");
	for (size_t i = 0; i < program.len; i++)
		fprintf(stderr, "%s0x%02x,", i % 12 ? " " : "\n\t", program.bytes[i]);
	fprintf(stderr, "\n};\n");
}

void run_program(const u8 *bytes, size_t len)
{
	struct input in = { .bytes = bytes, .len = len };
	unsigned int mode;

	shim_reset();
	mode = take(&in, 256);
	shim.wrap = mode & 1;
	shim.api_debug = mode & 2;
	shim.traced = mode & 4;
	switch (mode >> 3 & 7) {
	case 0:
	case 1:
		run_list(&in);
		break;
	case 2:
	case 3:
		while (in.len)
			run_match(&in);
		break;
	default:
		run_buffer(&in);
	}
	shim_done();
}

static void run_kept(void)
{
	shim.at_death = print_program;
	run_program(program.bytes, program.len);
	shim.at_death = NULL;
}

#ifdef LIBFUZZER

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t len);

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t len)
{
	program.len = min(len, sizeof(program.bytes));
	memcpy(program.bytes, bytes, program.len);
	run_kept();
	return 0;
}

#else

/* Most is done by the last of the tests: many short programs */
#define LONGEST	220

static u64 seed = 1;
static unsigned long programs = 60000;

/* Is there with sanitizers only */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

/* splitmix64 */
static u64 next_random(void)
{
	u64 z = (seed += 0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static void test_random(void)
{
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(print_program);
	for (unsigned long n = 0; n < programs; n++) {
		program.len = 16 + next_random() % (LONGEST - 16);
		for (size_t i = 0; i < program.len; i++)
			program.bytes[i] = next_random() >> 32;
		run_kept();
	}
}

static const struct test random_tests[] = {
	{ "random programs", test_random },
	{}
};

/* What matters of what a dying process has said */
static void print_reason(FILE *said)
{
	char line[512];

	while (fgets(line, sizeof(line), said)) {
		if (!strncmp(line, "FAIL ", 5) || strstr(line, "runtime error") ||
		    strstr(line, "ERROR: AddressSanitizer")) {
			printf(": %s", line);
			break;
		}
	}
	if (feof(said))
		printf("\n");
	/* All of it goes to whoever looks into it */
	rewind(said);
	while (fgets(line, sizeof(line), said))
		fputs(line, stderr);
}

/* The status of a process that has run it */
static int fork_test(const struct test *test, FILE *said)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		dup2(fileno(said), STDERR_FILENO);
		shim_reset();
		test->run();
		shim_done();
		exit(0);
	}
	waitpid(pid, &status, 0);
	return status;
}

static bool run_test(const struct test *test)
{
	bool dies = strstr(test->name, " dies ");
	FILE *said = tmpfile();
	int status = fork_test(test, said);
	bool good = dies ? WIFSIGNALED(status) : !status;

	printf("%s %s", good ? "ok" : "not ok", test->name);
	rewind(said);
	if (!good)
		print_reason(said);
	else
		printf("\n");
	fclose(said);
	return good;
}

static bool run_tests(const struct test *tests)
{
	bool good = true;

	for (; tests->name; tests++)
		good &= run_test(tests);
	return good;
}

static void run_file(const char *name)
{
	FILE *file = fopen(name, "rb");

	if (!file) {
		perror(name);
		exit(2);
	}
	program.len = fread(program.bytes, 1, sizeof(program.bytes), file);
	fclose(file);
	run_kept();
	printf("ok %s\n", name);
}

int main(int argc, char **argv)
{
	bool good = true;
	int opt;

	while ((opt = getopt(argc, argv, "s:n:")) != -1) {
		if (opt == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (opt == 'n')
			programs = strtoul(optarg, NULL, 0);
		else
			return 2;
	}
	if (optind < argc) {
		while (optind < argc)
			run_file(argv[optind++]);
		return 0;
	}
	printf("# seed %llu, %lu random programs\n", (unsigned long long)seed, programs);
	good &= run_tests(list_tests) & run_tests(match_tests);
	good &= run_tests(sgt_tests) & run_tests(p2p_tests);
	good &= run_tests(buffer_tests) & run_tests(cpu_tests) & run_tests(ram_tests);
	good &= run_tests(random_tests);
	return !good;
}

#endif
