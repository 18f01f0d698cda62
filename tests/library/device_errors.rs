//! Errors that a caller with a device of its own can cause: buffers, lengths and limits.

use crate::common::case::Case;
use crate::common::device::{own_devices, OwnDevice};
use clustered_attention::{wgpu, Attention, CheckedTensor, DeviceAttention, DeviceTensors, FiniteCheck, Kernels};
use clustered_attention::{Error, Layout, Limits, Method, Plan, Problem, Result, Shape};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use wgpu::BufferUsages;

fn refused<T>(result: Result<T>, texts: &[&str]) -> Error {
    let Err(error) = result else { panic!("must be refused, naming {texts:?}") };
    let message = error.to_string();
    for text in texts {
        assert!(message.contains(text), "`{message}` does not say `{text}`");
    }
    error
}

/// Devices with WebGPU's default limits.
fn devices() -> Vec<OwnDevice> {
    own_devices(&wgpu::Limits::defaults())
}

const NAMES: [&str; 4] = ["queries", "keys", "values", "output"];

fn problem() -> Problem {
    Problem::new(Shape::self_attention(1, 2, 30, 12).with_value_width(20), Method::stitched(3)).expect("a problem")
}

fn tensors(buffers: &[wgpu::Buffer; 4], offsets: [u64; 4], bytes: [u64; 4]) -> DeviceTensors<'_> {
    let slice = |i: usize| buffers[i].slice(offsets[i]..offsets[i] + bytes[i]);
    DeviceTensors::new(slice(0), slice(1), slice(2), slice(3))
}

#[test]
fn buffers_that_do_not_fit_are_named() {
    for own in devices() {
        let kernels = Kernels::new(&own.device).expect("kernels");
        let mut attention = DeviceAttention::new(&kernels, &problem()).expect("a device attention");
        let storage = BufferUsages::STORAGE | BufferUsages::COPY_SRC;
        let buffers = [0; 4].map(|_| own.buffer_with(12_288, storage, &[]));
        let bytes = [2880, 2880, 4800, 4800];
        let mut record = |tensors: &DeviceTensors| {
            let mut encoder = own.device.create_command_encoder(&Default::default());
            let recorded = attention.record(&mut encoder, tensors);
            let prepared = attention.prepare(tensors);
            assert_eq!(recorded, prepared);
            recorded
        };
        own.without_complaint(|| {
            record(&tensors(&buffers, [0; 4], bytes)).expect("buffers that fit");
            for (i, name) in NAMES.into_iter().enumerate() {
                let mut small = bytes;
                small[i] -= 4;
                let sizes = format!("{} bytes; {} are needed", small[i], bytes[i]);
                let error = refused(record(&tensors(&buffers, [0; 4], small)), &[&format!("`{name}`"), &sizes]);
                assert!(matches!(error, Error::BufferTooSmall { tensor, .. } if tensor == name));

                for offset in [1, 2, 7] {
                    let mut offsets = [0; 4];
                    offsets[i] = offset;
                    let begins = format!("`{name}` starts at byte {offset};");
                    let error = refused(record(&tensors(&buffers, offsets, bytes)), &[&begins, "multiple of 4"]);
                    assert!(matches!(error, Error::BufferAlignment { tensor, .. } if tensor == name));
                }

                let mut wrong = buffers.clone();
                wrong[i] = own.buffer_with(12_288, BufferUsages::COPY_DST | BufferUsages::UNIFORM, &[]);
                let named = format!("`{name}`");
                let error = refused(record(&tensors(&wrong, [0; 4], bytes)), &[&named, "UNIFORM", "STORAGE"]);
                assert!(matches!(error, Error::BufferUsage { tensor, .. } if tensor == name));

                if i < 3 {
                    let mut shared = buffers.clone();
                    shared[3] = shared[i].clone();
                    // The last byte of one is the first of the other, before and behind it; and apart in one buffer.
                    for (input, output) in [(0, bytes[i] - 4), (bytes[3] - 4, 0)] {
                        let mut offsets = [0, 0, 0, output];
                        offsets[i] = input;
                        let error = refused(record(&tensors(&shared, offsets, bytes)), &[&named, "`output`"]);
                        assert!(matches!(error, Error::BufferOverlap { tensor, .. } if tensor == name));
                    }
                    record(&tensors(&shared, [0, 0, 0, 6144], bytes)).expect("slices that lie apart");
                }
            }
            record(&tensors(&buffers, [0; 4], bytes)).expect("buffers that fit, after all that");
        });
    }
}

#[test]
fn lengths_out_of_range_are_named() {
    for own in devices() {
        let kernels = Kernels::new(&own.device).expect("kernels");
        let attention = DeviceAttention::new(&kernels, &problem()).expect("it fits");
        let set = |queries, keys| attention.set_lengths(&own.queue, queries, keys);
        refused(set(Some(&[31]), None), &["`query_lengths[0]` is 31", "at most 30"]);
        refused(set(None, Some(&[u32::MAX])), &["`key_lengths[0]`", "at most 30"]);
        refused(set(Some(&[3, 3]), None), &["`query_lengths`", "2 elements", "1 are needed"]);
        refused(set(None, Some(&[])), &["`key_lengths`", "0 elements"]);
        set(Some(&[0]), Some(&[30])).expect("lengths in range");
    }
}

#[test]
fn the_finite_check_names_buffers_too() {
    for own in devices() {
        let kernels = Kernels::new(&own.device).expect("kernels");
        let attention = DeviceAttention::new(&kernels, &problem()).expect("it fits");
        let check = FiniteCheck::new(&kernels, &problem());
        let buffer = own.buffer_with(12_288, BufferUsages::STORAGE, &[]);
        let other = own.buffer_with(12_288, BufferUsages::COPY_DST, &[]);
        let record = |tensor, slice| {
            let mut encoder = own.device.create_command_encoder(&Default::default());
            check.record(&mut encoder, tensor, slice, attention.lengths_buffer())
        };
        own.without_complaint(|| {
            let error = refused(record(CheckedTensor::Queries, buffer.slice(..2876)), &["`queries`", "2876", "2880"]);
            assert!(matches!(error, Error::BufferTooSmall { .. }));
            refused(record(CheckedTensor::Keys, buffer.slice(6..)), &["`keys`", "byte 6", "multiple of 4"]);
            refused(record(CheckedTensor::Values, other.slice(..)), &["`values`", "STORAGE"]);
            record(CheckedTensor::Values, buffer.slice(..4800)).expect("a buffer that fits");
        });
    }
}

#[test]
fn a_device_below_the_defaults_is_refused() {
    for (limits, texts) in [
        (
            wgpu::Limits { max_storage_buffers_per_shader_stage: 7, ..wgpu::Limits::defaults() },
            ["max_storage_buffers_per_shader_stage", "8 storage buffers", "7"],
        ),
        (
            wgpu::Limits { max_compute_invocations_per_workgroup: 128, ..wgpu::Limits::defaults() },
            ["max_compute_invocations_per_workgroup", "256 invocations", "128"],
        ),
        (
            wgpu::Limits { max_compute_workgroup_storage_size: 8192, ..wgpu::Limits::defaults() },
            ["max_compute_workgroup_storage_size", "16384 bytes", "8192"],
        ),
    ] {
        for own in own_devices(&limits) {
            let error = refused(Kernels::new(&own.device), &texts);
            assert!(matches!(error, Error::ExceedsLimit { .. }), "{error:?}");
            let case = Case::new(problem(), 1);
            let attention = Attention::with_device(own.device.clone(), own.queue.clone());
            refused(attention.run_blocking(&case.problem, &case.inputs()), &texts);
        }
    }
}

#[test]
fn a_problem_beyond_a_binding_is_refused_and_one_that_can_be_cut_is_not() {
    let limits = wgpu::Limits { max_storage_buffer_binding_size: 256 << 10, ..wgpu::Limits::defaults() };
    for own in own_devices(&limits) {
        // Four heads of 500 x 64 floats, 128,000 bytes each: one at a time fits, all of a sequence do not.
        let case = Case::of(Shape::self_attention(1, 4, 500, 64), Method::Exact, 2);
        let attention = Attention::with_device(own.device.clone(), own.queue.clone());
        own.without_complaint(|| {
            let output = attention.run_blocking(&case.problem, &case.inputs()).expect("heads first can be cut");
            crate::common::reference::check_output(&case, None, &output).unwrap_or_else(|error| panic!("{error}"));
            let interleaved = case.in_layout(Layout::LengthFirst);
            let texts = ["`queries`", "max_storage_buffer_binding_size", "262144", "bytes"];
            let error = refused(attention.run_blocking(&interleaved.problem, &interleaved.inputs()), &texts);
            assert!(matches!(error, Error::ExceedsLimit { .. }));
            let kernels = Kernels::new(&own.device).expect("kernels");
            refused(DeviceAttention::new(&kernels, &interleaved.problem), &texts);
            let check = FiniteCheck::new(&kernels, &interleaved.problem);
            let buffer = own.buffer_with(512_000, BufferUsages::STORAGE, &[]);
            let lengths = own.buffer(&[500, 500]);
            let mut encoder = own.device.create_command_encoder(&Default::default());
            refused(check.record(&mut encoder, CheckedTensor::Queries, buffer.slice(..), &lengths), &texts);
        });
    }
}

#[test]
fn a_tensor_beyond_a_buffer_is_refused() {
    let limits =
        wgpu::Limits { max_buffer_size: 1 << 20, max_storage_buffer_binding_size: 1 << 20, ..wgpu::Limits::defaults() };
    for own in own_devices(&limits) {
        let case = Case::of(Shape::self_attention(1, 10, 500, 64), Method::Exact, 3);
        let attention = Attention::with_device(own.device.clone(), own.queue.clone());
        let result = own.without_complaint(|| attention.run_blocking(&case.problem, &case.inputs()));
        refused(result, &["`queries`", "1280000 bytes", "max_buffer_size", "1048576"]);
    }
}

#[test]
fn a_lost_device_says_so_in_every_call() {
    for own in devices() {
        let case = Case::new(problem(), 4);
        let host = Attention::with_device(own.device.clone(), own.queue.clone());
        host.run_blocking(&case.problem, &case.inputs()).expect("the device works");
        let kernels = Kernels::new(&own.device).expect("kernels");
        let mut attention = DeviceAttention::new(&kernels, &problem()).expect("it fits");
        let check = FiniteCheck::new(&kernels, &problem());
        let buffers = [0; 4].map(|_| own.buffer_with(12_288, BufferUsages::STORAGE, &[]));
        let tensors = tensors(&buffers, [0; 4], [2880, 2880, 4800, 4800]);
        attention.prepare(&tensors).expect("buffers that fit");
        let lengths = attention.lengths_buffer().clone();
        own.device.destroy();
        own.without_complaint(|| {
            for _ in 0..2 {
                let mut encoder = own.device.create_command_encoder(&Default::default());
                let results = [
                    host.run_blocking(&case.problem, &case.inputs()).map(|_| ()),
                    pollster::block_on(host.run(&case.problem, &case.inputs())).map(|_| ()),
                    host.trace_blocking(&case.problem, &case.inputs(), &Default::default()).map(|_| ()),
                    Kernels::new(&own.device).map(|_| ()),
                    DeviceAttention::new(&kernels, &problem()).map(|_| ()),
                    attention.prepare(&tensors),
                    attention.record(&mut encoder, &tensors),
                    attention.set_lengths(&own.queue, Some(&[3]), None),
                    check.record(&mut encoder, CheckedTensor::Queries, buffers[0].slice(..), &lengths),
                ];
                for (call, result) in results.into_iter().enumerate() {
                    let error = refused(result, &["lost", "open it again"]);
                    assert!(matches!(error, Error::DeviceLost { .. }), "{}: call {call}: {error:?}", own.name);
                }
            }
        });
    }
}

#[test]
fn plans_for_other_targets_are_refused() {
    for own in devices() {
        let kernels = Kernels::new(&own.device).expect("kernels");
        let plan = |limits: &Limits| Plan::new(&problem(), limits).expect("a plan");
        DeviceAttention::with_plan(&kernels, plan(&Limits::of(&own.device))).expect("the device's own plan");
        let host = DeviceAttention::with_plan(&kernels, plan(&Limits::host()));
        refused(host, &["`plan` is for the host", "Kernels::limits"]);
        let larger = wgpu::Limits { max_buffer_size: 1 << 50, ..wgpu::Limits::defaults() };
        refused(DeviceAttention::with_plan(&kernels, plan(&Limits::from(&larger))), &["max_buffer_size"]);
    }
}

#[test]
fn a_device_that_others_wait_for_is_not_taken_for_lost() {
    for own in devices() {
        let kernels = Kernels::new(&own.device).expect("kernels");
        let attention = DeviceAttention::new(&kernels, &problem()).expect("it fits");
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    own.device.poll(wgpu::PollType::Poll).expect("the device works");
                }
            });
            let asked = (0..20_000).try_for_each(|_| attention.set_lengths(&own.queue, Some(&[3]), None));
            done.store(true, Ordering::Relaxed);
            asked.unwrap_or_else(|error| panic!("{}: {error}", own.name));
        });
    }
}
