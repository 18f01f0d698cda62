//! The pieces of scratch memory.

/// A piece of scratch memory. Sizes are words (32 bits) a slice; all last for a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Scratch {
    /// Host: the mean query, `[E]`. A device has it where the first centroid will be.
    Means,
    /// Codes of the queries, `[L, words]`.
    Codes,
    /// Codes of the centroids, `[C, words]`; on a device followed by whether each word changed last.
    CentroidCodes,
    /// Device: votes for each bit and the number of voters, `[vote_blocks, C, 32 * words + 1]`.
    Votes,
    /// Covariance of the keys and of the queries about their centroids, `[2, E, E]`; on a device rows are vectors.
    Covariances,
    /// Host: centres of clusters, then of groups, times their metric, with their squared norm in it, `[C or G, E + 1]`. A device has them
    /// where centroids will be.
    MetricCentres,
    /// Cluster of each query, `[L]`; `C` for padding. On a device followed by the group of each key, `[S]`, `G` for padding, and by the cluster
    /// or group of each sample.
    Clusters,
    /// First member of each cluster `[C + 2]`, on a device first tile of each cluster `[C + 2]`, members by cluster `[L]`. On a device followed
    /// by the same of key groups, `[G + 2]` twice and `[S]`.
    Groups,
    /// Host: cluster or group of each sample.
    SampleClusters,
    /// Host: the group of each key, `[S]`; `G` for padding.
    KeyGroups,
    /// Host: the same as `Groups` for key groups, `[G + 2]` and `[S]`.
    KeyMembers,
    /// Host: mean key of each group, `[G, E]`. A device has it behind the centroids.
    GroupCentres,
    /// What is added to the logits of a key before the top-k is taken, `[S]`.
    KeySpread,
    /// Device: members of each cluster in each block, `[group_blocks, C + 1]`.
    BlockCounts,
    /// Device: sums of parts of the clusters, `[mean_parts, C, width4 + 1]` vectors.
    MeanPartials,
    /// Centroids, `[C, width4 + 1]` vectors, of which the last holds squared norm and count; on the host `[C, E]`. On a device followed by the
    /// centres of key groups, `[G, width4 + 1]`.
    Centroids,
    /// Centroid logits, later weights of the remainder, `[clusters_per_pass, keys_padded]`.
    Weights,
    /// Keys of each cluster's top-k, ascending, `[C, k]`.
    TopKeys,
    /// Host: statistics of each cluster's softmax, `[C, 4]`.
    Statistics,
    /// Host: weighted values of each cluster outside its top-k, `[C, M]`.
    RemainderSums,
    /// Host: pseudo-keys of each group and cluster, `[G, C, E]`, their values, `[G, C, M]`, and what else is known of them, `[G, C, 3]`.
    PseudoKeys,
    PseudoValues,
    PseudoFacts,
    /// Host: running softmax of each query, `[L, 2]`; with key groups also its logits with the pseudo-keys, `[L, 2 + G]`.
    RunningSoftmax,
    /// Device: rows of vectors. Of each cluster the statistics and the remainder's values, `[C, 1 + value_width4]`; the same of each block
    /// of keys, `[key_blocks, clusters_per_pass, 1 + value_width4]`, or, with key groups, their pseudo-keys, `[C, G, 1 + width4 + value_width4]`, and
    /// the same of each tile of their members, `[key_tiles, clusters_per_pass, 1 + width4 + value_width4]`; the running softmax of each query,
    /// `[value_parts, L]`; the logits of each query with the pseudo-keys, `[L, groups4]`; where the output is of f16, the weighted values of each
    /// query, `[L, value_width4]`.
    SoftmaxParts,
    /// Whether a slice's error is too large: on the host what `Verdict` takes; on a device squared error and norm of the guard's rows, whether
    /// they tell that, and a word more, followed by the rows' positions.
    Guard,
    /// Host: positions of the guard's rows.
    GuardRows,
    /// The softmax of the guard's rows over blocks of keys, maximum, sum and weighted values: `[guard_blocks, rows, 2 + M]`, on a device vectors,
    /// `[guard_blocks, rows, 1 + value_width4]`.
    GuardParts,
}

impl Scratch {
    /// The name of the variable in the shaders, and of the buffer.
    pub fn name(self) -> &'static str {
        match self {
            Self::Means => "means",
            Self::Codes => "codes",
            Self::CentroidCodes => "centroid_codes",
            Self::Votes => "votes",
            Self::Covariances => "covariances",
            Self::MetricCentres => "metric_centres",
            Self::Clusters => "clusters",
            Self::Groups => "groups",
            Self::SampleClusters => "sample_clusters",
            Self::KeyGroups => "key_groups",
            Self::KeyMembers => "key_members",
            Self::GroupCentres => "group_centres",
            Self::KeySpread => "spreads",
            Self::BlockCounts => "block_counts",
            Self::MeanPartials => "mean_partials",
            Self::Centroids => "centroids",
            Self::Weights => "weights",
            Self::TopKeys => "top_keys",
            Self::Statistics => "statistics",
            Self::RemainderSums => "remainder_sums",
            Self::PseudoKeys => "pseudo_keys",
            Self::PseudoValues => "pseudo_values",
            Self::PseudoFacts => "pseudo_facts",
            Self::RunningSoftmax => "running_softmax",
            Self::SoftmaxParts => "softmax_parts",
            Self::Guard => "guard",
            Self::GuardRows => "guard_rows",
            Self::GuardParts => "guard_parts",
        }
    }

    #[cfg(feature = "gpu")]
    /// Every piece that a device may have.
    pub const OF_DEVICES: [Self; 15] = [
        Self::Codes,
        Self::CentroidCodes,
        Self::Votes,
        Self::Covariances,
        Self::Clusters,
        Self::Groups,
        Self::KeySpread,
        Self::BlockCounts,
        Self::MeanPartials,
        Self::Centroids,
        Self::Weights,
        Self::TopKeys,
        Self::SoftmaxParts,
        Self::Guard,
        Self::GuardParts,
    ];
}
