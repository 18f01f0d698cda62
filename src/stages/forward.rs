//! The order of the computation, once.

use super::Stage;
use crate::problem::{Clustering, Finish, Guard, GuardAction, KeyGroups, Recipe, Space, Supplied};
use std::ops::Range;

/// Which of its roles a stage plays in a step. Shaders know a role by its number and its constant (`ROLE_` and the name).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// The only one, or the usual one: of queries, where there is one of keys.
    Plain,
    /// `centroid_means`: of all valid queries, for centring.
    AllQueries,
    /// `hash_codes`: of what is left of the queries without their mean.
    Centred,
    /// `initial_centroids`, `hamming_assign`, `sample_means`: from positions that were supplied for all clusters, surplus ones too.
    GivenPositions,
    /// `refine_top_k`: finishes improved attention.
    Improved,
    /// `refine_top_k`: finishes stitched attention.
    Stitched,
    /// `refine_top_k`: leaves a running softmax, since neighbours follow.
    Unfinished,
    /// Of keys and their groups in place of queries and their clusters.
    Keys,
    /// `metric_assign`: all queries, in a metric that is not Euclidean.
    InMetric,
    /// `sample_means`, `metric_assign`: of a sample of the queries, and of the keys.
    Sample,
    KeySample,
    /// `sample_means`: where the clusters start, and the groups, by random numbers or as supplied.
    Starts,
    KeyStarts,
    GivenKeyPositions,
    /// `top_k`: leaves the others' logits as they are, for key groups.
    Marked,
    /// The same of keys that were supplied.
    GivenKeys,
    /// `exact_attention`: of an image's leading tokens.
    Leading,
    /// `exact_attention`: of slices that the guard found in error.
    Guarded,
}

impl Role {
    /// Every role with the name of its constant in the shaders.
    #[cfg(feature = "gpu")]
    pub const ALL: [(Self, &'static str); 18] = [
        (Self::Plain, "ROLE_PLAIN"),
        (Self::AllQueries, "ROLE_ALL_QUERIES"),
        (Self::Centred, "ROLE_CENTRED"),
        (Self::GivenPositions, "ROLE_GIVEN_POSITIONS"),
        (Self::Improved, "ROLE_IMPROVED"),
        (Self::Stitched, "ROLE_STITCHED"),
        (Self::Unfinished, "ROLE_UNFINISHED"),
        (Self::Keys, "ROLE_KEYS"),
        (Self::InMetric, "ROLE_IN_METRIC"),
        (Self::Sample, "ROLE_SAMPLE"),
        (Self::KeySample, "ROLE_KEY_SAMPLE"),
        (Self::Starts, "ROLE_STARTS"),
        (Self::KeyStarts, "ROLE_KEY_STARTS"),
        (Self::GivenKeyPositions, "ROLE_GIVEN_KEY_POSITIONS"),
        (Self::Marked, "ROLE_MARKED"),
        (Self::GivenKeys, "ROLE_GIVEN_KEYS"),
        (Self::Leading, "ROLE_LEADING"),
        (Self::Guarded, "ROLE_GUARDED"),
    ];

    /// Whether it is about keys and their groups.
    pub fn is_of_keys(self) -> bool {
        matches!(self, Self::Keys | Self::KeySample | Self::KeyStarts | Self::GivenKeyPositions)
    }

    /// The role of the same rows' sample.
    pub fn sample(self) -> Self {
        if self.is_of_keys() {
            Self::KeySample
        } else {
            Self::Sample
        }
    }

    /// Whether it is about a sample.
    pub fn is_of_sample(self) -> bool {
        matches!(self, Self::Sample | Self::KeySample)
    }
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
    /// The guard's rows and what it found.
    Guard,
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
    /// Positions of queries that start the clusters.
    pub positions: bool,
    /// The cluster of each query.
    pub assignment: bool,
    /// Positions of keys that start the groups.
    pub key_positions: bool,
    /// The group of each key.
    pub key_groups: bool,
    /// The top-k keys of each cluster.
    pub top_keys: bool,
    /// Where each query stands among the keys.
    pub placed: bool,
}

impl Given {
    /// What a call supplies.
    pub fn of(supplied: &Supplied, positions: Option<&[i32]>) -> Self {
        Self {
            positions: supplied.initial_positions.is_some(),
            assignment: supplied.assignment.is_some(),
            key_positions: supplied.initial_key_positions.is_some(),
            key_groups: supplied.key_groups.is_some(),
            top_keys: supplied.top_keys.is_some(),
            placed: positions.is_some(),
        }
    }
}

/// The steps of a chunk, in order, with the clusters in passes.
pub(crate) fn forward(recipe: &Recipe, passes: impl Iterator<Item = Range<usize>>, given: Given) -> Vec<Step> {
    let mut list = Vec::new();
    write_forward(recipe, passes, given, &mut list);
    list
}

/// [`forward`] in place of what a list holds.
pub(crate) fn write_forward(
    recipe: &Recipe,
    passes: impl Iterator<Item = Range<usize>>,
    given: Given,
    list: &mut Vec<Step>,
) {
    list.clear();
    let Recipe::Grouped(grouped) = recipe else {
        list.push(Step { stage: Stage::ExactAttention, role: Role::Plain, clusters: 0..0, kept: None });
        return;
    };
    let clustering = grouped.clustering;
    let mut steps = Steps { list, clusters: 0..clustering.clusters };
    match clustering.space {
        _ if given.assignment => steps.means(Role::Plain),
        Space::Hamming => steps.hamming(&clustering, given),
        Space::Metric => {
            steps.push(Stage::Covariance, Role::Keys);
            let start = if given.positions { Role::GivenPositions } else { Role::Starts };
            steps.rounds(start, Role::Sample, clustering.iterations);
            steps.push(Stage::MetricAssign, Role::InMetric);
            steps.means(Role::Plain);
        }
    }
    steps.keep(Kept::Assignment);
    let guard = grouped.guard();
    let measured = Step { stage: Stage::Covariance, role: Role::Keys, clusters: steps.clusters.clone(), kept: None };
    if guard.is_some() && !steps.list.contains(&measured) {
        // The guard looks for rows far from their centroid in that metric.
        steps.list.push(measured);
    }
    let key_groups = grouped.key_groups();
    if let Some(key_groups) = key_groups {
        steps.key_groups(&key_groups, given);
    }
    let top_k = match key_groups {
        None => Role::Plain,
        Some(_) if given.top_keys => Role::GivenKeys,
        Some(_) => Role::Marked,
    };
    let finish = match grouped.finish {
        Finish::Improved => Role::Improved,
        Finish::Stitched { near: None, .. } => Role::Stitched,
        Finish::Stitched { near: Some(_), .. } => Role::Unfinished,
    };
    let (remainder, window) = match key_groups {
        None => (Stage::Remainder, Stage::StitchWindow),
        Some(_) => (Stage::GroupRemainder, Stage::GroupWindow),
    };
    for clusters in passes {
        steps.clusters = clusters;
        steps.push(Stage::CentroidLogits, Role::Plain);
        steps.push(Stage::TopK, top_k);
        steps.push(remainder, Role::Plain);
        steps.push(Stage::RefineTopK, finish);
        if grouped.near().is_some() {
            steps.push(window, Role::Plain);
        }
    }
    steps.keep(Kept::Clusters);
    steps.clusters = 0..clustering.clusters;
    if grouped.near().is_some_and(|near| near.leading > 0) {
        steps.push(Stage::ExactAttention, Role::Leading);
    }
    if let Some(guard) = guard {
        steps.guard(&guard);
    }
}

/// The steps so far, and the clusters of the next.
struct Steps<'a> {
    list: &'a mut Vec<Step>,
    clusters: Range<usize>,
}

impl Steps<'_> {
    fn push(&mut self, stage: Stage, role: Role) {
        self.list.push(Step { stage, role, clusters: self.clusters.clone(), kept: None });
    }

    fn keep(&mut self, kept: Kept) {
        if let Some(last) = self.list.last_mut() {
            last.kept = Some(kept);
        }
    }

    /// Codes, K-means in Hamming space, and Euclidean steps.
    fn hamming(&mut self, clustering: &Clustering, given: Given) {
        if clustering.center {
            self.push(Stage::CentroidMeans, Role::AllQueries);
        }
        self.push(Stage::HashCodes, if clustering.center { Role::Centred } else { Role::Plain });
        let start = if given.positions { Role::GivenPositions } else { Role::Plain };
        self.push(Stage::InitialCentroids, start);
        for iteration in 0..clustering.iterations {
            if iteration > 0 {
                self.push(Stage::HammingUpdate, Role::Plain);
            }
            self.push(Stage::HammingAssign, start);
        }
        self.keep(Kept::Codes);
        self.means(Role::Plain);
        for _ in 0..clustering.euclidean_steps {
            self.push(Stage::MetricAssign, Role::Plain);
            self.means(Role::Plain);
        }
    }

    /// K-means on a sample, in a metric.
    fn rounds(&mut self, start: Role, sample: Role, rounds: usize) {
        self.push(Stage::SampleMeans, start);
        for _ in 0..rounds {
            self.push(Stage::MetricAssign, sample);
            self.push(Stage::SampleMeans, sample);
        }
    }

    /// Members and means of the clusters, or of the key groups.
    fn means(&mut self, role: Role) {
        self.push(Stage::GroupByCluster, role);
        self.push(Stage::CentroidMeans, role);
    }

    /// The error of each slice on some rows, and exact attention where it is too large.
    fn guard(&mut self, guard: &Guard) {
        self.push(Stage::GuardRows, Role::Plain);
        self.push(Stage::GuardCheck, Role::Plain);
        self.keep(Kept::Guard);
        if guard.action == GuardAction::Recompute {
            self.push(Stage::ExactAttention, Role::Guarded);
        }
    }

    /// The group of each key.
    fn key_groups(&mut self, key_groups: &KeyGroups, given: Given) {
        let spread = key_groups.spread && !given.top_keys;
        if spread || !given.key_groups {
            self.push(Stage::Covariance, Role::Plain);
        }
        if !given.key_groups {
            let start = if given.key_positions { Role::GivenKeyPositions } else { Role::KeyStarts };
            self.rounds(start, Role::KeySample, key_groups.rounds);
            self.push(Stage::MetricAssign, Role::Keys);
        }
        if spread {
            self.means(Role::Keys);
            self.push(Stage::KeySpread, Role::Plain);
        } else {
            self.push(Stage::GroupByCluster, Role::Keys);
        }
    }
}
