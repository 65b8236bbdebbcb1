// SPDX-License-Identifier: GPL-2.0
@attach@
identifier f = hl_dmabuf_attach;
@@
- f(...) { ... }

@map@
identifier A;
statement S;
@@
  hl_map_dmabuf(struct dma_buf_attachment *A, ...)
  {
  ...
- if (!A->peer2peer) S
  ...
  }

@dev@
struct dma_buf_attachment *A;
@@
- A->dev
+ dma_buf_sgt_dma_device(A)

@ops@
identifier X;
expression M, U;
@@
+static const struct dma_buf_mapping_sgt_exp_ops hl_dmabuf_sgt_ops = {
+	.map_dma_buf = M,
+	.unmap_dma_buf = U,
+};
+
+static int hl_dmabuf_match_mapping(struct dma_buf_match_args *args)
+{
+	const struct hl_dmabuf_priv *hl_dmabuf = args->dmabuf->priv;
+	const struct dma_buf_mapping_match offer =
+		DMA_BUF_EMAPPING_SGT_P2P(&hl_dmabuf_sgt_ops, hl_dmabuf->ctx->hdev->pdev);
+
+	return dma_buf_match_mapping(args, &offer, 1);
+}
+
  struct dma_buf_ops X = {
- 	.attach = hl_dmabuf_attach,
- 	.map_dma_buf = M,
- 	.unmap_dma_buf = U,
+ 	.match_mapping = hl_dmabuf_match_mapping,
  };
