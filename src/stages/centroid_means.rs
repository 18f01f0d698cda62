//! Mean of the valid queries of each cluster, of the keys of each group, and before hashing of all queries. `partial_means` sums parts,
//! `combine_means` adds them up; `member_means` does both where there is one part.

use super::{Cost, Count, Cut, Definition, Launch, Pace, Role, Scratch, Step};

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["partial_means", "combine_means", "member_means"],
    scratch: |step, cut| {
        if cut.host {
            return vec![match step.role {
                Role::AllQueries => (Scratch::Means, cut.shape.width),
                Role::Keys => (Scratch::GroupCentres, cut.groups * cut.shape.width),
                _ => (Scratch::Centroids, cut.centroids_words()),
            }];
        }
        let (count, _) = cut.side(step.role);
        let partials = parts(step, cut) * 4 * count * (cut.width4 + 1);
        vec![(Scratch::Centroids, cut.centroids_words()), (Scratch::MeanPartials, partials)]
    },
    cost: |step, cut| {
        let (count, rows) = cut.side(step.role);
        let [rows, count, width] = [rows, count, cut.shape.width].map(Count::from);
        match step.role {
            Role::AllQueries => {
                Cost { operations: 2 * rows * width, words: (rows + Count(1)) * width, ..Cost::default() }
            }
            _ => Cost { operations: rows * width, words: rows * (width + Count(1)) + count * width, ..Cost::default() },
        }
    },
    pace: Pace::Bytes([59.0, 1350.0, 5.0]),
    launches: |step, cut| {
        let (count, rows) = cut.side(step.role);
        let (clusters, parts) = match step.role {
            // The mean query is the mean of one cluster that holds all; its parts fit where those of all clusters do.
            Role::AllQueries => (1, (cut.mean_parts * cut.clusters).min(64)),
            _ => (count, parts(step, cut)),
        };
        let share = (rows * cut.shape.width).div_ceil(clusters * parts);
        if parts == 1 {
            return vec![Launch::new("member_means", clusters, 1, &[share + cut.shape.width])];
        }
        vec![
            Launch { parts, ..Launch::new("partial_means", clusters * parts, 1, &[share]) },
            Launch { parts, ..Launch::new("combine_means", clusters, 1, &[parts, cut.shape.width]) },
        ]
    },
};

/// Parts that the members of a cluster are cut into.
fn parts(step: &Step, cut: &Cut) -> usize {
    match step.role {
        Role::Keys => (cut.shape.keys / (cut.groups.max(1) * 64)).clamp(1, 16),
        _ => cut.mean_parts,
    }
}
