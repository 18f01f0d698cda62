//! The CPU back end: a twin of every shader, and the orchestrator that calls them in order.

mod centroid_logits;
mod centroid_means;
mod euclidean_assign;
mod exact_attention;
mod exponential;
mod group_by_cluster;
mod hamming_assign;
mod hamming_update;
mod hash_codes;
mod initial_centroids;
mod memory;
mod panel;
mod refine_top_k;
mod remainder;
mod stitch_window;
mod tile;
mod top_k;
mod work;

use crate::plan::{Plan, Scratch};
use crate::problem::Supplied;
use crate::trace::{Stage, Trace};
use crate::{Clustering, Inputs, Method};
use memory::Memory;
pub(crate) use memory::Workspace;
use refine_top_k::{ClusterResults, Finish};
use std::ops::Range;
use std::sync::atomic::Ordering;
use top_k::ClusterStatistics;
use work::Work;

use crate::clock::Instant;

/// Computes a problem whose inputs were validated, in the memory of `workspace`. With a `trace`, intermediate results and stage times
/// are kept.
pub(crate) fn run(
    plan: &Plan,
    inputs: &Inputs,
    supplied: &Supplied,
    output: &mut [f32],
    mut trace: Option<&mut Trace>,
    workspace: &Workspace,
) {
    let problem = &plan.problem;
    let mut memory = workspace.take();
    memory.fit(plan, supplied);
    for chunk in plan.chunks() {
        let work = Work { problem, plan, inputs, chunk };
        let mut run = Run { work, memory: &mut memory, trace: trace.as_deref_mut() };
        match *problem.method() {
            Method::Exact => run.timed(Stage::ExactAttention, |work, _| {
                exact_attention::exact_attention(work, output);
            }),
            Method::Clustered { clustering } | Method::Improved { clustering, .. } => {
                run.cluster(&clustering, supplied);
                run.attend(output, Finish::Improved, None);
            }
            // A plan holds what `Auto` took instead of it.
            Method::Stitched { clustering, window, .. } | Method::Auto { clustering, window, .. } => {
                run.cluster(&clustering, supplied);
                let finish = if window.is_some() { Finish::Window } else { Finish::Stitched };
                run.attend(output, finish, window);
            }
        }
    }
    if let Some(trace) = trace {
        trace.scratch_bytes = plan.scratch_bytes();
        trace.count_members(problem);
    }
    workspace.put_back(memory);
}

struct Run<'a> {
    work: Work<'a>,
    memory: &'a mut Memory,
    trace: Option<&'a mut Trace>,
}

impl Run<'_> {
    /// Runs a stage and notes its time.
    fn timed(&mut self, stage: Stage, run: impl FnOnce(&Work, &mut Memory)) {
        let start = Instant::now();
        run(&self.work, self.memory);
        if let Some(trace) = &mut self.trace {
            trace.add_seconds(stage, start.elapsed().as_secs_f64());
        }
    }

    /// Groups the queries: codes, K-means in Hamming space, Euclidean steps, members in order, means.
    fn cluster(&mut self, clustering: &Clustering, supplied: &Supplied) {
        let slices = self.work.slices();
        let queries = self.work.problem.shape().queries;
        if let Some(assignment) = supplied.assignment {
            for slice in 0..slices {
                let (batch, head) = self.work.chunk.slice(slice);
                let valid = self.work.query_length(slice);
                let begin = (batch * self.work.problem.shape().query_heads + head) * queries;
                let clusters = &mut self.memory.clusters[slice * queries..][..queries];
                clusters.copy_from_slice(&assignment[begin..][..queries]);
                clusters[valid..].fill(clustering.clusters as u32);
            }
        } else {
            self.hamming_kmeans(clustering, supplied);
            self.keep(|trace, work, memory| {
                trace.codes.extend_from_slice(&memory.codes[..slices * queries * work.plan.cut.words]);
                Trace::push_assignment(
                    &mut trace.hamming_assignment,
                    &memory.clusters[..slices * queries],
                    clustering.clusters,
                );
            });
        }
        let steps = if supplied.assignment.is_some() { 0 } else { clustering.euclidean_steps };
        let centroid_size = clustering.clusters * self.work.problem.shape().width;
        for step in 0..=steps {
            if step > 0 {
                self.timed(Stage::EuclideanAssign, |work, m| {
                    euclidean_assign::euclidean_assign(
                        work,
                        &m.groups,
                        &m.centroids[..slices * centroid_size],
                        &mut m.clusters[..slices * queries],
                    );
                });
            }
            let group_size = clustering.clusters + 2 + queries;
            self.timed(Stage::GroupByCluster, |work, m| {
                group_by_cluster::group_by_cluster(work, &m.clusters, &mut m.groups[..slices * group_size]);
            });
            self.timed(Stage::CentroidMeans, |work, m| {
                centroid_means::centroid_means(work, &m.groups, &mut m.centroids[..slices * centroid_size]);
            });
        }
        self.keep(|trace, _, memory| {
            let clusters = &memory.clusters[..slices * queries];
            Trace::push_assignment(&mut trace.assignment, clusters, clustering.clusters);
        });
    }

    fn hamming_kmeans(&mut self, clustering: &Clustering, supplied: &Supplied) {
        let slices = self.work.slices();
        let queries = self.work.problem.shape().queries;
        let words = self.work.plan.cut.words;
        if clustering.center {
            let size = slices * self.work.problem.shape().width;
            self.timed(Stage::CentroidMeans, |work, m| centroid_means::query_means(work, &mut m.means[..size]));
        }
        self.timed(Stage::HashCodes, |work, m| {
            let means = clustering.center.then_some(m.means.as_slice());
            hash_codes::hash_codes(work, &m.planes, means, &mut m.codes[..slices * queries * words]);
        });
        let codes = slices * clustering.clusters * words;
        self.timed(Stage::InitialCentroids, |work, m| {
            let positions = supplied.initial_positions;
            let centroids = &mut m.centroid_codes[..codes];
            initial_centroids::initial_centroids(work, &m.starts, positions, &m.codes, centroids);
        });
        // A surplus cluster has no starting query and must not be chosen, unless positions were supplied for all.
        let all = supplied.initial_positions.is_some();
        let changed =
            |memory: &Memory| memory.changed_slices[..slices].iter().any(|changed| changed.load(Ordering::Relaxed));
        self.memory.changed_slices.iter().for_each(|changed| changed.store(true, Ordering::Relaxed));
        for iteration in 0..clustering.iterations {
            if iteration > 0 {
                self.timed(Stage::HammingUpdate, |work, m| {
                    let centroids = &mut m.centroid_codes[..codes];
                    hamming_update::hamming_update(work, &m.codes, &m.clusters, centroids, &m.changed_slices);
                });
            }
            if !changed(self.memory) {
                break;
            }
            self.timed(Stage::HammingAssign, |work, m| {
                let candidates =
                    |slice| if all { clustering.clusters } else { clustering.clusters.min(work.query_length(slice)) };
                let clusters = &mut m.clusters[..slices * queries];
                hamming_assign::hamming_assign(
                    work,
                    candidates,
                    &m.codes,
                    &m.centroid_codes,
                    clusters,
                    &m.changed_slices,
                );
            });
        }
    }

    /// Attention of the centroids, then of the queries, a pass of clusters at a time.
    fn attend(&mut self, output: &mut [f32], finish: Finish, window: Option<usize>) {
        let (work, cut) = (&self.work, &self.work.plan.cut);
        let (slices, queries) = (work.slices(), work.problem.shape().queries);
        let (top_k, value_width) = (cut.top_k, work.problem.shape().value_width);
        let (cluster_count, weights, keys) =
            (slices * cut.clusters, slices * cut.words_of(Scratch::Weights), slices * cut.words_of(Scratch::TopKeys));
        let passes: Vec<Range<usize>> = cut.cluster_passes().collect();
        for pass in passes {
            self.timed(Stage::CentroidLogits, |work, m| {
                centroid_logits::centroid_logits(work, pass.clone(), &m.centroids, &mut m.weights[..weights]);
            });
            self.timed(Stage::TopK, |work, m| {
                let statistics = &mut m.statistics[..cluster_count];
                top_k::top_k(work, pass.clone(), &mut m.weights[..weights], &mut m.top_keys[..keys], statistics);
            });
            self.timed(Stage::Remainder, |work, m| {
                let sums = &mut m.sums[..cluster_count * value_width];
                remainder::remainder(work, pass.clone(), &m.weights, &mut m.statistics[..cluster_count], sums);
            });
            self.timed(Stage::RefineTopK, |work, m| {
                let results = ClusterResults {
                    groups: &m.groups,
                    top_keys: &m.top_keys,
                    statistics: &m.statistics,
                    sums: &m.sums,
                };
                refine_top_k::refine_top_k(
                    work,
                    pass.clone(),
                    finish,
                    &results,
                    output,
                    &mut m.state[..slices * queries],
                );
            });
            if let Some(window) = window {
                self.timed(Stage::StitchWindow, |work, m| {
                    let results = ClusterResults {
                        groups: &m.groups,
                        top_keys: &m.top_keys,
                        statistics: &m.statistics,
                        sums: &m.sums,
                    };
                    let inputs = (m.clusters.as_slice(), m.weights.as_slice());
                    let state = &mut m.state[..slices * queries];
                    stitch_window::stitch_window(work, pass.clone(), window, inputs, &results, output, state);
                });
            }
        }
        self.keep(|trace, work, m| {
            trace.centroids.extend_from_slice(&m.centroids[..cluster_count * work.problem.shape().width]);
            if top_k > 0 {
                trace.top_keys.extend_from_slice(&m.top_keys[..keys]);
            }
            trace.top_mass.extend(m.statistics[..cluster_count].iter().map(ClusterStatistics::top_mass));
        });
    }

    /// Copies results into the trace, if there is one.
    fn keep(&mut self, copy: impl FnOnce(&mut Trace, &Work, &Memory)) {
        if let Some(trace) = &mut self.trace {
            copy(trace, &self.work, self.memory);
        }
    }
}
