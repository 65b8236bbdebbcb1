// SPDX-License-Identifier: GPL-2.0
/* The same, without the macro for it. */
#include "map.c"

static const char door_import[] __used __section(".modinfo") __aligned(1) =
	"import_ns=module:iommufd,dmabuf_kunit";
