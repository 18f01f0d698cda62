//! Each row to the nearest centre in a metric, L2 among them, ties to the lowest index, empty clusters never (`docs/method.md`). Twin of
//! `shaders/metric_assign.wgsl`.

use super::group_by_cluster::Groups;
use super::panel::{dot_rows, pack, Panel, LANES};
use super::work::Work;
use crate::parallel::{blocks, each_with};
use crate::random::sample_position;
use crate::stages::Role;
use pulp::{Arch, Simd, WithSimd};

const BLOCK: usize = 16 * LANES;

/// Centres of every slice, times the metric, and what tells their squared norms in it.
pub(crate) struct Centres<'a> {
    rows: &'a [f32],
    /// Floats from a centre to the next, and from a slice to the next.
    stride: usize,
    slice_floats: usize,
    /// Members of each cluster where norms are in L2; otherwise they stand behind the centres.
    groups: Option<&'a [u32]>,
}

impl<'a> Centres<'a> {
    /// Mean queries, in L2.
    pub fn means(work: &Work, groups: &'a [u32], centroids: &'a [f32]) -> Self {
        let stride = work.problem.shape().width;
        Self { rows: centroids, stride, slice_floats: work.plan.cut.clusters * stride, groups: Some(groups) }
    }

    /// What [`sample_means`](super::sample_means::sample_means) left.
    pub fn in_metric(work: &Work, centres: &'a [f32]) -> Self {
        let (cut, stride) = (&work.plan.cut, work.problem.shape().width + 1);
        Self { rows: centres, stride, slice_floats: cut.clusters.max(cut.groups) * stride, groups: None }
    }

    /// Squared norms of a slice's centres, infinite for one that is never chosen.
    fn norms(&self, work: &Work, slice: usize, norms: &mut [f32]) {
        let (shape, count) = (work.problem.shape(), norms.len());
        let groups = self.groups.map(|groups| Groups::new(groups, count, slice, shape.queries));
        let centres = self.rows[slice * self.slice_floats..].chunks(self.stride);
        for ((cluster, centre), norm) in centres.enumerate().zip(norms) {
            *norm = match &groups {
                None => centre[shape.width],
                Some(groups) if groups.members(cluster).is_empty() => f32::INFINITY,
                Some(_) => centre.iter().map(|value| value * value).sum(),
            };
        }
    }
}

/// Replaces `assigned[slice][i]` by the centre of largest `2·x·(A·c) - cᵀA·c`; padding by the number of centres. `O(rows·C·E)` a slice.
pub(crate) fn metric_assign(work: &Work, role: Role, centres: &Centres, numbers: &[u32], assigned: &mut [u32]) {
    let (cut, width) = (&work.plan.cut, work.problem.shape().width);
    let (count, mut each_slice) = cut.side(role);
    if role.is_of_sample() {
        each_slice = cut.samples.max(cut.key_samples);
    }
    each_with(
        work.threads,
        blocks(assigned, each_slice, BLOCK),
        |(panel, dots, norms): &mut (Vec<Panel>, Vec<Panel>, Vec<f32>)| {
            panel.resize(width, [0.0; LANES]);
            dots.resize(count, [0.0; LANES]);
            norms.resize(count, 0.0);
        },
        |(panel, dots, norms), block| {
            let slice = block.slice;
            let (rows, length) = work.side(role, slice);
            let position = |index: usize| match role.is_of_sample() {
                true => sample_position(numbers, index, length),
                false => index,
            };
            let assigned_rows = if role.is_of_sample() { numbers.len().min(length) } else { length };
            let centres_of_slice = &centres.rows[slice * centres.slice_floats..];
            centres.norms(work, slice, norms);
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
                Arch::new().dispatch(Nearest { dots, norms: &norms[..], nearest: &mut nearest });
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
