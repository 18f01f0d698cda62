//! Exact products of each query with its cluster's top-k keys. Twin of `shaders/refine_top_k.wgsl`.

use super::group_by_cluster::Groups;
use super::panel::LANES;
use super::tile::{inverse, Tile};
use super::top_k::ClusterStatistics;
use super::work::{OutputBlock, Work};
use crate::parallel::each;
use crate::stages::{Role, Scratch};
use crate::trace::NO_KEY;
use std::ops::Range;

/// Running softmax of a query over the keys computed so far: maximum and sum; the weighted values lie in the output.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct State {
    pub maximum: f32,
    pub total: f32,
}

/// The per-cluster results that refinement reads.
pub(crate) struct ClusterResults<'a> {
    pub groups: &'a [u32],
    pub top_keys: &'a [u32],
    pub statistics: &'a [ClusterStatistics],
    /// Weighted values outside the top-k, `[slices, C, M]`.
    pub sums: &'a [f32],
}

impl<'a> ClusterResults<'a> {
    pub fn new(groups: &'a [u32], top_keys: &'a [u32], statistics: &'a [ClusterStatistics], sums: &'a [f32]) -> Self {
        Self { groups, top_keys, statistics, sums }
    }
}

/// Writes the output of the clusters of a pass, or its unnormalised exact part and `state`. Padding queries give zeros.
/// `O(L·k·(E+M))` a slice.
pub(crate) fn refine_top_k(
    work: &Work,
    pass: Range<usize>,
    finish: Role,
    results: &ClusterResults,
    output: &mut [f32],
    state: &mut [State],
) {
    let shape = work.problem.shape();
    let cut = &work.plan.cut;
    each(
        work.output_blocks(output, state),
        || Refiner {
            tile: Tile::new(shape.width, shape.value_width, work.problem.scale()),
            keys: Vec::with_capacity(cut.top_k * shape.width),
            values: Vec::with_capacity(cut.top_k * shape.value_width),
        },
        |refiner, mut block| {
            for (slice, head) in block.slices() {
                let groups = Groups::new(results.groups, cut.clusters, slice, shape.queries);
                for &position in groups.members_in(cut.clusters, &block.positions) {
                    block.row_mut(head, position as usize).fill(0.0);
                }
                for cluster in pass.clone() {
                    let members = groups.members_in(cluster, &block.positions);
                    if !members.is_empty() {
                        refiner.refine(work, results, finish, (slice, cluster), members, head, &mut block);
                    }
                }
            }
        },
    );
}

struct Refiner {
    tile: Tile,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Refiner {
    #[allow(clippy::too_many_arguments)]
    fn refine(
        &mut self,
        work: &Work,
        results: &ClusterResults,
        finish: Role,
        (slice, cluster): (usize, usize),
        members: &[u32],
        head: usize,
        block: &mut OutputBlock<State>,
    ) {
        let shape = work.problem.shape();
        let cut = &work.plan.cut;
        let (queries, keys, values) = (work.queries(slice), work.keys(slice), work.values(slice));
        let top_keys =
            &results.top_keys[slice * work.plan.words_of(Scratch::TopKeys) + cluster * cut.top_k..][..cut.top_k];
        let index = slice * cut.clusters + cluster;
        let statistics = &results.statistics[index];
        let rest = &results.sums[index * shape.value_width..][..shape.value_width];
        self.keys.clear();
        self.values.clear();
        let mut count = 0;
        for &key in top_keys.iter().take_while(|&&key| key != NO_KEY) {
            self.keys.extend_from_slice(keys.row(key as usize));
            self.values.extend_from_slice(values.row(key as usize));
            count += 1;
        }
        for members in members.chunks(LANES) {
            self.tile.begin(members.iter().map(|&member| queries.row(member as usize)));
            self.tile.attend((&self.keys, shape.width), (&self.values, shape.value_width), count);
            for (lane, &member) in members.iter().enumerate() {
                let position = member as usize;
                let state = State { maximum: self.tile.maximum[lane], total: self.tile.total[lane] };
                let row = block.row_mut(head, position);
                match finish {
                    Role::Unfinished => {
                        self.tile.store(lane, 1.0, row);
                        *block.state_mut(head, position) = state;
                    }
                    Role::Stitched => {
                        let maximum = state.maximum.max(statistics.rest_maximum);
                        let exact = (state.maximum - maximum).exp();
                        let rest_factor = (statistics.rest_maximum - maximum).exp();
                        let total = state.total * exact + statistics.rest_sum * rest_factor;
                        self.tile.store(lane, inverse(total) * exact, row);
                        add_scaled(row, rest, inverse(total) * rest_factor);
                    }
                    _ => {
                        let rest_factor = (statistics.rest_maximum - statistics.top_maximum).exp();
                        let total = statistics.top_sum + statistics.rest_sum * rest_factor;
                        let mass = statistics.top_sum * inverse(total);
                        self.tile.store(lane, mass * inverse(state.total), row);
                        add_scaled(row, rest, inverse(total) * rest_factor);
                    }
                }
            }
        }
    }
}

pub(crate) fn add_scaled(row: &mut [f32], values: &[f32], factor: f32) {
    for (value, &addend) in row.iter_mut().zip(values) {
        *value += factor * addend;
    }
}
