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
#include "channel.h"
#include "vfio.h"

#include <drm/drm.h>
#include <drm/drm_mode.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/dma-heap.h>
#include <linux/io_uring.h>
#include <linux/udmabuf.h>
#include <linux/vfio.h>
#include <linux/videodev2.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRACING "/sys/kernel/tracing"
#define SIZE (1UL << 20)
#define SOME_IOVA 0x4000000UL

static char reason[600];

void fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	say("fail %s", reason);
	_exit(0);
}

static int check(int ret, const char *what)
{
	if (ret < 0)
		fail("%s: %s", what, err(errno));
	return ret;
}

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

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	int ret = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return ret;
}

static void probes_add(void)
{
	char line[200];

	mount("tracefs", TRACING, "tracefs", 0, NULL);
	for (size_t i = 0; i < PROBES; i++) {
		int ret = -ENOENT;

		for (int s = 0; ret && probes[i].symbols[s]; s++) {
			snprintf(line, sizeof(line), "p:pairs/%s %s",
				 probes[i].name, probes[i].symbols[s]);
			ret = put(TRACING "/kprobe_events", line);
		}
		if (ret)
			fail("kprobe on %s: %s", probes[i].symbols[0], err(ret));
	}
	if (put(TRACING "/events/pairs/enable", "1"))
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

/* ---- exporters: each gives the fd of a DMA-buf ---- */

static int heap(const char *name)
{
	struct dma_heap_allocation_data alloc = {
		.len = SIZE, .fd_flags = O_RDWR | O_CLOEXEC,
	};
	char path[100];
	int fd;

	snprintf(path, sizeof(path), "/dev/dma_heap/%s", name);
	fd = check(open(path, O_RDWR | O_CLOEXEC), path);
	check(ioctl(fd, DMA_HEAP_IOCTL_ALLOC, &alloc), path);
	return alloc.fd;
}

static int export_system(void)
{
	return heap("system");
}

static int export_cma(void)
{
	return heap("default_cma_region");
}

static int export_udmabuf(void)
{
	struct udmabuf_create create = { .size = SIZE };
	int fd = check(open("/dev/udmabuf", O_RDWR | O_CLOEXEC), "udmabuf");

	create.memfd = check(memfd_create("pairs", MFD_ALLOW_SEALING), "memfd");
	check(ftruncate(create.memfd, SIZE), "ftruncate");
	check(fcntl(create.memfd, F_ADD_SEALS, F_SEAL_SHRINK), "seal");
	return check(ioctl(fd, UDMABUF_CREATE, &create), "UDMABUF_CREATE");
}

/* The DRM card of a driver. */
static int card(const char *driver)
{
	for (int i = 0; i < 8; i++) {
		char path[40], name[40] = "";
		struct drm_version version = {
			.name = name, .name_len = sizeof(name) - 1,
		};
		int fd;

		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (!ioctl(fd, DRM_IOCTL_VERSION, &version) &&
		    !strcmp(name, driver))
			return fd;
		close(fd);
	}
	fail("no DRM card with driver %s", driver);
}

static int dumb(const char *driver)
{
	struct drm_mode_create_dumb create = {
		.width = 512, .height = 512, .bpp = 32,
	};
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC | DRM_RDWR };
	int fd = card(driver);

	check(ioctl(fd, DRM_IOCTL_MODE_CREATE_DUMB, &create), "dumb buffer");
	prime.handle = create.handle;
	check(ioctl(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), "PRIME export");
	return prime.fd;
}

static int export_vgem(void)
{
	return dumb("vgem");
}

static int export_virtio_gpu(void)
{
	return dumb("virtio_gpu");
}

static int vfio(const struct range *ranges, int count)
{
	static struct pdev dev;
	char bdf[2][16];

	if (pci_find(ID_IVSHMEM, bdf, 2) < 1)
		fail("no ivshmem device");
	pci_bind_vfio(bdf[0]);
	pdev_open(&dev, bdf[0], 2, iommufd_open());
	return check(pdev_export(&dev, ranges, count), "vfio export");
}

static int export_vfio(void)
{
	static const struct range whole = { .len = SIZE };

	return vfio(&whole, 1);
}

static int export_vfio_three(void)
{
	static const struct range three[] = {
		{ .offset = 2 * SIZE, .len = SIZE / 4 },
		{ .offset = 0, .len = SIZE / 2 },
		{ .offset = SIZE, .len = SIZE / 4 },
	};

	return vfio(three, 3);
}

/* vivid's capture node: instance 0 is on vb2-vmalloc, 1 on vb2-dma-contig. */
static int vivid(int instance)
{
	char want[40];

	snprintf(want, sizeof(want), "platform:vivid-%03d", instance);
	for (int i = 0; i < 32; i++) {
		struct v4l2_capability cap;
		char path[40];
		int fd;

		snprintf(path, sizeof(path), "/dev/video%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			continue;
		if (!ioctl(fd, VIDIOC_QUERYCAP, &cap) &&
		    !strcmp((char *)cap.bus_info, want) &&
		    cap.device_caps & V4L2_CAP_VIDEO_CAPTURE)
			return fd;
		close(fd);
	}
	fail("no capture node of %s", want);
}

static void vivid_buffers(int fd, int memory)
{
	struct v4l2_requestbuffers req = {
		.count = 1, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = memory,
	};

	check(ioctl(fd, VIDIOC_REQBUFS, &req), "REQBUFS");
}

static int vivid_export(int instance)
{
	struct v4l2_exportbuffer exp = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .flags = O_CLOEXEC | O_RDWR,
	};
	int fd = vivid(instance);

	vivid_buffers(fd, V4L2_MEMORY_MMAP);
	check(ioctl(fd, VIDIOC_EXPBUF, &exp), "EXPBUF");
	return exp.fd;
}

static int export_vb2_vmalloc(void)
{
	return vivid_export(0);
}

static int export_vb2_contig(void)
{
	return vivid_export(1);
}

#define MBOCHS "/sys/devices/virtual/mbochs/mbochs"
#define MBOCHS_UUID "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
#define MBOCHS_VBE 0x500	/* in BAR 2 */
#define DRM_PLANE_TYPE_PRIMARY 1	/* not in the UAPI headers */

static uint64_t region(int fd, int index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	check(ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info), "region");
	return info.offset;
}

/* The display shows what the guest of a VMM would have set: 640x400. */
static void mbochs_mode(int fd)
{
	static const uint16_t vbe[][2] = {
		{ 1, 640 }, { 2, 400 }, { 3, 32 }, { 6, 640 }, { 7, 400 },
		{ 4, 0x41 },
	};
	uint64_t base = region(fd, VFIO_PCI_BAR2_REGION_INDEX);
	uint64_t config = region(fd, VFIO_PCI_CONFIG_REGION_INDEX);
	uint16_t memory = 2;

	check(pwrite(fd, &memory, 2, config + 4), "PCI_COMMAND");
	for (size_t i = 0; i < sizeof(vbe) / sizeof(vbe[0]); i++)
		check(pwrite(fd, &vbe[i][1], 2, base + MBOCHS_VBE + vbe[i][0] * 2),
		      "VBE register");
}

static int mbochs_open(void)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	glob_t found = { 0 };
	char path[200];
	int fd;

	put(MBOCHS "/mdev_supported_types/mbochs-small/create", MBOCHS_UUID);
	if (glob(MBOCHS "/" MBOCHS_UUID "/vfio-dev/vfio*", 0, NULL, &found))
		fail("no mbochs device");
	snprintf(path, sizeof(path), "/dev/vfio/devices%s",
		 strrchr(found.gl_pathv[0], '/'));
	fd = check(open(path, O_RDWR | O_CLOEXEC), path);
	bind.iommufd = iommufd_open();
	check(ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind), "bind mbochs");
	return fd;
}

static int export_mbochs(void)
{
	struct vfio_device_gfx_plane_info plane = {
		.argsz = sizeof(plane),
		.flags = VFIO_GFX_PLANE_TYPE_DMABUF,
		.drm_plane_type = DRM_PLANE_TYPE_PRIMARY,
	};
	int fd = mbochs_open();

	mbochs_mode(fd);
	/* The first query makes the buffer, forgets it, and says ENOMEM */
	ioctl(fd, VFIO_DEVICE_QUERY_GFX_PLANE, &plane);
	check(ioctl(fd, VFIO_DEVICE_QUERY_GFX_PLANE, &plane), "gfx plane");
	return check(ioctl(fd, VFIO_DEVICE_GET_GFX_DMABUF, &plane.dmabuf_id),
		     "gfx dmabuf");
}

/* ---- importers: 0 or -errno ---- */

static uint64_t size_of(int dmabuf)
{
	return check(lseek(dmabuf, 0, SEEK_END), "size of the DMA-buf");
}

static int import_iommufd(int dmabuf)
{
	static struct pdev edu;
	int iommufd = iommufd_open();
	uint32_t ioas = ioas_new(iommufd);
	struct range all = { .len = size_of(dmabuf) };
	char bdf[2][16];

	if (pci_find(ID_EDU, bdf, 2) < 1)
		fail("no edu device");
	pci_bind_vfio(bdf[0]);
	pdev_open(&edu, bdf[0], 0, iommufd);
	pdev_attach(&edu, ioas);
	return ioas_map_fd(iommufd, ioas, dmabuf, &all, SOME_IOVA, true);
}

static int prime_import(const char *driver, int dmabuf)
{
	struct drm_prime_handle prime = { .fd = dmabuf };

	return ioctl(card(driver), DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime) ?
	       -errno : 0;
}

static int import_virtio_gpu(int dmabuf)
{
	return prime_import("virtio_gpu", dmabuf);
}

static int import_vgem(int dmabuf)
{
	return prime_import("vgem", dmabuf);
}

static int vivid_import(int instance, int dmabuf)
{
	struct v4l2_buffer buf = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF, .m.fd = dmabuf,
	};
	int fd = vivid(instance);

	vivid_buffers(fd, V4L2_MEMORY_DMABUF);
	return ioctl(fd, VIDIOC_QBUF, &buf) ? -errno : 0;
}

static int import_vb2_vmalloc(int dmabuf)
{
	return vivid_import(0, dmabuf);
}

static int import_vb2_contig(int dmabuf)
{
	return vivid_import(1, dmabuf);
}

/* The ring that a network card would put packets into; e1000e then declines. */
static int import_zcrx(int dmabuf)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_CQE32 |
			 IORING_SETUP_DEFER_TASKRUN,
	};
	struct io_uring_zcrx_area_reg area = {
		.len = size_of(dmabuf), .flags = IORING_ZCRX_AREA_DMABUF,
		.dmabuf_fd = dmabuf,
	};
	struct io_uring_region_desc refill = {
		.size = 2 * PAGE, .flags = IORING_MEM_REGION_TYPE_USER,
	};
	struct io_uring_zcrx_ifq_reg reg = {
		.if_idx = if_nametoindex("eth0"), .rq_entries = 64,
		.area_ptr = (uintptr_t)&area, .region_ptr = (uintptr_t)&refill,
	};
	int ring = check(syscall(__NR_io_uring_setup, 8, &params), "io_uring");
	void *mem = mmap(NULL, refill.size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (mem == MAP_FAILED || !reg.if_idx)
		fail("no memory, or no eth0");
	refill.user_addr = (uintptr_t)mem;
	return syscall(__NR_io_uring_register, ring, IORING_REGISTER_ZCRX_IFQ,
		       &reg, 1) ? -errno : 0;
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

static const struct exporter_row {
	const char *name;
	int (*export)(void);
} exporters[] = {
	{ "system-heap", export_system }, { "cma-heap", export_cma },
	{ "udmabuf", export_udmabuf }, { "vgem", export_vgem },
	{ "virtio-gpu", export_virtio_gpu }, { "vfio-pci", export_vfio },
	{ "vfio-pci-x3", export_vfio_three },
	{ "vb2-vmalloc", export_vb2_vmalloc },
	{ "vb2-dma-contig", export_vb2_contig }, { "mbochs", export_mbochs },
};

static const struct importer_row {
	const char *name;
	int (*import)(int dmabuf);
} importers[] = {
	{ "iommufd", import_iommufd }, { "virtio-gpu", import_virtio_gpu },
	{ "zcrx", import_zcrx }, { "vgem", import_vgem },
	{ "vb2-vmalloc", import_vb2_vmalloc },
	{ "vb2-dma-contig", import_vb2_contig },
};

static void outcome(int ret)
{
	const char *how = was_called("pal") ? "PAL" :
			  was_called("vmap") ? "vmap" :
			  was_called("map") ? "map" :
			  was_called("attach") ? "attach" : "none";
	char end[60] = "";

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
	for (size_t e = 0; e < sizeof(exporters) / sizeof(exporters[0]); e++) {
		for (size_t i = 0; i < sizeof(importers) / sizeof(importers[0]); i++) {
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
