//! Members of each cluster, in order of position: a stable counting sort.

use super::{Cost, Count, Definition, Launch, Pace, Scratch, KERNEL_TILE};

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["count_members", "group_offsets", "scatter_members"],
    scratch: |_, cut| {
        let offsets = cut.clusters + 2;
        vec![
            // Where an assignment is supplied, no other stage asks for them.
            (Scratch::Clusters, cut.shape.queries),
            (Scratch::Groups, if cut.host { 1 } else { 2 } * offsets + cut.shape.queries),
            (Scratch::BlockCounts, if cut.host { 0 } else { cut.group_blocks * (cut.clusters + 1) }),
        ]
    },
    cost: |_, cut| {
        let members = 2 * Count::from(cut.shape.queries) + Count::from(cut.clusters);
        Cost { integer_operations: members, words: members, ..Cost::default() }
    },
    pace: Pace::Bytes([59.0, 1350.0, 5.0]),
    launches: |_, cut| {
        let depth = (cut.clusters + 1).div_ceil(KERNEL_TILE);
        let block_operations = [cut.group_length, KERNEL_TILE, depth];
        vec![
            Launch::new("count_members", cut.group_blocks, depth, &block_operations),
            Launch::new("group_offsets", 1, 1, &[cut.clusters + 1, cut.group_blocks]),
            Launch::new("scatter_members", cut.group_blocks, depth, &block_operations),
        ]
    },
};
