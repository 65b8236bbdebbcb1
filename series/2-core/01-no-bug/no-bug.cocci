// SPDX-License-Identifier: GPL-2.0
// Warn, and keep away from what is inconsistent
@release@
expression E, F;
@@
  dma_buf_release(...)
  {
  ...
- BUG_ON(E);
+ /* Leak the buffer rather than free it under a user */
+ if (WARN_ON(E))
+	return;
  ...
- BUG_ON(F);
+ if (WARN_ON(F))
+	return;
  ...
  }

@vmap@
expression E, F;
struct dma_buf *D;
@@
  dma_buf_vmap(...)
  {
  ...
  if (D->vmapping_counter) {
+	if (WARN_ON(E))
+		return -EINVAL;
	D->vmapping_counter++;
-	BUG_ON(E);
	...
  }
- BUG_ON(F);
+ if (WARN_ON(F))
+	return -EINVAL;
  ...
  }

@vunmap@
expression E, F, G;
@@
  dma_buf_vunmap(...)
  {
  ...
- BUG_ON(E);
- BUG_ON(F);
- BUG_ON(G);
+ if (WARN_ON(E || F || G))
+	return;
  ...
  }
