// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests for the way from a list of physical addresses to a scatterlist
 * between two real PCI devices. QEMU emulates harmless ones: ivshmem has a BAR
 * with nothing behind it that could break, edu imports. Nothing is transferred.
 *
 * dmabuf_kunit.p2p_route=WORD says which route this machine must take, as the
 * trace event dma_buf_map calls it, or "refused". dmabuf_kunit.faults=1 lets the
 * n-th allocation fail, for each n. It needs a set-up fault injection, so it is
 * off when suites run by themselves.
 */
#include <kunit/test.h>
#include <linux/dma-buf-cpu.h>
#include <linux/dma-buf-dal.h>
#include <linux/dma-buf-mapping.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/file.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/moduleparam.h>
#include <linux/pci.h>
#include <linux/pci-p2pdma.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "dma-buf-converter.h"

static char *p2p_route = "";
module_param(p2p_route, charp, 0444);
MODULE_PARM_DESC(p2p_route, "the way that this machine must take");

static bool faults;
module_param(faults, bool, 0644);
MODULE_PARM_DESC(faults, "let allocations fail, one at a time");

/* More than a scatterlist entry can express */
#define BEYOND_ENTRY	(4UL * SZ_1G + PAGE_SIZE)

struct bar {
	struct dma_buf_pal_source source;
	struct dma_buf *dmabuf;
	struct pci_dev *exporter, *importer;
	struct p2pdma_provider *provider;
	void *group;
	void *ram;
};

static void bar_release(struct dma_buf *dmabuf)
{
}

static int bar_match(struct dma_buf_match_args *args)
{
	const struct bar *bar = args->dmabuf->priv;
	const struct dma_buf_mapping_match offer =
		dma_buf_pal_source_offer(&bar->source);

	return dma_buf_match_mapping(args, &offer, 1);
}

static int bar_admit(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct bar *bar = dmabuf->priv;

	return dma_buf_pal_source_admit(&bar->source, attach);
}

static const struct dma_buf_ops bar_ops = {
	.attach = bar_admit,
	.match_mapping = bar_match,
	.release = bar_release,
};

static void bar_free(void *data)
{
	struct bar *bar = data;

	if (bar->dmabuf)
		__fput_sync(bar->dmabuf->file);
	if (bar->source.list)
		dma_buf_pal_source_destroy(&bar->source);
	/* Leave nothing at the device that its next driver would find */
	if (bar->group)
		devres_release_group(&bar->exporter->dev, bar->group);
	pci_dev_put(bar->exporter);
	pci_dev_put(bar->importer);
}

static struct bar *bar_find(struct kunit *test)
{
	struct bar *bar = kunit_kzalloc(test, sizeof(*bar), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, bar);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, bar_free, bar));
	bar->exporter = pci_get_device(0x1af4, 0x1110, NULL);
	bar->importer = pci_get_device(0x1234, 0x11e8, NULL);
	if (!bar->exporter || !bar->importer)
		kunit_skip(test, "needs QEMU's ivshmem and edu");
	if (bar->exporter->dev.driver || bar->importer->dev.driver)
		kunit_skip(test, "ivshmem or edu has a driver");
	return bar;
}

static void bar_provide(struct kunit *test, struct bar *bar)
{
	struct device *dev = &bar->importer->dev;

	bar->group = devres_open_group(&bar->exporter->dev, NULL, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bar->group);
	KUNIT_ASSERT_EQ(test, 0, pcim_p2pdma_init(bar->exporter));
	devres_close_group(&bar->exporter->dev, bar->group);
	bar->provider = pcim_p2pdma_provider(bar->exporter, 2);
	KUNIT_ASSERT_NOT_NULL(test, bar->provider);
	KUNIT_ASSERT_EQ(test, 0, dma_set_mask(dev, DMA_BIT_MASK(64)));
}

/* Pages of the BAR with holes between them; or one range that is too long */
static struct dma_buf_phys_list *bar_list(struct bar *bar, size_t count,
					  size_t len)
{
	struct phys_vec *phys;
	struct dma_buf_phys_list *list = dma_buf_phys_list_alloc(count, &phys);
	size_t i;

	if (!list)
		return NULL;
	for (i = 0; i < count; i++)
		phys[i] = (struct phys_vec) {
			.paddr = pci_resource_start(bar->exporter, 2) +
				 2 * i * len,
			.len = len,
		};
	return list;
}

static const struct dma_buf_tph bar_tph = {
	.tag = 0x1234, .hint = 2, .valid = true,
};

static struct bar *bar_new(struct kunit *test, size_t count, size_t len)
{
	struct bar *bar = bar_find(test);
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf_phys_list *list;
	int ret;

	bar_provide(test, bar);
	list = bar_list(bar, count, len);
	KUNIT_ASSERT_NOT_NULL(test, list);
	dma_buf_phys_list_set_tph(list, &bar_tph);
	ret = dma_buf_phys_list_seal(list, count * len, DMA_BUF_PHYS_MMIO,
				     bar->provider);
	/* From here on bar_free() frees it */
	dma_buf_pal_source_init(&bar->source, list, false);
	KUNIT_ASSERT_EQ(test, 0, ret);

	info.ops = &bar_ops;
	info.size = count * len;
	info.priv = bar;
	bar->dmabuf = dma_buf_export(&info);
	if (IS_ERR(bar->dmabuf))
		bar->dmabuf = NULL;
	KUNIT_ASSERT_NOT_NULL(test, bar->dmabuf);
	return bar;
}

static void bar_invalidate(struct dma_buf_attachment *attach)
{
}

static const struct dma_buf_attach_ops bar_importer_ops = {
	.allow_peer2peer = true,
	.invalidate_mappings = bar_invalidate,
};

static struct dma_buf_attachment *bar_attach(struct bar *bar)
{
	return dma_buf_sgt_dynamic_attach(bar->dmabuf, &bar->importer->dev,
					  &bar_importer_ops, bar);
}

/* The attachment, NULL where this machine must refuse it and does */
static struct dma_buf_attachment *bar_must_attach(struct kunit *test,
						  struct bar *bar)
{
	struct dma_buf_attachment *attach = bar_attach(bar);

	if (!strcmp(p2p_route, "refused")) {
		KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, PTR_ERR(attach));
		return NULL;
	}
	if (!p2p_route[0] && IS_ERR(attach))
		kunit_skip(test, "no way between ivshmem and edu");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	return attach;
}

static const char *route_word(enum dma_buf_p2p_route route)
{
	switch (route) {
	case DMA_BUF_P2P_BUS_ADDRESS:
		return "bus-address";
	case DMA_BUF_P2P_HOST_BRIDGE_IOVA:
		return "host-bridge-iova";
	case DMA_BUF_P2P_HOST_BRIDGE_PHYS:
		return "host-bridge-phys";
	default:
		return "none";
	}
}

static bool is_one_piece(const struct dma_buf_attachment *attach)
{
	return attach->map_type.sgt_data.p2p_route ==
	       DMA_BUF_P2P_HOST_BRIDGE_IOVA;
}

/* Every byte once: in one piece of IOVA, or range by range */
static void check_sgt(struct kunit *test, struct bar *bar,
		      struct dma_buf_attachment *attach, struct sg_table *sgt)
{
	struct dma_buf_phys_list *list = bar->source.list;
	struct scatterlist *sgl;
	size_t total = 0;
	int i;

	for_each_sgtable_dma_sg(sgt, sgl, i) {
		if (is_one_piece(attach))
			KUNIT_EXPECT_EQ(test, sg_dma_address(sgt->sgl) + total,
					sg_dma_address(sgl));
		else if (list->count > 1)
			KUNIT_EXPECT_EQ(test, list->phys[i].paddr +
					bar->provider->bus_offset,
					sg_dma_address(sgl));
		total += sg_dma_len(sgl);
	}
	KUNIT_EXPECT_EQ(test, bar->dmabuf->size, total);
}

static void check_place(struct kunit *test, struct bar *bar,
			const struct dma_buf_attachment *attach)
{
	struct dma_buf_place place;

	dma_resv_lock(bar->dmabuf->resv, NULL);
	dma_buf_sgt_place(attach, &place);
	dma_resv_unlock(bar->dmabuf->resv);
	KUNIT_EXPECT_EQ(test, DMA_BUF_MEMORY_PEER, place.memory);
	KUNIT_EXPECT_EQ(test, attach->map_type.sgt_data.p2p_route, place.route);
	KUNIT_EXPECT_PTR_EQ(test, bar->exporter, place.peer);
	KUNIT_EXPECT_EQ(test, dev_to_node(&bar->exporter->dev), place.node);
	KUNIT_EXPECT_EQ(test, bar_tph.tag, place.tph.tag);
	KUNIT_EXPECT_EQ(test, bar_tph.hint, place.tph.hint);
	KUNIT_EXPECT_TRUE(test, place.tph.valid);
}

static struct sg_table *bar_map(struct dma_buf_attachment *attach)
{
	return dma_buf_sgt_map_attachment_unlocked(attach, DMA_BIDIRECTIONAL);
}

static void bar_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt)
{
	dma_buf_sgt_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);
}

static void map_ranges(struct kunit *test, size_t count, size_t len)
{
	struct bar *bar = bar_new(test, count, len);
	struct dma_buf_attachment *attach = bar_must_attach(test, bar);
	struct sg_table *sgt;

	if (!attach)
		return;
	/* Twice: what the first one leaves behind meets the second one */
	for (int i = 0; i < 2; i++) {
		sgt = bar_map(attach);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, sgt);
		if (p2p_route[0])
			KUNIT_EXPECT_STREQ(test, p2p_route,
					   route_word(attach->map_type.sgt_data.p2p_route));
		check_sgt(test, bar, attach, sgt);
		check_place(test, bar, attach);
		bar_unmap(attach, sgt);
	}
	dma_buf_detach(bar->dmabuf, attach);
}

static enum pci_p2pdma_map_type bar_route(const struct bar *bar)
{
	return pci_p2pdma_route(bar->exporter, &bar->importer->dev);
}

/* The same with and without a provider, and what the machine is made for */
static void test_route(struct kunit *test)
{
	struct bar *bar = bar_find(test);
	enum pci_p2pdma_map_type before = bar_route(bar);

	if (!strcmp(p2p_route, "refused"))
		KUNIT_EXPECT_EQ(test, PCI_P2PDMA_MAP_NOT_SUPPORTED, before);
	else if (!strcmp(p2p_route, "bus-address"))
		KUNIT_EXPECT_EQ(test, PCI_P2PDMA_MAP_BUS_ADDR, before);
	else if (p2p_route[0])
		KUNIT_EXPECT_EQ(test, PCI_P2PDMA_MAP_THRU_HOST_BRIDGE, before);

	bar_provide(test, bar);
	KUNIT_EXPECT_EQ(test, before, bar_route(bar));
	/* Again, from the provider's cache */
	KUNIT_EXPECT_EQ(test, before, bar_route(bar));
}

static void test_route_of_no_pci_device(struct kunit *test)
{
	struct bar *bar = bar_find(test);
	struct device dev = {};

	KUNIT_EXPECT_EQ(test, PCI_P2PDMA_MAP_NOT_SUPPORTED,
			pci_p2pdma_route(bar->exporter, &dev));
}

static void test_one_range(struct kunit *test)
{
	map_ranges(test, 1, PAGE_SIZE);
}

/* Stock Linux 7.3 links every range at offset 0: EADDRINUSE from the second on */
static void test_three_ranges(struct kunit *test)
{
	map_ranges(test, 3, PAGE_SIZE);
}

static void test_64_ranges(struct kunit *test)
{
	map_ranges(test, 64, PAGE_SIZE);
}

static void test_beyond_one_entry(struct kunit *test)
{
	map_ranges(test, 1, BEYOND_ENTRY);
}

/* ---- DAL ---- */

static const struct dma_buf_attach_ops bar_ram_ops = {
	.invalidate_mappings = bar_invalidate,
};

static struct dma_buf_attachment *bar_attach_dal(struct bar *bar, u8 accepts)
{
	const struct dma_buf_mapping_match request =
		DMA_BUF_IMAPPING_DAL(&bar->importer->dev, accepts);
	const bool peers = accepts & DMA_BUF_DAL_PEER;

	return dma_buf_mapping_attach(bar->dmabuf, &request, 1,
				      peers ? &bar_importer_ops : &bar_ram_ops,
				      bar);
}

static int bar_map_dal(struct dma_buf_attachment *attach,
		       struct dma_buf_dal *dal, size_t offset, size_t size)
{
	int ret;

	dma_resv_lock(attach->dmabuf->resv, NULL);
	ret = dma_buf_dal_map(attach, dal, offset, size, DMA_BIDIRECTIONAL);
	dma_resv_unlock(attach->dmabuf->resv);
	return ret;
}

static void bar_unmap_dal(struct dma_buf_dal *dal)
{
	struct dma_buf *dmabuf = dal->attach->dmabuf;

	dma_resv_lock(dmabuf->resv, NULL);
	dma_buf_dal_unmap(dal);
	dma_resv_unlock(dmabuf->resv);
}

static phys_addr_t translate(const struct dma_buf_dal *dal, dma_addr_t addr)
{
	return iommu_iova_to_phys(iommu_get_domain_for_dev(dal->dev), addr);
}

/* Each stretch of the exporter's memory, asked from the IOMMU: its two ends */
static void check_iova(struct kunit *test, const struct dma_buf_dal *dal,
		       struct dma_buf_phys_iter *phys, dma_addr_t addr, size_t len)
{
	phys_addr_t paddr;
	size_t part;

	for (; len; len -= part, addr += part) {
		part = dma_buf_phys_iter_next(phys, len, &paddr);
		KUNIT_ASSERT_NE(test, 0, part);
		KUNIT_ASSERT_EQ(test, paddr, translate(dal, addr));
		KUNIT_ASSERT_EQ(test, paddr + part - 1,
				translate(dal, addr + part - 1));
	}
}

/* In one piece of IOVA, or where the range is; never more than is left */
static void check_dal(struct kunit *test, struct bar *bar,
		      const struct dma_buf_dal *dal, size_t max)
{
	struct dma_buf_phys_list *list = bar->source.list;
	const struct dma_buf_place *place;
	struct dma_buf_dal_iter iter;
	struct dma_buf_phys_iter phys;
	dma_addr_t addr, first = 0;
	size_t done = 0, len;
	phys_addr_t paddr;

	dma_buf_dal_start(dal, 0, &iter);
	place = dma_buf_dal_place(&iter);
	while ((len = dma_buf_dal_next(&iter, max, &addr))) {
		first = first ?: addr;
		KUNIT_ASSERT_EQ(test, 0,
				dma_buf_phys_list_seek(list, dal->offset + done,
						       &phys));
		if (place->route == DMA_BUF_P2P_HOST_BRIDGE_IOVA) {
			KUNIT_ASSERT_EQ(test, first + done, addr);
			check_iova(test, dal, &phys, addr, len);
		} else {
			KUNIT_ASSERT_EQ(test, len,
					dma_buf_phys_iter_next(&phys, len, &paddr));
			KUNIT_ASSERT_EQ(test, paddr + bar->provider->bus_offset,
					addr);
		}
		done += len;
	}
	KUNIT_EXPECT_EQ(test, dal->size, done);
	KUNIT_EXPECT_EQ(test, DMA_BUF_MEMORY_PEER, place->memory);
	KUNIT_EXPECT_PTR_EQ(test, bar->exporter, place->peer);
	KUNIT_EXPECT_EQ(test, bar_tph.tag, place->tph.tag);
}

/* The attachment, NULL where this machine must refuse it and does */
static struct dma_buf_attachment *dal_must_attach(struct kunit *test,
						  struct bar *bar)
{
	struct dma_buf_attachment *attach = bar_attach_dal(bar, DMA_BUF_DAL_ANY);

	if (!strcmp(p2p_route, "refused")) {
		KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, PTR_ERR(attach));
		return NULL;
	}
	if (!p2p_route[0] && IS_ERR(attach))
		kunit_skip(test, "no way between ivshmem and edu");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_TRUE(test, dma_buf_dal_may_be_peer(attach));
	return attach;
}

static void one_slice(struct kunit *test, struct dma_buf_attachment *attach,
		      size_t offset, size_t size, size_t max)
{
	struct bar *bar = attach->importer_priv;
	struct dma_buf_dal dal;

	KUNIT_ASSERT_EQ(test, 0, bar_map_dal(attach, &dal, offset, size));
	if (p2p_route[0])
		KUNIT_EXPECT_STREQ(test, p2p_route, route_word(dal.place.route));
	check_dal(test, bar, &dal, SIZE_MAX);
	check_dal(test, bar, &dal, max);
	bar_unmap_dal(&dal);
}

static void test_dal_slices(struct kunit *test)
{
	struct bar *bar = bar_new(test, 65, PAGE_SIZE);
	struct dma_buf_attachment *attach = dal_must_attach(test, bar);
	struct rnd_state rnd;

	if (!attach)
		return;
	prandom_seed_state(&rnd, 1);
	for (int i = 0; i < 500; i++) {
		size_t offset = prandom_u32_state(&rnd) % bar->dmabuf->size;
		size_t size = bar->dmabuf->size - offset;

		if (i % 8)
			size = 1 + prandom_u32_state(&rnd) % size;
		one_slice(test, attach, offset, size, 1000 + i);
	}
	dma_buf_detach(bar->dmabuf, attach);
}

static void test_dal_beyond_4g(struct kunit *test)
{
	struct bar *bar = bar_new(test, 1, BEYOND_ENTRY);
	struct dma_buf_attachment *attach = dal_must_attach(test, bar);

	if (!attach)
		return;
	one_slice(test, attach, 0, BEYOND_ENTRY, SZ_16M + 1);
	one_slice(test, attach, 4UL * SZ_1G - 1, PAGE_SIZE + 1, PAGE_SIZE);
	dma_buf_detach(bar->dmabuf, attach);
}

/* An importer that wants one route gets it, or a refusal */
static void test_dal_routes(struct kunit *test)
{
	static const u8 accepts[] = {
		DMA_BUF_DAL_RAM, DMA_BUF_DAL_BUS_ADDRESS, DMA_BUF_DAL_HOST_BRIDGE,
	};
	struct bar *bar = bar_new(test, 3, PAGE_SIZE);
	enum pci_p2pdma_map_type route = bar_route(bar);

	for (int i = 0; i < ARRAY_SIZE(accepts); i++) {
		bool fits = (route == PCI_P2PDMA_MAP_BUS_ADDR && i == 1) ||
			    (route == PCI_P2PDMA_MAP_THRU_HOST_BRIDGE && i == 2);
		struct dma_buf_attachment *attach =
			bar_attach_dal(bar, accepts[i]);

		KUNIT_EXPECT_EQ(test, fits ? 0 : -EOPNOTSUPP,
				PTR_ERR_OR_ZERO(attach));
		if (!IS_ERR(attach))
			dma_buf_detach(bar->dmabuf, attach);
	}
}

/* ---- A buffer that its exporter has moved to RAM, as amdgpu and xe do ---- */

static struct sg_table *moved_map(struct dma_buf_attachment *attach,
				  enum dma_data_direction dir)
{
	struct bar *bar = attach->dmabuf->priv;
	struct sg_table *sgt = kzalloc_obj(*sgt);

	if (!sgt || sg_alloc_table(sgt, 1, GFP_KERNEL))
		goto err_free;
	sg_set_buf(sgt->sgl, bar->ram, PAGE_SIZE);
	if (!dma_map_sgtable(dma_buf_sgt_dma_device(attach), sgt, dir, 0))
		return sgt;
	sg_free_table(sgt);
err_free:
	kfree(sgt);
	return ERR_PTR(-ENOMEM);
}

static void moved_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
			enum dma_data_direction dir)
{
	dma_unmap_sgtable(dma_buf_sgt_dma_device(attach), sgt, dir, 0);
	sg_free_table(sgt);
	kfree(sgt);
}

static const struct dma_buf_mapping_sgt_exp_ops moved_sgt_ops = {
	.map_dma_buf = moved_map,
	.unmap_dma_buf = moved_unmap,
};

static int moved_match(struct dma_buf_match_args *args)
{
	const struct bar *bar = args->dmabuf->priv;
	const struct dma_buf_mapping_match offer =
		DMA_BUF_EMAPPING_SGT_P2P(&moved_sgt_ops, bar->exporter);

	return dma_buf_match_mapping(args, &offer, 1);
}

static const struct dma_buf_ops moved_ops = {
	.match_mapping = moved_match,
	.release = bar_release,
};

static void check_unknown(struct kunit *test, const struct dma_buf_place *place)
{
	KUNIT_EXPECT_EQ(test, DMA_BUF_MEMORY_UNKNOWN, place->memory);
	KUNIT_EXPECT_EQ(test, DMA_BUF_P2P_NO_ROUTE, place->route);
	KUNIT_EXPECT_EQ(test, NUMA_NO_NODE, place->node);
	KUNIT_EXPECT_NULL(test, place->peer);
}

static struct bar *moved_new(struct kunit *test)
{
	struct bar *bar = bar_new(test, 1, PAGE_SIZE);

	bar->ram = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bar->ram);
	bar->dmabuf->ops = &moved_ops;
	return bar;
}

/* The offer was made for MMIO; nobody may conclude that this is what is mapped */
static void test_place_of_moved(struct kunit *test)
{
	struct bar *bar = moved_new(test);
	struct dma_buf_attachment *attach = bar_must_attach(test, bar);
	struct dma_buf_place place;
	struct sg_table *sgt;

	if (!attach)
		return;
	sgt = bar_map(attach);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, sgt);
	dma_resv_lock(bar->dmabuf->resv, NULL);
	dma_buf_sgt_place(attach, &place);
	dma_resv_unlock(bar->dmabuf->resv);
	check_unknown(test, &place);
	bar_unmap(attach, sgt);
	dma_buf_detach(bar->dmabuf, attach);
}

static void test_dal_place_of_moved(struct kunit *test)
{
	struct bar *bar = moved_new(test);
	struct dma_buf_attachment *attach = dal_must_attach(test, bar);
	struct dma_buf_dal_iter iter;
	struct dma_buf_dal dal;

	if (!attach)
		return;
	KUNIT_ASSERT_EQ(test, 0, bar_map_dal(attach, &dal, 0, PAGE_SIZE));
	dma_buf_dal_start(&dal, 0, &iter);
	check_unknown(test, dma_buf_dal_place(&iter));
	bar_unmap_dal(&dal);
	dma_buf_detach(bar->dmabuf, attach);
}

/* ---- CPU: the same bytes as through the BAR itself ---- */

static void check_bar(struct kunit *test, struct bar *bar, const u8 *shadow)
{
	const struct dma_buf_phys_list *list = bar->source.list;
	u8 *mem = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	void __iomem *io;

	KUNIT_ASSERT_NOT_NULL(test, mem);
	for (size_t i = 0; i < list->count; i++) {
		io = ioremap(list->phys[i].paddr, PAGE_SIZE);
		KUNIT_ASSERT_NOT_NULL(test, (void __force *)io);
		memcpy_fromio(mem, io, PAGE_SIZE);
		iounmap(io);
		KUNIT_EXPECT_MEMEQ(test, shadow + i * PAGE_SIZE, mem, PAGE_SIZE);
	}
}

static void test_cpu_bar(struct kunit *test)
{
	const struct dma_buf_mapping_match request = DMA_BUF_IMAPPING_CPU();
	const size_t size = 3 * PAGE_SIZE;
	struct bar *bar = bar_new(test, 3, PAGE_SIZE);
	u8 *shadow = kunit_kzalloc(test, size, GFP_KERNEL);
	struct dma_buf_attachment *attach;
	struct dma_buf_cpu cpu;

	KUNIT_ASSERT_NOT_NULL(test, shadow);
	attach = dma_buf_mapping_attach(bar->dmabuf, &request, 1,
					&bar_importer_ops, bar);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	dma_resv_lock(bar->dmabuf->resv, NULL);
	KUNIT_ASSERT_EQ(test, 0, dma_buf_cpu_map(attach, &cpu));
	dma_resv_unlock(bar->dmabuf->resv);

	get_random_bytes(shadow, size);
	KUNIT_EXPECT_EQ(test, 0, dma_buf_cpu_copy(&cpu, 0, shadow, size, true));
	check_bar(test, bar, shadow);
	/* From the end of a range to the beginning of the next one */
	get_random_bytes(shadow + PAGE_SIZE - 5, 11);
	KUNIT_EXPECT_EQ(test, 0,
			dma_buf_cpu_copy(&cpu, PAGE_SIZE - 5,
					 shadow + PAGE_SIZE - 5, 11, true));
	check_bar(test, bar, shadow);

	dma_resv_lock(bar->dmabuf->resv, NULL);
	dma_buf_cpu_unmap(&cpu);
	dma_resv_unlock(bar->dmabuf->resv);
	dma_buf_detach(bar->dmabuf, attach);
}

/*
 * More than 32 bits of IOVA for a device that has no more: this fails in one
 * piece, then goes range by range until one is too many. DMA-API debugging
 * checks that the ranges before it are unmapped, and no others.
 */
static void test_unwinds_half_way(struct kunit *test)
{
	struct bar *bar = bar_new(test, 5, SZ_1G);
	struct dma_buf_attachment *attach;

	if (strcmp(p2p_route, "host-bridge-iova"))
		kunit_skip(test, "needs an IOMMU between ivshmem and edu");
	KUNIT_ASSERT_EQ(test, 0,
			dma_set_mask(&bar->importer->dev, DMA_BIT_MASK(32)));
	attach = bar_must_attach(test, bar);
	KUNIT_ASSERT_NOT_NULL(test, attach);
	for (int i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, -ENOMEM, PTR_ERR(bar_map(attach)));
	KUNIT_EXPECT_EQ(test, 1, kref_read(&bar->source.kref));
	dma_buf_detach(bar->dmabuf, attach);
}

/* ---- Each allocation on the way fails once ---- */

/* Attach, map, unmap, detach; the address tells whether an IOVA was left behind */
static int whole_way(struct bar *bar, dma_addr_t *address)
{
	struct dma_buf_attachment *attach = bar_attach(bar);
	struct sg_table *sgt;
	int ret = 0;

	if (IS_ERR(attach))
		return PTR_ERR(attach);

	sgt = bar_map(attach);
	if (IS_ERR(sgt)) {
		ret = PTR_ERR(sgt);
	} else {
		*address = sg_dma_address(sgt->sgl);
		bar_unmap(attach, sgt);
	}
	dma_buf_detach(bar->dmabuf, attach);
	return ret;
}

/* The same for an importer of DAL */
static int whole_way_dal(struct bar *bar, dma_addr_t *address)
{
	struct dma_buf_attachment *attach = bar_attach_dal(bar, DMA_BUF_DAL_ANY);
	struct dma_buf_dal dal;
	struct dma_buf_dal_iter iter;
	int ret;

	if (IS_ERR(attach))
		return PTR_ERR(attach);

	ret = bar_map_dal(attach, &dal, 0, bar->dmabuf->size);
	if (!ret) {
		dma_buf_dal_start(&dal, 0, &iter);
		dma_buf_dal_next(&iter, 1, address);
		bar_unmap_dal(&dal);
	}
	dma_buf_detach(bar->dmabuf, attach);
	return ret;
}

typedef int (*way_fn)(struct bar *bar, dma_addr_t *address);

#ifdef CONFIG_FAULT_INJECTION
/* Returns true when there was no n-th allocation any more */
static bool fail_once(struct bar *bar, way_fn way, unsigned int nth, int *ret)
{
	unsigned int left;
	dma_addr_t unused;

	current->fail_nth = nth;
	*ret = way(bar, &unused);
	left = current->fail_nth;
	current->fail_nth = 0;
	return left;
}
#else
static bool fail_once(struct bar *bar, way_fn way, unsigned int nth, int *ret)
{
	*ret = 0;
	return true;
}
#endif

static void sweep_way(struct kunit *test, way_fn way, unsigned int least,
		      size_t count, size_t len)
{
	struct bar *bar = bar_new(test, count, len);
	unsigned int nth, failed = 0;
	dma_addr_t first, address;
	int ret;

	if (!faults)
		kunit_skip(test, "dmabuf_kunit.faults is off");
	if (way(bar, &first))
		kunit_skip(test, "no way between ivshmem and edu");

	for (nth = 1; !fail_once(bar, way, nth, &ret); nth++) {
		KUNIT_ASSERT_LT(test, nth, 1000);
		/* With another way out, like an IOVA cache, it may succeed */
		KUNIT_EXPECT_TRUE(test, !ret || ret == -ENOMEM);
		failed += !!ret;
		KUNIT_EXPECT_EQ(test, 1, kref_read(&bar->source.kref));
		KUNIT_EXPECT_TRUE(test, list_empty(&bar->dmabuf->attachments));
		KUNIT_ASSERT_EQ(test, 0, way(bar, &address));
		KUNIT_EXPECT_EQ(test, first, address);
	}
	KUNIT_EXPECT_EQ(test, 0, ret);
	KUNIT_EXPECT_GE(test, failed, least);
	kunit_info(test, "%u faults, %u of them failed the call", nth - 1,
		   failed);
}

static void sweep(struct kunit *test, size_t count, size_t len)
{
	sweep_way(test, whole_way, 4, count, len);
}

/*
 * Only the allocation of the attachment has to fail the call. A bus address takes
 * no other memory, and the DMA API may have another way out, such as an IOVA that
 * is cached.
 */
static void test_faults_dal_one_range(struct kunit *test)
{
	sweep_way(test, whole_way_dal, 1, 1, PAGE_SIZE);
}

static void test_faults_dal_200_ranges(struct kunit *test)
{
	sweep_way(test, whole_way_dal, 1, 200, PAGE_SIZE);
}

static void test_faults_dal_beyond_4g(struct kunit *test)
{
	sweep_way(test, whole_way_dal, 1, 1, BEYOND_ENTRY);
}

static void test_faults_one_range(struct kunit *test)
{
	sweep(test, 1, PAGE_SIZE);
}

static void test_faults_three_ranges(struct kunit *test)
{
	sweep(test, 3, PAGE_SIZE);
}

/* Enough that the scatterlist needs more than one page */
static void test_faults_200_ranges(struct kunit *test)
{
	sweep(test, 200, PAGE_SIZE);
}

static void test_faults_beyond_one_entry(struct kunit *test)
{
	sweep(test, 1, BEYOND_ENTRY);
}

static struct kunit_case dma_buf_p2p_cases[] = {
	KUNIT_CASE(test_route),
	KUNIT_CASE(test_route_of_no_pci_device),
	KUNIT_CASE(test_one_range),
	KUNIT_CASE(test_three_ranges),
	KUNIT_CASE(test_64_ranges),
	KUNIT_CASE(test_beyond_one_entry),
	KUNIT_CASE(test_dal_slices),
	KUNIT_CASE(test_dal_beyond_4g),
	KUNIT_CASE(test_dal_routes),
	KUNIT_CASE(test_place_of_moved),
	KUNIT_CASE(test_dal_place_of_moved),
	KUNIT_CASE(test_cpu_bar),
	KUNIT_CASE(test_unwinds_half_way),
	KUNIT_CASE(test_faults_one_range),
	KUNIT_CASE(test_faults_three_ranges),
	KUNIT_CASE(test_faults_200_ranges),
	KUNIT_CASE(test_faults_beyond_one_entry),
	KUNIT_CASE(test_faults_dal_one_range),
	KUNIT_CASE(test_faults_dal_200_ranges),
	KUNIT_CASE(test_faults_dal_beyond_4g),
	{}
};

static struct kunit_suite dma_buf_p2p_suite = {
	.name = "dma-buf-p2p",
	.test_cases = dma_buf_p2p_cases,
};

kunit_test_suites(&dma_buf_p2p_suite);
