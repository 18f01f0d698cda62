//! Halves on every adapter: each number as the host rounds it, and outputs as those of float32, rounded once.

use super::adapters;
use crate::gpu::adapter;
use crate::gpu::compose::plain;
use crate::gpu::device_attention::{DeviceAttention, DeviceTensors};
use crate::gpu::pipelines::Kernels;
use crate::gpu::read_back::{read_back, staging_buffer};
use crate::limits::Limits;
use crate::plan::{Plan, Tensor};
use crate::problem::Stored;
use crate::{Element, Grid, Guard, Layout, Method, Problem, Shape, Stitched};
use half::f16;

/// An adapter that was opened.
struct Open {
    name: String,
    device: wgpu::Device,
    queue: wgpu::Queue,
    kernels: Kernels,
    /// Whether shaders may use `unpack2x16float`.
    has_instruction: bool,
}

fn open_adapters() -> Vec<Open> {
    let opened = adapters().into_iter().map(|description| {
        let adapter = description.adapter.as_ref().expect("a listed adapter");
        let (device, queue) = pollster::block_on(adapter::open(adapter)).expect("the adapter opens");
        let flags = adapter.get_downlevel_capabilities().flags;
        let has_instruction = flags.contains(wgpu::DownlevelFlags::SHADER_F16_IN_F32);
        let kernels = Kernels::new(&device).expect("kernels");
        Open { name: description.to_string(), device, queue, kernels, has_instruction }
    });
    opened.collect()
}

impl Open {
    /// A storage buffer, of a multiple of 4 bytes, that begins with some.
    fn buffer(&self, bytes: &[u8], size: u64) -> wgpu::Buffer {
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let mut bytes = bytes.to_vec();
        bytes.resize(bytes.len().next_multiple_of(4), 0xff);
        self.queue.write_buffer(&buffer, 0, &bytes);
        buffer
    }

    fn read(&self, buffer: &wgpu::Buffer, bytes: usize) -> Vec<u8> {
        let staging = staging_buffer(&self.device, buffer.size());
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
        self.queue.submit([encoder.finish()]);
        let mut read = vec![0; bytes];
        pollster::block_on(read_back(&self.device, &staging, &mut read)).expect("a buffer");
        read
    }
}

/// Numbers as they are stored.
fn narrowed<E: Stored>(numbers: &[f32]) -> Vec<E> {
    let mut stored = vec![E::default(); numbers.len()];
    E::narrow(numbers, &mut stored);
    stored
}

const ROUND: &str = "
@group(0) @binding(0) var<storage, read> numbers: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> results: array<vec4u>;

@compute @workgroup_size(64)
fn convert(@builtin(global_invocation_id) invocation: vec3u) {
    if (invocation.x < arrayLength(&numbers)) {
        results[invocation.x] = halves_of(numbers[invocation.x]);
    }
}
";

const WIDEN: &str = "
@group(0) @binding(0) var<storage, read> numbers: array<u32>;
@group(0) @binding(1) var<storage, read_write> results: array<vec2u>;

@compute @workgroup_size(64)
fn convert(@builtin(global_invocation_id) invocation: vec3u) {
    if (invocation.x < arrayLength(&numbers)) {
        results[invocation.x] = bitcast<vec2u>(floats_of(numbers[invocation.x]));
    }
}
";

/// What a shader makes of some words, of a vector or of a word an invocation.
fn converted(open: &Open, source: &str, words: &[u32], invocations: usize, results: usize) -> Vec<u32> {
    let module = open.device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("halves"),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    let pipeline = open.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("halves"),
        layout: None,
        module: &module,
        entry_point: Some("convert"),
        compilation_options: Default::default(),
        cache: None,
    });
    let input = open.buffer(bytemuck::cast_slice(words), 4 * words.len() as u64);
    let output = open.buffer(&[], 4 * results as u64);
    let group = open.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[
            wgpu::BindGroupEntry { binding: 0, resource: input.as_entire_binding() },
            wgpu::BindGroupEntry { binding: 1, resource: output.as_entire_binding() },
        ],
    });
    let mut encoder = open.device.create_command_encoder(&Default::default());
    {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(invocations.div_ceil(64) as u32, 1, 1);
    }
    open.queue.submit([encoder.finish()]);
    bytemuck::pod_collect_to_vec(&open.read(&output, 4 * results))
}

#[test]
fn numbers_are_rounded_as_on_the_host() {
    // All halves, what lies between each and the next, a little less and a little more, and numbers of every exponent.
    let halves = (0..0x7c00u16).map(|bits| (f16::from_bits(bits).to_f32(), f16::from_bits(bits + 1).to_f32()));
    let around = |(low, high): (f32, f32)| {
        // Behind the largest half comes what would be the next one.
        let middle = if high.is_finite() { (low + high) / 2.0 } else { 65_520.0 };
        [low, middle, f32::from_bits(middle.to_bits() - 1), f32::from_bits(middle.to_bits() + 1)]
    };
    let mut numbers: Vec<f32> = halves.flat_map(around).collect();
    numbers.extend((0..255u32 << 4).map(|bits| f32::from_bits(bits << 19 | 0x1234)));
    numbers.extend(numbers.clone().iter().map(|number| -number));
    numbers.resize(numbers.len().next_multiple_of(4), 1.0);
    let expected: Vec<f16> = narrowed(&numbers);
    for open in open_adapters() {
        let source = plain(include_str!("../../../shaders/shared/halves.wgsl")) + ROUND;
        let words = bytemuck::cast_slice(&numbers);
        let rounded = converted(&open, &source, words, numbers.len() / 4, numbers.len());
        for ((number, expected), &rounded) in numbers.iter().zip(&expected).zip(&rounded) {
            assert_eq!(rounded, u32::from(expected.to_bits()), "{}: {number:e} is {expected}", open.name);
        }
        let none = [f32::NAN, f32::INFINITY, -f32::NAN, f32::NEG_INFINITY].map(f32::to_bits);
        let rounded = converted(&open, &source, &none, 1, 4);
        assert!(rounded.iter().all(|&bits| f16::from_bits(bits as u16).is_nan()), "{}: {rounded:?}", open.name);
    }
}

#[test]
fn halves_are_widened_as_on_the_host() {
    let words: Vec<u32> = (0..0x8000).map(|word| (2 * word) | ((2 * word + 1) << 16)).collect();
    for open in open_adapters() {
        let by_integers = include_str!("../../../shaders/shared/halves_by_integers.wgsl");
        let by_instruction = include_str!("../../../shaders/shared/halves_by_instruction.wgsl");
        let sources = [Some(by_integers), open.has_instruction.then_some(by_instruction)];
        for (source, by_integers) in sources.into_iter().flatten().zip([true, false]) {
            let widened = converted(&open, &(plain(source) + WIDEN), &words, words.len(), 2 * words.len());
            for (bits, widened) in (0..=u16::MAX).zip(widened) {
                let (expected, widened) = (f16::from_bits(bits).to_f32(), f32::from_bits(widened));
                // Devices may take the smallest halves for zeros.
                let flushed = !by_integers && expected.abs() < 6.2e-5 && widened == 0.0;
                let same = expected.to_bits() == widened.to_bits() || (expected.is_nan() && widened.is_nan());
                assert!(same || flushed, "{}: {bits:x} is {expected}, not {widened}", open.name);
            }
        }
    }
}

/// Tensors of a problem in float32 that halves hold exactly.
fn data(problem: &Problem) -> [Vec<f32>; 3] {
    let elements = [problem.query_elements(), problem.key_elements(), problem.value_elements()];
    let mut state = 7u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f16::from_f32((state >> 8) as f32 / (1 << 22) as f32 - 2.0).to_f32()
    };
    elements.map(|count| (0..count).map(|_| next()).collect())
}

/// The output of a problem, in many dispatches, with each tensor so many elements behind what bindings are rounded down to; in buffers of their
/// own, or in one with the output between queries and keys.
fn output<E: Stored>(open: &Open, problem: &Problem, data: &[Vec<f32>; 3], shift: usize, one_buffer: bool) -> Vec<E> {
    let problem = problem.with_element(E::ELEMENT);
    // Exact attention is cut over as many keys at a time as a dispatch has at least.
    let limits = Limits::of(&open.device);
    // Where there is a choice, halves are widened by the instruction in one case and by integers in the other.
    let software = limits.software && (one_buffer || !open.has_instruction);
    // Tiles of blocks too, for which software adapters compile long.
    let few = [Method::Exact, Method::stitched(5).with_top_k(6)].contains(problem.method());
    let block_queries = if few && !one_buffer { 4 } else { limits.block_queries };
    let limits = Limits { operations_per_dispatch: 1, software, block_queries, ..limits };
    let plan = Plan::new(&problem, &limits).expect("a plan");
    let mut attention = DeviceAttention::with_plan(&open.kernels, plan).expect("it fits");
    let bytes = |elements: usize| E::ELEMENT.bytes_of(elements);
    let stored = |tensor: Tensor| match data.get(tensor as usize) {
        Some(data) => narrowed(data),
        None => vec![E::default(); tensor.elements(&problem)],
    };
    let (mut content, mut ranges) = (Vec::new(), Vec::new());
    for tensor in [Tensor::Queries, Tensor::Output, Tensor::Keys, Tensor::Values] {
        content.resize(content.len().next_multiple_of(256) + bytes(shift) as usize, 0xff);
        let begin = content.len() as u64;
        content.extend_from_slice(E::bytes(&stored(tensor)));
        ranges.push(begin..content.len() as u64);
    }
    let size = content.len().next_multiple_of(4) as u64;
    let buffers: Vec<wgpu::Buffer> = match one_buffer {
        true => vec![open.buffer(&content, size); 4],
        false => (0..4).map(|_| open.buffer(&content, size)).collect(),
    };
    let slice = |place: usize| buffers[place].slice(ranges[place].clone());
    let tensors = DeviceTensors::new(slice(0), slice(2), slice(3), slice(1));
    let mut encoder = open.device.create_command_encoder(&Default::default());
    attention.record(&mut encoder, &tensors).expect("tensors that fit");
    open.queue.submit([encoder.finish()]);
    let read = open.read(&buffers[1], content.len());
    let (begin, end) = (ranges[1].start as usize, ranges[1].end as usize);
    assert!(read[..begin] == content[..begin], "{}: written before the output", open.name);
    assert!(read[end..] == content[end..], "{}: written behind the output", open.name);
    let mut output = vec![E::default(); (end - begin) / E::ELEMENT.bytes()];
    E::bytes_mut(&mut output).copy_from_slice(&read[begin..end]);
    output
}

/// Whatever rests between kernels is float32, so that nothing but the last rounding tells the two apart.
#[test]
fn outputs_are_those_of_float32_rounded_once() {
    let hamming = Method::Stitched(Stitched::hamming(5)).with_top_k(6);
    let methods = [
        Method::Exact,
        Method::sliding_window(5, 3).with_sinks(2),
        Method::clustered(5),
        Method::improved(5).with_top_k(6),
        Method::stitched(5).with_top_k(6),
        Method::stitched(5).with_top_k(6).with_window(None),
        Method::stitched(5).with_top_k(6).with_grid(Grid::new(4, 17).with_leading(2).with_radii(1, 2)),
        Method::stitched(5).with_top_k(6).with_guard(Guard::new().with_tolerance(0.001)),
        hamming,
        hamming.with_window(None),
    ];
    let shape = |value_width| Shape::self_attention(2, 4, 70, 12).with_key_heads(2).with_value_width(value_width);
    let mut cases: Vec<(Problem, usize, bool)> = Vec::new();
    for method in methods {
        for (layout, value_width, shift, one_buffer) in
            [(Layout::HeadsFirst, 20, 0, false), (Layout::LengthFirst, 7, 1, true)]
        {
            let problem = Problem::new(shape(value_width), method).expect("a problem").with_layout(layout);
            cases.push((problem, shift, one_buffer));
        }
    }
    // Several dispatches of each tile, in vectors and not.
    for width in [8, 5] {
        let long = Shape { keys: 2500, ..Shape::self_attention(1, 1, 70, width) };
        cases.push((Problem::new(long, Method::Exact).expect("a problem"), 0, false));
    }
    for open in open_adapters() {
        for (problem, shift, one_buffer) in &cases {
            let data = data(problem);
            let wide: Vec<f32> = output(&open, problem, &data, *shift, *one_buffer);
            let halves: Vec<f16> = output(&open, problem, &data, *shift, *one_buffer);
            let expected: Vec<f16> = narrowed(&wide);
            let name = format!("{}: {:?}, {:?}, {shift}", open.name, problem.method(), problem.shape());
            assert!(expected.iter().any(|number| *number != f16::ZERO), "{name}");
            // Compilers may fuse what they load otherwise; then few numbers fall on the other side of a middle.
            let apart = |(one, other): (&f16, &f16)| (one.to_bits() & 0x7fff).abs_diff(other.to_bits() & 0x7fff);
            let distances: Vec<u16> = halves.iter().zip(&expected).map(apart).collect();
            let differing = distances.iter().filter(|&&distance| distance > 0).count();
            assert!(distances.iter().all(|&distance| distance <= 1), "{name}");
            assert!(50 * differing <= distances.len(), "{name}: {differing} of {}", distances.len());
        }
    }
}

#[test]
fn sums_rest_in_scratch_memory_where_a_later_kernel_goes_on_with_them() {
    let words = |method, element| {
        let problem = Problem::new(Shape::self_attention(1, 1, 300, 20), method).expect("a problem");
        let plan = Plan::new(&problem.with_element(element), &Limits::webgpu_defaults()).expect("a plan");
        plan.scratch_bytes() / 4
    };
    let more = |method| words(method, Element::F16) - words(method, Element::F32);
    assert_eq!(more(Method::Exact), 300 * 20);
    assert_eq!(more(Method::stitched(5)), 300 * 20);
    assert_eq!(more(Method::stitched(5).with_window(None)), 0);
    assert_eq!(more(Method::improved(5)), 0);
}
