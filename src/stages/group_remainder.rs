//! What a cluster's centroid gives to the keys outside its top-k, group by group: for each a pseudo-key and its value. `partial_groups` sums
//! tiles of a group's members, `combine_groups` adds them up.

use super::{Cost, Count, Cut, Definition, Launch, Pace, Scratch, KEY_TILE};

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["partial_groups", "combine_groups"],
    scratch: |_, cut| {
        if !cut.host {
            return vec![cluster_parts(cut)];
        }
        let rows = cut.groups * cut.clusters;
        vec![
            (Scratch::PseudoKeys, rows * cut.shape.width),
            (Scratch::PseudoValues, rows * cut.shape.value_width),
            (Scratch::PseudoFacts, 3 * rows),
        ]
    },
    cost: |step, cut| {
        let row = cut.shape.width + cut.shape.value_width;
        let [clusters, keys, groups, row] = [step.clusters.len(), cut.shape.keys, cut.groups, row].map(Count::from);
        let logits = clusters * keys;
        Cost {
            operations: 2 * logits * row,
            words: logits + keys + clusters * groups * row,
            key_words: keys * row,
            ..Cost::default()
        }
    },
    pace: Pace::Operations([12.5, 232.0, 0.3]),
    launches: |step, cut| {
        let rows = step.clusters.len();
        let row = cut.shape.width + cut.shape.value_width;
        let depth = rows.div_ceil(cut.remainder_clusters) * cut.pseudo_parts;
        vec![
            Launch::new("partial_groups", cut.key_tiles(), depth, &[KEY_TILE, rows, row + 8 * cut.pseudo_parts]),
            Launch::new("combine_groups", rows * cut.groups, 1, &[cut.key_tiles(), row]),
        ]
    },
};

/// Statistics of the clusters, pseudo-keys, and the same of every tile of a key group.
pub(super) fn cluster_parts(cut: &Cut) -> (Scratch, usize) {
    let pseudo_rows = cut.clusters * cut.groups + cut.key_tiles() * cut.clusters_per_pass;
    (Scratch::SoftmaxParts, cut.clusters * cut.sums_row_words() + pseudo_rows * cut.pseudo_row_words())
}
