// SPDX-License-Identifier: GPL-2.0
@@
identifier f = { dma_buf_attach, dma_buf_dynamic_attach,
		 dma_buf_map_attachment, dma_buf_map_attachment_unlocked,
		 dma_buf_unmap_attachment, dma_buf_unmap_attachment_unlocked };
type T;
@@
- T f(...) { ... }
