//! The error of stitched attention on some rows of each slice, which are computed exactly. `guard_attention` attends to blocks of keys,
//! `guard_compare` puts them together and sets the rows beside the output.

use super::{Cost, Count, Definition, Launch, Pace, Scratch};

/// Rows of a workgroup, each of which is eight invocations.
const ROWS: usize = 8;

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["guard_attention", "guard_compare"],
    scratch: |_, cut| {
        let rows = cut.guard_blocks * cut.guard_rows;
        if cut.host {
            // What `cpu::guard_check::Verdict` takes.
            vec![(Scratch::GuardParts, rows * (2 + cut.shape.value_width)), (Scratch::Guard, 2)]
        } else {
            vec![(Scratch::GuardParts, rows * cut.sums_row_words())]
        }
    },
    cost: |_, cut| {
        let row = cut.shape.width + cut.shape.value_width;
        let [rows, keys, row, width] = [cut.guard_rows, cut.shape.keys, row, cut.shape.value_width].map(Count::from);
        Cost {
            operations: 2 * rows * keys * row,
            words: rows * (row + width),
            key_words: keys * row,
            ..Cost::default()
        }
    },
    // The usual eight rows fill half of a tile of the host.
    pace: Pace::Operations([11.6, 236.0, 0.54]),
    launches: |_, cut| {
        let depth = cut.guard_rows.div_ceil(ROWS) * cut.value_parts;
        let attended = [cut.guard_length, cut.guard_rows.next_multiple_of(ROWS), cut.pair_operations()];
        let compared = [cut.guard_rows, cut.guard_blocks + 2, 4 * cut.value_width4 + 8];
        vec![
            Launch::new("guard_attention", cut.guard_blocks, depth, &attended),
            Launch::new("guard_compare", 1, 1, &compared),
        ]
    },
};
