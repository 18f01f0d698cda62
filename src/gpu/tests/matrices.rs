//! Products by matrix units against the CPU's of float32, on adapters that have any. Few do that are no hardware: Mesa's llvmpipe from 26 on, which
//! `cargo xtask isa` sets up. The kernels are those of hardware but for the side of their matrices.

use super::adapters;
use super::hardware_constants::Case;
use crate::gpu::HostEngine;
use crate::limits::Limits;
use crate::{Attention, Backend, Element, Error, Guard, GuardAction, KeyGroups, Layout, Method, Precision, Shape};

/// Set where an adapter must have matrix units.
const DEMANDED: &str = "CLUSTERED_ATTENTION_MATRIX_UNITS";

/// Every adapter that has matrix units, opened with them.
fn engines() -> Vec<(String, HostEngine)> {
    let mut engines = Vec::new();
    for adapter in adapters() {
        let name = adapter.to_string();
        let engine = pollster::block_on(HostEngine::open_described(adapter)).expect("the adapter opens");
        match pollster::block_on(engine.with_matrix_units()) {
            Ok(engine) => engines.push((name, engine)),
            Err(Error::NoMatrixUnits { reason }) => println!("SKIPPED: matrix units of {name}: {reason}"),
            Err(error) => panic!("{name}: {error}"),
        }
    }
    assert!(!engines.is_empty() || std::env::var_os(DEMANDED).is_none(), "no adapter has matrix units");
    engines
}

/// Odd widths, several parts of rows and of values' columns, fewer keys than a block, padding, shared and interleaved heads, masks, groups that
/// fill no block, clusters of few queries, rows that go on in another dispatch, and inputs far from 1.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let groups = |groups, top_k| Method::stitched(3).with_key_groups(KeyGroups::new(groups)).with_top_k(top_k);
    for ((length, width, value_width), method) in [
        ((130, 13, 40), Method::sliding_window(20, 3).with_sinks(2)),
        ((90, 99, 70), groups(42, 37)),
        ((5, 64, 64), Method::Exact),
        ((300, 8, 12), Method::improved(30)),
    ] {
        let shape = Shape { value_width, ..Shape::self_attention(1, 2, length, width) };
        cases.push(Case::new(4, shape, method));
    }
    // The products of queries and keys stay as they are.
    let large = Shape::self_attention(1, 2, 130, 20);
    for factors in [[1e9, 1e-9, 1e20], [1e-20, 1e20, 1e-25], [1e33, 1e-33, 1e-33]] {
        cases.push(Case { factors, ..Case::new(4, large, Method::Exact) });
    }
    let mut padded =
        Case::new(4, Shape { query_heads: 4, key_heads: 2, ..Shape::self_attention(3, 4, 70, 16) }, groups(5, 9));
    padded.lengths = Some([&[70, 1, 0], &[70, 1, 0]]);
    padded.problem = padded.problem.with_layout(Layout::LengthFirst);
    cases.push(padded);
    let recomputing =
        Method::stitched(3).with_guard(Guard::new().with_tolerance(1e-6).with_action(GuardAction::Recompute));
    cases.push(Case::new(4, Shape::self_attention(1, 2, 70, 16), recomputing));
    let mut parts = Case::new(4, Shape { keys: 600, ..Shape::self_attention(1, 1, 70, 70) }, Method::Exact);
    parts.limits.operations_per_dispatch = 1;
    // In halves, sums rest elsewhere between dispatches.
    let halves = parts.problem.with_element(Element::F16);
    cases.extend([Case { problem: halves, ..parts }, parts]);
    let mut dispatches = Case::new(4, Shape { keys: 2100, ..Shape::self_attention(1, 1, 70, 16) }, Method::Exact);
    dispatches.limits.operations_per_dispatch = 1;
    cases.push(dispatches);
    cases
}

#[test]
fn products_by_matrix_units_are_as_precise_as_they_say() {
    let cpu = Attention::new_blocking(Backend::Cpu).expect("the CPU");
    for (name, engine) in engines() {
        for mut case in cases() {
            // The output's own rounding.
            let rounding = if case.problem.element() == Element::F16 { 5e-4 } else { 0.0 };
            for (precision, allowed) in [(Precision::Float16Pairs, 1e-5), (Precision::Float16Products, 2e-3)] {
                let allowed = allowed + rounding;
                case.problem = case.problem.with_precision(precision);
                case.limits = Limits { matrices: engine.limits().matrices, ..case.limits };
                assert_eq!(case.plan().precision(), precision);
                let worst = case.difference(&engine, &cpu);
                println!("{name}, {precision}, {:?}: {worst:.1e}", case.problem.shape());
                assert!(worst < allowed, "{name}, {precision}, {:?}: {worst}", case.problem);
            }
        }
    }
}
