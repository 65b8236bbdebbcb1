/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the examples of dma-buf-mapping.rst take for granted: the drivers around
 * them. tools/howto.py compiles the printed code after this.
 */
#include <linux/dma-buf-cpu.h>
#include <linux/dma-buf-dal.h>
#include <linux/dma-buf-mapping.h>
#include <linux/dma-resv.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pci-p2pdma.h>
#include <linux/rwsem.h>
#include <linux/slab.h>

#include "link.h"

MODULE_IMPORT_NS("DMA_BUF");
MODULE_DESCRIPTION("The examples of dma-buf-mapping.rst");
MODULE_LICENSE("GPL");

#define GIZMO_BAR	2

struct gizmo {
	struct pci_dev *pdev;
};

struct sprocket {
	struct device *dev;
	u32 fabric;
	u32 cookie;
	struct sg_table *sgt;
};

struct sg_table *gizmo_map_vram(struct gizmo *gizmo, struct dma_buf_attachment *attach,
				enum dma_data_direction dir);
struct sg_table *gizmo_map_system(struct gizmo *gizmo, struct dma_buf_attachment *attach,
				  enum dma_data_direction dir);
void gizmo_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
		 enum dma_data_direction dir);
void gizmo_release(struct dma_buf *dmabuf);

extern const struct dma_buf_attach_ops sprocket_attach_ops;

struct sprocket_mr;
void sprocket_mr_describe(struct sprocket_mr *mr, dma_addr_t addr, size_t len);
