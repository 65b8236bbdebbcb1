// SPDX-License-Identifier: GPL-2.0-only
/*
 * One buffer, and importers that attach, map, unmap and detach while the memory
 * is revoked and lent again, and while calls fail. After each step the books must
 * agree: counts, pins, mappings, memory; and what a device finds at the addresses
 * that it got must be the exporter's list, byte for byte.
 */
#include <stdlib.h>
#include "test.h"
#include "dma-buf-converter.h"

#define IMPORTERS	3
#define MAPS		2
#define MMIO_OFFSET	BIT(56)	/* bus addresses are not physical ones */

/* Lent by a source, or offered as SGT by an exporter of the old kind */
enum lends { LENDS_RAM, LENDS_MMIO, LENDS_UNKNOWN, NATIVE_RAM, NATIVE_MMIO, KINDS };

struct importer {
	struct dma_buf_attachment *attach;
	struct device *dev;
	const struct dma_buf_attach_ops *ops;
	bool pal, late;		/* late: unmaps when the callback is over */
	enum dma_data_direction dir;
	void *maps[MAPS];
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

static void *map_locked(struct importer *imp)
{
	if (imp->pal)
		return dma_buf_pal_map_phys(imp->attach);
	return dma_buf_sgt_map_attachment(imp->attach, imp->dir);
}

static void unmap_locked(struct importer *imp, int n)
{
	void *map = imp->maps[n];

	imp->maps[n] = NULL;
	if (imp->pal)
		dma_buf_pal_unmap_phys(imp->attach, map);
	else
		dma_buf_sgt_unmap_attachment(imp->attach, map, imp->dir);
}

static void unmap_all_locked(struct importer *imp)
{
	for (int n = 0; n < MAPS; n++)
		if (imp->maps[n])
			unmap_locked(imp, n);
}

static int expect_map(const struct importer *imp);

/* Nobody may map while the memory is taken back, and at once when it is not */
static void map_again(struct importer *imp)
{
	unsigned int fault = shim.fault;
	int n = MAPS - 1;

	shim.fault = 0;
	EQ(buffer.source.revoked, buffer.revoking);
	imp->maps[n] = map_locked(imp);
	EQ(PTR_ERR_OR_ZERO(imp->maps[n]), expect_map(imp));
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

static int expect_match(const struct importer *imp)
{
	bool p2p = imp->ops && imp->ops->allow_peer2peer && imp->dev->is_pci &&
		   !imp->dev->far;

	if (imp->pal)
		return lends(&buffer) ? 0 : -EOPNOTSUPP;
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

	if (imp->pal)
		return;
	snprintf(text, sizeof(text), " p2p=%s", route);
	imp->attach->map_type.type->debugfs_dump(&s, imp->attach);
	EQ(strcmp(s.text, text), 0);
}

static void check_attached(const struct importer *imp)
{
	const struct dma_buf_attachment *attach = imp->attach;
	bool converted = lends(&buffer) && !imp->pal;

	EQ(dma_buf_is_sgt(attach), !imp->pal);
	EQ(attach->map_type.type == &dma_buf_mapping_pal_type, imp->pal);
	EQ(!!dma_buf_get_sgt_ops(attach), !imp->pal);
	CHECK(dma_buf_sgt_dma_device(attach) == (imp->pal ? NULL : imp->dev));
	EQ(dma_buf_sgt_p2p_allowed(attach), !imp->pal && is_mmio(&buffer));
	EQ(!!attach->converted, converted);
	EQ(strcmp(dma_buf_converter_name(&attach->map_type), converted ? "PAL->SGT" : "none"), 0);
	check_dump(imp, is_mmio(&buffer) ? "allowed" : "none");
}

static void attach(struct importer *imp)
{
	struct dma_buf_mapping_match pal = DMA_BUF_IMAPPING_PAL();
	struct dma_buf_attachment *attach;
	int expected = expect_attach(imp);

	if (imp->pal)
		attach = dma_buf_mapping_attach(&buffer.dmabuf, &pal, 1, imp->ops, imp);
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
		.dev = &buffer.devs[take(in, 4)], .pal = take(in, 2), .late = take(in, 2),
		.dir = dirs[take(in, 3)], .ops = ops < 3 ? &importer_ops[ops] : NULL };
	attach(imp);
}

/* ---- what a device sees ---- */

static const char *route_of(const struct importer *imp)
{
	if (!is_mmio(&buffer))
		return "none";
	if (imp->dev->p2p == PCI_P2PDMA_MAP_BUS_ADDR)
		return "bus-address";
	return imp->dev->iova ? "host-bridge-iova" : "host-bridge-phys";
}

static phys_addr_t seen(const struct importer *imp, dma_addr_t addr, size_t *left)
{
	if (is_mmio(&buffer) && imp->dev->p2p == PCI_P2PDMA_MAP_BUS_ADDR) {
		*left = SIZE_MAX;
		return addr - MMIO_OFFSET;
	}
	return shim_translate(imp->dev, addr, imp->dir, left);
}

/* One entry's bytes, at @offset of the buffer */
static void check_entry(const struct importer *imp, const struct scatterlist *sg,
			size_t offset)
{
	dma_addr_t addr = sg_dma_address(sg);
	size_t len = sg_dma_len(sg), left, have;
	struct dma_buf_phys_iter iter;
	phys_addr_t phys;

	CHECK(len && PAGE_ALIGNED(addr) && PAGE_ALIGNED(len));
	if (shim.wrap || is_mmio(&buffer))
		CHECK(!sg->page && !sg->length && !sg->offset);
	EQ(dma_buf_phys_list_seek(buffer.list, offset, &iter), 0);
	for (; len; len -= have, addr += have) {
		phys_addr_t found = seen(imp, addr, &left);

		have = dma_buf_phys_iter_next(&iter, min(len, left), &phys);
		EQ(found, phys);
		CHECK(have);
	}
}

/* No more entries than the bytes need: pieces, of ranges or of all in one */
static size_t expect_entries(const struct importer *imp)
{
	size_t count = 0;

	if (!strcmp(route_of(imp), "host-bridge-iova"))
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
	check_dump(imp, route_of(imp));
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

static void check_mapped(const struct importer *imp, void *map)
{
	const struct sg_table *sgt = map;

	if (imp->pal) {
		CHECK(map == buffer.list);
		check_event("map", "none", buffer.list->count, 0);
	} else {
		check_sgt(imp, map);
		check_event("map", route_of(imp), sgt->nents, 0);
	}
}

static int expect_map(const struct importer *imp)
{
	if (lends(&buffer) && buffer.source.revoked)
		return -ENODEV;
	if (!imp->pal && is_mmio(&buffer) && imp->dev->p2p == PCI_P2PDMA_MAP_NOT_SUPPORTED)
		return -EOPNOTSUPP;
	return 0;
}

static const char *expect_refusal(int err)
{
	return err == -ENODEV ? "revoked" : err == -EOPNOTSUPP ? "p2p-distance" : NULL;
}

/* What failed has left nothing, and has said why */
static void check_not_mapped(void *map, int pieces, int allocated)
{
	int err = PTR_ERR(map);
	const char *why = expect_refusal(err);

	EQ(shim.pieces, pieces);
	EQ(shim.allocated, allocated);
	check_event("map", "none", 0, err);
	if (shim.traced && why) {
		EQ(shim.nr_events, 2);
		EQ(strcmp(shim.events[0].verdict, why), 0);
	}
}

static void map(struct importer *imp, int n)
{
	int pieces = shim.pieces, allocated = shim.allocated, expected = expect_map(imp);
	int waits = shim.waits[DMA_RESV_USAGE_KERNEL];
	void *map;

	shim.nr_events = 0;
	dma_resv_lock(&buffer.resv, NULL);
	map = map_locked(imp);
	dma_resv_unlock(&buffer.resv);
	check_result(map, expected);
	if (IS_ERR(map)) {
		check_not_mapped(map, pieces, allocated);
		return;
	}
	imp->maps[n] = map;
	check_mapped(imp, map);
	EQ(shim.waits[DMA_RESV_USAGE_KERNEL] - waits, !imp->ops);
}

static void unmap(struct importer *imp, int n)
{
	size_t ranges = imp->pal ? buffer.list->count :
				   ((struct sg_table *)imp->maps[n])->nents;

	/* Everybody else's mappings are as they were until the last moment */
	if (imp->pal)
		CHECK(imp->maps[n] == buffer.list);
	else
		check_sgt(imp, imp->maps[n]);
	shim.nr_events = 0;
	dma_resv_lock(&buffer.resv, NULL);
	unmap_locked(imp, n);
	dma_resv_unlock(&buffer.resv);
	check_event("unmap", imp->pal ? "none" : route_of(imp), ranges, 0);
}

static void op_map(struct importer *imp, struct input *in)
{
	int n = take(in, MAPS);

	if (!imp->attach)
		return;
	if (imp->maps[n])
		unmap(imp, n);
	else
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
			.iova = take(in, 2), .merges = take(in, 2), .far = !take(in, 8) };
}

/* The exporter's own kind of table has one entry for a range */
static void list_shorten(struct dma_buf_phys_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		list->phys[i].len = min(list->phys[i].len, 4 * PAGE_SIZE);
}

static void buffer_seal(struct dma_buf_phys_list *list)
{
	enum dma_buf_phys_memory memory =
		buffer.kind == LENDS_RAM || buffer.kind == NATIVE_RAM ?
		DMA_BUF_PHYS_RAM : DMA_BUF_PHYS_MMIO;
	size_t bytes = list->count * sizeof(*buffer.was);

	buffer.dmabuf.size = 0;
	for (size_t i = 0; i < list->count; i++)
		buffer.dmabuf.size += list->phys[i].len;
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
	gpu = (struct pci_dev){ .dev = { .name = "gpu", .is_pci = true }, .refs = 1 };
	provider = (struct p2pdma_provider){ .owner = &gpu.dev, .bus_offset = MMIO_OFFSET };
	if (kind == NATIVE_RAM)
		list_shorten(list);
	buffer_seal(list);
	if (lends(&buffer))
		dma_buf_pal_source_init(&buffer.source, list, false);
	shim.other_thread = unmap_late;
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
	{ "bus", true, PCI_P2PDMA_MAP_BUS_ADDR, false, false, false },
	{ "phys", true, PCI_P2PDMA_MAP_THRU_HOST_BRIDGE, false, false, false },
	{ "iova", true, PCI_P2PDMA_MAP_THRU_HOST_BRIDGE, false, true, true },
	{ "refused", true, PCI_P2PDMA_MAP_NOT_SUPPORTED, false, false, false },
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

static struct importer *borrow(int i, int dev, const struct dma_buf_attach_ops *ops, bool pal)
{
	struct importer *imp = &buffer.importers[i];

	*imp = (struct importer){ .dev = &buffer.devs[dev], .ops = ops, .pal = pal,
				  .dir = DMA_TO_DEVICE };
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
	unmap(imp, 1);
	check_books();
}

static void sweep_kind(enum lends kind, const struct dma_buf_attach_ops *ops, bool pal)
{
	static const size_t counts[] = { 1, 3, 7 };

	for (size_t c = 0; c < ARRAY_SIZE(counts); c++) {
		start_plain(kind, counts[c]);
		for (int dev = 0; dev < 3; dev++) {
			sweep(borrow(0, dev, ops, pal));
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
		sweep_kind(LENDS_RAM, &importer_ops[0], true);
		sweep_kind(LENDS_RAM, &importer_ops[1], false);
		sweep_kind(LENDS_MMIO, &importer_ops[0], false);
		sweep_kind(LENDS_UNKNOWN, &importer_ops[0], true);
		sweep_kind(NATIVE_MMIO, &importer_ops[2], false);
		sweep_kind(NATIVE_RAM, &importer_ops[1], false);
		sweep_kind(NATIVE_RAM, NULL, false);
	}
}

static void test_refused_routes(void)
{
	shim.traced = true;
	start_plain(LENDS_MMIO, 2);
	map(borrow(0, 3, &importer_ops[0], false), 0);
	check_books();
	buffer.devs[0].far = true;
	borrow(1, 0, &importer_ops[0], false);
	CHECK(!buffer.importers[1].attach);
	buffer_end();
}

static void test_who_may_attach(void)
{
	for (int kind = 0; kind < KINDS; kind++) {
		start_plain(kind, 1);
		for (int i = 0; i < 16; i++) {
			borrow(0, i & 1, i < 12 ? &importer_ops[i / 4] : NULL, i & 2);
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
			struct importer *imp = borrow(i, i, &importer_ops[0], i == 2);

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
	borrow(0, 0, &importer_ops[0], true);
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
	borrow(0, 0, &importer_ops[0], true);
	CHECK(!buffer.importers[0].attach);
	EQ(strcmp(shim.events[shim.nr_events - 1].verdict, "revoked"), 0);
	revoke_or_restore(false);
	borrow(0, 0, &importer_ops[2], true);
	CHECK(!buffer.importers[0].attach);
	EQ(strcmp(shim.events[shim.nr_events - 1].verdict, "not-revocable"), 0);
	buffer_end();
}

static void test_unlocked(void)
{
	struct sg_table *sgt;
	struct importer *imp;

	start_plain(LENDS_MMIO, 3);
	imp = borrow(0, 2, &importer_ops[0], false);
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
	imp = borrow(0, dev, &importer_ops[0], false);
	dma_resv_lock(&buffer.resv, NULL);
	map = map_locked(imp);
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
	{ "buffer: revoke and restore", test_revoke },
	{ "buffer: importers are told, then waited for", test_revoke_order },
	{ "buffer: attach while revoked", test_attach_while_revoked },
	{ "buffer: the functions that lock", test_unlocked },
	{ "RAM of more pieces than can be counted", test_too_long_ram },
	{ "MMIO of more pieces than can be counted", test_too_long_mmio },
	{}
};
