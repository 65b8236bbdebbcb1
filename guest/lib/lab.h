/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The lab of one row: an exporter whose BAR is also a file of the host, edu
 * devices that do the DMA, an iommufd, and the checks of the bytes.
 *
 * The rule of every check: the lab keeps a shadow, which is what the whole BAR
 * must contain. Whoever may write (the device, the CPU, the host) writes new
 * bytes at the edges of the ranges, the shadow is told, and then the whole BAR
 * is compared with it, so that a byte in a gap is as good a witness as a byte
 * in a range. No pattern is used twice in one row.
 */
#ifndef GUEST_LAB_H
#define GUEST_LAB_H

#include "vfio.h"

#define BAR_SIZE 0x400000
#define MAX_RANGES 300
#define EDUS 2

/* Where things are in the IOASes; edu reaches 28 bits. */
#define IOVA_RAM 0x1000000UL
#define IOVA_A 0x4000000UL
#define IOVA_B 0x6003000UL

enum exporter { ON_ROOT_BUS, BEHIND_ROOT_PORT, EXPORTERS };

/* What one DMA-buf is made of. */
struct shape {
	const char *name;
	int count;
	struct range ranges[MAX_RANGES];
};

uint64_t shape_size(const struct shape *shape);

/* A mapping as the test expects it: IOVA -> offset in the BAR. */
struct view {
	int count;
	struct {
		uint64_t iova, off, len;
	} seg[MAX_RANGES];
};

/* The slice of @shape, mapped at @iova. */
struct view view_of(const struct shape *shape, struct range slice,
		    uint64_t iova);

struct lab {
	int iommufd;
	uint32_t ioas;
	struct pdev exporter;
	struct pdev edu[EDUS];
	uint64_t file;		/* where the host keeps the exporter's BAR */
	uint64_t salt;
	uint8_t *ram;		/* one page at IOVA_RAM */
	int kmsg;
};

/* Shared by the rows, which are processes: the devices, and when one faulted last. */
struct machine {
	char exporter[EXPORTERS][16];
	char edu[EDUS][16];
	int64_t last_fault_ms;
};

extern struct machine *machine;

/* Once, before the first row. */
void lab_init(void);
/* Opens everything, edu[0] on the IOAS, and writes the background to the BAR. */
void lab_open(struct lab *lab, enum exporter which);
/* Opens edu[1] as well, without attaching it. */
void lab_open_second_edu(struct lab *lab);
/* A further IOAS, where the RAM is mapped already. */
uint32_t lab_new_ioas(struct lab *lab);

/* The whole BAR against the shadow; without a CPU mapping only the file. */
void expect_bytes(struct lab *lab, const struct view *view, const char *when);
/* Bytes of the host file, with no device open. */
void peek_file(uint64_t file, uint8_t *bytes, size_t len);
void expect_file(uint64_t file, const uint8_t *bytes, size_t len,
		 const char *when);
/* @edu writes and reads at the edges of every range. */
void expect_both_ways(struct lab *lab, struct pdev *edu,
		      const struct view *view);
/*
 * Copies bytes to and from addresses without help from a device, as a virtual CPU does.
 * The BAR need not be mapped.
 */
struct mover {
	void (*write)(void *who, uint64_t at, const void *bytes, size_t len);
	void (*read)(void *who, uint64_t at, void *bytes, size_t len);
	void *who;
};

/* @mover writes and reads at the edges of every range. */
void expect_moved(struct lab *lab, const struct mover *mover, const struct view *view);
/* @edu reads, but what it writes faults. */
void expect_read_only(struct lab *lab, struct pdev *edu,
		      const struct view *view);
/* Whatever @edu does there faults. */
void expect_dead(struct lab *lab, struct pdev *edu, const struct view *view,
		 const char *when);

struct bufinfo {
	int buffers, attached;
	char type[64];		/* what the last attachment's line ends with */
};

struct bufinfo bufinfo_read(void);

#endif
