// SPDX-License-Identifier: GPL-2.0
@attach@
identifier A;
@@
  xe_dma_buf_attach(..., struct dma_buf_attachment *A)
  {
  ...
- if (A->peer2peer && pci_p2pdma_distance(..., A->dev, false) < 0)
- 	A->peer2peer = false;
- if (!A->peer2peer && !xe_bo_can_migrate(...))
- 	return -EOPNOTSUPP;
  ...
  }

@pin depends on attach@
struct dma_buf_attachment *A;
@@
  xe_dma_buf_pin(...)
  {
  <...
- if (!A->peer2peer)
+ if (dma_buf_is_sgt(A) && !dma_buf_sgt_p2p_allowed(A))
  { ... }
  ...>
  }

@p2p depends on attach@
struct dma_buf_attachment *A;
@@
- A->peer2peer
+ dma_buf_sgt_p2p_allowed(A)

@dev depends on attach@
struct dma_buf_attachment *A;
@@
- A->dev
+ dma_buf_sgt_dma_device(A)

@ops depends on attach@
expression M, U;
@@
+static const struct dma_buf_mapping_sgt_exp_ops xe_dma_buf_sgt_ops = {
+	.map_dma_buf = M,
+	.unmap_dma_buf = U,
+};
+
+static int xe_dma_buf_match_mapping(struct dma_buf_match_args *args)
+{
+	struct drm_gem_object *obj = args->dmabuf->priv;
+	const struct dma_buf_mapping_match offers[] = {
+		DMA_BUF_EMAPPING_SGT_P2P(&xe_dma_buf_sgt_ops,
+					 to_pci_dev(obj->dev->dev)),
+		DMA_BUF_EMAPPING_SGT(&xe_dma_buf_sgt_ops),
+	};
+	size_t count = ARRAY_SIZE(offers);
+
+	if (!xe_bo_can_migrate(gem_to_xe_bo(obj), XE_PL_TT))
+		count = 1;
+	return dma_buf_match_mapping(args, offers, count);
+}
+
  struct dma_buf_ops xe_dmabuf_ops = {
- 	.map_dma_buf = M,
- 	.unmap_dma_buf = U,
+ 	.match_mapping = xe_dma_buf_match_mapping,
  };
