// SPDX-License-Identifier: GPL-2.0
/* Has one allocation after the other fail, and looks for what that leaves behind. */
#include "sweep.h"
#include "inject.h"
#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MOST 3000

static void need(const char *what, int ret)
{
	if (ret)
		fail("%s: %s: is fault injection in this kernel?", what, err(ret));
}

/* Pages of user space as well: sweep() sees to it that this program needs none. */
void sweep_init(void)
{
	need("allocations", inject_setup());
	need("pages of user space", inject_set("fail_page_alloc/ignore-gfp-highmem", "N"));
	need("iommufd", inject_set("fail_iommufd/verbose", "0"));
}

static void inject(int file, int nth)
{
	char number[16];
	int len = snprintf(number, sizeof(number), "%d", nth);

	if (pwrite(file, number, len, 0) != len)
		fail("fail-nth: %s", err(errno));
}

/* Ends the injection; the kernel has counted down to 0 if the fault was used. */
static bool was_injected(int file)
{
	char left[16] = "";
	bool used = pread(file, left, sizeof(left) - 1, 0) <= 0 ||
		    !strcmp(left, "0\n");

	while (pwrite(file, "0", 1, 0) < 0)
		;
	return used;
}

static void expect_nothing_left(const struct sweep *s, int nth,
				const struct bufinfo *clean)
{
	struct bufinfo seen = bufinfo_read();

	if (seen.buffers != clean->buffers || seen.attached != clean->attached)
		fail("%s, fault %d: left %d buffers and %d attachments", s->name,
		     nth, seen.buffers - clean->buffers,
		     seen.attached - clean->attached);
}

static bool may_fail_with(const struct sweep *s, int ret)
{
	for (int i = 0; s->also[i]; i++)
		if (ret == s->also[i])
			return true;
	return !s->must_work && ret == -ENOMEM;
}

/* Returns true if there was no further allocation to fail. */
static bool pass(const struct sweep *s, int file, int nth, int *ret)
{
	bool used;

	if (s->before)
		s->before(s->arg);
	inject(file, nth);
	*ret = s->run(s->arg);
	used = was_injected(file);
	s->after(s->arg, *ret);
	if (used && *ret < 0 && !may_fail_with(s, *ret))
		fail("%s, fault %d: %s", s->name, nth, err(*ret));
	return !used;
}

int sweep(const struct sweep *s)
{
	int file = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	struct bufinfo clean = bufinfo_read();
	int nth, ret;

	/* A fault must not hit a page fault of this program. */
	if (file < 0 || mlockall(MCL_CURRENT | MCL_FUTURE))
		fail("fail-nth, mlockall: %s", err(errno));
	for (nth = 1; !pass(s, file, nth, &ret); nth++) {
		expect_nothing_left(s, nth, &clean);
		if (nth == MOST)
			fail("%s: no end after %d faults", s->name, nth);
	}
	expect_nothing_left(s, nth, &clean);
	if (ret < 0)
		fail("%s, without a fault: %s", s->name, err(ret));
	close(file);
	return nth - 1;
}
