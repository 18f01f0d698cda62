//! Attention of sixteen queries over a run of keys: twin of `shaders/shared/tile.wgsl`.
//!
//! One lane is one query; every key is shared by all lanes. Exact attention, the top-k refinement and the stitched window are this
//! loop over different keys.

use super::panel::{add_outer, dot_rows, exp_panel, pack, Panel, LANES};
use pulp::{Arch, Simd, WithSimd};

/// Stands for minus infinity: below every logit, yet finite, so that differences stay defined.
pub(crate) const LOWEST: f32 = f32::MIN;

/// Keys of one pass over the panel; keys and values of a pass stay in the first-level cache.
pub(crate) const KEY_BLOCK: usize = 48;

/// Queries in the lanes, and their running softmax: maximum, sum and weighted values.
pub(crate) struct Tile {
    queries: Vec<Panel>,
    logits: Vec<Panel>,
    pub sums: Vec<Panel>,
    pub maximum: Panel,
    pub total: Panel,
    scale: f32,
}

impl Tile {
    pub fn new(width: usize, value_width: usize, scale: f32) -> Self {
        Self {
            queries: vec![[0.0; LANES]; width],
            logits: vec![[0.0; LANES]; KEY_BLOCK],
            sums: vec![[0.0; LANES]; value_width],
            maximum: [LOWEST; LANES],
            total: [0.0; LANES],
            scale,
        }
    }

    /// Loads up to sixteen queries and empties the running softmax.
    pub fn begin<'a>(&mut self, queries: impl Iterator<Item = &'a [f32]>) {
        pack(&mut self.queries, queries);
        self.sums.fill([0.0; LANES]);
        self.maximum = [LOWEST; LANES];
        self.total = [0.0; LANES];
    }

    /// Continues a softmax that was stored: the weighted values of each lane in a row.
    pub fn resume<'a>(&mut self, maximum: Panel, total: Panel, sums: impl Iterator<Item = &'a [f32]>) {
        self.maximum = maximum;
        self.total = total;
        pack(&mut self.sums, sums);
    }

    /// Logits of at most [`KEY_BLOCK`] keys with every lane, times the softmax scale.
    pub fn logits(&mut self, keys: &[f32], stride: usize, count: usize) -> &mut [Panel] {
        let logits = &mut self.logits[..count];
        dot_rows(keys, stride, &self.queries, logits);
        for logit in logits.iter_mut() {
            for value in logit.iter_mut() {
                *value *= self.scale;
            }
        }
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
            self.logits(&keys[begin * key_stride..], key_stride, block);
            self.weigh(block);
            self.add_values(&values[begin * value_stride..], value_stride, block);
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

    /// Weights of the last block.
    pub fn weights_mut(&mut self, count: usize) -> &mut [Panel] {
        &mut self.logits[..count]
    }

    /// Adds the values of the last block with its weights.
    pub fn add_values(&mut self, values: &[f32], stride: usize, count: usize) {
        add_outer(values, stride, &self.logits[..count], &mut self.sums);
    }

    /// Raises the running maximum of each lane to at least `floor`.
    pub fn raise(&mut self, floor: &Panel) {
        let highest = std::array::from_fn(|lane| self.maximum[lane].max(floor[lane]));
        rescale(&mut self.maximum, &highest, &mut self.total, &mut self.sums);
    }

    /// Writes one lane's weighted values, times `factor`, to a row.
    pub fn store(&self, lane: usize, factor: f32, row: &mut [f32]) {
        for (value, sum) in row.iter_mut().zip(&self.sums) {
            *value = sum[lane] * factor;
        }
    }
}

/// A struct and not a closure: a closure that only borrows is called through a shim that is not inlined, and so would be compiled
/// without the vector instructions that were chosen.
struct Weigh<'a> {
    logits: &'a mut [Panel],
    maximum: &'a mut Panel,
    total: &'a mut Panel,
    sums: &'a mut [Panel],
}

impl WithSimd for Weigh<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { logits, maximum, total, sums } = self;
        let mut highest = *maximum;
        for logit in logits.iter() {
            for lane in 0..LANES {
                highest[lane] = if logit[lane] > highest[lane] { logit[lane] } else { highest[lane] };
            }
        }
        if highest != *maximum {
            rescale(maximum, &highest, total, sums);
        }
        for logit in logits.iter_mut() {
            let mut weight = [0.0; LANES];
            for lane in 0..LANES {
                weight[lane] = logit[lane] - highest[lane];
            }
            exp_panel(&mut weight);
            for lane in 0..LANES {
                // A masked key weighs nothing even where every key so far is masked.
                logit[lane] = if logit[lane] > LOWEST { weight[lane] } else { 0.0 };
                total[lane] += logit[lane];
            }
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

#[inline(always)]
fn rescale(maximum: &mut Panel, highest: &Panel, total: &mut Panel, sums: &mut [Panel]) {
    let mut factor: Panel = std::array::from_fn(|lane| maximum[lane] - highest[lane]);
    exp_panel(&mut factor);
    *maximum = *highest;
    for lane in 0..LANES {
        total[lane] *= factor[lane];
    }
    for sum in sums.iter_mut() {
        for lane in 0..LANES {
            sum[lane] *= factor[lane];
        }
    }
}
