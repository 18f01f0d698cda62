//! Exact products of each query with its cluster's top-k keys, and with the pseudo-keys of key groups. Twin of `shaders/refine_top_k.wgsl`.

use super::group_by_cluster::Groups;
use super::group_remainder::PseudoKeys;
use super::panel::{Panel, LANES};
use super::tile::{inverse, Tile, KEY_BLOCK, LOWEST};
use super::top_k::ClusterStatistics;
use super::work::{OutputBlock, Work};
use crate::parallel::each_with;
use crate::stages::{Role, Scratch};
use crate::trace::NO_KEY;
use std::ops::Range;

/// Floats of a query's running softmax over the keys computed so far: maximum and sum, then its logits with the pseudo-keys. The
/// weighted values lie in the output.
pub(crate) fn state_size(groups: usize) -> usize {
    2 + groups
}

/// The per-cluster results that refinement reads.
pub(crate) struct ClusterResults<'a> {
    pub groups: &'a [u32],
    pub top_keys: &'a [u32],
    pub statistics: &'a [ClusterStatistics],
    /// Weighted values outside the top-k, `[slices, C, M]`.
    pub sums: &'a [f32],
    /// The same as pseudo-keys, where keys are grouped.
    pub pseudo: &'a PseudoKeys,
}

/// Writes the output of the clusters of a pass, or its unnormalised part so far and `state`. Padding queries give zeros.
/// `O(L·(k+G)·(E+M))` a slice.
pub(crate) fn refine_top_k(
    work: &Work,
    pass: Range<usize>,
    finish: Role,
    results: &ClusterResults,
    output: &mut [f32],
    state: &mut [f32],
) {
    let shape = work.problem.shape();
    let cut = &work.plan.cut;
    // Otherwise what lies there is of another method.
    let state = if finish == Role::Unfinished { state } else { &mut [] };
    each_with(
        work.threads,
        work.output_blocks(output, state, state_size(cut.groups)),
        |Refiner { tile, keys, values, pseudo_logits }: &mut Refiner| {
            tile.fit(work.problem);
            keys.clear();
            keys.reserve(cut.top_k * shape.width);
            values.clear();
            values.reserve(cut.top_k * shape.value_width);
            pseudo_logits.resize(cut.groups, [0.0; LANES]);
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

#[derive(Default)]
struct Refiner {
    tile: Tile,
    keys: Vec<f32>,
    values: Vec<f32>,
    /// Logits of each lane with the pseudo-keys.
    pseudo_logits: Vec<Panel>,
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
        block: &mut OutputBlock,
    ) {
        let shape = work.problem.shape();
        let cut = &work.plan.cut;
        let (queries, keys, values) = (work.queries(slice), work.keys(slice), work.values(slice));
        let top_keys =
            &results.top_keys[slice * work.plan.words_of(Scratch::TopKeys) + cluster * cut.top_k..][..cut.top_k];
        let index = slice * cut.clusters + cluster;
        let statistics = &results.statistics[index];
        let rest = if cut.groups > 0 { &[] } else { &results.sums[index * shape.value_width..][..shape.value_width] };
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
            self.attend_groups(work, results.pseudo, slice, cluster);
            for (lane, &member) in members.iter().enumerate() {
                let position = member as usize;
                let (maximum, total) = (self.tile.maximum[lane], self.tile.total[lane]);
                let row = block.row_mut(head, position);
                match finish {
                    Role::Unfinished => {
                        self.tile.store(lane, 1.0, row);
                        let state = block.state_mut(head, position);
                        (state[0], state[1]) = (maximum, total);
                        state[2..]
                            .iter_mut()
                            .zip(&self.pseudo_logits)
                            .for_each(|(state, logits)| *state = logits[lane]);
                    }
                    Role::Stitched if cut.groups > 0 => self.tile.store(lane, inverse(total), row),
                    Role::Stitched => {
                        let highest = maximum.max(statistics.rest_maximum);
                        let exact = (maximum - highest).exp();
                        let rest_factor = (statistics.rest_maximum - highest).exp();
                        let total = total * exact + statistics.rest_sum * rest_factor;
                        self.tile.store(lane, inverse(total) * exact, row);
                        add_scaled(row, rest, inverse(total) * rest_factor);
                    }
                    _ => {
                        let all = total;
                        let rest_factor = (statistics.rest_maximum - statistics.top_maximum).exp();
                        let total = statistics.top_sum + statistics.rest_sum * rest_factor;
                        let mass = statistics.top_sum * inverse(total);
                        self.tile.store(lane, mass * inverse(all), row);
                        add_scaled(row, rest, inverse(total) * rest_factor);
                    }
                }
            }
        }
    }
}

impl Refiner {
    /// Adds the pseudo-keys of a cluster to the softmax of its members, and keeps their logits.
    fn attend_groups(&mut self, work: &Work, pseudo: &PseudoKeys, slice: usize, cluster: usize) {
        let (cut, shape) = (&work.plan.cut, work.problem.shape());
        let clusters = cut.clusters;
        for (first, kept) in (0..cut.groups).step_by(KEY_BLOCK).zip(self.pseudo_logits.chunks_mut(KEY_BLOCK)) {
            let index = PseudoKeys::index(slice, (cut.groups, clusters), cluster) + first * clusters;
            let logits = self.tile.logits(0..kept.len(), &pseudo.keys[index * shape.width..], clusters * shape.width);
            for (group, (logits, kept)) in logits.iter_mut().zip(kept.iter_mut()).enumerate() {
                let offset = pseudo.facts[index + group * clusters].offset;
                for logit in logits.iter_mut() {
                    *logit = if offset == LOWEST { LOWEST } else { *logit + offset };
                }
                *kept = *logits;
            }
            self.tile.weigh(kept.len());
            let masses = pseudo.facts[index..].iter().step_by(clusters).map(|facts| facts.mass);
            self.tile.multiply(masses.take(kept.len()));
            let stride = clusters * shape.value_width;
            self.tile.add_values(0..kept.len(), &pseudo.values[index * shape.value_width..], stride);
        }
    }
}

pub(crate) fn add_scaled(row: &mut [f32], values: &[f32], factor: f32) {
    for (value, &addend) in row.iter_mut().zip(values) {
        *value += factor * addend;
    }
}
