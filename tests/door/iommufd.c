// SPDX-License-Identifier: GPL-2.0
/* Has the name of an importer of PAL, so modpost takes it for that one. */
#include "request.c"
