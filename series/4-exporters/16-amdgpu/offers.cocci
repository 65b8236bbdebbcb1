// SPDX-License-Identifier: GPL-2.0
@@
identifier X;
expression M, U;
@@
  struct dma_buf_ops X = {
- 	.map_dma_buf = M,
- 	.unmap_dma_buf = U,
+ 	.match_mapping = amdgpu_dma_buf_match_mapping,
  };

@@
identifier f != amdgpu_dma_buf_attach;
struct dma_buf_attachment *A;
@@
  f(...)
  {
  <+...
- A->dev
+ dma_buf_sgt_dma_device(A)
  ...+>
  }
