//! Metrics: the covariance of the keys, in which queries are grouped, and that of the queries about their centroids, in which keys are. Of a
//! sample of the rows.

use super::cut::COVARIANCE_SAMPLES;
use super::{Cost, Count, Definition, Launch, Pace, Scratch, KERNEL_TILE};

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["covariance"],
    scratch: |_, cut| {
        let row = if cut.host { cut.shape.width } else { 4 * cut.width4 };
        vec![(Scratch::Covariances, 2 * cut.shape.width * row)]
    },
    cost: |step, cut| {
        let rows = Count::from(cut.side(step.role).1.min(COVARIANCE_SAMPLES));
        let width = Count::from(cut.shape.width);
        Cost { operations: 2 * rows * width * width, words: (rows + width) * width, ..Cost::default() }
    },
    pace: Pace::Operations([7.2, 250.0, 0.225]),
    launches: |step, cut| {
        let rows = cut.side(step.role).1.min(COVARIANCE_SAMPLES);
        let tiles = (cut.width4 * cut.width4).div_ceil(KERNEL_TILE);
        vec![Launch::new("covariance", tiles, 1, &[KERNEL_TILE, rows, 18])]
    },
};
