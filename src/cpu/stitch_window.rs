//! The exact band around the diagonal, stitched to the top-k keys and the centroid's remainder (`docs/method.md`). Twin of
//! `shaders/stitch_window.wgsl`.

use super::exponential::exp_panel;
use super::panel::{pack, Panel, LANES};
use super::refine_top_k::{add_scaled, ClusterResults, State};
use super::tile::{inverse, Tile, KEY_BLOCK, LOWEST};
use super::top_k::SELECTED;
use super::work::{OutputBlock, Work};
use crate::parallel::each;
use crate::problem::Neighbourhood;
use crate::stages::Scratch;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Below this share of the centroid's remainder, a row is too small for the difference that its remainder would be: rounding of what was
/// taken back would show. Its remainder is summed instead, at `O(S·M)`; a query this unlike its centroid is rare.
const LOST: f32 = 0.25;

/// Finishes the rows that [`refine_top_k`](super::refine_top_k::refine_top_k) left with their exact part and `state`, for queries whose
/// cluster lies in the pass. `O(L·(2w+1)·(E+M))` a slice.
pub(crate) fn stitch_window(
    work: &Work,
    pass: Range<usize>,
    (clusters, weights): (&[u32], &[f32]),
    results: &ClusterResults,
    output: &mut [f32],
    state: &mut [State],
) {
    let shape = work.problem.shape();
    let Some(near) = work.plan.cut.near else { return };
    each(
        work.output_blocks(output, state),
        || (Tile::new(shape.width, shape.value_width, work.problem.scale()), [[0.0; LANES]; KEY_BLOCK]),
        |(tile, given), mut block| {
            for (slice, head) in block.slices() {
                let valid = work.query_length(slice).min(block.positions.end);
                for begin in (block.positions.start..valid).step_by(LANES) {
                    let positions = begin..(begin + LANES).min(valid);
                    if let Some(band) = Band::new(work, &pass, near, positions, slice, clusters, weights) {
                        band.finish(work, tile, given, results, head, &mut block);
                    }
                }
            }
        },
    );
}

/// Sixteen neighbouring queries and the keys in reach of any of them.
struct Band<'a> {
    slice: usize,
    positions: Range<usize>,
    keys: Range<usize>,
    /// Index of each query's cluster in the chunk and its weights; `None` for a query of another pass.
    rows: [Option<(usize, &'a [f32])>; LANES],
    /// Weights that stand in for those of a lane without any.
    some_row: &'a [f32],
    /// First key in reach of each lane, and the one behind the last, counted from the first key of the band.
    reach_begin: [u32; LANES],
    reach_end: [u32; LANES],
}

/// What is left of the centroid's part once the window is taken out.
struct Rest {
    /// The sum of its weights, 0 where the window's keys were all of it.
    left: Panel,
    /// Largest logit; [`LOWEST`] where nothing is left.
    maximum: Panel,
    /// Whether keys remain that are neither in the top-k nor in the window.
    counts: [bool; LANES],
}

impl<'a> Band<'a> {
    /// `None` if no query is of a cluster of the pass.
    fn new(
        work: &Work,
        pass: &Range<usize>,
        near: Neighbourhood,
        positions: Range<usize>,
        slice: usize,
        clusters: &[u32],
        weights: &'a [f32],
    ) -> Option<Self> {
        let cut = &work.plan.cut;
        let key_length = work.key_length(slice);
        let keys = near.keys_of_tile(positions.start, positions.end - 1, key_length).near;
        let mut rows = [None; LANES];
        let (mut reach_begin, mut reach_end) = ([0; LANES], [0; LANES]);
        for (lane, position) in positions.clone().enumerate() {
            let cluster = clusters[slice * work.problem.shape().queries + position] as usize;
            if !pass.contains(&cluster) {
                continue;
            }
            let row = slice * work.plan.words_of(Scratch::Weights) + (cluster - pass.start) * cut.keys_padded;
            rows[lane] = Some((slice * cut.clusters + cluster, &weights[row..][..key_length]));
            let own = near.keys_of(position, key_length).near;
            (reach_begin[lane], reach_end[lane]) = ((own.start - keys.start) as u32, (own.end - keys.start) as u32);
        }
        let some_row = rows.iter().flatten().next()?.1;
        Some(Self { slice, positions, keys, rows, some_row, reach_begin, reach_end })
    }

    /// Blocks of the band's keys.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let end = self.keys.end;
        self.keys.clone().step_by(KEY_BLOCK).map(move |begin| begin..(begin + KEY_BLOCK).min(end))
    }

    /// What the centroids gave to a block of keys; [`SELECTED`] for a key out of reach.
    fn gather<'g>(&self, keys: &Range<usize>, given: &'g mut [Panel; KEY_BLOCK]) -> &'g mut [Panel] {
        let given = &mut given[..keys.len()];
        pack(given, self.rows.iter().map(|row| &row.map_or(self.some_row, |(_, weights)| weights)[keys.clone()]));
        let first = (keys.start - self.keys.start) as u32;
        Arch::new().dispatch(MaskReach { given, first, begin: &self.reach_begin, end: &self.reach_end });
        given
    }

    /// The centroid's part without the window. Leaves the weights of the last block in `given`.
    fn rest(&self, work: &Work, results: &ClusterResults, given: &mut [Panel; KEY_BLOCK]) -> Rest {
        let (mut taken, mut outside) = ([0.0; LANES], [0; LANES]);
        for keys in self.blocks() {
            let given = self.gather(&keys, given);
            Arch::new().dispatch(SumGiven { given, taken: &mut taken, outside: &mut outside });
        }
        let key_length = work.key_length(self.slice);
        let mut rest = Rest { left: [0.0; LANES], maximum: [LOWEST; LANES], counts: [false; LANES] };
        for (lane, row) in self.rows.iter().enumerate() {
            let Some((index, _)) = row else { continue };
            let statistics = &results.statistics[*index];
            rest.counts[lane] = key_length > work.plan.cut.top_k.min(key_length) + outside[lane] as usize;
            if rest.counts[lane] {
                rest.left[lane] = (statistics.rest_sum - taken[lane]).max(0.0);
                rest.maximum[lane] = statistics.rest_maximum;
            }
        }
        rest
    }

    fn finish(
        &self,
        work: &Work,
        tile: &mut Tile,
        given: &mut [Panel; KEY_BLOCK],
        results: &ClusterResults,
        head: usize,
        block: &mut OutputBlock<State>,
    ) {
        let queries = work.queries(self.slice);
        let (keys, values) = (work.keys(self.slice), work.values(self.slice));
        let width = work.problem.shape().value_width;
        let rest = self.rest(work, results, given);
        tile.begin(self.positions.clone().map(|position| queries.row(position)));
        let (mut maximum, mut total) = ([LOWEST; LANES], [0.0; LANES]);
        for (lane, position) in self.positions.clone().enumerate() {
            let state = *block.state_mut(head, position);
            (maximum[lane], total[lane]) = (state.maximum, state.total);
        }
        tile.resume(maximum, total, self.positions.clone().map(|position| block.row(head, position)));
        tile.raise(&rest.maximum);
        let mut factor = rest.factor(&tile.maximum);
        for (lane, row) in self.rows.iter().enumerate() {
            if let (Some((index, _)), true) = (row, rest.counts[lane]) {
                add_scaled(tile.sums_mut(lane), &results.sums[index * width..][..width], factor[lane]);
            }
        }
        // A band of one block is still there from summing.
        let gathered = self.keys.len() <= KEY_BLOCK;
        for range in self.blocks() {
            let given = if gathered { &mut given[..range.len()] } else { self.gather(&range, given) };
            let logits = tile.logits(keys.from(range.start), keys.stride, range.len());
            Arch::new().dispatch(MaskLogits { given, logits });
            tile.weigh(range.len());
            factor = rest.factor(&tile.maximum);
            Arch::new().dispatch(TakeBack { given, factor: &factor, weights: tile.weights_mut(range.len()) });
            tile.add_values(values.from(range.start), values.stride, range.len());
        }
        for (lane, position) in self.positions.clone().enumerate() {
            if let Some((index, _)) = self.rows[lane] {
                let rest_sum = if rest.counts[lane] { results.statistics[index].rest_sum } else { 0.0 };
                let total = tile.total[lane] + rest.left[lane] * factor[lane];
                if total >= LOST * rest_sum * factor[lane] {
                    tile.store(lane, inverse(total), block.row_mut(head, position));
                } else {
                    self.sum_directly(work, lane, rest.maximum[lane], head, block);
                }
            }
        }
    }

    /// Finishes a row without any difference: exact part, window, and the centroid's weight of every other key.
    fn sum_directly(&self, work: &Work, lane: usize, rest_maximum: f32, head: usize, block: &mut OutputBlock<State>) {
        let Some((_, weights)) = self.rows[lane] else { return };
        let position = self.positions.start + lane;
        let (query, keys, values) =
            (work.queries(self.slice).row(position), work.keys(self.slice), work.values(self.slice));
        let state = *block.state_mut(head, position);
        let reach = self.keys.start + self.reach_begin[lane] as usize..self.keys.start + self.reach_end[lane] as usize;
        let logit = |key: usize| -> f32 {
            let product: f32 = query.iter().zip(keys.row(key)).map(|(a, b)| a * b).sum();
            product * work.problem.scale()
        };
        let window: Vec<(usize, f32)> =
            reach.clone().filter(|&key| weights[key] >= 0.0).map(|key| (key, logit(key))).collect();
        let maximum = window.iter().fold(state.maximum.max(rest_maximum), |maximum, w| maximum.max(w.1));
        let exact = (state.maximum - maximum).exp();
        let rest = (rest_maximum - maximum).exp();
        let mut total = state.total * exact;
        let row = block.row_mut(head, position);
        row.iter_mut().for_each(|value| *value *= exact);
        let outside = (0..reach.start).chain(reach.end..weights.len()).map(|key| (key, weights[key].max(0.0) * rest));
        let inside = window.into_iter().map(|(key, logit)| (key, (logit - maximum).exp()));
        for (key, weight) in outside.chain(inside) {
            total += weight;
            add_scaled(row, values.row(key), weight);
        }
        row.iter_mut().for_each(|value| *value *= inverse(total));
    }
}

impl Rest {
    /// What a weight of the remainder counts relative to a running maximum that is no smaller than the remainder's.
    fn factor(&self, maximum: &Panel) -> Panel {
        let mut factor = std::array::from_fn(|lane| self.maximum[lane] - maximum[lane]);
        exp_panel(&mut factor);
        std::array::from_fn(|lane| if self.counts[lane] { factor[lane] } else { 0.0 })
    }
}

/// Marks what a lane does not reach.
struct MaskReach<'a> {
    given: &'a mut [Panel],
    first: u32,
    begin: &'a [u32; LANES],
    end: &'a [u32; LANES],
}

impl WithSimd for MaskReach<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let unreached = simd.splat_f32s(SELECTED);
        for v in 0..LANES / S::F32_LANES {
            let (begin, end) = (S::as_simd_u32s(self.begin).0[v], S::as_simd_u32s(self.end).0[v]);
            for (key, given) in (self.first..).zip(self.given.iter_mut()) {
                let key = simd.splat_u32s(key);
                let given = &mut S::as_mut_simd_f32s(given).0[v];
                let reached = simd.select_f32s(simd.less_than_u32s(key, end), *given, unreached);
                *given = simd.select_f32s(simd.less_than_u32s(key, begin), unreached, reached);
            }
        }
    }
}

/// Sums what the centroids gave, and counts the keys they gave to.
struct SumGiven<'a> {
    given: &'a [Panel],
    taken: &'a mut Panel,
    outside: &'a mut [u32; LANES],
}

impl WithSimd for SumGiven<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (mut taken, mut outside) = (*self.taken, *self.outside);
        for given in self.given {
            for lane in 0..LANES {
                taken[lane] += if given[lane] > 0.0 { given[lane] } else { 0.0 };
                outside[lane] += u32::from(given[lane] >= 0.0);
            }
        }
        (*self.taken, *self.outside) = (taken, outside);
    }
}

/// Leaves the logits of keys inside the window and outside the top-k.
struct MaskLogits<'a> {
    given: &'a [Panel],
    logits: &'a mut [Panel],
}

impl WithSimd for MaskLogits<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (zero, masked) = (simd.splat_f32s(0.0), simd.splat_f32s(LOWEST));
        for (logits, given) in self.logits.iter_mut().zip(self.given) {
            for (logits, given) in S::as_mut_simd_f32s(logits).0.iter_mut().zip(S::as_simd_f32s(given).0) {
                *logits = simd.select_f32s(simd.less_than_f32s(*given, zero), masked, *logits);
            }
        }
    }
}

/// Subtracts what the centroid gave to the window's keys.
struct TakeBack<'a> {
    given: &'a [Panel],
    factor: &'a Panel,
    weights: &'a mut [Panel],
}

impl WithSimd for TakeBack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let zero = simd.splat_f32s(0.0);
        for (v, &factor) in S::as_simd_f32s(self.factor).0.iter().enumerate() {
            for (weights, given) in self.weights.iter_mut().zip(self.given) {
                let weights = &mut S::as_mut_simd_f32s(weights).0[v];
                let given = simd.max_f32s(S::as_simd_f32s(given).0[v], zero);
                *weights = simd.sub_f32s(*weights, simd.mul_f32s(given, factor));
            }
        }
    }
}
