//! Each query to the nearest centroid in L2, ties to the lowest index, empty clusters never (`docs/method.md`). Twin of
//! `shaders/euclidean_assign.wgsl`.

use super::group_by_cluster::Groups;
use super::panel::{dot_rows, pack, Panel, LANES};
use super::work::Work;
use crate::parallel::{blocks, each};
use pulp::{Arch, Simd, WithSimd};

const BLOCK: usize = 16 * LANES;

/// Replaces `clusters[slice][i]` by the cluster of largest `2·q·c - |c|²`. `O(L·C·E)` a slice.
pub(crate) fn euclidean_assign(work: &Work, groups: &[u32], centroids: &[f32], clusters: &mut [u32]) {
    let shape = work.problem.shape();
    let (count, width) = (work.plan.cut.clusters, shape.width);
    let norms: Vec<f32> = centroids
        .chunks(width)
        .enumerate()
        .map(|(index, centroid)| {
            let empty = Groups::new(groups, count, index / count, shape.queries).members(index % count).is_empty();
            let norm: f32 = centroid.iter().map(|value| value * value).sum();
            if empty {
                f32::INFINITY
            } else {
                norm
            }
        })
        .collect();
    each(
        blocks(clusters, shape.queries, BLOCK),
        || (vec![[0.0; LANES]; width], vec![[0.0; LANES]; count]),
        |(panel, dots): &mut (Vec<Panel>, Vec<Panel>), block| {
            let queries = work.queries(block.slice);
            let centroids = &centroids[block.slice * count * width..][..count * width];
            let norms = &norms[block.slice * count..][..count];
            let begin = block.index * BLOCK;
            let valid = work.query_length(block.slice).saturating_sub(begin).min(block.data.len());
            for (tile, clusters) in block.data[..valid].chunks_mut(LANES).enumerate() {
                let first = begin + tile * LANES;
                pack(panel, (first..first + clusters.len()).map(|position| queries.row(position)));
                dot_rows(centroids, width, panel, dots);
                // Where nothing compares (not finite), a query stays where it is.
                let mut nearest = [0u32; LANES];
                nearest[..clusters.len()].copy_from_slice(clusters);
                Arch::new().dispatch(Nearest { dots, norms, nearest: &mut nearest });
                clusters.copy_from_slice(&nearest[..clusters.len()]);
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
