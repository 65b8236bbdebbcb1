// SPDX-License-Identifier: GPL-2.0
@@
identifier a;
@@
  struct dma_buf_ops {
  	...
- 	struct sg_table * (*map_dma_buf)(struct dma_buf_attachment *,
- 					 enum dma_data_direction);
- 	void (*unmap_dma_buf)(struct dma_buf_attachment *,
- 			      struct sg_table *,
- 			      enum dma_data_direction);
  	...
  };

@@
@@
  struct dma_buf_attachment {
  	...
- 	struct device *dev;
  	...
- 	bool peer2peer;
  	...
  };
