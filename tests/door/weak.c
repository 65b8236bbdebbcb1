// SPDX-License-Identifier: GPL-2.0
/* A weak reference, which may stay undefined. */
#include <linux/module.h>

MODULE_DESCRIPTION("A way to the physical addresses of a DMA-buf");
MODULE_LICENSE("GPL");

extern void *dma_buf_pal_map_phys(void *attach) __attribute__((weak));

void *door(void *attach);
void *door(void *attach)
{
	return dma_buf_pal_map_phys ? dma_buf_pal_map_phys(attach) : NULL;
}
