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
    /// Cluster of each query, `[L]`; `C` for padding.
    Clusters,
    /// First member of each cluster `[C + 2]`, on a device first tile of each cluster `[C + 2]`, members by cluster `[L]`.
    Groups,
    /// Device: members of each cluster in each block, `[group_blocks, C + 1]`.
    BlockCounts,
    /// Device: sums of parts of the clusters, `[mean_parts, C, width4 + 1]` vectors.
    MeanPartials,
    /// Centroids, `[C, width4 + 1]` vectors, of which the last holds squared norm and count; on the host `[C, E]`.
    Centroids,
    /// Centroid logits, later weights of the remainder, `[clusters_per_pass, keys_padded]`.
    Weights,
    /// Keys of each cluster's top-k, ascending, `[C, k]`.
    TopKeys,
    /// Host: statistics of each cluster's softmax, `[C, 4]`.
    Statistics,
    /// Host: weighted values of each cluster outside its top-k, `[C, M]`.
    RemainderSums,
    /// Host: running softmax of each query, `[L, 2]`.
    RunningSoftmax,
    /// Device: rows of vectors. Of each cluster the statistics and the remainder's values, `[C, 1 + value_width4]`; the same of each block
    /// of keys, `[key_blocks, clusters_per_pass, 1 + value_width4]`; the running softmax of each query, `[value_parts, L]`.
    SoftmaxParts,
}

impl Scratch {
    /// The name of the variable in the shaders, and of the buffer.
    pub fn name(self) -> &'static str {
        match self {
            Self::Means => "means",
            Self::Codes => "codes",
            Self::CentroidCodes => "centroid_codes",
            Self::Votes => "votes",
            Self::Clusters => "clusters",
            Self::Groups => "groups",
            Self::BlockCounts => "block_counts",
            Self::MeanPartials => "mean_partials",
            Self::Centroids => "centroids",
            Self::Weights => "weights",
            Self::TopKeys => "top_keys",
            Self::Statistics => "statistics",
            Self::RemainderSums => "remainder_sums",
            Self::RunningSoftmax => "running_softmax",
            Self::SoftmaxParts => "softmax_parts",
        }
    }

    #[cfg(feature = "gpu")]
    /// Every piece that a device may have.
    pub const OF_DEVICES: [Self; 11] = [
        Self::Codes,
        Self::CentroidCodes,
        Self::Votes,
        Self::Clusters,
        Self::Groups,
        Self::BlockCounts,
        Self::MeanPartials,
        Self::Centroids,
        Self::Weights,
        Self::TopKeys,
        Self::SoftmaxParts,
    ];
}
