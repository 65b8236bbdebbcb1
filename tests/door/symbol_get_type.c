// SPDX-License-Identifier: GPL-2.0
/* Asks the kernel for the type, by a name that is put together. */
#include "door.h"

static char name[] = "dma_buf_mapping_xxx_type";

static int __init door_init(void)
{
	memcpy(strstr(name, "xxx"), "pal", 3);
	return __symbol_get(name) ? 0 : -ENXIO;
}
module_init(door_init);
