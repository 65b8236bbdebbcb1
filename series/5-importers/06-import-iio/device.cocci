// SPDX-License-Identifier: GPL-2.0
// Not in the exporters' semantic patch: here it is the importer who asks
@@
struct dma_buf_attachment *A;
@@
- A->dev
+ dma_buf_sgt_dma_device(A)
