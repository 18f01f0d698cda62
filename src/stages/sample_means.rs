//! Centres of K-means on a sample, times the metric: where they start, and then the means of their members.

use super::{Cost, Count, Definition, Launch, Pace, Role, Scratch};

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["sample_means"],
    scratch: |_, cut| {
        vec![if cut.host {
            (Scratch::MetricCentres, cut.clusters.max(cut.groups) * (cut.shape.width + 1))
        } else {
            (Scratch::Centroids, cut.centroids_words())
        }]
    },
    cost: |step, cut| {
        let (count, rows) = cut.side(step.role);
        let summed = if step.role.is_of_sample() { rows } else { 0 };
        let [count, summed, width] = [count, summed, cut.shape.width].map(Count::from);
        Cost {
            operations: summed * width + 2 * count * width * width,
            words: summed * (width + Count(1)) + (2 * count + width) * width,
            ..Cost::default()
        }
    },
    pace: Pace::Operations([17.0, 1130.0, 1.0]),
    launches: |step, cut| {
        let (count, rows) = cut.side(step.role);
        let looked_at = if matches!(step.role, Role::Sample | Role::KeySample) { rows } else { 1 };
        vec![Launch::new("sample_means", count, 1, &[cut.shape.width, cut.width4 + looked_at])]
    },
};
