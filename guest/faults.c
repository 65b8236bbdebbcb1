// SPDX-License-Identifier: GPL-2.0
/*
 * Every step in the life of a DMA-buf, with each allocation on the way failing
 * once: see sweep.h. The note of a row is the number of faults; the host adds
 * them up.
 *
 * Each row is a process of its own; faults.only=text runs those with this text,
 * where + is a space.
 */
#include "lib/channel.h"
#include "lib/lab.h"
#include "lib/ram.h"
#include "lib/rig.h"
#include "lib/sweep.h"
#include "lib/vm.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static struct lab lab;
static int dmabuf, importer;
static uint32_t hwpt;

/* ---- exporters ---- */

static int export_bar(const void *shape)
{
	const struct shape *s = shape;

	return pdev_export(&lab.exporter, s->ranges, s->count);
}

static int alloc_ram(const void *heap)
{
	const char *name = heap;

	if (!strcmp(name, "udmabuf"))
		return udmabuf_alloc(RIG_RAM);
	return heap_alloc(strcmp(name, "edu") ? name : machine->edu[1], RIG_RAM);
}

static void close_fd(const void *unused, int fd)
{
	if (fd >= 0)
		close(fd);
}

static void need(const char *what, int ret)
{
	if (ret < 0)
		fail("%s: %s", what, err(ret));
}

static void have_bar(const void *shape)
{
	dmabuf = export_bar(shape);
	need("export", dmabuf);
}

static void have_ram(const void *heap)
{
	dmabuf = alloc_ram(heap);
	need("allocate", dmabuf);
}

static void close_dmabuf(const void *unused, int ret)
{
	close(dmabuf);
}

/* ---- iommufd ---- */

static int map(const void *shape)
{
	struct range all = { 0, shape_size(shape) };

	return ioas_map_fd(lab.iommufd, lab.ioas, dmabuf, &all, IOVA_A, true);
}

/* Makes the list of a buffer of RAM as well */
static int map_ram(const void *heap)
{
	struct range all = { 0, RIG_RAM };

	return ioas_map_fd(lab.iommufd, lab.ioas, dmabuf, &all, IOVA_A, true);
}

static void unmap_ram_close(const void *heap, int ret)
{
	if (!ret)
		need("unmap", ioas_unmap(lab.iommufd, lab.ioas, IOVA_A, RIG_RAM));
	close(dmabuf);
}

/* Starts and ends inside ranges */
static int map_slice(const void *shape)
{
	struct range slice = { PAGE, shape_size(shape) - 3 * PAGE };

	return ioas_map_fd(lab.iommufd, lab.ioas, dmabuf, &slice, IOVA_A, true);
}

static int unmap(const void *shape)
{
	return ioas_unmap(lab.iommufd, lab.ioas, IOVA_A, shape_size(shape));
}

static void have_map(const void *shape)
{
	have_bar(shape);
	need("map", map(shape));
}

static void unmap_slice_close(const void *shape, int ret)
{
	if (!ret)
		need("unmap", ioas_unmap(lab.iommufd, lab.ioas, IOVA_A,
					 shape_size(shape) - 3 * PAGE));
	close(dmabuf);
}

static void unmap_close(const void *shape, int ret)
{
	if (!ret)
		need("unmap", unmap(shape));
	close(dmabuf);
}

static void unmap_again_close(const void *shape, int ret)
{
	unmap_close(shape, !ret);
}

/* Of a map that must have worked */
static void must_unmap_close(const void *shape, int ret)
{
	unmap_close(shape, 0);
}

/* The domain is left, and the device comes back to a buffer that is mapped. */
static void have_map_without_domain(const void *shape)
{
	pdev_detach(&lab.edu[0]);
	have_map(shape);
}

static int attach_domain(const void *unused)
{
	return pdev_try_attach(&lab.edu[0], lab.ioas);
}

static void domain_back(const void *shape, int ret)
{
	if (ret)
		need("attach the domain again", attach_domain(NULL));
	unmap_close(shape, 0);
}

static int detach_domain(const void *unused)
{
	pdev_detach(&lab.edu[0]);
	return 0;
}

static void domain_back_after_detach(const void *shape, int ret)
{
	domain_back(shape, -1);
}

/* A domain of its own for the same device, filled with what is mapped */
static int second_domain(const void *unused)
{
	return hwpt_try_new(lab.iommufd, &lab.edu[0], lab.ioas, &hwpt);
}

static void second_domain_gone(const void *shape, int ret)
{
	if (!ret)
		need("destroy the domain", iommufd_destroy(lab.iommufd, hwpt));
	unmap_close(shape, 0);
}

static void have_two_domains(const void *shape)
{
	have_bar(shape);
	need("second domain", second_domain(NULL));
}

static void unmap_two_domains(const void *shape, int ret)
{
	unmap_close(shape, ret);
	need("destroy the domain", iommufd_destroy(lab.iommufd, hwpt));
}

static uint32_t other;

static void have_map_and_ioas(const void *shape)
{
	have_map(shape);
	other = ioas_new(lab.iommufd);
}

static int copy_map(const void *shape)
{
	return ioas_copy(lab.iommufd, lab.ioas, other, IOVA_A, shape_size(shape));
}

static void copy_gone(const void *shape, int ret)
{
	need("destroy the IOAS", iommufd_destroy(lab.iommufd, other));
	unmap_close(shape, 0);
}

/* ---- revoke ---- */

static int decode(bool on)
{
	uint16_t command = PCI_COMMAND_MASTER | (on ? PCI_COMMAND_MEMORY : 0);

	return pwrite(lab.exporter.fd, &command, 2,
		      lab.exporter.config + PCI_COMMAND) == 2 ? 0 : -errno;
}

static int take_back(const void *unused)
{
	return decode(false);
}

static int lend(const void *unused)
{
	return decode(true);
}

static void have_revoked_map(const void *shape)
{
	have_map(shape);
	need("revoke", take_back(NULL));
}

static void restore_unmap_close(const void *shape, int ret)
{
	need("restore", lend(NULL));
	unmap_close(shape, 0);
}

static int close_mapped(const void *unused)
{
	close(dmabuf);
	return 0;
}

static void unmap_only(const void *shape, int ret)
{
	need("unmap", unmap(shape));
}

/* ---- KVM ---- */

static struct vm vm;

static void have_vm(const void *shape)
{
	if (!vm.fd)
		vm_open(&vm);
	have_bar(shape);
}

static int add_slot(const void *shape)
{
	return vm_slot(&vm, 1, VM_BAR, shape_size(shape), dmabuf, 0);
}

static int delete_slot(const void *unused)
{
	return vm_delete(&vm, 1);
}

static int touch_slot(const void *unused)
{
	int ret = vcpu_write4(&vm.cpu, VM_BAR, 1);

	/* Any other exit, such as MMIO, means that the slot was not used. */
	return ret == KVM_EXIT_HLT ? 0 : ret < 0 ? ret : -EIO;
}

static void have_slot(const void *shape)
{
	have_vm(shape);
	need("slot", add_slot(shape));
}

static void have_touched_slot(const void *shape)
{
	have_slot(shape);
	need("touch", touch_slot(NULL));
}

static void have_restored_slot(const void *shape)
{
	have_touched_slot(shape);
	need("revoke", take_back(NULL));
	need("restore", lend(NULL));
}

static void delete_close(const void *unused, int ret)
{
	if (ret >= 0)
		need("delete", delete_slot(NULL));
	close(dmabuf);
}

static void must_delete_close(const void *unused, int ret)
{
	delete_close(NULL, 0);
}

/* If the deletion failed, the slot must still be there. */
static void delete_again_close(const void *unused, int ret)
{
	delete_close(NULL, ret ? 0 : -1);
}

static void restore_delete_close(const void *unused, int ret)
{
	need("restore", lend(NULL));
	need("touch", touch_slot(NULL));
	delete_close(NULL, 0);
}

/* ---- scatterlists ---- */

static const char *device;	/* whose importer it is */
static bool of_bar;		/* or of RAM */

static int attach_sgt(const void *unused)
{
	return importer_attach(importer, dmabuf, device,
			       of_bar ? DEVICE_HEAP_TEST_P2P : 0);
}

static int map_sgt(const void *unused)
{
	return importer_map(importer);
}

static int unmap_sgt(const void *unused)
{
	return importer_unmap(importer);
}

static int detach_sgt(const void *unused)
{
	close(importer);
	return 0;
}

static void have_importer(const void *what)
{
	if (of_bar)
		have_bar(what);
	else
		have_ram(what);
	importer = importer_open();
	need("importer", importer);
}

static void have_sgt_attached(const void *what)
{
	have_importer(what);
	need("attach", attach_sgt(NULL));
}

static void have_sgt_mapped(const void *what)
{
	have_sgt_attached(what);
	need("map", map_sgt(NULL));
}

static void close_both(const void *unused, int ret)
{
	close(importer);
	close(dmabuf);
}

static void restore_close_both(const void *unused, int ret)
{
	need("restore", lend(NULL));
	close_both(NULL, 0);
}

/* ---- the CPU's side ---- */

static void *cpu;

static int map_cpu(const void *unused)
{
	cpu = mmap(NULL, RIG_RAM, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0);
	return cpu == MAP_FAILED ? -errno : 0;
}

static void unmap_cpu_close(const void *unused, int ret)
{
	if (!ret)
		munmap(cpu, RIG_RAM);
	close(dmabuf);
}

static int swap(const void *unused)
{
	return importer_swap(importer);
}

/* ---- heaps that come and go ---- */

static void have_nothing_but_importer(const void *unused)
{
	importer = importer_open();
	need("importer", importer);
}

static int add_heap(const void *unused)
{
	return importer_add(importer, "test-fault");
}

static void close_importer(const void *unused, int ret)
{
	close(importer);
}

/* ---- the table ---- */

/*
 * iommufd has fault points of its own: it does not find the IOAS, or the RAM that
 * is mapped there as well. vfio-pci says EINVAL when it gets no domain.
 */
static const struct sweep bar_sweeps[] = {
	{ "export", NULL, export_bar, .after = close_fd },
	{ "iommufd map", have_bar, map, unmap_close, .also = { -ENOENT } },
	{ "iommufd map, two domains", have_two_domains, map, unmap_two_domains,
	  .also = { -ENOENT } },
	{ "iommufd copy", have_map_and_ioas, copy_map, copy_gone, .also = { -ENOENT } },
	{ "iommufd map of a slice", have_bar, map_slice, unmap_slice_close,
	  .also = { -ENOENT } },
	{ "iommufd unmap", have_map, unmap, unmap_again_close, .must_work = true,
	  .also = { -ENOENT } },
	{ "iommufd domain attach", have_map_without_domain, attach_domain,
	  domain_back, .also = { -ENOENT, -EFAULT, -EINVAL } },
	{ "iommufd second domain", have_map, second_domain,
	  second_domain_gone, .also = { -ENOENT, -EFAULT, -EINVAL } },
	{ "iommufd domain detach", have_map, detach_domain,
	  domain_back_after_detach, .must_work = true },
	{ "iommufd revoke", have_map, take_back, restore_unmap_close, .must_work = true },
	{ "iommufd un-revoke", have_revoked_map, lend, must_unmap_close,
	  .must_work = true },
	{ "iommufd close of the buffer", have_map, close_mapped, unmap_only,
	  .must_work = true },
};

static const struct sweep kvm_sweeps[] = {
	{ "kvm slot", have_vm, add_slot, .after = delete_close },
	{ "kvm first access", have_slot, touch_slot, .after = must_delete_close },
	{ "kvm access after a revoke", have_restored_slot, touch_slot,
	  .after = must_delete_close },
	{ "kvm revoke", have_touched_slot, take_back, restore_delete_close,
	  .must_work = true },
	{ "kvm delete", have_touched_slot, delete_slot, .after = delete_again_close },
};

static const struct sweep sgt_sweeps[] = {
	{ "attach", have_importer, attach_sgt, .after = close_both },
	{ "map", have_sgt_attached, map_sgt, .after = close_both },
	{ "unmap", have_sgt_mapped, unmap_sgt, close_both, .must_work = true },
	{ "detach", have_sgt_attached, detach_sgt, close_dmabuf, .must_work = true },
	{ "detach and unmap", have_sgt_mapped, detach_sgt, close_dmabuf, .must_work = true },
};

static const struct sweep sgt_revoke = {
	"revoke", have_sgt_mapped, take_back, restore_close_both, .must_work = true
};

/* EAGAIN: mlockall() wants all pages of a mapping at once. */
static const struct sweep cpu_mmap = {
	"mmap", have_ram, map_cpu, unmap_cpu_close, .also = { -EAGAIN },
};

/* EINVAL: udmabuf. */
static const struct sweep cpu_vmap = {
	"vmap", have_sgt_attached, swap, close_both, .also = { -EINVAL },
};

/* EINVAL: the driver core finds that the device has no name */
static const struct sweep heap_add = {
	"add a heap", have_nothing_but_importer, add_heap, close_importer,
	.also = { -EINVAL },
};

static const struct sweep pal_ram = {
	"iommufd map", have_ram, map_ram, unmap_ram_close, .also = { -ENOENT },
};

/* ENOSPC: shmem, for the memory behind a udmabuf */
static const struct sweep ram_alloc = {
	"allocate", NULL, alloc_ram, close_fd, .also = { -ENOSPC },
};

/* ---- rows ---- */

static bool wanted(const char *name)
{
	char only[128];

	if (!cmdline_get("faults.only", only, sizeof(only)))
		return true;
	for (char *p = only; (p = strchr(p, '+')); )
		*p = ' ';
	return strstr(name, only);
}

/*
 * When an allocation of DMA-API debugging's own fails it gives up, and says so on
 * the console; that happens where RAM is mapped, which is for a run without it.
 */
static bool dma_debug(void)
{
	char off[8];

	return !cmdline_get("dma_debug", off, sizeof(off));
}

/* In a process of its own */
static void sweep_row(const struct sweep *s)
{
	lab_open(&lab, ON_ROOT_BUS);
	say("note %d faults", sweep(s));
	say("pass");
	_exit(0);
}

static void row(const struct sweep *s, const char *what, const void *arg)
{
	struct sweep copy = *s;
	char name[100];
	int status;
	pid_t pid;

	snprintf(name, sizeof(name), "%s, %s", s->name, what);
	if (!wanted(name) || (!strncmp(name, "map, SGT", 8) && dma_debug()))
		return;
	copy.name = name;
	copy.arg = arg;
	say("row %s", name);
	pid = fork();
	if (!pid)
		sweep_row(&copy);
	waitpid(pid, &status, 0);
	if (status)
		say("fail died with status %#x", status);
}

static void bar_rows(void)
{
	for (size_t i = 0; i < RIG_ALL_SHAPES; i++)
		for (size_t j = 0; j < ARRAY_SIZE(bar_sweeps); j++)
			row(&bar_sweeps[j], rig_shapes[i].name, &rig_shapes[i]);
	for (size_t i = 0; i < RIG_ALL_SHAPES; i++)
		for (size_t j = 0; j < ARRAY_SIZE(kvm_sweeps); j++)
			row(&kvm_sweeps[j], rig_shapes[i].name, &rig_shapes[i]);
	of_bar = true;
	device = machine->edu[1];
	for (size_t i = 0; i < RIG_ALL_SHAPES; i++) {
		char what[60];

		snprintf(what, sizeof(what), "PAL->SGT, %s", rig_shapes[i].name);
		for (size_t j = 0; j < ARRAY_SIZE(sgt_sweeps); j++)
			row(&sgt_sweeps[j], what, &rig_shapes[i]);
		row(&sgt_revoke, what, &rig_shapes[i]);
	}
	of_bar = false;
}

/* The system heap's vmap uses vmalloc(), which prints a trace if it finds no memory */
static void alloc_rows(const char *heap)
{
	row(&ram_alloc, heap, heap);
	row(&cpu_mmap, heap, heap);
	if (strcmp(heap, "system"))
		row(&cpu_vmap, heap, heap);
}

static void ram_rows(void)
{
	/* Nobody but its device can import from a pool. */
	static const char *const pairs[][2] = {
		{ "system", "edu" }, { "system", "test-import" },
		{ "udmabuf", "edu" }, { "udmabuf", "test-import" },
		{ "edu", "edu" }, { "edu", "test-import" },
		{ "test-heap", "edu" }, { "test-heap", "test-import" },
		{ "test-heap-cma", "edu" }, { "test-heap-cma", "test-import-512m" },
		{ "test-heap-pool", "test-heap-pool" },
	};
	char what[100];

	row(&heap_add, "test-fault", NULL);
	row(&pal_ram, "system", "system");
	row(&pal_ram, "udmabuf", "udmabuf");
	row(&pal_ram, "default_cma_region", "default_cma_region");
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		const char *heap = pairs[i][0];

		device = strcmp(pairs[i][1], "edu") ? pairs[i][1] : machine->edu[1];
		snprintf(what, sizeof(what), "SGT, %s to %s", heap, pairs[i][1]);
		if (!i || strcmp(heap, pairs[i - 1][0]))
			alloc_rows(heap);
		for (size_t j = 0; j < ARRAY_SIZE(sgt_sweeps); j++)
			row(&sgt_sweeps[j], what, heap);
	}
}

int main(void)
{
	rig_init();
	sweep_init();
	bar_rows();
	ram_rows();
	rig_bytes("after all faults");
	return 0;
}
