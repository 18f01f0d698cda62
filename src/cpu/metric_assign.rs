//! Each row to the nearest centre in a metric, L2 among them, ties to the lowest index, empty clusters never (`docs/method.md`). Twin of
//! `shaders/metric_assign.wgsl`.

use super::group_by_cluster::Groups;
use super::panel::{dot_rows, pack, Panel, LANES};
use super::work::Work;
use crate::parallel::{blocks, each};
use crate::random::sample_position;
use crate::stages::Role;
use pulp::{Arch, Simd, WithSimd};

const BLOCK: usize = 16 * LANES;

/// Centres of every slice, times the metric, and their squared norms in it; infinite for a centre that is never chosen.
pub(crate) struct Centres<'a> {
    rows: &'a [f32],
    /// Floats from a centre to the next, and from a slice to the next.
    stride: usize,
    slice_floats: usize,
    norms: Vec<f32>,
    /// Norms of a slice.
    count: usize,
}

impl<'a> Centres<'a> {
    /// Mean queries, in L2.
    pub fn means(work: &Work, groups: &[u32], centroids: &'a [f32]) -> Self {
        let (shape, count) = (work.problem.shape(), work.plan.cut.clusters);
        let norm = |(index, centroid): (usize, &[f32])| {
            let empty = Groups::new(groups, count, index / count, shape.queries).members(index % count).is_empty();
            let norm: f32 = centroid.iter().map(|value| value * value).sum();
            if empty {
                f32::INFINITY
            } else {
                norm
            }
        };
        let norms = centroids.chunks(shape.width).enumerate().map(norm).collect();
        Self { rows: centroids, stride: shape.width, slice_floats: count * shape.width, norms, count }
    }

    /// What [`sample_means`](super::sample_means::sample_means) left.
    pub fn in_metric(work: &Work, centres: &'a [f32]) -> Self {
        let (cut, width) = (&work.plan.cut, work.problem.shape().width);
        let count = cut.clusters.max(cut.groups);
        let norms = centres.chunks(width + 1).map(|centre| centre[width]).collect();
        Self { rows: centres, stride: width + 1, slice_floats: count * (width + 1), norms, count }
    }
}

/// Replaces `assigned[slice][i]` by the centre of largest `2·x·(A·c) - cᵀA·c`; padding by the number of centres. `O(rows·C·E)` a slice.
pub(crate) fn metric_assign(work: &Work, role: Role, centres: &Centres, numbers: &[u32], assigned: &mut [u32]) {
    let (cut, width) = (&work.plan.cut, work.problem.shape().width);
    let (count, mut each_slice) = cut.side(role);
    if role.is_of_sample() {
        each_slice = cut.samples.max(cut.key_samples);
    }
    each(
        blocks(assigned, each_slice, BLOCK),
        || (vec![[0.0; LANES]; width], vec![[0.0; LANES]; count]),
        |(panel, dots): &mut (Vec<Panel>, Vec<Panel>), block| {
            let slice = block.slice;
            let (rows, length) = work.side(role, slice);
            let position = |index: usize| match role.is_of_sample() {
                true => sample_position(numbers, index, length),
                false => index,
            };
            let assigned_rows = if role.is_of_sample() { numbers.len().min(length) } else { length };
            let norms = &centres.norms[slice * centres.count..][..count];
            let centres_of_slice = &centres.rows[slice * centres.slice_floats..];
            let begin = block.index * BLOCK;
            let valid = assigned_rows.saturating_sub(begin).min(block.data.len());
            for (tile, assigned) in block.data[..valid].chunks_mut(LANES).enumerate() {
                let first = begin + tile * LANES;
                pack(panel, (first..first + assigned.len()).map(|index| rows.row(position(index))));
                dot_rows(centres_of_slice, centres.stride, panel, dots);
                let mut nearest = [0; LANES];
                if role == Role::Plain {
                    // Where nothing compares (not finite), a query stays where it is.
                    nearest[..assigned.len()].copy_from_slice(assigned);
                }
                Arch::new().dispatch(Nearest { dots, norms, nearest: &mut nearest });
                assigned.copy_from_slice(&nearest[..assigned.len()]);
            }
            if role != Role::Plain {
                block.data[valid..].fill(count as u32);
            }
        },
    );
}

struct Nearest<'a> {
    dots: &'a [Panel],
    norms: &'a [f32],
    nearest: &'a mut [u32; LANES],
}

impl WithSimd for Nearest<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let mut highest = [f32::NEG_INFINITY; LANES];
        let mut nearest = *self.nearest;
        for ((index, dots), &norm) in (0..).zip(self.dots).zip(self.norms) {
            for lane in 0..LANES {
                let closeness = 2.0 * dots[lane] - norm;
                let closer = closeness > highest[lane];
                highest[lane] = if closer { closeness } else { highest[lane] };
                nearest[lane] = if closer { index } else { nearest[lane] };
            }
        }
        *self.nearest = nearest;
    }
}
