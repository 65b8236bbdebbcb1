// SPDX-License-Identifier: GPL-2.0-only
/*
 * A BAR of a VFIO device as a memslot, through the DMA-buf that vfio-pci exports.
 * The BAR must be memory that keeps what is written to it, as that of QEMU's
 * ivshmem-plain, or of an NVMe with a controller memory buffer.
 */
#include <linux/sizes.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <libvfio.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"
#include "ucall_common.h"

#define SLOT		10
#define GPA		SZ_1G
#define GVA		SZ_1G
/* One page of the BAR is left out before the slot, and one behind it. */
#define OFFSET		PAGE_SIZE

struct setup {
	struct vfio_pci_device *device;
	struct vfio_pci_bar *bar;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	u64 npages;
	int dmabuf;
};

/* Each round writes something else to each page. */
static u64 pattern(u64 round, u64 page)
{
	return round << 32 | (page + 1);
}

static void guest_code(gva_t gva, u64 npages)
{
	for (u64 round = 1; ; round++) {
		for (u64 i = 0; i < npages; i++) {
			u64 *word = (u64 *)(gva + i * PAGE_SIZE);

			WRITE_ONCE(*word, pattern(round, i));
			GUEST_ASSERT_EQ(READ_ONCE(*word), pattern(round, i));
		}
		GUEST_SYNC(round);
	}
}

static struct vfio_pci_bar *largest_bar(struct vfio_pci_device *device)
{
	struct vfio_pci_bar *bar = NULL;

	for (int i = 0; i < PCI_STD_NUM_BARS; i++) {
		struct vfio_pci_bar *this = &device->bars[i];

		if (this->vaddr && (!bar || this->info.size > bar->info.size))
			bar = this;
	}
	TEST_REQUIRE(bar && bar->info.size >= 4 * PAGE_SIZE);
	return bar;
}

static int export_bar(struct setup *s)
{
	struct {
		struct vfio_device_feature feature;
		struct vfio_device_feature_dma_buf dmabuf;
		struct vfio_region_dma_range range;
	} __packed arg = {
		.feature = {
			.argsz = sizeof(arg),
			.flags = VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_DMA_BUF,
		},
		.dmabuf = {
			.region_index = s->bar->info.index,
			.open_flags = O_RDWR | O_CLOEXEC,
			.nr_ranges = 1,
		},
		.range = { .length = s->bar->info.size },
	};
	int fd = ioctl(s->device->fd, VFIO_DEVICE_FEATURE, &arg);

	TEST_ASSERT(fd >= 0, "export of BAR %u: errno %d", s->bar->info.index,
		    errno);
	return fd;
}

static int set_slot(struct setup *s, u32 slot, u32 flags, gpa_t gpa, u64 size,
		    void *hva, u64 offset)
{
	return __vm_set_user_memory_region2(s->vm, slot, flags, gpa, size, hva,
					    s->dmabuf, offset);
}

/* In the BAR, as user space sees it */
static void check_bar(struct setup *s, u64 round)
{
	for (u64 i = 0; i < s->npages; i++) {
		u64 *word = s->bar->vaddr + OFFSET + i * PAGE_SIZE;

		TEST_ASSERT_EQ(READ_ONCE(*word), pattern(round, i));
	}
}

static void expect_round(struct setup *s, u64 round)
{
	struct ucall uc;

	vcpu_run(s->vcpu);
	TEST_ASSERT_EQ(get_ucall(s->vcpu, &uc), UCALL_SYNC);
	TEST_ASSERT_EQ(uc.args[1], round);
	check_bar(s, round);
}

static void expect_memory_fault(struct setup *s)
{
	int r = _vcpu_run(s->vcpu);

	TEST_ASSERT(r < 0 && errno == EFAULT, "KVM_RUN: %d, errno %d", r, errno);
	TEST_ASSERT_KVM_EXIT_REASON(s->vcpu, KVM_EXIT_MEMORY_FAULT);
	TEST_ASSERT_EQ(s->vcpu->run->memory_fault.gpa, GPA);
	TEST_ASSERT_EQ(s->vcpu->run->memory_fault.flags, 0);
}

static void expect_refused(struct setup *s, const char *what, int r, int error)
{
	TEST_ASSERT(r < 0 && errno == error, "%s: %d, errno %d", what, r, errno);
}

static void test_refusals(struct setup *s)
{
	u64 size = s->bar->info.size;

	expect_refused(s, "longer than the buffer",
		       set_slot(s, SLOT, KVM_MEM_DMABUF, GPA, size, NULL, OFFSET),
		       EINVAL);
	expect_refused(s, "an address as well",
		       set_slot(s, SLOT, KVM_MEM_DMABUF, GPA, PAGE_SIZE,
				s->bar->vaddr, 0), EINVAL);
	expect_refused(s, "dirty log",
		       set_slot(s, SLOT, KVM_MEM_DMABUF | KVM_MEM_LOG_DIRTY_PAGES,
				GPA, PAGE_SIZE, NULL, 0), EINVAL);
	expect_refused(s, "no DMA-buf",
		       __vm_set_user_memory_region2(s->vm, SLOT, KVM_MEM_DMABUF,
						    GPA, PAGE_SIZE, NULL,
						    s->vm->fd, 0), EINVAL);
}

/* The BAR is taken away while memory decode is off, and comes back by itself. */
static void test_revoke(struct setup *s, u64 round)
{
	vfio_pci_cmd_clear(s->device, PCI_COMMAND_MEMORY);
	expect_memory_fault(s);
	expect_memory_fault(s);
	expect_refused(s, "a new slot",
		       set_slot(s, SLOT + 1, KVM_MEM_DMABUF, 2 * GPA, PAGE_SIZE,
				NULL, 0), ENODEV);
	vfio_pci_cmd_set(s->device, PCI_COMMAND_MEMORY);
	expect_round(s, round);
}

static void test_reset(struct setup *s, u64 round)
{
	if (!(s->device->info.flags & VFIO_DEVICE_FLAGS_RESET)) {
		pr_info("The device cannot be reset\n");
		return;
	}
	vfio_pci_device_reset(s->device);
	vfio_pci_cmd_set(s->device, PCI_COMMAND_MEMORY);
	expect_round(s, round);
}

static void test_delete(struct setup *s)
{
	TEST_ASSERT(!set_slot(s, SLOT, 0, GPA, 0, NULL, 0), "delete: errno %d",
		    errno);
	vcpu_run(s->vcpu);
	TEST_ASSERT_KVM_EXIT_REASON(s->vcpu, KVM_EXIT_MMIO);
	TEST_ASSERT_EQ(s->vcpu->run->mmio.phys_addr, GPA);
}

static void setup_vm(struct setup *s)
{
	s->npages = s->bar->info.size / PAGE_SIZE - 2;
	s->dmabuf = export_bar(s);
	s->vm = vm_create_with_one_vcpu(&s->vcpu, guest_code);
	virt_map(s->vm, GVA, GPA, s->npages);
	vcpu_args_set(s->vcpu, 2, (u64)GVA, s->npages);
}

int main(int argc, char **argv)
{
	const char *bdf = argc == 3 && !strcmp(argv[1], "-d") ? argv[2] : NULL;
	struct setup s;

	if (!bdf) {
		printf("Usage: %s -d <segment:bus:device.function>\n", argv[0]);
		exit(KSFT_SKIP);
	}
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_MEM_DMABUF));

	s.device = vfio_pci_device_init(bdf, iommu_init("iommufd"));
	vfio_pci_cmd_set(s.device, PCI_COMMAND_MEMORY);
	s.bar = largest_bar(s.device);
	setup_vm(&s);

	test_refusals(&s);
	TEST_ASSERT(!set_slot(&s, SLOT, KVM_MEM_DMABUF, GPA,
			      s.npages * PAGE_SIZE, NULL, OFFSET),
		    "slot: errno %d", errno);
	expect_round(&s, 1);
	test_revoke(&s, 2);
	test_reset(&s, 3);
	test_delete(&s);

	kvm_vm_free(s.vm);
	close(s.dmabuf);
	return 0;
}
