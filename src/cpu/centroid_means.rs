//! Mean of the valid queries of each cluster. Twin of `shaders/centroid_means.wgsl`.

use super::group_by_cluster::Groups;
use super::parallel::{blocks, each};
use super::work::{Rows, Work};

/// Rows whose sum is taken in float32 before it joins the total, which bounds the rounding of a large cluster.
const BLOCK: usize = 256;

/// `centroids[slice][cluster]`, zeros for an empty cluster. `O(L·E)` a slice.
pub(crate) fn centroid_means(work: &Work, groups: &[u32], centroids: &mut [f32]) {
    let shape = work.problem.shape();
    let clusters = work.plan.cut.clusters;
    each(
        blocks(centroids, clusters * shape.width, shape.width),
        || (vec![0.0f32; shape.width], vec![0.0f64; shape.width]),
        |memory, block| {
            let members = Groups::new(groups, clusters, block.slice, shape.queries).members(block.index);
            mean(work.queries(block.slice), members.iter().map(|&member| member as usize), memory, block.data);
        },
    );
}

/// `means[slice]`, the mean valid query of a slice: the centroid of one cluster that holds them all.
pub(crate) fn query_means(work: &Work, means: &mut [f32]) {
    let width = work.problem.shape().width;
    each(
        blocks(means, width, width),
        || (vec![0.0f32; width], vec![0.0f64; width]),
        |memory, block| {
            mean(work.queries(block.slice), 0..work.query_length(block.slice), memory, block.data);
        },
    );
}

fn mean(
    queries: Rows,
    members: impl ExactSizeIterator<Item = usize>,
    (partial, total): &mut (Vec<f32>, Vec<f64>),
    out: &mut [f32],
) {
    let count = members.len();
    total.fill(0.0);
    partial.fill(0.0);
    for (index, member) in members.enumerate() {
        for (sum, &value) in partial.iter_mut().zip(queries.row(member)) {
            *sum += value;
        }
        if (index + 1) % BLOCK == 0 || index + 1 == count {
            for (total, partial) in total.iter_mut().zip(partial.iter_mut()) {
                *total += std::mem::take(partial) as f64;
            }
        }
    }
    for (out, &total) in out.iter_mut().zip(total.iter()) {
        *out = (total / count.max(1) as f64) as f32;
    }
}
