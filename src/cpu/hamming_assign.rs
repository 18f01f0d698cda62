//! Each query to the centroid of smallest Hamming distance, ties to the lowest index. Twin of `shaders/hamming_assign.wgsl`.

use super::panel::LANES;
use super::work::Work;
use crate::parallel::{blocks, each};
use crate::Clustering;
use pulp::{Arch, Simd, WithSimd};
use std::sync::atomic::{AtomicBool, Ordering};

const BLOCK: usize = 1024;

/// `clusters[slice][i]`, `C` for padding, of the slices whose codes changed. With `given_positions` every cluster may be
/// chosen. `O(L·C·words)` a slice.
pub(crate) fn hamming_assign(
    work: &Work,
    given_positions: bool,
    codes: &[u32],
    centroid_codes: &[u32],
    clusters: &mut [u32],
    changed_slices: &[AtomicBool],
) {
    let length = work.problem.shape().queries;
    let (words, cluster_count) = (work.plan.cut.words, work.plan.cut.clusters);
    each(blocks(clusters, length, BLOCK), |block| {
        if !changed_slices[block.slice].load(Ordering::Relaxed) {
            return;
        }
        let begin = block.index * BLOCK;
        let codes = &codes[(block.slice * length + begin) * words..][..block.data.len() * words];
        // A surplus cluster has no starting query and must not be chosen, unless positions were supplied for all.
        let query_length = work.query_length(block.slice);
        let candidates = if given_positions { cluster_count } else { cluster_count.min(query_length) } * words;
        let centroids = &centroid_codes[block.slice * cluster_count * words..][..candidates];
        let valid = query_length.saturating_sub(begin).min(block.data.len());
        Arch::new().dispatch(NearestCodes { words, codes, centroids, clusters: &mut block.data[..valid] });
        block.data[valid..].fill(cluster_count as u32);
    });
}

struct NearestCodes<'a> {
    words: usize,
    codes: &'a [u32],
    centroids: &'a [u32],
    clusters: &'a mut [u32],
}

impl WithSimd for NearestCodes<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        match self.words {
            1 => nearest_codes(1, self.codes, self.centroids, self.clusters),
            2 => nearest_codes(2, self.codes, self.centroids, self.clusters),
            words => nearest_codes(words, self.codes, self.centroids, self.clusters),
        }
    }
}

/// Sixteen queries at a time, one a lane; a centroid's code is shared by all lanes.
#[inline(always)]
fn nearest_codes(words: usize, codes: &[u32], centroids: &[u32], clusters: &mut [u32]) {
    let mut panel = [[0u32; LANES]; Clustering::MAX_BITS / 32];
    for (codes, clusters) in codes.chunks(words * LANES).zip(clusters.chunks_mut(LANES)) {
        for (lane, code) in codes.chunks_exact(words).enumerate() {
            for word in 0..words {
                panel[word][lane] = code[word];
            }
        }
        let mut nearest = [u32::MAX; LANES];
        for (index, centroid) in centroids.chunks_exact(words).enumerate() {
            let mut distance = [0; LANES];
            for word in 0..words {
                for lane in 0..LANES {
                    distance[lane] += (panel[word][lane] ^ centroid[word]).count_ones();
                }
            }
            // The distance above the index (both below 2^16): the smallest number is the nearest centroid, the lowest on ties.
            for lane in 0..LANES {
                let candidate = distance[lane] << 16 | index as u32;
                nearest[lane] = if candidate < nearest[lane] { candidate } else { nearest[lane] };
            }
        }
        for (cluster, nearest) in clusters.iter_mut().zip(&nearest) {
            *cluster = nearest & 0xffff;
        }
    }
}
