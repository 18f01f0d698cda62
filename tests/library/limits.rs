//! Targets that offer little: every limit from 0 to WebGPU's default. What cannot be is refused by its name before anything is made.

use crate::common::case::Case;
use crate::common::device::own_devices;
use crate::common::{assert_holds, relative_difference};
use clustered_attention::{
    wgpu, Attention, DeviceAttention, Error, Kernels, KeyGroups, Limits, Method, Plan, Problem, Shape, Stitched,
    DEFAULT_SCRATCH_BUDGET_BYTES,
};
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A limit's value out of 0 to its default, small ones and the default often.
fn value(default: u64, draw: (u8, u64)) -> u64 {
    match draw.0 {
        0..=1 => 0,
        2..=3 => draw.1 % default.clamp(1, 5),
        4..=5 => draw.1 % (default + 1),
        // Something between, on a logarithmic scale.
        6..=7 => (default >> (draw.1 % 24)).max(1),
        _ => default,
    }
}

/// Limits of which a few are lowered.
fn limits() -> impl Strategy<Value = wgpu::Limits> {
    prop::collection::vec((0u8..40, any::<u64>()), 15).prop_map(|draws| {
        let mut limits = wgpu::Limits::defaults();
        let small = |place: &mut u32, draw| *place = value(u64::from(*place), draw) as u32;
        let large = |place: &mut u64, draw| *place = value(*place, draw);
        small(&mut limits.max_storage_buffers_per_shader_stage, draws[0]);
        small(&mut limits.max_uniform_buffers_per_shader_stage, draws[1]);
        small(&mut limits.max_dynamic_uniform_buffers_per_pipeline_layout, draws[2]);
        small(&mut limits.max_bind_groups, draws[3]);
        small(&mut limits.max_bindings_per_bind_group, draws[4]);
        small(&mut limits.max_compute_invocations_per_workgroup, draws[5]);
        small(&mut limits.max_compute_workgroup_size_x, draws[6]);
        small(&mut limits.max_compute_workgroup_size_y, draws[7]);
        small(&mut limits.max_compute_workgroup_size_z, draws[8]);
        small(&mut limits.max_compute_workgroup_storage_size, draws[9]);
        small(&mut limits.max_compute_workgroups_per_dimension, (draws[10].0 / 3, draws[10].1));
        large(&mut limits.max_uniform_buffer_binding_size, draws[11]);
        large(&mut limits.max_storage_buffer_binding_size, (draws[12].0 / 3, draws[12].1));
        large(&mut limits.max_buffer_size, (draws[13].0 / 3, draws[13].1));
        limits
    })
}

/// Any method on sizes from small to large.
fn problems(longest: usize) -> impl Strategy<Value = Problem> {
    let sizes = (1usize..=3, 1usize..=3, 1usize..=3, 1..=longest, 1usize..=80, 1usize..=80);
    (sizes, 0usize..7, 1usize..=3000, prop::option::of(0usize..50)).prop_map(|(sizes, method, clusters, window)| {
        let (batch, key_heads, group, length, width, value_width) = sizes;
        let shape = Shape::self_attention(batch, key_heads * group, length, width)
            .with_key_heads(key_heads)
            .with_value_width(value_width);
        let clusters = clusters.min(4 * length);
        let method = match method {
            0 => Method::Exact,
            1 => Method::clustered(clusters),
            2 => Method::improved(clusters),
            3 => Method::sliding_window(length / 2, 3),
            4 => Method::Stitched(Stitched::hamming(clusters)).with_window(window),
            5 => Method::stitched(clusters).with_window(window).with_key_groups(clusters.min(KeyGroups::MAX_GROUPS)),
            _ => Method::stitched(clusters).with_window(window),
        };
        Problem::new(shape, method).expect("a valid problem")
    })
}

/// Whether an error says that something does not fit, and what.
fn says_what_does_not_fit(error: &Error) -> Result<(), String> {
    match error {
        Error::ExceedsLimit { needed, allowed, .. } if needed > allowed => Ok(()),
        Error::ScratchBudget { budget_bytes, needed_bytes } if needed_bytes > budget_bytes => Ok(()),
        error => Err(format!("{error:?}")),
    }
}

#[test]
fn plans_for_any_limits_are_made_or_refused() {
    assert_holds(
        10_000,
        11,
        &(limits(), problems(100_000), 0u64..1 << 28),
        |(limits, problem, budget)| match Plan::new(&problem, &Limits::from(&limits).with_scratch_budget_bytes(budget))
        {
            Ok(plan) if plan.scratch_bytes() <= budget => Ok(()),
            Ok(plan) => Err(format!("{} bytes, {budget} allowed", plan.scratch_bytes())),
            Err(error) => says_what_does_not_fit(&error),
        },
    );
}

#[test]
fn webgl2_and_small_buffers_are_refused_by_name() {
    let plan = |limits: wgpu::Limits, problem: &Problem| {
        Plan::new(problem, &Limits::from(&limits)).map(|plan| plan.scratch_bytes())
    };
    let short = Problem::new(Shape::self_attention(1, 2, 300, 16), Method::stitched(5)).expect("a problem");
    let error = plan(wgpu::Limits::downlevel_webgl2_defaults(), &short).expect_err("no compute shaders");
    assert!(error.to_string().contains("max_storage_buffers_per_shader_stage"), "{error}");
    // Logits of 2,000 clusters fit a binding, not a buffer: computed in passes.
    let limits = wgpu::Limits { max_buffer_size: 16 << 20, ..wgpu::Limits::defaults() };
    let shape = Shape::self_attention(1, 1, 2048, 16).with_keys(16_384);
    let many = Problem::new(shape, Method::stitched(2000).with_window(None)).expect("a problem");
    assert!(plan(limits.clone(), &many).expect("a plan in passes") <= DEFAULT_SCRATCH_BUDGET_BYTES);
    for own in own_devices(&limits) {
        let kernels = Kernels::new(&own.device).expect("kernels");
        own.without_complaint(|| DeviceAttention::new(&kernels, &many).map(|_| ())).expect("every buffer can be made");
    }
}

#[test]
fn devices_with_any_limits_compute_or_refuse() {
    let computed = AtomicUsize::new(0);
    assert_holds(12, 12, &(limits(), problems(300), any::<u64>()), |(limits, problem, seed)| {
        let defaults = own_devices(&wgpu::Limits::defaults());
        for (own, full) in own_devices(&limits).into_iter().zip(defaults) {
            let case = Case::new(problem, seed);
            let attention = Attention::with_device(own.device.clone(), own.queue.clone());
            let result = own.without_complaint(|| attention.run_blocking(&case.problem, &case.inputs()));
            match result {
                Err(error) => says_what_does_not_fit(&error).map_err(|error| format!("{}: {error}", own.name))?,
                Ok(output) => {
                    computed.fetch_add(1, Ordering::Relaxed);
                    let attention = Attention::with_device(full.device.clone(), full.queue.clone());
                    let expected = attention.run_blocking(&case.problem, &case.inputs()).map_err(|e| e.to_string())?;
                    let difference = relative_difference(&output, &expected);
                    if difference > 1e-5 {
                        return Err(format!("{}: {difference:e}", own.name));
                    }
                }
            }
        }
        Ok(())
    });
    assert!(computed.into_inner() > 0, "not one problem was computed");
}
