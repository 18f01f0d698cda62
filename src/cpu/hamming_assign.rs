//! Each query to the centroid of smallest Hamming distance, ties to the lowest index. Twin of `shaders/hamming_assign.wgsl`.

use super::parallel::{blocks, each};
use super::work::Work;
use pulp::Arch;
use std::sync::atomic::{AtomicBool, Ordering};

const BLOCK: usize = 1024;

/// `clusters[slice][i]`, `C` for padding, of the slices whose codes changed. `candidates(slice)` is the number of clusters that may be
/// chosen. `O(L·C·words)` a slice.
pub(crate) fn hamming_assign(
    work: &Work,
    candidates: impl Fn(usize) -> usize + Sync,
    codes: &[u32],
    centroid_codes: &[u32],
    clusters: &mut [u32],
    changed_slices: &[AtomicBool],
) {
    let length = work.problem.shape().queries;
    let (words, cluster_count) = (work.plan.cut.words, work.plan.cut.clusters);
    each(
        blocks(clusters, length, BLOCK),
        || (),
        |(), block| {
            if !changed_slices[block.slice].load(Ordering::Relaxed) {
                return;
            }
            let begin = block.index * BLOCK;
            let codes = &codes[(block.slice * length + begin) * words..][..block.data.len() * words];
            let candidates = candidates(block.slice) * words;
            let centroids = &centroid_codes[block.slice * cluster_count * words..][..candidates];
            let valid = work.query_length(block.slice).saturating_sub(begin).min(block.data.len());
            Arch::new().dispatch(
                #[inline(always)]
                || match words {
                    1 => nearest_codes::<1>(codes, centroids, &mut block.data[..valid]),
                    2 => nearest_codes::<2>(codes, centroids, &mut block.data[..valid]),
                    4 => nearest_codes::<4>(codes, centroids, &mut block.data[..valid]),
                    _ => nearest_codes_of(words, codes, centroids, &mut block.data[..valid]),
                },
            );
            block.data[valid..].fill(cluster_count as u32);
        },
    );
}

#[inline(always)]
fn nearest_codes<const WORDS: usize>(codes: &[u32], centroids: &[u32], clusters: &mut [u32]) {
    nearest_codes_of(WORDS, codes, centroids, clusters);
}

#[inline(always)]
fn nearest_codes_of(words: usize, codes: &[u32], centroids: &[u32], clusters: &mut [u32]) {
    for (code, cluster) in codes.chunks_exact(words).zip(clusters) {
        let (mut nearest, mut shortest) = (0, u32::MAX);
        for (index, centroid) in centroids.chunks_exact(words).enumerate() {
            let distance = code.iter().zip(centroid).map(|(a, b)| (a ^ b).count_ones()).sum();
            if distance < shortest {
                (nearest, shortest) = (index as u32, distance);
            }
        }
        *cluster = nearest;
    }
}
