// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's part: memory that runs out on demand, scatterlists, and a DMA API
 * that knows every byte that is mapped.
 */
#include <stdarg.h>
#include <stdlib.h>
#include "shim.h"

/* Where calls may fail, a test counts down to the one that does */
#define LARGEST		(64UL << 20)
#define PIECES		8192

/* Where a device that has nothing mapped finds memory */
#define DIRECT_OFFSET	BIT(57)

/* What is mapped, or reserved as one stretch of IOVA */
enum kind { PHYS, SG, LINK, RESERVED };

struct piece {
	enum kind kind;
	const struct device *dev;
	const void *owner;	/* the table or the state that it was made for */
	dma_addr_t dma;
	phys_addr_t phys;
	size_t len;
	enum dma_data_direction dir;
	unsigned long attrs;
	bool synced;
};

struct shim shim;
static struct piece pieces[PIECES];

void shim_reset(void)
{
	void (*at_death)(void) = shim.at_death;

	shim = (struct shim){ .next_dma = 1UL << 40, .at_death = at_death };
}

/* The end of a test: nothing may be left of it */
void shim_done(void)
{
	EQ(shim.pieces, 0);
	EQ(shim.allocated, 0);
	EQ(shim.warned, shim.may_warn);
}

void die(const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "FAIL ");
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\n");
	if (shim.at_death)
		shim.at_death();
	abort();
}

bool shim_fails(int err)
{
	if (!shim.fault || --shim.fault)
		return false;
	shim.fault_err = err;
	return true;
}

bool shim_warn(bool cond, const char *file, int line, const char *what)
{
	if (cond && ++shim.warned > shim.may_warn)
		die("%s:%d: WARN_ON(%s)", file, line, what);
	return cond;
}

void shim_held(const bool *lock, bool held)
{
	if (*lock != held)
		die("the reservation lock is %sheld", *lock ? "" : "not ");
}

void dma_resv_lock(struct dma_resv *resv, void *ctx)
{
	CHECK(!ctx);
	shim_held(&resv->lock.base, false);
	resv->lock.base = true;
}

void dma_resv_unlock(struct dma_resv *resv)
{
	shim_held(&resv->lock.base, true);
	resv->lock.base = false;
}

void kref_get(struct kref *kref)
{
	CHECK(kref->count > 0);
	kref->count++;
}

int kref_put(struct kref *kref, void (*release)(struct kref *))
{
	CHECK(kref->count > 0);
	if (--kref->count)
		return 0;
	release(kref);
	return 1;
}

void *shim_alloc(size_t head, size_t count, size_t size, int fill)
{
	size_t bytes;
	void *ptr;

	if (__builtin_mul_overflow(count, size, &bytes) ||
	    __builtin_add_overflow(bytes, head, &bytes) || bytes > LARGEST)
		return NULL;
	if (shim_fails(-ENOMEM))
		return NULL;
	ptr = malloc(bytes);
	CHECK(ptr);
	memset(ptr, fill, bytes);
	shim.allocated++;
	return ptr;
}

void kfree(const void *ptr)
{
	shim.allocated -= !!ptr;
	free((void *)ptr);
}

void seq_printf(struct seq_file *s, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	s->len += vsnprintf(s->text + s->len, sizeof(s->text) - s->len, fmt, args);
	va_end(args);
	CHECK(s->len < sizeof(s->text));
}

/* Whoever waits takes the memory: no device may reach it any more */
void complete(struct completion *completion)
{
	EQ(shim.pieces, 0);
	completion->done++;
}

void wait_for_completion(struct completion *completion)
{
	if (!completion->done && shim.other_thread)
		shim.other_thread();
	if (!completion->done)
		die("waits for a completion that never comes");
	completion->done--;
}

/* KERNEL is what an importer waits for and may give up, BOOKKEEP a revoke's */
long dma_resv_wait_timeout(struct dma_resv *resv, enum dma_resv_usage usage,
			   bool intr, unsigned long timeout)
{
	dma_resv_assert_held(resv);
	EQ(timeout, MAX_SCHEDULE_TIMEOUT);
	EQ(intr, usage == DMA_RESV_USAGE_KERNEL);
	shim.waits[usage]++;
	if (shim.in_wait)
		shim.in_wait();
	return intr && shim_fails(-EINTR) ? -EINTR : (long)timeout;
}

struct pci_dev *pci_dev_get(struct pci_dev *pdev)
{
	pdev->refs++;
	return pdev;
}

void pci_dev_put(struct pci_dev *pdev)
{
	if (pdev)
		CHECK(--pdev->refs >= 0);
}

int pci_p2pdma_distance(struct pci_dev *provider, struct device *client,
			bool verbose)
{
	CHECK(provider->dev.is_pci && client->is_pci && !verbose);
	return client->far ? -1 : 4;
}

enum pci_p2pdma_map_type pci_p2pdma_map_type(struct p2pdma_provider *provider,
					     struct device *dev)
{
	CHECK(provider->owner->is_pci);
	return dev->p2p;
}

enum pci_p2pdma_map_type pci_p2pdma_route(struct pci_dev *provider,
					  struct device *client)
{
	CHECK(provider->dev.is_pci);
	return client->is_pci ? client->p2p : PCI_P2PDMA_MAP_NOT_SUPPORTED;
}

/* ---- scatterlists ---- */

int sg_alloc_table(struct sg_table *table, unsigned int nents, gfp_t gfp)
{
	struct scatterlist **end = &table->sgl;
	unsigned int i;

	(void)gfp;
	*table = (struct sg_table){ .nents = nents, .orig_nents = nents };
	if (!nents)
		return -EINVAL;
	if (nents > 1 << 16 || shim_fails(-ENOMEM)) {
		*table = (struct sg_table){};
		return -ENOMEM;
	}
	for (i = 0; i < nents; i++, end = &(*end)->next) {
		*end = calloc(1, sizeof(**end));
		CHECK(*end);
		shim.allocated++;
	}
	return 0;
}

/* Like the kernel's, as many entries as it says there are */
void sg_free_table(struct sg_table *table)
{
	struct scatterlist *sg = table->sgl, *next;

	for (; sg && table->orig_nents; table->orig_nents--, sg = next) {
		next = sg->next;
		free(sg);
		shim.allocated--;
	}
	CHECK(!table->orig_nents);
	*table = (struct sg_table){};
}

/* ---- the DMA API ---- */

static void piece_add(struct piece piece)
{
	CHECK(shim.pieces < PIECES && piece.len);
	if (piece.kind != RESERVED)
		CHECK(PAGE_ALIGNED(piece.phys) && PAGE_ALIGNED(piece.len));
	pieces[shim.pieces++] = piece;
}

static void piece_del(int i)
{
	pieces[i] = pieces[--shim.pieces];
}

/* Bytes that were mapped for this owner; they are not after that */
static size_t pieces_del(enum kind kind, const void *owner,
			 const struct device *dev, enum dma_data_direction dir)
{
	size_t total = 0;
	int i;

	for (i = shim.pieces - 1; i >= 0; i--) {
		if (pieces[i].kind != kind || pieces[i].owner != owner)
			continue;
		CHECK(pieces[i].dev == dev && pieces[i].dir == dir);
		total += pieces[i].len;
		piece_del(i);
	}
	return total;
}

/* With a hole behind, so that nothing is contiguous by chance */
static dma_addr_t dma_space(size_t size)
{
	dma_addr_t addr = shim.next_dma;

	shim.next_dma += size + PAGE_SIZE;
	return addr;
}

/* What lasts is MMIO, or RAM that needs no copy */
static void check_attrs(const struct device *dev, unsigned long attrs)
{
	CHECK(attrs == DMA_ATTR_MMIO ||
	      (attrs == DMA_ATTR_REQUIRE_COHERENT && dev->coherent));
	if (shim.attrs)
		EQ(attrs, shim.attrs);
}

bool dma_need_unmap(struct device *dev)
{
	return !dev->direct;
}

dma_addr_t dma_map_phys(struct device *dev, phys_addr_t phys, size_t size,
			enum dma_data_direction dir, unsigned long attrs)
{
	struct piece piece = { .kind = PHYS, .dev = dev, .phys = phys,
			       .len = size, .dir = dir, .attrs = attrs, .synced = true };

	check_attrs(dev, attrs);
	if (shim_fails(-ENOMEM))
		return DMA_MAPPING_ERROR;
	if (dev->direct)
		return phys + DIRECT_OFFSET;
	piece.dma = dma_space(size);
	piece_add(piece);
	return piece.dma;
}

void dma_unmap_phys(struct device *dev, dma_addr_t addr, size_t size,
		    enum dma_data_direction dir, unsigned long attrs)
{
	int i;

	check_attrs(dev, attrs);
	shim.unmaps++;
	if (dev->direct)
		return;
	for (i = 0; i < shim.pieces; i++)
		if (pieces[i].kind == PHYS && pieces[i].dma == addr)
			break;
	if (i == shim.pieces)
		die("unmaps %llx, which is not mapped", (unsigned long long)addr);
	CHECK(pieces[i].dev == dev && pieces[i].dir == dir);
	EQ(pieces[i].attrs, attrs);
	EQ(pieces[i].len, size);
	piece_del(i);
}

/* One stretch of DMA addresses; @out are the entries that say so */
int dma_map_sgtable(struct device *dev, struct sg_table *sgt,
		    enum dma_data_direction dir, unsigned long attrs)
{
	struct scatterlist *sg, *out = NULL;
	dma_addr_t end = 0;

	EQ(attrs, 0);
	if (shim_fails(-EREMOTEIO))
		return -EREMOTEIO;
	for (sgt->nents = 0, sg = sgt->sgl; sg; sg = sg_next(sg)) {
		dma_addr_t dma = dev->merges && out ? end : dma_space(sg->length);

		CHECK(sg->page && !sg->offset);
		if (dev->direct) {
			out = sg;
			out->dma_address = page_to_phys(sg->page) + DIRECT_OFFSET;
			out->dma_length = sg->length;
			sgt->nents++;
			continue;
		}
		piece_add((struct piece){ .kind = SG, .dev = dev, .owner = sgt,
			.phys = page_to_phys(sg->page), .len = sg->length,
			.dma = dma, .dir = dir, .synced = true });
		end = dma + sg->length;
		shim.next_dma = end + PAGE_SIZE;
		if (dev->merges && out && out->dma_length <= UINT_MAX - sg->length) {
			out->dma_length += sg->length;
			continue;
		}
		out = out ? sg_next(out) : sgt->sgl;
		out->dma_address = dma;
		out->dma_length = sg->length;
		sgt->nents++;
	}
	return 0;
}

void dma_unmap_sgtable(struct device *dev, struct sg_table *sgt,
		       enum dma_data_direction dir, unsigned long attrs)
{
	EQ(attrs, 0);
	CHECK(pieces_del(SG, sgt, dev, dir) || dev->direct);
	shim.unmaps++;
}

bool dma_iova_try_alloc(struct device *dev, struct dma_iova_state *state,
			phys_addr_t phys, size_t size)
{
	EQ(phys, 0);
	CHECK(PAGE_ALIGNED(size) && size);
	*state = (struct dma_iova_state){};
	if (!dev->iova)
		return false;
	*state = (struct dma_iova_state){ .addr = dma_space(size), .__size = size };
	piece_add((struct piece){ .kind = RESERVED, .dev = dev, .owner = state,
				  .dma = state->addr, .len = size });
	return true;
}

int dma_iova_link(struct device *dev, struct dma_iova_state *state,
		  phys_addr_t phys, size_t offset, size_t size,
		  enum dma_data_direction dir, unsigned long attrs)
{
	int i;

	check_attrs(dev, attrs);
	CHECK(size <= state->__size && offset <= state->__size - size);
	if (shim_fails(-EADDRINUSE))
		return -EADDRINUSE;
	for (i = 0; i < shim.pieces; i++)
		CHECK(pieces[i].kind != LINK || pieces[i].owner != state ||
		      pieces[i].dma != state->addr + offset);
	piece_add((struct piece){ .kind = LINK, .dev = dev, .owner = state,
		.phys = phys, .dma = state->addr + offset, .len = size, .dir = dir,
		.attrs = attrs });
	return 0;
}

int dma_iova_sync(struct device *dev, struct dma_iova_state *state,
		  size_t offset, size_t size)
{
	int i;

	EQ(offset, 0);
	EQ(size, state->__size);
	if (shim_fails(-EIO))
		return -EIO;
	for (i = 0; i < shim.pieces; i++)
		if (pieces[i].owner == state && pieces[i].dev == dev)
			pieces[i].synced = true;
	return 0;
}

void dma_iova_destroy(struct device *dev, struct dma_iova_state *state,
		      size_t mapped_len, enum dma_data_direction dir,
		      unsigned long attrs)
{
	for (int i = 0; i < shim.pieces; i++)
		if (pieces[i].kind == LINK && pieces[i].owner == state)
			EQ(pieces[i].attrs, attrs);
	EQ(pieces_del(LINK, state, dev, dir), mapped_len);
	EQ(pieces_del(RESERVED, state, dev, DMA_BIDIRECTIONAL), state->__size);
	state->__size = 0;
}

phys_addr_t shim_translate(const struct device *dev, dma_addr_t addr,
			   enum dma_data_direction dir, size_t *left)
{
	int i;

	for (i = 0; i < shim.pieces; i++) {
		const struct piece *piece = &pieces[i];

		if (piece->kind == RESERVED || addr < piece->dma ||
		    addr - piece->dma >= piece->len)
			continue;
		CHECK(piece->dev == dev && piece->dir == dir && piece->synced);
		*left = piece->len - (addr - piece->dma);
		return piece->phys + (addr - piece->dma);
	}
	if (dev->direct) {
		*left = SIZE_MAX;
		return addr - DIRECT_OFFSET;
	}
	die("the device finds nothing at %llx", (unsigned long long)addr);
}

/* ---- memory, as the CPU finds it ---- */

#define PAGES	512

static struct {
	phys_addr_t phys;
	u8 *bytes;
} memory[PAGES];
static size_t nr_pages;

u8 *shim_page(phys_addr_t phys)
{
	size_t i;

	phys = ALIGN_DOWN(phys, PAGE_SIZE);
	for (i = 0; i < nr_pages; i++)
		if (memory[i].phys == phys)
			return memory[i].bytes;
	CHECK(nr_pages < PAGES);
	memory[i].phys = phys;
	memory[i].bytes = malloc(PAGE_SIZE);
	CHECK(memory[i].bytes);
	for (size_t at = 0; at < PAGE_SIZE; at++)
		memory[i].bytes[at] = (phys >> PAGE_SHIFT) * 31 + at;
	nr_pages++;
	return memory[i].bytes;
}

void shim_pages_drop(void)
{
	while (nr_pages)
		free(memory[--nr_pages].bytes);
}

/* What is mapped is an address that nobody can use but these functions */
#define IO_BASE	BIT(62)

struct io {
	phys_addr_t phys;
	size_t len;
};

static struct io *ios[64];

void *ioremap(phys_addr_t phys, size_t size)
{
	struct io *io = shim_alloc(sizeof(*io), 0, 0, 0);

	CHECK(PAGE_ALIGNED(phys) && PAGE_ALIGNED(size) && size);
	if (!io)
		return NULL;
	*io = (struct io){ phys, size };
	for (size_t i = 0; i < ARRAY_SIZE(ios); i++) {
		if (!ios[i]) {
			ios[i] = io;
			return (void *)(IO_BASE + (i << 48));
		}
	}
	die("more than %zu ranges are mapped for the CPU", ARRAY_SIZE(ios));
}

static struct io **io_of(const void *at)
{
	struct io **io = &ios[((u64)at - IO_BASE) >> 48];

	CHECK((u64)at >= IO_BASE && io < ios + ARRAY_SIZE(ios) && *io);
	return io;
}

void iounmap(void *at)
{
	struct io **io = io_of(at);

	EQ((u64)at & (BIT(48) - 1), 0);
	kfree(*io);
	*io = NULL;
}

/* Byte by byte, none of them outside */
static u8 *io_byte(const void *at, size_t i)
{
	const struct io *io = *io_of(at);
	size_t offset = ((u64)at & (BIT(48) - 1)) + i;

	CHECK(offset < io->len);
	return shim_page(io->phys + offset) + offset_in_page(io->phys + offset);
}

void memcpy_toio(void *io, const void *from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		*io_byte(io, i) = ((const u8 *)from)[i];
}

void memcpy_fromio(void *to, const void *io, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((u8 *)to)[i] = *io_byte(io, i);
}

void memcpy_to_page(struct page *page, size_t offset, const void *from, size_t len)
{
	CHECK(offset + len <= PAGE_SIZE);
	memcpy(shim_page(page_to_phys(page)) + offset, from, len);
}

void memcpy_from_page(void *to, struct page *page, size_t offset, size_t len)
{
	CHECK(offset + len <= PAGE_SIZE);
	memcpy(to, shim_page(page_to_phys(page)) + offset, len);
}
