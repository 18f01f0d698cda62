//! The narrowest and widest rows, the shortest and longest codes, and small scratch budgets, on the CPU and on every adapter. Apart from
//! the other edge cases because each size has kernels of its own, and compiling takes seconds on a software adapter.

use crate::common::case::Case;
use crate::common::reference::check_output;
use crate::common::{clustering, engines, stitched_forms, Engine};
use clustered_attention::{Attention, Backend, Method, Plan, Shape, Space, Supplied, Trace};

fn check(case: &Case, engine: &Engine) {
    let chosen = case.problem.method().clustering().map(|_| case.trace(engine, &Supplied::default()));
    let output = case.run(engine);
    check_output(case, chosen.as_ref(), &output)
        .unwrap_or_else(|error| panic!("{}: {:?}: {error}", engine.name, case.problem));
    let clustering = case.problem.method().clustering().filter(|clustering| clustering.space == Space::Hamming);
    let Some((trace, clustering)) = chosen.as_ref().zip(clustering) else { return };
    let planes = clustering::planes(clustering, case.shape().width);
    let size = trace.codes.len() / case.shape().slices();
    for (index, (batch, head)) in case.slices().enumerate() {
        let (slice, codes) = (case.slice(batch, head), &trace.codes[index * size..][..size]);
        clustering::check_codes(&slice, clustering, &planes, codes)
            .unwrap_or_else(|error| panic!("{}: {error}", engine.name));
        let expected = clustering::hamming_assignment(clustering, codes, slice.queries.len());
        let length = case.shape().queries;
        assert_eq!(trace.hamming_assignment[index * length..][..expected.len()], expected, "{}", engine.name);
    }
}

#[test]
fn narrowest_and_widest_rows_and_codes() {
    for engine in engines() {
        for (width, value_width, bits) in [(1, 1, 1), (256, 256, 256), (1, 256, 33), (255, 1, 32)] {
            let shape = Shape::self_attention(1, 2, 70, 1).with_width(width).with_value_width(value_width);
            for method in stitched_forms(6) {
                let method = method.with_top_k(5).with_window(Some(3));
                let method = method.with_clustering(|clustering| clustering.bits = bits);
                check(&Case::of(shape, method, 21), &engine);
            }
            check(&Case::of(shape, Method::Exact, 21), &engine);
        }
    }
}

#[test]
fn a_small_scratch_budget_changes_nothing() {
    // Several sequences and heads, more clusters than memory: chunks of slices, and several passes over the clusters of a slice.
    let shape = Shape::self_attention(3, 1, 700, 16).with_query_heads(4).with_key_heads(2);
    for engine in engines() {
        let [stitched, hamming] = stitched_forms(40);
        for method in [Method::Exact, Method::clustered(40), Method::improved(40), stitched, hamming] {
            let method = method.with_clustering(|clustering| clustering.iterations = 3);
            let case = Case::of(shape, method, 22).with_lengths(&[700, 655, 3], &[700, 610, 700]);
            let expected = case.trace(&engine, &Supplied::default());
            for halvings in [2, 5] {
                let small = with_budget(&engine, &case, halvings);
                let plan = small.attention.plan(&case.problem).expect("a plan");
                assert!(plan.slices_per_chunk() < shape.slices() || *case.problem.method() == Method::Exact);
                let trace = case.trace(&small, &Supplied::default());
                let name = format!("{} {method:?} {} bytes", engine.name, plan.scratch_bytes());
                assert_eq!(trace.codes, expected.codes, "{name}");
                assert_eq!(trace.assignment, expected.assignment, "{name}");
                assert_eq!(trace.top_keys, expected.top_keys, "{name}");
                assert_eq!(trace.key_groups, expected.key_groups, "{name}");
                let covariances = |trace: &Trace| [trace.key_covariance.clone(), trace.query_covariance.clone()];
                assert_eq!(covariances(&trace), covariances(&expected), "{name}");
                let output = case.run(&small);
                if engine.attention.adapter().is_none() {
                    assert_eq!(output, expected.output, "{name}");
                }
                let chosen = method.clustering().map(|_| &trace);
                check_output(&case, chosen, &output).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
        }
    }
}

/// The same back end with a budget that is a fraction of what the whole problem takes, and at least what it must have.
fn with_budget(engine: &Engine, case: &Case, halvings: u32) -> Engine {
    let attention = match engine.attention.adapter() {
        None => Attention::new_blocking(Backend::Cpu),
        Some(adapter) => pollster::block_on(Attention::with_adapter(adapter)),
    };
    let attention = attention.expect("the back end opens again");
    let whole = engine.attention.plan(&case.problem).as_ref().map(Plan::scratch_bytes).expect("a plan");
    let mut budget = whole >> halvings;
    // A budget of nothing tells what it should have been at least.
    let attention = attention.with_scratch_budget_bytes(0);
    if let Err(clustered_attention::Error::ScratchBudget { needed_bytes, .. }) = attention.plan(&case.problem) {
        budget = budget.max(needed_bytes);
    }
    Engine { name: engine.name.clone(), attention: attention.with_scratch_budget_bytes(budget) }
}
