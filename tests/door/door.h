/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What each way to the physical addresses of a DMA-buf starts from: a module that
 * is attached as an importer of scatterlists, with all headers that modules have.
 */
#ifndef DOOR_H
#define DOOR_H

#include <linux/container_of.h>
#include <linux/dma-buf-mapping.h>
#include <linux/err.h>
#include <linux/module.h>

MODULE_DESCRIPTION("A way to the physical addresses of a DMA-buf");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");

phys_addr_t door(struct dma_buf_attachment *attach);

#endif
