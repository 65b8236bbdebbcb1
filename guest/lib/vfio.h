/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PCI devices on vfio-pci, IOASes of iommufd, DMA-bufs exported from a BAR,
 * and edu, QEMU's educational device, as DMA engine.
 *
 * Functions that return int give 0 (or an fd) or -errno. The others cannot
 * fail: they end the row, with one line that says what and why.
 */
#ifndef GUEST_VFIO_H
#define GUEST_VFIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE 4096UL

#define ID_IVSHMEM 0x1af41110
#define ID_EDU 0x123411e8

/* Ends the row: the text is the reason that the host shows. */
__attribute__((noreturn, format(printf, 1, 2)))
void fail(const char *fmt, ...);

/* Name of an errno for messages, "success" for 0; the sign does not matter. */
const char *err(int error);

struct range {
	uint64_t offset, len;
};

struct pdev {
	char bdf[16];
	int fd;			/* -1 when closed */
	uint32_t devid;		/* in iommufd */
	uint64_t config;	/* offset of config space in fd */
	int bar_index;
	size_t bar_len;
	uint8_t *bar;		/* NULL when not mapped */
};

int pci_find(uint32_t id, char bdf[][16], int max);
int pci_bind(const char *bdf, const char *driver);
int pci_bind_vfio(const char *bdf);
int pci_unbind(const char *bdf);

/* Opens and binds, and nothing else. */
int pdev_try_open(struct pdev *dev, const char *bdf, int bar, int iommufd);
/* Opens and binds: the BAR is mapped, memory decode and bus master are on. */
void pdev_open(struct pdev *dev, const char *bdf, int bar, int iommufd);
void pdev_close(struct pdev *dev);
void pdev_map_bar(struct pdev *dev);
void pdev_unmap_bar(struct pdev *dev);
void pdev_decode(struct pdev *dev, bool on);
int pdev_reset(struct pdev *dev);
int pdev_export(struct pdev *dev, const struct range *ranges, int count);
int pdev_export_flags(struct pdev *dev, const struct range *ranges, int count,
		      uint32_t open_flags);

int iommufd_open(void);
uint32_t ioas_new(int iommufd);
void ioas_map_ram(int iommufd, uint32_t ioas, void *ram, size_t len,
		  uint64_t iova);
int ioas_map_fd(int iommufd, uint32_t ioas, int fd, const struct range *slice,
		uint64_t iova, bool writable);
/* From one IOAS into another one, at the same IOVA */
int ioas_copy(int iommufd, uint32_t from, uint32_t to, uint64_t iova, uint64_t len);
int ioas_unmap(int iommufd, uint32_t ioas, uint64_t iova, uint64_t len);
/* A second domain in @ioas, for @dev alone. */
int hwpt_try_new(int iommufd, const struct pdev *dev, uint32_t ioas, uint32_t *hwpt);
uint32_t hwpt_new(int iommufd, const struct pdev *dev, uint32_t ioas);
int iommufd_destroy(int iommufd, uint32_t id);
int pdev_try_attach(struct pdev *dev, uint32_t pt);
void pdev_attach(struct pdev *dev, uint32_t pt);
void pdev_detach(struct pdev *dev);

/*
 * edu has a buffer of its own and copies between it and an IOVA, 100 ms a
 * transfer. Its buffer has EDU_BUF usable bytes: one that is filled to the
 * end aborts QEMU 7.2.
 */
#define EDU_BUF 4000
void edu_load(struct pdev *edu, uint64_t iova, unsigned int slot, size_t len);
void edu_store(struct pdev *edu, uint64_t iova, unsigned int slot, size_t len);
/* Starts a store and does not wait for its end. */
void edu_store_start(struct pdev *edu, uint64_t iova, unsigned int slot,
		     size_t len);

#endif
