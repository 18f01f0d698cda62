//! Metrics: the covariance of the keys, and of the queries about their centroids, of a sample. Twin of `shaders/covariance.wgsl`.

use super::panel::{add_weighted, padded, Panel, LANES};
use super::work::Work;
use crate::parallel::{blocks, each_with};
use crate::random::sample_position;
use crate::stages::{Role, COVARIANCE_SAMPLES};

/// Which of a slice's two covariances a role is about.
pub(crate) fn half(role: Role) -> usize {
    usize::from(!role.is_of_keys())
}

/// `covariances[slice][half]`, `[E, E]`: of the keys about their mean ([`Role::Keys`]), or of the queries about their centroids. Zeros where
/// there are no rows. `O(256·E²)` a slice.
pub(crate) fn covariance(
    work: &Work,
    role: Role,
    numbers: &[u32],
    (clusters, centroids): (&[u32], &[f32]),
    covariances: &mut [f32],
) {
    let shape = work.problem.shape();
    let width = shape.width;
    let numbers = &numbers[..COVARIANCE_SAMPLES];
    each_with(
        work.threads,
        blocks(covariances, 2 * width * width, 2 * width * width),
        |Moments { rows, means, weights, sums }: &mut Moments| {
            rows.resize(COVARIANCE_SAMPLES * width, 0.0);
            means.resize(width, 0.0);
            weights.resize(COVARIANCE_SAMPLES, [0.0; LANES]);
            sums.resize(LANES * padded(width), 0.0);
        },
        |Moments { rows, means, weights, sums }, block| {
            let (tensor, length) = work.side(role, block.slice);
            let count = length.min(COVARIANCE_SAMPLES);
            let rows = &mut rows[..count * width];
            for (sample, row) in rows.chunks_mut(width).enumerate() {
                let position = sample_position(numbers, sample, length);
                row.copy_from_slice(tensor.row(position));
                if role != Role::Keys {
                    let cluster = clusters[block.slice * shape.queries + position] as usize;
                    let centroid = (block.slice * work.plan.cut.clusters + cluster) * width;
                    row.iter_mut().zip(&centroids[centroid..]).for_each(|(value, mean)| *value -= mean);
                }
            }
            if role == Role::Keys {
                centre(rows, means);
            }
            let out = &mut block.data[half(role) * width * width..][..width * width];
            if count == 0 {
                out.fill(0.0);
                return;
            }
            for first in (0..width).step_by(LANES) {
                let columns = LANES.min(width - first);
                for (weights, row) in weights.iter_mut().zip(rows.chunks(width)) {
                    match row[first..].first_chunk() {
                        Some(whole) => *weights = *whole,
                        None => weights[..columns].copy_from_slice(&row[first..]),
                    }
                }
                // What lies left of the diagonal's block is there already, as columns.
                sums.fill(0.0);
                add_weighted(&weights[..count], columns, &rows[first..], width, width - first, sums);
                for (row, sums) in (first..).zip(sums.chunks(padded(width - first)).take(columns)) {
                    for (column, &sum) in (first..width).zip(sums) {
                        let value = sum / count as f32;
                        (out[row * width + column], out[column * width + row]) = (value, value);
                    }
                }
            }
        },
    );
}

/// What one thread works in.
#[derive(Default)]
struct Moments {
    rows: Vec<f32>,
    means: Vec<f64>,
    weights: Vec<Panel>,
    sums: Vec<f32>,
}

/// Subtracts the mean row.
fn centre(rows: &mut [f32], means: &mut [f64]) {
    let width = means.len();
    let count = (rows.len() / width).max(1) as f64;
    means.fill(0.0);
    for row in rows.chunks(width) {
        means.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    for row in rows.chunks_mut(width) {
        row.iter_mut().zip(means.iter()).for_each(|(value, sum)| *value -= (sum / count) as f32);
    }
}
