// SPDX-License-Identifier: GPL-2.0
@@
identifier f = uverbs_dmabuf_attach;
@@
- f(...) { ... }

@@
identifier X;
expression M, U;
@@
+static const struct dma_buf_mapping_sgt_exp_ops uverbs_dmabuf_sgt_ops = {
+	.map_dma_buf = M,
+	.unmap_dma_buf = U,
+};
+
+static int uverbs_dmabuf_match_mapping(struct dma_buf_match_args *args)
+{
+	const struct ib_uverbs_dmabuf_file *priv = args->dmabuf->priv;
+	const struct dma_buf_mapping_match offer =
+		DMA_BUF_EMAPPING_SGT_P2P(&uverbs_dmabuf_sgt_ops, priv->pdev);
+
+	return dma_buf_match_mapping(args, &offer, 1);
+}
+
  struct dma_buf_ops X = {
- 	.attach = uverbs_dmabuf_attach,
- 	.map_dma_buf = M,
- 	.unmap_dma_buf = U,
+ 	.match_mapping = uverbs_dmabuf_match_mapping,
  };

@@
struct ib_uverbs_dmabuf_file *P;
@@
  uverbs_dmabuf_release(...)
  {
  ...
+ pci_dev_put(P->pdev);
  uverbs_uobject_release(&P->uobj);
  ...
  }

@@
struct ib_uverbs_dmabuf_file *P;
symbol exp_info, uverbs_dmabuf_ops;
@@
+ P->pdev = pci_dev_get(to_pci_dev(P->provider->owner));
+
  exp_info.ops = &uverbs_dmabuf_ops;
  exp_info.size = P->phys_vec.len;
