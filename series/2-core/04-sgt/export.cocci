// SPDX-License-Identifier: GPL-2.0
// What is left in dma-buf.c looks at offers and attachments, not at devices
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
