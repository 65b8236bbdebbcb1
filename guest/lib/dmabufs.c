// SPDX-License-Identifier: GPL-2.0
/* Exports and imports DMA-bufs with every driver that has a device in QEMU. */
#include "dmabufs.h"
#include "file.h"
#include "ram.h"
#include "vfio.h"

#include <drm/drm.h>
#include <drm/drm_mode.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/dma-heap.h>
#include <linux/io_uring.h>
#include <linux/vfio.h>
#include <linux/videodev2.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SIZE (1UL << 20)
#define SOME_IOVA 0x4000000UL

static int check(int ret, const char *what)
{
	if (ret < 0)
		fail("%s: %s", what, err(errno));
	return ret;
}

/* ---- exporters: each gives the fd of a DMA-buf ---- */

int heap_open(const char *name)
{
	char path[100];

	snprintf(path, sizeof(path), "/dev/dma_heap/%s", name);
	return check(open(path, O_RDWR | O_CLOEXEC), path);
}

int heap_buffer(int heap)
{
	struct dma_heap_allocation_data alloc = {
		.len = SIZE, .fd_flags = O_RDWR | O_CLOEXEC,
	};

	check(ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &alloc), "DMA_HEAP_IOCTL_ALLOC");
	return alloc.fd;
}

/* A buffer of ram.h, which does not fail by itself. */
static int good(int fd, const char *what)
{
	if (fd < 0)
		fail("%s: %s", what, err(fd));
	return fd;
}

int export_system(void)
{
	return good(heap_alloc("system", SIZE), "system heap");
}

static int export_cma(void)
{
	return good(heap_alloc("default_cma_region", SIZE), "CMA heap");
}

static int export_udmabuf(void)
{
	return good(udmabuf_alloc(SIZE), "udmabuf");
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

struct pdev vfio_exporter;

static int vfio(const struct range *ranges, int count)
{
	struct pdev *dev = &vfio_exporter;
	char bdf[2][16];

	if (pci_find(ID_IVSHMEM, bdf, 2) < 1)
		fail("no ivshmem device");
	pci_bind_vfio(bdf[0]);
	pdev_open(dev, bdf[0], 2, iommufd_open());
	return check(pdev_export(dev, ranges, count), "vfio export");
}

int export_vfio(void)
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

/* From the last page of the BAR to the first, every other one */
static int export_vfio_64(void)
{
	struct range ranges[64];

	for (int i = 0; i < 64; i++)
		ranges[i] = (struct range){ (2 * (64 - i) - 1) * PAGE, PAGE };
	return vfio(ranges, 64);
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

	write_file(MBOCHS "/mdev_supported_types/mbochs-small/create", MBOCHS_UUID);
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

int import_iommufd_at(int dmabuf, uint64_t iova)
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
	return ioas_map_fd(iommufd, ioas, dmabuf, &all, iova, true);
}

int import_iommufd(int dmabuf)
{
	return import_iommufd_at(dmabuf, SOME_IOVA);
}

static int prime_import(const char *driver, int dmabuf)
{
	struct drm_prime_handle prime = { .fd = dmabuf };

	return ioctl(card(driver), DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime) ?
	       -errno : 0;
}

int import_virtio_gpu(int dmabuf)
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

/* What user space would ask about: the device of what it has opened */
static int device_of(int fd)
{
	struct stat node;
	char path[80];

	check(fstat(fd, &node), "stat");
	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/device",
		 major(node.st_rdev), minor(node.st_rdev));
	return check(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), path);
}

static int device_virtio_gpu(void)
{
	return device_of(card("virtio_gpu"));
}

static int device_vgem(void)
{
	return device_of(card("vgem"));
}

static int device_vb2_contig(void)
{
	return device_of(vivid(1));
}

static int device_zcrx(void)
{
	return check(open("/sys/class/net/eth0/device",
			  O_RDONLY | O_DIRECTORY | O_CLOEXEC), "eth0");
}

/* The ring that a network card would put packets into; e1000e then declines. */
int import_zcrx(int dmabuf)
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

/* ---- all of them ---- */

const struct exporter_row exporters[] = {
	{ "system-heap", export_system }, { "cma-heap", export_cma },
	{ "udmabuf", export_udmabuf }, { "vgem", export_vgem },
	{ "virtio-gpu", export_virtio_gpu }, { "vfio-pci", export_vfio },
	{ "vfio-pci-x3", export_vfio_three },
	{ "vfio-pci-x64", export_vfio_64 },
	{ "vb2-vmalloc", export_vb2_vmalloc },
	{ "vb2-dma-contig", export_vb2_contig }, { "mbochs", export_mbochs },
	{},
};

const struct importer_row importers[] = {
	{ "iommufd", import_iommufd, NULL },
	{ "virtio-gpu", import_virtio_gpu, device_virtio_gpu },
	{ "zcrx", import_zcrx, device_zcrx },
	{ "vgem", import_vgem, device_vgem },
	{ "vb2-vmalloc", import_vb2_vmalloc, NULL },
	{ "vb2-dma-contig", import_vb2_contig, device_vb2_contig },
	{},
};
