//! Exact products of each query with its cluster's top-k keys, and with the pseudo-keys of key groups.

use super::remainder::cluster_parts;
use super::{Cost, Count, Cut, Definition, Launch, Pace, Role, Scratch, KERNEL_TILE};
use crate::Shape;

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["refine_top_k"],
    scratch: |step, cut| match (step.role, cut.host) {
        (Role::Unfinished, true) => vec![(Scratch::RunningSoftmax, (2 + cut.groups) * cut.shape.queries)],
        (Role::Unfinished, false) => vec![(cluster_parts(cut).0, cluster_parts(cut).1 + running_softmax_words(cut))],
        _ => vec![],
    },
    cost: |step, cut| {
        let Shape { queries, keys, width, value_width, .. } = cut.shape;
        let [queries, keys, row, value_width] = [queries, keys, width + value_width, value_width].map(Count::from);
        let [clusters, top_k, groups] = [step.clusters.len(), cut.top_k, cut.groups].map(Count::from);
        let rest = if cut.groups > 0 { clusters * groups * row } else { clusters * value_width };
        Cost {
            operations: 2 * queries * (top_k + groups) * row,
            words: query_words(step.role == Role::Unfinished, cut)
                + clusters * top_k
                + (clusters * top_k).min(keys) * row
                + rest,
            ..Cost::default()
        }
    },
    pace: Pace::Operations([11.8, 280.0, 0.26]),
    launches: |_, cut| {
        // Each cluster, the padding among them, may leave one tile partly empty.
        let tiles = cut.query_tiles() + if cut.refine_packed { 0 } else { cut.clusters + 1 };
        let operations = [KERNEL_TILE, cut.top_k + cut.groups + 1, cut.pair_operations()];
        vec![Launch::new("refine_top_k", tiles, cut.value_parts, &operations)]
    },
};

/// Words of a query: member, row, output, and the running softmax where neighbours go on with it.
pub(super) fn query_words(goes_on: bool, cut: &Cut) -> Count {
    let row = cut.shape.width + cut.shape.value_width;
    Count::from(cut.shape.queries) * Count::from(1 + row + if goes_on { 2 + cut.groups } else { 0 })
}

/// The running softmax of every query, one for each part of the value columns, its logits with the pseudo-keys, and its sums if they rest there.
pub(super) fn running_softmax_words(cut: &Cut) -> usize {
    4 * (cut.value_parts + cut.groups.div_ceil(4) + cut.resting_vectors) * cut.shape.queries
}
