//! Constants that kernels are compiled for, because private and workgroup arrays need them or because they leave out whole branches.
//!
//! Widths and numbers of clusters compile in. Lengths do so only through whether small clusters share tiles and how many clusters a pass
//! has, so that pipelines are few.

use crate::stages::{Cut, Given, CLUSTERS_AT_ONCE, COVARIANCE_SAMPLES, GUARD_LENGTH, KEY_TILE, WINDOW_TILE};

/// A constant of the shaders, and its value for the sizes of a plan.
pub(crate) struct Constant {
    pub name: &'static str,
    pub value: fn(&Cut, Given) -> usize,
}

impl std::fmt::Debug for Constant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! constants {
    ($($name:literal: $value:expr,)*) => {
        &[$(Constant { name: $name, value: $value },)*]
    };
}

/// All of them. Those that begin with a tensor's name come with its loads and stores.
pub(crate) const CONSTANTS: &[Constant] = constants![
    "WIDTH": |cut, _| cut.shape.width,
    "WIDTH_VECTORS": |cut, _| cut.width4,
    "WIDTH_PARTS": |cut, _| cut.width_parts,
    "QUERY_REGISTERS": |cut, _| cut.query_registers,
    "ROW_REGISTERS": |cut, _| cut.row_registers,
    "ROW_PARTS": |cut, _| cut.width4.div_ceil(cut.row_registers),
    "VALUE_VECTORS": |cut, _| cut.value_width4,
    "VALUE_PARTS": |cut, _| cut.value_parts,
    "VALUE_REGISTERS": |cut, _| cut.value_registers,
    "BLOCK_QUERIES": |cut, _| cut.block_queries,
    "EXACT_QUERIES": |cut, _| cut.exact_queries,
    "MATRIX_SIDE": |cut, _| cut.matrices.map_or(0, |matrices| matrices.units.side),
    "SUBGROUP_LANES": |cut, _| cut.matrices.map_or(0, |matrices| matrices.units.subgroup_lanes),
    "PAIRS": |cut, _| usize::from(cut.matrices.is_some_and(|matrices| matrices.pairs)),
    "GROUPS": |cut, _| cut.groups,
    "SPREAD": |cut, given| usize::from(cut.spread && !given.top_keys),
    "PSEUDO_VECTORS": |cut, _| cut.pseudo_vectors,
    "PSEUDO_PARTS": |cut, _| cut.pseudo_parts,
    "SAMPLE_LANES": |cut, _| cut.sample_lanes,
    "KEY_TILE": |_, _| KEY_TILE,
    "WINDOW_TILE": |_, _| WINDOW_TILE,
    "GRID": |cut, _| usize::from(cut.near.is_some_and(|near| !near.is_band())),
    "CLUSTERS_AT_ONCE": |_, _| CLUSTERS_AT_ONCE,
    "GUARD_LENGTH": |_, _| GUARD_LENGTH,
    "COVARIANCE_SAMPLES": |_, _| COVARIANCE_SAMPLES,
    "WORDS": |cut, _| cut.words,
    "VOTE_CLUSTERS": |cut, _| cut.vote_clusters,
    "LOGIT_CLUSTERS": |cut, _| cut.logit_clusters,
    "REMAINDER_CLUSTERS": |cut, _| cut.remainder_clusters,
    "PACKED": |cut, _| usize::from(cut.refine_packed),
    "HIDES": |cut, _| usize::from(cut.visible.hides()),
    "PLACED": |_, given| usize::from(given.placed),
    "queries_WIDTH": |cut, _| cut.shape.width,
    "queries_VECTORS": |cut, _| cut.width4,
    "keys_WIDTH": |cut, _| cut.shape.width,
    "keys_VECTORS": |cut, _| cut.width4,
    "side_WIDTH": |cut, _| cut.shape.width,
    "side_VECTORS": |cut, _| cut.width4,
    "values_WIDTH": |cut, _| cut.shape.value_width,
    "values_VECTORS": |cut, _| cut.value_width4,
    "output_WIDTH": |cut, _| cut.shape.value_width,
    "output_VECTORS": |cut, _| cut.value_width4,
];
