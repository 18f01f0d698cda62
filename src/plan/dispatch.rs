//! The dispatches of a chunk, in order: which kernel, how many workgroups, which share of the work. A pure function of the plan.

use super::cut::{QUERY_TILE, WINDOW_TILE};
use super::{Chunk, Plan};
use crate::trace::Stage;
use crate::Method;
use std::ops::Range;

/// Multiply-adds, or operations of similar cost, after which work is cut into another dispatch: below half a second at ten billion
/// operations a second, a tenth of a millisecond on a large GPU.
pub(crate) const OPERATIONS_PER_DISPATCH: u64 = 1 << 31;

/// Most invocations of a workgroup, for kernels that look at a run of tiles.
const WORKGROUP: usize = 64;

/// A kernel, named by its entry point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum KernelName {
    HashCodes,
    InitialCentroids,
    HammingAssign,
    Vote,
    Majority,
    CountMembers,
    GroupOffsets,
    ScatterMembers,
    PartialMeans,
    CombineMeans,
    EuclideanAssign,
    CentroidLogits,
    TopK,
    PartialRemainder,
    CombineRemainder,
    RefineTopK,
    StitchWindow,
    ExactAttention,
    CheckFinite,
}

/// `mode` of kernels that hold positions instead of random numbers, all queries instead of clusters, or a mean to subtract.
pub(crate) const MODE_ON: u32 = 1;
/// `mode` of the refinement.
pub(crate) const REFINE_IMPROVED: u32 = 0;
pub(crate) const REFINE_STITCHED: u32 = 1;
pub(crate) const REFINE_WINDOW: u32 = 2;
/// Bits of the `mode` of exact attention.
pub(crate) const EXACT_CONTINUES: u32 = 1;
pub(crate) const EXACT_FINISHES: u32 = 2;

/// One dispatch and its share of the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dispatch {
    pub kernel: KernelName,
    pub stage: Stage,
    pub workgroups: [u32; 3],
    /// First slice, counted from the first of the chunk.
    pub slice_begin: u32,
    pub tile_begin: u32,
    pub clusters: Range<u32>,
    pub keys: Range<u32>,
    pub mode: u32,
    pub mean_parts: u32,
    /// Operations, at most [`OPERATIONS_PER_DISPATCH`] unless a single workgroup needs more.
    pub operations: u64,
}

/// What of the clustering is given from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Given {
    pub positions: bool,
    pub assignment: bool,
}

/// A kernel over all tiles of all slices, before it is cut.
struct Launch {
    kernel: KernelName,
    stage: Stage,
    tiles: usize,
    depth: usize,
    /// Operations of one tile of one slice.
    operations: usize,
    mode: u32,
    clusters: Range<usize>,
    keys: Range<usize>,
    mean_parts: usize,
}

/// All dispatches of a chunk.
pub(crate) fn dispatches(plan: &Plan, chunk: &Chunk, given: Given) -> Vec<Dispatch> {
    let mut list = List { plan, slices: chunk.slices(), dispatches: Vec::new() };
    match *plan.problem.method() {
        Method::Exact => list.exact(),
        Method::Clustered { .. } | Method::Improved { .. } => {
            list.cluster(given);
            list.attend(REFINE_IMPROVED, None);
        }
        // A plan holds what `Auto` took instead of it.
        Method::Stitched { window, .. } | Method::Auto { window, .. } => {
            list.cluster(given);
            list.attend(if window.is_some() { REFINE_WINDOW } else { REFINE_STITCHED }, window);
        }
    }
    list.dispatches
}

struct List<'a> {
    plan: &'a Plan,
    slices: usize,
    dispatches: Vec<Dispatch>,
}

impl List<'_> {
    /// A launch with nothing special about it.
    fn launch(&self, kernel: KernelName, stage: Stage, tiles: usize, depth: usize, operations: usize) -> Launch {
        Launch {
            kernel,
            stage,
            tiles,
            depth,
            operations,
            mode: 0,
            clusters: 0..self.plan.cut.clusters,
            keys: 0..self.plan.problem.shape().keys,
            mean_parts: self.plan.cut.mean_parts,
        }
    }

    /// Cuts a launch so that no dispatch exceeds the operations or the workgroups of one.
    fn push(&mut self, launch: Launch) {
        let most = self.plan.limits.workgroups_per_dimension as usize;
        let bound = OPERATIONS_PER_DISPATCH as usize;
        let slice_operations = launch.tiles.saturating_mul(launch.operations).max(1);
        let slices = (bound / slice_operations).clamp(1, self.slices).min(most);
        let tiles = (bound / launch.operations.max(1)).clamp(1, launch.tiles).min(most);
        for slice in (0..self.slices).step_by(slices) {
            let slices = slices.min(self.slices - slice);
            for tile in (0..launch.tiles).step_by(tiles) {
                let tiles = tiles.min(launch.tiles - tile);
                self.dispatches.push(Dispatch {
                    kernel: launch.kernel,
                    stage: launch.stage,
                    workgroups: [tiles as u32, slices as u32, launch.depth as u32],
                    slice_begin: slice as u32,
                    tile_begin: tile as u32,
                    clusters: launch.clusters.start as u32..launch.clusters.end as u32,
                    keys: launch.keys.start as u32..launch.keys.end as u32,
                    mode: launch.mode,
                    mean_parts: launch.mean_parts as u32,
                    operations: (tiles * slices * launch.operations) as u64,
                });
            }
        }
    }

    fn query_tiles(&self) -> usize {
        self.plan.problem.shape().queries.div_ceil(QUERY_TILE)
    }

    fn cluster(&mut self, given: Given) {
        let Some(clustering) = self.plan.problem.method().clustering().copied() else { return };
        let (cut, width) = (&self.plan.cut, self.plan.problem.shape().width);
        let tiles = self.query_tiles();
        if !given.assignment {
            self.hamming_kmeans(given);
        }
        let steps = if given.assignment { 0 } else { clustering.euclidean_steps };
        for step in 0..=steps {
            if step > 0 {
                let operations = QUERY_TILE * cut.clusters * width;
                self.push(self.launch(KernelName::EuclideanAssign, Stage::EuclideanAssign, tiles, 1, operations));
            }
            let depth = (cut.clusters + 1).div_ceil(WORKGROUP);
            let block_operations = cut.group_length * WORKGROUP * depth;
            let group =
                |kernel, tiles, depth, operations| self.launch(kernel, Stage::GroupByCluster, tiles, depth, operations);
            let launches = [
                group(KernelName::CountMembers, cut.group_blocks, depth, block_operations),
                group(KernelName::GroupOffsets, 1, 1, (cut.clusters + 1) * cut.group_blocks),
                group(KernelName::ScatterMembers, cut.group_blocks, depth, block_operations),
            ];
            launches.into_iter().for_each(|launch| self.push(launch));
            self.means(cut.clusters, cut.mean_parts, 0);
        }
    }

    /// Means of `clusters` clusters, whose members are cut into `parts`.
    fn means(&mut self, clusters: usize, parts: usize, mode: u32) {
        let shape = self.plan.problem.shape();
        let share = (shape.queries * shape.width).div_ceil(clusters * parts);
        let stage = Stage::CentroidMeans;
        let partial = self.launch(KernelName::PartialMeans, stage, clusters * parts, 1, share);
        let combine = self.launch(KernelName::CombineMeans, stage, clusters, 1, parts * shape.width);
        self.push(Launch { mode, mean_parts: parts, ..partial });
        self.push(Launch { mode, mean_parts: parts, ..combine });
    }

    fn hamming_kmeans(&mut self, given: Given) {
        let Some(clustering) = self.plan.problem.method().clustering().copied() else { return };
        let (cut, shape) = (&self.plan.cut, self.plan.problem.shape());
        let tiles = self.query_tiles();
        let bits = 32 * cut.words;
        if clustering.center {
            // The mean query is the mean of one cluster that holds all; its parts fit where those of all clusters do.
            self.means(1, (cut.mean_parts * cut.clusters).min(64), MODE_ON);
        }
        let hash = self.launch(KernelName::HashCodes, Stage::HashCodes, tiles, 1, QUERY_TILE * bits * shape.width);
        self.push(Launch { mode: u32::from(clustering.center), ..hash });
        let mode = u32::from(given.positions);
        let cluster_tiles = cut.clusters.div_ceil(WORKGROUP);
        let start =
            self.launch(KernelName::InitialCentroids, Stage::InitialCentroids, cluster_tiles, 1, WORKGROUP * cut.words);
        self.push(Launch { mode, ..start });
        for iteration in 0..clustering.iterations {
            if iteration > 0 {
                let stage = Stage::HammingUpdate;
                let depth = cut.clusters.div_ceil(cut.vote_clusters);
                let operations = cut.vote_length * bits * depth;
                self.push(self.launch(KernelName::Vote, stage, cut.vote_blocks, depth, operations));
                let words = (cut.clusters * cut.words).div_ceil(WORKGROUP);
                self.push(self.launch(KernelName::Majority, stage, words, 1, WORKGROUP * 32 * cut.vote_blocks));
            }
            let operations = QUERY_TILE * cut.clusters * cut.words;
            let assign = self.launch(KernelName::HammingAssign, Stage::HammingAssign, tiles, 1, operations);
            self.push(Launch { mode, ..assign });
        }
    }

    fn attend(&mut self, refine_mode: u32, window: Option<usize>) {
        let (cut, shape) = (&self.plan.cut, self.plan.problem.shape());
        // Every part of the value columns computes the logits again.
        let key_operations = shape.width * cut.value_parts + shape.value_width;
        for clusters in cut.cluster_passes() {
            let rows = clusters.len();
            let with = |launch: Launch| Launch { clusters: clusters.clone(), ..launch };
            let depth = rows.div_ceil(cut.logit_clusters);
            let operations = QUERY_TILE * rows * shape.width;
            let key_tiles = shape.keys.div_ceil(QUERY_TILE);
            let stage = Stage::CentroidLogits;
            self.push(with(self.launch(KernelName::CentroidLogits, stage, key_tiles, depth, operations)));
            self.push(with(self.launch(KernelName::TopK, Stage::TopK, rows, 1, 16 * shape.keys)));
            let depth = rows.div_ceil(cut.remainder_clusters) * cut.value_parts;
            let (stage, operations) = (Stage::Remainder, cut.key_length * rows * shape.value_width);
            self.push(with(self.launch(KernelName::PartialRemainder, stage, cut.key_blocks, depth, operations)));
            let operations = cut.key_blocks * shape.value_width;
            self.push(with(self.launch(KernelName::CombineRemainder, stage, rows, 1, operations)));
            // Each cluster, the padding among them, may leave one tile partly empty.
            let tiles = self.query_tiles() + if cut.refine_packed { 0 } else { cut.clusters + 1 };
            let operations = QUERY_TILE * (cut.top_k + 1) * key_operations;
            let refine = self.launch(KernelName::RefineTopK, Stage::RefineTopK, tiles, cut.value_parts, operations);
            self.push(with(Launch { mode: refine_mode, ..refine }));
            if let Some(window) = window {
                let tiles = shape.queries.div_ceil(WINDOW_TILE);
                let band = (WINDOW_TILE + 2 * window).min(shape.keys);
                let operations = WINDOW_TILE * band * key_operations;
                let stage = Stage::StitchWindow;
                self.push(with(self.launch(KernelName::StitchWindow, stage, tiles, cut.value_parts, operations)));
            }
        }
    }

    /// Long rows are cut by keys first, which leaves every dispatch as many workgroups as there are.
    fn exact(&mut self) {
        let (cut, shape) = (&self.plan.cut, self.plan.problem.shape());
        let tiles = self.query_tiles();
        let key_operations = QUERY_TILE * (shape.width * cut.value_parts + shape.value_width);
        let fitting = OPERATIONS_PER_DISPATCH as usize / (tiles * self.slices * key_operations);
        let keys = (fitting / 64 * 64).max(1024).min(shape.keys);
        for begin in (0..shape.keys).step_by(keys) {
            let end = (begin + keys).min(shape.keys);
            let launch = self.launch(
                KernelName::ExactAttention,
                Stage::ExactAttention,
                tiles,
                cut.value_parts,
                (end - begin) * key_operations,
            );
            let mode = if begin > 0 { EXACT_CONTINUES } else { 0 } | if end == shape.keys { EXACT_FINISHES } else { 0 };
            self.push(Launch { mode, keys: begin..end, ..launch });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Limits;
    use crate::{Problem, Shape};

    fn all(shape: Shape, method: Method) -> Vec<Dispatch> {
        let problem = Problem::new(shape, method).expect("a valid problem");
        let plan = Plan::new(&problem, &Limits::webgpu_defaults(), 1 << 27).expect("a plan");
        plan.chunks().flat_map(|chunk| dispatches(&plan, &chunk, Given::default())).collect()
    }

    #[test]
    fn no_dispatch_grows_without_bound() {
        for length in [100, 8192, 131_072] {
            for method in [Method::Exact, Method::stitched(25), Method::stitched(1000), Method::improved(100)] {
                for dispatch in all(Shape::self_attention(2, 8, length, 64), method) {
                    assert!(dispatch.operations <= OPERATIONS_PER_DISPATCH, "{dispatch:?}");
                    assert!(dispatch.workgroups.iter().all(|&count| (1..=65_535).contains(&count)), "{dispatch:?}");
                }
            }
        }
    }

    #[test]
    fn small_clusters_share_tiles_and_large_ones_have_their_own() {
        let tiles = |clusters| {
            let all = all(Shape::self_attention(1, 1, 1000, 16), Method::improved(clusters));
            let refine = all.iter().find(|dispatch| dispatch.kernel == KernelName::RefineTopK);
            refine.expect("a refinement").workgroups[0]
        };
        assert_eq!(tiles(100), 16);
        assert_eq!(tiles(7), 16 + 8);
    }

    #[test]
    fn exact_attention_covers_every_key_of_every_tile_in_order() {
        let shape = Shape::self_attention(1, 3, 20_000, 64);
        let tiles = 20_000usize.div_ceil(QUERY_TILE);
        let mut next_key = vec![0; 3 * tiles];
        for dispatch in all(shape, Method::Exact) {
            for slice in dispatch.slice_begin..dispatch.slice_begin + dispatch.workgroups[1] {
                for tile in dispatch.tile_begin..dispatch.tile_begin + dispatch.workgroups[0] {
                    let next = &mut next_key[slice as usize * tiles + tile as usize];
                    assert_eq!(*next, dispatch.keys.start);
                    assert_eq!(dispatch.mode & EXACT_CONTINUES != 0, *next > 0);
                    *next = dispatch.keys.end;
                    assert_eq!(dispatch.mode & EXACT_FINISHES != 0, *next == 20_000);
                }
            }
        }
        assert!(next_key.iter().all(|&key| key == 20_000));
    }
}
