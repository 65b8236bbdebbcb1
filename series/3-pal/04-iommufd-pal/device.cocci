// SPDX-License-Identifier: GPL-2.0
@@
identifier f = iommufd_global_device;
type T;
@@
- T f(...) { ... }
