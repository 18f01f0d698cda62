//! Scratch memory, kept from call to call.

use super::group_remainder::{PseudoFacts, PseudoKeys};
use super::guard_check::Verdict;
use super::top_k::ClusterStatistics;
use super::work::Work;
use crate::parallel::ThreadMemory;
use crate::plan::Plan;
use crate::problem::{KeyGroups, Recipe, Space, Supplied};
use crate::random::{self, Stream};
use crate::stages::{Scratch, Step, COVARIANCE_SAMPLES};
use crate::trace::NO_KEY;
use crate::Clustering;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Memory that one call leaves for the next. Calls at the same time have their own; that of the last to end is kept.
#[derive(Debug, Default)]
pub(crate) struct Workspace(Mutex<Option<Memory>>, Mutex<Option<Widened>>);

impl Workspace {
    pub fn take(&self) -> Memory {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }

    pub fn put_back(&self, memory: Memory) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(memory);
    }

    /// The same of widened tensors.
    pub fn take_widened(&self) -> Widened {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }

    pub fn put_back_widened(&self, widened: Widened) {
        *self.1.lock().unwrap_or_else(PoisonError::into_inner) = Some(widened);
    }
}

/// Queries, keys, values and output that are not stored in float32, in it.
#[derive(Debug, Default)]
pub(crate) struct Widened(pub [Vec<f32>; 4]);

/// What random numbers depend on.
type Drawn = (Clustering, Option<KeyGroups>, usize);

/// Scratch memory of one chunk. Every stage writes what later ones read, so nothing of an earlier chunk or call shows.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub planes: Vec<f32>,
    /// Numbers that positions are chosen by: of the clusters, of the key groups, of samples.
    pub starts: Vec<u32>,
    pub key_starts: Vec<u32>,
    pub samples: Vec<u32>,
    /// What was drawn; `None` where planes were supplied or nothing was drawn.
    drawn: Option<Drawn>,
    pub means: Vec<f32>,
    pub codes: Vec<u32>,
    pub centroid_codes: Vec<u32>,
    /// Whether the codes of a slice's clusters changed last; a byte a slice, in no table.
    pub changed_slices: Vec<AtomicBool>,
    pub clusters: Vec<u32>,
    pub groups: Vec<u32>,
    pub covariances: Vec<f32>,
    pub metric_centres: Vec<f32>,
    pub sample_clusters: Vec<u32>,
    pub key_groups: Vec<u32>,
    pub key_members: Vec<u32>,
    pub group_centres: Vec<f32>,
    pub key_spread: Vec<f32>,
    pub centroids: Vec<f32>,
    pub weights: Vec<f32>,
    pub top_keys: Vec<u32>,
    pub statistics: Vec<ClusterStatistics>,
    pub sums: Vec<f32>,
    pub pseudo: PseudoKeys,
    /// The running softmax of each query: maximum, sum, and its logits with the pseudo-keys.
    pub state: Vec<f32>,
    pub guard_rows: Vec<u32>,
    pub guard_parts: Vec<f32>,
    pub verdicts: Vec<Verdict>,
    /// What is not of a chunk: the plan of the last call, its steps, and the memory of the threads.
    plan: Option<Plan>,
    pub steps: Vec<Step>,
    pub threads: ThreadMemory,
}

impl Memory {
    /// Gives back what threads held for another plan.
    pub fn begin(&mut self, plan: &Plan) {
        if self.plan.as_ref() != Some(plan) {
            self.plan = Some(plan.clone());
            self.threads = ThreadMemory::default();
        }
    }

    /// Gives every piece that the recipe uses the size that the plan's table says for a chunk, and fills in what the call supplies.
    pub fn fit(&mut self, work: &Work) {
        let (plan, slices) = (work.plan, work.slices());
        if plan.cut.clusters == 0 {
            // Exact attention has no scratch memory; what there is waits for the next clustered call.
            return;
        }
        let most = plan.slices_per_chunk();
        let size = |piece| {
            let words = plan.words_of(piece);
            (slices * words, most * words)
        };
        let of = |piece, words: usize| (size(piece).0 / words, size(piece).1 / words);
        resize(&mut self.covariances, size(Scratch::Covariances));
        resize(&mut self.metric_centres, size(Scratch::MetricCentres));
        resize(&mut self.sample_clusters, size(Scratch::SampleClusters));
        resize(&mut self.key_groups, size(Scratch::KeyGroups));
        resize(&mut self.key_members, size(Scratch::KeyMembers));
        resize(&mut self.group_centres, size(Scratch::GroupCentres));
        resize(&mut self.key_spread, size(Scratch::KeySpread));
        resize(&mut self.pseudo.keys, size(Scratch::PseudoKeys));
        resize(&mut self.pseudo.values, size(Scratch::PseudoValues));
        resize(&mut self.pseudo.facts, of(Scratch::PseudoFacts, size_of::<PseudoFacts>() / 4));
        resize(&mut self.means, size(Scratch::Means));
        resize(&mut self.codes, size(Scratch::Codes));
        resize(&mut self.centroid_codes, size(Scratch::CentroidCodes));
        resize(&mut self.clusters, size(Scratch::Clusters));
        resize(&mut self.groups, size(Scratch::Groups));
        resize(&mut self.centroids, size(Scratch::Centroids));
        resize(&mut self.weights, size(Scratch::Weights));
        resize(&mut self.top_keys, size(Scratch::TopKeys));
        resize(&mut self.statistics, of(Scratch::Statistics, size_of::<ClusterStatistics>() / 4));
        resize(&mut self.sums, size(Scratch::RemainderSums));
        resize(&mut self.state, size(Scratch::RunningSoftmax));
        resize(&mut self.guard_rows, size(Scratch::GuardRows));
        resize(&mut self.guard_parts, size(Scratch::GuardParts));
        resize(&mut self.verdicts, of(Scratch::Guard, size_of::<Verdict>() / 4));
        self.changed_slices.clear();
        self.changed_slices.resize_with(slices, || AtomicBool::new(true));
        let shape = work.problem.shape();
        let Supplied { assignment, key_groups, top_keys, .. } = *work.call.supplied;
        if let Some(assignment) = assignment {
            let length = |slice| work.query_length(slice);
            take_given(work, assignment, &mut self.clusters, shape.queries, plan.cut.clusters as u32, length);
        }
        if let Some(key_groups) = key_groups {
            let length = |slice| work.key_length(slice);
            take_given(work, key_groups, &mut self.key_groups, shape.keys, plan.cut.groups as u32, length);
        }
        if let Some(top_keys) = top_keys {
            let each = plan.cut.clusters * plan.cut.top_k;
            if each > 0 {
                take_given(work, top_keys, &mut self.top_keys, each, NO_KEY, |_| each);
                // The last of the numbers stands for no key.
                self.top_keys.chunks_mut(plan.cut.top_k).for_each(<[u32]>::sort_unstable);
            }
        }
    }

    /// Whether the last update changed any code of the chunk's clusters.
    pub fn codes_changed(&self) -> bool {
        self.changed_slices.iter().any(|changed| changed.load(Ordering::Relaxed))
    }

    /// Draws the hash planes and starting positions unless they are there.
    pub fn draw(&mut self, plan: &Plan, supplied: &Supplied) {
        let (Recipe::Grouped(grouped), width) = (&plan.recipe, plan.problem.shape().width) else { return };
        let clustering = grouped.clustering;
        let wanted = (clustering, grouped.key_groups(), width);
        if self.drawn != Some(wanted) {
            self.starts = random::starts(clustering.seed, Stream::Positions, clustering.clusters);
            self.key_starts = random::starts(clustering.seed, Stream::KeyPositions, plan.cut.groups);
            let samples = clustering.samples.max(grouped.key_groups().map_or(0, |key_groups| key_groups.samples));
            self.samples = random::starts(clustering.seed, Stream::Samples, samples.max(COVARIANCE_SAMPLES));
            if supplied.planes.is_none() && clustering.space == Space::Hamming {
                self.planes = random::planes(clustering.seed, clustering.bits, width, clustering.random_thresholds());
            }
            self.drawn = Some(wanted);
        }
        if let Some(planes) = supplied.planes {
            self.planes = planes.to_vec();
            self.drawn = None;
        }
    }
}

/// Fills in what is given for every slice, `each` numbers of which the first few are valid, in place of which others hold `padding`.
fn take_given(
    work: &Work,
    given: &[u32],
    memory: &mut [u32],
    each: usize,
    padding: u32,
    valid: impl Fn(usize) -> usize,
) {
    for (slice, memory) in memory.chunks_mut(each).enumerate() {
        let (batch, head) = work.chunk.slice(slice);
        let begin = (batch * work.problem.shape().query_heads + head) * each;
        memory.copy_from_slice(&given[begin..][..each]);
        memory[valid(slice)..].fill(padding);
    }
}

/// Gives memory a size. Keeps up to twice as much as the largest chunk needs, so that calls of similar sizes may alternate; gives back more.
/// What a recipe does not use waits for one that does.
fn resize<T: Clone + Default>(memory: &mut Vec<T>, (size, most): (usize, usize)) {
    if most == 0 {
        return;
    }
    memory.resize(size, T::default());
    if memory.capacity() / 2 > most {
        memory.shrink_to(most);
    }
}
