// SPDX-License-Identifier: GPL-2.0
/* Binds the devices of faults and races, and tries whether they still move bytes. */
#include "rig.h"
#include "channel.h"
#include "ram.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct shape rig_shapes[RIG_ALL_SHAPES] = {
	{ "1 range", 1, { { 0x123000, 64 * PAGE } } },
	{ "3 ranges", 3, {
		{ 0x300000, 5 * PAGE }, { 0x41000, 3 * PAGE }, { 0x180000, 56 * PAGE },
	} },
	{ .name = "64 ranges", .count = 64 },
	{ .name = "300 ranges", .count = 300 },
};

static void find(uint32_t id, char bdf[][16], int count)
{
	char found[8][16];

	if (pci_find(id, found, 8) != count)
		fail("not %d devices %#x", count, id);
	memcpy(bdf, found, count * sizeof(*found));
}

/* Probing fails without an errno, so look at what came of it. */
static void bind(const char *bdf, const char *driver)
{
	char path[100], link[200] = "";
	int ret = pci_bind(bdf, driver);

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", bdf);
	if (ret || readlink(path, link, sizeof(link) - 1) < 0 || !strstr(link, driver))
		fail("bind %s to %s: %s", bdf, driver, err(ret));
}

void rig_init(void)
{
	say("row devices");
	machine = mmap(NULL, sizeof(*machine), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	lab_init();
	for (int i = 0; i < 64; i++)
		rig_shapes[2].ranges[i] = (struct range) {
			0x100000 + (i * 37 % 64) * 2 * PAGE, PAGE
		};
	for (int i = 0; i < 300; i++)
		rig_shapes[3].ranges[i] = (struct range){ (i * 37 % 300) * 3 * PAGE, PAGE };
	find(ID_IVSHMEM, machine->exporter, EXPORTERS);
	find(ID_EDU, machine->edu, EDUS);
	for (int i = 0; i < EXPORTERS; i++)
		bind(machine->exporter[i], "vfio-pci");
	bind(machine->edu[0], "vfio-pci");
	bind(machine->edu[1], "device-heap-test");
	say("pass");
}

static void need(const char *what, int ret)
{
	if (ret < 0)
		fail("%s: %s", what, err(ret));
}

static void expect_pal(struct lab *lab, const struct shape *shape, int dmabuf)
{
	struct range all = { 0, RIG_SIZE };
	struct view v = view_of(shape, all, IOVA_A);

	need("map", ioas_map_fd(lab->iommufd, lab->ioas, dmabuf, &all, IOVA_A, true));
	expect_both_ways(lab, &lab->edu[0], &v);
}

static void expect_sgt(struct lab *lab, const struct shape *shape, int dmabuf)
{
	int importer = importer_open();

	need("importer", importer);
	need("attach", importer_attach(importer, dmabuf, machine->edu[1],
				       DEVICE_HEAP_TEST_P2P));
	need("map by scatterlist", importer_map(importer));
	need("copy", importer_copy(importer, 8, RIG_SIZE - PAGE, 64));
	if (memcmp(lab->exporter.bar + view_of(shape, (struct range){ 8, 64 }, 0).seg[0].off,
		   lab->exporter.bar +
		   view_of(shape, (struct range){ RIG_SIZE - PAGE, 64 }, 0).seg[0].off, 64))
		fail("%s: what the edu has copied is not there", shape->name);
}

static int export(struct lab *lab, const struct shape *shape)
{
	int dmabuf = pdev_export(&lab->exporter, shape->ranges, shape->count);

	need("export", dmabuf);
	return dmabuf;
}

/* PAL first: what the copies change is not in the lab's shadow. */
static void bytes(void)
{
	struct lab lab;

	lab_open(&lab, ON_ROOT_BUS);
	for (int i = 0; i < RIG_SHAPES; i++) {
		expect_pal(&lab, &rig_shapes[i], export(&lab, &rig_shapes[i]));
		need("unmap", ioas_unmap(lab.iommufd, lab.ioas, IOVA_A, RIG_SIZE));
	}
	for (int i = 0; i < RIG_SHAPES; i++)
		expect_sgt(&lab, &rig_shapes[i], export(&lab, &rig_shapes[i]));
	say("pass");
	_exit(0);
}

void rig_bytes(const char *when)
{
	int status;
	pid_t pid;

	say("row bytes %s", when);
	pid = fork();
	if (!pid)
		bytes();
	waitpid(pid, &status, 0);
	if (status)
		say("fail died with status %#x", status);
	say("row nothing is left %s", when);
	say(bufinfo_read().buffers ? "fail a DMA-buf is" : "pass");
}
