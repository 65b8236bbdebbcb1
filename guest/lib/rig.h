/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What faults and races are tried on: the lab, with the second edu on the driver
 * of the device-heap selftest, so that it has a heap and takes scatterlists.
 */
#ifndef GUEST_RIG_H
#define GUEST_RIG_H

#include "lab.h"

/* 1, 3 and 64 ranges, all of the same size; then more than fit into a page */
#define RIG_SHAPES 3
#define RIG_ALL_SHAPES 4
#define RIG_SIZE (64 * PAGE)
/* Of RAM: no device has to have longer segments. */
#define RIG_RAM (16 * PAGE)
extern struct shape rig_shapes[RIG_ALL_SHAPES];

/* A row: finds and binds the devices. */
void rig_init(void);
/* A row: one device moves bytes through PAL, the other one through PAL->SGT. */
void rig_bytes(const char *when);

#endif
