//! What a cluster's centroid gives to the keys outside its top-k. Twin of `shaders/remainder.wgsl`.

use super::panel::{add_weighted, pack, padded, Panel, LANES};
use super::top_k::ClusterStatistics;
use super::work::Work;
use crate::parallel::{blocks_of, each_with, zip};
use crate::stages::Scratch;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

const KEY_BLOCK: usize = 128;

/// Sums the weights into `statistics[slice][c].rest_sum` and the weighted values into `sums[slice][c]`, `[C, M]`.
/// `O(C·S·M)` a slice.
pub(crate) fn remainder(
    work: &Work,
    pass: Range<usize>,
    weights: &[f32],
    statistics: &mut [ClusterStatistics],
    sums: &mut [f32],
) {
    let cut = &work.plan.cut;
    let width = work.problem.shape().value_width;
    let slice_weights = work.plan.words_of(Scratch::Weights);
    let tiles = pass.len().div_ceil(LANES);
    let floats = pass.start * width..pass.end * width;
    let items = zip(
        blocks_of(statistics, cut.clusters, pass, LANES, tiles),
        blocks_of(sums, cut.clusters * width, floats, LANES * width, tiles),
    );
    each_with(
        work.threads,
        items,
        |(panel, totals): &mut (Vec<Panel>, Vec<f32>)| {
            panel.resize(KEY_BLOCK, [0.0; LANES]);
            totals.resize(LANES * padded(width), 0.0);
        },
        |(panel, totals), (block, sums)| {
            let (slice, first) = (block.slice, block.index * LANES);
            let (statistics, sums) = (block.data, sums.data);
            let values = work.values(slice);
            let valid = work.key_length(slice);
            let rows = &weights[slice * slice_weights + first * cut.keys_padded..];
            let mut rest_sums = [0.0f64; LANES];
            totals.fill(0.0);
            for begin in (0..valid).step_by(KEY_BLOCK) {
                let end = valid.min(begin + KEY_BLOCK);
                let panel = &mut panel[..end - begin];
                let weights = rows.chunks(cut.keys_padded).take(statistics.len());
                pack(panel, weights.map(|row| &row[begin..end]));
                let mut block_sums = [0.0; LANES];
                Arch::new().dispatch(DropSelected { weights: panel, sums: &mut block_sums });
                for (total, block_sum) in rest_sums.iter_mut().zip(block_sums) {
                    *total += block_sum as f64;
                }
                add_weighted(panel, statistics.len(), values.from(begin), values.stride, width, totals);
            }
            for (lane, (statistics, sums)) in statistics.iter_mut().zip(sums.chunks_mut(width)).enumerate() {
                statistics.rest_sum = rest_sums[lane] as f32;
                sums.copy_from_slice(&totals[lane * padded(width)..][..width]);
            }
        },
    );
}

/// Turns the marks of selected keys, which are negative, into weights of zero, and sums the others.
struct DropSelected<'a> {
    weights: &'a mut [Panel],
    sums: &'a mut Panel,
}

impl WithSimd for DropSelected<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let zero = simd.splat_f32s(0.0);
        for (v, sum) in S::as_mut_simd_f32s(self.sums).0.iter_mut().enumerate() {
            let mut total = *sum;
            for weights in self.weights.iter_mut() {
                let weights = &mut S::as_mut_simd_f32s(weights).0[v];
                *weights = simd.max_f32s(*weights, zero);
                total = simd.add_f32s(total, *weights);
            }
            *sum = total;
        }
    }
}
