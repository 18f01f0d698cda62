//! The uniform that every dispatch reads. Mirrors `struct Params` of `shaders/shared/params.wgsl`; a test compares the two.

use crate::plan::dispatch::Dispatch;
use crate::plan::{Chunk, Plan, Tensor};
use crate::problem::Strides;
use bytemuck::{Pod, Zeroable};

#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Params {
    pub batch: u32,
    pub query_heads: u32,
    pub key_heads: u32,
    pub queries: u32,
    pub keys: u32,
    pub clusters: u32,
    pub top_k: u32,
    pub window: u32,
    pub query_layout: [u32; 4],
    pub key_layout: [u32; 4],
    pub value_layout: [u32; 4],
    pub output_layout: [u32; 4],
    pub keys_padded: u32,
    pub vote_length: u32,
    pub vote_blocks: u32,
    pub group_length: u32,
    pub group_blocks: u32,
    pub mean_parts: u32,
    pub key_length: u32,
    pub key_blocks: u32,
    pub chunk_batch: u32,
    pub chunk_head: u32,
    pub chunk_heads: u32,
    pub slice_begin: u32,
    pub tile_begin: u32,
    pub cluster_begin: u32,
    pub cluster_end: u32,
    pub key_begin: u32,
    pub key_end: u32,
    pub mode: u32,
    pub scale: f32,
    pub cluster_rows: u32,
    pub bits: u32,
    pub reserved: [u32; 3],
}

/// Strides of a tensor and the element at which its binding begins, which may lie before the tensor's own first element; the sum wraps.
pub(crate) fn layout(strides: Strides, origin: i64) -> [u32; 4] {
    [strides.batch as u32, strides.head as u32, strides.row as u32, origin as u32]
}

impl Params {
    /// Parameters of a dispatch; `origins` are the first elements of the bindings of the tensors, in the order of [`Tensor::ALL`].
    pub fn new(plan: &Plan, chunk: &Chunk, dispatch: &Dispatch, origins: [i64; 4]) -> Self {
        let (problem, cut) = (&plan.problem, &plan.cut);
        let shape = problem.shape();
        let number = |value: usize| value as u32;
        Self {
            batch: number(shape.batch),
            query_heads: number(shape.query_heads),
            key_heads: number(shape.key_heads),
            queries: number(shape.queries),
            keys: number(shape.keys),
            clusters: number(cut.clusters),
            top_k: number(cut.top_k),
            window: problem.method().window().map_or(0, number),
            query_layout: layout(problem.query_strides(), origins[Tensor::Queries as usize]),
            key_layout: layout(problem.key_strides(), origins[Tensor::Keys as usize]),
            value_layout: layout(problem.value_strides(), origins[Tensor::Values as usize]),
            output_layout: layout(problem.output_strides(), origins[Tensor::Output as usize]),
            keys_padded: number(cut.keys_padded),
            vote_length: number(cut.vote_length),
            vote_blocks: number(cut.vote_blocks),
            group_length: number(cut.group_length),
            group_blocks: number(cut.group_blocks),
            mean_parts: dispatch.mean_parts,
            key_length: number(cut.key_length),
            key_blocks: number(cut.key_blocks),
            chunk_batch: number(chunk.batches.start),
            chunk_head: number(chunk.heads.start),
            chunk_heads: number(chunk.heads.len()),
            slice_begin: dispatch.slice_begin,
            tile_begin: dispatch.tile_begin,
            cluster_begin: dispatch.clusters.start,
            cluster_end: dispatch.clusters.end,
            key_begin: dispatch.keys.start,
            key_end: dispatch.keys.end,
            mode: dispatch.mode,
            scale: problem.scale(),
            cluster_rows: number(cut.clusters_per_pass),
            bits: problem.method().clustering().map_or(0, |clustering| number(clustering.bits)),
            reserved: [0; 3],
        }
    }
}
