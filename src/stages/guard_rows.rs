//! The queries that stitched attention's error is measured on: drawn in strata, and far from their centroids.

use super::{Cost, Count, Cut, Definition, Launch, Pace, Scratch, COVARIANCE_SAMPLES};

/// Device: words of a slice's verdict, which its rows follow.
const VERDICT_WORDS: usize = 4;

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["guard_rows"],
    scratch: |_, cut| vec![if cut.host { (Scratch::GuardRows, cut.guard_rows) } else { guard_words(cut) }],
    cost: |_, cut| {
        let [samples, rows] = [cut.shape.queries.min(COVARIANCE_SAMPLES), cut.guard_rows].map(Count::from);
        let width = Count::from(cut.shape.width);
        Cost {
            operations: 2 * samples * width * (width + Count(1)),
            words: 2 * samples * width + width * width + rows,
            ..Cost::default()
        }
    },
    pace: Pace::Operations([7.2, 146.0, 0.31]),
    launches: |_, cut| {
        vec![Launch::new("guard_rows", 1, 1, &[COVARIANCE_SAMPLES, cut.shape.width + 1, 4 * cut.width4 + 4])]
    },
};

/// Device: a slice's verdict and the rows that were looked at; without a guard the verdict alone, which kernels bind all the same.
pub(super) fn guard_words(cut: &Cut) -> (Scratch, usize) {
    (Scratch::Guard, VERDICT_WORDS + cut.guard_rows)
}
