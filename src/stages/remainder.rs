//! What a cluster's centroid gives to the keys outside its top-k. `partial_remainder` sums blocks of keys, `combine_remainder` adds them up.

use super::{Cost, Count, Cut, Definition, Launch, Pace, Scratch};

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["partial_remainder", "combine_remainder"],
    scratch: |_, cut| {
        vec![if cut.host { (Scratch::RemainderSums, cut.clusters * cut.shape.value_width) } else { cluster_parts(cut) }]
    },
    cost: |step, cut| {
        let [clusters, keys, value_width] =
            [step.clusters.len(), cut.shape.keys, cut.shape.value_width].map(Count::from);
        let logits = clusters * keys;
        Cost {
            operations: 2 * logits * value_width,
            words: logits + clusters * value_width,
            key_words: keys * value_width,
            ..Cost::default()
        }
    },
    pace: Pace::Operations([12.5, 232.0, 0.3]),
    launches: |step, cut| {
        let rows = step.clusters.len();
        let depth = rows.div_ceil(cut.remainder_clusters) * cut.value_parts;
        let operations = [cut.key_length, rows, cut.shape.value_width];
        vec![
            Launch::new("partial_remainder", cut.key_blocks, depth, &operations),
            Launch::new("combine_remainder", rows, 1, &[cut.key_blocks, cut.shape.value_width]),
        ]
    },
};

/// Statistics and weighted values of the clusters and of every block of keys, or of key groups.
pub(super) fn cluster_parts(cut: &Cut) -> (Scratch, usize) {
    if cut.groups > 0 {
        return super::group_remainder::cluster_parts(cut);
    }
    (Scratch::SoftmaxParts, (cut.clusters + cut.key_blocks * cut.clusters_per_pass) * cut.sums_row_words())
}
