//! Members of each cluster, in order of position: a stable counting sort. Twin of `shaders/group_by_cluster.wgsl`.

use super::work::Work;
use crate::parallel::{blocks, each_with};
use crate::stages::Role;

/// One slice's members by cluster.
pub(crate) struct Groups<'a> {
    offsets: &'a [u32],
    members: &'a [u32],
}

impl<'a> Groups<'a> {
    /// Reads the groups of a slice from `groups[slice] = [offsets (C + 2) | members (L)]`.
    pub fn new(groups: &'a [u32], clusters: usize, slice: usize, queries: usize) -> Self {
        let size = clusters + 2 + queries;
        let (offsets, members) = groups[slice * size..][..size].split_at(clusters + 2);
        Self { offsets, members }
    }

    /// Positions of a cluster's members; cluster `C` holds the padding.
    pub fn members(&self, cluster: usize) -> &'a [u32] {
        &self.members[self.offsets[cluster] as usize..self.offsets[cluster + 1] as usize]
    }

    /// The members of a cluster that lie in a range of positions.
    pub fn members_in(&self, cluster: usize, positions: &std::ops::Range<usize>) -> &'a [u32] {
        let members = self.members(cluster);
        let begin = members.partition_point(|&member| (member as usize) < positions.start);
        let end = members.partition_point(|&member| (member as usize) < positions.end);
        &members[begin..end]
    }
}

/// `groups[slice]` from `clusters[slice]`: of clusters of queries, or of groups of keys ([`Role::Keys`]). `O(L + C)` a slice.
pub(crate) fn group_by_cluster(work: &Work, role: Role, clusters: &[u32], groups: &mut [u32]) {
    let (cluster_count, length) = work.plan.cut.side(role);
    let size = cluster_count + 2 + length;
    each_with(
        work.threads,
        blocks(groups, size, size),
        |next: &mut Vec<u32>| next.resize(cluster_count + 1, 0),
        |next, block| {
            let clusters = &clusters[block.slice * length..][..length];
            next.fill(0);
            for &cluster in clusters {
                next[cluster as usize] += 1;
            }
            let (offsets, members) = block.data.split_at_mut(cluster_count + 2);
            let mut offset = 0;
            for (next, slot) in next.iter_mut().zip(offsets.iter_mut()) {
                *slot = offset;
                offset += std::mem::replace(next, offset);
            }
            offsets[cluster_count + 1] = offset;
            for (position, &cluster) in clusters.iter().enumerate() {
                members[next[cluster as usize] as usize] = position as u32;
                next[cluster as usize] += 1;
            }
        },
    );
}
