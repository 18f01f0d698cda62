//! Every stage on every adapter against its CPU twin, and both against the formulas in float64, on random shapes that are multiples of
//! nothing. Discrete results must be right wherever float32 can tell; outputs are compared given the choices that were made.

mod metric;
mod results;

use crate::common::case::Case;
use crate::common::{assert_holds, clustering, engines, grid_of, reference, Engine};
use clustered_attention::{Clustering, Layout, Method, Problem, Shape, Stage, Stitched, Supplied, Trace, NO_CLUSTER};
use proptest::prelude::*;
use results::check_results;
use std::cell::RefCell;

/// Width, value width and bits. Each combination has kernels of its own, which software adapters take seconds to compile.
const SIZES: [(usize, usize, usize); 4] = [(13, 40, 31), (64, 64, 63), (72, 100, 128), (32, 32, 63)];
/// Likewise, if less so.
const CLUSTERS: [usize; 4] = [1, 7, 23, 61];
const CASES: u32 = 14;

/// How often something that float32 cannot tell was met: all bits, those too close to call, all Euclidean moves, those too close.
#[derive(Debug, Default)]
struct Tally {
    bits: usize,
    close_bits: usize,
    moves: usize,
    close_moves: usize,
}

#[test]
fn every_stage_is_right_on_every_back_end() {
    let engines = engines();
    let tally = RefCell::new(Tally::default());
    assert_holds(CASES, 20_070_482, &cases(), |case| check(&case, &engines, &mut tally.borrow_mut()));
    let tally = tally.into_inner();
    println!("{CASES} cases on {} back ends; {tally:?}", engines.len());
    // What is excused stays rare, or the comparison would mean nothing.
    assert!(tally.close_bits * 1000 < tally.bits, "{tally:?}");
    assert!(tally.close_moves * 1000 < tally.moves, "{tally:?}");
}

/// Random problems of some hundred thousand products of queries and keys.
fn cases() -> impl Strategy<Value = Case> {
    let sizes = (0..SIZES.len(), 0..CLUSTERS.len(), 0usize..45, 0usize..60);
    let lengths = (1usize..=3, 1usize..=2, 1usize..=3, 1usize..=800, 1usize..=800, prop::bool::weighted(0.7));
    let options = (1usize..=6, any::<bool>(), any::<bool>(), 0usize..=3);
    let rest = (any::<bool>(), 0.3f32..3.0, any::<u64>(), prop::collection::vec(0.0f64..1.3, 6));
    (sizes, lengths, options, rest).prop_map(|(sizes, lengths, options, rest)| {
        let (size, clusters, top_k, window) = sizes;
        let (batch, key_heads, group, queries, keys, square) = lengths;
        let (iterations, bias, center, euclidean_steps) = options;
        let (length_first, scale, seed, shares) = rest;
        let (width, value_width, bits) = SIZES[size];
        let keys = if square { queries } else { keys };
        let query_heads = key_heads * group;
        // Long sequences come alone.
        let batch = if batch * query_heads * queries * keys > 1_000_000 { 1 } else { batch };
        let shape = Shape::self_attention(batch, query_heads, queries, width)
            .with_key_heads(key_heads)
            .with_keys(keys)
            .with_value_width(value_width);
        let clusters = CLUSTERS[clusters];
        let mut clustering = Clustering::paper(clusters);
        (clustering.bits, clustering.iterations, clustering.bias) = (bits, iterations, bias);
        (clustering.center, clustering.euclidean_steps, clustering.seed) = (center, euclidean_steps, seed);
        // Without one, stitched attention is run in any case.
        let window = (queries == keys).then_some(window);
        let stitched = Method::Stitched(Stitched::hamming(1)).with_clustering(|options| *options = clustering);
        let method = stitched.with_top_k(top_k).with_window(window);
        // A third of them are images.
        let method = if queries == keys && seed % 3 == 0 { method.with_grid(grid_of(queries, seed)) } else { method };
        let layout = if length_first { Layout::LengthFirst } else { Layout::HeadsFirst };
        let problem = Problem::new(shape, method).expect("a valid problem").with_layout(layout);
        let scale = scale / (width as f32).sqrt();
        let share = |length: usize, share: f64| ((length as f64 * share) as usize).min(length) as u32;
        let query_lengths: Vec<u32> = (0..batch).map(|batch| share(queries, shares[batch])).collect();
        let key_lengths: Vec<u32> = (0..batch).map(|batch| share(keys, shares[3 + batch])).collect();
        Case::new(problem, seed).with_scale(scale).with_lengths(&query_lengths, &key_lengths)
    })
}

fn check(case: &Case, engines: &[Engine], tally: &mut Tally) -> Result<(), String> {
    let clustering = *case.problem.method().clustering().expect("a clustered method");
    let mut traces: Vec<Trace> = Vec::new();
    for engine in engines {
        let named = |error: String| format!("{}: {:?}: {error}", engine.name, case.problem);
        let trace = case.trace(engine, &Supplied::default());
        check_choices(case, engine, &trace, tally).map_err(named)?;
        check_results(case, &trace).map_err(named)?;
        if let Some(first) = traces.first() {
            check_twins(case, first, &trace).map_err(named)?;
            // The CPU twin, given what this adapter chose.
            let supplied = Supplied::default().with_assignment(trace.assignment.as_slice());
            check_results(case, &case.trace(&engines[0], &supplied)).map_err(named)?;
        }
        // The other methods, given the same clusters.
        let top_k = case.problem.method().top_k();
        let others = [
            Method::improved(1).with_clustering(|options| *options = clustering).with_top_k(top_k),
            Method::clustered(1).with_clustering(|options| *options = clustering),
            case.problem.method().with_window(None),
        ];
        for method in others {
            let case = case.with_method(method);
            let supplied = Supplied::default().with_assignment(trace.assignment.as_slice());
            let given = case.trace(engine, &supplied);
            assert!(given.stages.iter().all(|(stage, _)| *stage != Stage::HashCodes));
            if given.assignment != trace.assignment {
                return Err(named("the assignment that was supplied was not used".into()));
            }
            check_results(&case, &given).map_err(named)?;
        }
        let exact = case.with_method(Method::Exact);
        reference::check_output(&exact, None, &exact.run(engine)).map_err(named)?;
        traces.push(trace);
    }
    Ok(())
}

/// Codes, and clusters after every step, each given the results of the step before.
fn check_choices(case: &Case, engine: &Engine, trace: &Trace, tally: &mut Tally) -> Result<(), String> {
    let method = *case.problem.method();
    let clustering = *method.clustering().expect("a clustered method");
    let planes = clustering::planes(&clustering, case.shape().width);
    let (queries, words) = (case.shape().queries, clustering.bits.div_ceil(32));
    // Steps are looked at one by one: the same problem with fewer of them.
    let mut steps = vec![trace.hamming_assignment.clone()];
    for euclidean_steps in 1..clustering.euclidean_steps {
        let shorter = case.with_method(method.with_clustering(|c| c.euclidean_steps = euclidean_steps));
        let shorter = shorter.trace(engine, &Supplied::default());
        if shorter.hamming_assignment != trace.hamming_assignment {
            return Err("another run gave other clusters".into());
        }
        steps.push(shorter.assignment);
    }
    if clustering.euclidean_steps > 0 {
        steps.push(trace.assignment.clone());
    } else if trace.assignment != trace.hamming_assignment {
        return Err("clusters changed without a Euclidean step".into());
    }
    for (index, (batch, head)) in case.slices().enumerate() {
        let slice = case.slice(batch, head);
        let length = slice.queries.len();
        let codes = &trace.codes[index * queries * words..][..queries * words];
        tally.close_bits += clustering::check_codes(&slice, &clustering, &planes, codes)?;
        tally.bits += length * clustering.bits;
        let expected = clustering::hamming_assignment(&clustering, codes, length);
        for (step, assignment) in steps.iter().enumerate() {
            let assignment = &assignment[index * queries..][..queries];
            let (valid, padding) = assignment.split_at(length);
            if padding.iter().any(|&cluster| cluster != NO_CLUSTER) {
                return Err("a padding query has a cluster".into());
            }
            if step == 0 {
                if valid != expected {
                    return Err(format!("Hamming assignment {valid:?}, expected {expected:?}"));
                }
            } else {
                let earlier = &steps[step - 1][index * queries..][..length];
                tally.close_moves += clustering::check_euclidean(&slice, clustering.clusters, earlier, valid)?;
                tally.moves += length;
            }
        }
    }
    Ok(())
}

/// Where an adapter and the CPU agree on the codes, they agree on what follows without rounding.
fn check_twins(case: &Case, host: &Trace, device: &Trace) -> Result<(), String> {
    let (queries, heads) = (case.shape().queries, case.shape().query_heads);
    let words = host.codes.len() / (case.shape().slices() * queries);
    for slice in 0..case.shape().slices() {
        let valid = case.query_lengths[slice / heads] as usize;
        let codes = |trace: &Trace| trace.codes[slice * queries * words..][..valid * words].to_vec();
        let clusters = |trace: &Trace| trace.hamming_assignment[slice * queries..][..queries].to_vec();
        if codes(host) == codes(device) && clusters(host) != clusters(device) {
            return Err("the same codes gave other clusters than on the CPU".into());
        }
    }
    let lengths = |trace: &Trace| {
        [trace.codes.len(), trace.counts.len(), trace.centroids.len(), trace.top_keys.len(), trace.top_mass.len()]
    };
    if lengths(host) != lengths(device) {
        return Err("the trace has other sizes than on the CPU".into());
    }
    Ok(())
}
