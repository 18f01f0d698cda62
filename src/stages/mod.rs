//! The stages of the computation and their order, once: both back ends, the memory, the costs and the traces follow it. Knows nothing of
//! kernels' code, of buffers, or of how work is cut into dispatches.
//!
//! Their order is in `forward.rs`; what is particular to a stage is in a file of its name: memory, cost, pace, and the launches of its kernels.

mod cost;
mod cut;
mod forward;
mod scratch;

mod centroid_logits;
mod centroid_means;
mod covariance;
mod exact_attention;
mod group_by_cluster;
mod group_remainder;
mod group_window;
mod guard_check;
mod guard_rows;
mod hamming_assign;
mod hamming_update;
mod hash_codes;
mod initial_centroids;
mod key_spread;
mod metric_assign;
mod refine_top_k;
mod remainder;
mod sample_means;
mod stitch_window;
mod top_k;

pub(crate) use cost::{Cost, Count, Pace};
#[cfg(all(test, feature = "gpu"))]
pub(crate) use cut::Matrices;
pub(crate) use cut::{Cut, COVARIANCE_SAMPLES, KERNEL_TILE, KEY_TILE, WINDOW_TILE};
#[cfg(feature = "gpu")]
pub(crate) use cut::{CLUSTERS_AT_ONCE, GUARD_LENGTH};
pub(crate) use forward::{forward, write_forward, Given, Kept, Role, Step};
pub(crate) use scratch::Scratch;

use crate::named::by_name;

/// Hands every stage to a macro, in the order of the computation: variant, name, description. The name is that of its shader in
/// `shaders/`, of its twin in `src/cpu/`, and of its file here.
macro_rules! every_stage {
    ($receiver:ident) => {
        $receiver! {
            (Covariance, covariance, "Metrics: covariances of keys, and of queries about their centroids."),
            (SampleMeans, sample_means, "Centres of a sample in a metric: where they start, then the means of their members."),
            (HashCodes, hash_codes, "Codes of the queries."),
            (InitialCentroids, initial_centroids, "Starting codes of the clusters."),
            (HammingAssign, hamming_assign, "Queries to the nearest code."),
            (HammingUpdate, hamming_update, "Majority code of each cluster."),
            (MetricAssign, metric_assign, "Rows to the nearest centre in a metric: queries, keys, or samples of them."),
            (GroupByCluster, group_by_cluster, "Members of each cluster in order."),
            (CentroidMeans, centroid_means, "Mean row of each cluster, and of all queries for centring."),
            (KeySpread, key_spread, "How badly its group stands for each key."),
            (CentroidLogits, centroid_logits, "Logits of the centroids."),
            (TopK, top_k, "Top-k keys of each cluster and weights of the rest."),
            (Remainder, remainder, "Weighted values outside the top-k."),
            (GroupRemainder, group_remainder, "A pseudo-key for each key group outside the top-k."),
            (RefineTopK, refine_top_k, "Exact products with the top-k keys and pseudo-keys."),
            (StitchWindow, stitch_window, "Exact keys around each query."),
            (GroupWindow, group_window, "Exact keys around each query, taken back from the key groups."),
            (GuardRows, guard_rows, "Rows that the error is measured on."),
            (GuardCheck, guard_check, "Error of each slice on those rows, computed exactly."),
            (ExactAttention, exact_attention, "Attention over all keys that are seen."),
        }
    };
}
#[cfg(feature = "gpu")]
pub(crate) use every_stage;

macro_rules! define_stages {
    ($(($stage:ident, $name:ident, $description:literal),)*) => {
        /// A stage of the computation; the name is that of its shader and of its CPU twin.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
        #[non_exhaustive]
        pub enum Stage {
            $(#[doc = $description] $stage,)*
        }

        impl Stage {
            /// All stages in the order of the computation.
            pub const ALL: [Self; [$(stringify!($name)),*].len()] = [$(Self::$stage),*];

            /// The stage's name, as in `shaders/` and `src/cpu/`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$stage => stringify!($name),)*
                }
            }

            /// What the stage needs and costs.
            pub(crate) fn definition(self) -> &'static Definition {
                match self {
                    $(Self::$stage => &$name::DEFINITION,)*
                }
            }
        }
    };
}
every_stage!(define_stages);

by_name!(Stage, "stage");

/// What is particular to a stage.
pub(crate) struct Definition {
    /// Entry points of its shader, of which each step launches some, in order.
    #[cfg_attr(not(test), allow(dead_code))]
    pub kernels: &'static [&'static str],
    /// Memory that it writes, in words a slice.
    pub scratch: fn(&Step, &Cut) -> Vec<(Scratch, usize)>,
    /// What it does at least, for one slice.
    pub cost: fn(&Step, &Cut) -> Cost,
    /// How fast that is done.
    pub pace: Pace,
    /// Its kernels over all tiles of a slice.
    pub launches: fn(&Step, &Cut) -> Vec<Launch>,
}

/// A kernel over all tiles of all slices, before it is cut into dispatches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Launch {
    pub kernel: &'static str,
    /// Workgroups along a slice, and how many deep they are.
    pub tiles: usize,
    pub depth: usize,
    /// Operations of one tile of one slice, over its whole depth.
    pub operations: u64,
    /// Keys that a tile goes through, where it can stop at any of them and go on in a later dispatch.
    pub keys: Option<usize>,
    /// Parts that the members of a cluster are cut into.
    pub parts: usize,
}

impl Launch {
    /// A launch of so many tiles, each of as many operations as the product of some numbers.
    pub fn new(kernel: &'static str, tiles: usize, depth: usize, operations: &[usize]) -> Self {
        let operations = operations.iter().fold(Count(1), |product, &factor| product * Count::from(factor)).0;
        Self { kernel, tiles, depth, operations, keys: None, parts: 0 }
    }
}
