//! The uniform that every dispatch reads. Mirrors `struct Params` of `shaders/shared/params.wgsl`; a test compares the two.

use super::launch::Dispatch;
use crate::plan::{Chunk, Plan, Tensor};
use crate::problem::Visibility;
use crate::stages::{Cut, Scratch, WINDOW_TILE};
use crate::{Grid, Strides};
use bytemuck::{Pod, Zeroable};

/// What a dispatch knows: sizes, how they are cut, and its share of the work.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Params {
    pub sizes: Sizes,
    pub cut: Blocks,
    pub share: Share,
}

#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Sizes {
    pub batch: u32,
    pub query_heads: u32,
    pub key_heads: u32,
    pub queries: u32,
    pub keys: u32,
    pub clusters: u32,
    pub top_k: u32,
    pub bits: u32,
    pub query_layout: Layout,
    pub key_layout: Layout,
    pub value_layout: Layout,
    pub output_layout: Layout,
    pub visible: Reach,
    pub near: Near,
    pub scale: f32,
    pub groups: u32,
    pub guard_rows: u32,
    pub guard_tolerance: f32,
}

/// Strides of a tensor and the element at which its binding begins, which may lie before the tensor's own first element; the sum wraps.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Layout {
    pub batch: u32,
    pub head: u32,
    pub row: u32,
    pub origin: u32,
}

#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Reach {
    pub left: i32,
    pub right: i32,
    pub sinks: u32,
    pub causal: u32,
}

#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Near {
    pub rows: u32,
    pub columns: u32,
    pub leading: u32,
    pub row_radius: u32,
    pub column_radius: u32,
    pub tile_column_bits: u32,
    pub tiles_across: u32,
    pub reserved: u32,
}

#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Blocks {
    pub keys_padded: u32,
    pub cluster_rows: u32,
    pub key_length: u32,
    pub key_blocks: u32,
    pub vote_length: u32,
    pub vote_blocks: u32,
    pub group_length: u32,
    pub group_blocks: u32,
    pub softmax_vectors: u32,
    pub clusters_words: u32,
    pub groups_words: u32,
    pub key_tiles: u32,
    pub samples: u32,
    pub key_samples: u32,
    pub reserved: [u32; 2],
}

#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Share {
    pub chunk_batch: u32,
    pub chunk_head: u32,
    pub chunk_heads: u32,
    pub slice_begin: u32,
    pub tile_begin: u32,
    pub cluster_begin: u32,
    pub cluster_end: u32,
    pub key_begin: u32,
    pub key_end: u32,
    pub parts: u32,
    pub role: u32,
    pub continues: u32,
    pub finishes: u32,
    pub reserved: [u32; 3],
}

impl Layout {
    pub fn new(strides: Strides, origin: i64) -> Self {
        let Strides { batch, head, row } = strides;
        Self { batch: batch as u32, head: head as u32, row: row as u32, origin: origin as u32 }
    }
}

impl From<Visibility> for Reach {
    fn from(visible: Visibility) -> Self {
        let (left, right) = visible.bounds();
        let sinks = visible.sinks.min(Visibility::UNBOUNDED as usize) as u32;
        Self { left: left as i32, right: right as i32, sinks, causal: visible.causal.into() }
    }
}

impl From<Grid> for Near {
    fn from(grid: Grid) -> Self {
        let Grid { rows, columns, leading, row_radius, column_radius } = grid;
        let [rows, columns, leading] = [rows, columns, leading].map(|count| count as u32);
        let [row_radius, column_radius] = [row_radius, column_radius].map(|radius| radius as u32);
        let tile_column_bits = grid.tile_shape(WINDOW_TILE).1.ilog2();
        let tiles_across = grid.tiles_across(WINDOW_TILE) as u32;
        Self { rows, columns, leading, row_radius, column_radius, tile_column_bits, tiles_across, reserved: 0 }
    }
}

impl Params {
    /// Parameters of a dispatch; `origins` are the first elements of the bindings of the tensors, in the order of [`Tensor::ALL`].
    pub fn new(plan: &Plan, chunk: &Chunk, dispatch: &Dispatch, origins: [i64; 4]) -> Self {
        Self {
            sizes: Sizes::new(plan, origins),
            cut: Blocks::new(&plan.cut, plan.words_of(Scratch::SoftmaxParts) / 4),
            share: Share {
                chunk_batch: chunk.batches.start as u32,
                chunk_head: chunk.heads.start as u32,
                chunk_heads: chunk.heads.len() as u32,
                slice_begin: dispatch.slice_begin,
                tile_begin: dispatch.tile_begin,
                cluster_begin: dispatch.clusters.start,
                cluster_end: dispatch.clusters.end,
                key_begin: dispatch.keys.start,
                key_end: dispatch.keys.end,
                parts: dispatch.parts,
                role: dispatch.role as u32,
                continues: dispatch.continues.into(),
                finishes: dispatch.finishes.into(),
                reserved: [0; 3],
            },
        }
    }
}

impl Sizes {
    fn new(plan: &Plan, origins: [i64; 4]) -> Self {
        let (problem, cut, shape) = (&plan.problem, &plan.cut, plan.problem.shape());
        let number = |value: usize| value as u32;
        Self {
            batch: number(shape.batch),
            query_heads: number(shape.query_heads),
            key_heads: number(shape.key_heads),
            queries: number(shape.queries),
            keys: number(shape.keys),
            clusters: number(cut.clusters),
            top_k: number(cut.top_k),
            bits: number(cut.bits),
            query_layout: Layout::new(problem.query_strides(), origins[Tensor::Queries as usize]),
            key_layout: Layout::new(problem.key_strides(), origins[Tensor::Keys as usize]),
            value_layout: Layout::new(problem.value_strides(), origins[Tensor::Values as usize]),
            output_layout: Layout::new(problem.output_strides(), origins[Tensor::Output as usize]),
            visible: cut.visible.into(),
            near: cut.near.map(Near::from).unwrap_or_default(),
            scale: problem.scale(),
            groups: number(cut.groups),
            guard_rows: number(cut.guard_rows),
            guard_tolerance: cut.guard_tolerance,
        }
    }
}

impl Blocks {
    fn new(cut: &Cut, softmax_vectors: usize) -> Self {
        let number = |value: usize| value as u32;
        Self {
            keys_padded: number(cut.keys_padded),
            cluster_rows: number(cut.clusters_per_pass),
            key_length: number(cut.key_length),
            key_blocks: number(cut.key_blocks),
            vote_length: number(cut.vote_length),
            vote_blocks: number(cut.vote_blocks),
            group_length: number(cut.group_length),
            group_blocks: number(cut.group_blocks),
            softmax_vectors: number(softmax_vectors),
            clusters_words: number(cut.clusters_words()),
            groups_words: number(cut.groups_words()),
            key_tiles: number(cut.key_tiles()),
            samples: number(cut.samples),
            key_samples: number(cut.key_samples),
            reserved: [0; 2],
        }
    }
}
