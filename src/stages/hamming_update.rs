//! New code of each cluster, by majority. `vote` counts, `majority` decides; `update_code` does both where rows and clusters are few.

use super::{Cost, Count, Definition, Launch, Pace, Scratch, KERNEL_TILE};

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["vote", "majority", "update_code"],
    scratch: |_, cut| {
        let votes = cut.vote_blocks * cut.clusters * (32 * cut.words + 1);
        vec![(Scratch::Votes, if cut.host { 0 } else { votes })]
    },
    cost: |_, cut| {
        let [queries, clusters, words] = [cut.shape.queries, cut.clusters, cut.words].map(Count::from);
        Cost {
            // Shift, and, add.
            integer_operations: 3 * queries * words * Count(32),
            words: queries * words + queries + clusters * words,
            ..Cost::default()
        }
    },
    pace: Pace::IntegerOperations([26.0, 710.0, 0.375]),
    launches: |step, cut| {
        if cut.lists_at_once(step.role) {
            let bits = (cut.shape.queries / cut.clusters * 32 * cut.words).div_ceil(KERNEL_TILE);
            return vec![Launch::new("update_code", cut.clusters, 1, &[2 * cut.shape.queries + KERNEL_TILE * bits])];
        }
        let depth = cut.clusters.div_ceil(cut.vote_clusters);
        let words = (cut.clusters * cut.words).div_ceil(KERNEL_TILE);
        vec![
            Launch::new("vote", cut.vote_blocks, depth, &[cut.vote_length, 32 * cut.words, depth]),
            Launch::new("majority", words, 1, &[KERNEL_TILE * 32, cut.vote_blocks]),
        ]
    },
};
