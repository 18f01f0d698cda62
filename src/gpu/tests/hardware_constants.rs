//! The kernels as hardware gets them, run on the adapters of a machine without any: those are all software, for which kernels are compiled
//! with other constants (`Limits::of`).

use super::adapters;
use crate::background::Cancellation;
use crate::gpu::HostEngine;
use crate::limits::Limits;
use crate::plan::Plan;
use crate::problem::{Call, Stored};
use crate::{
    Attention, Backend, Element, Grid, Guard, GuardAction, Inputs, KeyGroups, Layout, Method, Problem, Shape, Supplied,
};
use half::f16;

/// Numbers between -1 and 1 without structure.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// A problem, its valid lengths, and what it is computed with.
pub(super) struct Case {
    pub problem: Problem,
    pub lengths: Option<[&'static [u32]; 2]>,
    pub limits: Limits,
    /// What queries, keys and values between -1 and 1 are multiplied by.
    pub factors: [f32; 3],
}

impl Case {
    /// Every device holds these. Blocks of 4 or 8 queries, or rows.
    pub fn new(block_queries: usize, shape: Shape, method: Method) -> Self {
        let problem = Problem::new(shape, method).expect("a valid problem");
        let limits = Limits { block_queries, ..Limits::webgpu_defaults() };
        Self { problem, lengths: None, limits, factors: [1.0; 3] }
    }

    /// The largest difference between an adapter's outputs and the CPU's, of the largest output.
    pub fn difference(&self, engine: &HostEngine, cpu: &Attention) -> f32 {
        match self.problem.element() {
            Element::F32 => self.difference_in::<f32>(engine, cpu),
            Element::F16 => self.difference_in::<f16>(engine, cpu),
        }
    }

    fn difference_in<E: Stored>(&self, engine: &HostEngine, cpu: &Attention) -> f32 {
        let shape = self.problem.shape();
        let kv_rows = shape.batch * shape.key_heads * shape.keys;
        let stored = |numbers: &[f32]| {
            let mut stored = vec![E::default(); numbers.len()];
            E::narrow(numbers, &mut stored);
            stored
        };
        let scaled = |count, seed, factor: f32| -> Vec<E> {
            stored(&noise(count, seed).iter().map(|number| number * factor).collect::<Vec<f32>>())
        };
        let [of_queries, of_keys, of_values] = self.factors;
        let queries = scaled(shape.batch * shape.query_heads * shape.queries * shape.width, 1, of_queries);
        let keys = scaled(kv_rows * shape.width, 2, of_keys);
        let values = scaled(kv_rows * shape.value_width, 3, of_values);
        let mut inputs = Inputs::new(&queries, &keys, &values);
        if let Some([query_lengths, key_lengths]) = self.lengths {
            inputs = inputs.with_lengths(query_lengths, key_lengths);
        }
        let expected = cpu.run_blocking(&self.problem, &inputs).expect("the CPU computes");
        let plan = self.plan();
        let mut output = stored(&vec![f32::NAN; expected.len()]);
        let call = Call { inputs: &inputs, supplied: &Supplied::default(), positions: None };
        pollster::block_on(engine.run(&plan, &call, &mut output, None, &Cancellation::default()))
            .expect("the adapter computes");
        let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.wide().abs()));
        let pairs = expected.iter().map(|number| number.wide()).zip(output.iter().map(|number| number.wide()));
        pairs.fold(0.0f32, |worst, (a, b)| if b.is_nan() { f32::INFINITY } else { worst.max((a - b).abs()) }) / largest
    }

    pub fn plan(&self) -> Plan {
        Plan::new(&self.problem, &self.limits).expect("a plan")
    }
}

/// Odd widths and lengths, rows of several parts, and fewer keys than a block. A compiler takes half a minute for all kernels of a size, so no
/// size meets every method.
fn sizes() -> Vec<Case> {
    let window = Method::sliding_window(20, 3).with_sinks(2);
    let image = Method::stitched(5).with_grid(Grid::new(9, 14).with_leading(4));
    let mut cases = Vec::new();
    for (block_queries, (length, width, value_width), methods) in [
        (4, (130, 13, 40), &[Method::Exact, window, Method::improved(5), image][..]),
        (8, (130, 13, 40), &[Method::Exact]),
        (0, (130, 13, 40), &[Method::Exact, Method::stitched(5)]),
        (4, (90, 99, 70), &[Method::Exact, Method::stitched(4)]),
        (4, (5, 64, 64), &[Method::Exact]),
    ] {
        let shape = Shape { width, value_width, ..Shape::self_attention(1, 2, length, width) };
        cases.extend(methods.iter().map(|method| Case::new(block_queries, shape, *method)));
    }
    cases
}

/// What tiles of blocks meet beside that: padding, shared key heads, interleaved heads, masks, a guard that recomputes, groups that fill no
/// block, passes of clusters, many clusters, and rows that go on in another dispatch.
fn circumstances() -> Vec<Case> {
    let mut cases = Vec::new();
    let padded = Shape { query_heads: 4, key_heads: 2, ..Shape::self_attention(3, 4, 70, 16) };
    let groups = |groups, top_k| Method::stitched(3).with_key_groups(KeyGroups::new(groups)).with_top_k(top_k);
    let recomputing =
        Method::stitched(3).with_guard(Guard::new().with_tolerance(1e-6).with_action(GuardAction::Recompute));
    let methods = [Method::Exact, Method::sliding_window(9, 4), groups(42, 37), recomputing];
    for (index, method) in methods.into_iter().enumerate() {
        let mut case = Case::new(4, padded, method);
        case.lengths = Some([&[70, 1, 0], &[70, 1, 0]]);
        if index % 2 == 0 {
            case.problem = case.problem.with_layout(Layout::LengthFirst);
        }
        cases.push(case);
    }
    let causal = Case::new(4, Shape::self_attention(1, 1, 70, 16), Method::Exact);
    cases.push(Case { problem: causal.problem.with_causal(true).expect("a mask"), ..causal });

    let image = Method::stitched(20).with_grid(Grid::new(36, 11).with_leading(4));
    for (method, length) in [(Method::stitched(20), None), (image, Some(&[361][..]))] {
        let mut passes = Case::new(4, Shape::self_attention(1, 1, 400, 16), method);
        passes.limits = passes.limits.with_scratch_budget_bytes(110_000);
        // Of an image, in the middle of a row.
        passes.lengths = length.map(|length| [length, length]);
        assert!(passes.plan().cut.passes().count() > 1, "one pass");
        cases.push(passes);
    }

    // More clusters than a workgroup has invocations, more rows than it lists at a time, and codes of several words.
    let many = Method::improved(90).with_top_k(3).with_clustering(|clustering| clustering.bits = 200);
    cases.push(Case::new(4, Shape::self_attention(1, 2, 700, 8), many));

    let mut dispatches = Case::new(4, Shape { keys: 2100, ..Shape::self_attention(1, 1, 70, 16) }, Method::Exact);
    dispatches.limits.operations_per_dispatch = 1;
    cases.push(dispatches);
    cases
}

fn check(cases: fn() -> Vec<Case>) {
    let cpu = Attention::new_blocking(Backend::Cpu).expect("the CPU");
    for adapter in adapters() {
        let name = adapter.to_string();
        let engine = pollster::block_on(HostEngine::open_described(adapter)).expect("the adapter opens");
        for case in cases() {
            let worst = case.difference(&engine, &cpu);
            let Case { problem, limits, .. } = case;
            // A query that float32 cannot tell from another cluster's would show up as percents; none of these inputs has one.
            assert!(worst < 1e-5, "{name}, blocks of {}, {problem:?}: {worst}", limits.block_queries);
        }
    }
}

#[test]
fn kernels_for_hardware_are_right() {
    check(sizes);
}

#[test]
fn kernels_for_hardware_are_right_in_all_circumstances() {
    check(circumstances);
}
