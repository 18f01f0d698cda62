//! Codes of the queries: bit `b` is 1 iff `q·a_b > c_b` (paper, section 3.2).

use super::{Cost, Count, Definition, Launch, Pace, Scratch, KERNEL_TILE};

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["hash_codes"],
    scratch: |_, cut| vec![(Scratch::Codes, cut.shape.queries * cut.words)],
    cost: |_, cut| {
        let [queries, width, bits, words] = [cut.shape.queries, cut.shape.width, cut.bits, cut.words].map(Count::from);
        Cost { operations: 2 * queries * bits * width, words: queries * width + queries * words, ..Cost::default() }
    },
    pace: Pace::Operations([7.2, 146.0, 0.37]),
    launches: |_, cut| {
        vec![Launch::new("hash_codes", cut.query_tiles(), 1, &[KERNEL_TILE, 32 * cut.words, cut.shape.width])]
    },
};
