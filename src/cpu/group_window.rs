//! The exact band around the diagonal, stitched to the top-k keys and taken back from the key groups (`docs/method.md`). Twin of
//! `shaders/group_window.wgsl`.

use super::band::{Band, MaskLogits};
use super::exponential::exp;
use super::group_remainder::PseudoKeys;
use super::panel::{pack, Panel, LANES};
use super::refine_top_k::state_size;
use super::tile::{inverse, Tile, KEY_BLOCK, LOWEST};
use super::work::{OutputBlock, Work};
use crate::parallel::each_with;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Finishes the rows that [`refine_top_k`](super::refine_top_k::refine_top_k) left with their top-k keys, their pseudo-keys and `state`, for
/// queries whose cluster lies in the pass. `O(L·(2w+1)·(E+M))` a slice.
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
    let Some(near) = work.plan.cut.near else { return };
    each_with(
        work.threads,
        work.output_blocks(output, state, state_size(groups)),
        |windower: &mut Windower| {
            windower.tile.fit(work.problem);
            windower.given.resize(KEY_BLOCK, [0.0; LANES]);
            windower.groups.logits.resize(groups, [0.0; LANES]);
            windower.groups.maxima.resize(groups, [0.0; LANES]);
        },
        |windower, mut block| {
            for (slice, head) in block.slices() {
                let valid = work.query_length(slice).min(block.positions.end);
                for begin in (block.positions.start..valid).step_by(LANES) {
                    let positions = begin..(begin + LANES).min(valid);
                    if let Some(band) = Band::new(work, &pass, near, positions, slice, clusters, logits) {
                        windower.finish(work, &band, pseudo, &key_groups[slice * shape.keys..], head, &mut block);
                    }
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
    fn load(&mut self, work: &Work, band: &Band, pseudo: &PseudoKeys, head: usize, block: &OutputBlock) {
        let clusters = work.plan.cut.clusters;
        let states = band.positions.clone().map(|position| &block.state(head, position)[state_size(0)..]);
        pack(&mut self.logits, states);
        let facts = &pseudo.facts[PseudoKeys::index(band.slice, (self.logits.len(), clusters), 0)..];
        let clusters_of_lanes = band.rows.map(|row| row.map_or(0, |(index, _)| index % clusters));
        for (maxima, facts) in self.maxima.iter_mut().zip(facts.chunks(clusters)) {
            *maxima = clusters_of_lanes.map(|cluster| facts[cluster].maximum);
        }
    }
}

impl Windower {
    fn finish(
        &mut self,
        work: &Work,
        band: &Band,
        pseudo: &PseudoKeys,
        key_groups: &[u32],
        head: usize,
        block: &mut OutputBlock,
    ) {
        let Self { tile, given, groups } = self;
        let queries = work.queries(band.slice);
        let (keys, values) = (work.keys(band.slice), work.values(band.slice));
        tile.begin(band.positions.clone().map(|position| queries.row(position)));
        let (mut maximum, mut total) = ([LOWEST; LANES], [0.0; LANES]);
        for (lane, position) in band.positions.clone().enumerate() {
            let state = block.state(head, position);
            (maximum[lane], total[lane]) = (state[0], state[1]);
        }
        tile.resume(maximum, total, band.positions.clone().map(|position| block.row(head, position)));
        groups.load(work, band, pseudo, head, block);
        for range in band.blocks() {
            let given = band.gather(&range, f32::NEG_INFINITY, given);
            let logits = tile.logits(keys.from(range.start), keys.stride, range.len());
            Arch::new().dispatch(MaskLogits { given, least: f32::MIN, logits });
            tile.weigh(range.len());
            let (key_groups, scale) = (&key_groups[range.clone()], work.problem.scale());
            Arch::new().dispatch(TakeBack { given, key_groups, groups, scale, tile, count: range.len() });
            tile.add_values(values.from(range.start), values.stride, range.len());
        }
        for (lane, position) in band.positions.clone().enumerate() {
            if band.rows[lane].is_some() {
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
    count: usize,
}

impl WithSimd for TakeBack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { given, key_groups, groups, scale, tile, count } = self;
        let (highest, mut total) = (tile.maximum, tile.total);
        let scale = simd.splat_f32s(scale);
        for (v, total) in S::as_mut_simd_f32s(&mut total).0.iter_mut().enumerate() {
            let highest = S::as_simd_f32s(&highest).0[v];
            // In a register, as in the tile.
            let mut left = *total;
            for ((weights, given), &group) in tile.weights_mut(count).iter_mut().zip(given).zip(key_groups) {
                // The group of a padding key is behind the last; no lane reaches it.
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
