// SPDX-License-Identifier: GPL-2.0
@door@
identifier f = vfio_pci_dma_buf_iommufd_map;
type T;
@@
- T f(...) { ... }

@doorexp@
declarer name EXPORT_SYMBOL_FOR_MODULES;
symbol vfio_pci_dma_buf_iommufd_map;
expression E;
@@
- EXPORT_SYMBOL_FOR_MODULES(vfio_pci_dma_buf_iommufd_map, E);

@p2p@
identifier A;
@@
  vfio_pci_dma_buf_attach(..., struct dma_buf_attachment *A)
  {
  ...
- if (dma_buf_is_sgt(A) && !A->peer2peer)
- 	return -EOPNOTSUPP;
-
  ...
  }

@offer@
symbol vfio_pci_dma_buf_sgt_ops;
@@
- DMA_BUF_EMAPPING_SGT(&vfio_pci_dma_buf_sgt_ops)
+ DMA_BUF_EMAPPING_SGT_P2P(&vfio_pci_dma_buf_sgt_ops, priv->pdev)

@offerpriv@
identifier A;
@@
  vfio_pci_dma_buf_match_mapping(struct dma_buf_match_args *A)
  {
+ const struct vfio_pci_dma_buf *priv = A->dmabuf->priv;
  ...
  }

@member@
@@
  struct vfio_pci_dma_buf {
  	...
  	struct vfio_pci_core_device *vdev;
+ 	struct pci_dev *pdev;
  	...
  };

@get@
struct vfio_pci_dma_buf *P;
@@
+ P->pdev = pci_dev_get(vdev->pdev);
  P->dmabuf = dma_buf_export(&exp_info);

@put@
struct vfio_pci_dma_buf *P;
@@
  vfio_pci_dma_buf_release(...)
  {
  ...
+ pci_dev_put(P->pdev);
  dma_buf_phys_list_free(P->list);
  ...
  }
