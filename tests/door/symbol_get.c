// SPDX-License-Identifier: GPL-2.0
/* Asks the kernel for the function when it is loaded, which modpost does not see. */
#include "door.h"

static int __init door_init(void)
{
	return symbol_get(dma_buf_pal_map_phys) ? 0 : -ENXIO;
}
module_init(door_init);
