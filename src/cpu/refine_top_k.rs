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
        work.window_blocks(output, state, state_size(cut.groups)),
        |Refiner { tile, keys, values, pseudo_logits }: &mut Refiner| {
            tile.fit(work.problem);
            keys.clear();
            keys.reserve((cut.top_k + cut.groups) * shape.width);
            values.clear();
            values.reserve((cut.top_k + cut.groups) * shape.value_width);
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
    /// A cluster's top-k keys, then its pseudo-keys.
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
        let first = PseudoKeys::index(slice, (cut.groups, cut.clusters), cluster);
        for index in (first..).step_by(cut.clusters).take(cut.groups) {
            self.keys.extend_from_slice(&results.pseudo.keys[index * shape.width..][..shape.width]);
            self.values.extend_from_slice(&results.pseudo.values[index * shape.value_width..][..shape.value_width]);
        }
        for members in members.chunks(LANES) {
            self.tile.begin(members.iter().map(|&member| queries.row(member as usize)));
            self.attend(work, results.pseudo, first, count);
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
    /// Adds `count` top-k keys and then the cluster's pseudo-keys, of which `first` is the index of the first, to the softmax of members, and keeps
    /// the logits of the pseudo-keys.
    fn attend(&mut self, work: &Work, pseudo: &PseudoKeys, first: usize, count: usize) {
        let (cut, shape) = (&work.plan.cut, work.problem.shape());
        let Self { tile, keys, values, pseudo_logits } = self;
        let facts = |group: usize| &pseudo.facts[first + group * cut.clusters];
        for begin in (0..count + cut.groups).step_by(KEY_BLOCK) {
            let end = (begin + KEY_BLOCK).min(count + cut.groups);
            let logits = tile.logits(0..end - begin, &keys[begin * shape.width..], shape.width);
            // The slots of pseudo-keys, and their groups.
            let slots = count.clamp(begin, end) - begin..end - begin;
            let groups = (begin + slots.start - count.min(begin + slots.start))..;
            for (logits, group) in logits[slots.clone()].iter_mut().zip(groups.clone()) {
                let offset = facts(group).offset;
                for logit in logits.iter_mut() {
                    *logit = if offset == LOWEST { LOWEST } else { *logit + offset };
                }
                pseudo_logits[group] = *logits;
            }
            tile.weigh(end - begin);
            tile.multiply(slots.clone(), groups.take(slots.len()).map(|group| facts(group).mass));
            tile.add_values(0..end - begin, &values[begin * shape.value_width..], shape.value_width);
        }
    }
}

pub(crate) fn add_scaled(row: &mut [f32], values: &[f32], factor: f32) {
    for (value, &addend) in row.iter_mut().zip(values) {
        *value += factor * addend;
    }
}
