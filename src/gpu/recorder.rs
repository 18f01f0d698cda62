//! Bind groups, parameters and dispatches for one set of tensors: everything that recording needs, made once.

use super::kernels::{kernel, Access, Operand};
use super::key::KernelKey;
use super::launch::{count, dispatches, Dispatch};
use super::params::Params;
use super::pipelines::{Kernels, Pipeline};
use super::variant::Variant;
use crate::plan::{Chunk, Plan, Tensor};
use crate::stages::{Given, Kept, Scratch, Stage};
use std::collections::HashMap;
use std::sync::Arc;

/// A buffer range as a caller gave it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Range {
    pub buffer: wgpu::Buffer,
    pub offset: u64,
    pub size: u64,
}

/// The tensors of a call, in the order of [`Tensor::ALL`].
pub(crate) type Ranges = [Range; 4];

/// Whether the output lies in the buffer of an input.
fn output_shares_a_buffer(ranges: &Ranges) -> bool {
    let output = &ranges[Tensor::Output as usize].buffer;
    Tensor::ALL.iter().any(|&tensor| tensor != Tensor::Output && ranges[tensor as usize].buffer == *output)
}

/// Memory that belongs to a built problem, whatever tensors it is given.
#[derive(Debug)]
pub(crate) struct Memory {
    pub scratch: HashMap<Scratch, wgpu::Buffer>,
    pub planes: wgpu::Buffer,
    pub starts: wgpu::Buffer,
    pub lengths: wgpu::Buffer,
}

impl Memory {
    fn buffer(&self, operand: Operand) -> Option<&wgpu::Buffer> {
        match operand {
            Operand::Scratch(scratch) => self.scratch.get(&scratch),
            Operand::Planes => Some(&self.planes),
            Operand::Starts => Some(&self.starts),
            Operand::Lengths => Some(&self.lengths),
            Operand::Tensor(_) | Operand::Side | Operand::Checked | Operand::FoundBad => None,
        }
    }
}

/// One dispatch, ready to be recorded.
#[derive(Debug)]
pub(crate) struct Step {
    pub stage: Stage,
    pub operations: u64,
    /// What a trace keeps once it is done.
    pub kept: Option<Kept>,
    pipeline: Arc<Pipeline>,
    bind_group: wgpu::BindGroup,
    params_offset: u32,
    workgroups: [u32; 3],
}

impl Step {
    pub fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        let [x, y, z] = self.workgroups;
        pass.set_pipeline(&self.pipeline.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[self.params_offset]);
        pass.dispatch_workgroups(x, y, z);
    }
}

/// The steps of a chunk, in order.
#[derive(Debug)]
pub(crate) struct ChunkSteps {
    pub chunk: Chunk,
    pub steps: Vec<Step>,
}

/// Everything that is recorded for one set of tensors.
#[derive(Debug)]
pub(crate) struct Recording {
    pub ranges: Ranges,
    pub chunks: Vec<ChunkSteps>,
}

impl Recording {
    fn params_stride(plan: &Plan) -> usize {
        size_of::<Params>().next_multiple_of(plan.limits.uniform_alignment_bytes as usize)
    }

    /// Bytes of the uniforms of all dispatches, at most.
    pub fn params_bytes(plan: &Plan, given: Given) -> u64 {
        let mut known = (0, 0);
        let dispatches = plan.chunks().fold(0u64, |sum, chunk| {
            if known.0 != chunk.slices() {
                known = (chunk.slices(), count(plan, chunk.slices(), given));
            }
            sum.saturating_add(known.1)
        });
        dispatches.saturating_mul(Self::params_stride(plan) as u64)
    }

    /// Makes bind groups and parameters, and compiles kernels that were not yet.
    pub fn new(kernels: &Kernels, plan: &Plan, memory: &Memory, ranges: &Ranges, given: Given) -> Self {
        let device = kernels.device();
        let params_stride = Self::params_stride(plan);
        let work: Vec<(Chunk, Vec<Dispatch>)> = plan
            .chunks()
            .map(|chunk| {
                let dispatches = dispatches(plan, &chunk, given);
                (chunk, dispatches)
            })
            .collect();
        let count: usize = work.iter().map(|(_, dispatches)| dispatches.len()).sum();
        let params_buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("clustered-attention params"),
            size: (count * params_stride) as u64,
            usage: wgpu::BufferUsages::UNIFORM,
            mapped_at_creation: true,
        });
        let mut params_bytes = vec![0; count * params_stride];
        let offsets = ranges.iter().map(|range| range.offset);
        let variant = Variant::decide(&plan.problem, offsets, output_shares_a_buffer(ranges)).on(&plan.limits);
        let mut chunks = Vec::with_capacity(work.len());
        let mut next = 0;
        for (chunk, dispatches) in work {
            let bindings = Bindings::new(plan, &chunk, ranges);
            let mut groups: HashMap<(&str, Tensor), (Arc<Pipeline>, wgpu::BindGroup)> = HashMap::new();
            let mut steps = Vec::with_capacity(dispatches.len());
            for dispatch in dispatches {
                let side = if dispatch.role.is_of_keys() { Tensor::Keys } else { Tensor::Queries };
                let (pipeline, bind_group) = groups.entry((dispatch.kernel, side)).or_insert_with(|| {
                    let kernel = kernel(dispatch.kernel);
                    let key = KernelKey::new(kernel, &plan.cut, given, variant);
                    let pipeline = kernels.pipeline(kernel, key, size_of::<Params>());
                    let bind_group =
                        bindings.group(device, &pipeline, (&kernel.bindings, side), memory, &params_buffer);
                    (pipeline, bind_group)
                });
                let params = Params::new(plan, &chunk, &dispatch, bindings.origins);
                let offset = next * params_stride;
                params_bytes[offset..][..size_of::<Params>()].copy_from_slice(bytemuck::bytes_of(&params));
                steps.push(Step {
                    stage: dispatch.stage,
                    operations: dispatch.operations,
                    kept: dispatch.kept,
                    pipeline: pipeline.clone(),
                    bind_group: bind_group.clone(),
                    params_offset: offset as u32,
                    workgroups: dispatch.workgroups,
                });
                next += 1;
            }
            chunks.push(ChunkSteps { chunk, steps });
        }
        if let Ok(mut view) = params_buffer.slice(..).get_mapped_range_mut() {
            view.copy_from_slice(&params_bytes);
        }
        params_buffer.unmap();
        Self { ranges: ranges.clone(), chunks }
    }

    /// Records every step into one compute pass, each run of a stage in a debug group of its name.
    pub fn record(&self, encoder: &mut wgpu::CommandEncoder) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("clustered-attention"),
            timestamp_writes: None,
        });
        for chunk in &self.chunks {
            for run in chunk.steps.chunk_by(|one, next| one.stage == next.stage) {
                pass.push_debug_group(run[0].stage.name());
                run.iter().for_each(|step| step.record(&mut pass));
                pass.pop_debug_group();
            }
        }
    }
}

/// Where the tensors of a chunk are bound.
struct Bindings<'a> {
    tensors: [wgpu::BufferBinding<'a>; 4],
    /// Element of the tensor at which its binding begins; may be negative.
    origins: [i64; 4],
}

impl<'a> Bindings<'a> {
    fn new(plan: &Plan, chunk: &Chunk, ranges: &'a Ranges) -> Self {
        let alignment = u64::from(plan.limits.offset_alignment_bytes);
        let element = plan.problem.element();
        let mut origins = [0; 4];
        let tensors = Tensor::ALL.map(|tensor| {
            let range = &ranges[tensor as usize];
            let (begin, _) = tensor.span(&plan.problem, chunk);
            let first_byte = range.offset + element.bytes_of(begin);
            let offset = first_byte / alignment * alignment;
            origins[tensor as usize] = (offset as i64 - range.offset as i64) / element.bytes() as i64;
            wgpu::BufferBinding {
                buffer: &range.buffer,
                offset,
                size: std::num::NonZeroU64::new(plan.binding_bytes(tensor, chunk, range.offset)),
            }
        });
        Self { tensors, origins }
    }

    fn tensor(&self, tensor: Tensor) -> wgpu::BindingResource<'a> {
        wgpu::BindingResource::Buffer(self.tensors[tensor as usize].clone())
    }

    fn group(
        &self,
        device: &wgpu::Device,
        pipeline: &Pipeline,
        (operands, side): (&[(Operand, Access)], Tensor),
        memory: &Memory,
        params: &wgpu::Buffer,
    ) -> wgpu::BindGroup {
        let params = wgpu::BufferBinding {
            buffer: params,
            offset: 0,
            size: std::num::NonZeroU64::new(size_of::<Params>() as u64),
        };
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(params) }];
        for (index, (operand, _)) in operands.iter().enumerate() {
            let resource = match (operand, memory.buffer(*operand)) {
                (Operand::Tensor(tensor), _) => self.tensor(*tensor),
                (Operand::Side, _) => self.tensor(side),
                (_, Some(buffer)) => buffer.as_entire_binding(),
                // Does not happen: every step's memory is in the plan's table, as a test holds.
                (_, None) => memory.starts.as_entire_binding(),
            };
            entries.push(wgpu::BindGroupEntry { binding: index as u32 + 1, resource });
        }
        device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.layout,
            entries: &entries,
        })
    }
}
