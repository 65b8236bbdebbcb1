// SPDX-License-Identifier: GPL-2.0
// iommufd: from one range behind symbol_get() to a list
@door@
identifier f = sym_vfio_pci_dma_buf_iommufd_map;
type T;
@@
- T f(...) { ... }

@reader@
identifier f = { pfn_reader_dmabuf_init, pfn_reader_fill_dmabuf };
type T;
@@
- T f(...) { ... }

@fill@
@@
  pfn_reader_fill_span(struct pfn_reader *pfns)
  {
  <...
- if (iopt_is_dmabuf(pfns->pages))
- 	return pfn_reader_fill_dmabuf(...);
  ...>
  }

@kind@
expression B, P, N;
@@
- batch_add_pfn_num(B, P, N, BATCH_CPU_MEMORY)
+ batch_add_pfn_num(B, P, N)

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
