// SPDX-License-Identifier: GPL-2.0
// The ranges move from three members into one list
@members@
@@
  struct vfio_pci_dma_buf {
  	...
- 	size_t size;
- 	struct phys_vec *phys_vec;
- 	struct p2pdma_provider *provider;
- 	u32 nr_ranges;
+ 	struct dma_buf_phys_list *list;
  	...
  };

@tosgt@
struct vfio_pci_dma_buf *P;
expression A, D;
@@
  dma_buf_phys_vec_to_sgt(A,
- 	P->provider, P->phys_vec, P->nr_ranges, P->size,
+ 	P->list->provider, P->list->phys, P->list->count, P->list->size,
  	D)

@sidedoor@
struct vfio_pci_dma_buf *P;
@@
  vfio_pci_dma_buf_iommufd_map(...)
  {
  <...
(
- P->nr_ranges
+ P->list->count
|
- P->phys_vec[0]
+ P->list->phys[0]
)
  ...>
  }

@alloc@
struct vfio_pci_dma_buf *P;
expression N;
@@
- P->phys_vec = kzalloc_objs(*P->phys_vec, N);
- if (!P->phys_vec)
+ P->list = dma_buf_phys_list_alloc(N);
+ if (!P->list)
  {
  ...
  }

@fill@
symbol ret, dma_ranges, err_free_phys;
struct vfio_pci_dma_buf *P;
identifier len, v;
expression R, G;
@@
- P->nr_ranges = R;
- P->size = len;
  ret = v->pci_ops->get_dmabuf_phys(v,
- 	&P->provider, G, P->phys_vec, dma_ranges, P->nr_ranges
+ 	&provider, G, P->list->phys, dma_ranges, P->list->count
  	);
  if (ret)
  	goto err_free_phys;
+
+ ret = dma_buf_phys_list_seal(P->list, len, DMA_BUF_PHYS_MMIO, provider);
+ if (ret)
+ 	goto err_free_phys;

@local depends on fill@
identifier P;
@@
  vfio_pci_core_feature_dma_buf(...)
  {
  ...
  struct vfio_pci_dma_buf *P;
+ struct p2pdma_provider *provider;
  ...
  }

@size@
symbol exp_info;
struct vfio_pci_dma_buf *P;
@@
- exp_info.size = P->size;
+ exp_info.size = P->list->size;

@free@
struct vfio_pci_dma_buf *P;
@@
- kfree(P->phys_vec);
+ dma_buf_phys_list_free(P->list);

@p2p@
identifier A;
@@
  vfio_pci_dma_buf_attach(..., struct dma_buf_attachment *A)
  {
  ...
- if (!A->peer2peer)
+ if (dma_buf_is_sgt(A) && !A->peer2peer)
  	return -EOPNOTSUPP;
  ...
  }

@ops@
identifier X;
expression M, U;
@@
  struct dma_buf_ops X = {
- 	.map_dma_buf = M,
- 	.unmap_dma_buf = U,
+ 	.match_mapping = vfio_pci_dma_buf_match_mapping,
  };
