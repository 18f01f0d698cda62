//! The exact keys around each query, stitched to the top-k keys and the centroid's remainder.

use super::refine_top_k::query_words;
use super::{Cost, Count, Cut, Definition, Launch, Pace, WINDOW_TILE};
use crate::Shape;

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["stitch_window", "stitch_lost_rows"],
    scratch: |_, _| vec![],
    cost: |step, cut| {
        let Shape { queries, keys, width, value_width, .. } = cut.shape;
        let pairs = Count(cut.near.map_or(0, |near| near.pairs()));
        let [queries, keys, row, value_width] = [queries, keys, width + value_width, value_width].map(Count::from);
        let [clusters, top_k] = [step.clusters.len(), cut.top_k].map(Count::from);
        Cost {
            operations: 2 * pairs * row,
            words: query_words(true, cut)
                + queries * value_width
                + clusters * top_k
                + pairs.min(clusters * keys)
                + clusters * value_width,
            key_words: keys * row,
            ..Cost::default()
        }
    },
    pace: Pace::Operations([19.5, 500.0, 0.78]),
    launches: |_, cut| {
        // The host does both in one.
        let kernels = ["stitch_window", "stitch_lost_rows"].into_iter().take(if cut.host { 1 } else { 2 });
        kernels.map(|kernel| window(kernel, cut)).collect()
    },
};

/// A kernel over neighbouring queries and the keys around them.
pub(super) fn window(kernel: &'static str, cut: &Cut) -> Launch {
    let (tiles, keys) = cut.near.map_or((0, 0), |near| (near.tiles(WINDOW_TILE), near.keys_of_tile(WINDOW_TILE)));
    Launch::new(kernel, tiles, cut.value_parts, &[WINDOW_TILE, keys, cut.pair_operations()])
}
