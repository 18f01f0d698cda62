//! The queries that stitched attention's error is measured on. Twin of `shaders/guard_rows.wgsl`.

use super::covariance::half;
use super::panel::{dot_rows, Panel, LANES};
use super::work::Work;
use crate::parallel::{blocks, each_with};
use crate::random::sample_position;
use crate::stages::{Role, COVARIANCE_SAMPLES};

/// Stands in the list of a slice that has fewer queries.
const NO_ROW: u32 = u32::MAX;
/// Keeps quotients finite.
const SMALLEST: f32 = 1e-37;

/// `rows[slice]`: half of the positions drawn in strata, the others those farthest from their centroid in the covariance of the keys, among its
/// sample of the queries: all of them would cost `E²` each. A slice that has no more queries lists them all; a row may be listed twice.
/// `O(256·E²)` a slice.
pub(crate) fn guard_rows(
    work: &Work,
    numbers: &[u32],
    (clusters, centroids): (&[u32], &[f32]),
    covariances: &[f32],
    rows: &mut [u32],
) {
    let cut = &work.plan.cut;
    let (count, width) = (cut.guard_rows, cut.shape.width);
    let drawn = count.div_ceil(2);
    each_with(
        work.threads,
        blocks(rows, count, count),
        |(panel, products, far): &mut (Vec<Panel>, Vec<Panel>, Vec<(f32, u32)>)| {
            panel.resize(width, [0.0; LANES]);
            products.resize(width, [0.0; LANES]);
            far.clear();
            far.reserve(COVARIANCE_SAMPLES);
        },
        |(panel, products, far), block| {
            let slice = block.slice;
            let (queries, length) = (work.queries(slice), work.query_length(slice));
            if length <= count {
                block.data.fill(NO_ROW);
                block.data.iter_mut().zip(0..length as u32).for_each(|(row, position)| *row = position);
                return;
            }
            for (index, row) in block.data[..drawn].iter_mut().enumerate() {
                *row = sample_position(&numbers[..drawn], index, length) as u32;
            }
            let numbers = &numbers[..COVARIANCE_SAMPLES];
            let samples = length.min(COVARIANCE_SAMPLES);
            let metric = &covariances[(2 * slice + half(Role::Keys)) * width * width..][..width * width];
            let trace = metric.iter().step_by(width + 1).sum::<f32>().max(SMALLEST);
            far.clear();
            for first in (0..samples).step_by(LANES) {
                let positions = (first..(first + LANES).min(samples))
                    .map(|sample| sample_position(numbers, sample, length))
                    .enumerate();
                for (lane, position) in positions.clone() {
                    let cluster = clusters[slice * cut.shape.queries + position] as usize;
                    let centroid = &centroids[(slice * cut.clusters + cluster) * width..][..width];
                    for ((columns, value), mean) in panel.iter_mut().zip(queries.row(position)).zip(centroid) {
                        columns[lane] = value - mean;
                    }
                }
                dot_rows(metric, width, panel, products);
                for (lane, position) in positions {
                    // By the trace, so that nothing overflows.
                    let square = products.iter().zip(panel.iter());
                    let square: f32 = square.map(|(product, offset)| product[lane] / trace * offset[lane]).sum();
                    far.push((if square > 0.0 { square } else { 0.0 }, position as u32));
                }
            }
            // Of equally far ones the first; a stable sort would allocate.
            far.sort_unstable_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
            block.data[drawn..].iter_mut().zip(far.iter()).for_each(|(row, (_, position))| *row = *position);
        },
    );
}
