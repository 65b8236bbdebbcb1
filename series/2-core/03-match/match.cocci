// SPDX-License-Identifier: GPL-2.0
// The exporter's side of the negotiation, and where the result is kept
@ops@
identifier d, m;
@@
  struct dma_buf_ops {
  	...
  	void (*vunmap)(struct dma_buf *d, struct iosys_map *m);
+
+	/**
+	 * @match_mapping:
+	 *
+	 * Called during attach, before @attach, to pick the mapping type. The
+	 * exporter puts what it can offer for this buffer into an array of
+	 * &struct dma_buf_mapping_match, the best offer first, and calls
+	 * dma_buf_match_mapping() with it. It must not take anything: there is
+	 * no callback that would undo it if the attach fails later.
+	 *
+	 * Called without the reservation lock. What it reads must not go away
+	 * while the buffer exists.
+	 *
+	 * Exactly one of @match_mapping and @single_exporter_match is set.
+	 *
+	 * Returns:
+	 *
+	 * What dma_buf_match_mapping() returns.
+	 */
+	int (*match_mapping)(struct dma_buf_match_args *args);
+
+	/**
+	 * @single_exporter_match:
+	 *
+	 * The offer of an exporter that has one mapping type for all its
+	 * buffers, instead of @match_mapping.
+	 */
+	const struct dma_buf_mapping_match *single_exporter_match;
  };

@attachment@
identifier p;
@@
  struct dma_buf_attachment {
  	...
  	void *p;
+	struct dma_buf_mapping_match map_type;
+	const struct dma_buf_mapping_exp_ops *converted;
  };
