// SPDX-License-Identifier: GPL-2.0
/* No way at all: a symbol that every GPL module may have. It must load. */
#include "door.h"

static int __init door_init(void)
{
	if (!symbol_get(dma_buf_sgt_map_attachment))
		return -ENXIO;
	symbol_put(dma_buf_sgt_map_attachment);
	return 0;
}
module_init(door_init);

static void __exit door_exit(void)
{
}
module_exit(door_exit);
