//! Attention of sixteen queries over a run of keys: twin of `shaders/shared/tile_rows.wgsl` and `tile_blocks.wgsl`.
//!
//! One lane is one query; every key is shared by all lanes. Exact attention, the top-k refinement and the stitched window are this
//! loop over different keys.

use super::exponential::exp;
use super::panel::{add_weighted, add_weighted_runs, dot_rows, pack, padded, Panel, Run, LANES};
use crate::Problem;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Stands for minus infinity: below every logit, yet finite, so that differences stay defined.
pub(crate) const LOWEST: f32 = f32::MIN;

/// Keys of one pass over the panel, whose logits stay in the first-level cache.
pub(crate) const KEY_BLOCK: usize = 96;
/// Runs of keys whose values are added together.
const RUNS: usize = 8;

/// Queries in the lanes, and their running softmax: maximum, sum and weighted values.
#[derive(Default)]
pub(crate) struct Tile {
    queries: Vec<Panel>,
    logits: Vec<Panel>,
    /// Weighted values of each lane, rows of `padded(value_width)`.
    sums: Vec<f32>,
    value_width: usize,
    pub maximum: Panel,
    pub total: Panel,
    scale: f32,
}

impl Tile {
    /// Sizes it for a problem.
    pub fn fit(&mut self, problem: &Problem) {
        let shape = problem.shape();
        self.queries.resize(shape.width, [0.0; LANES]);
        self.logits.resize(KEY_BLOCK, [0.0; LANES]);
        self.sums.resize(LANES * padded(shape.value_width), 0.0);
        (self.value_width, self.scale) = (shape.value_width, problem.scale());
    }

    /// Loads up to sixteen queries, times the softmax scale, and empties the running softmax.
    pub fn begin<'a>(&mut self, queries: impl Iterator<Item = &'a [f32]>) {
        pack(&mut self.queries, queries);
        let scale = self.scale;
        self.queries.as_flattened_mut().iter_mut().for_each(|value| *value *= scale);
        self.sums.fill(0.0);
        self.maximum = [LOWEST; LANES];
        self.total = [0.0; LANES];
    }

    /// Continues a softmax that was stored: the weighted values of each lane in a row.
    pub fn resume<'a>(&mut self, maximum: Panel, total: Panel, sums: impl Iterator<Item = &'a [f32]>) {
        self.maximum = maximum;
        self.total = total;
        for (lane, row) in sums.enumerate() {
            self.sums_mut(lane).copy_from_slice(row);
        }
    }

    /// Weighted values of one lane.
    pub fn sums_mut(&mut self, lane: usize) -> &mut [f32] {
        &mut self.sums[lane * padded(self.value_width)..][..self.value_width]
    }

    /// Logits of keys with every lane, in some slots of a block of [`KEY_BLOCK`].
    pub fn logits(&mut self, slots: Range<usize>, keys: &[f32], stride: usize) -> &mut [Panel] {
        let logits = &mut self.logits[slots];
        dot_rows(keys, stride, &self.queries, logits);
        logits
    }

    /// Adds keys to the softmax.
    pub fn attend(
        &mut self,
        (keys, key_stride): (&[f32], usize),
        (values, value_stride): (&[f32], usize),
        count: usize,
    ) {
        for begin in (0..count).step_by(KEY_BLOCK) {
            let block = KEY_BLOCK.min(count - begin);
            self.logits(0..block, &keys[begin * key_stride..], key_stride);
            self.weigh(block);
            self.add_values(0..block, &values[begin * value_stride..], value_stride);
        }
    }

    /// Turns the logits of a block into weights relative to the new maximum, and adds them to the totals.
    pub fn weigh(&mut self, count: usize) {
        let logits = &mut self.logits[..count];
        Arch::new().dispatch(Weigh {
            logits,
            maximum: &mut self.maximum,
            total: &mut self.total,
            sums: &mut self.sums,
        });
    }

    /// Multiplies weights in some slots of the last block, a factor a key.
    pub fn multiply(&mut self, slots: Range<usize>, factors: impl Iterator<Item = f32>) {
        for (weights, factor) in self.logits[slots].iter_mut().zip(factors) {
            for (weight, total) in weights.iter_mut().zip(&mut self.total) {
                *total += *weight * (factor - 1.0);
                *weight *= factor;
            }
        }
    }

    /// Logits or weights in some slots of the last block.
    pub fn weights_mut(&mut self, slots: Range<usize>) -> &mut [Panel] {
        &mut self.logits[slots]
    }

    /// Adds the values of keys with the weights in some slots of the last block.
    pub fn add_values(&mut self, slots: Range<usize>, values: &[f32], stride: usize) {
        add_weighted(&self.logits[slots], LANES, values, stride, self.value_width, &mut self.sums);
    }

    /// The same of several runs of keys.
    pub fn add_values_of<'a>(&mut self, runs: impl Iterator<Item = (Range<usize>, &'a [f32])>, stride: usize) {
        let Self { logits, sums, value_width, .. } = self;
        let mut together = [Run::default(); RUNS];
        let mut count = 0;
        for (slots, values) in runs {
            together[count] = Run { weights: &logits[slots], values };
            count += 1;
            if count == RUNS {
                add_weighted_runs(&together, LANES, stride, *value_width, sums);
                count = 0;
            }
        }
        add_weighted_runs(&together[..count], LANES, stride, *value_width, sums);
    }

    /// Raises the running maximum of each lane to at least `floor`.
    pub fn raise(&mut self, floor: &Panel) {
        let highest = std::array::from_fn(|lane| self.maximum[lane].max(floor[lane]));
        Arch::new().dispatch(Rescale {
            maximum: &mut self.maximum,
            highest: &highest,
            total: &mut self.total,
            sums: &mut self.sums,
        });
    }

    /// Writes one lane's weighted values, times `factor`, to a row.
    pub fn store(&self, lane: usize, factor: f32, row: &mut [f32]) {
        for (value, sum) in row.iter_mut().zip(&self.sums[lane * padded(self.value_width)..]) {
            *value = sum * factor;
        }
    }
}

/// A struct and not a closure: a closure that only borrows is called through a shim that is not inlined, and so would be compiled
/// without the vector instructions that were chosen.
struct Weigh<'a> {
    logits: &'a mut [Panel],
    maximum: &'a mut Panel,
    total: &'a mut Panel,
    sums: &'a mut [f32],
}

impl WithSimd for Weigh<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { logits, maximum, total, sums } = self;
        let mut highest = *maximum;
        for (v, highest) in S::as_mut_simd_f32s(&mut highest).0.iter_mut().enumerate() {
            for logit in logits.iter() {
                *highest = simd.max_f32s(S::as_simd_f32s(logit).0[v], *highest);
            }
        }
        if highest != *maximum {
            rescale(simd, maximum, &highest, total, sums);
        }
        // A masked key weighs nothing even where every key so far is masked.
        let reference = highest.map(|highest| if highest > LOWEST { highest } else { 0.0 });
        for (v, total) in S::as_mut_simd_f32s(total).0.iter_mut().enumerate() {
            let reference = S::as_simd_f32s(&reference).0[v];
            // In a register: in memory each sum would wait for the one before to be stored.
            let mut sum = *total;
            for logit in logits.iter_mut() {
                let logit = &mut S::as_mut_simd_f32s(logit).0[v];
                *logit = exp(simd, simd.sub_f32s(*logit, reference));
                sum = simd.add_f32s(sum, *logit);
            }
            *total = sum;
        }
    }
}

/// Relates sums to a new maximum.
struct Rescale<'a> {
    maximum: &'a mut Panel,
    highest: &'a Panel,
    total: &'a mut Panel,
    sums: &'a mut [f32],
}

impl WithSimd for Rescale<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        rescale(simd, self.maximum, self.highest, self.total, self.sums);
    }
}

#[inline(always)]
fn rescale<S: Simd>(simd: S, maximum: &mut Panel, highest: &Panel, total: &mut Panel, sums: &mut [f32]) {
    let mut factor: Panel = std::array::from_fn(|lane| maximum[lane] - highest[lane]);
    for factor in S::as_mut_simd_f32s(&mut factor).0 {
        *factor = exp(simd, *factor);
    }
    *maximum = *highest;
    for lane in 0..LANES {
        total[lane] *= factor[lane];
    }
    let width = sums.len() / LANES;
    for (sums, factor) in sums.chunks_exact_mut(width).zip(factor) {
        if factor != 1.0 {
            sums.iter_mut().for_each(|sum| *sum *= factor);
        }
    }
}

/// `1 / total`, and 0 where there was nothing to attend to.
pub(crate) fn inverse(total: f32) -> f32 {
    if total > 0.0 {
        1.0 / total
    } else {
        0.0
    }
}
