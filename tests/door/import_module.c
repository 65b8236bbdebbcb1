// SPDX-License-Identifier: GPL-2.0
/* Imports the namespace of the modules that may request PAL. */
#include "map.c"

MODULE_IMPORT_NS("module:iommufd,dmabuf_kunit");
