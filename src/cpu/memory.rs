//! Scratch memory, kept from call to call.

use super::refine_top_k::State;
use super::top_k::ClusterStatistics;
use super::work::Work;
use crate::plan::Plan;
use crate::problem::{Grouped, Recipe, Supplied};
use crate::stages::Scratch;
use crate::{random, Clustering};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Memory that one call leaves for the next. Calls at the same time have their own; that of the last to end is kept.
#[derive(Debug, Default)]
pub(crate) struct Workspace(Mutex<Option<Memory>>);

impl Workspace {
    pub fn take(&self) -> Memory {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }

    pub fn put_back(&self, memory: Memory) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(memory);
    }
}

/// Scratch memory of one chunk. Every stage writes what later ones read, so nothing of an earlier chunk or call shows.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub planes: Vec<f32>,
    pub starts: Vec<u32>,
    /// What `planes` and `starts` were drawn for; `None` where they were supplied or not drawn.
    drawn: Option<(Clustering, usize)>,
    pub means: Vec<f32>,
    pub codes: Vec<u32>,
    pub centroid_codes: Vec<u32>,
    /// Whether the codes of a slice's clusters changed last; a byte a slice, in no table.
    pub changed_slices: Vec<AtomicBool>,
    pub clusters: Vec<u32>,
    pub groups: Vec<u32>,
    pub centroids: Vec<f32>,
    pub weights: Vec<f32>,
    pub top_keys: Vec<u32>,
    pub statistics: Vec<ClusterStatistics>,
    pub sums: Vec<f32>,
    pub state: Vec<State>,
}

impl Memory {
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
        resize(&mut self.state, of(Scratch::RunningSoftmax, size_of::<State>() / 4));
        self.changed_slices.clear();
        self.changed_slices.resize_with(slices, || AtomicBool::new(true));
        if let Some(assignment) = work.call.supplied.assignment {
            let queries = work.problem.shape().queries;
            for (slice, clusters) in self.clusters.chunks_mut(queries).enumerate() {
                let (batch, head) = work.chunk.slice(slice);
                let begin = (batch * work.problem.shape().query_heads + head) * queries;
                clusters.copy_from_slice(&assignment[begin..][..queries]);
                clusters[work.query_length(slice)..].fill(plan.cut.clusters as u32);
            }
        }
    }

    /// Whether the last update changed any code of the chunk's clusters.
    pub fn codes_changed(&self) -> bool {
        self.changed_slices.iter().any(|changed| changed.load(Ordering::Relaxed))
    }

    /// Draws the hash planes and starting positions unless they are there.
    pub fn draw(&mut self, plan: &Plan, supplied: &Supplied) {
        let (Recipe::Grouped(Grouped { clustering, .. }), width) = (&plan.recipe, plan.problem.shape().width) else {
            return;
        };
        let wanted = (*clustering, width);
        if self.drawn != Some(wanted) {
            self.starts = random::starts(clustering.seed, clustering.clusters);
            if supplied.planes.is_none() {
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
