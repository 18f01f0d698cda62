//! Centres of K-means on a sample, times the metric. Twin of `shaders/sample_means.wgsl`.

use super::covariance::half;
use super::panel::{dot_rows, Panel, LANES};
use super::work::Work;
use crate::parallel::{blocks, each};
use crate::random::{sample_position, start_position};
use crate::stages::Role;

/// `centres[slice][c] = [A·c, cᵀA·c]`, where the centre `c` is a row that it starts with, or the mean of its members in the sample. The metric
/// `A` is divided by its trace, which moves no nearest centre; where that is 0, the metric is L2. A surplus centre is infinitely far; one
/// without members stays what it was. `O(C·E² + samples·E)` a slice.
pub(crate) fn sample_means(
    work: &Work,
    role: Role,
    starts: &[u32],
    (numbers, sample_clusters): (&[u32], &[u32]),
    covariances: &[f32],
    centres: &mut [f32],
) {
    let cut = &work.plan.cut;
    let width = cut.shape.width;
    let (count, _) = cut.side(role);
    let slice_centres = cut.clusters.max(cut.groups) * (width + 1);
    let sample_rows = cut.samples.max(cut.key_samples);
    each(
        blocks(centres, slice_centres, slice_centres),
        || (vec![0.0; LANES * width], [0u32; LANES], vec![[0.0; LANES]; width], vec![[0.0; LANES]; width]),
        |(means, members, panel, products): &mut (Vec<f32>, [u32; LANES], Vec<Panel>, Vec<Panel>), block| {
            let slice = block.slice;
            let (rows, length) = match role.is_of_keys() {
                true => (work.keys(slice), work.key_length(slice)),
                false => (work.queries(slice), work.query_length(slice)),
            };
            let metric = &covariances[(2 * slice + 1 - half(role)) * width * width..][..width * width];
            let trace: f32 = metric.iter().step_by(width + 1).sum();
            let samples = numbers.len().min(length);
            for (first, centres) in (0..count).step_by(LANES).zip(block.data.chunks_mut(LANES * (width + 1))) {
                let lanes = LANES.min(count - first);
                means.fill(0.0);
                members.fill(0);
                if role.is_of_sample() {
                    let assigned = &sample_clusters[slice * sample_rows..][..samples];
                    for (sample, &cluster) in assigned.iter().enumerate() {
                        let Some(lane) = (cluster as usize).checked_sub(first).filter(|&lane| lane < lanes) else {
                            continue;
                        };
                        members[lane] += 1;
                        let row = rows.row(sample_position(numbers, sample, length));
                        means[lane * width..][..width].iter_mut().zip(row).for_each(|(mean, value)| *mean += value);
                    }
                    for (mean, &members) in means.chunks_mut(width).zip(members.iter()) {
                        mean.iter_mut().for_each(|mean| *mean /= members.max(1) as f32);
                    }
                } else {
                    for lane in 0..lanes {
                        let centre = first + lane;
                        let position = match given_positions(work, role) {
                            Some(positions) => Some(positions[centre] as usize).filter(|&position| position < length),
                            None => start_position(starts[centre], centre, count, length),
                        };
                        let Some(position) = position else { continue };
                        members[lane] = 1;
                        means[lane * width..][..width].copy_from_slice(rows.row(position));
                    }
                }
                for (lane, mean) in means.chunks(width).enumerate() {
                    panel.iter_mut().zip(mean).for_each(|(columns, &value)| columns[lane] = value);
                }
                if trace > 0.0 {
                    dot_rows(metric, width, panel, products);
                    products.as_flattened_mut().iter_mut().for_each(|product| *product /= trace);
                } else {
                    products.copy_from_slice(panel);
                }
                for (lane, centre) in centres.chunks_mut(width + 1).take(lanes).enumerate() {
                    if members[lane] > 0 {
                        let mut norm = 0.0;
                        for (column, value) in centre[..width].iter_mut().enumerate() {
                            *value = products[column][lane];
                            norm += *value * panel[column][lane];
                        }
                        centre[width] = norm;
                    } else if !role.is_of_sample() {
                        centre.fill(0.0);
                        centre[width] = f32::INFINITY;
                    }
                }
            }
        },
    );
}

/// Positions that were supplied for a role.
fn given_positions<'a>(work: &Work<'a>, role: Role) -> Option<&'a [u32]> {
    match role {
        Role::GivenPositions => work.call.supplied.initial_positions,
        Role::GivenKeyPositions => work.call.supplied.initial_key_positions,
        _ => None,
    }
}
