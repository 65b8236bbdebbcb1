// SPDX-License-Identifier: GPL-2.0
/*
 * KVM as importer: ivshmem's BAR, exported by vfio-pci, is a memslot of a virtual
 * machine that runs inside this one. The guest moves bytes, and what it moved is
 * compared with the BAR as the CPU sees it and with the file behind it on the host.
 *
 * The VMM has no mapping of the BAR while the guest runs, unless a row says so.
 */
#include "lib/channel.h"
#include "lib/ram.h"
#include "lib/rambuf.h"
#include "lib/rows.h"
#include "lib/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOT 1
#define LARGE 0x200000UL

/* ---- shapes ---- */

/* All but the second page, as if it had an MSI-X table; two of the ranges touch. */
static const struct shape hole = {
	"a hole", 3, {
		{ 0, 0x1000 }, { 0x2000, 0x300000 - 0x2000 }, { 0x300000, 0x100000 },
	}
};

/* ---- steps that rows share ---- */

static void expect(const char *what, int ret, int expected)
{
	if (ret != expected)
		fail("%s: expected %s, got %s", what, err(expected), err(ret));
}

static void need(const char *what, int ret)
{
	if (ret < 0)
		fail("%s: %s", what, err(ret));
}

/* A lab, its buffer, and a virtual machine. The BAR is not mapped. */
struct setup {
	struct lab lab;
	struct vm vm;
	int dmabuf;
};

static void open_lab(struct setup *s, enum exporter which, const struct shape *shape)
{
	lab_open(&s->lab, which);
	pdev_unmap_bar(&s->lab.exporter);
	s->dmabuf = pdev_export(&s->lab.exporter, shape->ranges, shape->count);
	need("export", s->dmabuf);
}

/* The same with a virtual machine that has the whole buffer as a slot. */
static struct view open_slot(struct setup *s, enum exporter which, const struct shape *shape)
{
	open_lab(s, which, shape);
	vm_open(&s->vm);
	need("slot", vm_slot(&s->vm, SLOT, VM_BAR, shape_size(shape), s->dmabuf, 0));
	return view_of(shape, all_of(shape), VM_BAR);
}

static void guest_writes(void *who, uint64_t at, const void *bytes, size_t len)
{
	int ret = vcpu_write(who, at, bytes, len);

	if (ret != KVM_EXIT_HLT)
		fail("the guest writes at %#lx: exit %d", at, ret);
}

static void guest_reads(void *who, uint64_t at, void *bytes, size_t len)
{
	int ret = vcpu_read(who, at, bytes, len);

	if (ret != KVM_EXIT_HLT)
		fail("the guest reads at %#lx: exit %d", at, ret);
}

static void expect_guest(struct lab *lab, struct vcpu *cpu, const struct view *v)
{
	const struct mover guest = { guest_writes, guest_reads, cpu };

	expect_moved(lab, &guest, v);
}

/* KVM_RUN failed, and says which access it could not resolve. */
static void expect_memory_fault(struct vcpu *cpu, const char *when, int ret,
				uint64_t gpa, uint64_t flags)
{
	const struct kvm_run *run = cpu->run;

	if (ret != -EFAULT || run->exit_reason != KVM_EXIT_MEMORY_FAULT)
		fail("%s: expected EFAULT and a memory fault, got %d and exit %u",
		     when, ret, run->exit_reason);
	if (run->memory_fault.gpa != (gpa & ~(PAGE - 1)) ||
	    run->memory_fault.size != PAGE || run->memory_fault.flags != flags)
		fail("%s: expected a fault of %#lx, flags %#lx, got %#llx + %#llx, flags %#llx",
		     when, gpa, flags, run->memory_fault.gpa, run->memory_fault.size,
		     run->memory_fault.flags);
}

static void expect_no_memory(struct vcpu *cpu, const char *when, uint64_t gpa)
{
	expect_memory_fault(cpu, when, vcpu_write4(cpu, gpa, 0xdeadbeef), gpa, 0);
	expect_memory_fault(cpu, when, vcpu_run(cpu), gpa, 0);
}

static void expect_mmio(struct vcpu *cpu, const char *when, int ret, uint64_t gpa,
			bool write, uint32_t len)
{
	const struct kvm_run *run = cpu->run;

	if (ret != KVM_EXIT_MMIO)
		fail("%s: expected MMIO, got %d", when, ret);
	if (run->mmio.phys_addr != gpa || run->mmio.is_write != write ||
	    run->mmio.len != len)
		fail("%s: MMIO %s of %u bytes at %#llx", when,
		     run->mmio.is_write ? "write" : "read", run->mmio.len,
		     run->mmio.phys_addr);
}

/* There is no slot: the write is MMIO, and the guest goes on after it. */
static void expect_nobody_there(struct vcpu *cpu, const char *when, uint64_t gpa)
{
	expect_mmio(cpu, when, vcpu_write4(cpu, gpa, 1), gpa, true, 4);
	expect(when, vcpu_run(cpu), KVM_EXIT_HLT);
}

static void expect_no_mapping(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];

	if (!f)
		fail("/proc/self/maps: %s", err(errno));
	while (fgets(line, sizeof(line), f))
		if (strstr(line, "vfio") || strstr(line, "dmabuf"))
			fail("mapped: %s", line);
	fclose(f);
}

static void decode(struct setup *s, bool on)
{
	pdev_decode(&s->lab.exporter, on);
}

/* The existing slot works, and no byte is wrong anywhere in the BAR. */
static void expect_back(struct setup *s, const struct view *v)
{
	expect_guest(&s->lab, &s->vm.cpu, v);
	pdev_map_bar(&s->lab.exporter);
	expect_bytes(&s->lab, v, "at the end");
	pdev_unmap_bar(&s->lab.exporter);
}

/* ---- stock: a slot of a mapping ---- */

static void row_capability(const struct row *row)
{
	struct vm vm;

	vm_open(&vm);
	expect("KVM_CHECK_EXTENSION",
	       ioctl(vm.kvm, KVM_CHECK_EXTENSION, KVM_CAP_MEM_DMABUF), 1);
	expect("the same of a VM",
	       ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_MEM_DMABUF), 1);
}

static void open_vma(struct setup *s)
{
	struct kvm_userspace_memory_region2 slot = {
		.slot = SLOT, .guest_phys_addr = VM_BAR, .memory_size = BAR_SIZE,
	};

	lab_open(&s->lab, ON_ROOT_BUS);
	vm_open(&s->vm);
	slot.userspace_addr = (uintptr_t)s->lab.exporter.bar;
	need("slot of a mapping", vm_set_slot(&s->vm, &slot));
}

static void row_vma(const struct row *row)
{
	struct view v = view_of(&whole_bar, all_of(&whole_bar), VM_BAR);
	struct setup s;

	open_vma(&s);
	expect_guest(&s.lab, &s.vm.cpu, &v);
}

static void row_vma_revoke(const struct row *row)
{
	struct setup s;
	int ret;

	open_vma(&s);
	expect("write", vcpu_write4(&s.vm.cpu, VM_BAR, 1), KVM_EXIT_HLT);
	decode(&s, false);
	ret = vcpu_write4(&s.vm.cpu, VM_BAR, 2);
	if (ret != -EFAULT || s.vm.cpu.run->exit_reason)
		fail("expected EFAULT without a reason, got %d, exit %u", ret,
		     s.vm.cpu.run->exit_reason);
	decode(&s, true);
}

/* ---- data ---- */

static void row_data(const struct row *row)
{
	struct setup s;
	struct view v = open_slot(&s, ON_ROOT_BUS, row->shape);

	close(s.dmabuf);
	pdev_unmap_bar(&s.lab.edu[0]);
	expect_bufinfo("one slot", 1, 1);
	expect_no_mapping();
	expect_back(&s, &v);
	expect_no_mapping();
	need("delete", vm_delete(&s.vm, SLOT));
	expect_bufinfo("deleted", 0, 0);
}

static void row_type(const struct row *row)
{
	struct bufinfo seen;
	struct setup s;

	open_slot(&s, ON_ROOT_BUS, row->shape);
	seen = bufinfo_read();
	if (strcmp(seen.type, "type=PAL converter=none"))
		fail("bufinfo: expected type=PAL converter=none, got '%s'", seen.type);
}

/* Starts and ends inside ranges. Behind it is nothing. */
static void row_slice(const struct row *row)
{
	struct range slice = { 2 * PAGE, shape_size(row->shape) - 3 * PAGE };
	struct setup s;
	struct view v;

	open_lab(&s, ON_ROOT_BUS, row->shape);
	vm_open(&s.vm);
	need("slot", vm_slot(&s.vm, SLOT, VM_BAR, slice.len, s.dmabuf, slice.offset));
	v = view_of(row->shape, slice, VM_BAR);
	expect_back(&s, &v);
	expect_nobody_there(&s.vm.cpu, "behind the slice", VM_BAR + slice.len);
	expect_nobody_there(&s.vm.cpu, "before the slice", VM_BAR - PAGE);
}

/* The second half of the buffer is before the first one in the guest. */
static void row_two_slots(const struct row *row)
{
	uint64_t size = shape_size(row->shape), half = size / 2 & ~(PAGE - 1);
	struct view first = view_of(row->shape, (struct range){ 0, half }, VM_BAR + LARGE);
	struct view second = view_of(row->shape, (struct range){ half, size - half }, VM_BAR);
	struct setup s;

	open_lab(&s, ON_ROOT_BUS, row->shape);
	vm_open(&s.vm);
	need("first", vm_slot(&s.vm, 1, VM_BAR + LARGE, half, s.dmabuf, 0));
	need("second", vm_slot(&s.vm, 2, VM_BAR, size - half, s.dmabuf, half));
	expect_bufinfo("two slots", 1, 2);
	expect_guest(&s.lab, &s.vm.cpu, &first);
	expect_guest(&s.lab, &s.vm.cpu, &second);
	need("delete the first", vm_delete(&s.vm, 1));
	expect_nobody_there(&s.vm.cpu, "where the first was", VM_BAR + LARGE);
	expect_guest(&s.lab, &s.vm.cpu, &second);
}

static void row_two_vms(const struct row *row)
{
	struct setup s;
	struct view v = open_slot(&s, ON_ROOT_BUS, row->shape);
	struct vm other;

	vm_open(&other);
	need("slot of the other VM",
	     vm_slot(&other, SLOT, VM_BAR, shape_size(row->shape), s.dmabuf, 0));
	expect_guest(&s.lab, &s.vm.cpu, &v);
	expect_guest(&s.lab, &other.cpu, &v);
	decode(&s, false);
	expect_no_memory(&s.vm.cpu, "first VM, revoked", VM_BAR);
	expect_no_memory(&other.cpu, "other VM, revoked", VM_BAR);
	decode(&s, true);
	vm_close(&s.vm);
	expect_bufinfo("one VM closed", 1, 1);
	expect_guest(&s.lab, &other.cpu, &v);
	vm_close(&other);
	expect_bufinfo("both closed", 1, 0);
}

/* Both count at once. One revoke stops both, each with its own address. */
static void row_two_vcpus(const struct row *row)
{
	uint64_t at[2] = { VM_BAR, VM_BAR + shape_size(row->shape) - PAGE + 8 };
	struct counter counter[2];
	struct vcpu second;
	struct setup s;
	struct view v = open_slot(&s, ON_ROOT_BUS, row->shape);

	need("second vCPU", vcpu_open(&s.vm, &second, 1));
	counter_start(&counter[0], &s.vm.cpu, at[0]);
	counter_start(&counter[1], &second, at[1]);
	for (int i = 0; i < 2; i++)
		counter_expect_progress(&counter[i], "both run");
	decode(&s, false);
	for (int i = 0; i < 2; i++)
		expect_memory_fault(counter[i].cpu, "revoked", counter_wait(&counter[i]),
				    at[i], 0);
	decode(&s, true);
	for (int i = 0; i < 2; i++)
		counter_go_on(&counter[i]);
	for (int i = 0; i < 2; i++)
		counter_expect_progress(&counter[i], "restored");
	for (int i = 0; i < 2; i++)
		expect("stop", counter_stop(&counter[i]), -EINTR);
	expect_guest(&s.lab, &second, &v);
}

static uint32_t guest_word(struct setup *s, uint64_t gpa)
{
	uint32_t value;

	expect("the guest reads", vcpu_read4(&s->vm.cpu, gpa, &value), KVM_EXIT_HLT);
	return value;
}

static void set_guest_word(struct setup *s, uint64_t gpa, uint32_t value)
{
	expect("the guest writes", vcpu_write4(&s->vm.cpu, gpa, value), KVM_EXIT_HLT);
}

/* The device copies what the guest wrote to a place where the guest looks for it. */
static void expect_shared(struct setup *s, uint64_t last)
{
	uint32_t was[2] = { guest_word(s, VM_BAR), guest_word(s, VM_BAR + last) };
	struct pdev *edu = &s->lab.edu[0];

	set_guest_word(s, VM_BAR, 0x600df00d);
	edu_load(edu, IOVA_A, 0, 4);
	edu_store(edu, IOVA_A + last, 0, 4);
	if (guest_word(s, VM_BAR + last) != 0x600df00d)
		fail("the device copied, the guest reads %#x", guest_word(s, VM_BAR + last));
	set_guest_word(s, VM_BAR, was[0]);
	set_guest_word(s, VM_BAR + last, was[1]);
}

/* One buffer, two importers. One revoke stops both, and only the guest comes back. */
static void row_with_iommufd(const struct row *row)
{
	struct range all = all_of(row->shape);
	struct view dma = view_of(row->shape, all, IOVA_A);
	struct setup s;
	struct view v = open_slot(&s, ON_ROOT_BUS, row->shape);

	need("map", ioas_map_fd(s.lab.iommufd, s.lab.ioas, s.dmabuf, &all, IOVA_A, true));
	expect_bufinfo("two importers", 1, 2);
	expect_shared(&s, all.len - 4);
	expect_guest(&s.lab, &s.vm.cpu, &v);
	pdev_map_bar(&s.lab.exporter);
	expect_both_ways(&s.lab, &s.lab.edu[0], &dma);
	pdev_unmap_bar(&s.lab.exporter);

	decode(&s, false);
	expect_no_memory(&s.vm.cpu, "revoked", VM_BAR);
	decode(&s, true);
	expect_dead(&s.lab, &s.lab.edu[0], &dma, "decode was off");
	expect_back(&s, &v);
}

/* ---- revoke ---- */

/* The guest counts on from where it stopped. */
static void expect_goes_on(struct counter *counter, const char *when)
{
	counter_go_on(counter);
	counter_expect_progress(counter, when);
	expect("stop", counter_stop(counter), -EINTR);
}

/* Not a byte arrives after the revoke, and the same instruction goes on after it. */
static void row_revoke_running(const struct row *row)
{
	uint64_t at = VM_BAR + shape_size(row->shape) / 2;
	struct counter counter;
	struct setup s;
	struct view v = open_slot(&s, ON_ROOT_BUS, row->shape);
	uint32_t value;

	counter_start(&counter, &s.vm.cpu, at);
	counter_expect_progress(&counter, "before");
	decode(&s, false);
	expect_memory_fault(&s.vm.cpu, "revoked", counter_wait(&counter), at, 0);
	value = counter_value(&counter);
	for (int i = 0; i < 3; i++)
		expect_memory_fault(&s.vm.cpu, "still revoked", vcpu_run(&s.vm.cpu), at, 0);
	decode(&s, true);
	expect_goes_on(&counter, "restored");
	if (counter_value(&counter) <= value)
		fail("the guest began anew: %u after %u", counter_value(&counter), value);
	expect_guest(&s.lab, &s.vm.cpu, &v);
}

/* No page of any range is left; a new slot is refused, the old one comes back. */
static void row_revoke(const struct row *row)
{
	struct setup s;
	struct view v = open_slot(&s, ON_ROOT_BUS, row->shape);

	expect_guest(&s.lab, &s.vm.cpu, &v);
	decode(&s, false);
	for (int i = 0; i < v.count; i++) {
		expect_no_memory(&s.vm.cpu, "first page", v.seg[i].iova);
		expect_no_memory(&s.vm.cpu, "last page", v.seg[i].iova + v.seg[i].len - 4);
	}
	expect("a new slot", vm_slot(&s.vm, 2, VM_BAR + 2 * BAR_SIZE, PAGE, s.dmabuf, 0),
	       -ENODEV);
	expect_bufinfo("revoked", 1, 1);
	decode(&s, true);
	expect_back(&s, &v);
}

static void row_reset(const struct row *row)
{
	struct setup s;
	struct view v = open_slot(&s, BEHIND_ROOT_PORT, row->shape);

	expect_guest(&s.lab, &s.vm.cpu, &v);
	need("reset", pdev_reset(&s.lab.exporter));
	expect_back(&s, &v);
}

/* While it runs: it may see the revoke, then goes on by itself. */
static void row_reset_running(const struct row *row)
{
	struct counter counter;
	struct setup s;
	struct view v = open_slot(&s, BEHIND_ROOT_PORT, row->shape);
	int ret;

	counter_start(&counter, &s.vm.cpu, VM_BAR);
	counter_expect_progress(&counter, "before");
	need("reset", pdev_reset(&s.lab.exporter));
	ret = counter_stop(&counter);
	if (ret != -EINTR)
		expect_memory_fault(&s.vm.cpu, "reset", ret, VM_BAR, 0);
	expect_goes_on(&counter, "after the reset");
	expect_guest(&s.lab, &s.vm.cpu, &v);
}

/* ---- the end of slots, buffers and processes ---- */

static void row_exporter_closed(const struct row *row)
{
	struct setup s;

	open_slot(&s, ON_ROOT_BUS, row->shape);
	set_guest_word(&s, VM_BAR, 1);
	pdev_close(&s.lab.exporter);
	expect_no_memory(&s.vm.cpu, "exporter closed", VM_BAR);
	expect("a new slot", vm_slot(&s.vm, 2, VM_BAR + 2 * BAR_SIZE, PAGE, s.dmabuf, 0),
	       -ENODEV);
	expect_bufinfo("exporter closed", 1, 1);
	pdev_open(&s.lab.exporter, machine->exporter[ON_ROOT_BUS], 2, s.lab.iommufd);
	expect_no_memory(&s.vm.cpu, "exporter opened again", VM_BAR);
	need("delete", vm_delete(&s.vm, SLOT));
	expect_nobody_there(&s.vm.cpu, "slot deleted", VM_BAR);
	expect_bufinfo("slot deleted", 1, 0);
}

/* Starts a process that calls @fn, reports the result in @said, and waits to be killed. */
static pid_t helper(int (*fn)(const struct shape *), const struct shape *shape, int *said)
{
	int pipefd[2], value;
	pid_t pid;

	need("pipe", -pipe2(pipefd, O_CLOEXEC));
	pid = fork();
	need("fork", pid);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		value = fn(shape);
		if (write(pipefd[1], &value, sizeof(value)) != sizeof(value))
			_exit(1);
		for (;;)
			pause();
	}
	close(pipefd[1]);
	if (read(pipefd[0], said, sizeof(*said)) != sizeof(*said))
		_exit(1);	/* the child said why */
	close(pipefd[0]);
	return pid;
}

static void kill_helper(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		fail("the child ended before it was killed");
}

static int descriptor_of(pid_t pid, int fd)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0), ret;

	ret = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	return ret < 0 ? -errno : ret;
}

static int be_exporter(const struct shape *shape)
{
	static struct setup s;

	open_lab(&s, ON_ROOT_BUS, shape);
	return s.dmabuf;
}

static void row_exporter_killed(const struct row *row)
{
	int fd, dmabuf;
	pid_t pid = helper(be_exporter, row->shape, &fd);
	struct vm vm;

	dmabuf = descriptor_of(pid, fd);
	need("descriptor of the exporter", dmabuf);
	vm_open(&vm);
	need("slot", vm_slot(&vm, SLOT, VM_BAR, shape_size(row->shape), dmabuf, 0));
	expect("write", vcpu_write4(&vm.cpu, VM_BAR, 1), KVM_EXIT_HLT);
	kill_helper(pid);
	expect_no_memory(&vm.cpu, "exporter killed", VM_BAR);
	expect_bufinfo("exporter killed", 1, 1);
	need("delete", vm_delete(&vm, SLOT));
	expect_nobody_there(&vm.cpu, "slot deleted", VM_BAR);
}

static int be_vmm(const struct shape *shape)
{
	static struct counter counter;
	static struct setup s;

	open_slot(&s, ON_ROOT_BUS, shape);
	counter_start(&counter, &s.vm.cpu, VM_BAR);
	counter_expect_progress(&counter, "before the kill");
	return s.dmabuf;
}

/* While its guest runs; the buffer is held by somebody else. */
static void row_vmm_killed(const struct row *row)
{
	int fd, dmabuf;
	pid_t pid = helper(be_vmm, row->shape, &fd);
	struct setup s;
	struct view v;

	dmabuf = descriptor_of(pid, fd);
	need("descriptor of the VMM", dmabuf);
	expect_bufinfo("before the kill", 1, 1);
	kill_helper(pid);
	expect_bufinfo("VMM killed", 1, 0);
	close(dmabuf);
	v = open_slot(&s, ON_ROOT_BUS, row->shape);
	expect_guest(&s.lab, &s.vm.cpu, &v);
}

/* The memory is not revoked: it can be a slot again at once. */
static void row_deleted_running(const struct row *row)
{
	struct counter counter;
	struct setup s;
	struct view v = open_slot(&s, ON_ROOT_BUS, row->shape);

	counter_start(&counter, &s.vm.cpu, VM_BAR);
	counter_expect_progress(&counter, "before");
	need("delete", vm_delete(&s.vm, SLOT));
	expect_mmio(&s.vm.cpu, "deleted", counter_wait(&counter), VM_BAR, true, 4);
	expect_bufinfo("deleted", 1, 0);
	vm_close(&s.vm);
	vm_open(&s.vm);
	need("elsewhere", vm_slot(&s.vm, 2, VM_BAR, shape_size(row->shape), s.dmabuf, 0));
	expect_guest(&s.lab, &s.vm.cpu, &v);
}

/* ---- refusals ---- */

#define SIZE 0x10000UL
#define NEXT (VM_BAR + BAR_SIZE)

struct refusal {
	const char *what;
	int expected, slot;
	uint32_t flags;
	uint64_t gpa, size, offset, address;
	int fd;			/* 0 for the buffer's */
};

/* In a buffer of SIZE bytes, all of which is slot SLOT at VM_BAR. */
static const struct refusal refusals[] = {
	{ "no such descriptor", EBADF, 2, KVM_MEM_DMABUF, NEXT, .size = PAGE, .fd = 999 },
	{ "too long", EINVAL, 2, KVM_MEM_DMABUF, NEXT, .size = SIZE + PAGE },
	{ "behind the end", EINVAL, 2, KVM_MEM_DMABUF, NEXT, .size = PAGE, .offset = SIZE },
	{ "past the end", EINVAL, 2, KVM_MEM_DMABUF, NEXT, .size = 2 * PAGE, .offset = SIZE - PAGE },
	{ "far behind the end", EINVAL, 2, KVM_MEM_DMABUF, NEXT, .size = PAGE, .offset = 1UL << 62 },
	{ "offset not aligned", EINVAL, 2, KVM_MEM_DMABUF, NEXT, .size = PAGE, .offset = 512 },
	{ "size not aligned", EINVAL, 2, KVM_MEM_DMABUF, NEXT, .size = 512 },
	{ "offset wraps", EINVAL, 2, KVM_MEM_DMABUF, NEXT, .size = 2 * PAGE, .offset = -PAGE },
	{ "an address as well", EINVAL, 2, KVM_MEM_DMABUF, NEXT, .size = PAGE, .address = 0x10000 },
	{ "dirty log", EINVAL, 2, KVM_MEM_DMABUF | KVM_MEM_LOG_DIRTY_PAGES, NEXT, .size = PAGE },
	{ "two sources", EINVAL, 2, KVM_MEM_DMABUF | KVM_MEM_GUEST_MEMFD, NEXT, .size = PAGE },
	{ "as a guest_memfd", EINVAL, 2, KVM_MEM_GUEST_MEMFD, NEXT, .size = PAGE },
	{ "move", EINVAL, SLOT, KVM_MEM_DMABUF, NEXT, .size = SIZE },
	{ "other flags", EINVAL, SLOT, KVM_MEM_DMABUF | KVM_MEM_READONLY, VM_BAR, .size = SIZE },
	{ "no flag any more", EINVAL, SLOT, 0, VM_BAR, .size = SIZE },
	{ "the same again", EINVAL, SLOT, KVM_MEM_DMABUF, VM_BAR, .size = SIZE },
	{ "overlap", EEXIST, 2, KVM_MEM_DMABUF, VM_BAR + PAGE, .size = PAGE },
};

static void expect_refused(struct setup *s, const struct refusal *r)
{
	const struct kvm_userspace_memory_region2 slot = {
		.slot = r->slot,
		.flags = r->flags,
		.guest_phys_addr = r->gpa,
		.memory_size = r->size,
		.userspace_addr = r->address,
		.guest_memfd = r->fd ? r->fd : s->dmabuf,
		.guest_memfd_offset = r->offset,
	};

	expect(r->what, vm_set_slot(&s->vm, &slot), -r->expected);
	expect_bufinfo(r->what, 1, 1);
}

static void row_hostile(const struct row *row)
{
	struct setup s;
	struct view v = open_slot(&s, ON_ROOT_BUS, row->shape);

	if (shape_size(row->shape) != SIZE)
		fail("bad test: %s", row->shape->name);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		expect_refused(&s, &refusals[i]);
	expect_back(&s, &v);
}

/* A descriptor that is something else, and a buffer that has no physical addresses. */
static void row_foreign(const struct row *row)
{
	int file = open("/dev/null", O_RDWR | O_CLOEXEC), heap = heap_alloc("test-heap", SIZE);
	struct vm vm;

	vm_open(&vm);
	expect("a file", vm_slot(&vm, SLOT, VM_BAR, SIZE, file, 0), -EINVAL);
	if (heap == -ENOENT)
		return;
	need("heap", heap);
	expect("heap", vm_slot(&vm, SLOT, VM_BAR, SIZE, heap, 0), -EOPNOTSUPP);
	expect_bufinfo("refused", 1, 0);
}

/* ---- RAM ---- */

static void expect_ram(struct vm *vm, int slot, const struct rambuf *buf, uint64_t gpa)
{
	const struct mover guest = { guest_writes, guest_reads, &vm->cpu };

	need(buf->name, vm_slot(vm, slot, gpa, buf->size, buf->fd, 0));
	rambuf_both_ways(buf, &guest, (struct range){ 0, buf->size }, gpa);
}

/* One buffer is in one piece but for its size, the other one has no two pages that touch. */
static void row_ram(const struct row *row)
{
	struct rambuf heap = rambuf_open("system heap", heap_alloc("system", 17 * PAGE),
					 17 * PAGE);
	struct rambuf pages = rambuf_open("udmabuf", udmabuf_scattered(16 * PAGE), 16 * PAGE);
	struct vm vm;

	vm_open(&vm);
	expect_ram(&vm, 1, &heap, VM_BAR);
	expect_ram(&vm, 2, &pages, 2 * VM_BAR);
	expect_bufinfo("two slots", 2, 2);
	need("delete", vm_delete(&vm, 1));
	expect_nobody_there(&vm.cpu, "where the heap was", VM_BAR);
	rambuf_compare(&heap, "after the slot was deleted");
	expect_bufinfo("one slot", 2, 1);
}

/* The device and the guest use one buffer; nobody has pinned or counted its pages. */
static void row_ram_with_iommufd(const struct row *row)
{
	struct rambuf buf = rambuf_open("udmabuf", udmabuf_scattered(16 * PAGE), 16 * PAGE);
	struct range all = { 0, buf.size };
	struct rambuf_edu who;
	struct mover edu;
	struct lab lab;
	struct vm vm;

	lab_open(&lab, ON_ROOT_BUS);
	who = (struct rambuf_edu){ &lab, &lab.edu[0] };
	edu = rambuf_edu(&who);
	vm_open(&vm);
	need("map", ioas_map_fd(lab.iommufd, lab.ioas, buf.fd, &all, IOVA_A, true));
	expect_ram(&vm, SLOT, &buf, VM_BAR);
	rambuf_both_ways(&buf, &edu, all, IOVA_A);
	expect_bufinfo("two importers", 1, 2);
}

/*
 * The old ioctl has no field for the descriptor. The kernel would take 0 for it, so let
 * that be the buffer: only the flag can be what is refused.
 */
static void row_old_ioctl(const struct row *row)
{
	struct kvm_userspace_memory_region slot = {
		.slot = 2, .flags = KVM_MEM_DMABUF, .guest_phys_addr = VM_BAR + BAR_SIZE,
		.memory_size = PAGE,
	};
	struct setup s;

	open_slot(&s, ON_ROOT_BUS, row->shape);
	need("descriptor 0", dup2(s.dmabuf, 0) ? -errno : 0);
	expect("KVM_SET_USER_MEMORY_REGION",
	       ioctl(s.vm.fd, KVM_SET_USER_MEMORY_REGION, &slot) ? -errno : 0, -EINVAL);
}

/* ---- kinds of access ---- */

/* The guest reads what is in the BAR. */
static void expect_word(struct setup *s, uint64_t off, uint64_t gpa)
{
	uint32_t value;

	pdev_map_bar(&s->lab.exporter);
	memcpy(&value, s->lab.exporter.bar + off, sizeof(value));
	pdev_unmap_bar(&s->lab.exporter);
	if (guest_word(s, gpa) != value)
		fail("the BAR has %#x, the guest reads %#x", value, guest_word(s, gpa));
}

/* What is written to a read-only slot is MMIO, whatever the descriptor allows. */
static void row_read_only(const struct row *row)
{
	uint64_t len = shape_size(row->shape);
	struct kvm_userspace_memory_region2 slot = {
		.slot = SLOT, .flags = KVM_MEM_DMABUF, .guest_phys_addr = VM_BAR,
		.memory_size = len,
	};
	struct setup s;

	open_lab(&s, ON_ROOT_BUS, row->shape);
	vm_open(&s.vm);
	slot.guest_memfd = pdev_export_flags(&s.lab.exporter, row->shape->ranges,
					     row->shape->count, O_RDONLY | O_CLOEXEC);
	expect("writable slot of a read-only descriptor", vm_set_slot(&s.vm, &slot), -EACCES);
	slot.flags |= KVM_MEM_READONLY;
	need("read-only slot", vm_set_slot(&s.vm, &slot));

	expect_word(&s, row->shape->ranges[0].offset, VM_BAR);
	expect_mmio(&s.vm.cpu, "write", vcpu_write4(&s.vm.cpu, VM_BAR, 1), VM_BAR, true, 4);
	expect("the write is done", vcpu_run(&s.vm.cpu), KVM_EXIT_HLT);
	if (guest_word(&s, VM_BAR) == 1)
		fail("the write has reached the BAR");

	need("delete", vm_delete(&s.vm, SLOT));
	slot.guest_memfd = s.dmabuf;
	need("read-only slot of a writable descriptor", vm_set_slot(&s.vm, &slot));
	expect_mmio(&s.vm.cpu, "write", vcpu_write4(&s.vm.cpu, VM_BAR, 1), VM_BAR, true, 4);
}

/* KVM emulates insb: it has no address to copy to, so it leaves the write to the VMM. */
static void row_emulated(const struct row *row)
{
	struct setup s;
	struct view v = open_slot(&s, ON_ROOT_BUS, row->shape);
	struct kvm_run *run = s.vm.cpu.run;

	expect("insb", vcpu_insb(&s.vm.cpu, VM_BAR), KVM_EXIT_IO);
	*((uint8_t *)run + run->io.data_offset) = 0x42;
	expect_mmio(&s.vm.cpu, "insb", vcpu_run(&s.vm.cpu), VM_BAR, true, 1);
	if (run->mmio.data[0] != 0x42)
		fail("insb: the VMM is told to write %#x", run->mmio.data[0]);
	expect("end of insb", vcpu_run(&s.vm.cpu), KVM_EXIT_HLT);
	expect_back(&s, &v);
}

static void set_private(struct vm *vm, uint64_t gpa, uint64_t len, bool private)
{
	struct kvm_memory_attributes attributes = {
		.address = gpa, .size = len,
		.attributes = private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
	};

	if (ioctl(vm->fd, KVM_SET_MEMORY_ATTRIBUTES, &attributes))
		fail("memory attributes: %s", err(errno));
}

static void row_private(const struct row *row)
{
	struct setup s;
	struct view v = view_of(row->shape, all_of(row->shape), VM_BAR);
	int ret;

	open_lab(&s, ON_ROOT_BUS, row->shape);
	ret = vm_try_open(&s.vm, KVM_X86_SW_PROTECTED_VM);
	if (ret == -EINVAL)
		skip("needs the TDP MMU");
	need("protected VM", ret);
	need("slot", vm_slot(&s.vm, SLOT, VM_BAR, shape_size(row->shape), s.dmabuf, 0));
	expect_guest(&s.lab, &s.vm.cpu, &v);
	set_private(&s.vm, VM_BAR, PAGE, true);
	expect_memory_fault(&s.vm.cpu, "private", vcpu_write4(&s.vm.cpu, VM_BAR, 1), VM_BAR,
			    KVM_MEMORY_EXIT_FLAG_PRIVATE);
	expect("its neighbour", vcpu_write4(&s.vm.cpu, VM_BAR + PAGE, guest_word(&s, VM_BAR + PAGE)),
	       KVM_EXIT_HLT);
	set_private(&s.vm, VM_BAR, PAGE, false);
	expect_back(&s, &v);
}

/* ---- how it is mapped ---- */

static long large_pages(struct setup *s, uint64_t gpa, uint64_t len)
{
	for (uint64_t at = 0; at < len; at += LARGE / 2)
		guest_word(s, gpa + at);
	guest_word(s, gpa + len - 4);
	return vm_stat(&s->vm, "pages_2m");
}

static void expect_large(const char *what, long seen, long expected)
{
	if (seen != expected)
		fail("%s: expected %ld pages of 2 MiB, there are %ld", what, expected, seen);
}

static void row_large(const struct row *row)
{
	struct setup s;
	struct view v = open_slot(&s, ON_ROOT_BUS, row->shape);
	uint64_t rest = BAR_SIZE - PAGE;

	expect_large("BAR", large_pages(&s, VM_BAR, BAR_SIZE), 2);
	need("shifted", vm_slot(&s.vm, 2, 2 * VM_BAR + PAGE, BAR_SIZE, s.dmabuf, 0));
	expect_large("shifted by a page", large_pages(&s, 2 * VM_BAR + PAGE, BAR_SIZE), 2);
	need("misaligned alike", vm_slot(&s.vm, 3, 3 * VM_BAR + PAGE, rest, s.dmabuf, PAGE));
	expect_large("misaligned alike", large_pages(&s, 3 * VM_BAR + PAGE, rest), 3);
	expect_back(&s, &v);
	decode(&s, false);
	expect_large("revoked", vm_stat(&s.vm, "pages_2m"), 0);
	expect_no_memory(&s.vm.cpu, "revoked", VM_BAR + LARGE);
	decode(&s, true);
	expect_large("restored", large_pages(&s, VM_BAR, BAR_SIZE), 2);
}

/* Two ranges that touch are one page; where a page is left out there are small ones. */
static void row_large_hole(const struct row *row)
{
	struct setup s;
	struct view v;

	open_lab(&s, ON_ROOT_BUS, row->shape);
	vm_open(&s.vm);
	need("before the hole", vm_slot(&s.vm, 1, VM_BAR, PAGE, s.dmabuf, 0));
	need("behind it", vm_slot(&s.vm, 2, VM_BAR + 2 * PAGE, BAR_SIZE - 2 * PAGE,
				  s.dmabuf, PAGE));
	expect_large("BAR with a hole", large_pages(&s, VM_BAR + 2 * PAGE,
						    BAR_SIZE - 2 * PAGE), 1);
	v = view_of(row->shape, (struct range){ PAGE, BAR_SIZE - 2 * PAGE }, VM_BAR + 2 * PAGE);
	expect_back(&s, &v);
	expect_nobody_there(&s.vm.cpu, "the hole", VM_BAR + PAGE);
}

static int pre_fault(struct setup *s, uint64_t gpa, uint64_t len)
{
	struct kvm_pre_fault_memory range = { .gpa = gpa, .size = len };

	while (range.size)
		if (ioctl(s->vm.cpu.fd, KVM_PRE_FAULT_MEMORY, &range))
			return -errno;
	return 0;
}

static void row_pre_fault(const struct row *row)
{
	uint64_t size = shape_size(row->shape);
	struct setup s;
	struct view v = open_slot(&s, ON_ROOT_BUS, row->shape);

	if (!ioctl(s.vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_PRE_FAULT_MEMORY))
		skip("needs two-dimensional paging");
	need("pre-fault", pre_fault(&s, VM_BAR, size));
	expect("pages", vm_stat(&s.vm, "pages_4k"), size / PAGE);
	decode(&s, false);
	expect("pages, revoked", vm_stat(&s.vm, "pages_4k"), 0);
	expect("pre-fault, revoked", pre_fault(&s, VM_BAR, size), -EFAULT);
	decode(&s, true);
	need("pre-fault, restored", pre_fault(&s, VM_BAR, size));
	expect_guest(&s.lab, &s.vm.cpu, &v);
}

/* ---- races ---- */

static int rounds(void)
{
	char text[32];

	return cmdline_get("kvm.rounds", text, sizeof(text)) ? atoi(text) : 100;
}

struct toggler {
	struct setup *s;
	pthread_t thread;
	int stop, revokes;
};

static void *toggle(void *arg)
{
	struct toggler *t = arg;

	while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED)) {
		decode(t->s, false);
		usleep(t->revokes * 37 % 500);
		decode(t->s, true);
		usleep(t->revokes++ * 61 % 500);
	}
	return NULL;
}

/* Revokes and restores in a thread: a forked process would keep the VM open. */
static void start_toggling(struct toggler *t, struct setup *s)
{
	*t = (struct toggler){ .s = s };
	need("thread", -pthread_create(&t->thread, NULL, toggle, t));
}

static void end_toggling(struct toggler *t)
{
	__atomic_store_n(&t->stop, 1, __ATOMIC_RELAXED);
	pthread_join(t->thread, NULL);
}

/* The guest writes all the time. Nothing but a revoke ends its run. */
static void row_race_revoke(const struct row *row)
{
	const int count = rounds();
	uint32_t number = 0;
	struct toggler toggler;
	struct setup s;
	struct view v = open_slot(&s, ON_ROOT_BUS, row->shape);
	struct counter counter;

	counter_start(&counter, &s.vm.cpu, VM_BAR);
	start_toggling(&toggler, &s);
	for (int i = 0; i < count; i++) {
		expect_memory_fault(&s.vm.cpu, "revoked", counter_wait(&counter), VM_BAR, 0);
		if (counter_value(&counter) < number)
			fail("counted %u, then %u", number, counter_value(&counter));
		number = counter_value(&counter);
		counter_go_on(&counter);
	}
	end_toggling(&toggler);
	/* A last revoke may have stopped it already. */
	if (counter_stop(&counter) != -EINTR)
		expect_memory_fault(&s.vm.cpu, "revoked", counter.exit, VM_BAR, 0);
	say("note %d faults by %d revokes, %u writes", count, toggler.revokes, number);
	expect_guest(&s.lab, &s.vm.cpu, &v);
}

struct tally {
	int written, faults, refused;
};

/* Adds a slot and writes to it. A revoke may come before, between or after. */
static void one_slot(struct setup *s, uint64_t len, struct tally *tally)
{
	int ret = vm_slot(&s->vm, SLOT, VM_BAR, len, s->dmabuf, 0);

	if (ret == -ENODEV) {
		tally->refused++;
		return;
	}
	need("slot", ret);
	ret = vcpu_write4(&s->vm.cpu, VM_BAR + len - 4, 1);
	if (ret == KVM_EXIT_HLT) {
		tally->written++;
	} else {
		expect_memory_fault(&s->vm.cpu, "write", ret, VM_BAR + len - 4, 0);
		tally->faults++;
	}
}

/* Every fourth VM dies with its slot. */
static void row_race_slots(const struct row *row)
{
	uint64_t len = shape_size(row->shape);
	const int count = rounds();
	struct tally tally = { 0 };
	struct toggler toggler;
	struct setup s;

	open_slot(&s, ON_ROOT_BUS, row->shape);
	need("delete", vm_delete(&s.vm, SLOT));
	start_toggling(&toggler, &s);
	for (int i = 0; i < count; i++) {
		one_slot(&s, len, &tally);
		if (i % 4) {
			vm_delete(&s.vm, SLOT);	/* if there is one */
		} else {
			vm_close(&s.vm);
			vm_open(&s.vm);
		}
		usleep(i * 23 % 300);
	}
	end_toggling(&toggler);
	vm_delete(&s.vm, SLOT);
	expect_bufinfo("after the race", 1, 0);
	if (!tally.written)
		fail("no slot worked: %d faults, %d refused", tally.faults, tally.refused);
	say("note %d slots written to, %d revoked before that, %d refused, by %d revokes",
	    tally.written, tally.faults, tally.refused, toggler.revokes);
}

/* ---- the kernel's own tests ---- */

#define KSFT_SKIP 4

/* They load the guest's code from argv[0], so it must be a full path. */
static void run_selftest(char *path)
{
	bool ours = strstr(path, "dmabuf");
	char *argv[] = { path, ours ? "-d" : NULL, machine->exporter[BEHIND_ROOT_PORT], NULL };

	dup2(STDERR_FILENO, STDOUT_FILENO);
	execv(path, argv);
	_exit(127);
}

static void row_selftest(const struct row *row)
{
	char path[100];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "/bin/%s", row->name + strlen("kvm: "));
	pid = fork();
	need("fork", pid);
	if (!pid)
		run_selftest(path);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		fail("%s died, status %#x", path, status);
	if (WEXITSTATUS(status) == KSFT_SKIP)
		skip("its requirements are not met, see the console");
	if (WEXITSTATUS(status))
		fail("%s: exit %d, see the console", path, WEXITSTATUS(status));
}

/* ---- the table ---- */

static const struct row rows[] = {
	ROW_DEVICES,

	{ "kvm: a mapping", "for comparison: a slot of the BAR's mapping", row_vma, NULL },
	{ "kvm: a mapping, revoke", "EFAULT, and the VMM is not told where", row_vma_revoke, NULL },

	{ "kvm: capability", "KVM_CAP_MEM_DMABUF", row_capability, NULL },
	{ "kvm: 1 range", "64 KiB, both ways, without a mapping", row_data, &one },
	{ "kvm: 3 ranges", "out of order, with gaps, without a mapping", row_data, &three },
	{ "kvm: 64 ranges", "one page each, shuffled", row_data, &sixty_four },
	{ "kvm: whole BAR", "4 MiB", row_data, &whole_bar },
	{ "kvm: mapping type", "bufinfo says that PAL was picked", row_type, &one },
	BOTH("kvm: slice", "starts and ends inside ranges, behind it is MMIO", row_slice),
	BOTH("kvm: two slots", "of one buffer, the other way round", row_two_slots),
	BOTH("kvm: two VMs", "one buffer, one revoke for both", row_two_vms),
	BOTH("kvm: two vCPUs", "one revoke stops both, each where it is", row_two_vcpus),
	{ "kvm: with iommufd", "one buffer: the device reads what the guest wrote, and back",
	  row_with_iommufd, &three },

	BOTH("kvm: revoke while it runs", "memory fault, then it goes on", row_revoke_running),
	BOTH("kvm: revoke", "every range; a new slot is refused", row_revoke),
	BOTH("kvm: reset", "behind a root port, no new slot", row_reset),
	{ "kvm: reset while it runs", "it goes on", row_reset_running, &three },
	BOTH("kvm: exporter closed", "memory fault until the slot is deleted", row_exporter_closed),
	{ "kvm: exporter killed", "memory fault until the slot is deleted",
	  row_exporter_killed, &three },
	{ "kvm: VMM killed", "while the guest runs: nothing is attached", row_vmm_killed, &three },
	{ "kvm: slot deleted", "while the guest runs: MMIO, the buffer is still good",
	  row_deleted_running, &three },

	{ "kvm: RAM", "system heap and udmabuf, as the CPU sees them", row_ram, NULL },
	{ "kvm: RAM, with iommufd", "guest, device and CPU see the same", row_ram_with_iommufd,
	  NULL },

	{ "kvm: hostile", "refused, nothing stays attached", row_hostile, &one },
	{ "kvm: foreign", "refused: no DMA-buf, a device heap", row_foreign, NULL },
	{ "kvm: old ioctl", "refused", row_old_ioctl, &one },

	{ "kvm: read-only", "EACCES for a writable slot; writes are MMIO", row_read_only, &three },
	{ "kvm: emulated access", "MMIO, the memory is as before", row_emulated, &three },
	{ "kvm: private memory", "memory fault; shared again works", row_private, &three },
	{ "kvm: large pages", "where guest, BAR and slot allow it", row_large, &whole_bar },
	{ "kvm: large pages, hole", "as behind an MSI-X table", row_large_hole, &hole },
	{ "kvm: pre-fault", "41 pages, none after a revoke", row_pre_fault, &three },

	{ "kvm: race, revoke", "against a vCPU that writes", row_race_revoke, &three },
	{ "kvm: race, slots and VMs", "against revokes", row_race_slots, &three },

	{ "kvm: dmabuf_memslot_test", "the selftest of the series", row_selftest, NULL },
	{ "kvm: guest_memfd_test", "KVM's own", row_selftest, NULL },
	{ "kvm: pre_fault_memory_test", "KVM's own", row_selftest, NULL },
};

int main(void)
{
	if (!rows_machine())
		return 1;
	rows_run("kvm", rows, sizeof(rows) / sizeof(rows[0]));
	return 0;
}
