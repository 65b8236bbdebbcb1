// SPDX-License-Identifier: GPL-2.0
/*
 * The end-to-end proof: ivshmem's BAR is exported as a DMA-buf by vfio-pci,
 * mapped by iommufd, and edu moves bytes through the mapping.
 *
 * Each row is a process of its own, so that it starts with nothing open, and
 * whatever state it fails in is gone before the next row. After each row no
 * DMA-buf may exist any more.
 */
#include "lib/channel.h"
#include "lib/file.h"
#include "lib/lab.h"
#include "lib/ram.h"
#include "lib/rambuf.h"
#include "lib/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void expect_error(const char *what, const struct shape *shape, int ret,
			 int expected)
{
	if (ret != -expected)
		fail("%s, %s: expected %s, got %s", what, shape->name,
		     err(expected), err(ret < 0 ? ret : 0));
}

/* ---- shapes ---- */

/* The first two touch, and so do the last two, the wrong way round. */
static const struct shape neighbours = {
	"4 ranges", 4, {
		{ 0x0fe000, 0x02000 }, { 0x100000, 0x80000 },
		{ 0x2a0000, 0x01000 }, { 0x29d000, 0x03000 },
	}
};

/* First and last page of the BAR, so that both ends are edges too. */
static const struct shape ends = {
	"2 ranges", 2, { { 0x3ff000, 0x1000 }, { 0, 0x1000 } }
};

/* ---- steps that rows share ---- */

static int export(struct lab *lab, const struct shape *shape)
{
	int fd = pdev_export(&lab->exporter, shape->ranges, shape->count);

	if (fd < 0)
		fail("export %s: %s", shape->name, err(fd));
	return fd;
}

static struct view map_slice(struct lab *lab, uint32_t ioas, int fd,
			     const struct shape *shape, struct range slice,
			     uint64_t iova)
{
	int ret = ioas_map_fd(lab->iommufd, ioas, fd, &slice, iova, true);

	if (ret)
		fail("map %s: %s", shape->name, err(ret));
	return view_of(shape, slice, iova);
}

static struct view map(struct lab *lab, uint32_t ioas, int fd,
		       const struct shape *shape, uint64_t iova)
{
	return map_slice(lab, ioas, fd, shape, all_of(shape), iova);
}

static void unmap(struct lab *lab, uint32_t ioas, const struct shape *shape,
		  uint64_t iova)
{
	int ret = ioas_unmap(lab->iommufd, ioas, iova, shape_size(shape));

	if (ret)
		fail("unmap %s: %s", shape->name, err(ret));
}

/* Maps what must not be mapped. */
static void expect_refused(struct lab *lab, int fd, const struct shape *shape,
			   struct range slice, const char *what, int expected)
{
	int ret = ioas_map_fd(lab->iommufd, lab->ioas, fd, &slice, IOVA_B, true);

	expect_error(what, shape, ret, expected);
}

/* ---- data ---- */

static void row_data(const struct row *row)
{
	struct lab lab;
	struct view v;

	lab_open(&lab, ON_ROOT_BUS);
	v = map(&lab, lab.ioas, export(&lab, row->shape), row->shape, IOVA_A);
	expect_both_ways(&lab, &lab.edu[0], &v);
}

static void row_type(const struct row *row)
{
	struct bufinfo seen;
	struct lab lab;

	lab_open(&lab, ON_ROOT_BUS);
	map(&lab, lab.ioas, export(&lab, row->shape), row->shape, IOVA_A);
	seen = bufinfo_read();
	if (strcmp(seen.type, "type=PAL converter=none"))
		fail("bufinfo: expected type=PAL converter=none, got '%s'", seen.type);
}

static void row_slice(const struct row *row)
{
	const struct range *r = row->shape->ranges;
	struct range slice = { .offset = 2 * PAGE };
	struct lab lab;
	struct view v;

	/* Ends one page before the last range does. */
	slice.len = shape_size(row->shape) - slice.offset - PAGE;
	if (r[0].len <= slice.offset)
		fail("bad test: the slice does not start inside %s", row->shape->name);
	lab_open(&lab, ON_ROOT_BUS);
	v = map_slice(&lab, lab.ioas, export(&lab, row->shape), row->shape,
		      slice, IOVA_B);
	expect_both_ways(&lab, &lab.edu[0], &v);
}

static void row_read_only(const struct row *row)
{
	struct range all = all_of(row->shape);
	struct lab lab;
	struct view v;
	int ret;

	lab_open(&lab, ON_ROOT_BUS);
	ret = ioas_map_fd(lab.iommufd, lab.ioas, export(&lab, row->shape), &all,
			  IOVA_A, false);
	if (ret)
		fail("map %s read-only: %s", row->shape->name, err(ret));
	v = view_of(row->shape, all, IOVA_A);
	expect_read_only(&lab, &lab.edu[0], &v);
}

static void row_two_iovas(const struct row *row)
{
	struct lab lab;
	struct view a, b;
	int fd;

	lab_open(&lab, ON_ROOT_BUS);
	fd = export(&lab, row->shape);
	a = map(&lab, lab.ioas, fd, row->shape, IOVA_A);
	b = map(&lab, lab.ioas, fd, row->shape, IOVA_B);
	expect_bufinfo("mapped twice", 1, 2);
	expect_both_ways(&lab, &lab.edu[0], &a);
	expect_both_ways(&lab, &lab.edu[0], &b);
	unmap(&lab, lab.ioas, row->shape, IOVA_A);
	expect_dead(&lab, &lab.edu[0], &a, "first IOVA unmapped");
	expect_both_ways(&lab, &lab.edu[0], &b);
}

/* Two IOASes with a device each: unmapping in one leaves the other alone. */
static void row_two_ioases(const struct row *row)
{
	struct view a, b;
	struct lab lab;
	uint32_t ioas;
	int fd;

	lab_open(&lab, ON_ROOT_BUS);
	lab_open_second_edu(&lab);
	ioas = lab_new_ioas(&lab);
	pdev_attach(&lab.edu[1], ioas);
	fd = export(&lab, row->shape);
	a = map(&lab, lab.ioas, fd, row->shape, IOVA_A);
	b = map(&lab, ioas, fd, row->shape, IOVA_B);
	expect_both_ways(&lab, &lab.edu[0], &a);
	expect_both_ways(&lab, &lab.edu[1], &b);
	expect_dead(&lab, &lab.edu[1], &a, "IOVA of the other IOAS");
	unmap(&lab, lab.ioas, row->shape, IOVA_A);
	expect_dead(&lab, &lab.edu[0], &a, "unmapped from one IOAS");
	expect_both_ways(&lab, &lab.edu[1], &b);
	pdev_decode(&lab.exporter, false);
	pdev_decode(&lab.exporter, true);
	expect_dead(&lab, &lab.edu[1], &b, "after decode was off");
}

/* A domain that comes after the map is filled; then the first one goes. */
static void row_late_domain(const struct row *row)
{
	struct lab lab;
	struct view v;

	lab_open(&lab, ON_ROOT_BUS);
	v = map(&lab, lab.ioas, export(&lab, row->shape), row->shape, IOVA_A);
	lab_open_second_edu(&lab);
	pdev_attach(&lab.edu[1], hwpt_new(lab.iommufd, &lab.edu[1], lab.ioas));
	expect_both_ways(&lab, &lab.edu[1], &v);
	expect_both_ways(&lab, &lab.edu[0], &v);
	pdev_detach(&lab.edu[0]);
	expect_both_ways(&lab, &lab.edu[1], &v);
	pdev_decode(&lab.exporter, false);
	pdev_decode(&lab.exporter, true);
	expect_dead(&lab, &lab.edu[1], &v, "after decode was off");
}

/* ---- the end of mappings ---- */

static void row_map_again(const struct row *row)
{
	struct view a, b;
	struct lab lab;
	int fd;

	lab_open(&lab, ON_ROOT_BUS);
	fd = export(&lab, row->shape);
	a = map(&lab, lab.ioas, fd, row->shape, IOVA_A);
	expect_both_ways(&lab, &lab.edu[0], &a);
	unmap(&lab, lab.ioas, row->shape, IOVA_A);
	expect_bufinfo("unmapped", 1, 0);
	expect_dead(&lab, &lab.edu[0], &a, "unmapped");
	b = map(&lab, lab.ioas, fd, row->shape, IOVA_B);
	expect_both_ways(&lab, &lab.edu[0], &b);
	map(&lab, lab.ioas, fd, row->shape, IOVA_A);
	expect_both_ways(&lab, &lab.edu[0], &a);
}

/* Switches decode off and on until the parent has seen enough. */
static pid_t start_toggling(struct lab *lab)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork: %s", err(errno));
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < 100; i++) {
		pdev_decode(&lab->exporter, false);
		usleep(i * 37 % 500);
		pdev_decode(&lab->exporter, true);
		usleep(i * 61 % 500);
	}
	_exit(0);
}

/* Every map either works or says ENODEV, whatever the revoke interrupts. */
static void row_race(const struct row *row)
{
	struct range all = all_of(row->shape);
	int fd, ret, status, tries = 0, mapped = 0;
	struct lab lab;
	struct view v;
	pid_t pid;

	lab_open(&lab, ON_ROOT_BUS);
	fd = export(&lab, row->shape);
	pid = start_toggling(&lab);
	while (!waitpid(pid, &status, WNOHANG)) {
		ret = ioas_map_fd(lab.iommufd, lab.ioas, fd, &all, IOVA_A, true);
		if (ret && ret != -ENODEV)
			fail("map, try %d: %s", tries, err(ret));
		usleep(tries++ * 23 % 300);
		mapped += !ret;
		if (!ret)
			unmap(&lab, lab.ioas, row->shape, IOVA_A);
	}
	if (status)
		_exit(1);	/* the child said why */
	if (!mapped)
		fail("no map in %d tries worked", tries);
	say("note %d maps against 100 revokes, %d of them worked", tries, mapped);
	expect_bufinfo("after the race", 1, 0);
	v = map(&lab, lab.ioas, fd, row->shape, IOVA_A);
	expect_both_ways(&lab, &lab.edu[0], &v);
}

/* The mapping @dead is gone for good, but everything can be made anew. */
static void expect_new_start(struct lab *lab, const struct shape *shape,
			     int fd, const struct view *dead, const char *when)
{
	struct view v;

	expect_dead(lab, &lab->edu[0], dead, when);
	unmap(lab, lab->ioas, shape, dead->seg[0].iova);
	v = map(lab, lab->ioas, fd, shape, IOVA_A);
	expect_both_ways(lab, &lab->edu[0], &v);
	v = map(lab, lab->ioas, export(lab, shape), shape, IOVA_B);
	expect_both_ways(lab, &lab->edu[0], &v);
}

/*
 * While decode is off nothing can reach the BAR anyway: that the IOMMU had a
 * part in it is seen from the reported faults, and once decode is on again.
 */
static void row_revoke(const struct row *row)
{
	const struct shape *shape = row->shape;
	struct lab lab;
	struct view v;
	int fd;

	lab_open(&lab, ON_ROOT_BUS);
	fd = export(&lab, shape);
	v = map(&lab, lab.ioas, fd, shape, IOVA_A);
	expect_both_ways(&lab, &lab.edu[0], &v);

	pdev_unmap_bar(&lab.exporter);	/* touching it would be SIGBUS */
	pdev_decode(&lab.exporter, false);
	expect_dead(&lab, &lab.edu[0], &v, "decode off");
	expect_refused(&lab, fd, shape, all_of(shape), "map while decode is off",
		       ENODEV);
	expect_refused(&lab, export(&lab, shape), shape, all_of(shape),
		       "map what was exported while decode is off", ENODEV);
	expect_bufinfo("decode off", 2, 1);

	pdev_decode(&lab.exporter, true);
	pdev_map_bar(&lab.exporter);
	expect_new_start(&lab, shape, fd, &v, "decode on again");
}

static void row_reset(const struct row *row)
{
	struct lab lab;
	struct view v;
	int fd, ret;

	lab_open(&lab, BEHIND_ROOT_PORT);
	fd = export(&lab, row->shape);
	v = map(&lab, lab.ioas, fd, row->shape, IOVA_A);
	expect_both_ways(&lab, &lab.edu[0], &v);
	ret = pdev_reset(&lab.exporter);
	if (ret)
		fail("reset: %s", err(ret));
	expect_bytes(&lab, &v, "reset");
	expect_new_start(&lab, row->shape, fd, &v, "reset");
}

static void row_exporter_closed(const struct row *row)
{
	const struct shape *shape = row->shape;
	struct lab lab;
	struct view v;
	int fd;

	lab_open(&lab, ON_ROOT_BUS);
	fd = export(&lab, shape);
	v = map(&lab, lab.ioas, fd, shape, IOVA_A);
	expect_both_ways(&lab, &lab.edu[0], &v);

	pdev_close(&lab.exporter);
	expect_dead(&lab, &lab.edu[0], &v, "exporter closed");
	expect_refused(&lab, fd, shape, all_of(shape),
		       "map after the exporter closed", ENODEV);
	expect_bufinfo("exporter closed", 1, 1);

	pdev_open(&lab.exporter, machine->exporter[ON_ROOT_BUS], 2, lab.iommufd);
	expect_dead(&lab, &lab.edu[0], &v, "exporter opened again");
	expect_refused(&lab, fd, shape, all_of(shape),
		       "map of the old buffer, exporter opened again", ENODEV);
	v = map(&lab, lab.ioas, export(&lab, shape), shape, IOVA_B);
	expect_both_ways(&lab, &lab.edu[0], &v);
}

/* The DMA that the killed process has started would overwrite these bytes. */
struct target {
	uint64_t file;
	uint8_t bytes[64];
};

/* Maps, starts a DMA, says where it goes to, and waits for its end. */
static void be_killed(const struct shape *shape, int ready_fd)
{
	uint64_t off = shape->ranges[0].offset;
	struct target target;
	struct lab lab;
	struct view v;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	lab_open(&lab, ON_ROOT_BUS);
	v = map(&lab, lab.ioas, export(&lab, shape), shape, IOVA_A);
	expect_both_ways(&lab, &lab.edu[0], &v);

	target.file = lab.file + off;
	memcpy(target.bytes, lab.exporter.bar + off, sizeof(target.bytes));
	memset(lab.ram, ~target.bytes[0], sizeof(target.bytes));
	edu_load(&lab.edu[0], IOVA_RAM, 0, sizeof(target.bytes));
	expect_bufinfo("before the kill", 1, 1);
	edu_store_start(&lab.edu[0], IOVA_A, 0, sizeof(target.bytes));
	if (write(ready_fd, &target, sizeof(target)) != sizeof(target))
		_exit(1);
	for (;;)
		pause();
}

static struct target kill_while_mapped(const struct shape *shape)
{
	struct target target;
	int ready[2], status;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC))
		fail("pipe: %s", err(errno));
	pid = fork();
	if (pid < 0)
		fail("fork: %s", err(errno));
	if (!pid)
		be_killed(shape, ready[1]);
	close(ready[1]);
	if (read(ready[0], &target, sizeof(target)) != sizeof(target))
		_exit(1);	/* the child said why */
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		fail("the child ended before it was killed");
	return target;
}

static void row_killed(const struct row *row)
{
	struct target target = kill_while_mapped(row->shape);
	struct lab lab;
	struct view v;

	/*
	 * On a slow kernel the DMA lands while the process dies. Once its
	 * mappings are gone nothing may.
	 */
	peek_file(target.file, target.bytes, sizeof(target.bytes));
	expect_bufinfo("after the kill", 0, 0);
	usleep(300 * 1000);	/* three times what a DMA takes */
	expect_file(target.file, target.bytes, sizeof(target.bytes),
		    "after the kill");
	lab_open(&lab, ON_ROOT_BUS);
	v = view_of(row->shape, all_of(row->shape), IOVA_A);
	expect_dead(&lab, &lab.edu[0], &v, "after the kill");
	v = map(&lab, lab.ioas, export(&lab, row->shape), row->shape, IOVA_A);
	expect_both_ways(&lab, &lab.edu[0], &v);
}

/* ---- RAM ---- */

/* Pages of 1 MiB, 64 KiB and 4 KiB */
#define HEAP_SIZE 0x113000UL
#define SCATTERED_SIZE (16 * PAGE)

static void map_ram(struct lab *lab, const struct rambuf *buf, struct range slice,
		    uint64_t iova)
{
	int ret = ioas_map_fd(lab->iommufd, lab->ioas, buf->fd, &slice, iova, true);

	if (ret)
		fail("map %s: %s", buf->name, err(ret));
}

static void expect_device_sees(struct lab *lab, const struct rambuf *buf, struct range slice,
			       uint64_t iova)
{
	struct rambuf_edu who = { lab, &lab->edu[0] };
	struct mover edu = rambuf_edu(&who);

	rambuf_both_ways(buf, &edu, slice, iova);
}

/* Cached RAM of any exporter: the device and the CPU see the same. */
static void ram_both_ways(struct rambuf buf)
{
	struct range all = { 0, buf.size };
	struct bufinfo seen;
	struct lab lab;

	lab_open(&lab, ON_ROOT_BUS);
	map_ram(&lab, &buf, all, IOVA_A);
	seen = bufinfo_read();
	if (strcmp(seen.type, "type=PAL converter=none"))
		fail("bufinfo: expected type=PAL converter=none, got '%s'", seen.type);
	expect_device_sees(&lab, &buf, all, IOVA_A);
}

static void row_system_heap(const struct row *row)
{
	ram_both_ways(rambuf_open("system heap", heap_alloc("system", HEAP_SIZE), HEAP_SIZE));
}

static void row_cma_heap(const struct row *row)
{
	int fd = heap_alloc("default_cma_region", HEAP_SIZE);

	ram_both_ways(rambuf_open("CMA heap", fd, HEAP_SIZE));
}

static void row_udmabuf(const struct row *row)
{
	ram_both_ways(rambuf_open("udmabuf", udmabuf_scattered(SCATTERED_SIZE),
				  SCATTERED_SIZE));
}

static void row_udmabuf_huge(const struct row *row)
{
	int ret = write_file("/proc/sys/vm/nr_hugepages", "2");

	if (ret)
		fail("nr_hugepages: %s", err(ret));
	ram_both_ways(rambuf_open("udmabuf of huge pages", udmabuf_huge(),
				  UDMABUF_HUGE + UDMABUF_HUGE / 2));
}

/* Two slices of a buffer without two pages that touch, the second one first */
static void row_ram_slices(const struct row *row)
{
	const struct range first = { PAGE, 6 * PAGE }, second = { 5 * PAGE, 10 * PAGE };
	struct rambuf buf;
	struct lab lab;

	lab_open(&lab, ON_ROOT_BUS);
	buf = rambuf_open("udmabuf", udmabuf_scattered(SCATTERED_SIZE), SCATTERED_SIZE);
	map_ram(&lab, &buf, second, IOVA_A);
	map_ram(&lab, &buf, first, IOVA_B);
	expect_bufinfo("two slices", 1, 2);
	expect_device_sees(&lab, &buf, first, IOVA_B);
	expect_device_sees(&lab, &buf, second, IOVA_A);
}

/* What is mapped keeps the buffer, and unmapping it is its end. */
static void row_ram_closed(const struct row *row)
{
	struct rambuf_edu who;
	struct rambuf buf;
	uint8_t seen[16];
	struct mover edu;
	struct lab lab;
	int ret;

	lab_open(&lab, ON_ROOT_BUS);
	who = (struct rambuf_edu){ &lab, &lab.edu[0] };
	edu = rambuf_edu(&who);
	buf = rambuf_open("system heap", heap_alloc("system", HEAP_SIZE), HEAP_SIZE);
	map_ram(&lab, &buf, (struct range){ 0, buf.size }, IOVA_A);
	munmap(buf.cpu, buf.size);
	close(buf.fd);
	expect_bufinfo("closed", 1, 1);
	edu.read(edu.who, IOVA_A + buf.size - sizeof(seen), seen, sizeof(seen));
	if (memcmp(seen, buf.shadow + buf.size - sizeof(seen), sizeof(seen)))
		fail("the device does not read what the CPU wrote before it closed the buffer");
	ret = ioas_unmap(lab.iommufd, lab.ioas, IOVA_A, buf.size);
	if (ret)
		fail("unmap: %s", err(ret));
	expect_bufinfo("unmapped", 0, 0);
}

/* Writes different bytes into each page of @buf, and keeps them in @bytes. */
static void device_writes(struct lab *lab, const struct rambuf *buf, uint8_t bytes[][16])
{
	struct rambuf_edu who = { lab, &lab->edu[0] };
	struct mover edu = rambuf_edu(&who);

	for (uint64_t page = 0; page < buf->size / PAGE; page++) {
		memset(bytes[page], 0x80 + page, sizeof(bytes[page]));
		edu.write(edu.who, IOVA_A + page * PAGE, bytes[page], sizeof(bytes[page]));
	}
}

/* Asks the kernel to evict what it believes to be clean. */
static void evict(int memfd, size_t size)
{
	volatile uint8_t *cpu = mmap(NULL, size, PROT_READ, MAP_SHARED, memfd, 0);

	if (cpu == MAP_FAILED)
		fail("map the memfd: %s", err(errno));
	for (size_t at = 0; at < size; at += PAGE)
		(void)cpu[at];
	if (madvise((void *)cpu, size, MADV_PAGEOUT))
		fail("MADV_PAGEOUT: %s", err(errno));
	munmap((void *)cpu, size);
}

/* Memory that no CPU has written to: only the exporter knows that it is not clean. */
static void row_ram_evicted(const struct row *row)
{
	struct rambuf buf = { .name = "udmabuf", .size = SCATTERED_SIZE };
	uint8_t bytes[SCATTERED_SIZE / PAGE][16], seen[16];
	int memfd = sealed_memfd(buf.size), ret;
	struct lab lab;

	buf.fd = udmabuf_of(memfd, buf.size);
	if (buf.fd < 0)
		fail("make a buffer: %s", err(buf.fd));
	lab_open(&lab, ON_ROOT_BUS);
	map_ram(&lab, &buf, (struct range){ 0, buf.size }, IOVA_A);
	device_writes(&lab, &buf, bytes);
	ret = ioas_unmap(lab.iommufd, lab.ioas, IOVA_A, buf.size);
	if (ret)
		fail("unmap: %s", err(ret));
	close(buf.fd);
	expect_bufinfo("closed", 0, 0);
	evict(memfd, buf.size);
	for (size_t page = 0; page < buf.size / PAGE; page++)
		if (pread(memfd, seen, sizeof(seen), page * PAGE) != sizeof(seen) ||
		    memcmp(seen, bytes[page], sizeof(seen)))
			fail("page %zu of the memfd is not what the device wrote", page);
}

/* ---- refusals ---- */

/* Maps a buffer of 64 KiB that some other exporter made. */
static void refuse_foreign(int fd)
{
	static const struct shape foreign = { "foreign buffer", 1, { { 0, 0x10000 } } };
	struct lab lab;

	if (fd < 0)
		fail("make a buffer: %s", err(fd));
	lab_open(&lab, ON_ROOT_BUS);
	expect_bufinfo("buffer made", 1, 0);
	expect_refused(&lab, fd, &foreign, all_of(&foreign), "map", EOPNOTSUPP);
	expect_bufinfo("map refused", 1, 0);
}

/* Made of pages as well, but lent as DMA addresses alone */
static void row_device_heap(const struct row *row)
{
	int fd = heap_alloc("test-heap", 0x10000);

	if (fd == -ENOENT)
		skip("this kernel has no exporter without PAL");
	refuse_foreign(fd);
}

/*
 * Tries each slice on @shape. Nothing may stay attached, and the buffer must
 * still be good: it is mapped and used afterwards.
 */
static void refuse_slices(const struct shape *shape, const struct range *slices,
			  int count)
{
	char what[80];
	struct lab lab;
	struct view v;
	int fd;

	lab_open(&lab, ON_ROOT_BUS);
	fd = export(&lab, shape);
	for (int i = 0; i < count; i++) {
		snprintf(what, sizeof(what), "start %#lx, length %#lx",
			 slices[i].offset, slices[i].len);
		expect_refused(&lab, fd, shape, slices[i], what, EINVAL);
		expect_bufinfo(what, 1, 0);
	}
	v = map(&lab, lab.ioas, fd, shape, IOVA_B);
	expect_both_ways(&lab, &lab.edu[0], &v);
}

static void row_start_outside(const struct row *row)
{
	uint64_t size = shape_size(row->shape);
	struct range slices[] = {
		{ size, PAGE }, { size + 8 * PAGE, PAGE }, { size, size },
		{ 1UL << 62, PAGE },
	};

	refuse_slices(row->shape, slices, 4);
}

static void row_length_outside(const struct row *row)
{
	uint64_t size = shape_size(row->shape);
	struct range slices[] = {
		{ 0, size + PAGE }, { PAGE, size }, { size - PAGE, 2 * PAGE },
		{ 0, 1UL << 40 }, { PAGE, 1UL << 62 },
	};

	refuse_slices(row->shape, slices, 5);
}

static void row_zero_length(const struct row *row)
{
	struct range slices[] = {
		{ 0, 0 }, { PAGE, 0 }, { shape_size(row->shape), 0 },
	};

	refuse_slices(row->shape, slices, 3);
}

static void row_unaligned_start(const struct row *row)
{
	struct range slices[] = {
		{ 1, PAGE }, { 512, PAGE }, { PAGE - 1, PAGE },
		{ 2 * PAGE + 8, 2 * PAGE },
	};

	refuse_slices(row->shape, slices, 4);
}

static void row_unaligned_length(const struct row *row)
{
	struct range slices[] = {
		{ 0, 1 }, { 0, PAGE - 1 }, { 0, PAGE + 512 }, { PAGE, 2 * PAGE - 8 },
	};

	refuse_slices(row->shape, slices, 4);
}

/* The mapping fails late, when the buffer is attached and pinned already. */
static void row_iova_in_use(const struct row *row)
{
	struct lab lab;
	struct view v;
	int fd;

	lab_open(&lab, ON_ROOT_BUS);
	fd = export(&lab, row->shape);
	v = map(&lab, lab.ioas, fd, row->shape, IOVA_B);
	expect_bufinfo("mapped once", 1, 1);
	for (int i = 0; i < 3; i++)
		expect_refused(&lab, fd, row->shape, all_of(row->shape),
			       "IOVA in use", EEXIST);
	expect_bufinfo("IOVA in use", 1, 1);
	expect_both_ways(&lab, &lab.edu[0], &v);
}

static void refuse_export(struct lab *lab, const char *what,
			  const struct range *ranges, int count)
{
	int ret = pdev_export(&lab->exporter, ranges, count);

	if (ret != -EINVAL)
		fail("%s: expected EINVAL, got %s", what, err(ret < 0 ? ret : 0));
	expect_bufinfo(what, 0, 0);
}

/* One good range and a bad one each time: all of it is refused. */
static void row_bad_export(const struct row *row)
{
	static const struct {
		const char *what;
		struct range ranges[2];
	} bad[] = {
		{ "empty range", { { 0, PAGE }, { 2 * PAGE, 0 } } },
		{ "unaligned offset", { { 0, PAGE }, { 2 * PAGE + 512, PAGE } } },
		{ "unaligned length", { { 0, PAGE }, { 2 * PAGE, 512 } } },
		{ "start outside", { { 0, PAGE }, { 0x400000, PAGE } } },
		{ "end outside", { { 0, PAGE }, { 0x3ff000, 2 * PAGE } } },
		{ "sum overflows", { { 0, -PAGE }, { 0, 2 * PAGE } } },
	};
	struct lab lab;

	lab_open(&lab, ON_ROOT_BUS);
	refuse_export(&lab, "no range", NULL, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refuse_export(&lab, bad[i].what, bad[i].ranges, 2);
}

/* ---- the table ---- */

static const struct row rows[] = {
	ROW_DEVICES,

	{ "1 range", "64 KiB, both ways", row_data, &one },
	{ "3 ranges", "out of order, with gaps", row_data, &three },
	{ "64 ranges", "one page each, shuffled", row_data, &sixty_four },
	{ "both ends", "last page of the BAR before the first", row_data, &ends },
	{ "neighbours", "ranges that touch, in and out of order", row_data, &neighbours },
	{ "whole BAR", "large pages", row_data, &whole_bar },
	{ "mapping type", "bufinfo says that PAL was picked", row_type, &one },
	BOTH("slice", "starts and ends inside ranges", row_slice),
	BOTH("read-only map", "the device reads, its writes fault", row_read_only),
	BOTH("two IOVAs", "the same buffer twice at once", row_two_iovas),
	BOTH("two IOASes", "two devices, a domain each", row_two_ioases),
	BOTH("late domain", "a second device joins after the map", row_late_domain),

	BOTH("map again", "after unmap, there and elsewhere", row_map_again),
	BOTH("revoke", "memory decode off and on", row_revoke),
	BOTH("race", "map and unmap while decode goes off and on", row_race),
	BOTH("reset", "behind a root port, while mapped", row_reset),
	BOTH("exporter closed", "while mapped, then opened again", row_exporter_closed),
	BOTH("process killed", "while mapped, with a DMA under way", row_killed),

	{ "system heap", "the CPU and the device see the same RAM", row_system_heap, NULL },
	{ "CMA heap", "the same", row_cma_heap, NULL },
	{ "udmabuf", "16 pages, no two of them neighbours", row_udmabuf, NULL },
	{ "udmabuf, huge pages", "one and a half, the wrong way round", row_udmabuf_huge, NULL },
	{ "RAM, slices", "two that overlap, of scattered pages", row_ram_slices, NULL },
	{ "RAM, closed", "while mapped; unmapping is its end", row_ram_closed, NULL },
	{ "RAM, evicted", "the memfd keeps what the device wrote", row_ram_evicted, NULL },

	{ "device heap", "refused: EOPNOTSUPP", row_device_heap, NULL },
	BOTH("start outside", "refused: EINVAL", row_start_outside),
	BOTH("length outside", "refused: EINVAL", row_length_outside),
	BOTH("zero length", "refused: EINVAL", row_zero_length),
	BOTH("unaligned start", "refused: EINVAL", row_unaligned_start),
	BOTH("unaligned length", "refused: EINVAL", row_unaligned_length),
	BOTH("IOVA in use", "refused: EEXIST, nothing stays attached", row_iova_in_use),
	{ "bad exports", "refused: EINVAL, nothing is exported", row_bad_export, NULL },
};

int main(void)
{
	if (!rows_machine())
		return 1;
	rows_run("proof", rows, sizeof(rows) / sizeof(rows[0]));
	return 0;
}
