// SPDX-License-Identifier: GPL-2.0
/* Registers a converter of its own, from PAL to a type that it can map. */
#include "door.h"
#include <../drivers/dma-buf/dma-buf-converter.h>

phys_addr_t door(struct dma_buf_attachment *attach)
{
	static struct dma_buf_converter mine;

	mine.from = dma_buf_pal_to_sgt.from;
	dma_buf_test_converter = &mine;
	return 0;
}
