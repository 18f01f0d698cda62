//! Scratch memory, kept from call to call.

use super::refine_top_k::State;
use super::top_k::ClusterStatistics;
use crate::plan::{Plan, Scratch};
use crate::problem::Supplied;
use crate::{random, Clustering};
use std::sync::atomic::AtomicBool;
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
    /// Gives every array the size that the plan asks for, and draws the hash planes unless they are there.
    pub fn fit(&mut self, plan: &Plan, supplied: &Supplied) {
        let (cut, shape) = (&plan.cut, plan.problem.shape());
        let slices = plan.slices_per_chunk();
        let size = |scratch| slices * cut.words_of(scratch);
        let Some(clustering) = plan.problem.method().clustering() else {
            // Exact attention has no scratch memory; what there is waits for the next clustered call.
            return;
        };
        self.draw(clustering, shape.width, supplied);
        let clusters = slices * cut.clusters;
        resize(&mut self.means, if clustering.center { slices * shape.width } else { 0 });
        resize(&mut self.codes, size(Scratch::Codes));
        resize(&mut self.centroid_codes, size(Scratch::CentroidCodes));
        self.changed_slices.resize_with(slices, AtomicBool::default);
        resize(&mut self.clusters, size(Scratch::Clusters));
        resize(&mut self.groups, slices * (cut.clusters + 2 + shape.queries));
        resize(&mut self.centroids, size(Scratch::Centroids));
        resize(&mut self.weights, size(Scratch::Weights));
        resize(&mut self.top_keys, size(Scratch::TopKeys));
        resize(&mut self.statistics, clusters);
        resize(&mut self.sums, clusters * shape.value_width);
        resize(&mut self.state, size(Scratch::State) / 2);
    }

    fn draw(&mut self, clustering: &Clustering, width: usize, supplied: &Supplied) {
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

/// Keeps memory that is up to twice as large as what is needed, so that calls of similar sizes may alternate; gives back more.
fn resize<T: Clone + Default>(memory: &mut Vec<T>, size: usize) {
    memory.resize(size, T::default());
    if memory.capacity() / 2 > size {
        memory.shrink_to(size);
    }
}
