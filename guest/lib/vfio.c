// SPDX-License-Identifier: GPL-2.0
/* Drives vfio-pci, iommufd and the edu. */
#include "vfio.h"
#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>

#define SYS_PCI "/sys/bus/pci"

const char *err(int error)
{
	const char *name = strerrorname_np(abs(error));

	return !error ? "success" : name ? name : "unknown error";
}

/* ioctl() that gives -errno. */
static int ctl(int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

/* ---- sysfs ---- */

static uint32_t read_id(const char *bdf, const char *attr)
{
	unsigned int value = 0;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), SYS_PCI "/devices/%s/%s", bdf, attr);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%x", &value) != 1)
		fail("read %s: %s", path, err(errno));
	fclose(f);
	return value;
}

/* Finds the devices with this vendor << 16 | device, sorted by address. */
int pci_find(uint32_t id, char bdf[][16], int max)
{
	struct dirent **list;
	int n, found = 0;

	n = scandir(SYS_PCI "/devices", &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		const char *name = list[i]->d_name;

		if (name[0] == '.' || found == max)
			continue;
		if ((read_id(name, "vendor") << 16 | read_id(name, "device")) == id)
			snprintf(bdf[found++], 16, "%.15s", name);
	}
	return found;
}

/*
 * Enables the device first, so that vfio does not have to each time that it is
 * opened: asking ACPI for the interrupt's route costs seconds under KASAN.
 */
static bool pci_bound(const char *bdf, const char *driver)
{
	char path[128], link[256];
	ssize_t len;

	snprintf(path, sizeof(path), SYS_PCI "/devices/%s/driver", bdf);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		return false;
	link[len] = '\0';
	return !strcmp(strrchr(link, '/') + 1, driver);
}

/* An earlier program of the same boot may have bound it */
int pci_bind(const char *bdf, const char *driver)
{
	char path[128];
	int ret;

	if (pci_bound(bdf, driver))
		return 0;
	snprintf(path, sizeof(path), SYS_PCI "/devices/%s/enable", bdf);
	ret = write_file(path, "1");
	if (ret)
		return ret;
	snprintf(path, sizeof(path), SYS_PCI "/devices/%s/driver_override", bdf);
	ret = write_file(path, driver);
	if (ret)
		return ret;
	return write_file(SYS_PCI "/drivers_probe", bdf);
}

int pci_unbind(const char *bdf)
{
	char path[128];

	snprintf(path, sizeof(path), SYS_PCI "/devices/%s/driver/unbind", bdf);
	return write_file(path, bdf);
}

int pci_bind_vfio(const char *bdf)
{
	return pci_bind(bdf, "vfio-pci");
}

/* Empty when the device is not on vfio-pci */
static void vfio_path(const char *bdf, char *path, size_t size)
{
	char dir[128];
	struct dirent *e;
	DIR *d;

	snprintf(dir, sizeof(dir), SYS_PCI "/devices/%s/vfio-dev", bdf);
	path[0] = '\0';
	d = opendir(dir);
	if (!d)
		return;
	while ((e = readdir(d)) && e->d_name[0] == '.')
		;
	if (e)
		snprintf(path, size, "/dev/vfio/devices/%s", e->d_name);
	closedir(d);
}

/* ---- vfio device ---- */

static struct vfio_region_info region(struct pdev *dev, int index)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };
	int ret = ctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, &info);

	if (ret)
		fail("%s: region %d: %s", dev->bdf, index, err(ret));
	return info;
}

static int pdev_bind(struct pdev *dev, int iommufd)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = iommufd,
	};
	int ret = ctl(dev->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind);

	dev->devid = bind.out_devid;
	return ret;
}

int pdev_try_open(struct pdev *dev, const char *bdf, int bar, int iommufd)
{
	char path[300];
	int ret;

	snprintf(dev->bdf, sizeof(dev->bdf), "%s", bdf);
	dev->bar_index = bar;
	dev->bar = NULL;
	vfio_path(bdf, path, sizeof(path));
	dev->fd = open(path, O_RDWR | O_CLOEXEC);
	if (dev->fd < 0)
		return -errno;
	ret = pdev_bind(dev, iommufd);
	if (ret)
		pdev_close(dev);
	return ret;
}

void pdev_open(struct pdev *dev, const char *bdf, int bar, int iommufd)
{
	int ret = pdev_try_open(dev, bdf, bar, iommufd);

	if (ret)
		fail("open %s on vfio-pci: %s", bdf, err(ret));
	dev->config = region(dev, VFIO_PCI_CONFIG_REGION_INDEX).offset;
	pdev_decode(dev, true);
	pdev_map_bar(dev);
}

void pdev_close(struct pdev *dev)
{
	pdev_unmap_bar(dev);	/* a mapping holds the device open */
	close(dev->fd);
	dev->fd = -1;
}

void pdev_map_bar(struct pdev *dev)
{
	struct vfio_region_info info = region(dev, dev->bar_index);
	void *p = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		       dev->fd, info.offset);

	if (p == MAP_FAILED)
		fail("%s: mmap BAR %d: %s", dev->bdf, dev->bar_index, err(errno));
	dev->bar = p;
	dev->bar_len = info.size;
}

void pdev_unmap_bar(struct pdev *dev)
{
	if (dev->bar)
		munmap(dev->bar, dev->bar_len);
	dev->bar = NULL;
}

/* Bus master stays on: what stops the DMA must be the IOMMU. */
void pdev_decode(struct pdev *dev, bool on)
{
	uint16_t command = PCI_COMMAND_MASTER | (on ? PCI_COMMAND_MEMORY : 0);
	uint16_t seen = 0;
	off_t at = dev->config + PCI_COMMAND;

	if (pwrite(dev->fd, &command, 2, at) != 2 ||
	    pread(dev->fd, &seen, 2, at) != 2)
		fail("%s: PCI_COMMAND: %s", dev->bdf, err(errno));
	if ((seen & command) != command || !!(seen & PCI_COMMAND_MEMORY) != on)
		fail("%s: PCI_COMMAND: wrote %#x, read %#x", dev->bdf, command, seen);
}

int pdev_reset(struct pdev *dev)
{
	return ctl(dev->fd, VFIO_DEVICE_RESET, NULL);
}

/* Exports ranges of the BAR as one DMA-buf: its fd or -errno. */
int pdev_export_flags(struct pdev *dev, const struct range *ranges, int count,
		      uint32_t open_flags)
{
	size_t len = sizeof(struct vfio_device_feature) +
		     sizeof(struct vfio_device_feature_dma_buf) +
		     count * sizeof(struct vfio_region_dma_range);
	struct vfio_device_feature_dma_buf *arg;
	struct vfio_device_feature *feature = calloc(1, len);
	int ret;

	if (!feature)
		fail("out of memory");
	feature->argsz = len;
	feature->flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF;
	arg = (void *)feature->data;
	arg->region_index = dev->bar_index;
	arg->open_flags = open_flags;
	arg->nr_ranges = count;
	for (int i = 0; i < count; i++) {
		arg->dma_ranges[i].offset = ranges[i].offset;
		arg->dma_ranges[i].length = ranges[i].len;
	}
	ret = ctl(dev->fd, VFIO_DEVICE_FEATURE, feature);
	free(feature);
	return ret;
}

int pdev_export(struct pdev *dev, const struct range *ranges, int count)
{
	return pdev_export_flags(dev, ranges, count, O_RDWR | O_CLOEXEC);
}

/* ---- iommufd ---- */

int iommufd_open(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail("open /dev/iommu: %s", err(errno));
	return fd;
}

uint32_t ioas_new(int iommufd)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int ret = ctl(iommufd, IOMMU_IOAS_ALLOC, &cmd);

	if (ret)
		fail("new IOAS: %s", err(ret));
	return cmd.out_ioas_id;
}

void ioas_map_ram(int iommufd, uint32_t ioas, void *ram, size_t len,
		  uint64_t iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)ram,
		.length = len,
		.iova = iova,
	};
	int ret = ctl(iommufd, IOMMU_IOAS_MAP, &cmd);

	if (ret)
		fail("map RAM: %s", err(ret));
}

int ioas_map_fd(int iommufd, uint32_t ioas, int fd, const struct range *slice,
		uint64_t iova, bool writable)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 (writable ? IOMMU_IOAS_MAP_WRITEABLE : 0),
		.ioas_id = ioas,
		.fd = fd,
		.start = slice->offset,
		.length = slice->len,
		.iova = iova,
	};

	return ctl(iommufd, IOMMU_IOAS_MAP_FILE, &cmd);
}

int ioas_copy(int iommufd, uint32_t from, uint32_t to, uint64_t iova, uint64_t len)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
		.src_ioas_id = from,
		.dst_ioas_id = to,
		.length = len,
		.src_iova = iova,
		.dst_iova = iova,
	};

	return ctl(iommufd, IOMMU_IOAS_COPY, &cmd);
}

int ioas_unmap(int iommufd, uint32_t ioas, uint64_t iova, uint64_t len)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.iova = iova,
		.length = len,
	};
	int ret = ctl(iommufd, IOMMU_IOAS_UNMAP, &cmd);

	if (!ret && cmd.length != len)
		fail("unmap: asked for %#lx bytes, %#llx unmapped", len,
		     (unsigned long long)cmd.length);
	return ret;
}

int hwpt_try_new(int iommufd, const struct pdev *dev, uint32_t ioas, uint32_t *hwpt)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = dev->devid,
		.pt_id = ioas,
	};
	int ret = ctl(iommufd, IOMMU_HWPT_ALLOC, &cmd);

	*hwpt = cmd.out_hwpt_id;
	return ret;
}

uint32_t hwpt_new(int iommufd, const struct pdev *dev, uint32_t ioas)
{
	uint32_t hwpt;
	int ret = hwpt_try_new(iommufd, dev, ioas, &hwpt);

	if (ret)
		fail("%s: new domain: %s", dev->bdf, err(ret));
	return hwpt;
}

int iommufd_destroy(int iommufd, uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return ctl(iommufd, IOMMU_DESTROY, &cmd);
}

int pdev_try_attach(struct pdev *dev, uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.pt_id = pt,
	};

	return ctl(dev->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

void pdev_attach(struct pdev *dev, uint32_t pt)
{
	int ret = pdev_try_attach(dev, pt);

	if (ret)
		fail("%s: attach to page table %u: %s", dev->bdf, pt, err(ret));
}

void pdev_detach(struct pdev *dev)
{
	struct vfio_device_detach_iommufd_pt cmd = { .argsz = sizeof(cmd) };
	int ret = ctl(dev->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);

	if (ret)
		fail("%s: detach: %s", dev->bdf, err(ret));
}

/* ---- edu ---- */

enum {
	EDU_SRC = 0x80, EDU_DST = 0x88, EDU_COUNT = 0x90, EDU_CMD = 0x98,
	EDU_RUN = 1, EDU_TO_PCI = 2,
	EDU_BASE = 0x40000,	/* where its buffer lies in its own addresses */
};

static volatile uint64_t *edu_reg(struct pdev *edu, int reg)
{
	return (volatile uint64_t *)(edu->bar + reg);
}

static void edu_start(struct pdev *edu, uint64_t src, uint64_t dst, size_t len,
		      int direction)
{
	if (*edu_reg(edu, EDU_CMD) & EDU_RUN)
		fail("edu %s: still busy", edu->bdf);
	*edu_reg(edu, EDU_SRC) = src;
	*edu_reg(edu, EDU_DST) = dst;
	*edu_reg(edu, EDU_COUNT) = len;
	*edu_reg(edu, EDU_CMD) = EDU_RUN | direction;
}

/* Sleeps, never spins: an idle guest costs no time under -icount. */
static void edu_wait(struct pdev *edu)
{
	usleep(100 * 1000);
	for (int ms = 0; *edu_reg(edu, EDU_CMD) & EDU_RUN; ms++) {
		if (ms == 2000)
			fail("edu %s: transfer does not end", edu->bdf);
		usleep(1000);
	}
}

static void edu_check(unsigned int slot, size_t len)
{
	if (slot + len > EDU_BUF)
		fail("edu: %zu bytes at %u do not fit", len, slot);
}

void edu_load(struct pdev *edu, uint64_t iova, unsigned int slot, size_t len)
{
	edu_check(slot, len);
	edu_start(edu, iova, EDU_BASE + slot, len, 0);
	edu_wait(edu);
}

void edu_store_start(struct pdev *edu, uint64_t iova, unsigned int slot,
		     size_t len)
{
	edu_check(slot, len);
	edu_start(edu, EDU_BASE + slot, iova, len, EDU_TO_PCI);
}

void edu_store(struct pdev *edu, uint64_t iova, unsigned int slot, size_t len)
{
	edu_store_start(edu, iova, slot, len);
	edu_wait(edu);
}
