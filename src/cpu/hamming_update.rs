//! New code of each cluster: a bit is 1 iff strictly more than half of the members have it. Twin of `shaders/hamming_update.wgsl`.

use super::work::Work;
use crate::parallel::{blocks, each_with};
use pulp::{Arch, Simd, WithSimd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Updates `centroid_codes[slice]` where `changed_slices[slice]` is set, and clears it where no code changed: the assignment cannot change
/// any more then. An empty cluster keeps its code. `O(L·B)` a slice.
pub(crate) fn hamming_update(
    work: &Work,
    codes: &[u32],
    clusters: &[u32],
    centroid_codes: &mut [u32],
    changed_slices: &[AtomicBool],
) {
    let length = work.problem.shape().queries;
    let (words, cluster_count) = (work.plan.cut.words, work.plan.cut.clusters);
    each_with(
        work.threads,
        blocks(centroid_codes, cluster_count * words, cluster_count * words),
        |(votes, members): &mut (Vec<u32>, Vec<u32>)| {
            votes.resize(cluster_count * words * 32, 0);
            members.resize(cluster_count, 0);
        },
        |(votes, members), block| {
            if !changed_slices[block.slice].load(Ordering::Relaxed) {
                return;
            }
            let mut changed = false;
            votes.fill(0);
            members.fill(0);
            let valid = work.query_length(block.slice);
            let codes = &codes[block.slice * length * words..][..valid * words];
            let clusters = &clusters[block.slice * length..][..valid];
            Arch::new().dispatch(CountVotes { words, codes, clusters, votes, members });
            for ((code, votes), &members) in
                block.data.chunks_mut(words).zip(votes.chunks(words * 32)).zip(members.iter())
            {
                if members == 0 {
                    continue;
                }
                for (word, votes) in code.iter_mut().zip(votes.chunks(32)) {
                    let majority = votes
                        .iter()
                        .enumerate()
                        .fold(0, |word, (bit, &votes)| word | u32::from(2 * votes > members) << bit);
                    changed |= *word != majority;
                    *word = majority;
                }
            }
            changed_slices[block.slice].store(changed, Ordering::Relaxed);
        },
    );
}

struct CountVotes<'a> {
    words: usize,
    codes: &'a [u32],
    clusters: &'a [u32],
    votes: &'a mut [u32],
    members: &'a mut [u32],
}

impl WithSimd for CountVotes<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { words, codes, clusters, votes, members } = self;
        for (code, &cluster) in codes.chunks_exact(words).zip(clusters) {
            members[cluster as usize] += 1;
            let votes = &mut votes[cluster as usize * words * 32..][..words * 32];
            for (votes, &word) in votes.chunks_exact_mut(32).zip(code) {
                for (bit, vote) in votes.iter_mut().enumerate() {
                    *vote += (word >> bit) & 1;
                }
            }
        }
    }
}
