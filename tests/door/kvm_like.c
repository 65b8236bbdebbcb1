// SPDX-License-Identifier: GPL-2.0
/* Has a name that looks like that of an importer of PAL. */
#include "request.c"
