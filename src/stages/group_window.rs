//! The exact keys around each query, stitched to the top-k keys and taken back from the key groups.

use super::{refine_top_k, stitch_window};
use super::{Cost, Count, Definition, Pace};
use crate::Shape;

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["group_window"],
    scratch: |_, _| vec![],
    cost: |_, cut| {
        let Shape { queries, keys, width, value_width, .. } = cut.shape;
        let pairs = Count(cut.near.map_or(0, |near| near.pairs()));
        let [clusters, keys, queries] = [cut.clusters, keys, queries].map(Count::from);
        let [row, value_width] = [width + value_width, value_width].map(Count::from);
        Cost {
            operations: 2 * pairs * row,
            words: refine_top_k::query_words(true, cut) + queries * value_width + keys + pairs.min(clusters * keys),
            key_words: keys * row,
            ..Cost::default()
        }
    },
    pace: Pace::Operations([19.5, 500.0, 0.456]),
    launches: |_, cut| vec![stitch_window::window("group_window", cut)],
};
