//! What is added to the logits of a key before the top-k is taken: the logarithm of its squared distance to its group's centre, in the metric of
//! the groups.

use super::{Cost, Count, Definition, Launch, Pace, Scratch, KERNEL_TILE};

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["key_spread"],
    scratch: |_, cut| vec![(Scratch::KeySpread, cut.keys_padded)],
    cost: |_, cut| {
        let [keys, width] = [cut.shape.keys, cut.shape.width].map(Count::from);
        Cost {
            operations: 2 * keys * width * (width + Count(1)),
            words: keys * (width + Count(2)) + width * width,
            ..Cost::default()
        }
    },
    pace: Pace::Operations([7.2, 146.0, 0.31]),
    launches: |_, cut| {
        let tiles = cut.shape.keys.div_ceil(KERNEL_TILE);
        vec![Launch::new("key_spread", tiles, 1, &[KERNEL_TILE, cut.shape.width, cut.shape.width])]
    },
};
