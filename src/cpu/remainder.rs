//! What a cluster's centroid gives to the keys outside its top-k. Twin of `shaders/remainder.wgsl`.

use super::panel::{add_weighted, padded, Panel, LANES};
use super::top_k::ClusterStatistics;
use super::work::Work;
use crate::parallel::each;
use crate::plan::Scratch;
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
    let slice_weights = cut.words_of(Scratch::Weights);
    let mut items = Vec::new();
    for (slice, (statistics, sums)) in
        statistics.chunks_mut(cut.clusters).zip(sums.chunks_mut(cut.clusters * width)).enumerate()
    {
        let sums = &mut sums[pass.start * width..pass.end * width];
        for (tile, (statistics, sums)) in
            statistics[pass.clone()].chunks_mut(LANES).zip(sums.chunks_mut(LANES * width)).enumerate()
        {
            items.push((slice, tile * LANES, statistics, sums));
        }
    }
    each(
        items,
        || (vec![[0.0; LANES]; KEY_BLOCK], vec![0.0; LANES * padded(width)]),
        |(panel, totals): &mut (Vec<Panel>, Vec<f32>), (slice, first, statistics, sums)| {
            let values = work.values(slice);
            let valid = work.key_length(slice);
            let rows = &weights[slice * slice_weights + first * cut.keys_padded..];
            let mut rest_sums = [0.0f64; LANES];
            totals.fill(0.0);
            for begin in (0..valid).step_by(KEY_BLOCK) {
                let panel = &mut panel[..KEY_BLOCK.min(valid - begin)];
                for (lane, row) in rows.chunks(cut.keys_padded).take(statistics.len()).enumerate() {
                    let mut block_sum = 0.0;
                    for (slot, &weight) in panel.iter_mut().zip(&row[begin..]) {
                        // Selected keys are marked by a negative weight.
                        slot[lane] = weight.max(0.0);
                        block_sum += slot[lane];
                    }
                    rest_sums[lane] += block_sum as f64;
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
