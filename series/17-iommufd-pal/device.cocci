@@
identifier f = iommufd_global_device;
type T;
@@
- T f(...) { ... }
