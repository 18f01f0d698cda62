//! Logits of the centroids, `z[c,s] = centroid_c · k_s`.

use super::{Cost, Count, Definition, Launch, Pace, Scratch, KERNEL_TILE};

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["centroid_logits"],
    scratch: |_, cut| vec![(Scratch::Weights, cut.clusters_per_pass * cut.keys_padded)],
    cost: |step, cut| {
        let [clusters, keys, width] = [step.clusters.len(), cut.shape.keys, cut.shape.width].map(Count::from);
        let logits = clusters * keys;
        Cost {
            operations: 2 * logits * width,
            words: clusters * width + logits,
            key_words: keys * width,
            ..Cost::default()
        }
    },
    pace: Pace::Operations([9.0, 205.0, 0.23]),
    launches: |step, cut| {
        let rows = step.clusters.len();
        let depth = rows.div_ceil(cut.logit_clusters);
        let tiles = cut.shape.keys.div_ceil(KERNEL_TILE);
        vec![Launch::new("centroid_logits", tiles, depth, &[KERNEL_TILE, rows, cut.shape.width])]
    },
};
