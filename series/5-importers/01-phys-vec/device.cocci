// SPDX-License-Identifier: GPL-2.0
@check@
identifier A, P;
@@
  dma_buf_phys_vec_to_sgt(struct dma_buf_attachment *A,
  			  struct p2pdma_provider *P, ...)
  {
+ struct device *dev = dma_buf_sgt_dma_device(A);
  ...
- if (WARN_ON(!A || !A->dmabuf || !P))
+ if (WARN_ON(!dev || !P))
  	return ...;
  ...
  }

@free@
identifier A;
@@
  dma_buf_free_sgt(struct dma_buf_attachment *A, ...)
  {
+ struct device *dev = dma_buf_sgt_dma_device(A);
  ...
  }

@use@
struct dma_buf_attachment *A;
@@
- A->dev
+ dev
