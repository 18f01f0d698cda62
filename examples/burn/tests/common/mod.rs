//! Devices and inputs of the tests.
#![allow(dead_code)] // each test file uses a part

use burn::tensor::{Device, DeviceKind, Tensor, TensorData};
use clustered_attention::burn::{init_wgpu, AttentionOptions, Lengths};
use clustered_attention::{Attention, Backend, Inputs, Method, Problem, Shape};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Every wgpu device of this process.
static OPENED: Mutex<Vec<Device>> = Mutex::new(Vec::new());

/// A device that a test opened, so that [`Idle`] waits for it too.
pub fn opened(device: Device) -> Device {
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if !opened.contains(&device) {
        opened.push(device.clone());
    }
    device
}

/// Waits, when it is dropped, for all that was asked of the devices and not read. Every test holds one: Burn submits what nobody reads too,
/// and a software adapter compiles and computes in threads of this process, whose libraries the end of the process takes away under them.
/// Any program that leaves work to such an adapter when it ends can crash so, with this crate and without.
#[must_use]
pub struct Idle;

impl Drop for Idle {
    fn drop(&mut self) {
        let devices = OPENED.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for device in devices {
            let finished = device.sync();
            assert!(finished.is_ok() || std::thread::panicking(), "{finished:?}");
        }
    }
}

/// The device of Burn's wgpu backend that all tests of a file share; Burn opens a selector once.
pub fn wgpu_device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    let open = || init_wgpu(Device::wgpu_options()).expect("these tests need a wgpu adapter; a software one will do");
    opened(DEVICE.get_or_init(open).clone())
}

/// A selector that nobody gave the crate the handles of.
pub fn unknown_wgpu_device() -> Device {
    opened(Device::wgpu(DeviceKind::Cpu))
}

/// Both kinds of devices.
pub fn devices() -> [Device; 2] {
    [Device::flex(), wgpu_device()]
}

/// All methods, for some hundred positions.
pub fn methods() -> [Method; 5] {
    [
        Method::Exact,
        Method::clustered(7),
        Method::improved(7).with_top_k(9),
        Method::stitched(7).with_top_k(9).with_window(Some(5)),
        Method::stitched(7).with_top_k(9).with_window(None),
    ]
}

/// Numbers that look random and are the same everywhere.
pub fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| 2.0 * next()).collect()
}

/// Queries, keys and values of a shape.
pub fn input(shape: &Shape, seed: u32) -> [Vec<f32>; 3] {
    let counts = [shape.query_elements(), shape.key_elements(), shape.value_elements()];
    let mut seeds = seed..;
    counts.map(|count| numbers(count, seeds.next().unwrap_or_default()))
}

/// The dimensions of queries, keys and values.
pub fn dimensions(shape: &Shape) -> [[usize; 4]; 3] {
    [
        [shape.batch, shape.query_heads, shape.queries, shape.width],
        [shape.batch, shape.key_heads, shape.keys, shape.width],
        [shape.batch, shape.key_heads, shape.keys, shape.value_width],
    ]
}

pub fn tensor(data: &[f32], dimensions: [usize; 4], device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(data.to_vec(), dimensions), device)
}

/// The three as tensors.
pub fn tensors(shape: &Shape, data: &[Vec<f32>; 3], device: &Device) -> [Tensor<4>; 3] {
    let mut dimensions = dimensions(shape).into_iter();
    data.each_ref().map(|data| tensor(data, dimensions.next().unwrap_or_default(), device))
}

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("a tensor of floats")
}

/// What the crate's CPU back end makes of it, without Burn.
pub fn expected(shape: &Shape, data: &[Vec<f32>; 3], options: &AttentionOptions) -> Vec<f32> {
    expected_with_lengths(shape, data, Lengths::default(), options)
}

/// The same of sequences of different lengths.
pub fn expected_with_lengths(
    shape: &Shape,
    data: &[Vec<f32>; 3],
    lengths: Lengths,
    options: &AttentionOptions,
) -> Vec<f32> {
    let mut problem = Problem::new(*shape, options.method).expect("a problem");
    if let Some(scale) = options.scale {
        problem = problem.with_scale(scale).expect("a scale");
    }
    let inputs = Inputs::new(&data[0], &data[1], &data[2]);
    let inputs = inputs.with_query_lengths(lengths.queries).with_key_lengths(lengths.keys);
    let cpu = Attention::new_blocking(Backend::Cpu).expect("the CPU");
    cpu.run_blocking(&problem, &inputs).expect("attention")
}

/// The L2 norm of a difference over that of what is expected.
pub fn relative_difference(actual: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(actual.len(), expected.len());
    let square = |sum: f64, value: f64| sum + value * value;
    let difference = actual.iter().zip(expected).map(|(&a, &b)| f64::from(a) - f64::from(b)).fold(0.0, square);
    let total = expected.iter().map(|&value| f64::from(value)).fold(0.0, square);
    (difference / total).sqrt()
}
