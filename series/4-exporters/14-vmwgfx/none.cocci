// SPDX-License-Identifier: GPL-2.0
@@
identifier f = { vmw_prime_map_detach, vmw_prime_map_dma_buf,
		 vmw_prime_unmap_dma_buf };
type T;
@@
- T f(...) { ... }

@@
@@
- vmw_prime_map_attach(struct dma_buf *dma_buf,
- 		     struct dma_buf_attachment *attach)
+ vmw_prime_match_mapping(struct dma_buf_match_args *args)
  { ... }

@@
identifier X;
@@
  struct dma_buf_ops X = {
- 	.attach = vmw_prime_map_attach,
- 	.detach = vmw_prime_map_detach,
- 	.map_dma_buf = vmw_prime_map_dma_buf,
- 	.unmap_dma_buf = vmw_prime_unmap_dma_buf,
+ 	.match_mapping = vmw_prime_match_mapping,
  };
