//! Attention in an app's own command encoder, between the app's own commands, on slices of the app's own buffers.
use clustered_attention::wgpu::{self, util::DeviceExt, BufferUsages as Usage};
use clustered_attention::{Attention, Backend, DeviceAttention, DeviceTensors, ExactRows, Inputs, Kernels, Limits};
use clustered_attention::{Method, Plan, Problem, Rows, Shape};
use std::time::Instant;

/// The app's own kernel: it keeps its data in half precision and makes floats of them for attention.
const WIDEN: &str = "
@group(0) @binding(0) var<storage> halves: array<u32>;
@group(0) @binding(1) var<storage, read_write> floats: array<vec2f>;
@compute @workgroup_size(64) fn widen(@builtin(global_invocation_id) id: vec3u) {
    if (id.x < arrayLength(&halves)) { floats[id.x] = unpack2x16float(halves[id.x]); }
}";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // What the app has: a device, and queries, keys and values, `[1, 2, 1500, 64]` each, one after another in one buffer.
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let Ok(adapter) = pollster::block_on(instance.request_adapter(&Default::default())) else {
        println!("There is no GPU adapter here, not even a software one. The example `quickstart` needs none.");
        return Ok(());
    };
    let descriptor = wgpu::DeviceDescriptor { required_limits: adapter.limits(), ..Default::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
    let file = safetensors::SafeTensors::deserialize(include_bytes!("data/speech_heads.safetensors"))?;
    let halves = [file.tensor("q")?.data(), file.tensor("k")?.data(), file.tensor("v")?.data()].concat();
    let shape = Shape::self_attention(1, 2, 1500, 64);
    let size = 4 * shape.query_elements() as u64;
    let buffer = |size, usage| {
        device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
    };
    let (floats, output) = (buffer(3 * size, Usage::STORAGE), buffer(size, Usage::STORAGE | Usage::COPY_SRC));
    let staging = buffer(size, Usage::COPY_DST | Usage::MAP_READ);
    let init = wgpu::util::BufferInitDescriptor { label: None, contents: &halves, usage: Usage::STORAGE };
    let input = device.create_buffer_init(&init);
    let source = wgpu::ShaderSource::Wgsl(WIDEN.into());
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
    let widen = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: None,
        compilation_options: Default::default(),
        cache: None,
    });
    let entry = |(binding, buffer)| wgpu::BindGroupEntry { binding, resource: wgpu::Buffer::as_entire_binding(buffer) };
    let (layout, entries) = (&widen.get_bind_group_layout(0), &[(0, &input), (1, &floats)].map(entry));
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries });

    // Once: the device's kernels, the problem's scratch memory, the bind groups of these slices.
    let problem = Problem::new(shape, Method::stitched(25))?;
    let plan = Plan::new(&problem, &Limits::of(&device))?;
    println!("{}: attention will hold {} bytes of scratch memory", adapter.get_info().name, plan.scratch_bytes());
    let kernels = Kernels::new(&device)?;
    let mut attention = DeviceAttention::new(&kernels, &problem)?;
    let tensors = DeviceTensors::new(
        floats.slice(..size),
        floats.slice(size..2 * size),
        floats.slice(2 * size..),
        output.slice(..),
    );
    attention.prepare(&tensors)?; // compiles the kernels; otherwise the first `record` does

    // As often as there is new data: the app's commands, attention, the app's commands, in one submission. The first can be slow: some
    // drivers compile only then.
    for name in ["first", "second"] {
        let begin = Instant::now();
        let mut encoder = device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&widen);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups((input.size() / 4).div_ceil(64) as u32, 1, 1);
        }
        attention.record(&mut encoder, &tensors)?;
        encoder.copy_buffer_to_buffer(&output, 0, &staging, 0, size);
        queue.submit([encoder.finish()]);
        device.poll(wgpu::PollType::wait_indefinitely())?; // an app would go on; this is to take the time
        println!("{name} submission: {:.1} ms", begin.elapsed().as_secs_f64() * 1e3);
    }

    // To see that it worked: read the result and compare it with exact attention, computed on the CPU.
    staging.slice(..).map_async(wgpu::MapMode::Read, |_| {});
    device.poll(wgpu::PollType::wait_indefinitely())?;
    let output = bytemuck::cast_slice(&staging.slice(..).get_mapped_range()?).to_vec();
    let to_float = |bytes: &[u8]| half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f32();
    let all: Vec<f32> = halves.chunks_exact(2).map(to_float).collect();
    let [queries, keys, values] = [0, 1, 2].map(|index| &all[index * output.len()..][..output.len()]);
    let (cpu, inputs) = (Attention::new_blocking(Backend::Cpu)?, Inputs::new(queries, keys, values));
    let exact = ExactRows::compute_blocking(&cpu, &problem, &inputs, Rows::All)?;
    println!("relative error against exact attention: {:.3}", exact.compare(&output)?.relative_error);
    Ok(())
}
