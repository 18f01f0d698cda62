//! Each query to the nearest centroid in L2.

use super::{Cost, Count, Definition, Launch, Pace, Scratch, KERNEL_TILE};

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["euclidean_assign"],
    scratch: |_, cut| vec![(Scratch::Clusters, cut.shape.queries)],
    cost: |_, cut| {
        let [queries, clusters, width] = [cut.shape.queries, cut.clusters, cut.shape.width].map(Count::from);
        Cost {
            operations: 2 * queries * clusters * width,
            words: (queries + clusters) * width + queries,
            ..Cost::default()
        }
    },
    pace: Pace::Operations([9.4, 211.0, 0.375]),
    launches: |_, cut| {
        vec![Launch::new("euclidean_assign", cut.query_tiles(), 1, &[KERNEL_TILE, cut.clusters, cut.shape.width])]
    },
};
