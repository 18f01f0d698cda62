//! Starting codes of the clusters: the codes of distinct valid queries. Twin of `shaders/initial_centroids.wgsl`.

use super::work::Work;
use crate::random::start_position;

/// `centroid_codes[slice][cluster][word]`. A surplus cluster (more clusters than valid queries) gets zeros, which no query is ever
/// compared with. Supplied `positions` are taken as they are.
pub(crate) fn initial_centroids(work: &Work, starts: &[u32], codes: &[u32], centroid_codes: &mut [u32]) {
    let (words, positions) = (work.plan.cut.words, work.call.supplied.initial_positions);
    let clusters = starts.len();
    let slice_codes = work.problem.shape().queries * words;
    for (slice, centroids) in centroid_codes.chunks_mut(clusters * words).enumerate() {
        let codes = &codes[slice * slice_codes..][..slice_codes];
        let length = work.query_length(slice);
        for (cluster, centroid) in centroids.chunks_mut(words).enumerate() {
            let position = match positions {
                Some(positions) => Some(positions[cluster] as usize),
                None => start_position(starts[cluster], cluster, clusters, length),
            };
            match position {
                Some(position) => centroid.copy_from_slice(&codes[position * words..][..words]),
                None => centroid.fill(0),
            }
        }
    }
}
