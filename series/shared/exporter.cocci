// SPDX-License-Identifier: GPL-2.0
// An exporter that has scatterlists only: its callbacks become its one offer,
// and the device to map for comes out of the match
@ops@
identifier X;
expression M, U;
@@
  struct dma_buf_ops X = {
- 	.map_dma_buf = M,
- 	.unmap_dma_buf = U,
+ 	DMA_BUF_SIMPLE_SGT_EXP_MATCH(M, U),
  };

@virtio@
identifier X;
expression M, U;
@@
  struct virtio_dma_buf_ops X = {
  	.ops = {
- 		.map_dma_buf = M,
- 		.unmap_dma_buf = U,
+ 		DMA_BUF_SIMPLE_SGT_EXP_MATCH(M, U),
  	},
  };

@dev@
struct dma_buf_attachment *A;
@@
- A->dev
+ dma_buf_sgt_dma_device(A)
