//! Each query to the centroid of smallest Hamming distance.

use super::{Cost, Count, Definition, Launch, Pace, Scratch, KERNEL_TILE};

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["hamming_assign"],
    scratch: |_, cut| vec![(Scratch::Clusters, cut.clusters_words())],
    cost: |_, cut| {
        let [queries, clusters, words] = [cut.shape.queries, cut.clusters, cut.words].map(Count::from);
        Cost {
            // Xor, popcount, add.
            integer_operations: 3 * queries * words * clusters,
            words: queries * words + clusters * words + queries,
            ..Cost::default()
        }
    },
    pace: Pace::IntegerOperations([26.0, 710.0, 0.375]),
    launches: |_, cut| {
        vec![Launch::new("hamming_assign", cut.query_tiles(), 1, &[KERNEL_TILE, cut.clusters, cut.words])]
    },
};
