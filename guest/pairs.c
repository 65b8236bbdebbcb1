// SPDX-License-Identifier: GPL-2.0
/*
 * Every exporter of DMA-bufs against every importer, as far as they run in
 * QEMU: what came of it, on any kernel. kprobes tell what really happened, for
 * an exit status says nothing about whether a buffer was mapped.
 *
 * The note of a row is its outcome: what was reached (attached, mapped, PAL,
 * vmap, with P2P), and the errno that ended it. What it should be is known to
 * the host, which compares kernels.
 */
#include "lib/channel.h"
#include "lib/dmabufs.h"
#include "lib/file.h"
#include "lib/vfio.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRACING "/sys/kernel/tracing"

/* ---- what was called ---- */

/* Each with the names that it has on different kernels. */
static const struct probe {
	const char *name;
	const char *symbols[3];
} probes[] = {
	{ "attach", { "dma_buf_mapping_attach", "dma_buf_dynamic_attach" } },
	{ "map", { "dma_buf_sgt_map_attachment", "dma_buf_map_attachment" } },
	{ "mapu", { "dma_buf_sgt_map_attachment_unlocked",
		    "dma_buf_map_attachment_unlocked" } },
	{ "unmap", { "dma_buf_sgt_unmap_attachment",
		     "dma_buf_unmap_attachment" } },
	{ "unmapu", { "dma_buf_sgt_unmap_attachment_unlocked",
		      "dma_buf_unmap_attachment_unlocked" } },
	{ "pal", { "dma_buf_pal_map_phys", "vfio_pci_dma_buf_iommufd_map" } },
	{ "p2p", { "dma_buf_phys_vec_to_sgt", "dma_buf_phys_list_to_sgt" } },
	{ "vmap", { "dma_buf_vmap" } },
	{ "vmapu", { "dma_buf_vmap_unlocked" } },
};

#define PROBES (sizeof(probes) / sizeof(probes[0]))

static void probes_add(void)
{
	char line[200];

	mount("tracefs", TRACING, "tracefs", 0, NULL);
	for (size_t i = 0; i < PROBES; i++) {
		int ret = -ENOENT;

		for (int s = 0; ret && probes[i].symbols[s]; s++) {
			snprintf(line, sizeof(line), "p:pairs/%s %s",
				 probes[i].name, probes[i].symbols[s]);
			ret = write_file(TRACING "/kprobe_events", line);
		}
		if (ret)
			fail("kprobe on %s: %s", probes[i].symbols[0], err(ret));
	}
	if (write_file(TRACING "/events/pairs/enable", "1"))
		fail("cannot enable the kprobes: %s", err(errno));
}

static unsigned long hits(const char *name)
{
	FILE *f = fopen(TRACING "/kprobe_profile", "re");
	unsigned long count, found = 0;
	char event[64], line[200];

	if (!f)
		fail("kprobe_profile: %s", err(errno));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %lu", event, &count) == 2 &&
		    !strcmp(event, name))
			found = count;
	fclose(f);
	return found;
}

static unsigned long before[PROBES];

static void probes_mark(void)
{
	for (size_t i = 0; i < PROBES; i++)
		before[i] = hits(probes[i].name);
}

static bool was_called(const char *name)
{
	for (size_t i = 0; i < PROBES; i++)
		if (!strncmp(probes[i].name, name, strlen(name)) &&
		    strlen(probes[i].name) <= strlen(name) + 1 &&
		    hits(probes[i].name) > before[i])
			return true;
	return false;
}

/* ---- i915, which has an exporter and importers of its own ---- */

static int count_in(const char *text, const char *what)
{
	int count = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		count++;
	}
	return count;
}

/* They ran while the kernel booted, and so did the kprobe "boot". */
static void i915_selftests(void)
{
	static char log[4 << 20];
	int len = klogctl(3 /* read all */, log, sizeof(log) - 1);
	char mock[16];

	if (!cmdline_get("i915.mock_selftests", mock, sizeof(mock)))
		return;
	say("row i915 selftests");
	if (len < 0)
		fail("kernel log: %s", err(errno));
	say("note %d run, %d failed, %s",
	    count_in(log, "Running i915_gem_dmabuf_mock_selftests/"),
	    count_in(log, "failed with error"),
	    hits("boot") ? "map" : "no map");
	say("pass");
}

/* ---- the table ---- */

static void outcome(int ret)
{
	const char *how = was_called("pal") ? "PAL" :
			  was_called("vmap") ? "vmap" :
			  was_called("map") ? "map" :
			  was_called("attach") ? "attach" : "none";
	char end[60] = "", faults[8];

	/* QEMU's IOMMU has no way past itself, for devices below one switch */
	if (was_called("p2p") && cmdline_get("pairs.faults", faults, sizeof(faults)))
		say("fault Read * *");
	if (ret && was_called("unmap"))
		snprintf(end, sizeof(end), ", then %s", err(ret));
	else if (ret)
		snprintf(end, sizeof(end), ": %s", err(ret));
	say("note %s%s%s", how, was_called("p2p") ? " P2P" : "", end);
	say("pass");
}

/* In a process of its own, whose end gives everything back. */
static void pair(const struct exporter_row *exp, const struct importer_row *imp)
{
	pid_t pid;

	say("row %s > %s", exp->name, imp->name);
	pid = fork();
	if (!pid) {
		int fd = exp->export();

		probes_mark();
		outcome(imp->import(fd));
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

/* One queue cannot export and import at the same time. */
static bool possible(const char *exp, const char *imp)
{
	return strncmp(exp, "vb2", 3) || strcmp(exp, imp);
}

int main(void)
{
	char only[200] = "";	/* EXPORTER>IMPORTER,... */

	cmdline_get("pairs.only", only, sizeof(only));
	probes_add();
	i915_selftests();
	for (size_t e = 0; exporters[e].name; e++) {
		for (size_t i = 0; importers[i].name; i++) {
			char name[64];

			snprintf(name, sizeof(name), "%s>%s", exporters[e].name,
				 importers[i].name);
			if (possible(exporters[e].name, importers[i].name) &&
			    (!only[0] || strstr(only, name)))
				pair(&exporters[e], &importers[i]);
		}
	}
	return 0;
}
