//! Softmax attention over all keys that are seen, fused: of every slice, of an image's leading tokens, or of slices whose error the guard found
//! too large.

use super::guard_rows::guard_words;
use super::refine_top_k::running_softmax_words;
use super::remainder::cluster_parts;
use super::{Cost, Count, Definition, Launch, Pace, Role, Scratch, KERNEL_TILE};
use crate::Shape;

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["exact_attention"],
    scratch: |step, cut| {
        if cut.host {
            return vec![];
        }
        // With clusters, the running softmax lies behind what they leave.
        let before = if step.role == Role::Plain { 0 } else { cluster_parts(cut).1 };
        vec![(Scratch::SoftmaxParts, before + running_softmax_words(cut)), guard_words(cut)]
    },
    cost: |step, cut| {
        if step.role == Role::Guarded {
            // At least nothing: which slices fall back is known only as they are computed.
            return Cost::default();
        }
        let Shape { queries, keys, width, value_width, .. } = cut.shape;
        let (queries, pairs) = match step.role {
            Role::Leading => (cut.leading(), Count::from(cut.leading()) * Count::from(keys)),
            _ => (queries, Count(cut.visible.pairs(keys as i64 - queries as i64, queries, keys))),
        };
        let [queries, keys, row] = [queries, keys, width + value_width].map(Count::from);
        Cost { operations: 2 * pairs * row, words: queries * row, key_words: keys * row, ..Cost::default() }
    },
    pace: Pace::Operations([5.8, 236.0, 0.25]),
    launches: |step, cut| {
        // What a tile sees is more than what a query sees, by the tile's length.
        let (left, right) = cut.visible.bounds();
        let near = (KERNEL_TILE as i64 + left + right).min(cut.shape.keys as i64) as usize;
        let keys = (near + cut.visible.sinks).min(cut.shape.keys);
        let operations = [keys, KERNEL_TILE, cut.pair_operations()];
        let queries = if step.role == Role::Leading { cut.leading() } else { cut.shape.queries };
        let tiles = queries.div_ceil(KERNEL_TILE);
        vec![Launch { keys: Some(keys), ..Launch::new("exact_attention", tiles, cut.value_parts, &operations) }]
    },
};
