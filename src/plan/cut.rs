//! Blocks of a slice and the scratch memory they need.

use super::Limits;
use crate::{Error, Method, Problem, Result};
use std::ops::Range;

/// Queries of a workgroup where every invocation holds one query.
pub(crate) const QUERY_TILE: usize = 64;
/// Queries of a workgroup of the window, whose band of keys is `QUERY_TILE + 2 * window` wide.
pub(crate) const WINDOW_TILE: usize = 32;

/// A range of slices that are computed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub batches: Range<usize>,
    pub heads: Range<usize>,
}

impl Chunk {
    pub fn slices(&self) -> usize {
        self.batches.len() * self.heads.len()
    }

    /// Batch and query head of the chunk's slice `local`.
    pub fn slice(&self, local: usize) -> (usize, usize) {
        (self.batches.start + local / self.heads.len(), self.heads.start + local % self.heads.len())
    }
}

/// Pieces of scratch memory; sizes are words (32 bits) a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Scratch {
    /// Codes of the queries, `[L, words]`.
    Codes,
    /// Codes of the centroids, `[C, words]`; on a device followed by whether each word changed last.
    CentroidCodes,
    /// Votes for each bit and the number of voters, `[vote_blocks, C, 32 * words + 1]`.
    Votes,
    /// Cluster of each query, `[L]`; `C` for padding.
    Clusters,
    /// First member of each cluster `[C + 2]`, first tile of each cluster `[C + 2]`, members by cluster `[L]`.
    Groups,
    /// Members of each cluster in each block, `[group_blocks, C + 1]`.
    BlockCounts,
    /// Sums of parts of the clusters, `[mean_parts, C, width4 + 1]` vectors.
    MeanPartials,
    /// Centroids, `[C, width4 + 1]` vectors (host: `[C, E]`); the last holds squared norm and count.
    Centroids,
    /// Centroid logits, later weights of the remainder, `[clusters_per_pass, keys_padded]`.
    Weights,
    /// Keys of each cluster's top-k, ascending, `[C, k]`.
    TopKeys,
    /// Softmax parts of each cluster, `[C, 1 + value_width4]` vectors: statistics, then the remainder's values; on a device followed by
    /// the same of each block of keys, `[key_blocks, clusters_per_pass, 1 + value_width4]`.
    ClusterSums,
    /// Running softmax of each query, `[value_parts, L]` vectors (host: `[L]` pairs).
    State,
}

impl Scratch {
    pub fn name(self) -> &'static str {
        match self {
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
            Self::ClusterSums => "cluster_sums",
            Self::State => "state",
        }
    }
}

/// Sizes of blocks, tiles and parts; see the fields of [`Scratch`] for what they divide.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cut {
    pub width4: usize,
    pub value_width4: usize,
    /// Vectors of a query in registers, and how often they are reloaded for one dot product.
    pub query_registers: usize,
    pub width_parts: usize,
    /// Vectors of a value in registers, and over how many workgroups the values' columns are spread.
    pub value_registers: usize,
    pub value_parts: usize,
    pub clusters: usize,
    pub words: usize,
    /// `top_k`, at most the number of keys.
    pub top_k: usize,
    pub keys_padded: usize,
    pub vote_length: usize,
    pub vote_blocks: usize,
    /// Clusters whose votes are counted in one workgroup's memory.
    pub vote_clusters: usize,
    pub group_length: usize,
    pub group_blocks: usize,
    pub mean_parts: usize,
    pub key_length: usize,
    pub key_blocks: usize,
    /// Clusters that one invocation accumulates in the centroid logits.
    pub logit_clusters: usize,
    /// Clusters that one workgroup accumulates in the remainder.
    pub remainder_clusters: usize,
    /// Whether tiles of the refinement hold members of several clusters: where a tile for each cluster would leave more than a fifth of
    /// the invocations without a query.
    pub refine_packed: bool,
    /// Clusters whose logits are in memory at the same time.
    pub clusters_per_pass: usize,
    scratch: Vec<(Scratch, u64)>,
}

/// Splits `total` into equal pieces of at most `most`; returns the size of a piece.
fn even_pieces(total: usize, most: usize) -> usize {
    total.div_ceil(total.div_ceil(most))
}

impl Cut {
    pub fn new(problem: &Problem, limits: &Limits, budget_bytes: u64) -> Result<Self> {
        let shape = problem.shape();
        let (length, keys) = (shape.queries, shape.keys);
        let clustering = problem.method().clustering();
        let clusters = clustering.map_or(0, |clustering| clustering.clusters);
        let words = clustering.map_or(0, |clustering| clustering.words());
        let (width4, value_width4) = (shape.width.div_ceil(4), shape.value_width.div_ceil(4));
        let query_registers = even_pieces(width4, limits.query_registers);
        let value_registers = even_pieces(value_width4, limits.value_registers);
        // Blocks grow with the number of clusters so that what is kept for a block stays proportional to its length.
        let vote_length = 512.max(16 * clusters);
        let group_length = 256.max(clusters);
        let key_length = 512;
        let mut cut = Self {
            width4,
            value_width4,
            query_registers,
            width_parts: width4.div_ceil(query_registers),
            value_registers,
            value_parts: value_width4.div_ceil(value_registers),
            clusters,
            words,
            top_k: problem.method().top_k().min(keys),
            keys_padded: keys.next_multiple_of(4),
            vote_length,
            vote_blocks: length.div_ceil(vote_length),
            vote_clusters: (2048 / (32 * words + 1)).clamp(1, clusters.max(1)),
            group_length,
            group_blocks: length.div_ceil(group_length),
            mean_parts: (length / (clusters.max(1) * 64)).clamp(1, 16),
            key_length,
            key_blocks: keys.div_ceil(key_length),
            logit_clusters: even_pieces(clusters.max(1), 10),
            remainder_clusters: even_pieces(clusters.max(1), 28),
            refine_packed: length < 2 * QUERY_TILE * clusters,
            clusters_per_pass: clusters,
            scratch: Vec::new(),
        };
        if *problem.method() == Method::Exact {
            if !limits.host {
                cut.scratch = vec![(Scratch::State, 4 * (cut.value_parts * length) as u64)];
            }
            return cut.within(budget_bytes);
        }
        cut.scratch = cut.clustered_scratch(problem, limits.host, 0);
        let fixed = cut.scratch_bytes(1);
        let per_cluster = {
            let with_one = cut.clustered_scratch(problem, limits.host, 1);
            4 * with_one.iter().map(|(_, words)| words).sum::<u64>() - fixed
        };
        let fitting = (budget_bytes.saturating_sub(fixed) / per_cluster)
            .min(limits.binding_bytes / (4 * cut.keys_padded as u64))
            .clamp(1, clusters as u64);
        cut.clusters_per_pass = even_pieces(clusters, fitting as usize);
        cut.logit_clusters = even_pieces(cut.clusters_per_pass, 10);
        cut.remainder_clusters = even_pieces(cut.clusters_per_pass, 28);
        cut.scratch = cut.clustered_scratch(problem, limits.host, cut.clusters_per_pass);
        cut.within(budget_bytes)
    }

    fn within(self, budget_bytes: u64) -> Result<Self> {
        let needed_bytes = self.scratch_bytes(1);
        if needed_bytes > budget_bytes {
            return Err(Error::ScratchBudget { budget_bytes, needed_bytes });
        }
        Ok(self)
    }

    fn clustered_scratch(&self, problem: &Problem, host: bool, clusters_per_pass: usize) -> Vec<(Scratch, u64)> {
        let shape = problem.shape();
        let (length, clusters, words) = (shape.queries, self.clusters, self.words);
        let sums_row = 4 * (1 + self.value_width4);
        let mut sizes = vec![
            (Scratch::Codes, length * words),
            (Scratch::CentroidCodes, if host { 1 } else { 2 } * clusters * words),
            (Scratch::Clusters, length),
            (Scratch::Groups, 2 * (clusters + 2) + length),
            (Scratch::Weights, clusters_per_pass * self.keys_padded),
            (Scratch::TopKeys, (clusters * self.top_k).max(1)),
        ];
        let block_sums = if host { 0 } else { self.key_blocks * clusters_per_pass };
        sizes.push((Scratch::ClusterSums, (clusters + block_sums) * sums_row));
        if host {
            sizes.push((Scratch::Centroids, clusters * shape.width));
            sizes.push((Scratch::State, 2 * length));
        } else {
            sizes.push((Scratch::Centroids, 4 * clusters * (self.width4 + 1)));
            sizes.push((Scratch::State, 4 * length * self.value_parts));
            sizes.push((Scratch::Votes, self.vote_blocks * clusters * (32 * words + 1)));
            sizes.push((Scratch::BlockCounts, self.group_blocks * (clusters + 1)));
            sizes.push((Scratch::MeanPartials, 4 * self.mean_parts * clusters * (self.width4 + 1)));
        }
        sizes.into_iter().map(|(scratch, words)| (scratch, words as u64)).collect()
    }

    /// Each piece of scratch memory and its words for one slice.
    pub fn scratch(&self) -> &[(Scratch, u64)] {
        &self.scratch
    }

    /// Words of a piece for one slice; 0 where the method does not use it.
    pub fn words_of(&self, wanted: Scratch) -> usize {
        self.scratch.iter().find(|(scratch, _)| *scratch == wanted).map_or(0, |(_, words)| *words as usize)
    }

    /// Bytes of all pieces for a number of slices.
    pub fn scratch_bytes(&self, slices: usize) -> u64 {
        4 * slices as u64 * self.scratch.iter().map(|(_, words)| words).sum::<u64>()
    }

    /// First clusters and numbers of clusters of each pass over the logits.
    pub fn cluster_passes(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let step = self.clusters_per_pass.max(1);
        (0..self.clusters).step_by(step).map(move |begin| begin..(begin + step).min(self.clusters))
    }
}
