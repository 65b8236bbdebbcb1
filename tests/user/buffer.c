// SPDX-License-Identifier: GPL-2.0-only
/*
 * One buffer, and importers that attach, map, unmap and detach while the memory
 * is revoked and lent again, and while calls fail. After each step the books must
 * agree: counts, pins, mappings, memory; and what a device finds at the addresses
 * that it got must be the exporter's list, byte for byte.
 */
#include <stdlib.h>
#include "test.h"
#include <linux/dma-buf-dal.h>
#include "dma-buf-converter.h"

#define IMPORTERS	3
#define MAPS		2
#define MMIO_OFFSET	BIT(56)	/* bus addresses are not physical ones */

/* Lent by a source, or offered as SGT by an exporter of the old kind */
enum lends { LENDS_RAM, LENDS_MMIO, LENDS_UNKNOWN, NATIVE_RAM, NATIVE_MMIO, KINDS };

enum wants { SGT, PAL, DAL };

/* What an importer of DAL asks for */
struct slice {
	struct device *dev;
	size_t offset, size;
};

struct importer {
	struct dma_buf_attachment *attach;
	struct device *dev;
	const struct dma_buf_attach_ops *ops;
	enum wants wants;
	unsigned int accepts;
	bool late;		/* unmaps when the callback is over */
	enum dma_data_direction dir;
	void *maps[MAPS];
	struct slice slices[MAPS];
	int invalidated;
};

struct buffer {
	struct dma_buf dmabuf;
	struct dma_buf_pal_source source;
	struct dma_resv resv;
	enum lends kind;
	struct dma_buf_phys_list *list;
	struct phys_vec *was;		/* the list as it was sealed */
	int pins, native_maps;
	bool revoking;
	struct importer importers[IMPORTERS];
	struct device devs[4];
};

static struct pci_dev gpu;
static struct p2pdma_provider provider;
static struct buffer buffer;

static bool lends(const struct buffer *b)
{
	return b->kind <= LENDS_UNKNOWN;
}

static bool is_mmio(const struct buffer *b)
{
	return b->kind == LENDS_MMIO || b->kind == NATIVE_MMIO;
}

/* ---- dma-buf.c, as far as it is wanted here ---- */

bool dma_buf_attach_revocable(struct dma_buf_attachment *attach)
{
	return attach->importer_ops && attach->importer_ops->invalidate_mappings;
}

void dma_buf_invalidate_mappings(struct dma_buf *dmabuf)
{
	struct list_head *at;

	dma_resv_assert_held(dmabuf->resv);
	for (at = dmabuf->attachments.next; at != &dmabuf->attachments; at = at->next) {
		struct dma_buf_attachment *attach =
			container_of(at, struct dma_buf_attachment, node);

		if (attach->importer_ops && attach->importer_ops->invalidate_mappings)
			attach->importer_ops->invalidate_mappings(attach);
	}
}

static int attach_pick(struct dma_buf_match_args *args)
{
	const struct dma_buf_ops *ops = args->dmabuf->ops;
	int ret;

	if (ops->match_mapping)
		ret = ops->match_mapping(args);
	else
		ret = dma_buf_match_mapping(args, ops->single_exporter_match, 1);
	if (!ret && ops->attach)
		ret = ops->attach(args->dmabuf, args->attach);
	return ret;
}

struct dma_buf_attachment *
dma_buf_mapping_attach(struct dma_buf *dmabuf,
		       const struct dma_buf_mapping_match *request, size_t len,
		       const struct dma_buf_attach_ops *ops, void *priv)
{
	struct dma_buf_attachment *attach = kmalloc_obj(*attach);
	struct dma_buf_match_args args = { dmabuf, attach, request, len };
	int ret;

	if (!attach)
		return ERR_PTR(-ENOMEM);
	*attach = (struct dma_buf_attachment){
		.dmabuf = dmabuf, .importer_ops = ops, .importer_priv = priv };
	ret = attach_pick(&args);
	if (ret) {
		kfree(attach);
		return ERR_PTR(ret);
	}
	dma_resv_lock(dmabuf->resv, NULL);
	list_add(&attach->node, &dmabuf->attachments);
	dma_resv_unlock(dmabuf->resv);
	return attach;
}

void dma_buf_detach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	dma_resv_lock(dmabuf->resv, NULL);
	list_del(&attach->node);
	dma_resv_unlock(dmabuf->resv);
	kfree(attach);
}

/* ---- an exporter of scatterlists ---- */

static struct sg_table *native_ram(struct dma_buf_attachment *attach,
				   enum dma_data_direction dir)
{
	struct sg_table *sgt = kzalloc_obj(*sgt);
	struct scatterlist *sg;
	size_t i;

	if (!sgt || sg_alloc_table(sgt, buffer.list->count, GFP_KERNEL))
		goto err;
	for (i = 0, sg = sgt->sgl; sg; sg = sg_next(sg), i++)
		sg_set_page(sg, phys_to_page(buffer.list->phys[i].paddr),
			    buffer.list->phys[i].len, 0);
	if (!dma_map_sgtable(dma_buf_sgt_dma_device(attach), sgt, dir, 0))
		return sgt;
	sg_free_table(sgt);
err:
	kfree(sgt);
	return NULL;
}

static struct sg_table *native_map(struct dma_buf_attachment *attach,
				   enum dma_data_direction dir)
{
	struct sg_table *sgt;

	dma_resv_assert_held(attach->dmabuf->resv);
	if (shim_fails(-ENXIO))
		return ERR_PTR(-ENXIO);
	if (buffer.kind == NATIVE_MMIO)
		sgt = dma_buf_phys_vec_to_sgt(attach, &provider, buffer.list->phys,
					      buffer.list->count, buffer.list->size, dir);
	else
		sgt = native_ram(attach, dir);
	buffer.native_maps += sgt && !IS_ERR(sgt);
	return sgt;
}

static void native_unmap(struct dma_buf_attachment *attach, struct sg_table *sgt,
			 enum dma_data_direction dir)
{
	dma_resv_assert_held(attach->dmabuf->resv);
	CHECK(--buffer.native_maps >= 0);
	if (buffer.kind == NATIVE_MMIO) {
		dma_buf_free_sgt(attach, sgt, dir);
		return;
	}
	dma_unmap_sgtable(dma_buf_sgt_dma_device(attach), sgt, dir, 0);
	sg_free_table(sgt);
	kfree(sgt);
}

static int native_pin(struct dma_buf_attachment *attach)
{
	dma_resv_assert_held(attach->dmabuf->resv);
	if (shim_fails(-EAGAIN))
		return -EAGAIN;
	buffer.pins++;
	return 0;
}

static void native_unpin(struct dma_buf_attachment *attach)
{
	dma_resv_assert_held(attach->dmabuf->resv);
	buffer.pins--;
	/* The mapping that the pin was for is gone by now */
	EQ(buffer.pins >= buffer.native_maps - 2 * MAPS, 1);
}

static const struct dma_buf_mapping_sgt_exp_ops native_sgt_ops = {
	.map_dma_buf = native_map, .unmap_dma_buf = native_unmap };

static int native_match(struct dma_buf_match_args *args)
{
	struct dma_buf_mapping_match offer = DMA_BUF_EMAPPING_SGT(&native_sgt_ops);

	if (buffer.kind == NATIVE_MMIO)
		offer = DMA_BUF_EMAPPING_SGT_P2P(&native_sgt_ops, &gpu);
	return dma_buf_match_mapping(args, &offer, 1);
}

static const struct dma_buf_ops native_ops = {
	.match_mapping = native_match, .pin = native_pin, .unpin = native_unpin };

static int lender_match(struct dma_buf_match_args *args)
{
	struct buffer *lender = args->dmabuf->priv;
	struct dma_buf_mapping_match offer = dma_buf_pal_source_offer(&lender->source);

	return dma_buf_match_mapping(args, &offer, 1);
}

static int lender_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	return dma_buf_pal_source_admit(&((struct buffer *)dmabuf->priv)->source, attach);
}

static const struct dma_buf_ops lender_ops = {
	.match_mapping = lender_match, .attach = lender_attach };

/* ---- the books ---- */

static int live_maps(void)
{
	int live = 0;

	for (int i = 0; i < IMPORTERS; i++)
		for (int n = 0; n < MAPS; n++)
			live += !!buffer.importers[i].maps[n];
	return live;
}

static int static_maps(void)
{
	int live = 0;

	for (int i = 0; i < IMPORTERS; i++)
		for (int n = 0; n < MAPS && !buffer.importers[i].ops; n++)
			live += !!buffer.importers[i].maps[n];
	return live;
}

static void check_books(void)
{
	if (lends(&buffer)) {
		EQ(buffer.source.kref.count, 1 + live_maps());
		EQ(buffer.source.idle.done, 0);
		EQ(gpu.refs, 1 + (buffer.kind == LENDS_MMIO));
	} else {
		EQ(buffer.native_maps, live_maps());
		EQ(buffer.pins, static_maps());
	}
	CHECK(!buffer.resv.lock.base);
	CHECK(!memcmp(buffer.was, buffer.list->phys,
		      buffer.list->count * sizeof(*buffer.was)));
}

/* ---- importers ---- */

static void *map_slice(struct importer *imp, const struct slice *slice)
{
	struct dma_buf_dal *dal = malloc(sizeof(*dal));
	int ret;

	memset(dal, 0xa5, sizeof(*dal));
	if (slice->dev == imp->dev)
		ret = dma_buf_dal_map(imp->attach, dal, slice->offset, slice->size, imp->dir);
	else
		ret = dma_buf_dal_map_for(imp->attach, dal, slice->dev, slice->offset,
					  slice->size, imp->dir);
	if (!ret)
		return dal;
	free(dal);
	return ERR_PTR(ret);
}

static void *map_locked(struct importer *imp, int n)
{
	if (imp->wants == PAL)
		return dma_buf_pal_map_phys(imp->attach);
	if (imp->wants == DAL)
		return map_slice(imp, &imp->slices[n]);
	return dma_buf_sgt_map_attachment(imp->attach, imp->dir);
}

static void unmap_locked(struct importer *imp, int n)
{
	void *map = imp->maps[n];

	imp->maps[n] = NULL;
	if (imp->wants == DAL) {
		dma_buf_dal_unmap(map);
		CHECK(!((struct dma_buf_dal *)map)->attach);
		free(map);
	} else if (imp->wants == PAL) {
		dma_buf_pal_unmap_phys(imp->attach, map);
	} else {
		dma_buf_sgt_unmap_attachment(imp->attach, map, imp->dir);
	}
}

static void unmap_all_locked(struct importer *imp)
{
	for (int n = 0; n < MAPS; n++)
		if (imp->maps[n])
			unmap_locked(imp, n);
}

static int expect_map(const struct importer *imp, int n);
static void take_slice(struct importer *imp, int n, struct input *in);

/* Nobody may map while the memory is taken back, and at once when it is not */
static void map_again(struct importer *imp)
{
	unsigned int fault = shim.fault;
	int n = MAPS - 1;

	shim.fault = 0;
	EQ(buffer.source.revoked, buffer.revoking);
	take_slice(imp, n, &(struct input){});
	imp->maps[n] = map_locked(imp, n);
	EQ(PTR_ERR_OR_ZERO(imp->maps[n]), expect_map(imp, n));
	if (IS_ERR(imp->maps[n]))
		imp->maps[n] = NULL;
	else
		unmap_locked(imp, n);
	shim.fault = fault;
}

static void invalidate(struct dma_buf_attachment *attach)
{
	struct importer *imp = attach->importer_priv;

	dma_resv_assert_held(attach->dmabuf->resv);
	imp->invalidated++;
	if (!imp->late)
		unmap_all_locked(imp);
	if (!imp->maps[MAPS - 1])
		map_again(imp);
}

/* The other thread, that unmaps what was still in use */
static void unmap_late(void)
{
	dma_resv_lock(&buffer.resv, NULL);
	for (int i = 0; i < IMPORTERS; i++)
		if (buffer.importers[i].late)
			unmap_all_locked(&buffer.importers[i]);
	dma_resv_unlock(&buffer.resv);
}

static const struct dma_buf_attach_ops importer_ops[] = {
	{ .allow_peer2peer = true, .invalidate_mappings = invalidate },
	{ .invalidate_mappings = invalidate },
	{ .allow_peer2peer = true },
};

/* Does the device reach the memory, by a route that the importer wants? */
static bool dal_reaches(const struct importer *imp, const struct device *dev)
{
	if (buffer.kind == LENDS_UNKNOWN)
		return false;
	if (!is_mmio(&buffer))
		return (imp->accepts & DMA_BUF_DAL_RAM) && (dev->coherent || !lends(&buffer));
	if (!dev->is_pci || dev->far)
		return false;
	if (dev->p2p == PCI_P2PDMA_MAP_BUS_ADDR)
		return imp->accepts & DMA_BUF_DAL_BUS_ADDRESS;
	return dev->p2p == PCI_P2PDMA_MAP_THRU_HOST_BRIDGE &&
	       (imp->accepts & DMA_BUF_DAL_HOST_BRIDGE);
}

static int expect_match(const struct importer *imp)
{
	bool p2p = imp->ops && imp->ops->allow_peer2peer && imp->dev->is_pci &&
		   !imp->dev->far;

	if (imp->wants == PAL)
		return lends(&buffer) ? 0 : -EOPNOTSUPP;
	if (imp->wants == DAL)
		return dal_reaches(imp, imp->dev) ? 0 : -EOPNOTSUPP;
	if (buffer.kind == LENDS_UNKNOWN || (is_mmio(&buffer) && !p2p))
		return -EOPNOTSUPP;
	return 0;
}

static int expect_attach(const struct importer *imp)
{
	int err = expect_match(imp);

	if (err || !lends(&buffer))
		return err;
	if (buffer.source.revoked)
		return -ENODEV;
	return imp->ops && imp->ops->invalidate_mappings ? 0 : -EOPNOTSUPP;
}

/* An error is the expected one, or the one that was injected */
static void check_result(const void *result, int expected)
{
	int err = PTR_ERR_OR_ZERO(result);

	if (shim.fault_err == -EREMOTEIO && buffer.kind == NATIVE_RAM)
		shim.fault_err = -ENOMEM;	/* what it says of all its faults */
	EQ(err, shim.fault_err ?: expected);
	shim.fault = 0;
	shim.fault_err = 0;
}

/* The end of the attachment's line in debugfs */
static void check_dump(const struct importer *imp, const char *route)
{
	struct seq_file s = {};
	char text[64];

	if (imp->wants == PAL)
		return;
	snprintf(text, sizeof(text), " p2p=%s", route);
	imp->attach->map_type.type->debugfs_dump(&s, imp->attach);
	EQ(strcmp(s.text, text), 0);
}

static void check_attached(const struct importer *imp)
{
	static const char *const converters[][3] = {
		{ "none", "none", "SGT->DAL" }, { "PAL->SGT", "none", "PAL->DAL" } };
	const char *converter = converters[lends(&buffer)][imp->wants];
	const struct dma_buf_attachment *attach = imp->attach;
	bool pal = imp->wants == PAL, dal = imp->wants == DAL;

	EQ(dma_buf_is_sgt(attach), !pal);
	EQ(dma_buf_is_dal(attach), dal);
	EQ(attach->map_type.type == &dma_buf_mapping_pal_type, pal);
	EQ(!!dma_buf_get_sgt_ops(attach), imp->wants == SGT);
	CHECK(dma_buf_sgt_exporter_ops(attach) ==
	      (pal || lends(&buffer) ? NULL : &native_sgt_ops));
	CHECK(dma_buf_sgt_dma_device(attach) == (pal ? NULL : imp->dev));
	CHECK(dma_buf_dal_device(attach) == (dal ? imp->dev : NULL));
	EQ(dma_buf_sgt_p2p_allowed(attach), !pal && is_mmio(&buffer));
	EQ(dma_buf_dal_may_be_peer(attach), dal && is_mmio(&buffer));
	EQ(!!attach->converted, strcmp(converter, "none") != 0);
	EQ(strcmp(dma_buf_converter_name(&attach->map_type), converter), 0);
	check_dump(imp, is_mmio(&buffer) ? "allowed" : "none");
}

static void attach(struct importer *imp)
{
	struct dma_buf_mapping_match pal = DMA_BUF_IMAPPING_PAL();
	struct dma_buf_mapping_match dal = DMA_BUF_IMAPPING_DAL(imp->dev, imp->accepts);
	struct dma_buf_attachment *attach;
	int expected = expect_attach(imp);

	if (imp->wants != SGT)
		attach = dma_buf_mapping_attach(&buffer.dmabuf, imp->wants == PAL ? &pal : &dal, 1,
						imp->ops, imp);
	else if (imp->ops)
		attach = dma_buf_sgt_dynamic_attach(&buffer.dmabuf, imp->dev, imp->ops, imp);
	else
		attach = dma_buf_sgt_attach(&buffer.dmabuf, imp->dev);
	check_result(attach, expected);
	if (IS_ERR(attach))
		return;
	imp->attach = attach;
	check_attached(imp);
}

static void op_attach(struct importer *imp, struct input *in)
{
	static const enum dma_data_direction dirs[] = {
		DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE };
	unsigned int ops = take(in, 4);

	if (imp->attach)
		return;
	*imp = (struct importer){
		.dev = &buffer.devs[take(in, 4)], .wants = take(in, 3), .late = take(in, 2),
		.accepts = 1 + take(in, DMA_BUF_DAL_ANY),
		.dir = dirs[take(in, 3)], .ops = ops < 3 ? &importer_ops[ops] : NULL };
	/* The ops must say what the request says */
	if (imp->ops && !imp->ops->allow_peer2peer)
		imp->accepts = DMA_BUF_DAL_RAM;
	else if (imp->ops && imp->accepts == DMA_BUF_DAL_RAM)
		imp->accepts = DMA_BUF_DAL_ANY;
	attach(imp);
}

/* ---- what a device sees ---- */

static const char *route_of(const struct device *dev)
{
	if (!is_mmio(&buffer))
		return "none";
	if (dev->p2p == PCI_P2PDMA_MAP_BUS_ADDR)
		return "bus-address";
	return dev->iova ? "host-bridge-iova" : "host-bridge-phys";
}

static phys_addr_t seen(const struct device *dev, enum dma_data_direction dir,
			dma_addr_t addr, size_t *left)
{
	if (is_mmio(&buffer) && dev->p2p == PCI_P2PDMA_MAP_BUS_ADDR) {
		*left = SIZE_MAX;
		return addr - MMIO_OFFSET;
	}
	return shim_translate(dev, addr, dir, left);
}

/* Where the list is, found in another way: page by page, as far as it is short */
static int expect_node(void)
{
	int node = pfn_to_nid(PHYS_PFN(buffer.list->phys[0].paddr));

	for (size_t i = 0; i < buffer.list->count; i++) {
		phys_addr_t first = buffer.list->phys[i].paddr;
		phys_addr_t last = first + buffer.list->phys[i].len - PAGE_SIZE;

		if (!pfn_valid(PHYS_PFN(first)) || !pfn_valid(PHYS_PFN(last)) ||
		    pfn_to_nid(PHYS_PFN(first)) != node || pfn_to_nid(PHYS_PFN(last)) != node)
			return NUMA_NO_NODE;
	}
	return node;
}

static enum dma_buf_p2p_route expect_route(const struct device *dev)
{
	if (dev->p2p == PCI_P2PDMA_MAP_BUS_ADDR)
		return DMA_BUF_P2P_BUS_ADDRESS;
	return dev->iova ? DMA_BUF_P2P_HOST_BRIDGE_IOVA : DMA_BUF_P2P_HOST_BRIDGE_PHYS;
}

/* What an importer is told */
static void check_place(const struct device *dev, const struct dma_buf_place *place)
{
	if (is_mmio(&buffer)) {
		EQ(place->memory, DMA_BUF_MEMORY_PEER);
		CHECK(place->peer == &gpu);
		EQ(place->node, gpu.dev.node);
		EQ(place->route, expect_route(dev));
		EQ(place->tph.valid, lends(&buffer));
		EQ(place->tph.tag, lends(&buffer) ? 77 : 0);
		return;
	}
	EQ(place->memory, lends(&buffer) ? DMA_BUF_MEMORY_RAM : DMA_BUF_MEMORY_UNKNOWN);
	EQ(place->node, lends(&buffer) ? expect_node() : NUMA_NO_NODE);
	CHECK(!place->peer && !place->tph.valid && place->route == DMA_BUF_P2P_NO_ROUTE);
}

static void check_sgt_place(const struct importer *imp)
{
	struct dma_buf_place place;

	dma_resv_lock(&buffer.resv, NULL);
	dma_buf_sgt_place(imp->attach, &place);
	dma_resv_unlock(&buffer.resv);
	check_place(imp->dev, &place);
}

/* So many bytes, at @offset of the buffer */
static void check_bytes(const struct device *dev, enum dma_data_direction dir,
			dma_addr_t addr, size_t len, size_t offset)
{
	struct dma_buf_phys_iter iter;
	phys_addr_t phys;
	size_t left, have;

	EQ(dma_buf_phys_list_seek(buffer.list, offset, &iter), 0);
	for (; len; len -= have, addr += have) {
		phys_addr_t found = seen(dev, dir, addr, &left);

		have = dma_buf_phys_iter_next(&iter, min(len, left), &phys);
		EQ(found, phys);
		CHECK(have);
	}
}

static void check_entry(const struct importer *imp, const struct scatterlist *sg,
			size_t offset)
{
	dma_addr_t addr = sg_dma_address(sg);
	size_t len = sg_dma_len(sg);

	CHECK(len && PAGE_ALIGNED(addr) && PAGE_ALIGNED(len));
	if (shim.wrap || is_mmio(&buffer))
		CHECK(!sg->page && !sg->length && !sg->offset);
	check_bytes(imp->dev, imp->dir, addr, len, offset);
}

/* In steps of any length: each byte once, and where the list has it */
static void check_steps(const struct importer *imp, const struct slice *slice,
			const struct dma_buf_dal *dal, size_t from, size_t max)
{
	struct dma_buf_dal_iter iter;
	size_t len, at = from;
	dma_addr_t addr;

	dma_buf_dal_start(dal, from, &iter);
	EQ(dma_buf_dal_next(&iter, 0, &addr), 0);
	for (int steps = 0; steps < 100; steps++, at += len) {
		len = dma_buf_dal_next(&iter, max, &addr);
		CHECK(len <= max);
		if (!len)
			break;
		check_bytes(slice->dev, imp->dir, addr, len, slice->offset + at);
		check_place(slice->dev, dma_buf_dal_place(&iter));
	}
	if (!len)
		EQ(at, slice->size > from ? slice->size : from);
}

/* Runs are as long as they can be */
static size_t check_runs(const struct importer *imp, const struct slice *slice,
			 const struct dma_buf_dal *dal)
{
	size_t len, at = 0, runs = 0;
	struct dma_buf_dal_iter iter;
	dma_addr_t addr, end = 0;

	dma_buf_dal_start(dal, 0, &iter);
	for (; (len = dma_buf_dal_next(&iter, SIZE_MAX, &addr)); at += len, runs++) {
		CHECK(!at || addr != end);
		check_bytes(slice->dev, imp->dir, addr, len, slice->offset + at);
		end = addr + len;
	}
	EQ(at, slice->size);
	return runs;
}

static void check_dal(const struct importer *imp, const struct slice *slice,
		      const struct dma_buf_dal *dal)
{
	static const size_t steps[] = { 1, 4095, 4096, UINT_MAX };
	size_t runs = check_runs(imp, slice, dal), half = slice->size / 2;
	dma_addr_t addr;

	EQ(dma_buf_dal_contiguous(dal, &addr), runs == 1);
	if (lends(&buffer) && slice->dev->iova && strcmp(route_of(slice->dev), "bus-address"))
		EQ(runs, 1);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		check_steps(imp, slice, dal, 0, steps[i]);
		check_steps(imp, slice, dal, half, steps[i]);
		check_steps(imp, slice, dal, half + 4096, steps[i]);
		check_steps(imp, slice, dal, slice->size - 1, steps[i]);
		check_steps(imp, slice, dal, slice->size, steps[i]);
	}
}

/* No more entries than the bytes need: pieces, of ranges or of all in one */
static size_t expect_entries(const struct importer *imp)
{
	size_t count = 0;

	if (!strcmp(route_of(imp->dev), "host-bridge-iova"))
		return DIV_ROUND_UP(buffer.list->size, MAX_PIECE);
	for (size_t i = 0; i < buffer.list->count; i++)
		count += DIV_ROUND_UP(buffer.list->phys[i].len, MAX_PIECE);
	return count;
}

static void check_sgt(const struct importer *imp, struct sg_table *sgt)
{
	struct scatterlist *sg;
	size_t total = 0;
	int i;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		check_entry(imp, sg, total);
		total += sg_dma_len(sg);
	}
	EQ(total, buffer.list->size);
	if (!imp->dev->merges || is_mmio(&buffer)) {
		EQ(sgt->nents, expect_entries(imp));
		CHECK(!sg);
	}
	if (!shim.wrap && is_mmio(&buffer))
		EQ(sgt->orig_nents, 0);
	check_dump(imp, route_of(imp->dev));
	check_sgt_place(imp);
}

static void check_event(const char *name, const char *route, size_t ranges, int err)
{
	const struct event *event;

	if (!shim.traced)
		return;
	CHECK(shim.nr_events);
	event = &shim.events[shim.nr_events - 1];
	EQ(strcmp(event->name, name) | strcmp(event->verdict, route), 0);
	EQ(event->ranges, ranges);
	EQ(event->err, err);
}

/* What events say of a mapping */
static size_t ranges_of(const struct importer *imp, const void *map)
{
	const struct dma_buf_dal *dal = map;

	if (imp->wants == PAL || (imp->wants == DAL && lends(&buffer)))
		return buffer.list->count;
	return imp->wants == DAL ? dal->sgt->nents : ((const struct sg_table *)map)->nents;
}

static const struct device *device_of(const struct importer *imp, int n)
{
	return imp->wants == DAL ? imp->slices[n].dev : imp->dev;
}

static void check_map(const struct importer *imp, int n)
{
	if (imp->wants == PAL)
		CHECK(imp->maps[n] == buffer.list);
	else if (imp->wants == DAL)
		check_dal(imp, &imp->slices[n], imp->maps[n]);
	else
		check_sgt(imp, imp->maps[n]);
}

static void check_map_event(const struct importer *imp, int n, const char *name, size_t ranges)
{
	check_event(name, imp->wants == PAL ? "none" : route_of(device_of(imp, n)), ranges, 0);
}

static int expect_slice(const struct importer *imp, const struct slice *slice)
{
	if (!slice->size || slice->offset >= buffer.dmabuf.size ||
	    slice->size > buffer.dmabuf.size - slice->offset)
		return -EINVAL;
	if (slice->dev != imp->dev && (!lends(&buffer) || !dal_reaches(imp, slice->dev)))
		return -EOPNOTSUPP;
	return 0;
}

static int expect_map(const struct importer *imp, int n)
{
	int err = imp->wants == DAL ? expect_slice(imp, &imp->slices[n]) : 0;

	if (err)
		return err;
	if (imp->wants == DAL && !lends(&buffer) && imp->maps[!n])
		return -EBUSY;
	if (lends(&buffer) && buffer.source.revoked)
		return -ENODEV;
	if (imp->wants == SGT && is_mmio(&buffer) && imp->dev->p2p == PCI_P2PDMA_MAP_NOT_SUPPORTED)
		return -EOPNOTSUPP;
	return 0;
}

/* NULL: which word it is depends on the device */
static const char *expect_refusal(const struct importer *imp, int err)
{
	if (err == -ENODEV)
		return "revoked";
	if (err == -EBUSY)
		return "one-mapping";
	return err == -EOPNOTSUPP && imp->wants == SGT ? "p2p-distance" : NULL;
}

/* What failed has left nothing, and has said why */
static void check_not_mapped(const struct importer *imp, void *map, int pieces, int allocated)
{
	int err = PTR_ERR(map);
	const char *why = expect_refusal(imp, err);

	EQ(shim.pieces, pieces);
	EQ(shim.allocated, allocated);
	if (imp->wants == DAL && err == -EINVAL)
		return;		/* the slice */
	check_event("map", "none", 0, err);
	if (shim.traced && err == -EOPNOTSUPP)
		EQ(shim.nr_events, 2);
	if (shim.traced && why) {
		EQ(shim.nr_events, 2);
		EQ(strcmp(shim.events[0].verdict, why), 0);
	}
}

static void map(struct importer *imp, int n)
{
	int pieces = shim.pieces, allocated = shim.allocated, expected = expect_map(imp, n);
	int waits = shim.waits[DMA_RESV_USAGE_KERNEL];
	void *map;

	shim.nr_events = 0;
	dma_resv_lock(&buffer.resv, NULL);
	map = map_locked(imp, n);
	dma_resv_unlock(&buffer.resv);
	check_result(map, expected);
	if (IS_ERR(map)) {
		check_not_mapped(imp, map, pieces, allocated);
		return;
	}
	imp->maps[n] = map;
	check_map(imp, n);
	check_map_event(imp, n, "map", ranges_of(imp, map));
	check_dump(imp, route_of(device_of(imp, n)));
	EQ(shim.waits[DMA_RESV_USAGE_KERNEL] - waits, !imp->ops);
}

static void unmap(struct importer *imp, int n)
{
	size_t ranges = ranges_of(imp, imp->maps[n]);

	/* Everybody else's mappings are as they were until the last moment */
	check_map(imp, n);
	int unmaps = shim.unmaps;

	shim.nr_events = 0;
	dma_resv_lock(&buffer.resv, NULL);
	unmap_locked(imp, n);
	dma_resv_unlock(&buffer.resv);
	if (device_of(imp, n)->direct && buffer.kind != NATIVE_RAM)
		EQ(shim.unmaps, unmaps);
	check_map_event(imp, n, "unmap", ranges);
}

/* All of it, or any part, or what is too much; and sometimes for another device */
static void take_slice(struct importer *imp, int n, struct input *in)
{
	size_t size = buffer.dmabuf.size, offset = take(in, 3) ? take_long(in, 5) : 0;

	imp->slices[n] = (struct slice){
		.dev = take(in, 4) == 3 ? &buffer.devs[take(in, 4)] : imp->dev,
		.offset = offset % (size + 2), .size = size };
	if (offset || take(in, 2))
		imp->slices[n].size = take_long(in, 5) % (size - imp->slices[n].offset + 2);
	if (!in->len)
		imp->slices[n] = (struct slice){ .dev = imp->dev, .size = size };
}

static void op_map(struct importer *imp, struct input *in)
{
	int n = take(in, MAPS);

	if (!imp->attach)
		return;
	if (imp->maps[n]) {
		unmap(imp, n);
		return;
	}
	if (imp->wants == DAL)
		take_slice(imp, n, in);
	map(imp, n);
}

static void op_detach(struct importer *imp)
{
	if (!imp->attach)
		return;
	dma_resv_lock(&buffer.resv, NULL);
	unmap_all_locked(imp);
	dma_resv_unlock(&buffer.resv);
	dma_buf_detach(&buffer.dmabuf, imp->attach);
	*imp = (struct importer){};
}

/* ---- the memory is taken back ---- */

static int invalidated(void)
{
	int n = 0;

	for (int i = 0; i < IMPORTERS; i++)
		n += buffer.importers[i].invalidated;
	return n;
}

static int attached(void)
{
	int n = 0;

	for (int i = 0; i < IMPORTERS; i++)
		n += !!buffer.importers[i].attach;
	return n;
}

static void revoke_or_restore(bool revoke)
{
	bool changes = buffer.source.revoked != revoke;
	int told = invalidated(), waits = shim.waits[DMA_RESV_USAGE_BOOKKEEP];

	buffer.revoking = revoke;
	if (revoke)
		dma_buf_pal_source_revoke(&buffer.source, &buffer.dmabuf);
	else
		dma_buf_pal_source_restore(&buffer.source, &buffer.dmabuf);
	EQ(buffer.source.revoked, revoke);
	EQ(invalidated() - told, changes ? attached() : 0);
	EQ(shim.waits[DMA_RESV_USAGE_BOOKKEEP] - waits, changes);
	if (revoke) {
		EQ(live_maps(), 0);
		EQ(shim.pieces, 0);
	}
}

/* ---- programs ---- */

static void take_devices(struct input *in)
{
	static const enum pci_p2pdma_map_type ways[] = {
		PCI_P2PDMA_MAP_BUS_ADDR, PCI_P2PDMA_MAP_THRU_HOST_BRIDGE,
		PCI_P2PDMA_MAP_THRU_HOST_BRIDGE, PCI_P2PDMA_MAP_NOT_SUPPORTED };

	for (int i = 0; i < 4; i++)
		buffer.devs[i] = (struct device){
			.name = "dev", .is_pci = i < 3 || take(in, 2), .p2p = ways[take(in, 4)],
			.iova = take(in, 2), .merges = take(in, 2), .far = !take(in, 8),
			.coherent = take(in, 8), .direct = take(in, 2) };
}

/* The exporter's own kind of table has one entry for a range */
static void list_shorten(struct dma_buf_phys_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		list->phys[i].len = min(list->phys[i].len, 4 * PAGE_SIZE);
}

static void buffer_seal(struct dma_buf_phys_list *list)
{
	static const struct dma_buf_tph tph = { .tag = 77, .hint = 1, .valid = true };
	enum dma_buf_phys_memory memory =
		buffer.kind == LENDS_RAM || buffer.kind == NATIVE_RAM ?
		DMA_BUF_PHYS_RAM : DMA_BUF_PHYS_MMIO;
	size_t bytes = list->count * sizeof(*buffer.was);

	buffer.dmabuf.size = 0;
	for (size_t i = 0; i < list->count; i++)
		buffer.dmabuf.size += list->phys[i].len;
	dma_buf_phys_list_set_tph(list, &tph);
	EQ(dma_buf_phys_list_seal(list, buffer.dmabuf.size, memory,
				  is_mmio(&buffer) ? &provider : NULL), 0);
	buffer.list = list;
	buffer.was = malloc(bytes);
	memcpy(buffer.was, list->phys, bytes);
}

static void buffer_start(struct dma_buf_phys_list *list, enum lends kind)
{
	buffer.kind = kind;
	buffer.dmabuf = (struct dma_buf){ .resv = &buffer.resv, .priv = &buffer,
					  .ops = lends(&buffer) ? &lender_ops : &native_ops };
	INIT_LIST_HEAD(&buffer.dmabuf.attachments);
	gpu = (struct pci_dev){ .dev = { .name = "gpu", .is_pci = true, .node = 2 }, .refs = 1 };
	provider = (struct p2pdma_provider){ .owner = &gpu.dev, .bus_offset = MMIO_OFFSET };
	if (kind == NATIVE_RAM)
		list_shorten(list);
	buffer_seal(list);
	if (lends(&buffer))
		dma_buf_pal_source_init(&buffer.source, list, false);
	shim.other_thread = unmap_late;
	shim.attrs = is_mmio(&buffer) ? DMA_ATTR_MMIO : DMA_ATTR_REQUIRE_COHERENT;
}

static void buffer_end(void)
{
	for (int i = 0; i < IMPORTERS; i++)
		op_detach(&buffer.importers[i]);
	check_books();
	if (lends(&buffer))
		dma_buf_pal_source_destroy(&buffer.source);
	else
		dma_buf_phys_list_free(buffer.list);
	EQ(gpu.refs, 1);
	free(buffer.was);
	shim.other_thread = NULL;
	shim.attrs = 0;
}

static void step(struct input *in)
{
	struct importer *imp = &buffer.importers[take(in, IMPORTERS)];

	switch (take(in, 16)) {
	case 0:
		shim.fault = imp->attach ? 0 : take(in, 2);
		fallthrough;
	case 1:
	case 2:
		op_attach(imp, in);
		break;
	case 3:
		op_detach(imp);
		break;
	case 4:
	case 5:
		if (lends(&buffer))
			revoke_or_restore(true);
		break;
	case 6:
	case 7:
		if (lends(&buffer))
			revoke_or_restore(false);
		break;
	case 8:
	case 9:
		shim.fault = imp->attach ? take(in, 12) : 0;
		fallthrough;
	default:
		op_map(imp, in);
	}
	shim.fault = 0;
	check_books();
}

void run_buffer(struct input *in)
{
	struct dma_buf_phys_list *list;
	enum lends kind;

	memset(&buffer, 0, sizeof(buffer));
	kind = take(in, KINDS);
	take_devices(in);
	list = list_build(in);
	if (!list)
		return;
	buffer_start(list, kind);
	while (in->len)
		step(in);
	buffer_end();
}

/* ---- one by one ---- */

static const struct device some_devs[4] = {
	{ "bus", true, PCI_P2PDMA_MAP_BUS_ADDR, false, false, false, .coherent = true },
	{ "phys", true, PCI_P2PDMA_MAP_THRU_HOST_BRIDGE, false, false, false, .coherent = true },
	{ "iova", true, PCI_P2PDMA_MAP_THRU_HOST_BRIDGE, false, true, true, .coherent = true },
	{ "refused", true, PCI_P2PDMA_MAP_NOT_SUPPORTED, false, false, false, .coherent = true },
};

static const size_t some_lens[] = {
	PAGE_SIZE, 5 * PAGE_SIZE, MAX_PIECE, MAX_PIECE + PAGE_SIZE, 3UL * MAX_PIECE };

static void start_plain(enum lends kind, size_t count)
{
	struct dma_buf_phys_list *list = new_list(count);

	memset(&buffer, 0, sizeof(buffer));
	memcpy(buffer.devs, some_devs, sizeof(some_devs));
	for (size_t i = 0; i < count; i++)
		list->phys[i] = (struct phys_vec){
			.paddr = (1 + 37 * (count - i)) << 34,
			.len = some_lens[(i + count) % ARRAY_SIZE(some_lens)] };
	buffer_start(list, kind);
}

static struct importer *borrow(int i, int dev, const struct dma_buf_attach_ops *ops,
			       enum wants wants)
{
	struct importer *imp = &buffer.importers[i];
	bool peers = !ops || ops->allow_peer2peer;

	*imp = (struct importer){ .dev = &buffer.devs[dev], .ops = ops, .wants = wants,
				  .accepts = peers ? DMA_BUF_DAL_ANY : DMA_BUF_DAL_RAM,
				  .dir = DMA_TO_DEVICE };
	for (int n = 0; n < MAPS; n++)
		take_slice(imp, n, &(struct input){});
	attach(imp);
	return imp;
}

/* Let the n-th call fail, until none does any more */
static void sweep(struct importer *imp)
{
	for (unsigned int n = 1; !imp->maps[0]; n++) {
		CHECK(n < 2000);
		shim.fault = n;
		map(imp, 0);
		check_books();
	}
	map(imp, 1);
	check_books();
	unmap(imp, 0);
	if (imp->maps[1])
		unmap(imp, 1);
	check_books();
}

static void sweep_kind(enum lends kind, const struct dma_buf_attach_ops *ops,
		       enum wants wants)
{
	static const size_t counts[] = { 1, 3, 7 };

	for (size_t c = 0; c < ARRAY_SIZE(counts); c++) {
		start_plain(kind, counts[c]);
		for (int dev = 0; dev < 3; dev++) {
			sweep(borrow(0, dev, ops, wants));
			op_detach(&buffer.importers[0]);
		}
		buffer_end();
	}
}

static void test_faults(void)
{
	for (int mode = 0; mode < 4; mode++) {
		shim.wrap = mode & 1;
		shim.traced = mode & 2;
		sweep_kind(LENDS_RAM, &importer_ops[0], PAL);
		sweep_kind(LENDS_RAM, &importer_ops[1], SGT);
		sweep_kind(LENDS_MMIO, &importer_ops[0], SGT);
		sweep_kind(LENDS_UNKNOWN, &importer_ops[0], PAL);
		sweep_kind(NATIVE_MMIO, &importer_ops[2], SGT);
		sweep_kind(NATIVE_RAM, &importer_ops[1], SGT);
		sweep_kind(NATIVE_RAM, NULL, SGT);
		sweep_kind(LENDS_RAM, &importer_ops[1], DAL);
		sweep_kind(LENDS_MMIO, &importer_ops[0], DAL);
		sweep_kind(NATIVE_MMIO, &importer_ops[2], DAL);
		sweep_kind(NATIVE_RAM, &importer_ops[1], DAL);
		sweep_kind(NATIVE_RAM, NULL, DAL);
	}
}

/* Map, check and unmap from here to there; what is outside is refused */
static void slice_to(struct importer *imp, size_t offset, size_t end)
{
	imp->slices[0] = (struct slice){ .dev = imp->dev, .offset = offset,
					 .size = end - offset };
	map(imp, 0);
	EQ(!imp->maps[0], !imp->slices[0].size || end > buffer.dmabuf.size);
	if (imp->maps[0])
		unmap(imp, 0);
	check_books();
}

/* A byte before, at, and behind where the nth range begins */
static size_t near(size_t n, int delta)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++)
		at += buffer.list->phys[i].len;
	return !at && delta < 0 ? 0 : at + delta;
}

static void slices_of(enum lends kind, int dev)
{
	const size_t ranges = 3;
	struct importer *imp;

	start_plain(kind, ranges);
	imp = borrow(0, dev, &importer_ops[0], DAL);
	for (size_t i = 0; i < 9 * (ranges + 1); i++) {
		for (size_t j = i; j < 9 * (ranges + 1); j++) {
			size_t from = near(i / 9, (int)(i % 3) - 1);
			size_t to = near(j / 9, (int)(j % 3) - 1);

			if (to >= from)
				slice_to(imp, from, to);
		}
	}
	/* The end wraps around */
	imp->slices[0] = (struct slice){ .dev = imp->dev, .offset = 1, .size = SIZE_MAX };
	map(imp, 0);
	CHECK(!imp->maps[0]);
	buffer_end();
}

static void test_slices(void)
{
	for (int dev = 0; dev < 3; dev++) {
		slices_of(LENDS_RAM, dev);
		slices_of(LENDS_MMIO, dev);
		slices_of(NATIVE_RAM, dev);
		slices_of(NATIVE_MMIO, dev);
	}
}

/* Ranges that are neighbours are one run, wherever a range ends */
static void test_neighbours(void)
{
	struct phys_vec *phys;
	struct dma_buf_phys_list *list = dma_buf_phys_list_alloc(100, &phys);
	struct importer *imp;

	memset(&buffer, 0, sizeof(buffer));
	memcpy(buffer.devs, some_devs, sizeof(some_devs));
	for (size_t i = 0; i < 100; i++)
		phys[i] = (struct phys_vec){ .paddr = (1000 + i + i / 10) << PAGE_SHIFT,
					     .len = PAGE_SIZE };
	buffer_start(list, LENDS_MMIO);
	buffer.devs[1].direct = true;
	for (int dev = 0; dev < 3; dev++) {
		imp = borrow(0, dev, &importer_ops[0], DAL);
		map(imp, 0);
		EQ(check_runs(imp, &imp->slices[0], imp->maps[0]), dev == 2 ? 1 : 10);
		slice_to(borrow(1, dev, &importer_ops[0], DAL), 9 * PAGE_SIZE + 1,
			 11 * PAGE_SIZE - 1);
		op_detach(&buffer.importers[1]);
		op_detach(imp);
	}
	buffer_end();
}

/* One attachment, two devices, two routes; a third one has no way */
static void test_two_devices(void)
{
	struct importer *imp;

	shim.traced = true;
	start_plain(LENDS_MMIO, 3);
	imp = borrow(0, 0, &importer_ops[0], DAL);
	map(imp, 0);
	imp->slices[1].dev = &buffer.devs[2];
	map(imp, 1);
	check_books();
	check_map(imp, 0);
	unmap(imp, 0);
	check_map(imp, 1);
	imp->slices[0].dev = &buffer.devs[3];
	map(imp, 0);
	CHECK(!imp->maps[0]);
	EQ(strcmp(shim.events[0].verdict, "p2p-distance"), 0);
	revoke_or_restore(true);
	buffer_end();

	start_plain(NATIVE_RAM, 1);
	imp = borrow(0, 0, &importer_ops[0], DAL);
	imp->slices[0].dev = &buffer.devs[1];
	map(imp, 0);
	CHECK(!imp->maps[0]);
	EQ(strcmp(shim.events[0].verdict, "one-device"), 0);
	buffer_end();
}

static const char *last_verdict(void)
{
	return shim.events[shim.nr_events - 1].verdict;
}

static void refuses_dal(enum lends kind, int dev, unsigned int accepts, const char *why)
{
	struct importer *imp = &buffer.importers[0];

	start_plain(kind, 1);
	*imp = (struct importer){ .dev = &buffer.devs[dev], .wants = DAL, .accepts = accepts,
				  .ops = &importer_ops[accepts == DMA_BUF_DAL_RAM] };
	attach(imp);
	CHECK(!imp->attach);
	EQ(strcmp(last_verdict(), why), 0);
	buffer_end();
}

/* What does not fit has a word that says why */
static void test_dal_words(void)
{
	shim.traced = true;
	refuses_dal(LENDS_MMIO, 0, DMA_BUF_DAL_RAM, "importer-refuses-p2p");
	refuses_dal(LENDS_MMIO, 0, DMA_BUF_DAL_HOST_BRIDGE, "route-not-wanted");
	refuses_dal(LENDS_MMIO, 1, DMA_BUF_DAL_BUS_ADDRESS, "route-not-wanted");
	refuses_dal(LENDS_MMIO, 3, DMA_BUF_DAL_ANY, "p2p-distance");
	refuses_dal(LENDS_RAM, 0, DMA_BUF_DAL_PEER, "route-not-wanted");
	refuses_dal(NATIVE_RAM, 0, DMA_BUF_DAL_PEER, "route-not-wanted");
	refuses_dal(LENDS_UNKNOWN, 0, DMA_BUF_DAL_ANY, "unknown-memory");
}

/* The order of requests picks the path, for the memory that each one accepts */
static void test_path(void)
{
	struct dma_buf_attachment *attach;

	for (int fast = 0; fast < 2; fast++) {
		const struct dma_buf_mapping_match requests[] = {
			DMA_BUF_IMAPPING_DAL(&buffer.devs[!fast], DMA_BUF_DAL_BUS_ADDRESS),
			DMA_BUF_IMAPPING_DAL(&buffer.devs[2], DMA_BUF_DAL_ANY) };

		start_plain(LENDS_MMIO, 1);
		attach = dma_buf_mapping_attach(&buffer.dmabuf, requests, 2, &importer_ops[0],
						&buffer.importers[0]);
		CHECK(dma_buf_dal_device(attach) == &buffer.devs[fast ? 0 : 2]);
		dma_buf_detach(&buffer.dmabuf, attach);
		buffer_end();
	}
}

/* The way to the peer is gone when it comes to the map */
static void test_way_lost(void)
{
	shim.traced = true;
	start_plain(LENDS_MMIO, 1);
	borrow(0, 0, &importer_ops[0], DAL);
	buffer.devs[0].p2p = PCI_P2PDMA_MAP_NOT_SUPPORTED;
	dma_resv_lock(&buffer.resv, NULL);
	EQ(PTR_ERR(map_locked(&buffer.importers[0], 0)), -EOPNOTSUPP);
	dma_resv_unlock(&buffer.resv);
	check_books();
	buffer_end();
}

/* The device of a heap, and no other, reaches its pool */
static const char *never_obstacle(const struct dma_buf_mapping_match *exp, struct device *dev)
{
	CHECK(exp->payload[2] == 0 && exp == buffer.dmabuf.ops->single_exporter_match);
	return dev == &buffer.devs[0] ? NULL : "memory-pool";
}

static void test_dal_obstacle(void)
{
	static const struct dma_buf_mapping_sgt_exp_ops sgt_ops = {
		.map_dma_buf = native_map, .unmap_dma_buf = native_unmap,
		.obstacle = never_obstacle };
	static const struct dma_buf_mapping_match offer = DMA_BUF_EMAPPING_SGT(&sgt_ops);
	static const struct dma_buf_ops ops = { .single_exporter_match = &offer };

	shim.traced = true;
	start_plain(NATIVE_RAM, 1);
	buffer.dmabuf.ops = &ops;
	for (int dev = 0; dev < 2; dev++) {
		struct dma_buf_mapping_match request =
			DMA_BUF_IMAPPING_DAL(&buffer.devs[dev], DMA_BUF_DAL_ANY);
		struct dma_buf_attachment *attach =
			dma_buf_mapping_attach(&buffer.dmabuf, &request, 1, NULL, NULL);

		EQ(PTR_ERR_OR_ZERO(attach), dev ? -EOPNOTSUPP : 0);
		if (dev)
			EQ(strcmp(last_verdict(), "memory-pool"), 0);
		else
			dma_buf_detach(&buffer.dmabuf, attach);
	}
	buffer.dmabuf.ops = &native_ops;
	buffer_end();
}

static void test_refused_routes(void)
{
	shim.traced = true;
	start_plain(LENDS_MMIO, 2);
	map(borrow(0, 3, &importer_ops[0], SGT), 0);
	check_books();
	buffer.devs[0].far = true;
	borrow(1, 0, &importer_ops[0], SGT);
	CHECK(!buffer.importers[1].attach);
	buffer_end();
}

static void test_who_may_attach(void)
{
	for (int kind = 0; kind < KINDS; kind++) {
		start_plain(kind, 1);
		for (int i = 0; i < 16; i++) {
			borrow(0, i & 1, i < 12 ? &importer_ops[i / 4] : NULL,
			       i & 2 ? PAL : SGT);
			op_detach(&buffer.importers[0]);
		}
		buffer_end();
	}
}

static void test_revoke(void)
{
	for (int late = 0; late < 2; late++) {
		start_plain(LENDS_MMIO, 3);
		for (int i = 0; i < 3; i++) {
			struct importer *imp = borrow(i, i, &importer_ops[0], i == 2 ? PAL : SGT);

			imp->late = late;
			map(imp, 0);
			map(imp, 1);
		}
		for (int again = 0; again < 2; again++) {
			revoke_or_restore(true);
			check_books();
			map(&buffer.importers[0], 0);
		}
		revoke_or_restore(false);
		revoke_or_restore(false);
		map(&buffer.importers[1], 1);
		check_books();
		buffer_end();
	}
}

static void lock_is_taken(void)
{
	CHECK(buffer.resv.lock.base && buffer.source.revoked);
	EQ(invalidated(), attached());
}

/* Importers are told before their fences are waited for, and nobody maps then */
static void test_revoke_order(void)
{
	start_plain(LENDS_RAM, 1);
	borrow(0, 0, &importer_ops[0], PAL);
	shim.in_wait = lock_is_taken;
	revoke_or_restore(true);
	shim.in_wait = NULL;
	buffer_end();
}

static void test_attach_while_revoked(void)
{
	shim.traced = true;
	start_plain(LENDS_RAM, 1);
	revoke_or_restore(true);
	borrow(0, 0, &importer_ops[0], PAL);
	CHECK(!buffer.importers[0].attach);
	EQ(strcmp(shim.events[shim.nr_events - 1].verdict, "revoked"), 0);
	revoke_or_restore(false);
	borrow(0, 0, &importer_ops[2], PAL);
	CHECK(!buffer.importers[0].attach);
	EQ(strcmp(shim.events[shim.nr_events - 1].verdict, "not-revocable"), 0);
	buffer_end();
}

static void test_unlocked(void)
{
	struct sg_table *sgt;
	struct importer *imp;

	start_plain(LENDS_MMIO, 3);
	imp = borrow(0, 2, &importer_ops[0], SGT);
	sgt = dma_buf_sgt_map_attachment_unlocked(imp->attach, imp->dir);
	check_sgt(imp, sgt);
	dma_buf_sgt_unmap_attachment_unlocked(imp->attach, sgt, imp->dir);
	EQ(shim.pieces, 0);
	buffer_end();
}

/*
 * DIV_ROUND_UP() of a length and the longest piece wraps around, so that the
 * scatterlist has one entry for what needs 2^32. Nobody has that much memory; but
 * on 32 bits the same happens to every range of more than a page.
 */
static void map_too_long(enum lends kind, int dev)
{
	struct dma_buf_phys_list *list = new_list(2);
	struct importer *imp;
	void *map;

	memset(&buffer, 0, sizeof(buffer));
	memcpy(buffer.devs, some_devs, sizeof(some_devs));
	list->phys[0].len = -2 * PAGE_SIZE;
	list->phys[1].len = PAGE_SIZE;
	buffer_start(list, kind);
	imp = borrow(0, dev, &importer_ops[0], SGT);
	dma_resv_lock(&buffer.resv, NULL);
	map = map_locked(imp, 0);
	dma_resv_unlock(&buffer.resv);
	CHECK(IS_ERR(map));
	buffer_end();
}

static void test_too_long_ram(void)
{
	map_too_long(LENDS_RAM, 0);
}

static void test_too_long_mmio(void)
{
	for (int dev = 0; dev < 3; dev++)
		map_too_long(LENDS_MMIO, dev);
}

const struct test buffer_tests[] = {
	{ "buffer: each call on the way fails once, on all routes", test_faults },
	{ "buffer: routes that are refused", test_refused_routes },
	{ "buffer: who may attach", test_who_may_attach },
	{ "dal: slices at the ends of ranges", test_slices },
	{ "dal: neighbours are one run", test_neighbours },
	{ "dal: one attachment for two devices", test_two_devices },
	{ "dal: what is refused has a word", test_dal_words },
	{ "dal: the order of requests picks the path", test_path },
	{ "dal: the way is lost between attach and map", test_way_lost },
	{ "dal: what an exporter has against a device", test_dal_obstacle },
	{ "buffer: revoke and restore", test_revoke },
	{ "buffer: importers are told, then waited for", test_revoke_order },
	{ "buffer: attach while revoked", test_attach_while_revoked },
	{ "buffer: the functions that lock", test_unlocked },
	{ "RAM of more pieces than can be counted", test_too_long_ram },
	{ "MMIO of more pieces than can be counted", test_too_long_mmio },
	{}
};
