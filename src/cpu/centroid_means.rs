//! Mean of the valid queries of each cluster, or of the keys of each group. Twin of `shaders/centroid_means.wgsl`.

use super::group_by_cluster::Groups;
use super::work::{Rows, Work};
use crate::parallel::{blocks, each_with};
use crate::stages::Role;
use pulp::{Arch, Simd, WithSimd};

/// Rows whose sum is taken in float32 before it joins the total, which bounds the rounding of a large cluster.
const BLOCK: usize = 256;

/// `centroids[slice][cluster]`, zeros for an empty cluster: of queries, or of the keys of each group ([`Role::Keys`]). `O(L·E)` a slice.
pub(crate) fn centroid_means(work: &Work, role: Role, groups: &[u32], centroids: &mut [f32]) {
    let shape = work.problem.shape();
    let (clusters, length) = work.plan.cut.side(role);
    each_with(
        work.threads,
        blocks(centroids, clusters * shape.width, shape.width),
        |sums| fit(sums, shape.width),
        |memory, block| {
            let members = Groups::new(groups, clusters, block.slice, length).members(block.index);
            let (rows, _) = work.side(role, block.slice);
            mean(rows, members.iter().map(|&member| member as usize), memory, block.data);
        },
    );
}

/// `means[slice]`, the mean valid query of a slice: the centroid of one cluster that holds them all.
pub(crate) fn query_means(work: &Work, means: &mut [f32]) {
    let width = work.problem.shape().width;
    each_with(
        work.threads,
        blocks(means, width, width),
        |sums| fit(sums, width),
        |memory, block| {
            mean(work.queries(block.slice), 0..work.query_length(block.slice), memory, block.data);
        },
    );
}

fn fit((partial, total): &mut (Vec<f32>, Vec<f64>), width: usize) {
    partial.resize(width, 0.0);
    total.resize(width, 0.0);
}

fn mean(
    queries: Rows,
    members: impl ExactSizeIterator<Item = usize>,
    (partial, total): &mut (Vec<f32>, Vec<f64>),
    out: &mut [f32],
) {
    let count = members.len();
    total.fill(0.0);
    Arch::new().dispatch(SumRows { queries, members, partial, total });
    for (out, &total) in out.iter_mut().zip(total.iter()) {
        *out = (total / count.max(1) as f64) as f32;
    }
}

struct SumRows<'a, I> {
    queries: Rows<'a>,
    members: I,
    partial: &'a mut [f32],
    total: &'a mut [f64],
}

impl<I: ExactSizeIterator<Item = usize>> WithSimd for SumRows<'_, I> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { queries, mut members, partial, total } = self;
        while members.len() > 0 {
            partial.fill(0.0);
            for _ in 0..BLOCK / 4 {
                // Four rows at a time: a sum is read and written once for them.
                let rows: [Option<usize>; 4] = std::array::from_fn(|_| members.next());
                if let [Some(a), Some(b), Some(c), Some(d)] = rows {
                    let rows = [queries.row(a), queries.row(b), queries.row(c), queries.row(d)];
                    for (j, sum) in partial.iter_mut().enumerate() {
                        *sum += (rows[0][j] + rows[1][j]) + (rows[2][j] + rows[3][j]);
                    }
                } else {
                    for row in rows.into_iter().flatten() {
                        for (sum, &value) in partial.iter_mut().zip(queries.row(row)) {
                            *sum += value;
                        }
                    }
                    break;
                }
            }
            for (total, &partial) in total.iter_mut().zip(partial.iter()) {
                *total += partial as f64;
            }
        }
    }
}
