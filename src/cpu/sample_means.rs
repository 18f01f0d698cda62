//! Centres of K-means on a sample, times the metric. Twin of `shaders/sample_means.wgsl`.

use super::covariance::half;
use super::panel::{columns, dot_rows, pack, store_lanes, Panel, LANES};
use super::work::Work;
use crate::parallel::{blocks, each_with};
use crate::random::{sample_position, start_position};
use crate::stages::Role;
use pulp::{Arch, Simd, WithSimd};

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
    each_with(
        work.threads,
        blocks(centres, slice_centres, slice_centres),
        |Means { rows, members, panel, products }: &mut Means| {
            rows.resize(count * width, 0.0);
            members.resize(count, 0);
            panel.resize(width, [0.0; LANES]);
            products.resize(width, [0.0; LANES]);
        },
        |means, block| {
            let slice = block.slice;
            let (rows, length) = work.side(role, slice);
            means.rows.fill(0.0);
            means.members.fill(0);
            if role.is_of_sample() {
                let samples = numbers.len().min(length);
                let assigned = &sample_clusters[slice * sample_rows..][..samples];
                let sampled = (0..samples).map(|sample| rows.row(sample_position(numbers, sample, length)));
                Arch::new().dispatch(SumMembers { rows: sampled, assigned, reference: rows.row(0), width, means });
            } else {
                let given = given_positions(work, role);
                for (centre, (mean, members)) in means.rows.chunks_mut(width).zip(&mut means.members).enumerate() {
                    let position = match given {
                        Some(positions) => Some(positions[centre] as usize).filter(|&position| position < length),
                        None => start_position(starts[centre], centre, count, length),
                    };
                    let Some(position) = position else { continue };
                    *members = 1;
                    mean.copy_from_slice(rows.row(position));
                }
            }
            let metric = &covariances[(2 * slice + 1 - half(role)) * width * width..][..width * width];
            let trace = metric.iter().step_by(width + 1).sum();
            for (first, centres) in (0..count).step_by(LANES).zip(block.data.chunks_mut(LANES * (width + 1))) {
                means.store(first, (metric, trace), !role.is_of_sample(), centres);
            }
        },
    );
}

/// Mean rows of all centres of a slice, and what becomes of sixteen.
#[derive(Default)]
struct Means {
    rows: Vec<f32>,
    members: Vec<u32>,
    panel: Vec<Panel>,
    products: Vec<Panel>,
}

impl Means {
    /// Writes up to sixteen centres, from `first` on, times the metric, and their squared norms; without members only at the start.
    fn store(&mut self, first: usize, (metric, trace): (&[f32], f32), is_start: bool, centres: &mut [f32]) {
        let Self { rows, members, panel, products } = self;
        let width = panel.len();
        let members = &members[first..members.len().min(first + LANES)];
        pack(panel, rows[first * width..].chunks(width).take(members.len()));
        if trace > 0.0 {
            dot_rows(metric, width, panel, products);
            products.as_flattened_mut().iter_mut().for_each(|product| *product /= trace);
        } else {
            products.copy_from_slice(panel);
        }
        let mut norms = [0.0; LANES];
        for (products, means) in products.iter().zip(panel.iter()) {
            for lane in 0..LANES {
                norms[lane] += products[lane] * means[lane];
            }
        }
        for (square, products) in products.chunks(LANES).enumerate() {
            let rows = columns(products);
            let centres = centres.chunks_mut(width + 1).zip(members).zip(rows).filter(|((_, &members), _)| members > 0);
            for ((centre, _), row) in centres {
                store_lanes(&row, &mut centre[square * LANES..][..products.len()]);
            }
        }
        for ((centre, &members), norm) in centres.chunks_mut(width + 1).zip(members).zip(norms) {
            if members > 0 {
                centre[width] = norm;
            } else if is_start {
                centre.fill(0.0);
                centre[width] = f32::INFINITY;
            }
        }
    }
}

/// Means of the rows that were assigned to each centre.
struct SumMembers<'a, I> {
    rows: I,
    assigned: &'a [u32],
    /// The first row: relative to it, the mean of equal rows is that row.
    reference: &'a [f32],
    width: usize,
    means: &'a mut Means,
}

impl<'a, I: Iterator<Item = &'a [f32]>> WithSimd for SumMembers<'a, I> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { rows, assigned, reference, width, means: Means { rows: means, members, .. } } = self;
        for (row, &centre) in rows.zip(assigned) {
            members[centre as usize] += 1;
            let sum = &mut means[centre as usize * width..][..width];
            for ((sum, value), reference) in sum.iter_mut().zip(row).zip(reference) {
                *sum += value - reference;
            }
        }
        for (sum, &members) in means.chunks_mut(width).zip(members.iter()) {
            for (mean, reference) in sum.iter_mut().zip(reference) {
                *mean = reference + *mean / members.max(1) as f32;
            }
        }
    }
}

/// Positions that were supplied for a role.
fn given_positions<'a>(work: &Work<'a>, role: Role) -> Option<&'a [u32]> {
    match role {
        Role::GivenPositions => work.call.supplied.initial_positions,
        Role::GivenKeyPositions => work.call.supplied.initial_key_positions,
        _ => None,
    }
}
