//! What is refused, and what is said of it.

mod common;

use burn::tensor::wgpu::WgpuSetup;
use burn::tensor::{DType, Device, Tensor};
use clustered_attention::burn::{
    attention, attention_with_lengths, init_wgpu, share_device, AttentionOptions, Lengths,
};
use clustered_attention::{Error, Method};
use common::{devices, opened, unknown_wgpu_device, wgpu_device, Idle};

fn zeros(dimensions: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::zeros(dimensions, device)
}

fn refused(tensors: [Tensor<4>; 3], options: &AttentionOptions, texts: &[&str]) -> Error {
    refused_with_lengths(tensors, Lengths::default(), options, texts)
}

fn refused_with_lengths(
    tensors: [Tensor<4>; 3],
    lengths: Lengths,
    options: &AttentionOptions,
    texts: &[&str],
) -> Error {
    let [queries, keys, values] = tensors;
    let Err(error) = attention_with_lengths(queries, keys, values, lengths, options) else {
        panic!("must be refused, naming {texts:?}")
    };
    let message = error.to_string();
    for text in texts {
        assert!(message.contains(text), "`{message}` does not say `{text}`");
    }
    error
}

#[test]
fn shapes_that_do_not_fit() {
    let _idle = Idle;
    let exact = AttentionOptions::new(Method::Exact);
    for device in devices() {
        let with = |queries, keys, values| [queries, keys, values].map(|dimensions| zeros(dimensions, &device));
        let of = |keys, values| with([2, 4, 9, 8], keys, values);
        refused(of([1, 4, 9, 8], [1, 4, 9, 8]), &exact, &["`keys`", "[1, 4, 9, 8]", "[2, 4, 9, 8]"]);
        refused(of([2, 4, 9, 7], [2, 4, 9, 7]), &exact, &["`keys`", "[2, 4, 9, 7]"]);
        refused(of([2, 4, 9, 8], [2, 4, 8, 8]), &exact, &["`values`", "[2, 4, 8, 8]"]);
        refused(of([2, 4, 9, 8], [2, 2, 9, 8]), &exact, &["`values`", "[2, 2, 9, 8]"]);
        refused(of([2, 3, 9, 8], [2, 3, 9, 8]), &exact, &["`query_heads` is 4", "`key_heads` is 3"]);
        refused(with([2, 4, 9, 257], [2, 4, 9, 257], [2, 4, 9, 8]), &exact, &["`width` is 257"]);
        let stitched = AttentionOptions::new(Method::stitched(3));
        refused(of([2, 4, 7, 8], [2, 4, 7, 8]), &stitched, &["9 queries and 7 keys", "window: None"]);
        let with_lengths = |lengths, texts: &[&str]| {
            refused_with_lengths(of([2, 4, 9, 8], [2, 4, 9, 8]), lengths, &exact, texts);
        };
        with_lengths(Lengths::of_keys(&[9, 10]), &["`key_lengths[1]` is 10", "at most 9"]);
        with_lengths(Lengths::of_queries(&[9]), &["`query_lengths` has 1 elements"]);
        let scale = AttentionOptions::new(Method::Exact).with_scale(f32::NAN);
        refused(of([2, 4, 9, 8], [2, 4, 9, 8]), &scale, &["`scale` is NaN"]);
        let clusters = AttentionOptions::new(Method::clustered(0));
        refused(of([2, 4, 9, 8], [2, 4, 9, 8]), &clusters, &["`clusters` is 0"]);
        let budget = AttentionOptions::new(Method::stitched(3)).with_scratch_budget_bytes(10);
        refused(of([2, 4, 9, 8], [2, 4, 9, 8]), &budget, &["`scratch_budget_bytes` is 10"]);
    }
}

#[test]
fn other_types_and_autodiff() {
    let _idle = Idle;
    let exact = AttentionOptions::new(Method::Exact);
    for device in devices() {
        let tensor = || zeros([1, 2, 5, 8], &device);
        let half = || tensor().cast(DType::F16);
        let error = refused([tensor(), half(), tensor()], &exact, &["`keys`", "is of f16", "must be of f32"]);
        assert!(matches!(error, Error::DataType { tensor: "keys", .. }));
        refused([half(), half(), tensor()], &exact, &["`values`", "is of f32", "must be of f16"]);
        let other = || tensor().cast(DType::BF16);
        refused([other(), other(), other()], &exact, &["`queries`", "is of bf16", "must be of f32 or f16"]);
        let training = [tensor(), tensor(), tensor().autodiff()];
        let error = refused(training, &exact, &["autodiff"]);
        assert!(matches!(error, Error::Unsupported { .. }));
        // For inference they are constants.
        let plain = attention(tensor() + 1.0, tensor(), tensor() + 2.0, &exact).expect("attention").into_data();
        let training = [tensor().autodiff().require_grad() + 1.0, tensor(), tensor().autodiff() + 2.0];
        let [queries, keys, values] = training;
        let output = attention(queries, keys, values, &exact.clone().without_gradients()).expect("constants");
        assert!(!output.is_autodiff());
        assert_eq!(output.into_data(), plain);
    }
}

#[test]
fn devices_that_are_not_known_or_not_one() {
    let _idle = Idle;
    let exact = AttentionOptions::new(Method::Exact);
    let on = |device: &Device| zeros([1, 2, 5, 8], device);
    let unknown = unknown_wgpu_device();
    let error = refused([on(&unknown), on(&unknown), on(&unknown)], &exact, &["init_wgpu", "share_device"]);
    assert!(matches!(error, Error::UnknownBurnDevice { .. }));
    let (flex, wgpu) = (Device::flex(), wgpu_device());
    let error = refused([on(&wgpu), on(&flex), on(&wgpu)], &exact, &["`keys`"]);
    assert!(matches!(error, Error::DifferentDevices { tensor: "keys", .. }));
    let error = init_wgpu(Device::wgpu_options()).expect_err("the selector is in use");
    assert!(matches!(error, Error::Device { .. }), "{error}");
}

#[test]
fn a_device_of_the_programs_own() {
    let _idle = Idle;
    // Its handles open a second runtime of Burn's, which the crate learns of by `share_device`.
    let setup = wgpu_setup();
    let device = opened(Device::wgpu_options().setup(setup.clone()).init().expect("Burn takes the handles"));
    let tensor = || zeros([1, 1, 5, 8], &device);
    let exact = AttentionOptions::new(Method::Exact);
    refused([tensor(), tensor(), tensor()], &exact, &["share_device"]);
    share_device(&device, &setup).expect("a device with WebGPU's defaults");
    attention(tensor(), tensor(), tensor(), &exact).expect("attention");
    let error = share_device(&Device::flex(), &setup).expect_err("no wgpu device");
    assert!(matches!(error, Error::OutOfRange { argument: "device", .. }));
}

#[test]
fn a_lost_device_says_so() {
    let setup = wgpu_setup();
    // Not among the devices that are waited for: this one ends here.
    let device = Device::wgpu_options().setup(setup.clone()).init().expect("Burn takes the handles");
    share_device(&device, &setup).expect("a device with WebGPU's defaults");
    let tensor = || zeros([1, 1, 5, 8], &device);
    let exact = AttentionOptions::new(Method::Exact);
    let inputs = [tensor(), tensor(), tensor()];
    let [queries, keys, values] = inputs.clone();
    attention(queries, keys, values, &exact).expect("attention").into_data();
    device.sync().expect("all is done");
    setup.device.destroy();
    let error = refused(inputs, &exact, &["lost", "open it again"]);
    assert!(matches!(error, Error::DeviceLost { .. }), "{error:?}");
    let again = share_device(&device, &setup).expect_err("nothing runs there");
    assert!(matches!(again, Error::DeviceLost { .. }), "{again:?}");
}

/// A device that the program opens by itself.
fn wgpu_setup() -> WgpuSetup {
    use clustered_attention::wgpu::{DeviceDescriptor, Instance, InstanceDescriptor, Limits};
    let instance = Instance::new(InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).expect("an adapter");
    // Burn's kernels want more than WebGPU's defaults.
    let required_limits: Limits = adapter.limits();
    let required_features = adapter.features() & clustered_attention::wgpu::Features::all_webgpu_mask();
    let descriptor = DeviceDescriptor { required_limits, required_features, ..Default::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).expect("a device");
    let backend = adapter.get_info().backend;
    WgpuSetup { instance, adapter, device, queue, backend }
}

#[test]
fn not_a_number_is_found_on_the_host() {
    let _idle = Idle;
    let device = Device::flex();
    let tensor = zeros([1, 2, 5, 8], &device);
    let broken = tensor.clone() / 0.0;
    let exact = AttentionOptions::new(Method::Exact);
    let error = refused([tensor.clone(), broken, tensor], &exact, &["`keys`", "NaN"]);
    assert!(matches!(error, Error::NotFinite { tensor: "keys", .. }));
}
