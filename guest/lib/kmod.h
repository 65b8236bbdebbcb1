/* SPDX-License-Identifier: GPL-2.0 */
/* Kernel modules, which are in /bin. A name is that of the file, without .ko. */
#ifndef GUEST_KMOD_H
#define GUEST_KMOD_H

/*
 * 0 or -errno. Without @params a module gets those that the kernel command line has
 * for it (NAME.param=value), as modprobe would pass them. kmod_unload() does not wait
 * for users, it gives -EWOULDBLOCK.
 */
int kmod_load(const char *name, const char *params);
int kmod_unload(const char *name);

/* Its reference count, -1 if it is not loaded. */
int kmod_refs(const char *name);

#endif
