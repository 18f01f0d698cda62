//! Clustering in a metric and key groups, step by step: every step given the results of the one before.

use super::results::{check_given, check_results};
use crate::common::case::{Case, Slice};
use crate::common::clustering::{strata, stream};
use crate::common::metric::{self, Centres, Metric};
use crate::common::reference::{within_twice_plain, Choices};
use crate::common::{assert_holds, engines, grid_of, Engine};
use clustered_attention::{
    Clustering, KeyGroups, Layout, Method, Problem, Shape, Space, Stage, Stitched, Supplied, Trace, NO_CLUSTER, NO_KEY,
};
use proptest::prelude::*;
use std::cell::RefCell;

/// Width, value width, clusters and key groups. Each combination has kernels of its own, which software adapters take seconds to compile.
const SIZES: [(usize, usize, usize, usize); 4] = [(13, 40, 7, 5), (72, 100, 23, 16), (13, 40, 1, 40), (32, 32, 61, 1)];
const CASES: u32 = 16;

/// A case, and whether rows that start the clusters and groups are supplied.
#[derive(Debug, Clone)]
struct Started {
    case: Case,
    supplied: bool,
}

/// How many rows were assigned, and how many of them not to the nearest centre.
#[derive(Debug, Default)]
struct Tally {
    moves: usize,
    close_moves: usize,
}

#[test]
fn metrics_and_key_groups_are_right_on_every_back_end() {
    let engines = engines();
    let tally = RefCell::new(Tally::default());
    assert_holds(CASES, 20_070_484, &cases(), |case| check(&case, &engines, &mut tally.borrow_mut()));
    let tally = tally.into_inner();
    println!("{CASES} cases on {} back ends; {tally:?}", engines.len());
    // What is excused stays rare, or the comparison would mean nothing.
    assert!(tally.close_moves * 1000 < tally.moves, "{tally:?}");
}

/// Random problems of some hundred thousand products of queries and keys.
fn cases() -> impl Strategy<Value = Started> {
    let sizes = (0..SIZES.len(), 0usize..45, prop::option::weighted(0.7, 0usize..60), 0u8..10);
    let lengths = (1usize..=3, 1usize..=2, 1usize..=3, 1usize..=700, 1usize..=700);
    let samples = prop_oneof![Just(1usize), Just(40), Just(300), Just(512)];
    let options = (0usize..=2, 0usize..=2, samples.clone(), samples, any::<bool>(), any::<bool>());
    let rest = (any::<bool>(), 0.3f32..3.0, any::<u64>(), prop::collection::vec(0.0f64..1.3, 6));
    (sizes, lengths, options, rest).prop_map(|(sizes, lengths, options, rest)| {
        let (size, top_k, window, kind) = sizes;
        let (batch, key_heads, group, queries, keys) = lengths;
        let (iterations, rounds, query_samples, key_samples, spread, supplied) = options;
        let (length_first, scale, seed, shares) = rest;
        let (width, value_width, clusters, groups) = SIZES[size];
        // A window needs as many queries as keys.
        let keys = if window.is_some() { queries } else { keys };
        let query_heads = key_heads * group;
        let batch = if batch * query_heads * queries * keys > 1_000_000 { 1 } else { batch };
        let shape = Shape::self_attention(batch, query_heads, queries, width)
            .with_key_heads(key_heads)
            .with_keys(keys)
            .with_value_width(value_width);
        let mut clustering = if kind < 2 { Clustering::hamming(clusters) } else { Clustering::metric(clusters) };
        (clustering.samples, clustering.seed) = (query_samples, seed);
        clustering.iterations = iterations.max(usize::from(clustering.space == Space::Hamming));
        let groups = if kind == 2 { 0 } else { groups };
        let key_groups = KeyGroups::new(groups).with_samples(key_samples).with_rounds(rounds).with_spread(spread);
        let method = Method::Stitched(Stitched::new(1)).with_clustering(|options| *options = clustering);
        let method = method.with_top_k(top_k).with_window(window).with_key_groups(key_groups);
        // A third of those with neighbours are images.
        let is_image = window.is_some() && seed % 3 == 0;
        let method = if is_image { method.with_grid(grid_of(queries, seed)) } else { method };
        let layout = if length_first { Layout::LengthFirst } else { Layout::HeadsFirst };
        let problem = Problem::new(shape, method).expect("a valid problem").with_layout(layout);
        let share = |length: usize, share: f64| ((length as f64 * share) as usize).min(length) as u32;
        let query_lengths: Vec<u32> = (0..batch).map(|batch| share(queries, shares[batch])).collect();
        let key_lengths: Vec<u32> = (0..batch).map(|batch| share(keys, shares[3 + batch])).collect();
        let case = Case::new(problem, seed).with_scale(scale / (width as f32).sqrt());
        Started { case: case.with_lengths(&query_lengths, &key_lengths), supplied }
    })
}

/// Rows that may repeat and may be padding.
fn positions(count: usize, length: usize, seed: u64) -> Vec<u32> {
    (0..count as u64)
        .map(|index| (seed.wrapping_mul(2 * index + 1).wrapping_add(index) >> 7) as u32 % length as u32)
        .collect()
}

fn check(started: &Started, engines: &[Engine], tally: &mut Tally) -> Result<(), String> {
    let case = &started.case;
    let clustering = *case.problem.method().clustering().expect("clusters");
    let groups = key_groups(case).groups;
    let starts = positions(clustering.clusters, case.shape().queries, clustering.seed);
    let key_starts = positions(groups, case.shape().keys, clustering.seed ^ 5);
    let supplied = match started.supplied {
        true => Supplied::default().with_initial_positions(starts.as_slice()),
        false => Supplied::default(),
    };
    let supplied =
        supplied.with_initial_key_positions((started.supplied && groups > 0).then_some(key_starts.as_slice()));
    for engine in engines {
        let named = |error: String| format!("{}: {:?}, {supplied:?}: {error}", engine.name, case.problem);
        let trace = case.trace(engine, &supplied);
        if clustering.space == Space::Metric {
            check_clusters(case, engine, &supplied, &trace, tally).map_err(named)?;
        }
        check_groups(case, engine, &supplied, &trace, tally).map_err(named)?;
        check_covariances(case, &trace).map_err(named)?;
        check_results(case, &trace).map_err(named)?;
        // The CPU twin, given what this back end chose.
        check_results(case, &with_choices(case, &engines[0], &trace).map_err(named)?).map_err(named)?;
        check_given(case, &with_choices(case, engine, &arbitrary(case)).map_err(named)?).map_err(named)?;
    }
    Ok(())
}

fn key_groups(case: &Case) -> KeyGroups {
    case.problem.method().stitched_options().map_or(KeyGroups::NONE, |stitched| stitched.key_groups)
}

/// Runs a case with the choices of a trace, which must be used and not be made again.
fn with_choices(case: &Case, engine: &Engine, choices: &Trace) -> Result<Trace, String> {
    let mut supplied = Supplied::default().with_assignment(choices.assignment.as_slice());
    let grouped = key_groups(case).groups > 0;
    if grouped {
        supplied = supplied.with_key_groups(choices.key_groups.as_slice()).with_top_keys(choices.top_keys.as_slice());
    }
    let trace = case.trace(engine, &supplied);
    let made = [Stage::Covariance, Stage::SampleMeans, Stage::MetricAssign, Stage::HammingAssign, Stage::KeySpread];
    if trace.stages.iter().any(|(stage, _)| made.contains(stage)) {
        return Err(format!("choices that were supplied are made again: {:?}", trace.stages));
    }
    let same = trace.assignment == choices.assignment
        && (!grouped || (trace.key_groups == choices.key_groups && listed(case, &trace) == listed(case, choices)));
    if same {
        Ok(trace)
    } else {
        Err("choices that were supplied were not used".into())
    }
}

/// The top-k keys of clusters with members.
fn listed(case: &Case, trace: &Trace) -> Vec<Vec<Vec<usize>>> {
    let choices = (0..case.shape().slices()).map(|slice| Choices::of(case, trace, slice));
    choices
        .map(|choices| {
            let mut lists = choices.top_keys;
            for (cluster, list) in (0..).zip(&mut lists) {
                list.sort_unstable();
                if !choices.assignment.contains(&cluster) {
                    list.clear();
                }
            }
            lists
        })
        .collect()
}

/// Choices that nobody would make.
fn arbitrary(case: &Case) -> Trace {
    let (shape, groups) = (*case.shape(), key_groups(case).groups);
    let clusters = case.problem.method().clustering().expect("clusters").clusters;
    let kept = case.problem.method().top_k().min(shape.keys);
    let mut trace = Trace::default();
    for (slice, (batch, _)) in case.slices().enumerate() {
        let row = |position: usize, valid: u32, count: usize| match position < valid as usize {
            true => ((position * 7 + slice) % count) as u32,
            false => NO_CLUSTER,
        };
        trace.assignment.extend((0..shape.queries).map(|query| row(query, case.query_lengths[batch], clusters)));
        if groups > 0 {
            trace.key_groups.extend((0..shape.keys).map(|key| row(key, case.key_lengths[batch], groups)));
            // Lists that end early among them.
            let key = |cluster: usize, index: usize| {
                (index + cluster % 3 < case.key_lengths[batch] as usize).then_some(index)
            };
            let list = |cluster| (0..kept).rev().map(move |index| key(cluster, index).map_or(NO_KEY, |key| key as u32));
            trace.top_keys.extend((0..clusters).flat_map(list));
        }
    }
    trace
}

/// Clusters after every number of rounds: each is of all queries, whose sample made the centres of the next.
fn check_clusters(
    case: &Case,
    engine: &Engine,
    supplied: &Supplied,
    trace: &Trace,
    tally: &mut Tally,
) -> Result<(), String> {
    let method = *case.problem.method();
    let clustering = *method.clustering().expect("clusters");
    let shorter = |iterations| {
        let method = method.with_clustering(|clustering| clustering.iterations = iterations).with_key_groups(0);
        let supplied = supplied.with_initial_key_positions(None);
        case.with_method(method).trace(engine, &supplied).assignment
    };
    let mut rounds: Vec<Vec<u32>> = (0..clustering.iterations).map(shorter).collect();
    rounds.push(trace.assignment.clone());
    let of_slice = |slice: &Slice| {
        let rows = metric::centred_keys::<f64>(slice, &clustering, case.shape().width);
        (Metric::new(&rows, case.shape().width).or_euclidean(), slice.queries.clone())
    };
    let starts = |length| match supplied.initial_positions {
        Some(positions) => positions.iter().map(|&position| position as usize).collect(),
        None => strata(clustering.seed, stream::POSITIONS, clustering.clusters, length),
    };
    let sample =
        |length| strata(clustering.seed, stream::SAMPLES, clustering.samples.min(case.shape().queries), length);
    let counts = (clustering.clusters, case.shape().queries);
    check_rounds(case, &rounds, counts, of_slice, starts, sample, tally).map_err(|error| format!("clusters: {error}"))
}

/// The same of the key groups, given the clusters.
fn check_groups(
    case: &Case,
    engine: &Engine,
    supplied: &Supplied,
    trace: &Trace,
    tally: &mut Tally,
) -> Result<(), String> {
    let (clustering, options) = (*case.problem.method().clustering().expect("clusters"), key_groups(case));
    if options.groups == 0 {
        return Ok(());
    }
    let shorter = |rounds| {
        let method = case.problem.method().with_key_groups(options.with_rounds(rounds));
        let supplied = supplied.with_assignment(trace.assignment.as_slice());
        case.with_method(method).trace(engine, &supplied).key_groups
    };
    let mut rounds: Vec<Vec<u32>> = (0..options.rounds).map(shorter).collect();
    rounds.push(trace.key_groups.clone());
    let mut index = 0;
    let of_slice = |slice: &Slice| {
        let choices = Choices::of(case, trace, index);
        index += 1;
        let rows = metric::centred_queries::<f64>(slice, &clustering, &choices.assignment, case.shape().width);
        (Metric::new(&rows, case.shape().width).or_euclidean(), slice.keys.clone())
    };
    let starts = |length| match supplied.initial_key_positions {
        Some(positions) => positions.iter().map(|&position| position as usize).collect(),
        None => strata(clustering.seed, stream::KEY_POSITIONS, options.groups, length),
    };
    let sample = |length| strata(clustering.seed, stream::SAMPLES, options.samples.min(case.shape().keys), length);
    let counts = (options.groups, case.shape().keys);
    check_rounds(case, &rounds, counts, of_slice, starts, sample, tally).map_err(|error| format!("key groups: {error}"))
}

fn check_rounds(
    case: &Case,
    rounds: &[Vec<u32>],
    (count, each): (usize, usize),
    mut of_slice: impl FnMut(&Slice) -> (Metric, Vec<Vec<f32>>),
    starts: impl Fn(usize) -> Vec<usize>,
    sample: impl Fn(usize) -> Vec<usize>,
    tally: &mut Tally,
) -> Result<(), String> {
    for (index, (batch, head)) in case.slices().enumerate() {
        let (metric, rows) = of_slice(&case.slice(batch, head));
        let (starts, sample) = (starts(rows.len()), sample(rows.len()));
        let mut centres = Centres::at(&rows, &starts, count);
        for (round, assigned) in rounds.iter().enumerate() {
            let (valid, padding) = assigned[index * each..][..each].split_at(rows.len());
            if padding.iter().any(|&group| group != NO_CLUSTER) {
                return Err("a padding row is in one".into());
            }
            let close = centres.check(&metric, &rows, valid);
            tally.close_moves += close.map_err(|error| format!("round {round} of slice {index}: {error}"))?;
            tally.moves += rows.len();
            centres.follow(&rows, &sample, valid);
        }
    }
    Ok(())
}

/// Both covariances; a trace has those that the method is about.
fn check_covariances(case: &Case, trace: &Trace) -> Result<(), String> {
    let (clustering, width) = (*case.problem.method().clustering().expect("clusters"), case.shape().width);
    let mut truth: [Vec<f64>; 2] = Default::default();
    let mut plain: [Vec<f64>; 2] = Default::default();
    for (index, (batch, head)) in case.slices().enumerate() {
        let slice = case.slice(batch, head);
        let assignment = Choices::of(case, trace, index).assignment;
        if clustering.space == Space::Metric {
            truth[0]
                .extend(metric::covariance(&metric::centred_keys::<f64>(&slice, &clustering, width), width).concat());
            let rows = metric::centred_keys::<f32>(&slice, &clustering, width);
            plain[0].extend(metric::covariance(&rows, width).concat().into_iter().map(f64::from));
        }
        if key_groups(case).groups > 0 {
            let rows = metric::centred_queries::<f64>(&slice, &clustering, &assignment, width);
            truth[1].extend(metric::covariance(&rows, width).concat());
            let rows = metric::centred_queries::<f32>(&slice, &clustering, &assignment, width);
            plain[1].extend(metric::covariance(&rows, width).concat().into_iter().map(f64::from));
        }
    }
    for (index, (name, actual)) in
        [("keys", &trace.key_covariance), ("queries", &trace.query_covariance)].into_iter().enumerate()
    {
        if actual.len() != truth[index].len() {
            return Err(format!("covariance of {name}: {} numbers, not {}", actual.len(), truth[index].len()));
        }
        within_twice_plain(actual, &plain[index], &truth[index])
            .map_err(|error| format!("covariance of {name}: {error}"))?;
    }
    Ok(())
}
