//! Random numbers of a plan's seed, as the shaders read them.

use crate::plan::Plan;
use crate::problem::{Recipe, Space, Supplied};
use crate::random::{self, Stream};
use crate::stages::COVARIANCE_SAMPLES;

/// Hash planes, rows of vectors with the threshold in one of their own; one vector where there are none.
pub(super) fn planes(plan: &Plan, supplied: &Supplied) -> Vec<[f32; 4]> {
    let Recipe::Grouped(grouped) = &plan.recipe else { return vec![[0.0; 4]] };
    let (clustering, width) = (grouped.clustering, plan.problem.shape().width);
    if clustering.space == Space::Metric {
        return vec![[0.0; 4]];
    }
    let planes = match supplied.planes {
        Some(planes) => planes.to_vec(),
        None => random::planes(clustering.seed, clustering.bits, width, clustering.random_thresholds()),
    };
    let row = plan.cut.width4 + 1;
    let mut vectors = vec![[0.0; 4]; 32 * plan.cut.words * row];
    for (bit, plane) in planes.chunks(width + 1).enumerate() {
        for (column, &value) in plane[..width].iter().enumerate() {
            vectors[bit * row + column / 4][column % 4] = value;
        }
        vectors[bit * row + row - 1][0] = plane[width];
    }
    vectors
}

/// Numbers, or supplied positions, that start the clusters and then the key groups, and numbers of the samples.
pub(super) fn starts(plan: &Plan, supplied: &Supplied) -> Vec<u32> {
    let Recipe::Grouped(grouped) = &plan.recipe else { return vec![0; 4] };
    let clustering = grouped.clustering;
    let of = |positions: Option<&[u32]>, stream, count| match positions {
        Some(positions) => positions.to_vec(),
        None => random::starts(clustering.seed, stream, count),
    };
    let mut starts = of(supplied.initial_positions, Stream::Positions, clustering.clusters);
    starts.extend(of(supplied.initial_key_positions, Stream::KeyPositions, plan.cut.groups));
    let samples = plan.cut.samples.max(plan.cut.key_samples).max(COVARIANCE_SAMPLES);
    starts.extend(random::starts(clustering.seed, Stream::Samples, samples));
    starts
}
