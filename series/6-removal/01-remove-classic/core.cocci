// SPDX-License-Identifier: GPL-2.0
@@
symbol args, classic;
@@
  dma_buf_match(...)
  {
- const struct dma_buf_mapping_match classic =
- 	DMA_BUF_EMAPPING_SGT(&dma_buf_classic_ops);
  ...
- ret = dma_buf_match_mapping(args, ops->single_exporter_match ?: &classic, 1);
+ ret = dma_buf_match_mapping(args, ops->single_exporter_match, 1);
  ...
  }

@@
@@
  dma_buf_ops_have_one_offer(const struct dma_buf_ops *ops)
  {
- if (!ops->map_dma_buf != !ops->unmap_dma_buf)
- 	return false;
  if (ops->single_exporter_match && !ops->single_exporter_match->type)
  	return false;
- return !!ops->match_mapping + !!ops->single_exporter_match +
- 	!!ops->map_dma_buf == 1;
+ return !ops->match_mapping != !ops->single_exporter_match;
  }

@@
struct dma_buf_attachment *A;
expression E;
@@
(
- A->dev = E;
|
- A->peer2peer = E;
)

@@
struct dma_buf_attachment *A;
@@
- A->dev
+ dma_buf_sgt_dma_device(A)
