//! Sizes of a problem and of the blocks, tiles and parts that its stages are cut into: a pure function of shape, recipe and target.

use super::Role;
use crate::limits::{Limits, MatrixUnits};
use crate::problem::{Grid, Recipe, Space, Visibility};
use crate::{Element, Precision, Shape};
use std::ops::Range;

/// Invocations of most workgroups: queries, keys or clusters of a tile, one an invocation.
pub(crate) const KERNEL_TILE: usize = 64;

/// Tiles from which on a large GPU is busy with half the invocations: three for each multiprocessor.
const WIDE_TILES: usize = 512;

/// Keys of a tile of a key group.
pub(crate) const KEY_TILE: usize = 256;

/// Clusters whose members a kernel lists in one dispatch, at most, and how many rows it looks at for all of them: each cluster has a workgroup,
/// which looks at every row. A software adapter gains nothing by fewer dispatches, and pays for every invocation that waits.
pub(crate) const CLUSTERS_AT_ONCE: usize = 1024;
const ROWS_AT_ONCE: usize = 1 << 18;

/// Neighbouring queries of a workgroup of the window.
pub(crate) const WINDOW_TILE: usize = 32;

/// Keys that a workgroup attends to for the rows of the guard.
pub(crate) const GUARD_LENGTH: usize = 512;

/// The same of a task on the host.
const HOST_GUARD_LENGTH: usize = 4096;

/// Rows that a covariance is taken of, at most.
pub(crate) const COVARIANCE_SAMPLES: usize = 256;

/// Sizes, and how they are cut; see [`Scratch`](super::Scratch) for what the blocks divide.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cut {
    pub shape: Shape,
    /// Whether the host computes, which needs no partial results of workgroups.
    pub host: bool,
    /// What queries see, and what is exact beside the top-k.
    pub visible: Visibility,
    pub near: Option<Grid>,
    pub clusters: usize,
    /// Key groups; 0 where there are none.
    pub groups: usize,
    /// Whether K-means of the queries goes on in a metric, and how many queries and keys it looks at.
    pub in_metric: bool,
    pub samples: usize,
    pub key_samples: usize,
    /// Whether the top-k is taken with what a group stands for badly.
    pub spread: bool,
    pub bits: usize,
    pub words: usize,
    /// `top_k`, at most the number of keys.
    pub top_k: usize,
    pub width4: usize,
    pub value_width4: usize,
    /// Vectors of a query in registers, and how often they are reloaded for one dot product.
    pub query_registers: usize,
    pub width_parts: usize,
    /// The same of a query that an invocation has to itself, beside its sums.
    pub row_registers: usize,
    /// Vectors of a value in registers, and over how many workgroups the values' columns are spread.
    pub value_registers: usize,
    pub value_parts: usize,
    /// Queries whose products with keys an invocation computes block by block; 0 where it holds one query.
    pub block_queries: usize,
    /// The same of exact attention.
    pub exact_queries: usize,
    /// Device: matrix units that compute the products of exact attention and the refinement.
    pub matrices: Option<Matrices>,
    /// Device: vectors of a query's sums that rest in `softmax_parts` between kernels; 0 where they rest in the output.
    pub resting_vectors: usize,
    pub keys_padded: usize,
    pub vote_length: usize,
    pub vote_blocks: usize,
    /// Clusters whose votes are counted in one workgroup's memory.
    pub vote_clusters: usize,
    /// Invocations of a workgroup that computes one centre of a sample.
    pub sample_lanes: usize,
    /// Rows that may be looked at for all clusters where their members are listed in one dispatch.
    pub rows_at_once: usize,
    pub group_length: usize,
    pub group_blocks: usize,
    pub mean_parts: usize,
    pub key_length: usize,
    pub key_blocks: usize,
    /// Vectors of a row of keys and values of the group remainder that one workgroup sums, and into how many parts rows are cut.
    pub pseudo_vectors: usize,
    pub pseudo_parts: usize,
    /// Clusters whose logits are in memory at the same time.
    pub clusters_per_pass: usize,
    /// Clusters of a block of the centroid logits.
    pub logit_clusters: usize,
    /// Clusters that one workgroup accumulates in the remainder.
    pub remainder_clusters: usize,
    /// Whether tiles of the refinement hold members of several clusters: where a tile for each cluster would leave more than a fifth of
    /// the invocations without a query. A tile of blocks shares its keys, and would go through those of every cluster in it.
    pub refine_packed: bool,
    /// Rows of a slice that stitched attention's error is measured on, 0 without a guard, and the error that is allowed.
    pub guard_rows: usize,
    pub guard_tolerance: f32,
    /// Keys of a block that those rows attend to at a time.
    pub guard_length: usize,
    pub guard_blocks: usize,
}

/// Matrix units, and whether each number is a pair of halves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Matrices {
    pub units: MatrixUnits,
    pub pairs: bool,
}

/// Splits `total` into equal pieces of at most `most`; returns the size of a piece.
pub(crate) fn even_pieces(total: usize, most: usize) -> usize {
    total.div_ceil(total.div_ceil(most))
}

/// Queries whose products with keys an invocation of exact attention computes: the more, the fewer loads, but the fewer invocations too. What
/// each sees, where they differ, takes registers of its own.
fn exact_queries(shape: &Shape, visible: &Visibility, limits: &Limits) -> usize {
    let tiles = shape.queries.div_ceil(KERNEL_TILE) * shape.slices();
    if limits.wide_blocks && tiles >= WIDE_TILES && !visible.hides() {
        8
    } else {
        limits.block_queries
    }
}

impl Cut {
    /// The sizes with all clusters in one pass.
    pub fn new(shape: &Shape, recipe: &Recipe, limits: &Limits) -> Self {
        let (length, keys) = (shape.queries, shape.keys);
        let (visible, grouped) = match recipe {
            Recipe::Exact(visible) => (*visible, None),
            Recipe::Grouped(grouped) => (Visibility::ALL, Some(grouped)),
        };
        let clusters = grouped.map_or(0, |grouped| grouped.clustering.clusters);
        let words = grouped.map_or(0, |grouped| grouped.clustering.words());
        let (width4, value_width4) = (shape.width.div_ceil(4), shape.value_width.div_ceil(4));
        let query_registers = even_pieces(width4, limits.query_registers);
        let value_registers = even_pieces(value_width4, limits.value_registers);
        // Blocks grow with the number of clusters so that what is kept for a block stays proportional to its length.
        let vote_length = 512.max(16 * clusters);
        let group_length =
            256.max(clusters).max(grouped.map_or(0, |grouped| grouped.key_groups().map_or(0, |groups| groups.groups)));
        let key_length = 512;
        let key_groups = grouped.and_then(|grouped| grouped.key_groups());
        let groups = key_groups.map_or(0, |key_groups| key_groups.groups);
        let clustering = grouped.map(|grouped| grouped.clustering);
        let in_metric = clustering.is_some_and(|clustering| clustering.space == Space::Metric);
        let guard = grouped.and_then(|grouped| grouped.guard());
        let guard_length = if limits.host { HOST_GUARD_LENGTH } else { GUARD_LENGTH };
        let pseudo_vectors = even_pieces(width4 + value_width4, 32);
        let cut = Self {
            shape: *shape,
            host: limits.host,
            visible,
            near: grouped.and_then(|grouped| grouped.near()),
            clusters,
            groups,
            in_metric,
            samples: clustering.filter(|_| in_metric).map_or(0, |clustering| clustering.samples.min(length)),
            key_samples: key_groups.map_or(0, |key_groups| key_groups.samples.min(keys)),
            spread: key_groups.is_some_and(|key_groups| key_groups.spread),
            bits: grouped.map_or(0, |grouped| grouped.clustering.bits),
            words,
            top_k: grouped.map_or(0, |grouped| grouped.top_k).min(keys),
            width4,
            value_width4,
            query_registers,
            width_parts: width4.div_ceil(query_registers),
            row_registers: even_pieces(width4, limits.row_registers()),
            value_registers,
            value_parts: value_width4.div_ceil(value_registers),
            block_queries: limits.block_queries,
            exact_queries: exact_queries(shape, &visible, limits),
            matrices: None,
            resting_vectors: 0,
            keys_padded: keys.next_multiple_of(4),
            vote_length,
            vote_blocks: length.div_ceil(vote_length),
            vote_clusters: (2048 / (32 * words + 1)).clamp(1, clusters.max(1)),
            // A GPU waits for the loads of more of them together; a software adapter computes them one after another.
            sample_lanes: if limits.software { 64 } else { 256 },
            rows_at_once: if limits.software { 0 } else { ROWS_AT_ONCE },
            group_length,
            group_blocks: length.max(if groups > 0 { keys } else { 0 }).div_ceil(group_length),
            mean_parts: (length / (clusters.max(1) * 64)).clamp(1, 16),
            key_length,
            key_blocks: if groups > 0 { 0 } else { keys.div_ceil(key_length) },
            pseudo_vectors,
            pseudo_parts: (width4 + value_width4).div_ceil(pseudo_vectors),
            clusters_per_pass: 0,
            logit_clusters: 0,
            remainder_clusters: 0,
            refine_packed: limits.block_queries == 0 && length < 2 * KERNEL_TILE * clusters,
            guard_rows: guard.map_or(0, |guard| guard.rows),
            guard_tolerance: guard.map_or(0.0, |guard| guard.tolerance.value()),
            guard_length,
            guard_blocks: keys.div_ceil(guard_length),
        };
        cut.with_clusters_per_pass(clusters)
    }

    /// The same for tensors that are stored so. Sums would lose digits in an output that is not float32.
    pub fn storing(mut self, element: Element) -> Self {
        self.resting_vectors = if element == Element::F32 || self.host { 0 } else { self.value_width4 };
        self
    }

    /// The same for products that need be no more precise than this. A tile of matrices shares its keys.
    pub fn computing(mut self, precision: Precision, limits: &Limits) -> Self {
        let (false, Some(units)) = (precision == Precision::Float32, limits.matrices) else { return self };
        self.matrices = Some(Matrices { units, pairs: precision == Precision::Float16Pairs });
        self.refine_packed = false;
        self
    }

    /// The same with fewer clusters at a time.
    pub fn with_clusters_per_pass(mut self, clusters_per_pass: usize) -> Self {
        self.clusters_per_pass = clusters_per_pass;
        self.logit_clusters = even_pieces(clusters_per_pass.max(1), if self.block_queries == 0 { 16 } else { 32 });
        self.remainder_clusters = even_pieces(clusters_per_pass.max(1), 28);
        self
    }

    /// The same with the clusters in equal passes of at most so many.
    pub fn in_passes_of(self, most: usize) -> Self {
        let clusters_per_pass = even_pieces(self.clusters, most);
        self.with_clusters_per_pass(clusters_per_pass)
    }

    /// The clusters of each pass over the logits.
    pub fn passes(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let step = self.clusters_per_pass.max(1);
        (0..self.clusters).step_by(step).map(move |begin| begin..(begin + step).min(self.clusters))
    }

    /// Leading tokens of an image, whose rows are exact.
    pub fn leading(&self) -> usize {
        self.near.map_or(0, |near| near.leading.min(self.shape.queries))
    }

    /// Tiles of queries.
    pub fn query_tiles(&self) -> usize {
        self.shape.queries.div_ceil(KERNEL_TILE)
    }

    /// Operations of a query with a key where every part of the value columns computes the logit again.
    pub fn pair_operations(&self) -> usize {
        self.shape.width * self.value_parts + self.shape.value_width
    }

    /// Vectors of a row of the softmax parts.
    pub fn sums_row_words(&self) -> usize {
        4 * (1 + self.value_width4)
    }

    /// The same of a pseudo-key, with its value.
    pub fn pseudo_row_words(&self) -> usize {
        4 * (1 + self.width4 + self.value_width4)
    }

    /// Whether a step about keys or queries is meant: how many clusters or groups there are, and how many rows in them.
    pub fn side(&self, role: Role) -> (usize, usize) {
        let (samples, rows) =
            if role.is_of_keys() { (self.key_samples, self.shape.keys) } else { (self.samples, self.shape.queries) };
        let count = if role.is_of_keys() { self.groups } else { self.clusters };
        (count, if role.is_of_sample() { samples } else { rows })
    }

    /// Whether the members of all clusters, or key groups, are listed in one dispatch.
    pub fn lists_at_once(&self, role: Role) -> bool {
        let (count, rows) = self.side(role);
        count < CLUSTERS_AT_ONCE && rows.saturating_mul(count + 1) <= self.rows_at_once
    }

    /// Rows of keys that are grouped.
    pub fn grouped_keys(&self) -> usize {
        if self.groups > 0 {
            self.shape.keys
        } else {
            0
        }
    }

    /// Device: words of a slice in `clusters`: of queries, of keys, of samples.
    pub fn clusters_words(&self) -> usize {
        self.shape.queries + if self.host { 0 } else { self.grouped_keys() + self.samples.max(self.key_samples) }
    }

    /// Words of a slice in `groups`: of clusters, and on a device of key groups.
    pub fn groups_words(&self) -> usize {
        let offsets = |count: usize| if self.host { 1 } else { 2 } * (count + 2);
        let keys = if self.host || self.groups == 0 { 0 } else { offsets(self.groups) + self.shape.keys };
        offsets(self.clusters) + self.shape.queries + keys
    }

    /// Words of a slice in `centroids`: of clusters, and on a device of key groups.
    pub fn centroids_words(&self) -> usize {
        if self.host {
            return self.clusters * self.shape.width;
        }
        4 * (self.clusters + self.groups) * (self.width4 + 1)
    }

    /// Tiles of the members of key groups, at most.
    pub fn key_tiles(&self) -> usize {
        if self.groups == 0 {
            return 0;
        }
        self.shape.keys.div_ceil(KEY_TILE) + self.groups.min(self.shape.keys)
    }
}
