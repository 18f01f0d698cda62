//! What a researcher can look at: stage times and intermediate results.

use crate::Problem;

/// A stage of the computation; the name is that of its shader and of its CPU twin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Stage {
    /// Codes of the queries.
    HashCodes,
    /// Starting codes of the clusters.
    InitialCentroids,
    /// Queries to the nearest code.
    HammingAssign,
    /// Majority code of each cluster.
    HammingUpdate,
    /// Members of each cluster in order.
    GroupByCluster,
    /// Mean query of each cluster, and of all queries for centring.
    CentroidMeans,
    /// Queries to the nearest mean.
    EuclideanAssign,
    /// Logits of the centroids.
    CentroidLogits,
    /// Top-k keys of each cluster and weights of the rest.
    TopK,
    /// Weighted values outside the top-k.
    Remainder,
    /// Exact products with the top-k keys.
    RefineTopK,
    /// Exact band around the diagonal.
    StitchWindow,
    /// Attention over all keys.
    ExactAttention,
}

impl Stage {
    /// All stages in the order of the computation.
    pub const ALL: [Self; 13] = [
        Self::HashCodes,
        Self::InitialCentroids,
        Self::HammingAssign,
        Self::HammingUpdate,
        Self::GroupByCluster,
        Self::CentroidMeans,
        Self::EuclideanAssign,
        Self::CentroidLogits,
        Self::TopK,
        Self::Remainder,
        Self::RefineTopK,
        Self::StitchWindow,
        Self::ExactAttention,
    ];

    /// The stage's name, as in `shaders/` and `src/cpu/`.
    pub fn name(self) -> &'static str {
        match self {
            Self::HashCodes => "hash_codes",
            Self::InitialCentroids => "initial_centroids",
            Self::HammingAssign => "hamming_assign",
            Self::HammingUpdate => "hamming_update",
            Self::GroupByCluster => "group_by_cluster",
            Self::CentroidMeans => "centroid_means",
            Self::EuclideanAssign => "euclidean_assign",
            Self::CentroidLogits => "centroid_logits",
            Self::TopK => "top_k",
            Self::Remainder => "remainder",
            Self::RefineTopK => "refine_top_k",
            Self::StitchWindow => "stitch_window",
            Self::ExactAttention => "exact_attention",
        }
    }
}

/// Cluster of a padding query in [`Trace::assignment`].
pub const NO_CLUSTER: u32 = u32::MAX;
/// Entry of [`Trace::top_keys`] for which the sequence has no key.
pub const NO_KEY: u32 = u32::MAX;

/// Everything one call computed. Vectors are empty where the method has no such result; which one [`Method::Auto`](crate::Method::Auto)
/// took is told by [`Plan::method`](crate::Plan::method) of [`Attention::plan`](crate::Attention::plan).
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Trace {
    /// The output, in the problem's layout.
    pub output: Vec<f32>,
    /// Seconds of each stage that ran, in the order of the computation: on the GPU from its timestamps where the adapter has them,
    /// otherwise wall time.
    pub stages: Vec<(Stage, f64)>,
    /// Codes of the queries, `[N, H, L, words]`, lowest bit first; those of padding queries mean nothing. Empty where an assignment
    /// was supplied.
    pub codes: Vec<u32>,
    /// Cluster of each query after the Hamming K-means, `[N, H, L]`, [`NO_CLUSTER`] for padding. Empty where one was supplied.
    pub hamming_assignment: Vec<u32>,
    /// Cluster of each query, `[N, H, L]`, [`NO_CLUSTER`] for padding.
    pub assignment: Vec<u32>,
    /// Members of each cluster, `[N, H, C]`.
    pub counts: Vec<u32>,
    /// Mean query of each cluster, `[N, H, C, E]`, zeros where it is empty.
    pub centroids: Vec<f32>,
    /// Keys of each cluster's top-k, ascending, `[N, H, C, min(k, S)]`, padded with [`NO_KEY`].
    pub top_keys: Vec<u32>,
    /// Softmax mass of each cluster's top-k keys, `[N, H, C]` (`m_c`; paper, section 3.3).
    pub top_mass: Vec<f32>,
    /// Scratch memory that was held.
    pub scratch_bytes: u64,
}

impl Trace {
    pub(crate) fn add_seconds(&mut self, stage: Stage, seconds: f64) {
        match self.stages.iter_mut().find(|(known, _)| *known == stage) {
            Some((_, total)) => *total += seconds,
            None => {
                self.stages.push((stage, seconds));
                self.stages.sort_by_key(|(stage, _)| *stage);
            }
        }
    }

    /// Appends `clusters` of some slices, naming padding by [`NO_CLUSTER`], to an assignment.
    pub(crate) fn push_assignment(assignment: &mut Vec<u32>, clusters: &[u32], padding: usize) {
        assignment
            .extend(clusters.iter().map(|&cluster| if cluster as usize >= padding { NO_CLUSTER } else { cluster }));
    }

    /// Counts the members of each cluster from the assignment.
    pub(crate) fn count_members(&mut self, problem: &Problem) {
        let Some(clustering) = problem.method().clustering() else { return };
        self.counts = vec![0; problem.shape().slices() * clustering.clusters];
        for (index, &cluster) in self.assignment.iter().enumerate() {
            if cluster != NO_CLUSTER {
                self.counts[index / problem.shape().queries * clustering.clusters + cluster as usize] += 1;
            }
        }
    }
}
