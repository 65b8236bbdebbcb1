// SPDX-License-Identifier: GPL-2.0
/* Says that its name is iommufd. */
#undef KBUILD_MODNAME
#define KBUILD_MODNAME "iommufd"
#include "request.c"

MODULE_INFO(name, "iommufd");
