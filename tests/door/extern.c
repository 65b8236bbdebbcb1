// SPDX-License-Identifier: GPL-2.0
/* Declares what it is not given, and includes no header of PAL. */
#include <linux/module.h>

MODULE_DESCRIPTION("A way to the physical addresses of a DMA-buf");
MODULE_LICENSE("GPL");

extern const char dma_buf_mapping_pal_type[];

unsigned long door(void);
unsigned long door(void)
{
	return (unsigned long)dma_buf_mapping_pal_type;
}
