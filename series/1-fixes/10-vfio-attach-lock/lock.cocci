// SPDX-License-Identifier: GPL-2.0
@@
identifier B, P;
expression E;
@@
  vfio_pci_dma_buf_attach(struct dma_buf *B, ...)
  {
  	struct vfio_pci_dma_buf *P = E;
+ 	bool revoked;
  ...
- if (P->revoked)
+ dma_resv_lock(B->resv, NULL);
+ revoked = P->revoked;
+ dma_resv_unlock(B->resv);
+
+ if (revoked)
  	return -ENODEV;
  ...
  }
