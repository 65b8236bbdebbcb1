// SPDX-License-Identifier: GPL-2.0
/*
 * The rows of the benchmark. Each is a name with a number at its end, which
 * stands on the axis of the curve; its note is two counts of instructions, of the
 * call and of what undoes it. Calls of the kernel are counted by
 * /dev/dma-buf-bench (tests/kernel), those of user space here.
 */
#include "../tests/kernel/dma-buf-bench.h"
#include "lib/channel.h"
#include "lib/ram.h"
#include "lib/vfio.h"
#include "lib/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#define RUNS 11
/* Aligned like the largest BAR, for the same page sizes as the bare IOMMU has */
#define IOVA 0x40000000UL

static int bench;
/* bench.only=N on the command line: the Nth row alone, from 0, for a profile */
static int only = INT_MIN;

/* ---- buffers ---- */

static int heap_buffer(uint64_t pages)
{
	return heap_alloc("system", pages * PAGE);
}

static char *map_pages(int memfd, size_t len)
{
	char *at = mmap(NULL, len, PROT_READ | PROT_WRITE,
			memfd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, memfd, 0);

	if (at == MAP_FAILED)
		fail("mmap: %s", err(errno));
	return at;
}

/*
 * Filled in turn with other memory, so that no two of its pages are neighbours:
 * how many are by chance differs from boot to boot.
 */
static int udmabuf_buffer(uint64_t pages)
{
	size_t len = pages * PAGE;
	int memfd = sealed_memfd(len), ret;
	char *ours, *others;

	if (memfd < 0)
		return memfd;
	ours = map_pages(memfd, len);
	others = map_pages(-1, len);
	for (size_t i = 0; i < len; i += PAGE)
		ours[i] = others[i] = 1;
	munmap(ours, len);
	ret = udmabuf_of(memfd, len);
	munmap(others, len);
	close(memfd);
	return ret;
}

static int own_buffer(uint32_t kind, uint64_t ranges)
{
	struct bench_export export = { .kind = kind, .n = ranges };

	return ioctl(bench, BENCH_EXPORT, &export);
}

static int sgt_buffer(uint64_t ranges)
{
	return own_buffer(BENCH_EXPORT_SGT, ranges);
}

static int pal_buffer(uint64_t ranges)
{
	return own_buffer(BENCH_EXPORT_PAL, ranges);
}

static int mmio_buffer(uint64_t ranges)
{
	return own_buffer(BENCH_EXPORT_MMIO, ranges);
}

/* ---- what the kernel counts ---- */

struct row {
	const char *name;
	int (*buffer)(uint64_t n);
	uint32_t op;
	uint64_t n[8];		/* up to the first 0 */
};

static const struct row kernel_rows[] = {
	{ "map heap, pages", heap_buffer, BENCH_MAP_STATIC, { 1, 256, 4096, 16384 } },
	{ "map heap, dynamic, pages", heap_buffer, BENCH_MAP_DYNAMIC, { 1, 256, 4096, 16384 } },
	{ "map udmabuf, pages", udmabuf_buffer, BENCH_MAP_STATIC, { 1, 256, 4096 } },
	{ "map SGT, native, ranges", sgt_buffer, BENCH_MAP_DYNAMIC, { 1, 16, 1024, 16384 } },
	{ "map SGT, converted, ranges", pal_buffer, BENCH_MAP_DYNAMIC, { 1, 16, 1024, 16384 } },
	{ "map PAL, ranges", pal_buffer, BENCH_MAP_PAL, { 1, 16, 1024, 65536 } },
	{ "iommu_map, 4 KiB ranges", NULL, BENCH_IOMMU_MAP, { 1, 16, 1024, 16384 } },
	{ "iommu_map_nosync, 4 KiB ranges", NULL, BENCH_IOMMU_NOSYNC, { 1, 16, 1024, 16384 } },
	{ "map DAL, ranges", pal_buffer, BENCH_MAP_DAL, { 1, 16, 1024, 16384 } },
	{ "map DAL of SGT, ranges", sgt_buffer, BENCH_MAP_DAL, { 1, 16, 1024, 16384 } },
	{ "map DAL, bus address, ranges", mmio_buffer, BENCH_MAP_DAL_P2P, { 1, 16, 1024, 16384 } },
	{ "map SGT, bus address, ranges", mmio_buffer, BENCH_MAP_P2P, { 1, 16, 1024, 16384 } },
	{ "map DAL, IOMMU, ranges", pal_buffer, BENCH_MAP_DAL_P2P, { 1, 16, 1024, 16384 } },
	{ "map SGT, IOMMU, ranges", pal_buffer, BENCH_MAP_P2P, { 1, 16, 1024, 16384 } },
	{ "walk SGT, ranges", pal_buffer, BENCH_WALK_SGT, { 1, 1024, 16384 } },
	{ "walk DAL, ranges", pal_buffer, BENCH_WALK_DAL, { 1, 1024, 16384 } },
	{ "walk SGT, bus address, ranges", mmio_buffer, BENCH_WALK_SGT_P2P, { 1, 1024, 16384 } },
	{ "walk DAL, bus address, ranges", mmio_buffer, BENCH_WALK_DAL_P2P, { 1, 1024, 16384 } },
	{ "walk SGT, IOMMU, ranges", pal_buffer, BENCH_WALK_SGT_P2P, { 1, 1024, 16384 } },
	{ "walk DAL, IOMMU, ranges", pal_buffer, BENCH_WALK_DAL_P2P, { 1, 1024, 16384 } },
};

/* One range of the buffer stands for 1024 of a mapping: see BENCH_CHUNK */
static int chunk_buffer(uint64_t ranges)
{
	return sgt_buffer(1024);
}

static int chunk_of_pal(uint64_t ranges)
{
	return pal_buffer(1024);
}

/* So many that the pages which the allocator had left over are below 1 % */
static const struct row byte_rows[] = {
	{ "bytes of attachments", chunk_buffer, BENCH_BYTES_ATTACH, { 131072 } },
	{ "bytes of SGT mappings, ranges", chunk_buffer, BENCH_BYTES_MAP_SGT, { 524288 } },
	{ "bytes of DAL mappings, ranges", chunk_of_pal, BENCH_BYTES_MAP_DAL, { 524288 } },
	{ "bytes of PAL lists, ranges", chunk_buffer, BENCH_BYTES_LIST, { 1048576 } },
	{ "bytes of an xarray, ranges", chunk_buffer, BENCH_BYTES_XARRAY, { 1048576 } },
};

/* Here the number is that of other attachments, or of offers and requests */
static const struct row other_rows[] = {
	{ "attach static, others", heap_buffer, BENCH_ATTACH_STATIC, { 1, 64 } },
	{ "attach dynamic, others", heap_buffer, BENCH_ATTACH_DYNAMIC, { 1, 64 } },
	{ "invalidate, importers", heap_buffer, BENCH_INVALIDATE, { 1, 8, 64 } },
	{ "match, types", heap_buffer, BENCH_MATCH, { 1, 2, 4, 8 } },
};

static void report(int ret, const struct bench_run *run)
{
	if (ret && errno == EOPNOTSUPP)
		say("skip this kernel cannot do it");
	else if (ret)
		say("fail %s", err(errno));
	else if (run->thousand < 1000 || run->thousand > 1010)
		say("fail 1000 instructions count %llu: start QEMU with -icount shift=0",
		    run->thousand);
	else
		say("note %llu %llu", run->there, run->back);
	if (!ret)
		say("pass");
}

static void kernel_row(const struct row *row, uint64_t n, bool others)
{
	struct bench_run run = {
		.fd = -1, .op = row->op, .n = n, .len = PAGE,
		.others = others && row->op != BENCH_MATCH ? n : 0,
		.samples = n > 1000 ? RUNS : BENCH_SAMPLES,
	};

	if (only != INT_MIN && only-- != 0)
		return;
	say("row %s %lu", row->name, n);
	if (row->buffer)
		run.fd = row->buffer(others ? 1 : n);
	report(row->buffer && run.fd < 0 ? -1 : ioctl(bench, BENCH_RUN, &run), &run);
	if (run.fd >= 0)
		close(run.fd);
}

static void kernel_table(const struct row *rows, size_t count, bool others)
{
	for (size_t r = 0; r < count; r++)
		for (int i = 0; i < 8 && rows[r].n[i]; i++)
			kernel_row(&rows[r], rows[r].n[i], others);
}

/* ---- what user space counts ---- */

struct pass {
	uint64_t there, back;
};

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void report_passes(struct pass *passes)
{
	uint64_t there, back[RUNS];

	for (int i = 0; i < RUNS; i++)
		back[i] = passes[i].back;
	qsort(passes, RUNS, sizeof(*passes), compare);
	qsort(back, RUNS, sizeof(*back), compare);
	there = passes[RUNS / 2].there;
	say("note %lu %lu", there, back[RUNS / 2]);
	say("pass");
}

struct place {
	int iommufd;
	uint32_t ioas;
	struct pdev exporter, edu;
};

static void place_open(struct place *place)
{
	char bdf[2][16];

	pci_find(ID_EDU, bdf, 2);
	pci_bind_vfio(bdf[0]);
	place->iommufd = iommufd_open();
	place->ioas = ioas_new(place->iommufd);
	pdev_open(&place->edu, bdf[0], 0, place->iommufd);
	pdev_attach(&place->edu, place->ioas);
	pci_find(ID_IVSHMEM, bdf, 2);
	pci_bind_vfio(bdf[0]);
	pdev_open(&place->exporter, bdf[0], 2, place->iommufd);
}

/* Ends the row if the kernel says something else than that it cannot */
static bool map_once(struct place *place, int fd, struct range slice, struct pass *pass)
{
	uint64_t start = __rdtsc(), middle;
	int ret = ioas_map_fd(place->iommufd, place->ioas, fd, &slice, IOVA, true);

	middle = __rdtsc();
	if (ret == -EOPNOTSUPP) {
		say("skip this kernel cannot do it");
		return false;
	}
	if (ret)
		fail("map: %s", err(ret));
	ioas_unmap(place->iommufd, place->ioas, IOVA, slice.len);
	*pass = (struct pass){ middle - start, __rdtsc() - middle };
	return true;
}

static void map_file_row(struct place *place, int fd, struct range slice)
{
	struct pass passes[RUNS];

	if (fd < 0)
		fail("export: %s", err(fd));
	for (int i = 0; i < RUNS; i++)
		if (!map_once(place, fd, slice, &passes[i]))
			return;
	report_passes(passes);
}

/* Every other piece of @len bytes of the BAR; export is a row of its own */
static int export_pieces(struct place *place, uint64_t n, uint64_t len)
{
	struct range *ranges = calloc(n, sizeof(*ranges));
	int fd;

	if (!ranges)
		fail("out of memory");
	for (uint64_t i = 0; i < n; i++)
		ranges[i] = (struct range){ 2 * i * len, len };
	fd = pdev_export(&place->exporter, ranges, n);
	free(ranges);
	return fd;
}

static void one_range_row(struct place *place, uint64_t len)
{
	struct range whole = { 0, len };
	int fd;

	say("row map iommufd, one range, bytes %lu", len);
	fd = pdev_export(&place->exporter, &whole, 1);
	map_file_row(place, fd, whole);
	close(fd);
}

static void ranges_rows(struct place *place, uint64_t n)
{
	int fd;

	say("row map iommufd, 4 KiB ranges %lu", n);
	fd = export_pieces(place, n, PAGE);
	map_file_row(place, fd, (struct range){ 0, n * PAGE });
	close(fd);
}

/* The same page at both ends of a long list: how long is the search? */
static void seek_rows(struct place *place, uint64_t n)
{
	int fd = export_pieces(place, n, PAGE);

	say("row map iommufd, first of ranges %lu", n);
	map_file_row(place, fd, (struct range){ 0, PAGE });
	say("row map iommufd, last of ranges %lu", n);
	map_file_row(place, fd, (struct range){ (n - 1) * PAGE, PAGE });
	close(fd);
}

static void ram_row(struct place *place, uint64_t len)
{
	void *ram = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct pass passes[RUNS];
	uint64_t start, middle;

	say("row map iommufd, RAM, bytes %lu", len);
	if (ram == MAP_FAILED)
		fail("out of memory");
	for (int i = 0; i < RUNS; i++) {
		start = __rdtsc();
		ioas_map_ram(place->iommufd, place->ioas, ram, len, IOVA);
		middle = __rdtsc();
		ioas_unmap(place->iommufd, place->ioas, IOVA, len);
		passes[i] = (struct pass){ middle - start, __rdtsc() - middle };
	}
	report_passes(passes);
	munmap(ram, len);
}

static void export_row(struct place *place, uint64_t n)
{
	struct pass passes[RUNS];
	uint64_t start, middle;
	int fd;

	say("row export vfio, ranges %lu", n);
	for (int i = 0; i < RUNS; i++) {
		start = __rdtsc();
		fd = export_pieces(place, n, PAGE);
		middle = __rdtsc();
		if (fd < 0)
			fail("export: %s", err(fd));
		close(fd);
		passes[i] = (struct pass){ middle - start, __rdtsc() - middle };
	}
	report_passes(passes);
}

static void bare_row(uint64_t len)
{
	static const struct row row = { "iommu_map, one range, bytes", NULL, BENCH_IOMMU_MAP, { 0 } };
	struct bench_run run = { .fd = -1, .op = row.op, .n = 1, .len = len, .samples = RUNS };

	say("row %s %lu", row.name, len);
	report(ioctl(bench, BENCH_RUN, &run), &run);
}

/* Through the host bridge, with an IOVA; stock Linux 7.3 has a bug there from two on */
static void p2p_row(struct place *place, uint64_t n)
{
	struct bench_run run = { .op = BENCH_MAP_P2P, .samples = RUNS };
	int ret;

	say("row map vfio BAR for a peer, ranges %lu", n);
	run.fd = export_pieces(place, n, PAGE);
	if (run.fd < 0)
		fail("export: %s", err(run.fd));
	ret = ioctl(bench, BENCH_RUN, &run);
	if (ret && errno == EADDRINUSE)
		errno = EOPNOTSUPP;
	report(ret, &run);
	close(run.fd);
}

/* ---- KVM ---- */

#define LARGE 0x200000UL
/* The host address of the BAR is a multiple of 1 GiB, so only pages up to @page fit here. */
#define SLOT_GPA(page) (0x40000000UL + (page))

/* Makes the BAR a slot, by its mapping or as a DMA-buf: 0 or -errno. */
static int kvm_slot(struct vm *vm, struct place *place, bool mapping, uint64_t gpa)
{
	struct kvm_userspace_memory_region2 slot = {
		.slot = 1,
		.guest_phys_addr = gpa,
		.memory_size = place->exporter.bar_len,
		.userspace_addr = (uintptr_t)place->exporter.bar,
	};
	struct range whole = { 0, place->exporter.bar_len };
	int fd, ret;

	if (mapping)
		return vm_set_slot(vm, &slot);
	fd = pdev_export(&place->exporter, &whole, 1);
	if (fd < 0)
		return fd;
	ret = vm_slot(vm, 1, gpa, whole.len, fd, 0);
	close(fd);
	return ret;
}

/* @n faults in one run of the guest, then a revoke that zaps the pages. */
static void fault_pass(struct vm *vm, struct place *place, uint64_t n, uint64_t page,
		       struct pass *pass)
{
	uint64_t start = __rdtsc(), middle, end;
	int ret = vcpu_touch(&vm->cpu, SLOT_GPA(page), n, page);

	middle = __rdtsc();
	pdev_decode(&place->exporter, false);
	end = __rdtsc();
	pdev_decode(&place->exporter, true);
	if (ret != KVM_EXIT_HLT)
		fail("the guest: %d", ret);
	*pass = (struct pass){ middle - start, end - middle };
}

static void fault_row(struct place *place, bool mapping, uint64_t n, uint64_t page)
{
	struct pass passes[RUNS];
	struct vm vm;
	int ret;

	say("row kvm fault, %s, %s pages %lu", mapping ? "mapping" : "DMA-buf",
	    page == PAGE ? "4 KiB" : "2 MiB", n);
	vm_open(&vm);
	ret = kvm_slot(&vm, place, mapping, SLOT_GPA(page));
	if (ret == -EINVAL)
		say("skip this kernel cannot do it");
	else if (ret)
		fail("slot: %s", err(ret));
	for (int i = 0; !ret && i < RUNS; i++)
		fault_pass(&vm, place, n, page, &passes[i]);
	if (!ret)
		report_passes(passes);
	vm_close(&vm);
}

static void kvm_rows(struct place *place)
{
	static const uint64_t n[] = { 1, 16, 256 };

	for (int i = 0; i < 3; i++) {
		fault_row(place, true, n[i], PAGE);
		fault_row(place, false, n[i], PAGE);
		fault_row(place, true, n[i], LARGE);
		fault_row(place, false, n[i], LARGE);
	}
}

static void user_rows(void)
{
	static const uint64_t bytes[] = { 0x1000, 0x200000, 0x40000000 };
	static const uint64_t ranges[] = { 1, 16, 1024, 16384 };
	struct place place = { 0 };

	place_open(&place);
	for (int i = 0; i < 3; i++) {
		one_range_row(&place, bytes[i]);
		bare_row(bytes[i]);
	}
	for (int i = 0; i < 4; i++)
		ranges_rows(&place, ranges[i]);
	for (int i = 0; i < 3; i++)
		p2p_row(&place, ranges[i]);
	for (int i = 1; i < 4; i++)
		export_row(&place, ranges[i]);
	seek_rows(&place, 64);
	seek_rows(&place, 1024);
	seek_rows(&place, 65536);
	for (int i = 0; i < 3; i++)
		ram_row(&place, bytes[i]);
	kvm_rows(&place);
}

int main(void)
{
	char number[8];
	pid_t pid;

	if (cmdline_get("bench.only", number, sizeof(number)))
		only = atoi(number);
	bench = open("/dev/dma-buf-bench", O_RDWR | O_CLOEXEC);
	kernel_table(other_rows, sizeof(other_rows) / sizeof(other_rows[0]), true);
	kernel_table(kernel_rows, sizeof(kernel_rows) / sizeof(kernel_rows[0]), false);

	if (cmdline_get("bench.only", number, sizeof(number)))
		return 0;
	/* fail() ends the process */
	pid = fork();
	if (!pid) {
		user_rows();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	kernel_table(byte_rows, sizeof(byte_rows) / sizeof(byte_rows[0]), false);
	return 0;
}
