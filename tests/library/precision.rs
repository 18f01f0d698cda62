//! Products that need be no more precise than halves: float32 where nothing else computes them, and a refusal where something is asked for that
//! is not there.

use crate::common::{gpu_engines, shared_engines};
use clustered_attention::{Attention, Backend, Error, Inputs, Limits, Method, Plan, Precision, Problem, Shape};

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|index| (index as f32 * 0.37).sin()).collect()
}

#[test]
fn what_has_no_matrix_units_computes_in_float32_and_says_so() {
    let shape = Shape::self_attention(1, 2, 90, 12);
    let data = numbers(shape.query_elements());
    let inputs = Inputs::new(&data, &data, &data);
    for method in [Method::Exact, Method::improved(5), Method::stitched(5)] {
        let problem = Problem::new(shape, method).expect("a problem");
        assert_eq!(problem.precision(), Precision::Float32);
        for engine in shared_engines() {
            let expected = engine.attention.run_blocking(&problem, &inputs).expect("an output");
            for precision in Precision::ALL {
                let problem = problem.with_precision(precision);
                let plan = engine.attention.plan(&problem).expect("a plan");
                assert_eq!((plan.precision(), problem.precision()), (Precision::Float32, precision));
                let output = engine.attention.run_blocking(&problem, &inputs).expect("an output");
                assert!(output == expected, "{}, {precision}, {method:?}", engine.name);
            }
        }
        for limits in [Limits::host(), Limits::webgpu_defaults()] {
            let plan = Plan::new(&problem.with_precision(Precision::Float16Pairs), &limits).expect("a plan");
            assert_eq!(plan.precision(), Precision::Float32);
        }
    }
}

#[test]
fn matrix_units_are_opened_or_refused_with_a_reason() {
    let reason = |attention: Attention| match attention.with_matrix_units_blocking() {
        Err(Error::NoMatrixUnits { reason }) => Some(reason),
        Err(error) => panic!("{error}"),
        Ok(_) => None,
    };
    let cpu = Attention::new_blocking(Backend::Cpu).expect("the CPU");
    assert_eq!(reason(cpu), Some("the CPU has none".to_owned()));
    for engine in gpu_engines() {
        // Few software adapters have any.
        println!("{}: {:?}", engine.name, reason(engine.attention));
    }
}
