//! The CPU back end: a twin of every shader, and the walk through the steps that calls them.

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
mod visible;
mod work;

use crate::background::Cancellation;
use crate::clock::Instant;
use crate::plan::Plan;
use crate::problem::Call;
use crate::stages::{Given, Kept, Role, Stage, Step};
use crate::trace::Trace;
use crate::Result;
use memory::Memory;
pub(crate) use memory::Workspace;
use refine_top_k::ClusterResults;
use top_k::ClusterStatistics;
use work::Work;

/// Computes a problem whose inputs were validated, in the memory of `workspace`. With a `trace`, intermediate results and stage times
/// are kept. A cancellation stops it before the next step.
pub(crate) fn run(
    plan: &Plan,
    call: &Call,
    output: &mut [f32],
    mut trace: Option<&mut Trace>,
    workspace: &Workspace,
    cancellation: &Cancellation,
) -> Result<()> {
    let mut memory = workspace.take();
    memory.draw(plan, call.supplied);
    let given = Given {
        positions: call.supplied.initial_positions.is_some(),
        assignment: call.supplied.assignment.is_some(),
        placed: call.positions.is_some(),
    };
    let steps = plan.steps(given);
    for chunk in plan.chunks() {
        let work = Work { problem: &plan.problem, plan, call, chunk, cancellation };
        memory.fit(&work);
        for step in &steps {
            cancellation.check()?;
            let start = Instant::now();
            run_step(step, &work, &mut memory, output);
            if let Some(trace) = trace.as_deref_mut() {
                trace.add_seconds(step.stage, start.elapsed().as_secs_f64());
                if let Some(kept) = step.kept {
                    keep(kept, trace, &work, &memory);
                }
            }
        }
    }
    if let Some(trace) = trace {
        trace.scratch_bytes = plan.scratch_bytes();
        if plan.cut.clusters > 0 {
            trace.count_members(plan.problem.shape().slices(), plan.cut.clusters);
        }
    }
    workspace.put_back(memory);
    // A step that was cut short wrote only a part.
    cancellation.check()
}

fn run_step(step: &Step, work: &Work, m: &mut Memory, output: &mut [f32]) {
    let pass = step.clusters.clone();
    match step.stage {
        Stage::HashCodes => {
            let means = (step.role == Role::Centred).then_some(m.means.as_slice());
            hash_codes::hash_codes(work, &m.planes, means, &mut m.codes);
        }
        Stage::InitialCentroids => {
            initial_centroids::initial_centroids(work, &m.starts, &m.codes, &mut m.centroid_codes);
        }
        // Once no code of any slice changed, no cluster can.
        Stage::HammingAssign | Stage::HammingUpdate if !m.codes_changed() => {}
        Stage::HammingAssign => {
            let given = step.role == Role::GivenPositions;
            hamming_assign::hamming_assign(
                work,
                given,
                &m.codes,
                &m.centroid_codes,
                &mut m.clusters,
                &m.changed_slices,
            );
        }
        Stage::HammingUpdate => {
            hamming_update::hamming_update(work, &m.codes, &m.clusters, &mut m.centroid_codes, &m.changed_slices);
        }
        Stage::GroupByCluster => group_by_cluster::group_by_cluster(work, &m.clusters, &mut m.groups),
        Stage::CentroidMeans if step.role == Role::AllQueries => centroid_means::query_means(work, &mut m.means),
        Stage::CentroidMeans => centroid_means::centroid_means(work, &m.groups, &mut m.centroids),
        Stage::EuclideanAssign => {
            euclidean_assign::euclidean_assign(work, &m.groups, &m.centroids, &mut m.clusters);
        }
        Stage::CentroidLogits => centroid_logits::centroid_logits(work, pass, &m.centroids, &mut m.weights),
        Stage::TopK => top_k::top_k(work, pass, &mut m.weights, &mut m.top_keys, &mut m.statistics),
        Stage::Remainder => remainder::remainder(work, pass, &m.weights, &mut m.statistics, &mut m.sums),
        Stage::RefineTopK => {
            let results = ClusterResults::new(&m.groups, &m.top_keys, &m.statistics, &m.sums);
            refine_top_k::refine_top_k(work, pass, step.role, &results, output, &mut m.state);
        }
        Stage::StitchWindow => {
            let results = ClusterResults::new(&m.groups, &m.top_keys, &m.statistics, &m.sums);
            stitch_window::stitch_window(work, pass, (&m.clusters, &m.weights), &results, output, &mut m.state);
        }
        Stage::ExactAttention => exact_attention::exact_attention(work, output),
    }
}

/// Copies results of the chunk into the trace.
fn keep(kept: Kept, trace: &mut Trace, work: &Work, m: &Memory) {
    match kept {
        Kept::Codes => {
            trace.codes.extend_from_slice(&m.codes);
            Trace::push_assignment(&mut trace.hamming_assignment, &m.clusters, work.plan.cut.clusters);
        }
        Kept::Assignment => Trace::push_assignment(&mut trace.assignment, &m.clusters, work.plan.cut.clusters),
        Kept::Clusters => {
            trace.centroids.extend_from_slice(&m.centroids);
            if work.plan.cut.top_k > 0 {
                trace.top_keys.extend_from_slice(&m.top_keys);
            }
            trace.top_mass.extend(m.statistics.iter().map(ClusterStatistics::top_mass));
        }
    }
}
