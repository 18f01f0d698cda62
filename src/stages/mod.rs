//! The stages of the computation and their order, once: both back ends, the memory, the costs and the traces follow it. Knows nothing of
//! kernels' code, of buffers, or of how work is cut into dispatches.
//!
//! What is particular to a stage is in a file of its name: memory, cost, pace, and the launches of its kernels.

mod cost;
mod cut;
mod scratch;

mod centroid_logits;
mod centroid_means;
mod euclidean_assign;
mod exact_attention;
mod group_by_cluster;
mod hamming_assign;
mod hamming_update;
mod hash_codes;
mod initial_centroids;
mod refine_top_k;
mod remainder;
mod stitch_window;
mod top_k;

pub(crate) use cost::{Cost, Count, Pace};
pub(crate) use cut::{Cut, KERNEL_TILE};
pub(crate) use scratch::Scratch;

use crate::problem::{Finish, Recipe};
use crate::{Error, Result};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// Hands every stage to a macro, in the order of the computation: variant, name, description. The name is that of its shader in
/// `shaders/`, of its twin in `src/cpu/`, and of its file here.
macro_rules! every_stage {
    ($receiver:ident) => {
        $receiver! {
            (HashCodes, hash_codes, "Codes of the queries."),
            (InitialCentroids, initial_centroids, "Starting codes of the clusters."),
            (HammingAssign, hamming_assign, "Queries to the nearest code."),
            (HammingUpdate, hamming_update, "Majority code of each cluster."),
            (GroupByCluster, group_by_cluster, "Members of each cluster in order."),
            (CentroidMeans, centroid_means, "Mean query of each cluster, and of all queries for centring."),
            (EuclideanAssign, euclidean_assign, "Queries to the nearest mean."),
            (CentroidLogits, centroid_logits, "Logits of the centroids."),
            (TopK, top_k, "Top-k keys of each cluster and weights of the rest."),
            (Remainder, remainder, "Weighted values outside the top-k."),
            (RefineTopK, refine_top_k, "Exact products with the top-k keys."),
            (StitchWindow, stitch_window, "Exact band around the diagonal."),
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

/// The stage's name.
impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Reads a stage's name.
///
/// # Errors
/// [`Error::OutOfRange`] lists the names there are.
impl FromStr for Stage {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == text).ok_or_else(|| Error::OutOfRange {
            argument: "stage",
            value: format!("`{text}`"),
            allowed: format!("one of {}", Self::ALL.map(Self::name).join(", ")),
        })
    }
}

/// What is particular to a stage.
pub(crate) struct Definition {
    /// Entry points of its shader; each step launches all of them, in order.
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

/// Which of its roles a stage plays in a step. Shaders know a role by its number and its constant (`ROLE_` and the name).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// The only one, or the usual one.
    Plain,
    /// `centroid_means`: of all valid queries, for centring.
    AllQueries,
    /// `hash_codes`: of what is left of the queries without their mean.
    Centred,
    /// `initial_centroids`, `hamming_assign`: from positions that were supplied for all clusters, surplus ones too.
    GivenPositions,
    /// `refine_top_k`: finishes improved attention.
    Improved,
    /// `refine_top_k`: finishes stitched attention.
    Stitched,
    /// `refine_top_k`: leaves a running softmax, since neighbours follow.
    Unfinished,
}

impl Role {
    /// Every role with the name of its constant in the shaders.
    #[cfg(feature = "gpu")]
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Plain, "ROLE_PLAIN"),
        (Self::AllQueries, "ROLE_ALL_QUERIES"),
        (Self::Centred, "ROLE_CENTRED"),
        (Self::GivenPositions, "ROLE_GIVEN_POSITIONS"),
        (Self::Improved, "ROLE_IMPROVED"),
        (Self::Stitched, "ROLE_STITCHED"),
        (Self::Unfinished, "ROLE_UNFINISHED"),
    ];
}

/// What a trace keeps of the memory once a step is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Codes, and the clusters of the Hamming K-means.
    Codes,
    /// The clusters that attention goes by.
    Assignment,
    /// Centroids, top-k keys and their mass.
    Clusters,
}

/// One step of a chunk's computation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub stage: Stage,
    pub role: Role,
    /// Clusters in work: those of a pass where logits are, otherwise all.
    pub clusters: Range<usize>,
    pub kept: Option<Kept>,
}

/// What is given from outside instead of computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Given {
    /// Positions whose codes start the clusters.
    pub positions: bool,
    /// The cluster of each query.
    pub assignment: bool,
    /// Where each query stands among the keys.
    pub placed: bool,
}

/// The steps of a chunk, in order, with the clusters in passes.
pub(crate) fn forward(recipe: &Recipe, passes: &[Range<usize>], given: Given) -> Vec<Step> {
    let Recipe::Grouped(grouped) = recipe else {
        return vec![Step { stage: Stage::ExactAttention, role: Role::Plain, clusters: 0..0, kept: None }];
    };
    let clustering = grouped.clustering;
    let step = |stage, role| Step { stage, role, clusters: 0..clustering.clusters, kept: None };
    let mut steps = Vec::new();
    if !given.assignment {
        if clustering.center {
            steps.push(step(Stage::CentroidMeans, Role::AllQueries));
        }
        steps.push(step(Stage::HashCodes, if clustering.center { Role::Centred } else { Role::Plain }));
        let start = if given.positions { Role::GivenPositions } else { Role::Plain };
        steps.push(step(Stage::InitialCentroids, start));
        for iteration in 0..clustering.iterations {
            if iteration > 0 {
                steps.push(step(Stage::HammingUpdate, Role::Plain));
            }
            steps.push(step(Stage::HammingAssign, start));
        }
        keep(&mut steps, Kept::Codes);
    }
    let euclidean_steps = if given.assignment { 0 } else { clustering.euclidean_steps };
    for euclidean_step in 0..=euclidean_steps {
        if euclidean_step > 0 {
            steps.push(step(Stage::EuclideanAssign, Role::Plain));
        }
        steps.push(step(Stage::GroupByCluster, Role::Plain));
        steps.push(step(Stage::CentroidMeans, Role::Plain));
    }
    keep(&mut steps, Kept::Assignment);
    let finish = match grouped.finish {
        Finish::Improved => Role::Improved,
        Finish::Stitched(None) => Role::Stitched,
        Finish::Stitched(Some(_)) => Role::Unfinished,
    };
    for clusters in passes {
        let step = |stage, role| Step { stage, role, clusters: clusters.clone(), kept: None };
        for stage in [Stage::CentroidLogits, Stage::TopK, Stage::Remainder] {
            steps.push(step(stage, Role::Plain));
        }
        steps.push(step(Stage::RefineTopK, finish));
        if grouped.near().is_some() {
            steps.push(step(Stage::StitchWindow, Role::Plain));
        }
    }
    keep(&mut steps, Kept::Clusters);
    steps
}

fn keep(steps: &mut [Step], kept: Kept) {
    if let Some(last) = steps.last_mut() {
        last.kept = Some(kept);
    }
}
