// SPDX-License-Identifier: GPL-2.0
@functions@
identifier f = { vfio_pci_dma_buf_attach, vfio_pci_dma_buf_done,
		 vfio_pci_dma_buf_map, vfio_pci_dma_buf_unmap,
		 vfio_pci_dma_buf_map_phys, vfio_pci_dma_buf_unmap_phys,
		 vfio_pci_dma_buf_match_mapping, vfio_pci_dma_buf_iommufd_map };
type T;
@@
- T f(...) { ... }

@doorexp@
declarer name EXPORT_SYMBOL_FOR_MODULES;
symbol vfio_pci_dma_buf_iommufd_map;
expression E;
@@
- EXPORT_SYMBOL_FOR_MODULES(vfio_pci_dma_buf_iommufd_map, E);

@ops@
identifier X;
@@
  struct dma_buf_ops X = {
- 	.attach = vfio_pci_dma_buf_attach,
- 	.match_mapping = vfio_pci_dma_buf_match_mapping,
+ 	.attach = dma_buf_pal_source_attach,
+ 	.match_mapping = dma_buf_pal_source_match,
  };

@members@
@@
  struct vfio_pci_dma_buf {
+ 	struct dma_buf_pal_source source;
  	struct dma_buf *dmabuf;
  	...
- 	struct dma_buf_phys_list *list;
- 	struct kref kref;
- 	struct completion comp;
- 	u8 revoked : 1;
  };

@init@
symbol ret, err_free_phys;
struct vfio_pci_dma_buf *P;
@@
  ret = dma_buf_phys_list_seal(P->list, ...);
  if (ret)
  	goto err_free_phys;
+ dma_buf_pal_source_init(&P->source, P->list);

@free@
struct vfio_pci_dma_buf *P;
@@
- dma_buf_phys_list_free(P->list);
+ dma_buf_pal_source_destroy(&P->source);

@priv@
symbol exp_info;
struct vfio_pci_dma_buf *P;
@@
- exp_info.priv = P;
+ exp_info.priv = &P->source;

@armed@
struct vfio_pci_dma_buf *P;
@@
  vfio_pci_core_feature_dma_buf(...)
  {
  ...
- kref_init(&P->kref);
- init_completion(&P->comp);
  ...
  }

@move@
struct vfio_pci_dma_buf *P;
identifier R;
@@
  vfio_pci_dma_buf_move(..., bool R)
  {
  <...
- if (P->revoked != R) {
- 	...
- }
+ if (R)
+ 	dma_buf_pal_source_revoke(P->dmabuf);
+ else
+ 	dma_buf_pal_source_restore(P->dmabuf);
  ...>
  }

@rest@
struct vfio_pci_dma_buf *P;
@@
(
- P->list
+ P->source.list
|
- P->revoked
+ P->source.revoked
)
