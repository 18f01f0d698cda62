//! What a researcher can look at: stage times and intermediate results.

pub use crate::problem::NO_KEY;
use crate::stages::Stage;

/// Cluster of a padding query in [`Trace::assignment`].
pub const NO_CLUSTER: u32 = u32::MAX;

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
    /// Group of each key, for every query head, `[N, H, S]`, [`NO_CLUSTER`] for padding.
    pub key_groups: Vec<u32>,
    /// Covariance of the keys, in which queries were grouped, `[N, H, E, E]`, and of the queries about their centroids, in which keys were. Of a
    /// sample where there are many.
    pub key_covariance: Vec<f32>,
    /// See [`Trace::key_covariance`].
    pub query_covariance: Vec<f32>,
    /// Logarithm of what each cluster's centroid gives to each key group outside the top-k, `[N, H, C, G]`; minus infinity without such keys.
    pub group_log_mass: Vec<f32>,
    /// Mean key of that, `[N, H, C, G, E]`.
    pub pseudo_keys: Vec<f32>,
    /// Mean value of that, `[N, H, C, G, M]`.
    pub pseudo_values: Vec<f32>,
    /// Positions of the queries that the guard looked at, `[N, H, rows]`: those drawn, then those far from their centroid; `u32::MAX` where a
    /// sequence has fewer.
    pub guard_rows: Vec<u32>,
    /// Relative error of stitched attention on those rows, before any slice fell back, `[N, H]`; infinite where it is not a number.
    pub guard_error: Vec<f32>,
    /// Whether a slice was computed exactly because of its error, `[N, H]`.
    pub fell_back: Vec<bool>,
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
    pub(crate) fn push_assignment<'a>(
        assignment: &mut Vec<u32>,
        clusters: impl IntoIterator<Item = &'a u32>,
        padding: usize,
    ) {
        let named = |&cluster: &u32| if cluster as usize >= padding { NO_CLUSTER } else { cluster };
        assignment.extend(clusters.into_iter().map(named));
    }

    /// Adds the logarithms of a cluster's groups, and what share of its centroid's attention falls on the top-k.
    pub(crate) fn push_groups(&mut self, log_masses: &[f32], top_maximum: f32, top_sum: f32) {
        let highest = log_masses.iter().fold(top_maximum, |highest, &mass| highest.max(mass));
        let rest: f32 = log_masses.iter().map(|mass| (mass - highest).exp()).sum();
        let top = top_sum * (top_maximum - highest).exp();
        self.top_mass.push(if top > 0.0 { top / (top + rest) } else { 0.0 });
        self.group_log_mass.extend_from_slice(log_masses);
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
