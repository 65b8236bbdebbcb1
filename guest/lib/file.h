/* SPDX-License-Identifier: GPL-2.0 */
/* Files of sysfs, procfs, debugfs and tracefs, which take one line at a time. */
#ifndef GUEST_FILE_H
#define GUEST_FILE_H

/* 0 or -errno. */
int write_file(const char *path, const char *text);

#endif
