//! The kernels as hardware gets them, run on the adapters of a machine without any: those are all software, for which kernels are compiled
//! with other constants (`Limits::of`).

use super::adapters;
use crate::background::Cancellation;
use crate::gpu::HostEngine;
use crate::limits::Limits;
use crate::plan::Plan;
use crate::problem::Call;
use crate::{Attention, Backend, Inputs, Method, Problem, Shape, Supplied};

/// Numbers between -1 and 1 without structure.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// The largest difference between an adapter's outputs with hardware's constants and the CPU's, of the largest output.
fn difference(engine: &HostEngine, cpu: &Attention, limits: &Limits, shape: Shape, method: Method) -> f32 {
    let problem = Problem::new(shape, method).expect("a valid problem");
    let kv_rows = shape.batch * shape.key_heads * shape.keys;
    let queries = noise(shape.batch * shape.query_heads * shape.queries * shape.width, 1);
    let (keys, values) = (noise(kv_rows * shape.width, 2), noise(kv_rows * shape.value_width, 3));
    let inputs = Inputs::new(&queries, &keys, &values);
    let expected = cpu.run_blocking(&problem, &inputs).expect("the CPU computes");
    let plan = Plan::new(&problem, limits).expect("a plan");
    let mut output = vec![f32::NAN; expected.len()];
    let call = Call { inputs: &inputs, supplied: &Supplied::default(), positions: None };
    pollster::block_on(engine.run(&plan, &call, &mut output, None, &Cancellation::default()))
        .expect("the adapter computes");
    let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let pairs = expected.iter().zip(&output);
    pairs.fold(0.0f32, |worst, (a, b)| if b.is_nan() { f32::INFINITY } else { worst.max((a - b).abs()) }) / largest
}

#[test]
fn kernels_for_hardware_are_right() {
    let cpu = Attention::new_blocking(Backend::Cpu).expect("the CPU");
    for adapter in adapters() {
        let name = adapter.to_string();
        let engine = pollster::block_on(HostEngine::open_described(adapter)).expect("the adapter opens");
        // Odd widths and lengths, rows of several parts, and fewer keys than a block.
        // Every device holds these; tiles of blocks of both sizes, and of rows.
        for (block_queries, (length, width, value_width, clusters)) in [
            (4, (130, 13, 40, 5)),
            (4, (90, 100, 72, 4)),
            (4, (5, 64, 64, 2)),
            (8, (150, 13, 40, 3)),
            (0, (150, 13, 72, 40)),
        ] {
            let limits = Limits { block_queries, ..Limits::webgpu_defaults() };
            let shape = Shape { width, value_width, ..Shape::self_attention(1, 2, length, width) };
            let window = Method::sliding_window(20, 3).with_sinks(2);
            for method in [Method::Exact, window, Method::improved(clusters), Method::stitched(clusters)] {
                let worst = difference(&engine, &cpu, &limits, shape, method);
                // A query that float32 cannot tell from another cluster's would show up as percents; none of these inputs has one.
                assert!(worst < 1e-5, "{name}, blocks of {block_queries}, {method:?} of {shape:?}: {worst}");
            }
        }
    }
}
