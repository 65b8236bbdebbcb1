// SPDX-License-Identifier: GPL-2.0
/*
 * A fuzzer of the ioctls, led by KCOV: a program is a few calls of fuzz-calls.h.
 * One that reaches an edge of the control flow that none before it has reached is
 * made as small as it gets, kept, and changed into others. The same seed gives the
 * same programs. What is about to run is the note of the row, so that the host has
 * it when the kernel dies; `fuzz c FILE` prints it as C, with all that it needs.
 *
 * In the guest: fuzz.runs=N (1000) executions after those of /bin/programs.txt,
 * fuzz.seed=N (1); what is worth keeping goes to the host as programs.txt.
 */
#include "lib/channel.h"
#include "fuzz-calls.h"
#include "lib/vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/kcov.h>

/* New programs are short; those that are kept are packed into long ones */
#define MOST_NEW 12
#define MOST_CALLS 48
#define MOST_KEPT 4000
#define COVER_SIZE (256 << 10)
#define EDGES (1 << 16)
#define CORPUS "/bin/programs.txt"
#define REPRODUCER "/bin/reproducer"

/* One byte each for what is called, and for its words. */
struct step {
	uint8_t call, byte[FUZZ_WORDS];
};

struct program {
	int steps;
	struct step step[MOST_CALLS];
};

struct edges {
	uint64_t bits[EDGES / 64];
};

/* Each letter is one word, see word_of(). */
static const struct {
	const char *name;
	int (*call)(const uint64_t *words);
	const char *words;
} calls[] = {
#define CALL(name, words) { #name, name, words }
	CALL(export_bar, "sdrzznvv"), CALL(new_ioas, "s"), CALL(map_file, "ssmvvvz"),
	CALL(unmap, "svv"), CALL(attach, "sd"), CALL(detach, "d"), CALL(new_domain, "sdz"),
	CALL(copy, "svsvvm"), CALL(open_heap, "sb"), CALL(heap_alloc, "ssaozz"),
	CALL(heap_query, "snbzzqzp"), CALL(udmabuf, "svvvznz"), CALL(sync_cpu, "sy"),
	CALL(export_sync, "ssy"), CALL(import_sync, "ssy"), CALL(set_name, "sb"),
	CALL(map_memory, "ssvvy"), CALL(touch, "svb"), CALL(unmap_memory, "s"),
	CALL(close_slot, "s"), CALL(dup_slot, "ss"), CALL(seek, "svb"), CALL(poll_slot, "sy"),
	CALL(decode, "db"), CALL(reset, "d"), CALL(import, "ssbz"), CALL(importer_does, "sbv"),
	CALL(any_ioctl, "sbtbqb"), CALL(look, ""),
	CALL(fail_nth, "c"),
};

#define CALLS ((int)(sizeof(calls) / sizeof(calls[0])))

static struct program kept[MOST_KEPT];
static struct edges reached, last, *reached_by;
static int kept_count, executions, good[CALLS];
static uint64_t *cover, state;
static int kcov, kmsg;

/* ---- programs ---- */

static uint64_t value(uint8_t b)
{
	static const uint64_t base[] = {
		0, PAGE, 2 * PAGE, 3 * PAGE, 4 * PAGE, 16 * PAGE, 0x10000, 0x100000, 0x200000,
		0x3ff000, 0x400000, 0x4000000, 0x6000000, 1ULL << 32, 1ULL << 63, -PAGE,
	};
	static const uint64_t more[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, PAGE, -PAGE, 1, -1ULL, 8, 0x800, 64 * PAGE };

	return base[b & 15] + more[b >> 4];
}

static uint64_t word_of(char kind, uint8_t b)
{
	static const uint16_t counts[] = { 1, 1, 1, 1, 2, 2, 3, 4, 7, 8, 16, 63, 64, 65, 0x1000, 0 };
	static const uint16_t sizes[] = { 32, 32, 32, 32, 32, 32, 24, 16, 1, 0, 33, 40, 128, 129, 1000, 8192 };
	static const uint8_t map_flags[] = { 7, 7, 7, 7, 7, 7, 5, 5, 6, 6, 3, 1, 2, 4, 0, 15 };

	switch (kind) {
	case 's': return b % FUZZ_SLOTS;
	case 'd': return b & 1;
	case 'v': return value(b);
	/*
	 * The system heap allocates until the kernel kills, and heaps make segments that
	 * are longer than a device may say that it can have; as they always did
	 */
	case 'a': return value(b) > -PAGE ? value(b) : value(b) % 0x10001;
	case 'n': return counts[b & 15];
	case 'q': return sizes[b & 15];
	case 'm': return map_flags[b & 15];
	case 't': return "bHbHu>;d"[b & 7];
	case 'r': return b < 192 ? 2 : b & 15;		/* the only BAR that has memory */
	case 'y': return b < 224 ? b & 7 : b;
	case 'o': return b < 128 ? O_RDWR | O_CLOEXEC : b < 192 ? b & O_ACCMODE : 1ULL << (b & 31);
	case 'c': return b % 40 + 1;
	case 'p': return b < 192 ? 0 : b;
	case 'z': return b < 208 ? 0 : 1ULL << (b & 63);
	default: return b;
	}
}

static int words_of(const struct step *step, uint64_t *words)
{
	const char *kinds = calls[step->call].words;
	int n;

	for (n = 0; kinds[n]; n++)
		words[n] = word_of(kinds[n], step->byte[n]);
	return n;
}

static const char *to_text(const struct program *p)
{
	static char text[MOST_CALLS * sizeof(struct step) * 2 + 1];
	const uint8_t *bytes = (const uint8_t *)p->step;
	size_t len = p->steps * sizeof(struct step);

	for (size_t i = 0; i < len; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
	text[2 * len] = '\0';
	return text;
}

static bool from_text(struct program *p, const char *text)
{
	uint8_t *bytes = (uint8_t *)p->step;
	size_t len = 0;
	unsigned int b;

	memset(p, 0, sizeof(*p));
	for (; len < sizeof(p->step) && sscanf(text + 2 * len, "%2x", &b) == 1; len++)
		bytes[len] = b;
	p->steps = len / sizeof(struct step);
	for (int i = 0; i < p->steps; i++)
		if (p->step[i].call >= CALLS)
			return false;
	return p->steps && len == p->steps * sizeof(struct step);
}

/* ---- printed as C ---- */

asm(".section .rodata\n"
    "sources:\n"
    ".incbin \"lib/file.h\"\n.incbin \"lib/file.c\"\n"
    ".incbin \"lib/inject.h\"\n.incbin \"lib/inject.c\"\n"
    ".incbin \"lib/vfio.h\"\n.incbin \"lib/vfio.c\"\n"
    ".incbin \"fuzz-calls.h\"\n.incbin \"fuzz-calls.c\"\n"
    ".byte 0\n"
    ".text");
extern const char sources[];

static const char *const prelude =
	"#include <stdarg.h>\n#include <stdlib.h>\n\n"
	"void fail(const char *fmt, ...)\n{\n\tva_list args;\n\n\tva_start(args, fmt);\n"
	"\tvprintf(fmt, args);\n\tva_end(args);\n\tprintf(\"\\n\");\n\texit(1);\n}\n\n"
	"#define RUN(call, ...) printf(\"%s %d\\n\", #call, call((uint64_t[8]){ __VA_ARGS__ }))\n\n";

/* Our own headers are in the text already. */
static void print_sources(void)
{
	for (const char *text = sources; *text; text += strcspn(text, "\n") + 1)
		if (strncmp(text, "#include \"", 10))
			printf("%.*s\n", (int)strcspn(text, "\n"), text);
}

static void print_as_c(const struct program *p)
{
	uint64_t words[FUZZ_WORDS];

	printf("/*\n * gcc -static -isystem HEADERS_OF_THE_KERNEL, and run it as root in the VM.\n"
	       " * %s\n */\n#define _GNU_SOURCE\n", to_text(p));
	print_sources();
	printf("\n%sint main(void)\n{\n\tsetbuf(stdout, NULL);\n\tfuzz_setup();\n", prelude);
	for (int i = 0; i < p->steps; i++) {
		int n = words_of(&p->step[i], words);

		printf("\tRUN(%s", calls[p->step[i].call].name);
		for (int j = 0; j < n; j++)
			printf(", %#llx", (unsigned long long)words[j]);
		printf(n ? ");\n" : ", 0);\n");
	}
	printf("\tfuzz_clean();\n\treturn 0;\n}\n");
}

static int print_file_as_c(const char *path)
{
	char line[LINE_MAX_LEN];
	struct program p;
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f)) {
		if (line[0] == '#' || !from_text(&p, line))
			continue;
		print_as_c(&p);
		return 0;
	}
	fprintf(stderr, "fuzz: no program in %s\n", path);
	return 1;
}

/* ---- executions ---- */

static void kcov_open(void)
{
	kcov = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (kcov < 0 || ioctl(kcov, KCOV_INIT_TRACE, COVER_SIZE))
		fail("kcov: %s: is this the kernel cov?", err(errno));
	cover = mmap(NULL, COVER_SIZE * 8, PROT_READ | PROT_WRITE, MAP_SHARED, kcov, 0);
	if (cover == MAP_FAILED || ioctl(kcov, KCOV_ENABLE, KCOV_TRACE_PC))
		fail("kcov: %s", err(errno));
}

static int count(const struct edges *set)
{
	int n = 0;

	for (int i = 0; i < EDGES / 64; i++)
		n += __builtin_popcountll(set->bits[i]);
	return n;
}

/* How many of @set are not in @other */
static int count_new(const struct edges *set, const struct edges *other)
{
	int n = 0;

	for (int i = 0; i < EDGES / 64; i++)
		n += __builtin_popcountll(set->bits[i] & ~other->bits[i]);
	return n;
}

static void add(struct edges *set, const struct edges *more)
{
	for (int i = 0; i < EDGES / 64; i++)
		set->bits[i] |= more->bits[i];
}

/* Since it was called last: edges are those inside a call */
static void take_edges(struct edges *set)
{
	uint64_t n = cover[0] < COVER_SIZE ? cover[0] : COVER_SIZE - 1, prev = 0;

	for (uint64_t i = 1; i <= n; i++) {
		uint64_t hash = (cover[i] * 2654435761U ^ prev) * 0x9e3779b97f4a7c15ULL >> 48;

		set->bits[hash / 64] |= 1ULL << hash % 64;
		prev = cover[i];
	}
	__atomic_store_n(&cover[0], 0, __ATOMIC_RELAXED);
}

/*
 * After fail_nth() has made vmalloc() fail, vmalloc() reports that with a trace. The
 * report is no splat, and its trace is excused, once. INJECTED in tools/vm.py is the same.
 */
static bool is_excused(const char *line)
{
	static int lines_to_trace;

	if (strstr(line, "fuzz: vmalloc error: "))
		lines_to_trace = 5;
	else if (lines_to_trace)
		lines_to_trace--;
	if (!lines_to_trace || !strstr(line, "Call Trace:"))
		return false;
	lines_to_trace = 0;
	return true;
}

/* What makes the host fail the run as well, see SPLATS in tools/vm.py. */
static bool is_splat(const char *line)
{
	static const char *const splats[] = {
		"WARNING:", "BUG:", "KASAN", "Call Trace:", "DMA-API: ", "refcount_t", "list_add", "list_del",
		"page allocation ", "invoked oom-killer", "percpu: allocation failed",
	};

	for (size_t i = 0; i < sizeof(splats) / sizeof(splats[0]); i++)
		if (strstr(line, splats[i]))
			return true;
	return false;
}

static void check_console(void)
{
	char line[8192];
	ssize_t n;

	while ((n = read(kmsg, line, sizeof(line) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		line[n < 0 ? 0 : n] = '\0';
		if (is_excused(line) || !is_splat(line))
			continue;
		fail("the kernel complains: %.200s", strchr(line, ';') ?: line);
	}
}

static void execute(const struct program *p, int *results)
{
	uint64_t words[FUZZ_WORDS] = { 0 };

	say("note %s", to_text(p));
	take_edges(&last);
	memset(&last, 0, sizeof(last));
	for (int i = 0; i < p->steps; i++) {
		words_of(&p->step[i], words);
		results[i] = calls[p->step[i].call].call(words);
		good[p->step[i].call] += results[i] >= 0;
		take_edges(&last);
	}
	fuzz_clean();
	take_edges(&last);
	check_console();
	executions++;
}

static void run(const struct program *p)
{
	int results[MOST_CALLS];

	execute(p, results);
}

/* ---- the search ---- */

static uint32_t dice(uint32_t n)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (state >> 33) % n;
}

static struct step new_step(void)
{
	struct step s = { .call = dice(CALLS) };

	for (int i = 0; i < FUZZ_WORDS; i++)
		s.byte[i] = dice(256);
	if (dice(2)) {		/* things meet more often when they are in one place */
		s.byte[0] = 0;
		s.byte[1] = dice(2);
	}
	return s;
}

static void insert(struct program *p, struct step step)
{
	int at = p->steps ? dice(p->steps + 1) : 0;

	if (p->steps >= MOST_NEW)
		return;
	memmove(&p->step[at + 1], &p->step[at], (p->steps - at) * sizeof(p->step[0]));
	p->step[at] = step;
	p->steps++;
}

static void drop(struct program *p, int at)
{
	p->steps--;
	memmove(&p->step[at], &p->step[at + 1], (p->steps - at) * sizeof(p->step[0]));
}

/* The end of another program */
static void append(struct program *p)
{
	const struct program *other = &kept[dice(kept_count)];

	for (int i = dice(other->steps); i < other->steps && p->steps < MOST_NEW; i++)
		p->step[p->steps++] = other->step[i];
}

static void change(struct program *p)
{
	switch (dice(p->steps ? 8 : 1)) {
	case 0:
	case 1:
		insert(p, new_step());
		break;
	case 2:
		if (p->steps > 1)
			drop(p, dice(p->steps));
		break;
	case 3:
		append(p);
		break;
	default:
		p->step[dice(p->steps)].byte[dice(FUZZ_WORDS)] = dice(256);
	}
}

static struct program next(void)
{
	struct program p = { 0 };

	if (kept_count && dice(16))
		p = kept[dice(kept_count)];
	while (p.steps > MOST_NEW)
		drop(&p, dice(p.steps));
	for (int i = dice(4); i >= 0; i--)
		change(&p);
	return p;
}

/* Without the calls that the new edges do not need */
static void shrink(struct program *p)
{
	struct edges wanted = last;
	int results[MOST_CALLS];

	for (int i = 0; i < EDGES / 64; i++)
		wanted.bits[i] &= ~reached.bits[i];
	for (int at = p->steps - 1; at >= 0 && p->steps > 1; at--) {
		struct program less = *p;

		drop(&less, at);
		execute(&less, results);
		if (!count_new(&wanted, &last))
			*p = less;
	}
}

static void try(struct program p)
{
	run(&p);
	if (!count_new(&last, &reached) || kept_count == MOST_KEPT)
		return;
	shrink(&p);
	run(&p);
	reached_by[kept_count] = last;
	kept[kept_count++] = p;
	add(&reached, &last);
}

/* ---- what is kept ---- */

static void load(void)
{
	char line[LINE_MAX_LEN];
	FILE *f = fopen(CORPUS, "re");

	if (!f)
		fail("no %s", CORPUS);
	while (fgets(line, sizeof(line), f)) {
		if (line[0] != '#' && !from_text(&kept[kept_count++], line))
			fail("%s: no program: %.80s", CORPUS, line);
	}
	fclose(f);
}

static void replay(void)
{
	for (int i = 0; i < kept_count; i++) {
		run(&kept[i]);
		reached_by[i] = last;
		add(&reached, &last);
	}
}

/* In hex twice: the channel takes bytes, and these are text */
static void save(const char *text)
{
	char hex[257];

	while (*text) {
		size_t n = 0;

		for (; *text && n < sizeof(hex) - 1; n += 2)
			sprintf(hex + n, "%02x", *text++);
		say("save programs.txt %s", hex);
	}
}

static void save_program(const struct program *p)
{
	if (!p->steps)
		return;
	save(to_text(p));
	save("\n");
}

/* The one that adds most to @done, -1 if none does */
static int best(const struct edges *done)
{
	int found = -1, most = 0;

	for (int i = 0; i < kept_count; i++) {
		int n = count_new(&reached_by[i], done);

		if (n > most) {
			most = n;
			found = i;
		}
	}
	return found;
}

/* @more behind @pack, if both together reach what each does */
static bool pack(struct program *pack, struct edges *packed, int more)
{
	struct program both = *pack;

	if (pack->steps + kept[more].steps > MOST_CALLS)
		return false;
	memcpy(&both.step[both.steps], kept[more].step, sizeof(both.step[0]) * kept[more].steps);
	both.steps += kept[more].steps;
	run(&both);
	if (count_new(packed, &last) || count_new(&reached_by[more], &last))
		return false;
	*pack = both;
	*packed = last;
	return true;
}

/* Few programs that reach everything: always the one that adds most, packed */
static int save_best(void)
{
	struct edges done = { 0 }, packed = { 0 };
	struct program now = { 0 };
	int next, saved = 0;

	while ((next = best(&done)) >= 0) {
		add(&done, &reached_by[next]);
		if (pack(&now, &packed, next))
			continue;
		save_program(&now);
		saved++;
		now = kept[next];
		packed = reached_by[next];
	}
	save_program(&now);
	return saved + 1;
}

/* ---- rows ---- */

static long number(const char *key, long otherwise)
{
	char text[32];

	return cmdline_get(key, text, sizeof(text)) ? atol(text) : otherwise;
}

static void fuzz_row(void)
{
	long runs = number("fuzz.runs", 1000);

	while (executions < runs)
		try(next());
	say("note %d executions, %d edges, %d programs that reach them all", executions,
	    count(&reached), save_best());
	say("pass");
}

/* A fuzzer that only ever gets errors back tests little. */
static void doors_row(void)
{
	int opened = 0;

	for (int i = 0; i < CALLS; i++) {
		if (!good[i])
			fail("%s never succeeded", calls[i].name);
		opened++;
	}
	say("note %d", opened);
	say("pass");
}

/*
 * The reproducer of the first program is in the initramfs as another program: what
 * its calls return is what they return here. Before anything has the devices.
 */
static int read_reproducer(char name[][32], int *results)
{
	int fd[2], n = 0, status = -1;
	pid_t pid;
	FILE *f;

	if (pipe2(fd, O_CLOEXEC))
		fail("pipe: %s", err(errno));
	pid = fork();
	if (!pid) {
		dup2(fd[1], STDOUT_FILENO);
		execl(REPRODUCER, REPRODUCER, NULL);
		_exit(127);
	}
	close(fd[1]);
	f = fdopen(fd[0], "r");
	while (f && n < MOST_CALLS && fscanf(f, "%31s %d", name[n], &results[n]) == 2)
		n++;
	waitpid(pid, &status, 0);
	if (status)
		fail(REPRODUCER " failed after %d calls: %#x", n, status);
	fclose(f);
	return n;
}

static void compare(char name[][32], const int *expected, int n)
{
	const struct program *p = &kept[0];
	int results[MOST_CALLS];

	execute(p, results);
	if (n != p->steps)
		fail("%d calls, not %d", n, p->steps);
	for (int i = 0; i < n; i++)
		if (strcmp(name[i], calls[p->step[i].call].name) || results[i] != expected[i])
			fail("call %d, %s gives %s in C and %s here", i, name[i], err(expected[i]),
			     err(results[i]));
}

int main(int argc, char **argv)
{
	int results[MOST_CALLS], n = 0;
	char name[MOST_CALLS][32];
	bool again = !access(REPRODUCER, X_OK);

	if (argc == 3 && !strcmp(argv[1], "c"))
		return print_file_as_c(argv[2]);
	say("row the programs that are kept");
	state = number("fuzz.seed", 1);
	reached_by = calloc(MOST_KEPT, sizeof(*reached_by));
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg < 0 || lseek(kmsg, 0, SEEK_END) < 0 || !reached_by)
		fail("/dev/kmsg: %s", err(errno));
	if (again)
		n = read_reproducer(name, results);
	load();
	kcov_open();
	fuzz_setup();
	replay();
	say("note %d programs, %d edges", kept_count, count(&reached));
	say("pass");

	if (again) {
		say("row a program printed as C does the same");
		compare(name, results, n);
		say("note %d calls", n);
		say("pass");
	}
	say("row new programs");
	fuzz_row();
	say("row every call has succeeded");
	doors_row();
	return 0;
}
