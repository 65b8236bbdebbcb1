// SPDX-License-Identifier: GPL-2.0
/* Makes virtual machines, and has them read and write guest memory. */
#include "vm.h"
#include "vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* In the RAM */
#define CODE 0x1000
#define PAGE_TABLE 0x2000
#define BUFFER(cpu) (0x10000UL * (1 + (cpu)->number))
#define BUFFER_SIZE 0xf000UL
#define COUNTER(cpu) (BUFFER(cpu) + BUFFER_SIZE)

enum code { COPY, WRITE4, READ4, TOUCH, INSB, COUNT };

static const uint8_t code[][8] = {
	[COPY] = { 0xf3, 0xa4, 0xf4 },			/* rep movsb; hlt */
	[WRITE4] = { 0x89, 0x03, 0xf4 },		/* mov %eax, (%ebx); hlt */
	[READ4] = { 0x8b, 0x03, 0xf4 },			/* mov (%ebx), %eax; hlt */
	/* again: mov %eax, (%ebx); add %edx, %ebx; dec %ecx; jnz again; hlt */
	[TOUCH] = { 0x89, 0x03, 0x01, 0xd3, 0x49, 0x75, 0xf9, 0xf4 },
	[INSB] = { 0x6c, 0xf4 },			/* insb (%dx), (%edi); hlt */
	/* again: mov %eax, (%ebx); mov %eax, (%ecx); inc %eax; jmp again */
	[COUNT] = { 0x89, 0x03, 0x89, 0x01, 0x40, 0xeb, 0xf9 },
};

static int ctl(int fd, unsigned long cmd, void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

static void need(const char *what, int ret)
{
	if (ret < 0)
		fail("%s: %s", what, err(ret));
}

/* ---- virtual machines ---- */

static void fill_ram(uint8_t *ram)
{
	uint32_t *table = (uint32_t *)(ram + PAGE_TABLE);

	for (size_t i = 0; i < sizeof(code) / sizeof(code[0]); i++)
		memcpy(ram + CODE + sizeof(code[0]) * i, code[i], sizeof(code[0]));
	/* Present, writable, accessed, dirty, large: the CPU need not write to the table. */
	for (uint32_t i = 0; i < 1024; i++)
		table[i] = i << 22 | 0xe3;
}

static int ram_slot(struct vm *vm)
{
	struct kvm_userspace_memory_region2 slot = {
		.memory_size = VM_RAM_SIZE,
	};

	vm->ram = mmap(NULL, VM_RAM_SIZE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (vm->ram == MAP_FAILED)
		return -errno;
	fill_ram(vm->ram);
	slot.userspace_addr = (uintptr_t)vm->ram;
	return vm_set_slot(vm, &slot);
}

int vm_try_open(struct vm *vm, unsigned long type)
{
	int ret;

	vm->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm < 0)
		return -errno;
	vm->fd = ctl(vm->kvm, KVM_CREATE_VM, (void *)type);
	if (vm->fd < 0) {
		ret = vm->fd;
		close(vm->kvm);
		return ret;
	}
	ret = ram_slot(vm);
	return ret ? ret : vcpu_open(vm, &vm->cpu, 0);
}

void vm_open(struct vm *vm)
{
	need("virtual machine", vm_try_open(vm, 0));
}

void vm_close(struct vm *vm)
{
	vcpu_close(&vm->cpu);
	close(vm->fd);
	close(vm->kvm);
	munmap(vm->ram, VM_RAM_SIZE);
}

static struct kvm_segment flat(int type)
{
	return (struct kvm_segment) {
		.limit = 0xffffffff, .selector = 8, .type = type,
		.present = 1, .db = 1, .s = 1, .g = 1,
	};
}

/* Protected mode, with paging */
static int set_mode(struct vcpu *cpu)
{
	struct kvm_sregs sregs;
	int ret = ctl(cpu->fd, KVM_GET_SREGS, &sregs);

	if (ret)
		return ret;
	sregs.cs = flat(11);
	sregs.ds = sregs.es = sregs.ss = flat(3);
	sregs.cr0 = 1u << 31 | 1 << 4 | 1 << 0;		/* PG, ET, PE */
	sregs.cr3 = PAGE_TABLE;
	sregs.cr4 = 1 << 4;				/* PSE */
	return ctl(cpu->fd, KVM_SET_SREGS, &sregs);
}

int vcpu_open(struct vm *vm, struct vcpu *cpu, int number)
{
	int size = ctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, NULL);

	cpu->fd = ctl(vm->fd, KVM_CREATE_VCPU, (void *)(long)number);
	if (cpu->fd < 0)
		return cpu->fd;
	cpu->number = number;
	cpu->ram = vm->ram;
	cpu->run_size = size;
	cpu->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu->fd, 0);
	if (cpu->run == MAP_FAILED)
		return -errno;
	return set_mode(cpu);
}

void vcpu_close(struct vcpu *cpu)
{
	munmap(cpu->run, cpu->run_size);
	close(cpu->fd);
}

/* ---- memslots ---- */

int vm_set_slot(struct vm *vm, const struct kvm_userspace_memory_region2 *slot)
{
	return ctl(vm->fd, KVM_SET_USER_MEMORY_REGION2, (void *)slot);
}

int vm_slot(struct vm *vm, int number, uint64_t gpa, uint64_t len, int dmabuf,
	    uint64_t offset)
{
	struct kvm_userspace_memory_region2 slot = {
		.slot = number,
		.flags = KVM_MEM_DMABUF,
		.guest_phys_addr = gpa,
		.memory_size = len,
		.guest_memfd = dmabuf,
		.guest_memfd_offset = offset,
	};

	return vm_set_slot(vm, &slot);
}

int vm_delete(struct vm *vm, int number)
{
	struct kvm_userspace_memory_region2 slot = { .slot = number };

	return vm_set_slot(vm, &slot);
}

long vm_stat(struct vm *vm, const char *name)
{
	char path[128];
	long value;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%d-%d/%s", getpid(),
		 vm->fd, name);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%ld", &value) != 1)
		fail("%s: %s", path, err(errno));
	fclose(f);
	return value;
}

/* ---- guest code ---- */

int vcpu_run(struct vcpu *cpu)
{
	int ret;

	cpu->run->exit_reason = 0;
	ret = ctl(cpu->fd, KVM_RUN, NULL);
	return ret ? ret : (int)cpu->run->exit_reason;
}

static int enter(struct vcpu *cpu, enum code what, struct kvm_regs regs)
{
	regs.rip = CODE + sizeof(code[0]) * what;
	regs.rflags = 2;
	return ctl(cpu->fd, KVM_SET_REGS, &regs);
}

static int start(struct vcpu *cpu, enum code what, struct kvm_regs regs)
{
	int ret = enter(cpu, what, regs);

	return ret ? ret : vcpu_run(cpu);
}

static void check_len(size_t len)
{
	if (len > BUFFER_SIZE)
		fail("bad test: %#zx bytes are too many", len);
}

int vcpu_write(struct vcpu *cpu, uint64_t gpa, const void *bytes, size_t len)
{
	check_len(len);
	memcpy(cpu->ram + BUFFER(cpu), bytes, len);
	return start(cpu, COPY, (struct kvm_regs) {
		.rsi = BUFFER(cpu), .rdi = gpa, .rcx = len,
	});
}

int vcpu_read(struct vcpu *cpu, uint64_t gpa, void *bytes, size_t len)
{
	int ret;

	check_len(len);
	ret = start(cpu, COPY, (struct kvm_regs) {
		.rsi = gpa, .rdi = BUFFER(cpu), .rcx = len,
	});
	memcpy(bytes, cpu->ram + BUFFER(cpu), len);
	return ret;
}

int vcpu_write4(struct vcpu *cpu, uint64_t gpa, uint32_t value)
{
	return start(cpu, WRITE4, (struct kvm_regs) { .rbx = gpa, .rax = value });
}

int vcpu_read4(struct vcpu *cpu, uint64_t gpa, uint32_t *value)
{
	struct kvm_regs regs;
	int ret = start(cpu, READ4, (struct kvm_regs) { .rbx = gpa });

	need("registers", ctl(cpu->fd, KVM_GET_REGS, &regs));
	*value = regs.rax;
	return ret;
}

int vcpu_touch(struct vcpu *cpu, uint64_t gpa, uint32_t count, uint32_t stride)
{
	return start(cpu, TOUCH, (struct kvm_regs) {
		.rbx = gpa, .rcx = count, .rdx = stride,
	});
}

int vcpu_insb(struct vcpu *cpu, uint64_t gpa)
{
	return start(cpu, INSB, (struct kvm_regs) { .rdi = gpa, .rdx = 0x80 });
}

/* ---- counters ---- */

static void nothing(int signal)
{
}

static void *count(void *arg)
{
	struct counter *c = arg;

	c->exit = vcpu_run(c->cpu);
	return NULL;
}

void counter_go_on(struct counter *c)
{
	need("thread", -pthread_create(&c->thread, NULL, count, c));
}

/* SIGUSR1 must end KVM_RUN, not the process. */
void counter_start(struct counter *c, struct vcpu *cpu, uint64_t gpa)
{
	const struct sigaction handled = { .sa_handler = nothing };

	c->cpu = cpu;
	sigaction(SIGUSR1, &handled, NULL);
	need("registers", enter(cpu, COUNT, (struct kvm_regs) {
		.rax = 1, .rbx = gpa, .rcx = COUNTER(cpu),
	}));
	counter_go_on(c);
}

int counter_wait(struct counter *c)
{
	pthread_join(c->thread, NULL);
	return c->exit;
}

int counter_stop(struct counter *c)
{
	int ret;

	c->cpu->run->immediate_exit = 1;
	pthread_kill(c->thread, SIGUSR1);
	ret = counter_wait(c);
	c->cpu->run->immediate_exit = 0;
	return ret;
}

uint32_t counter_value(const struct counter *c)
{
	return *(volatile uint32_t *)(c->cpu->ram + COUNTER(c->cpu));
}

void counter_expect_progress(const struct counter *c, const char *when)
{
	uint32_t before = counter_value(c);

	for (int ms = 0; ms < 5000; ms++) {
		if (counter_value(c) != before)
			return;
		usleep(1000);
	}
	fail("%s: the guest does not go on", when);
}
