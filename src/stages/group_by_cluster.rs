//! Members of each cluster, or of each key group, in order of position: a stable counting sort.

use super::{Cost, Count, Definition, Launch, Pace, Role, Scratch, KERNEL_TILE};

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["count_members", "group_offsets", "scatter_members", "group_members"],
    scratch: |step, cut| {
        let counts =
            (Scratch::BlockCounts, if cut.host { 0 } else { cut.group_blocks * (cut.clusters.max(cut.groups) + 1) });
        // Where an assignment is supplied, no other stage asks for the clusters.
        match (step.role, cut.host) {
            (Role::Keys, true) => {
                vec![(Scratch::KeyGroups, cut.shape.keys), (Scratch::KeyMembers, cut.groups + 2 + cut.shape.keys)]
            }
            _ => vec![(Scratch::Clusters, cut.clusters_words()), (Scratch::Groups, cut.groups_words()), counts],
        }
    },
    cost: |step, cut| {
        let (count, rows) = cut.side(step.role);
        let members = 2 * Count::from(rows) + Count::from(count);
        Cost { integer_operations: members, words: members, ..Cost::default() }
    },
    pace: Pace::Bytes([59.0, 1350.0, 5.0]),
    launches: |step, cut| {
        let (count, rows) = cut.side(step.role);
        if cut.lists_at_once(step.role) {
            return vec![Launch::new("group_members", count + 1, 1, &[2, rows])];
        }
        let (depth, blocks) = ((count + 1).div_ceil(KERNEL_TILE), rows.div_ceil(cut.group_length));
        let block_operations = [cut.group_length, KERNEL_TILE, depth];
        vec![
            Launch::new("count_members", blocks, depth, &block_operations),
            Launch::new("group_offsets", 1, 1, &[count + 1, blocks]),
            Launch::new("scatter_members", blocks, depth, &block_operations),
        ]
    },
};
