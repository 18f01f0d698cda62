//! Starting codes of the clusters.

use super::{Cost, Count, Definition, Launch, Pace, Scratch, KERNEL_TILE};

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["initial_centroids"],
    // On a device each word is followed by whether it changed.
    scratch: |_, cut| vec![(Scratch::CentroidCodes, if cut.host { 1 } else { 2 } * cut.clusters * cut.words)],
    cost: |_, cut| Cost { words: 2 * Count::from(cut.clusters) * Count::from(cut.words), ..Cost::default() },
    pace: Pace::Bytes([59.0, 1350.0, 5.0]),
    launches: |_, cut| {
        let tiles = cut.clusters.div_ceil(KERNEL_TILE);
        vec![Launch::new("initial_centroids", tiles, 1, &[KERNEL_TILE, cut.words])]
    },
};
