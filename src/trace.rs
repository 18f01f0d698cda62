//! What a researcher can look at: stage times and intermediate results.

use crate::stages::Stage;

/// Cluster of a padding query in [`Trace::assignment`].
pub const NO_CLUSTER: u32 = u32::MAX;
/// Entry of [`Trace::top_keys`] for which the sequence has no key.
pub const NO_KEY: u32 = u32::MAX;

/// Everything one call computed. Vectors are empty where the method has no such result; which one [`Method::Auto`](crate::Method::Auto)
/// took is told by [`Plan::method`](crate::Plan::method) of [`Attention::plan`](crate::Attention::plan).
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Trace {
    /// The output, in the problem's layout.
    pub output: Vec<f32>,
    /// Seconds of each stage that ran, in the order of the computation: on the GPU from its timestamps where the adapter has them,
    /// otherwise wall time.
    pub stages: Vec<(Stage, f64)>,
    /// Codes of the queries, `[N, H, L, words]`, lowest bit first; those of padding queries mean nothing. Empty where an assignment
    /// was supplied.
    pub codes: Vec<u32>,
    /// Cluster of each query after the Hamming K-means, `[N, H, L]`, [`NO_CLUSTER`] for padding. Empty where one was supplied.
    pub hamming_assignment: Vec<u32>,
    /// Cluster of each query, `[N, H, L]`, [`NO_CLUSTER`] for padding.
    pub assignment: Vec<u32>,
    /// Members of each cluster, `[N, H, C]`.
    pub counts: Vec<u32>,
    /// Mean query of each cluster, `[N, H, C, E]`, zeros where it is empty.
    pub centroids: Vec<f32>,
    /// Keys of each cluster's top-k, ascending, `[N, H, C, min(k, S)]`, padded with [`NO_KEY`].
    pub top_keys: Vec<u32>,
    /// Softmax mass of each cluster's top-k keys, `[N, H, C]` (`m_c`; paper, section 3.3).
    pub top_mass: Vec<f32>,
    /// Scratch memory that was used.
    pub scratch_bytes: u64,
}

impl Trace {
    pub(crate) fn add_seconds(&mut self, stage: Stage, seconds: f64) {
        match self.stages.iter_mut().find(|(known, _)| *known == stage) {
            Some((_, total)) => *total += seconds,
            None => {
                self.stages.push((stage, seconds));
                self.stages.sort_by_key(|(stage, _)| *stage);
            }
        }
    }

    /// Appends `clusters` of some slices, naming padding by [`NO_CLUSTER`], to an assignment.
    pub(crate) fn push_assignment(assignment: &mut Vec<u32>, clusters: &[u32], padding: usize) {
        assignment
            .extend(clusters.iter().map(|&cluster| if cluster as usize >= padding { NO_CLUSTER } else { cluster }));
    }

    /// Counts the members of each cluster of each slice from the assignment.
    pub(crate) fn count_members(&mut self, slices: usize, clusters: usize) {
        self.counts = vec![0; slices * clusters];
        let queries = self.assignment.len() / slices;
        for (index, &cluster) in self.assignment.iter().enumerate() {
            if cluster != NO_CLUSTER {
                self.counts[index / queries * clusters + cluster as usize] += 1;
            }
        }
    }
}
