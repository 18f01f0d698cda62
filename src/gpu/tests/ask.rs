//! Asks functions that shaders share, by themselves.

use crate::gpu::adapter::{self, AdapterDescription};
use crate::gpu::compose::{pieces, plain, Tile};
use crate::gpu::read_back::{read_back, staging_buffer};
use bytemuck::{Pod, Zeroable};

/// The answers of an adapter to questions: of a shader whose entry point `answer` reads `questions` and writes `answers`, 64 invocations a
/// workgroup. Constants that it leaves open are text.
pub fn ask<Q: Pod, A: Pod>(description: &AdapterDescription, shader: &str, constants: &str, questions: &[Q]) -> Vec<A> {
    let adapter = description.adapter.as_ref().expect("a listed adapter");
    pollster::block_on(answers(adapter, shader, constants, questions))
}

async fn answers<Q: Pod, A: Pod>(adapter: &wgpu::Adapter, shader: &str, constants: &str, questions: &[Q]) -> Vec<A> {
    let (device, queue) = adapter::open(adapter).await.expect("the adapter opens");
    let mut source: String = pieces(shader, Tile::ROWS).iter().map(|piece| plain(piece.source)).collect();
    // Here questions say what the uniform does elsewhere.
    source = source.replace("@group(0) @binding(0) var<uniform> params: Params;", "var<private> params: Params;");
    source += constants;
    source += &plain(shader);
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("questions"),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("questions"),
        layout: None,
        module: &module,
        entry_point: Some("answer"),
        compilation_options: Default::default(),
        cache: None,
    });
    let buffer = |bytes: u64| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: bytes,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        })
    };
    let input = buffer(size_of_val(questions) as u64);
    let output = buffer((questions.len() * size_of::<A>()) as u64);
    queue.write_buffer(&input, 0, bytemuck::cast_slice(questions));
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[
            wgpu::BindGroupEntry { binding: 0, resource: input.as_entire_binding() },
            wgpu::BindGroupEntry { binding: 1, resource: output.as_entire_binding() },
        ],
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(questions.len().div_ceil(64) as u32, 1, 1);
    }
    let staging = staging_buffer(&device, output.size());
    encoder.copy_buffer_to_buffer(&output, 0, &staging, 0, output.size());
    queue.submit([encoder.finish()]);
    let mut answers: Vec<A> = vec![Zeroable::zeroed(); questions.len()];
    read_back(&device, &staging, bytemuck::cast_slice_mut(&mut answers)).await.expect("the answers");
    answers
}
