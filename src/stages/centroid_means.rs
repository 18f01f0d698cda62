//! Mean of the valid queries of each cluster, and before hashing of all queries. `partial_means` sums parts, `combine_means` adds them up.

use super::{Cost, Count, Definition, Launch, Pace, Role, Scratch};

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["partial_means", "combine_means"],
    scratch: |step, cut| {
        if cut.host {
            return vec![match step.role {
                Role::AllQueries => (Scratch::Means, cut.shape.width),
                _ => (Scratch::Centroids, cut.clusters * cut.shape.width),
            }];
        }
        let row = 4 * cut.clusters * (cut.width4 + 1);
        vec![(Scratch::Centroids, row), (Scratch::MeanPartials, cut.mean_parts * row)]
    },
    cost: |step, cut| {
        let [queries, clusters, width] = [cut.shape.queries, cut.clusters, cut.shape.width].map(Count::from);
        match step.role {
            Role::AllQueries => {
                Cost { operations: 2 * queries * width, words: (queries + Count(1)) * width, ..Cost::default() }
            }
            _ => Cost {
                operations: queries * width,
                words: queries * (width + Count(1)) + clusters * width,
                ..Cost::default()
            },
        }
    },
    pace: Pace::Bytes([59.0, 1350.0, 5.0]),
    launches: |step, cut| {
        let (clusters, parts) = match step.role {
            // The mean query is the mean of one cluster that holds all; its parts fit where those of all clusters do.
            Role::AllQueries => (1, (cut.mean_parts * cut.clusters).min(64)),
            _ => (cut.clusters, cut.mean_parts),
        };
        let share = (cut.shape.queries * cut.shape.width).div_ceil(clusters * parts);
        vec![
            Launch { parts, ..Launch::new("partial_means", clusters * parts, 1, &[share]) },
            Launch { parts, ..Launch::new("combine_means", clusters, 1, &[parts, cut.shape.width]) },
        ]
    },
};
