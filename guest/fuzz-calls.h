/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What fuzz.c calls: each takes a few words, and keeps what it makes in slots. A
 * call gives 0 or -errno; that it fails is as good as that it does not.
 */
#ifndef GUEST_FUZZ_CALLS_H
#define GUEST_FUZZ_CALLS_H

#include <stdint.h>

#define FUZZ_SLOTS 4
#define FUZZ_WORDS 8

/* Once: both exporters on vfio-pci and on one iommufd. Fds made later are cleaned up. */
void fuzz_setup(void);
/* After each program: nothing is left, and the devices answer again. */
void fuzz_clean(void);

/* words: slot, device, region, open flags, flags, ranges, first offset, length */
int export_bar(const uint64_t *w);
/* slot */
int new_ioas(const uint64_t *w);
/* slot of the IOAS, slot, flags, start, length, IOVA, size of the struct */
int map_file(const uint64_t *w);
/* slot of the IOAS, IOVA, length */
int unmap(const uint64_t *w);
/* slot of the IOAS, device */
int attach(const uint64_t *w);
/* device */
int detach(const uint64_t *w);
/* slot of the IOAS, device, flags */
int new_domain(const uint64_t *w);
/* slot of the IOAS, IOVA, slot of the other IOAS, its IOVA, length, flags */
int copy(const uint64_t *w);
/* slot, which */
int open_heap(const uint64_t *w);
/* slot, slot of the heap, length, flags of the fd, of the heap, more bytes of struct */
int heap_alloc(const uint64_t *w);
/* slot of the heap, devices, first device, flags, their flags, bytes of struct, tail, pointer */
int heap_query(const uint64_t *w);
/* slot, size of the memfd, offset, length, flags, items, seals */
int udmabuf(const uint64_t *w);
/* slot, flags */
int sync_cpu(const uint64_t *w);
/* slot of the sync file, slot, flags */
int export_sync(const uint64_t *w);
/* slot, slot of the sync file, flags */
int import_sync(const uint64_t *w);
/* slot, which name */
int set_name(const uint64_t *w);
/* slot of the mapping, slot, length, offset, protection */
int map_memory(const uint64_t *w);
/* slot of the mapping, offset, whether to write */
int touch(const uint64_t *w);
/* slot of the mapping */
int unmap_memory(const uint64_t *w);
/* slot */
int close_slot(const uint64_t *w);
/* slot, slot */
int dup_slot(const uint64_t *w);
/* slot, offset, from where */
int seek(const uint64_t *w);
/* slot, events */
int poll_slot(const uint64_t *w);
/* device, on or off */
int decode(const uint64_t *w);
/* device */
int reset(const uint64_t *w);
/* slot of the importer, slot, device, flags */
int import(const uint64_t *w);
/* slot of the importer, 0 to map, 1 to unmap, 2 to swap a word, offset */
int importer_does(const uint64_t *w);
/* slot, number of the ioctl, type, direction, size, byte to fill it with */
int any_ioctl(const uint64_t *w);
/* which allocation of the kernel fails from here on, for once; 0: none */
int fail_nth(const uint64_t *w);
/* nothing: everything that debugfs and fdinfo say of buffers */
int look(const uint64_t *w);

#endif
