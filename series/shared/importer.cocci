// SPDX-License-Identifier: GPL-2.0
// An importer of scatterlists: the functions have the name of their type.  With
// the arguments, so that calls are laid out again
@call@
expression list es;
@@
(
- dma_buf_map_attachment(es)
+ dma_buf_sgt_map_attachment(es)
|
- dma_buf_map_attachment_unlocked(es)
+ dma_buf_sgt_map_attachment_unlocked(es)
|
- dma_buf_unmap_attachment(es)
+ dma_buf_sgt_unmap_attachment(es)
|
- dma_buf_unmap_attachment_unlocked(es)
+ dma_buf_sgt_unmap_attachment_unlocked(es)
|
- dma_buf_attach(es)
+ dma_buf_sgt_attach(es)
|
- dma_buf_dynamic_attach(es)
+ dma_buf_sgt_dynamic_attach(es)
)

@reference@
@@
(
- dma_buf_map_attachment
+ dma_buf_sgt_map_attachment
|
- dma_buf_map_attachment_unlocked
+ dma_buf_sgt_map_attachment_unlocked
|
- dma_buf_unmap_attachment
+ dma_buf_sgt_unmap_attachment
|
- dma_buf_unmap_attachment_unlocked
+ dma_buf_sgt_unmap_attachment_unlocked
|
- dma_buf_attach
+ dma_buf_sgt_attach
|
- dma_buf_dynamic_attach
+ dma_buf_sgt_dynamic_attach
)
