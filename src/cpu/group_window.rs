//! The exact keys around each query, stitched to the top-k keys and taken back from the key groups (`docs/method.md`). Twin of
//! `shaders/group_window.wgsl`.

use super::exponential::exp;
use super::group_remainder::PseudoKeys;
use super::neighbours::{tiles, Neighbours};
use super::panel::{pack, Panel, LANES};
use super::refine_top_k::state_size;
use super::tile::{inverse, Tile, KEY_BLOCK};
use super::work::{OutputBlock, Work};
use crate::parallel::each_with;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Finishes the rows that [`refine_top_k`](super::refine_top_k::refine_top_k) left with their top-k keys, their pseudo-keys and `state`, for
/// queries whose cluster lies in the pass. `O(L·n·(E+M))` a slice, with `n` keys around a query.
pub(crate) fn group_window(
    work: &Work,
    pass: Range<usize>,
    (clusters, key_groups, logits): (&[u32], &[u32], &[f32]),
    pseudo: &PseudoKeys,
    output: &mut [f32],
    state: &mut [f32],
) {
    let shape = work.problem.shape();
    let groups = work.plan.cut.groups;
    each_with(
        work.threads,
        work.window_blocks(output, state, state_size(groups)),
        |windower: &mut Windower| {
            windower.tile.fit(work.problem);
            windower.given.resize(KEY_BLOCK, [0.0; LANES]);
            windower.groups.logits.resize(groups, [0.0; LANES]);
            windower.groups.maxima.resize(groups, [0.0; LANES]);
        },
        |windower, mut block| {
            for (slice, head) in block.slices() {
                let positions = block.positions.start..work.query_length(slice).min(block.positions.end);
                for near in tiles(work, pass.clone(), positions, slice, clusters, logits) {
                    windower.finish(work, &near, pseudo, &key_groups[slice * shape.keys..], head, &mut block);
                }
            }
        },
    );
}

#[derive(Default)]
struct Windower {
    tile: Tile,
    /// Logits of the centroids, minus infinity for keys that are not the window's.
    given: Vec<Panel>,
    groups: Groups,
}

/// What is known of each key group, by lanes.
#[derive(Default)]
struct Groups {
    /// Logit of the pseudo-key.
    logits: Vec<Panel>,
    /// Largest logit of the centroid in the group.
    maxima: Vec<Panel>,
}

impl Groups {
    fn load(&mut self, work: &Work, near: &Neighbours, pseudo: &PseudoKeys, head: usize, block: &OutputBlock) {
        let clusters = work.plan.cut.clusters;
        let states = near.positions().map(|position| &block.state(head, position)[state_size(0)..]);
        pack(&mut self.logits, states);
        let facts = &pseudo.facts[PseudoKeys::index(near.slice, (self.logits.len(), clusters), 0)..];
        let clusters_of_lanes = near.rows.map(|row| row.map_or(0, |(index, _)| index % clusters));
        for (maxima, facts) in self.maxima.iter_mut().zip(facts.chunks(clusters)) {
            *maxima = clusters_of_lanes.map(|cluster| facts[cluster].maximum);
        }
    }
}

impl Windower {
    fn finish(
        &mut self,
        work: &Work,
        near: &Neighbours,
        pseudo: &PseudoKeys,
        key_groups: &[u32],
        head: usize,
        block: &mut OutputBlock,
    ) {
        let Self { tile, given, groups } = self;
        let queries = work.queries(near.slice);
        let (keys, values) = (work.keys(near.slice), work.values(near.slice));
        near.resume(tile, queries, |position| block.softmax(head, position), |position| block.row(head, position));
        groups.load(work, near, pseudo, head, block);
        for keys_of_block in near.blocks() {
            let given = near.gather(&keys_of_block, f32::NEG_INFINITY, given);
            near.logits(tile, &keys_of_block, keys, given, f32::MIN);
            tile.weigh(keys_of_block.len());
            for piece in near.pieces(keys_of_block.clone()) {
                let (key_groups, scale) = (&key_groups[piece.keys], work.problem.scale());
                let given = &given[piece.slots.clone()];
                Arch::new().dispatch(TakeBack { given, key_groups, groups, scale, tile, slots: piece.slots });
            }
            near.add_values(tile, keys_of_block, values);
        }
        for (lane, position) in near.positions().enumerate() {
            if near.rows[lane].is_some() {
                tile.store(lane, inverse(tile.total[lane]), block.row_mut(head, position));
            }
        }
    }
}

/// Subtracts what the pseudo-keys gave to the window's keys: the weight of the pseudo-key for a weight of one in its group, times
/// the key's.
struct TakeBack<'a> {
    given: &'a [Panel],
    key_groups: &'a [u32],
    groups: &'a Groups,
    scale: f32,
    tile: &'a mut Tile,
    slots: Range<usize>,
}

impl WithSimd for TakeBack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { given, key_groups, groups, scale, tile, slots } = self;
        let (highest, mut total) = (tile.maximum, tile.total);
        let scale = simd.splat_f32s(scale);
        for (v, total) in S::as_mut_simd_f32s(&mut total).0.iter_mut().enumerate() {
            let highest = S::as_simd_f32s(&highest).0[v];
            // In a register, as in the tile.
            let mut left = *total;
            for ((weights, given), &group) in tile.weights_mut(slots.clone()).iter_mut().zip(given).zip(key_groups) {
                // Only groups that were supplied could be others than there are, and those are checked.
                let Some(logits) = groups.logits.get(group as usize) else { continue };
                let [given, logits, maxima] =
                    [given, logits, &groups.maxima[group as usize]].map(|panel| S::as_simd_f32s(panel).0[v]);
                // The key's weight in its group as it was summed, so that rounding is taken back with it.
                let in_group = simd.sub_f32s(simd.mul_f32s(scale, given), maxima);
                let taken = exp(simd, simd.add_f32s(in_group, simd.sub_f32s(logits, highest)));
                let weights = &mut S::as_mut_simd_f32s(weights).0[v];
                *weights = simd.sub_f32s(*weights, taken);
                left = simd.sub_f32s(left, taken);
            }
            *total = left;
        }
        tile.total = total;
    }
}
