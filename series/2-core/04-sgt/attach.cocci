// SPDX-License-Identifier: GPL-2.0
// The body of what was dma_buf_dynamic_attach(); its head is an exact edit
@args@
identifier B, D;
expression E;
@@
  __dma_buf_mapping_attach(struct dma_buf *B, ...)
  {
  ...
- if (WARN_ON(!B || !D))
+ if (WARN_ON(!B))
  	return ERR_PTR(E);
  ...
  }

@p2p@
identifier O, P;
struct dma_buf_attachment *A;
@@
  __dma_buf_mapping_attach(..., const struct dma_buf_attach_ops *O, void *P)
  {
  ...
- if (O)
- 	A->peer2peer = O->allow_peer2peer;
  ...
  }

@match@
identifier P;
struct dma_buf_attachment *A;
@@
  __dma_buf_mapping_attach(..., void *P)
  {
  ...
  A->importer_priv = P;
+
+ ret = dma_buf_pick_type(A, imp_matches, match_len);
+ if (ret)
+ 	goto err_match;
  ...
  }

@detach@
identifier A;
@@
  dma_buf_detach(..., struct dma_buf_attachment *A)
  {
  ...
+ dma_buf_type_put(A->map_type.type);
  kfree(A);
  }

@export@
identifier I;
@@
  dma_buf_export(const struct dma_buf_export_info *I)
  {
  ...
- if (WARN_ON(!I->priv || !I->ops || !I->ops->map_dma_buf ||
- 	    !I->ops->unmap_dma_buf || !I->ops->release))
+ if (WARN_ON(!I->priv || !I->ops || !I->ops->release ||
+ 	    !dma_buf_ops_have_one_offer(I->ops)))
  	return ...;
  ...
  }

@bufinfo@
expression S;
struct dma_buf_attachment *A;
@@
- seq_printf(S, "\t%s\n", dev_name(A->dev));
+ dma_buf_show_attachment(S, A);
