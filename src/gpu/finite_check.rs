//! Looks for NaN and infinities in tensors on the device.

use super::compose::Tile;
use super::device_attention::check_slice;
use super::device_attention::filled_buffer;
use super::kernels::kernel;
use super::key::KernelKey;
use super::params::Layout;
use super::pipelines::Kernels;
use super::variant::Variant;
use crate::limits::Limits;
use crate::plan::Tensor;
use crate::{Error, Problem, Result};
use bytemuck::{Pod, Zeroable};

/// Value of a [`FiniteCheck`]'s result where every valid element is finite.
pub const NO_BAD_ELEMENT: u32 = u32::MAX;

/// Finds the first NaN or infinity among the valid elements of queries, keys, values or output on the device.
///
/// Attention on the device does not look at its inputs, nor whether logits (`query · key`) or sums of values exceed float32 although all inputs
/// are finite; this kernel does, where an app wants to know. The result stays on the device
/// ([`FiniteCheck::result_buffer`]) until the app copies it: one `u32`, the smallest offset in elements from the beginning of the tensor,
/// or [`NO_BAD_ELEMENT`]. Costs one read of the tensor.
#[derive(Debug)]
pub struct FiniteCheck {
    kernels: Kernels,
    problem: Problem,
    result: wgpu::Buffer,
    initial: wgpu::Buffer,
}

/// The uniform of a check. Mirrors `struct CheckParams` of `shaders/check_finite.wgsl`; a test compares the two.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct CheckParams {
    pub layout: Layout,
    pub heads: u32,
    pub rows: u32,
    pub width: u32,
    pub first_length: u32,
    pub slice_begin: u32,
    pub tile_begin: u32,
    pub reserved: [u32; 2],
}

/// Which tensor is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckedTensor {
    /// The queries.
    Queries,
    /// The keys.
    Keys,
    /// The values.
    Values,
    /// The output, once attention was recorded: not finite although all inputs are where logits or sums of values exceed float32.
    Output,
}

impl FiniteCheck {
    /// Prepares checks of a problem's tensors.
    pub fn new(kernels: &Kernels, problem: &Problem) -> Self {
        let initial = NO_BAD_ELEMENT.to_le_bytes().repeat(4);
        let buffer = |label| filled_buffer(kernels.device(), label, &initial);
        Self { kernels: kernels.clone(), problem: *problem, result: buffer("found"), initial: buffer("not found") }
    }

    /// Records a check of one tensor. `lengths` are those of [`DeviceAttention::lengths_buffer`](super::DeviceAttention::lengths_buffer).
    ///
    /// # Errors
    /// Names a slice that is too small, lacks a usage or is misaligned, or a tensor that exceeds the device's binding limit.
    pub fn record(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        checked: CheckedTensor,
        slice: wgpu::BufferSlice,
        lengths: &wgpu::Buffer,
    ) -> Result<()> {
        self.kernels.check_alive()?;
        let (problem, shape) = (&self.problem, self.problem.shape());
        let (tensor, strides, heads, rows, width, first_length) = match checked {
            CheckedTensor::Queries => {
                (Tensor::Queries, problem.query_strides(), shape.query_heads, shape.queries, shape.width, 0)
            }
            CheckedTensor::Keys => {
                (Tensor::Keys, problem.key_strides(), shape.key_heads, shape.keys, shape.width, shape.batch)
            }
            CheckedTensor::Values => {
                (Tensor::Values, problem.value_strides(), shape.key_heads, shape.keys, shape.value_width, shape.batch)
            }
            CheckedTensor::Output => {
                (Tensor::Output, problem.output_strides(), shape.query_heads, shape.queries, shape.value_width, 0)
            }
        };
        let element = problem.element();
        check_slice(tensor.name(), &slice, element, tensor.elements(problem))?;
        let device = self.kernels.device();
        let limits = Limits::of(device);
        let alignment = u64::from(limits.offset_alignment_bytes);
        let offset = slice.offset() / alignment * alignment;
        // Shaders read words.
        let size = (element.bytes_of(tensor.elements(problem)) + slice.offset() - offset).next_multiple_of(4);
        if size > limits.binding_bytes {
            return Err(Error::ExceedsLimit {
                what: format!("`{}`", tensor.name()),
                needed: size,
                allowed: limits.binding_bytes,
                unit: "bytes",
                limit: "max_storage_buffer_binding_size",
            });
        }
        // The offset that is found counts from the tensor's first element, wherever the binding begins.
        let origin = (offset as i64 - slice.offset() as i64) / element.bytes() as i64;
        let most = limits.workgroups_per_dimension as usize;
        let check_finite = kernel("check_finite");
        // It reads one element at a time, of whatever tensor.
        let (variant, tile) = (Variant { element, ..Variant::default() }, Tile::ROWS);
        let key = KernelKey { entry_point: check_finite.entry_point, variant, tile, constants: vec![] };
        let pipeline = self.kernels.pipeline(check_finite, key, size_of::<CheckParams>());
        encoder.copy_buffer_to_buffer(&self.initial, 0, &self.result, 0, 4);
        let slices = shape.batch * heads;
        let tiles = rows.div_ceil(64);
        for first_slice in (0..slices).step_by(most) {
            for first_tile in (0..tiles).step_by(most) {
                let params = CheckParams {
                    layout: Layout::new(strides, origin),
                    heads: heads as u32,
                    rows: rows as u32,
                    width: width as u32,
                    first_length: first_length as u32,
                    slice_begin: first_slice as u32,
                    tile_begin: first_tile as u32,
                    reserved: [0; 2],
                };
                let params = uniform(device, &params);
                let bind = |binding, resource| wgpu::BindGroupEntry { binding, resource };
                let tensor =
                    wgpu::BufferBinding { buffer: slice.buffer(), offset, size: std::num::NonZeroU64::new(size) };
                let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: Some("check_finite"),
                    layout: &pipeline.layout,
                    entries: &[
                        bind(0, params.as_entire_binding()),
                        bind(1, wgpu::BindingResource::Buffer(tensor)),
                        bind(2, lengths.as_entire_binding()),
                        bind(3, self.result.as_entire_binding()),
                    ],
                });
                let mut pass = encoder.begin_compute_pass(&Default::default());
                pass.set_pipeline(&pipeline.pipeline);
                pass.set_bind_group(0, &group, &[0]);
                let count = |total: usize, first: usize| (total - first).min(most) as u32;
                pass.dispatch_workgroups(count(tiles, first_tile), count(slices, first_slice), 1);
            }
        }
        Ok(())
    }

    /// Where the result is: 4 bytes, readable by a copy or a shader.
    pub fn result_buffer(&self) -> &wgpu::Buffer {
        &self.result
    }
}

fn uniform(device: &wgpu::Device, params: &CheckParams) -> wgpu::Buffer {
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("check_finite params"),
        size: size_of::<CheckParams>() as u64,
        usage: wgpu::BufferUsages::UNIFORM,
        mapped_at_creation: true,
    });
    if let Ok(mut view) = buffer.slice(..).get_mapped_range_mut() {
        view.copy_from_slice(bytemuck::bytes_of(params));
    }
    buffer.unmap();
    buffer
}
