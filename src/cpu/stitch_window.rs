//! The exact band around the diagonal, stitched to the top-k keys and the centroid's remainder (`docs/method.md`). Twin of
//! `shaders/stitch_window.wgsl`.

use super::panel::{Panel, LANES};
use super::parallel::each;
use super::refine_top_k::{add_scaled, ClusterResults, State};
use super::tile::{inverse, Tile, KEY_BLOCK, LOWEST};
use super::work::{OutputBlock, Work};
use crate::plan::Scratch;
use std::ops::Range;

/// Below this share of the centroid's remainder, a row is too small for the difference that its remainder would be: rounding of what was
/// taken back would show. Its remainder is summed instead, at `O(S·M)`; a query this unlike its centroid is rare.
const LOST: f32 = 0.25;

/// Finishes the rows that [`refine_top_k`](super::refine_top_k::refine_top_k) left with their exact part and `state`, for queries whose
/// cluster lies in the pass. `O(L·(2w+1)·(E+M))` a slice.
pub(crate) fn stitch_window(
    work: &Work,
    pass: Range<usize>,
    window: usize,
    (clusters, weights): (&[u32], &[f32]),
    results: &ClusterResults,
    output: &mut [f32],
    state: &mut [State],
) {
    let shape = work.problem.shape();
    each(
        work.output_blocks(output, state),
        || Tile::new(shape.width, shape.value_width, work.problem.scale()),
        |tile, mut block| {
            for (slice, head) in block.slices() {
                let valid = work.query_length(slice).min(block.positions.end);
                for begin in (block.positions.start..valid).step_by(LANES) {
                    let positions = begin..(begin + LANES).min(valid);
                    let band = Band::new(work, &pass, window, positions, slice, clusters, weights, results);
                    if band.rows.iter().any(|row| row.is_some()) {
                        band.finish(work, tile, results, head, &mut block);
                    }
                }
            }
        },
    );
}

/// Sixteen neighbouring queries and the keys in reach of any of them.
struct Band<'a> {
    slice: usize,
    window: usize,
    positions: Range<usize>,
    keys: Range<usize>,
    /// Index of each query's cluster in the chunk and its weights; `None` for a query of another pass.
    rows: [Option<(usize, &'a [f32])>; LANES],
    /// Part of the remainder that is left once the window's keys are taken back; 0 where they were all of it.
    rest_left: Panel,
    rest_maximum: Panel,
    /// Whether keys remain that are neither in the top-k nor in the window.
    rest_counts: [bool; LANES],
}

impl<'a> Band<'a> {
    #[allow(clippy::too_many_arguments)]
    fn new(
        work: &Work,
        pass: &Range<usize>,
        window: usize,
        positions: Range<usize>,
        slice: usize,
        clusters: &[u32],
        weights: &'a [f32],
        results: &ClusterResults,
    ) -> Self {
        let cut = &work.plan.cut;
        let key_length = work.key_length(slice);
        let keys = positions.start.saturating_sub(window)..(positions.end + window).min(key_length);
        let mut band = Self {
            slice,
            window,
            keys: keys.start.min(keys.end)..keys.end,
            rows: [None; LANES],
            rest_left: [0.0; LANES],
            rest_maximum: [LOWEST; LANES],
            rest_counts: [false; LANES],
            positions,
        };
        for (lane, position) in band.positions.clone().enumerate() {
            let cluster = clusters[slice * work.problem.shape().queries + position] as usize;
            if !pass.contains(&cluster) {
                continue;
            }
            let row = &weights[slice * cut.words_of(Scratch::Weights) + (cluster - pass.start) * cut.keys_padded..]
                [..key_length];
            let index = slice * cut.clusters + cluster;
            band.rows[lane] = Some((index, row));
            let statistics = &results.statistics[index];
            let reach = band.reach(position);
            let taken: f32 = row[reach.clone()].iter().map(|weight| weight.max(0.0)).sum();
            let outside = row[reach].iter().filter(|&&weight| weight >= 0.0).count();
            band.rest_counts[lane] = key_length > cut.top_k.min(key_length) + outside;
            if band.rest_counts[lane] {
                band.rest_left[lane] = (statistics.rest_sum - taken).max(0.0);
                band.rest_maximum[lane] = statistics.rest_maximum;
            }
        }
        band
    }

    /// Keys in the window of a position.
    fn reach(&self, position: usize) -> Range<usize> {
        let end = (position + self.window + 1).min(self.keys.end);
        position.saturating_sub(self.window).min(end)..end
    }

    fn finish(
        &self,
        work: &Work,
        tile: &mut Tile,
        results: &ClusterResults,
        head: usize,
        block: &mut OutputBlock<State>,
    ) {
        let queries = work.queries(self.slice);
        let (keys, values) = (work.keys(self.slice), work.values(self.slice));
        let width = work.problem.shape().value_width;
        tile.begin(self.positions.clone().map(|position| queries.row(position)));
        let (mut maximum, mut total) = ([LOWEST; LANES], [0.0; LANES]);
        for (lane, position) in self.positions.clone().enumerate() {
            let state = *block.state_mut(head, position);
            (maximum[lane], total[lane]) = (state.maximum, state.total);
        }
        tile.resume(maximum, total, self.positions.clone().map(|position| block.row(head, position)));
        tile.raise(&self.rest_maximum);
        let mut factor = self.rest_factor(&tile.maximum);
        for (lane, row) in self.rows.iter().enumerate() {
            if let (Some((index, _)), true) = (row, self.rest_counts[lane]) {
                for (sum, rest) in tile.sums.iter_mut().zip(&results.sums[index * width..][..width]) {
                    sum[lane] += factor[lane] * rest;
                }
            }
        }
        for begin in self.keys.clone().step_by(KEY_BLOCK) {
            let count = KEY_BLOCK.min(self.keys.end - begin);
            let logits = tile.logits(keys.from(begin), keys.stride, count);
            self.mask(begin, logits);
            tile.weigh(count);
            factor = self.rest_factor(&tile.maximum);
            self.take_back(begin, &factor, tile.weights_mut(count));
            tile.add_values(values.from(begin), values.stride, count);
        }
        for (lane, position) in self.positions.clone().enumerate() {
            if let Some((index, _)) = self.rows[lane] {
                let rest_sum = if self.rest_counts[lane] { results.statistics[index].rest_sum } else { 0.0 };
                let total = tile.total[lane] + self.rest_left[lane] * factor[lane];
                if total >= LOST * rest_sum * factor[lane] {
                    tile.store(lane, inverse(total), block.row_mut(head, position));
                } else {
                    self.sum_directly(work, lane, head, block);
                }
            }
        }
    }

    /// Finishes a row without any difference: exact part, window, and the centroid's weight of every other key.
    fn sum_directly(&self, work: &Work, lane: usize, head: usize, block: &mut OutputBlock<State>) {
        let Some((_, weights)) = self.rows[lane] else { return };
        let position = self.positions.start + lane;
        let (query, keys, values) =
            (work.queries(self.slice).row(position), work.keys(self.slice), work.values(self.slice));
        let state = *block.state_mut(head, position);
        let reach = self.reach(position);
        let logit = |key: usize| -> f32 {
            let product: f32 = query.iter().zip(keys.row(key)).map(|(a, b)| a * b).sum();
            product * work.problem.scale()
        };
        let window: Vec<(usize, f32)> =
            reach.clone().filter(|&key| weights[key] >= 0.0).map(|key| (key, logit(key))).collect();
        let maximum = window.iter().fold(state.maximum.max(self.rest_maximum[lane]), |maximum, w| maximum.max(w.1));
        let exact = (state.maximum - maximum).exp();
        let rest = (self.rest_maximum[lane] - maximum).exp();
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

    /// What a weight of the remainder counts relative to the running maximum.
    fn rest_factor(&self, maximum: &Panel) -> Panel {
        std::array::from_fn(
            |lane| {
                if self.rest_counts[lane] {
                    (self.rest_maximum[lane] - maximum[lane]).exp()
                } else {
                    0.0
                }
            },
        )
    }

    /// Leaves the logits of keys inside the window and outside the top-k.
    fn mask(&self, begin: usize, logits: &mut [Panel]) {
        for (lane, row) in self.rows.iter().enumerate() {
            let reach = match row {
                Some(_) => self.reach(self.positions.start + lane),
                None => 0..0,
            };
            for (offset, logit) in logits.iter_mut().enumerate() {
                let key = begin + offset;
                let kept = reach.contains(&key) && row.is_some_and(|(_, weights)| weights[key] >= 0.0);
                logit[lane] = if kept { logit[lane] } else { LOWEST };
            }
        }
    }

    /// Subtracts what the centroid gave to the window's keys.
    fn take_back(&self, begin: usize, factor: &Panel, weights: &mut [Panel]) {
        for (lane, row) in self.rows.iter().enumerate() {
            let Some((_, row)) = row else { continue };
            let reach = self.reach(self.positions.start + lane);
            let end = reach.end.min(begin + weights.len());
            for key in reach.start.max(begin)..end {
                weights[key - begin][lane] -= row[key].max(0.0) * factor[lane];
            }
        }
    }
}
