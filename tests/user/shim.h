/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of the kernel as the mapping types use, for user space. Every
 * <linux/x.h> that is not one of the series' own is this file.
 *
 * What can be checked is checked: locks are held, counts do not go below 0, what
 * is mapped is unmapped once and as it was mapped. A breach is a die().
 */
#ifndef SHIM_H
#define SHIM_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint64_t u64;
typedef u64 phys_addr_t;
typedef u64 dma_addr_t;
typedef unsigned int gfp_t;
typedef unsigned int __poll_t;
typedef int spinlock_t;
typedef int wait_queue_head_t;

struct device;
struct pci_dev;
struct dma_buf_attachment;
struct vm_area_struct;
struct page;

/* ---- what one test sets, and what it finds ---- */

#define EVENTS	512

struct event {
	const char *name, *verdict;
	size_t ranges;
	int err;
};

struct shim {
	bool wrap, api_debug;		/* CONFIG_DMABUF_DEBUG, CONFIG_DMA_API_DEBUG */
	bool traced;			/* trace events are on */
	unsigned long attrs;		/* what all DMA is to be mapped with, or 0 */
	bool encrypted;			/* CC_ATTR_GUEST_MEM_ENCRYPT */
	unsigned int fault;		/* which call from now on fails, 0 for none */
	int fault_err;			/* what it failed with, 0 if it has not yet */
	unsigned int may_warn, warned;	/* WARNs that are expected, that came */
	unsigned int debugged;		/* pr_debug() */
	int allocated, pieces, waits[2];
	int unmaps;			/* calls of the DMA API that unmap */
	size_t next_dma;
	size_t nr_events;
	struct event events[EVENTS];
	struct event told;		/* what the process that failed could ask for */
	void (*in_wait)(void);		/* what happens while fences are waited for */
	void (*other_thread)(void);	/* what runs while a completion is waited for */
	void (*at_death)(void);
};

extern struct shim shim;

void shim_reset(void);
void shim_done(void);
bool shim_fails(int err);
bool shim_warn(bool cond, const char *file, int line, const char *what);
void shim_held(const bool *lock, bool held);
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

#define CHECK(cond)							\
	((cond) ? (void)0 : die("%s:%d: %s", __FILE_NAME__, __LINE__, #cond))
#define EQ(a, b)							\
	({								\
		long long _a = (long long)(a), _b = (long long)(b);	\
		if (_a != _b)						\
			die("%s:%d: %s is %lld, %s is %lld",		\
			    __FILE_NAME__, __LINE__, #a, _a, #b, _b);	\
	})
#ifndef __FILE_NAME__
#define __FILE_NAME__ (strrchr("/" __FILE__, '/') + 1)
#endif

/* ---- the language ---- */

#undef __always_inline
#define __always_inline	inline __attribute__((always_inline))
#define likely(x)	(x)
#define noinline	__attribute__((noinline))
#define fallthrough	__attribute__((fallthrough))
#define __counted_by(x)
#define BUILD_BUG_ON_ZERO(e)	((int)(sizeof(struct { int:(-!!(e)); })))
#define __user
#define static_assert(e)	_Static_assert(e, #e)
#define sizeof_field(type, field) sizeof(((type *)0)->field)
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member)					\
	((type *)((char *)(ptr) - offsetof(type, member)))
#define min(a, b)							\
	({ typeof(a) _x = (a); typeof(b) _y = (b); _x < _y ? _x : _y; })
#define check_add_overflow(a, b, d)	__builtin_add_overflow(a, b, d)
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define ALIGN_DOWN(x, a)	((x) & ~((typeof(x))(a) - 1))
#define BIT(n)		(1UL << (n))
#define PHYS_PFN(paddr)	((paddr) >> PAGE_SHIFT)
#define NUMA_NO_NODE	(-1)
#define PAGE_SHIFT	12
#define PAGE_SIZE	BIT(PAGE_SHIFT)
#define PAGE_ALIGN(x)	ALIGN_DOWN((x) + PAGE_SIZE - 1, PAGE_SIZE)
#define offset_in_page(x)	((x) & (PAGE_SIZE - 1))
#define PAGE_ALIGNED(x)	(!((x) & (PAGE_SIZE - 1)))
#define might_sleep()	((void)0)
#define IS_ENABLED(option)		(option)
#define CONFIG_DMABUF_KUNIT_TEST	1
#define CONFIG_DMABUF_DEBUG		(shim.wrap)
#define CONFIG_DMA_API_DEBUG		(shim.api_debug)
#define EXPORT_SYMBOL_NS_GPL(...)
#define EXPORT_SYMBOL_FOR_MODULES(...)
#define EXPORT_TRACEPOINT_SYMBOL_GPL(...)
#define KBUILD_MODNAME	"user"
#define THIS_MODULE	((struct module *)&shim)
#define DEFINE_FREE(name, type, code)					\
	static inline void __free_##name(void *p) { type _T = *(type *)p; code; }

#define WARN_ON(cond)	shim_warn(cond, __FILE_NAME__, __LINE__, #cond)
#define WARN_ON_ONCE(cond)	WARN_ON(cond)
#define WARN(cond, ...)		WARN_ON(cond)
#define pr_debug(...)		(shim.debugged++)

static inline void *ERR_PTR(long err)
{
	return (void *)err;
}

static inline long PTR_ERR(const void *ptr)
{
	return (long)ptr;
}

static inline bool IS_ERR(const void *ptr)
{
	return (unsigned long)ptr >= -4095UL;
}

static inline long PTR_ERR_OR_ZERO(const void *ptr)
{
	return IS_ERR(ptr) ? PTR_ERR(ptr) : 0;
}

/* ---- memory ---- */

#define GFP_KERNEL	0u
#define __GFP_ZERO	1u

/* Nodes take turns every 1 TiB; where the address space ends is no memory */
#define NODE_SHIFT	40
#define pfn_valid(pfn)	((pfn) >> (52 - PAGE_SHIFT) == 0)
#define pfn_to_nid(pfn)	((int)((pfn) >> (NODE_SHIFT - PAGE_SHIFT) & 3))

void *shim_alloc(size_t head, size_t count, size_t size, int fill);
void kfree(const void *ptr);

#define kvfree(ptr)		kfree(ptr)
#define kzalloc_obj(x)		((typeof(x) *)shim_alloc(sizeof(x), 0, 0, 0))
#define kmalloc_obj(x)		((typeof(x) *)shim_alloc(sizeof(x), 0, 0, 0xa5))
#define kvcalloc(n, size, gfp)	shim_alloc(0, n, size, 0)
#define kvmalloc_array(n, size, gfp)	shim_alloc(0, n, size, 0xa5)
/* Saturates, as in linux/overflow.h: such an allocation fails */
#define struct_size(ptr, member, n)					\
	({								\
		size_t _size;						\
		if (__builtin_mul_overflow((size_t)(n),			\
					   sizeof((ptr)->member[0]),	\
					   &_size) ||			\
		    __builtin_add_overflow(_size, sizeof(*(ptr)),	\
					   &_size))			\
			_size = SIZE_MAX;				\
		_size;							\
	})
#define kzalloc(size, gfp)	shim_alloc(size, 0, 0, 0)
#define __vmalloc(size, gfp)	shim_alloc(size, 0, 0, 0)

/* ---- text ---- */

struct seq_file {
	char text[256];
	size_t len;
};

void seq_printf(struct seq_file *s, const char *fmt, ...);
#define scnprintf(buf, size, ...) ((void)snprintf(buf, size, __VA_ARGS__))
#define strscpy(to, from, size)	((void)snprintf(to, size, "%s", from))

/* ---- lists, counts, completions ---- */

struct list_head {
	struct list_head *next, *prev;
};

static inline void INIT_LIST_HEAD(struct list_head *list)
{
	list->next = list->prev = list;
}

static inline void list_add(struct list_head *new, struct list_head *head)
{
	*new = (struct list_head){ .next = head->next, .prev = head };
	head->next->prev = new;
	head->next = new;
}

static inline void list_del(struct list_head *entry)
{
	entry->next->prev = entry->prev;
	entry->prev->next = entry->next;
}

struct kref {
	int count;
};

static inline void kref_init(struct kref *kref)
{
	kref->count = 1;
}

#define kref_read(k) ((k)->count)
void kref_get(struct kref *kref);
int kref_put(struct kref *kref, void (*release)(struct kref *));

struct completion {
	int done;
};

#define init_completion(c)	((c)->done = 0)
#define reinit_completion(c)	((c)->done = 0)
void complete(struct completion *completion);
void wait_for_completion(struct completion *completion);

/* ---- the reservation lock and its fences ---- */

struct dma_resv {
	struct {
		bool base;	/* held */
	} lock;
};

enum dma_resv_usage { DMA_RESV_USAGE_KERNEL, DMA_RESV_USAGE_BOOKKEEP };
#define MAX_SCHEDULE_TIMEOUT	LONG_MAX

/* Functions, so that they are no branches of the files that are looked at */
#define lockdep_assert_not_held(lock)	shim_held(lock, false)
#define dma_resv_assert_held(resv)	shim_held(&(resv)->lock.base, true)
void dma_resv_lock(struct dma_resv *resv, void *ctx);
void dma_resv_unlock(struct dma_resv *resv);
long dma_resv_wait_timeout(struct dma_resv *resv, enum dma_resv_usage usage,
			   bool intr, unsigned long timeout);

/* ---- devices ---- */

enum pci_p2pdma_map_type {
	PCI_P2PDMA_MAP_UNKNOWN,
	PCI_P2PDMA_MAP_NONE,
	PCI_P2PDMA_MAP_NOT_SUPPORTED,
	PCI_P2PDMA_MAP_BUS_ADDR,
	PCI_P2PDMA_MAP_THRU_HOST_BRIDGE,
};

struct device {
	const char *name;
	bool is_pci;
	enum pci_p2pdma_map_type p2p;	/* its way to the exporter's device */
	bool far;			/* pci_p2pdma_distance() finds no way */
	bool iova;			/* dma_iova_try_alloc() succeeds */
	bool merges;			/* dma_map_sgtable() joins entries */
	int node;
	bool coherent;
	bool direct;			/* dma_map_phys() only adds a number */
};

struct pci_host_bridge {
	struct pci_bus *bus;
};

struct pci_bus {
	int domain, number;
	struct pci_host_bridge *host;
};

struct pci_dev {
	struct device dev;
	int refs;
	struct pci_bus *bus;
	struct pci_dev *above;
	u16 acs_cap, acs_ctrl;
};

struct p2pdma_provider {
	struct device *owner;
	u64 bus_offset;
};

#define dev_name(dev)	((dev)->name)
#define dev_to_node(dev)	((dev)->node)
#define dev_is_pci(dev)	((dev)->is_pci)
#define to_pci_dev(d)	container_of(d, struct pci_dev, dev)

struct pci_dev *pci_dev_get(struct pci_dev *pdev);
void pci_dev_put(struct pci_dev *pdev);
int pci_p2pdma_distance(struct pci_dev *provider, struct device *client,
			bool verbose);
enum pci_p2pdma_map_type pci_p2pdma_map_type(struct p2pdma_provider *provider,
					     struct device *dev);
#define pci_name(pdev)			((pdev)->dev.name)
#define pci_upstream_bridge(pdev)	((pdev)->above)
#define pci_find_host_bridge(bus)	((bus)->host)
#define pci_domain_nr(bus)		((bus)->domain)
#define PCI_POSSIBLE_ERROR(val)		((val) == (typeof(val))~0)
#define PCI_ACS_CTRL	0x06
#define PCI_ACS_RR	0x04
#define PCI_ACS_CR	0x08
#define PCI_ACS_EC	0x20
#define PCI_ACS_SV	0x01
struct pci_dev *pci_get_domain_bus_and_slot(int domain, unsigned int bus,
					    unsigned int devfn);
int pci_read_config_word(const struct pci_dev *pdev, int where, u16 *value);
enum pci_p2pdma_map_type pci_p2pdma_route(struct pci_dev *provider,
					  struct device *client);
#define pci_p2pdma_bus_addr_map(p, phys)	((phys) + (p)->bus_offset)

/* ---- scatterlists; each entry is an allocation, so that one too far is found ---- */

struct scatterlist {
	struct page *page;
	unsigned int offset, length, dma_length;
	dma_addr_t dma_address;
	struct scatterlist *next;
};

struct sg_table {
	struct scatterlist *sgl;
	unsigned int nents, orig_nents;
};

#define phys_to_page(phys)	((struct page *)((phys) | 1))
#define page_to_phys(page)	((phys_addr_t)(page) & ~1UL)
#define sg_phys(sg)		(page_to_phys((sg)->page) + (sg)->offset)
#define sg_dma_address(sg)	((sg)->dma_address)
#define sg_dma_len(sg)		((sg)->dma_length)
#define sg_next(sg)		((sg)->next)
#define sg_set_page(sg, p, len, off)					\
	((sg)->page = (p), (sg)->length = (len), (sg)->offset = (off))
#define for_each_sgtable_dma_sg(sgt, sg, i)				\
	for (i = 0, sg = (sgt)->sgl; i < (int)(sgt)->nents;		\
	     i++, sg = sg_next(sg))

#define for_each_sgtable_sg(sgt, sg, i)					\
	for (i = 0, sg = (sgt)->sgl; i < (int)(sgt)->orig_nents;	\
	     i++, sg = sg_next(sg))

#define cc_platform_has(attr)	(shim.encrypted)

int sg_alloc_table(struct sg_table *table, unsigned int nents, gfp_t gfp);
void sg_free_table(struct sg_table *table);

/* ---- the DMA API ---- */

enum dma_data_direction { DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_NONE };
#define valid_dma_direction(dir)	((unsigned int)(dir) < DMA_NONE)
#define DMA_ATTR_MMIO		BIT(10)
#define DMA_ATTR_REQUIRE_COHERENT BIT(12)
#define dev_is_dma_coherent(dev)	((dev)->coherent)
#define DMA_MAPPING_ERROR	(~(dma_addr_t)0)

struct phys_vec {
	phys_addr_t paddr;
	size_t len;
};

struct dma_iova_state {
	dma_addr_t addr;
	u64 __size;
};

#define dma_use_iova(state)	((state)->__size != 0)
#define dma_mapping_error(dev, addr)					\
	((addr) == DMA_MAPPING_ERROR ? -ENOMEM : 0)

bool dma_need_unmap(struct device *dev);
dma_addr_t dma_map_phys(struct device *dev, phys_addr_t phys, size_t size,
			enum dma_data_direction dir, unsigned long attrs);
void dma_unmap_phys(struct device *dev, dma_addr_t addr, size_t size,
		    enum dma_data_direction dir, unsigned long attrs);
int dma_map_sgtable(struct device *dev, struct sg_table *sgt,
		    enum dma_data_direction dir, unsigned long attrs);
void dma_unmap_sgtable(struct device *dev, struct sg_table *sgt,
		       enum dma_data_direction dir, unsigned long attrs);
bool dma_iova_try_alloc(struct device *dev, struct dma_iova_state *state,
			phys_addr_t phys, size_t size);
int dma_iova_link(struct device *dev, struct dma_iova_state *state,
		  phys_addr_t phys, size_t offset, size_t size,
		  enum dma_data_direction dir, unsigned long attrs);
int dma_iova_sync(struct device *dev, struct dma_iova_state *state,
		  size_t offset, size_t size);
void dma_iova_destroy(struct device *dev, struct dma_iova_state *state,
		      size_t mapped_len, enum dma_data_direction dir,
		      unsigned long attrs);

/* What a device finds at a DMA address: physical address, bytes that follow */
phys_addr_t shim_translate(const struct device *dev, dma_addr_t addr,
			   enum dma_data_direction dir, size_t *left);

/* ---- memory, as the CPU finds it ---- */

#define __iomem

/* One page at a physical address, which is there from the first access on */
u8 *shim_page(phys_addr_t phys);
void shim_pages_drop(void);

void *ioremap(phys_addr_t phys, size_t size);
void iounmap(void *io);
void memcpy_toio(void *io, const void *from, size_t len);
void memcpy_fromio(void *to, const void *io, size_t len);
void memcpy_to_page(struct page *page, size_t offset, const void *from, size_t len);
void memcpy_from_page(void *to, struct page *page, size_t offset, size_t len);

/* ---- what dma-buf.h wants to have seen ---- */

struct file {
	int refs;
};

struct iosys_map {
	void *vaddr;
};

#define iosys_map_memcpy_to(map, offset, from, len)	\
	memcpy((char *)(map)->vaddr + (offset), from, len)
#define iosys_map_memcpy_from(to, map, offset, len)	\
	memcpy(to, (char *)(map)->vaddr + (offset), len)

struct dma_fence_cb {
	int unused;
};

#define get_file(file)	((void)(file)->refs++)

#endif /* SHIM_H */
