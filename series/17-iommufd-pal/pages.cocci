// SPDX-License-Identifier: GPL-2.0
// iommufd: from one range behind symbol_get() to a list
@door@
identifier f = sym_vfio_pci_dma_buf_iommufd_map;
type T;
@@
- T f(...) { ... }

@reader@
@@
  struct pfn_reader_dmabuf {
- 	struct phys_vec phys;
- 	unsigned long start_offset;
+ 	struct iopt_pages *pages;
+ 	struct dma_buf_phys_iter iter;
+ 	/* What iter stands at, ULONG_MAX at first */
+ 	unsigned long next_index;
  };

@init@
identifier D, P;
@@
  pfn_reader_dmabuf_init(struct pfn_reader_dmabuf *D, struct iopt_pages *P)
  {
  ...
- D->phys = P->dmabuf.phys;
- D->start_offset = P->dmabuf.start;
+ D->pages = P;
+ D->next_index = ULONG_MAX;
  return 0;
  }

@fill@
identifier f = pfn_reader_fill_dmabuf;
type T;
@@
- T f(...) { ... }

@revoke@
struct iopt_pages *P;
@@
- P->dmabuf.phys.len = 0;
+ iopt_dmabuf_drop_list(P);

@p2p@
identifier O;
@@
  struct dma_buf_attach_ops O = {
- 	.allow_peer2peer = true,
  	.invalidate_mappings = iopt_revoke_notify,
  };

@map@
identifier f = iopt_map_dmabuf;
type T;
@@
- T f(...) { ... }

@release@
struct iopt_pages *P;
expression R;
@@
  dma_resv_lock(R, NULL);
- dma_buf_unpin(P->dmabuf.attach);
+ mutex_lock(&P->mutex);
+ if (!iopt_dmabuf_revoked(P))
+ 	iopt_dmabuf_drop_list(P);
+ mutex_unlock(&P->mutex);
  dma_resv_unlock(R);
