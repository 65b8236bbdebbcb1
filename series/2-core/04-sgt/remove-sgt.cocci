// SPDX-License-Identifier: GPL-2.0
// What dma-buf-sgt.c does now
@@
identifier f = { dma_buf_wrap_sg_table, dma_buf_unwrap_sg_table,
		 dma_buf_pin_on_map, dma_buf_attach,
		 dma_buf_map_attachment, dma_buf_map_attachment_unlocked,
		 dma_buf_unmap_attachment,
		 dma_buf_unmap_attachment_unlocked };
type T;
@@
- T f(...) { ... }

@@
declarer name EXPORT_SYMBOL_NS_GPL;
identifier f = { dma_buf_attach,
		 dma_buf_map_attachment, dma_buf_map_attachment_unlocked,
		 dma_buf_unmap_attachment,
		 dma_buf_unmap_attachment_unlocked };
expression E;
@@
- EXPORT_SYMBOL_NS_GPL(f, E);

@@
@@
- struct dma_buf_sg_table_wrapper {
-	...
- };
