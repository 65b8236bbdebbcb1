// SPDX-License-Identifier: GPL-2.0
// The test driver has one offer, and no stubs for what it does not offer
@stub@
identifier f = { iommufd_test_dma_buf_attach, iommufd_test_dma_buf_detach,
		 iommufd_test_dma_buf_map, iommufd_test_dma_buf_unmap,
		 iommufd_test_dma_buf_iommufd_map };
type T;
@@
- T f(...) { ... }

@members@
@@
  struct iommufd_test_dma_buf {
  	void *memory;
- 	size_t length;
+ 	struct dma_buf_phys_list *list;
+ 	/* What importers hold */
+ 	unsigned int npins;
+ 	unsigned int nmaps;
  	...
  };

@ops@
identifier X;
@@
  struct dma_buf_ops X = {
- 	.attach = iommufd_test_dma_buf_attach,
- 	.detach = iommufd_test_dma_buf_detach,
- 	.map_dma_buf = iommufd_test_dma_buf_map,
+ 	.pin = iommufd_test_dma_buf_pin,
+ 	.unpin = iommufd_test_dma_buf_unpin,
  	.release = iommufd_test_dma_buf_release,
- 	.unmap_dma_buf = iommufd_test_dma_buf_unmap,
+ 	DMA_BUF_SIMPLE_PAL_EXP_MATCH(iommufd_test_dma_buf_map,
+ 				     iommufd_test_dma_buf_unmap),
  };
