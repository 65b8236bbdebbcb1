// SPDX-License-Identifier: GPL-2.0-only
/*
 * Importers and exporters that do what they must not: each call is refused, and
 * warns. And the lock: without it, each call dies.
 */
#include "test.h"
#include <linux/dma-buf-dal.h>

static struct dma_resv resv;
static struct dma_buf dmabuf;
static struct dma_buf_attachment attach;
static struct device dev;
static struct dma_buf_phys_list two_pages;
static struct dma_buf_pal_source source;
static struct sg_table table;
static void *exporter_returns;
static enum dma_buf_p2p_route records;	/* what the exporter's map does */
static int unmapped;

static struct sg_table *sgt_map(struct dma_buf_attachment *to, enum dma_data_direction dir)
{
	CHECK(to == &attach);
	EQ(dir, DMA_TO_DEVICE);
	if (records)
		to->map_type.sgt_data.p2p_route = records;
	return exporter_returns;
}

static void sgt_unmap(struct dma_buf_attachment *to, struct sg_table *what,
		      enum dma_data_direction dir)
{
	CHECK(to == &attach && what == &table);
	EQ(dir, DMA_TO_DEVICE);
	unmapped++;
}

static const struct dma_buf_mapping_sgt_exp_ops sgt_ops = {
	.map_dma_buf = sgt_map, .unmap_dma_buf = sgt_unmap };

static const struct dma_buf_ops no_ops;
static const struct dma_buf_attach_ops dynamic;

static void begin(bool pal)
{
	unmapped = 0;
	records = DMA_BUF_P2P_NO_ROUTE;
	resv.lock.base = true;
	dev = (struct device){ .name = "dev", .is_pci = true };
	dmabuf = (struct dma_buf){ .resv = &resv, .size = 2 * PAGE_SIZE, .ops = &no_ops };
	attach = (struct dma_buf_attachment){ .dmabuf = &dmabuf, .importer_ops = &dynamic };
	if (pal) {
		two_pages = (struct dma_buf_phys_list){ .size = dmabuf.size, .count = 1 };
		dma_buf_pal_source_init(&source, &two_pages, false);
		attach.map_type = dma_buf_pal_source_offer(&source);
	} else {
		attach.map_type = DMA_BUF_EMAPPING_SGT(&sgt_ops);
		attach.map_type.sgt_data.importing_dma_device = &dev;
	}
}

static void end(void)
{
	resv.lock.base = false;
}

static void test_pal_bad_arguments(void)
{
	begin(true);
	shim.may_warn = 5;
	EQ(PTR_ERR(dma_buf_pal_map_phys(NULL)), -EINVAL);
	dma_buf_pal_unmap_phys(NULL, &two_pages);
	dma_buf_pal_unmap_phys(&attach, NULL);
	attach.dmabuf = NULL;
	EQ(PTR_ERR(dma_buf_pal_map_phys(&attach)), -EINVAL);
	dma_buf_pal_unmap_phys(&attach, (void *)&table);
	EQ(unmapped, 0);
	end();
}

static void test_sgt_bad_arguments(void)
{
	shim.may_warn = 10;
	begin(false);
	end();
	EQ(PTR_ERR(dma_buf_sgt_map_attachment(NULL, DMA_TO_DEVICE)), -EINVAL);
	EQ(PTR_ERR(dma_buf_sgt_map_attachment_unlocked(NULL, DMA_TO_DEVICE)), -EINVAL);
	dma_buf_sgt_unmap_attachment(NULL, &table, DMA_TO_DEVICE);
	dma_buf_sgt_unmap_attachment(&attach, NULL, DMA_TO_DEVICE);
	dma_buf_sgt_unmap_attachment_unlocked(NULL, &table, DMA_TO_DEVICE);
	dma_buf_sgt_unmap_attachment_unlocked(&attach, NULL, DMA_TO_DEVICE);
	attach.dmabuf = NULL;
	EQ(PTR_ERR(dma_buf_sgt_map_attachment(&attach, DMA_TO_DEVICE)), -EINVAL);
	EQ(PTR_ERR(dma_buf_sgt_map_attachment_unlocked(&attach, DMA_TO_DEVICE)), -EINVAL);
	dma_buf_sgt_unmap_attachment(&attach, &table, DMA_TO_DEVICE);
	dma_buf_sgt_unmap_attachment_unlocked(&attach, &table, DMA_TO_DEVICE);
	EQ(unmapped, 0);
}

static void test_other_type(void)
{
	struct dma_buf_place place;

	shim.may_warn = 6;
	begin(true);
	EQ(PTR_ERR(dma_buf_sgt_map_attachment(&attach, DMA_TO_DEVICE)), -EINVAL);
	dma_buf_sgt_place(&attach, &place);
	EQ(place.memory, DMA_BUF_MEMORY_UNKNOWN);
	dma_buf_sgt_place(NULL, &place);
	EQ(place.node, NUMA_NO_NODE);
	dma_buf_sgt_unmap_attachment(&attach, &table, DMA_TO_DEVICE);
	CHECK(!dma_buf_sgt_dma_device(&attach) && !dma_buf_sgt_p2p_allowed(&attach));
	begin(false);
	EQ(PTR_ERR(dma_buf_pal_map_phys(&attach)), -EINVAL);
	dma_buf_pal_unmap_phys(&attach, (void *)&table);
	EQ(unmapped, 0);
	end();
}

/* ---- DAL ---- */

static struct dma_buf_dal dal;

/* Of a scatterlist with these lengths, as a converter has attached it */
static void begin_dal(const unsigned int *lens, unsigned int n)
{
	static struct scatterlist sg[4];

	begin(false);
	for (unsigned int i = 0; i < 4; i++)
		sg[i] = (struct scatterlist){ .dma_address = 64 + i, .next = i < 3 ? &sg[i + 1] : NULL };
	for (unsigned int i = 0; i < n; i++)
		sg[i].dma_length = lens[i];
	table = (struct sg_table){ .sgl = sg, .nents = n, .orig_nents = n };
	exporter_returns = &table;
	attach.converted = attach.map_type.exp_ops;
	attach.map_type.type = &dma_buf_mapping_dal_type;
	attach.map_type.exp_ops = dma_buf_sgt_to_dal.ops;
}

static int map_dal(size_t offset, size_t size)
{
	return dma_buf_dal_map(&attach, &dal, offset, size, DMA_TO_DEVICE);
}

static void test_dal_bad_arguments(void)
{
	begin_dal((unsigned int[]){ 2 * PAGE_SIZE }, 1);
	shim.may_warn = 10;
	EQ(dma_buf_dal_map(NULL, &dal, 0, 1, DMA_TO_DEVICE), -EINVAL);
	EQ(dma_buf_dal_map_for(NULL, &dal, &dev, 0, 1, DMA_TO_DEVICE), -EINVAL);
	EQ(dma_buf_dal_map(&attach, NULL, 0, 1, DMA_TO_DEVICE), -EINVAL);
	EQ(dma_buf_dal_map_for(&attach, &dal, NULL, 0, 1, DMA_TO_DEVICE), -EINVAL);
	EQ(dma_buf_dal_map(&attach, &dal, 0, 1, DMA_NONE), -EINVAL);
	dma_buf_dal_unmap(NULL);
	EQ(map_dal(0, 1), 0);
	dma_buf_dal_unmap(&dal);
	/* Once is enough */
	dma_buf_dal_unmap(&dal);
	EQ(unmapped, 1);
	attach.dmabuf = NULL;
	EQ(map_dal(0, 1), -EINVAL);
	begin(false);
	EQ(dma_buf_dal_map_for(&attach, &dal, &dev, 0, 1, DMA_TO_DEVICE), -EINVAL);
	EQ(map_dal(0, 1), -EINVAL);
	CHECK(!dma_buf_dal_device(&attach) && !dma_buf_dal_may_be_peer(&attach));
	end();
}

/* Tables that do not cover the slice, or not in a way that can be walked */
static void test_dal_bad_exporter(void)
{
	begin_dal((unsigned int[]){ PAGE_SIZE, 0, PAGE_SIZE }, 3);
	shim.traced = true;
	EQ(map_dal(0, PAGE_SIZE), 0);
	dma_buf_dal_unmap(&dal);
	shim.nr_events = 0;
	EQ(map_dal(0, PAGE_SIZE + 1), -EOPNOTSUPP);
	EQ(strcmp(shim.events[0].verdict, "no-addresses"), 0);
	EQ(unmapped, 2);
	/* A stub */
	begin_dal(NULL, 0);
	EQ(map_dal(0, 1), -EOPNOTSUPP);
	EQ(unmapped, 1);
	begin_dal((unsigned int[]){ PAGE_SIZE, PAGE_SIZE - 1 }, 2);
	EQ(map_dal(PAGE_SIZE, PAGE_SIZE), -EOPNOTSUPP);
	EQ(unmapped, 1);
	EQ(map_dal(PAGE_SIZE, PAGE_SIZE - 1), 0);
	dma_buf_dal_unmap(&dal);
	exporter_returns = NULL;
	EQ(map_dal(0, 1), -ENOMEM);
	exporter_returns = ERR_PTR(-EIO);
	EQ(map_dal(0, 1), -EIO);
	CHECK(!dal.attach);
	CHECK(!strcmp(shim.told.name, "DAL") && !strcmp(shim.told.verdict, "map-failed"));
	EQ(shim.told.err, -EIO);
	EQ(unmapped, 2);
	end();
}

/* One table, which a second map would map over the first one */
static void test_dal_one_mapping(void)
{
	struct dma_buf_dal second;

	begin_dal((unsigned int[]){ 2 * PAGE_SIZE }, 1);
	shim.traced = true;
	EQ(map_dal(0, PAGE_SIZE), 0);
	exporter_returns = ERR_PTR(-EIO);	/* which nobody asks for */
	shim.nr_events = 0;
	EQ(dma_buf_dal_map(&attach, &second, PAGE_SIZE, 1, DMA_TO_DEVICE), -EBUSY);
	EQ(strcmp(shim.events[0].verdict, "one-mapping"), 0);
	CHECK(!second.attach);
	dma_buf_dal_unmap(&dal);
	/* A map that fails is none */
	EQ(map_dal(0, 1), -EIO);
	exporter_returns = &table;
	EQ(map_dal(0, 1), 0);
	dma_buf_dal_unmap(&dal);
	end();
}

/* The buffer was MMIO at the attach, and in RAM when it was mapped */
static void test_moved_to_ram(void)
{
	struct dma_buf_dal_iter iter;
	struct dma_buf_place place;
	struct pci_dev peer = { .dev = { .name = "peer", .is_pci = true, .node = 1 } };

	begin_dal((unsigned int[]){ 2 * PAGE_SIZE }, 1);
	shim.traced = true;
	attach.map_type.sgt_data.exporting_p2p_device = &peer;
	attach.map_type.sgt_data.exporter_requires_p2p = DMA_SGT_EXPORTER_REQUIRES_P2P_DISTANCE;
	/* What another map has recorded */
	attach.map_type.sgt_data.p2p_route = DMA_BUF_P2P_BUS_ADDRESS;
	EQ(map_dal(0, 1), 0);
	EQ(strcmp(shim.events[shim.nr_events - 1].verdict, "allowed"), 0);
	dma_buf_dal_start(&dal, 0, &iter);
	place = *dma_buf_dal_place(&iter);
	EQ(place.memory, DMA_BUF_MEMORY_UNKNOWN);
	CHECK(!place.peer && place.node == NUMA_NO_NODE && !place.route);
	dma_buf_dal_unmap(&dal);

	attach.map_type.type = &dma_buf_mapping_sgt_type;
	attach.map_type.exp_ops = attach.converted;
	attach.converted = NULL;
	CHECK(dma_buf_sgt_map_attachment(&attach, DMA_TO_DEVICE) == &table);
	dma_buf_sgt_place(&attach, &place);
	EQ(place.memory, DMA_BUF_MEMORY_UNKNOWN);
	CHECK(!place.peer && place.node == NUMA_NO_NODE && !place.route);
	dma_buf_sgt_unmap_attachment(&attach, &table, DMA_TO_DEVICE);
	end();
}

/* A route without an offer that names the peer is about nobody */
static void test_route_of_nobody(void)
{
	struct dma_buf_dal_iter iter;

	begin_dal((unsigned int[]){ 2 * PAGE_SIZE }, 1);
	records = DMA_BUF_P2P_HOST_BRIDGE_PHYS;
	EQ(map_dal(0, 1), 0);
	dma_buf_dal_start(&dal, 0, &iter);
	EQ(dma_buf_dal_place(&iter)->memory, DMA_BUF_MEMORY_UNKNOWN);
	dma_buf_dal_unmap(&dal);
	end();
}

static int match_dal(const struct dma_buf_mapping_match *offer,
		     const struct dma_buf_mapping_match *request)
{
	struct dma_buf_match_args args = { &dmabuf, &attach, request, 1 };

	return dma_buf_match_mapping(&args, offer, 1);
}

/* Exporters cannot offer a view; and requests that say nothing */
static void test_dal_bad_match(void)
{
	struct dma_buf_mapping_match offer = DMA_BUF_EMAPPING_SGT(&sgt_ops);
	struct dma_buf_mapping_match request = DMA_BUF_IMAPPING_DAL(&dev, DMA_BUF_DAL_ANY);

	shim.may_warn = 6;
	begin(false);
	end();
	attach.importer_ops = NULL;
	EQ(match_dal(&offer, &request), 0);
	request.sgt_data.dal_accepts = 0;
	EQ(match_dal(&offer, &request), -EINVAL);
	request.sgt_data.dal_accepts = DMA_BUF_DAL_ANY + 1;
	EQ(match_dal(&offer, &request), -EINVAL);
	request = DMA_BUF_IMAPPING_DAL(NULL, DMA_BUF_DAL_ANY);
	EQ(match_dal(&offer, &request), -EINVAL);
	request = DMA_BUF_IMAPPING_DAL(&dev, DMA_BUF_DAL_ANY);
	offer.type = &dma_buf_mapping_dal_type;
	EQ(match_dal(&offer, &request), -EINVAL);
	offer = DMA_BUF_EMAPPING_SGT_P2P(&sgt_ops, NULL);
	EQ(match_dal(&offer, &request), -EINVAL);
	offer = DMA_BUF_EMAPPING_SGT(&sgt_ops);
	offer.exp_ops = NULL;
	EQ(match_dal(&offer, &request), -EINVAL);
}

static void two_requests(const struct dma_buf_mapping_match *first,
			 struct dma_buf_mapping_match second, int err)
{
	const struct dma_buf_mapping_match offer = DMA_BUF_EMAPPING_SGT(&sgt_ops);
	const struct dma_buf_mapping_match requests[] = { *first, second };
	struct dma_buf_match_args args = { &dmabuf, &attach, requests, 2 };

	EQ(dma_buf_match_mapping(&args, &offer, 1), err);
}

/* The importer's ops allow what all requests accept, or it is a bug */
static void test_dal_contradiction(void)
{
	static const struct dma_buf_attach_ops p2p = { .allow_peer2peer = true }, no_p2p;
	const struct dma_buf_mapping_match offer = DMA_BUF_EMAPPING_SGT(&sgt_ops);
	struct dma_buf_mapping_match request = DMA_BUF_IMAPPING_DAL(&dev, DMA_BUF_DAL_ANY);

	shim.may_warn = 4;
	begin(false);
	end();
	attach.importer_ops = &p2p;
	EQ(match_dal(&offer, &request), 0);
	attach.importer_ops = &no_p2p;
	EQ(match_dal(&offer, &request), -EINVAL);
	request.sgt_data.dal_accepts = DMA_BUF_DAL_BUS_ADDRESS;
	EQ(match_dal(&offer, &request), -EINVAL);
	request.sgt_data.dal_accepts = DMA_BUF_DAL_RAM;
	EQ(match_dal(&offer, &request), 0);
	attach.importer_ops = &p2p;
	EQ(match_dal(&offer, &request), -EINVAL);
	/* Another request may be for peers, of DAL or of SGT */
	two_requests(&request, DMA_BUF_IMAPPING_DAL(&dev, DMA_BUF_DAL_HOST_BRIDGE), 0);
	two_requests(&request, DMA_BUF_IMAPPING_SGT(&dev, true), 0);
	two_requests(&request, DMA_BUF_IMAPPING_PAL(), -EINVAL);
}

static void test_dies_dal_map(void)
{
	begin_dal((unsigned int[]){ 2 * PAGE_SIZE }, 1);
	end();
	map_dal(0, 1);
}

static void test_dies_dal_unmap(void)
{
	begin_dal((unsigned int[]){ 2 * PAGE_SIZE }, 1);
	EQ(map_dal(0, 1), 0);
	end();
	dma_buf_dal_unmap(&dal);
}

static void test_no_device(void)
{
	shim.may_warn = 2;
	begin(false);
	end();
	EQ(PTR_ERR(dma_buf_sgt_attach(&dmabuf, NULL)), -EINVAL);
	EQ(PTR_ERR(dma_buf_sgt_dynamic_attach(&dmabuf, NULL, &dynamic, NULL)), -EINVAL);
}

static void test_pal_bad_exporter(void)
{
	begin(true);
	shim.may_warn = 2;
	two_pages.size = PAGE_SIZE;
	EQ(PTR_ERR(dma_buf_pal_map_phys(&attach)), -EINVAL);
	two_pages.size = dmabuf.size;
	source.revoked = true;
	EQ(PTR_ERR(dma_buf_pal_map_phys(&attach)), -ENODEV);
	EQ(source.kref.count, 1);
	/* A mapping that nobody gives back */
	source.revoked = false;
	CHECK(dma_buf_pal_map_phys(&attach) == &two_pages);
	source.list = NULL;
	dma_buf_pal_source_destroy(&source);
	EQ(source.revoked, true);
	end();
}

/* Sources that exporters have in other states than most */
static void test_pal_source_states(void)
{
	struct dma_buf_phys_list *list = new_list(1);

	begin(true);
	dma_buf_pal_source_init(&source, &two_pages, true);
	EQ(PTR_ERR(dma_buf_pal_map_phys(&attach)), -ENODEV);
	shim.may_warn = 1;
	two_pages.size = 2 * dmabuf.size;
	EQ(PTR_ERR(dma_buf_pal_map_phys(&attach)), -EINVAL);
	EQ(source.kref.count, 1);
	list->size = dmabuf.size;
	dma_buf_pal_source_init(&source, list, false);
	dma_buf_pal_source_destroy(&source);
	EQ(PTR_ERR(dma_buf_pal_map_phys(&attach)), -ENODEV);
	end();
}

static void test_sgt_bad_exporter(void)
{
	begin(false);
	exporter_returns = NULL;
	EQ(PTR_ERR(dma_buf_sgt_map_attachment(&attach, DMA_TO_DEVICE)), -ENOMEM);
	exporter_returns = ERR_PTR(-EIO);
	EQ(PTR_ERR(dma_buf_sgt_map_attachment(&attach, DMA_TO_DEVICE)), -EIO);
	CHECK(!strcmp(shim.told.name, "SGT") && !strcmp(shim.told.verdict, "map-failed"));
	EQ(shim.told.err, -EIO);
	EQ(unmapped, 0);
	end();
}

static int sgt_pin_busy(struct dma_buf_attachment *to)
{
	(void)to;
	return -EBUSY;
}

static void test_pin_busy(void)
{
	static const struct dma_buf_ops ops = { .pin = sgt_pin_busy };

	begin(false);
	shim.may_warn = 1;
	attach.importer_ops = NULL;
	dmabuf.ops = &ops;
	exporter_returns = &table;
	EQ(PTR_ERR(dma_buf_sgt_map_attachment(&attach, DMA_TO_DEVICE)), -EBUSY);
	EQ(unmapped, 0);
	end();
}

/* An exporter whose memory never moves need not be told */
static void test_no_pin(void)
{
	begin(false);
	attach.importer_ops = NULL;
	exporter_returns = &table;
	CHECK(dma_buf_sgt_map_attachment(&attach, DMA_TO_DEVICE) == &table);
	dma_buf_sgt_unmap_attachment(&attach, &table, DMA_TO_DEVICE);
	EQ(unmapped, 1);
	EQ(shim.waits[DMA_RESV_USAGE_KERNEL], 1);
	end();
}

/* What an importer gets may be looked at by debug code, and is told, not stopped */
static void map_unaligned(dma_addr_t addr, unsigned int len, unsigned int told)
{
	struct scatterlist sg = { .dma_address = addr, .dma_length = len };

	shim.debugged = 0;
	table = (struct sg_table){ .sgl = &sg, .nents = 1 };
	exporter_returns = &table;
	CHECK(dma_buf_sgt_map_attachment(&attach, DMA_TO_DEVICE) == &table);
	EQ(shim.debugged, told);
	dma_buf_sgt_unmap_attachment(&attach, &table, DMA_TO_DEVICE);
}

static void test_unaligned(void)
{
	begin(false);
	map_unaligned(PAGE_SIZE + 1, PAGE_SIZE, 0);
	shim.api_debug = true;
	map_unaligned(PAGE_SIZE, PAGE_SIZE, 0);
	map_unaligned(PAGE_SIZE + 1, PAGE_SIZE, 1);
	map_unaligned(PAGE_SIZE, PAGE_SIZE + 1, 1);
	EQ(unmapped, 4);
	end();
}

/* ---- dma_buf_phys_vec_to_sgt(), from exporters that do not seal a list ---- */

static struct pci_dev gpu = { .dev = { .name = "gpu", .is_pci = true } };
static struct p2pdma_provider provider = { .owner = &gpu.dev };

/* RAM, says the offer; MMIO, says the list */
static void test_pal_lies(void)
{
	struct dma_buf_mapping_match request = DMA_BUF_IMAPPING_SGT(&dev, false);
	struct dma_buf_match_args args = { &dmabuf, &attach, &request, 1 };
	struct dma_buf_mapping_match offer;

	begin(true);
	end();
	shim.may_warn = 1;
	dev.p2p = PCI_P2PDMA_MAP_BUS_ADDR;
	two_pages.memory = DMA_BUF_PHYS_MMIO;
	offer = dma_buf_pal_source_offer(&source);
	offer.pal_data.is_ram = true;
	EQ(dma_buf_match_mapping(&args, &offer, 1), 0);
	dma_resv_lock(&resv, NULL);
	EQ(PTR_ERR(dma_buf_sgt_map_attachment(&attach, DMA_TO_DEVICE)), -EINVAL);
	dma_resv_unlock(&resv);
	EQ(source.kref.count, 1);
}

static struct sg_table *vec_to_sgt(struct phys_vec *vec, size_t count, size_t size)
{
	return dma_buf_phys_vec_to_sgt(&attach, &provider, vec, count, size, DMA_TO_DEVICE);
}

static void test_vec_bad_arguments(void)
{
	struct phys_vec vec = { .len = PAGE_SIZE };

	shim.may_warn = 2;
	begin(false);
	EQ(PTR_ERR(dma_buf_phys_vec_to_sgt(&attach, NULL, &vec, 1, PAGE_SIZE,
					   DMA_TO_DEVICE)), -EINVAL);
	begin(true);
	EQ(PTR_ERR(vec_to_sgt(&vec, 1, PAGE_SIZE)), -EINVAL);
	end();
}

static void vec_no_route(enum pci_p2pdma_map_type way)
{
	struct phys_vec vec = { .len = PAGE_SIZE };

	begin(false);
	dev.p2p = way;
	EQ(PTR_ERR(vec_to_sgt(&vec, 1, PAGE_SIZE)), -EOPNOTSUPP);
	EQ(shim.allocated, 0);
	end();
}

static void test_vec_no_route(void)
{
	vec_no_route(PCI_P2PDMA_MAP_UNKNOWN);
	vec_no_route(PCI_P2PDMA_MAP_NONE);
	vec_no_route(PCI_P2PDMA_MAP_NOT_SUPPORTED);
}

/* More entries than can be counted, and none; nothing is left of the attempt */
static void vec_bad_count(enum pci_p2pdma_map_type way, size_t len, size_t count)
{
	struct phys_vec vec[] = { { .len = len }, { .len = len } };

	begin(false);
	dev.p2p = way;
	EQ(PTR_ERR(vec_to_sgt(vec, count, PAGE_SIZE)), -EINVAL);
	EQ(shim.allocated, 0);
	EQ(shim.pieces, 0);
	end();
}

static void test_vec_bad_count(void)
{
	vec_bad_count(PCI_P2PDMA_MAP_BUS_ADDR, 1UL << 63, 2);
	vec_bad_count(PCI_P2PDMA_MAP_THRU_HOST_BRIDGE, 1UL << 63, 2);
	vec_bad_count(PCI_P2PDMA_MAP_BUS_ADDR, PAGE_SIZE, 0);
	vec_bad_count(PCI_P2PDMA_MAP_BUS_ADDR, 0, 2);
}

/* ---- without the lock: each of these must die ---- */

static void test_dies_pal_map(void)
{
	begin(true);
	end();
	dma_buf_pal_map_phys(&attach);
}

static void test_dies_pal_unmap(void)
{
	begin(true);
	end();
	dma_buf_pal_unmap_phys(&attach, &two_pages);
}

static void test_dies_source_get(void)
{
	begin(true);
	end();
	dma_buf_pal_source_get(&source, &attach);
}

static void test_dies_source_put(void)
{
	begin(true);
	EQ(dma_buf_pal_source_get(&source, &attach), 0);
	end();
	dma_buf_pal_source_put(&source, &attach);
}

static void test_dies_sgt_map(void)
{
	begin(false);
	end();
	exporter_returns = ERR_PTR(-EIO);
	dma_buf_sgt_map_attachment(&attach, DMA_TO_DEVICE);
}

static void test_dies_sgt_unmap(void)
{
	begin(false);
	end();
	dma_buf_sgt_unmap_attachment(&attach, &table, DMA_TO_DEVICE);
}

static void test_dies_vec(void)
{
	struct phys_vec vec = { .len = PAGE_SIZE };

	begin(false);
	end();
	dev.p2p = PCI_P2PDMA_MAP_NONE;
	vec_to_sgt(&vec, 1, PAGE_SIZE);
}

static void test_dies_vec_free(void)
{
	struct phys_vec vec = { .len = PAGE_SIZE };
	struct sg_table *sgt;

	begin(false);
	dev.p2p = PCI_P2PDMA_MAP_BUS_ADDR;
	sgt = vec_to_sgt(&vec, 1, PAGE_SIZE);
	end();
	if (IS_ERR(sgt))
		return;		/* which is no death */
	dma_buf_free_sgt(&attach, sgt, DMA_TO_DEVICE);
}

const struct test sgt_tests[] = {
	{ "pal: arguments that are missing", test_pal_bad_arguments },
	{ "pal: an exporter without a list, or with another one", test_pal_bad_exporter },
	{ "pal: a source that begins revoked, and one that is gone", test_pal_source_states },
	{ "sgt: arguments that are missing", test_sgt_bad_arguments },
	{ "sgt: an attachment of the other type", test_other_type },
	{ "sgt: no device", test_no_device },
	{ "dal: arguments that are missing", test_dal_bad_arguments },
	{ "dal: scatterlists that are too short", test_dal_bad_exporter },
	{ "dal: offers and requests that are wrong", test_dal_bad_match },
	{ "dal: importers that contradict themselves", test_dal_contradiction },
	{ "dal: one scatterlist, one mapping", test_dal_one_mapping },
	{ "dal: MMIO that was moved to RAM", test_moved_to_ram },
	{ "dal: a route to nobody", test_route_of_nobody },
	{ "dal: map dies without the lock", test_dies_dal_map },
	{ "dal: unmap dies without the lock", test_dies_dal_unmap },
	{ "sgt: an exporter without a scatterlist", test_sgt_bad_exporter },
	{ "sgt: a pin that finds the buffer busy", test_pin_busy },
	{ "sgt: an exporter that does not pin", test_no_pin },
	{ "pal: an offer of RAM with a list of MMIO", test_pal_lies },
	{ "sgt: addresses that are not aligned", test_unaligned },
	{ "vec: arguments that are missing", test_vec_bad_arguments },
	{ "vec: no route", test_vec_no_route },
	{ "vec: too many entries, or none", test_vec_bad_count },
	{ "pal: map dies without the lock", test_dies_pal_map },
	{ "pal: unmap dies without the lock", test_dies_pal_unmap },
	{ "source: get dies without the lock", test_dies_source_get },
	{ "source: put dies without the lock", test_dies_source_put },
	{ "sgt: map dies without the lock", test_dies_sgt_map },
	{ "sgt: unmap dies without the lock", test_dies_sgt_unmap },
	{ "vec: map dies without the lock", test_dies_vec },
	{ "vec: free dies without the lock", test_dies_vec_free },
	{}
};
