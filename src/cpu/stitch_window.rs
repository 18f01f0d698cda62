//! The exact keys around each query, stitched to the top-k keys and the centroid's remainder (`docs/method.md`). Twin of
//! `shaders/stitch_window.wgsl`.

use super::exponential::exp_panel;
use super::neighbours::{tiles, Neighbours};
use super::panel::{Panel, LANES};
use super::refine_top_k::{add_scaled, state_size, ClusterResults};
use super::tile::{inverse, Tile, KEY_BLOCK, LOWEST};
use super::top_k::SELECTED;
use super::work::{OutputBlock, Work};
use crate::parallel::each_with;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Below this share of the centroid's remainder, a row is too small for the difference that its remainder would be: rounding of what was
/// taken back would show. Its remainder is summed instead, at `O(S·M)`; a query this unlike its centroid is rare.
const LOST: f32 = 0.25;

/// Finishes the rows that [`refine_top_k`](super::refine_top_k::refine_top_k) left with their exact part and `state`, for queries whose
/// cluster lies in the pass. `O(L·n·(E+M))` a slice, with `n` keys around a query.
pub(crate) fn stitch_window(
    work: &Work,
    pass: Range<usize>,
    (clusters, weights): (&[u32], &[f32]),
    results: &ClusterResults,
    output: &mut [f32],
    state: &mut [f32],
) {
    each_with(
        work.threads,
        work.window_blocks(output, state, state_size(0)),
        |(tile, given): &mut (Tile, Vec<Panel>)| {
            tile.fit(work.problem);
            given.resize(KEY_BLOCK, [0.0; LANES]);
        },
        |(tile, given), mut block| {
            for (slice, head) in block.slices() {
                let positions = block.positions.start..work.query_length(slice).min(block.positions.end);
                for near in tiles(work, pass.clone(), positions, slice, clusters, weights) {
                    near.finish(work, tile, given, results, head, &mut block);
                }
            }
        },
    );
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

impl Neighbours<'_> {
    /// The centroid's part without the window. Leaves the weights of the last block in `given`.
    fn rest(&self, work: &Work, results: &ClusterResults, given: &mut [Panel]) -> Rest {
        let (mut taken, mut outside) = ([0.0; LANES], [0; LANES]);
        for block in self.blocks() {
            let given = self.gather(&block, SELECTED, given);
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
        given: &mut [Panel],
        results: &ClusterResults,
        head: usize,
        block: &mut OutputBlock,
    ) {
        let queries = work.queries(self.slice);
        let (keys, values) = (work.keys(self.slice), work.values(self.slice));
        let width = work.problem.shape().value_width;
        let rest = self.rest(work, results, given);
        self.resume(tile, queries, |position| block.softmax(head, position), |position| block.row(head, position));
        tile.raise(&rest.maximum);
        let mut factor = rest.factor(&tile.maximum);
        for (lane, row) in self.rows.iter().enumerate() {
            if let (Some((index, _)), true) = (row, rest.counts[lane]) {
                add_scaled(tile.sums_mut(lane), &results.sums[index * width..][..width], factor[lane]);
            }
        }
        // What is one block is still there from summing.
        let gathered = self.len() <= KEY_BLOCK;
        for listed in self.blocks() {
            let given = if gathered { &mut given[..listed.len()] } else { self.gather(&listed, SELECTED, given) };
            self.logits(tile, &listed, keys, given, 0.0);
            tile.weigh(listed.len());
            factor = rest.factor(&tile.maximum);
            Arch::new().dispatch(TakeBack { given, factor: &factor, weights: tile.weights_mut(0..listed.len()) });
            self.add_values(tile, listed, values);
        }
        for (lane, position) in self.positions().enumerate() {
            if let Some((index, _)) = self.rows[lane] {
                let rest_sum = if rest.counts[lane] { results.statistics[index].rest_sum } else { 0.0 };
                let total = tile.total[lane] + rest.left[lane] * factor[lane];
                if total >= LOST * rest_sum * factor[lane] {
                    tile.store(lane, inverse(total), block.row_mut(head, position));
                } else {
                    self.sum_directly(work, (lane, position), rest.maximum[lane], head, block);
                }
            }
        }
    }

    /// Finishes a row without any difference: exact part, window, and the centroid's weight of every other key.
    fn sum_directly(
        &self,
        work: &Work,
        (lane, position): (usize, usize),
        rest_maximum: f32,
        head: usize,
        block: &mut OutputBlock,
    ) {
        let Some((_, weights)) = self.rows[lane] else { return };
        let (query, keys, values) =
            (work.queries(self.slice).row(position), work.keys(self.slice), work.values(self.slice));
        let (exact_maximum, exact_total) = block.softmax(head, position);
        let logit = |key: usize| -> f32 {
            let product: f32 = query.iter().zip(keys.row(key)).map(|(a, b)| a * b).sum();
            product * work.problem.scale()
        };
        // The logits twice instead of a list of them.
        let reached = |key: &usize| self.is_reached(lane, *key);
        let window = (0..weights.len()).filter(|&key| weights[key] >= 0.0).filter(reached);
        let maximum = window.clone().map(logit).fold(exact_maximum.max(rest_maximum), f32::max);
        let exact = (exact_maximum - maximum).exp();
        let rest = (rest_maximum - maximum).exp();
        let mut total = exact_total * exact;
        let row = block.row_mut(head, position);
        row.iter_mut().for_each(|value| *value *= exact);
        let outside = (0..weights.len()).filter(|key| !reached(key)).map(|key| (key, weights[key].max(0.0) * rest));
        let inside = window.map(|key| (key, (logit(key) - maximum).exp()));
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
