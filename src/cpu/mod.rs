//! The CPU back end: a twin of every shader, and the walk through the steps that calls them.

mod centroid_logits;
mod centroid_means;
mod covariance;
mod exact_attention;
mod exponential;
mod group_by_cluster;
mod group_remainder;
mod group_window;
mod guard_check;
mod guard_rows;
mod hamming_assign;
mod hamming_update;
mod hash_codes;
mod initial_centroids;
mod key_spread;
mod memory;
mod metric_assign;
mod neighbours;
mod panel;
mod refine_top_k;
mod remainder;
mod sample_means;
mod single_query;
mod stitch_window;
mod stored;
mod tile;
mod top_k;
mod visible;
mod work;

use crate::background::Cancellation;
use crate::clock::Instant;
use crate::parallel::within;
use crate::plan::Plan;
use crate::problem::Call;
use crate::stages::{Given, Kept, Role, Stage, Step};
use crate::trace::Trace;
use crate::Result;
use group_remainder::PseudoKeys;
use memory::Memory;
pub(crate) use memory::Workspace;
use metric_assign::Centres;
use refine_top_k::ClusterResults;
use std::mem::take;
pub(crate) use stored::run_stored;
use top_k::ClusterStatistics;
use work::Work;

/// Computes a problem in float32 whose inputs were validated, in the memory of `workspace`. With a `trace`, intermediate results and stage times
/// are kept. A cancellation stops it before the next step.
fn run(
    plan: &Plan,
    call: &Call,
    output: &mut [f32],
    mut trace: Option<&mut Trace>,
    workspace: &Workspace,
    cancellation: &Cancellation,
) -> Result<()> {
    let mut memory = workspace.take();
    memory.begin(plan);
    memory.draw(plan, call.supplied);
    let (mut steps, threads) = (take(&mut memory.steps), take(&mut memory.threads));
    plan.write_steps(Given::of(call.supplied, call.positions), &mut steps);
    within(|| -> Result<()> {
        for chunk in plan.chunks() {
            let work = Work { problem: &plan.problem, plan, call, chunk, cancellation, threads: &threads };
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
        Ok(())
    })?;
    if let Some(trace) = trace {
        trace.scratch_bytes = plan.scratch_bytes();
        if plan.cut.clusters > 0 {
            trace.count_members(plan.problem.shape().slices(), plan.cut.clusters);
        }
    }
    (memory.steps, memory.threads) = (steps, threads);
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
        Stage::GroupByCluster if step.role == Role::Keys => {
            group_by_cluster::group_by_cluster(work, step.role, &m.key_groups, &mut m.key_members);
        }
        Stage::GroupByCluster => group_by_cluster::group_by_cluster(work, step.role, &m.clusters, &mut m.groups),
        Stage::CentroidMeans => match step.role {
            Role::AllQueries => centroid_means::query_means(work, &mut m.means),
            Role::Keys => centroid_means::centroid_means(work, step.role, &m.key_members, &mut m.group_centres),
            _ => centroid_means::centroid_means(work, step.role, &m.groups, &mut m.centroids),
        },
        Stage::Covariance => {
            let residuals = (m.clusters.as_slice(), m.centroids.as_slice());
            covariance::covariance(work, step.role, &m.samples, residuals, &mut m.covariances);
        }
        Stage::SampleMeans => {
            let starts = if step.role.is_of_keys() { &m.key_starts } else { &m.starts };
            let numbers = &m.samples[..work.plan.cut.side(step.role.sample()).1];
            let samples = (numbers, m.sample_clusters.as_slice());
            sample_means::sample_means(work, step.role, starts, samples, &m.covariances, &mut m.metric_centres);
        }
        Stage::MetricAssign => {
            let centres = match step.role {
                Role::Plain => Centres::means(work, &m.groups, &m.centroids),
                _ => Centres::in_metric(work, &m.metric_centres),
            };
            let numbers = &m.samples[..work.plan.cut.side(step.role.sample()).1];
            let assigned = match step.role {
                role if role.is_of_sample() => &mut m.sample_clusters,
                Role::Keys => &mut m.key_groups,
                _ => &mut m.clusters,
            };
            metric_assign::metric_assign(work, step.role, &centres, numbers, assigned);
        }
        Stage::KeySpread => {
            key_spread::key_spread(work, &m.key_groups, &m.group_centres, &m.covariances, &mut m.key_spread);
        }
        Stage::CentroidLogits => centroid_logits::centroid_logits(work, pass, &m.centroids, &mut m.weights),
        Stage::TopK => {
            let spread = if work.plan.cut.spread { m.key_spread.as_slice() } else { &[] };
            top_k::top_k(work, pass, step.role, spread, &mut m.weights, &mut m.top_keys, &mut m.statistics);
        }
        Stage::Remainder => remainder::remainder(work, pass, &m.weights, &mut m.statistics, &mut m.sums),
        Stage::GroupRemainder => {
            group_remainder::group_remainder(work, pass, &m.weights, &m.key_members, &m.centroids, &mut m.pseudo);
        }
        Stage::RefineTopK | Stage::StitchWindow => {
            let Memory { groups, top_keys, statistics, sums, pseudo, .. } = m;
            let results = ClusterResults { groups, top_keys, statistics, sums, pseudo };
            if step.stage == Stage::RefineTopK {
                refine_top_k::refine_top_k(work, pass, step.role, &results, output, &mut m.state);
            } else {
                stitch_window::stitch_window(work, pass, (&m.clusters, &m.weights), &results, output, &mut m.state);
            }
        }
        Stage::GroupWindow => {
            let logits = (m.clusters.as_slice(), m.key_groups.as_slice(), m.weights.as_slice());
            group_window::group_window(work, pass, logits, &m.pseudo, output, &mut m.state);
        }
        Stage::GuardRows => {
            let assigned = (m.clusters.as_slice(), m.centroids.as_slice());
            guard_rows::guard_rows(work, &m.samples, assigned, &m.covariances, &mut m.guard_rows);
        }
        Stage::GuardCheck => {
            guard_check::guard_check(work, &m.guard_rows, &mut m.guard_parts, output, &mut m.verdicts);
        }
        Stage::ExactAttention => {
            exact_attention::exact_attention(work, step.role, &m.verdicts, output);
        }
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
            if work.plan.cut.groups > 0 {
                keep_groups(trace, work, m);
            } else {
                trace.top_mass.extend(m.statistics.iter().map(ClusterStatistics::top_mass));
            }
            keep_covariances(trace, work, m);
        }
        Kept::Guard => {
            trace.guard_rows.extend_from_slice(&m.guard_rows);
            let recomputes = work.plan.recomputes();
            for verdict in &m.verdicts {
                trace.guard_error.push(verdict.error);
                trace.fell_back.push(recomputes && verdict.exceeds);
            }
        }
    }
}

/// Copies the covariances that are computed.
fn keep_covariances(trace: &mut Trace, work: &Work, m: &Memory) {
    let square = work.problem.shape().width.pow(2);
    for (covariances, half) in [(&mut trace.key_covariance, 0), (&mut trace.query_covariance, 1)] {
        if work.plan.computes_covariance(half, Given::of(work.call.supplied, work.call.positions)) {
            m.covariances
                .chunks(2 * square)
                .for_each(|slice| covariances.extend_from_slice(&slice[half * square..][..square]));
        }
    }
}

/// Copies what belongs to key groups, from rows of groups to rows of clusters.
fn keep_groups(trace: &mut Trace, work: &Work, m: &Memory) {
    let cut = &work.plan.cut;
    let (groups, clusters, width, value_width) = (cut.groups, cut.clusters, cut.shape.width, cut.shape.value_width);
    Trace::push_assignment(&mut trace.key_groups, &m.key_groups, groups);
    for (index, statistics) in m.statistics.iter().enumerate() {
        let first = PseudoKeys::index(index / clusters, (groups, clusters), index % clusters);
        let places = (0..groups).map(|group| first + group * clusters);
        let log_masses: Vec<f32> = places.clone().map(|place| m.pseudo.facts[place].log_mass()).collect();
        trace.push_groups(&log_masses, statistics.top_maximum, statistics.top_sum);
        for place in places {
            trace.pseudo_keys.extend_from_slice(&m.pseudo.keys[place * width..][..width]);
            trace.pseudo_values.extend_from_slice(&m.pseudo.values[place * value_width..][..value_width]);
        }
    }
}
