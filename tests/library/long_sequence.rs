//! 131,072 positions under WebGPU's default limits and the default scratch budget, on the best adapter there is.

use crate::common::{numbers, relative_difference, NO_ADAPTER_VARIABLE};
use clustered_attention::{
    wgpu, Attention, Backend, Inputs, Method, Problem, Shape, Supplied, DEFAULT_SCRATCH_BUDGET_BYTES,
};

const LENGTH: usize = 131_072;

/// Opens the best adapter with no more than every WebGPU device offers.
fn default_device() -> Option<(wgpu::Device, wgpu::Queue)> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).ok()?;
    let descriptor = wgpu::DeviceDescriptor { required_limits: wgpu::Limits::defaults(), ..Default::default() };
    pollster::block_on(adapter.request_device(&descriptor)).ok()
}

#[test]
fn a_long_sequence_runs_under_default_limits_and_budget() {
    let Some((device, queue)) = default_device() else {
        assert!(std::env::var_os(NO_ADAPTER_VARIABLE).is_some(), "no adapter; see tests/library/common");
        println!("left out: {NO_ADAPTER_VARIABLE} says that there is no adapter");
        return;
    };
    let problem = Problem::new(Shape::self_attention(1, 1, LENGTH, 64), Method::stitched(25)).expect("a valid problem");
    let (queries, keys, values) = (numbers(LENGTH * 64, 1), numbers(LENGTH * 64, 2), numbers(LENGTH * 64, 3));
    let inputs = Inputs::new(&queries, &keys, &values);

    let attention = Attention::with_device(device, queue);
    let plan = attention.plan(&problem).expect("a plan");
    assert!(plan.scratch_bytes() <= DEFAULT_SCRATCH_BUDGET_BYTES, "{} bytes", plan.scratch_bytes());
    let trace = attention.trace_blocking(&problem, &inputs, &Supplied::default()).expect("it runs");
    assert_eq!(trace.scratch_bytes, plan.scratch_bytes());

    let supplied = Supplied::default().with_assignment(trace.assignment.as_slice());
    let cpu = Attention::new_blocking(Backend::Cpu).expect("the CPU");
    let twin = cpu.trace_blocking(&problem, &inputs, &supplied).expect("it runs");
    let difference = relative_difference(&trace.output, &twin.output);
    println!("{LENGTH} positions, {} bytes of scratch: difference {difference:.1e}", trace.scratch_bytes);
    // Each of the two may lie 1e-5 from the truth (`docs/method.md`).
    assert!(difference < 2e-5, "differs by {difference:.1e}");
}
