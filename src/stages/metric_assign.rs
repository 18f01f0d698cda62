//! Each row to the nearest centre in a metric, L2 among them: queries, keys, or a sample of either.

use super::{Cost, Count, Definition, Launch, Pace, Scratch, KERNEL_TILE};

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["metric_assign"],
    scratch: |step, cut| {
        if !cut.host {
            return vec![(Scratch::Clusters, cut.clusters_words())];
        }
        let samples = cut.samples.max(cut.key_samples);
        vec![match (step.role.is_of_sample(), step.role.is_of_keys()) {
            (true, _) => (Scratch::SampleClusters, samples),
            (false, true) => (Scratch::KeyGroups, cut.shape.keys),
            (false, false) => (Scratch::Clusters, cut.shape.queries),
        }]
    },
    cost: |step, cut| {
        let (count, rows) = cut.side(step.role);
        let [rows, count, width] = [rows, count, cut.shape.width].map(Count::from);
        Cost { operations: 2 * rows * count * width, words: (rows + count) * width + rows, ..Cost::default() }
    },
    pace: Pace::Operations([7.2, 146.0, 0.24]),
    launches: |step, cut| {
        let (count, rows) = cut.side(step.role);
        vec![Launch::new("metric_assign", rows.div_ceil(KERNEL_TILE), 1, &[KERNEL_TILE, count, cut.shape.width])]
    },
};
