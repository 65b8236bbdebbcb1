/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Virtual machines: a few instructions of 32-bit code, 1 MiB of RAM, and memslots.
 * The guest's page table maps every address to itself, with pages of 4 MiB.
 *
 * Functions that return int return 0 or -errno, unless their comment says otherwise. The
 * others end the row on failure.
 */
#ifndef GUEST_VM_H
#define GUEST_VM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For stock kernels, which refuse it */
#ifndef KVM_MEM_DMABUF
#define KVM_MEM_DMABUF (1UL << 3)
#define KVM_CAP_MEM_DMABUF 252
#endif
/* In asm/kvm.h, which is the distribution's */
#ifndef KVM_X86_SW_PROTECTED_VM
#define KVM_X86_SW_PROTECTED_VM 1
#endif

#define VM_RAM_SIZE 0x100000UL
/* Where slots go */
#define VM_BAR 0x10000000UL

struct vcpu {
	int fd, number;
	struct kvm_run *run;
	size_t run_size;
	uint8_t *ram;
};

struct vm {
	int kvm, fd;
	uint8_t *ram;		/* at 0 */
	struct vcpu cpu;
};

/* @type: that of KVM_CREATE_VM, or 0 for the default */
int vm_try_open(struct vm *vm, unsigned long type);
void vm_open(struct vm *vm);
void vm_close(struct vm *vm);
int vcpu_open(struct vm *vm, struct vcpu *cpu, int number);
void vcpu_close(struct vcpu *cpu);

int vm_set_slot(struct vm *vm, const struct kvm_userspace_memory_region2 *slot);
/* A writable slot @number of @len bytes of @dmabuf */
int vm_slot(struct vm *vm, int number, uint64_t gpa, uint64_t len, int dmabuf,
	    uint64_t offset);
int vm_delete(struct vm *vm, int number);
/* A counter of this VM in debugfs */
long vm_stat(struct vm *vm, const char *name);

/* Goes on where the vCPU stopped: the exit reason, or -errno. */
int vcpu_run(struct vcpu *cpu);
/*
 * Each runs a piece of guest code up to its first exit, and returns the exit reason, which
 * is KVM_EXIT_HLT at its end, or -errno. Copies go through the RAM, where each vCPU has
 * its own buffer.
 */
int vcpu_write(struct vcpu *cpu, uint64_t gpa, const void *bytes, size_t len);
int vcpu_read(struct vcpu *cpu, uint64_t gpa, void *bytes, size_t len);
int vcpu_write4(struct vcpu *cpu, uint64_t gpa, uint32_t value);
int vcpu_read4(struct vcpu *cpu, uint64_t gpa, uint32_t *value);
/* Writes to @count places, @stride bytes apart. */
int vcpu_touch(struct vcpu *cpu, uint64_t gpa, uint32_t count, uint32_t stride);
/* A byte from a port: the first exit is KVM_EXIT_IO. */
int vcpu_insb(struct vcpu *cpu, uint64_t gpa);

/* Counts in the RAM and at @gpa until something ends it; runs in a thread. */
struct counter {
	struct vcpu *cpu;
	pthread_t thread;
	int exit;
};

void counter_start(struct counter *c, struct vcpu *cpu, uint64_t gpa);
/* Goes on where it stopped */
void counter_go_on(struct counter *c);
/* Waits for its exit: the exit reason, or -errno */
int counter_wait(struct counter *c);
/* -EINTR, or what ended it before */
int counter_stop(struct counter *c);
uint32_t counter_value(const struct counter *c);
/* Waits until it counts */
void counter_expect_progress(const struct counter *c, const char *when);

#endif
