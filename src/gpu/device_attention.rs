//! Attention on an app's own device, encoder and buffers.

use super::pipelines::Kernels;
use super::random_numbers;
use super::recorder::{Memory, Range, Ranges, Recording};
use crate::limits::Limits;
use crate::plan::{Plan, Tensor};
use crate::problem::{check_lengths, Supplied};
use crate::stages::Given;
use crate::{Element, Error, Problem, Result};
use std::collections::HashMap;

/// Tensors on the device, in the problem's layout and [element](Problem::element), as slices of an app's buffers. Offset and size of each slice
/// count; slices begin at an element, and where an odd number of halves ends a buffer, the buffer is two bytes longer. The buffers need
/// [`wgpu::BufferUsages::STORAGE`]. They may share a buffer; the output's slice must overlap none of the others, and is quickest in a buffer
/// of its own: where it shares one, the kernels that write it must declare their inputs as written too, which keeps some GPUs from reading
/// them through read-only caches.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct DeviceTensors<'a> {
    /// Queries, `[N, H, L, E]` or `[N, L, H, E]`.
    pub queries: wgpu::BufferSlice<'a>,
    /// Keys, `[N, H', S, E]` or `[N, S, H', E]`.
    pub keys: wgpu::BufferSlice<'a>,
    /// Values, `[N, H', S, M]` or `[N, S, H', M]`.
    pub values: wgpu::BufferSlice<'a>,
    /// Output, `[N, H, L, M]` or `[N, L, H, M]`.
    pub output: wgpu::BufferSlice<'a>,
}

impl<'a> DeviceTensors<'a> {
    /// Slices of queries, keys, values and output, in this order.
    pub fn new(
        queries: wgpu::BufferSlice<'a>,
        keys: wgpu::BufferSlice<'a>,
        values: wgpu::BufferSlice<'a>,
        output: wgpu::BufferSlice<'a>,
    ) -> Self {
        Self { queries, keys, values, output }
    }
}

/// Attention for one problem on an app's device: build it once, then record it into the app's command encoders.
///
/// Recording neither submits nor waits nor reads back; after the first call with the same buffers it allocates nothing but four bytes, by
/// which it asks whether the device is still there. Scratch memory is
/// held by this object ([`DeviceAttention::scratch_bytes`]; [`Plan::scratch_bytes`] tells it beforehand), so two recordings of one object
/// must not run at the same time; commands of one queue never do. Memory is allocated on the app's device, so running out of it is reported
/// to the app's error scope or handler, as for any other buffer.
///
/// Data on the device is not looked at by the host: NaN or infinity among the valid elements of a slice makes outputs of that slice
/// meaningless, and never hangs, reads out of range or changes another slice. [`FiniteCheck`](super::FiniteCheck) finds them.
#[derive(Debug)]
pub struct DeviceAttention {
    kernels: Kernels,
    plan: Plan,
    memory: Memory,
    given: Given,
    recordings: Vec<Recording>,
}

impl DeviceAttention {
    /// Sets of buffers whose bind groups are kept.
    const RECORDINGS: usize = 8;

    /// Allocates scratch memory for a problem, within the default budget; a plan has another ([`DeviceAttention::with_plan`]). Kernels are
    /// compiled by the first recording, or by [`DeviceAttention::prepare`].
    ///
    /// # Errors
    /// Those of [`Plan::new`] with the device's limits.
    pub fn new(kernels: &Kernels, problem: &Problem) -> Result<Self> {
        let plan = Plan::new(problem, &kernels.limits())?;
        Self::with_plan(kernels, plan)
    }

    /// [`DeviceAttention::new`] for a plan that was made before: by [`Plan::new`] with [`Kernels::limits`] or [`Limits::of`] this device, or with lower ones.
    ///
    /// # Errors
    /// [`Error::ExceedsLimit`] if the plan was made for a device that can more than this one, or needs a buffer that this one cannot make;
    /// [`Error::OutOfRange`] if it was made for the host, for smaller alignments, or for matrix units that the kernels do not have.
    pub fn with_plan(kernels: &Kernels, plan: Plan) -> Result<Self> {
        kernels.check_alive()?;
        Self::with_supplied(kernels, plan, &Supplied::default(), None)
    }

    /// With `positions`, queries stand where these say, `[N, H, L]`.
    pub(crate) fn with_supplied(
        kernels: &Kernels,
        plan: Plan,
        supplied: &Supplied,
        positions: Option<&[i32]>,
    ) -> Result<Self> {
        let device = kernels.device();
        let given = Given::of(supplied, positions);
        let limits = kernels.limits();
        check_fits(&plan, &limits)?;
        let slices = plan.slices_per_chunk() as u64;
        let shape = plan.problem.shape();
        let lengths: Vec<u32> = [shape.queries, shape.keys]
            .iter()
            .flat_map(|&length| std::iter::repeat_n(length as u32, shape.batch))
            .chain(positions.into_iter().flatten().map(|&position| position as u32))
            .collect();
        let planes = random_numbers::planes(&plan, supplied);
        let starts = random_numbers::starts(&plan, supplied);
        limits.check_buffer(|| "the lengths and positions".into(), 4 * lengths.len() as u64)?;
        limits.check_buffer(|| "the hash planes".into(), 16 * planes.len() as u64)?;
        limits.check_buffer(|| "the starts of the clusters and the samples".into(), 4 * starts.len() as u64)?;
        let params_bytes = Recording::params_bytes(&plan, given);
        if params_bytes > limits.buffer_bytes.min(u32::MAX.into()) {
            return Err(Error::ExceedsLimit {
                what: "the parameters of all dispatches".into(),
                needed: params_bytes,
                allowed: limits.buffer_bytes.min(u32::MAX.into()),
                unit: "bytes",
                limit: "max_buffer_size",
            });
        }
        let mut scratch = HashMap::new();
        for &(piece, words) in plan.scratch() {
            let buffer = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(piece.name()),
                size: (4 * words * slices).next_multiple_of(16),
                usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            scratch.insert(piece, buffer);
        }
        let memory = Memory {
            scratch,
            planes: filled_buffer(device, "planes", bytemuck::cast_slice(&planes)),
            starts: filled_buffer(device, "starts", bytemuck::cast_slice(&starts)),
            lengths: filled_buffer(device, "lengths", bytemuck::cast_slice(&lengths)),
        };
        Ok(Self { kernels: kernels.clone(), plan, memory, given, recordings: Vec::new() })
    }

    /// How the problem is cut, and the method that is computed.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Bytes of scratch memory held.
    pub fn scratch_bytes(&self) -> u64 {
        self.plan.scratch_bytes()
    }

    pub(super) fn device(&self) -> &wgpu::Device {
        self.kernels.device()
    }

    pub(super) fn check_alive(&self) -> Result<()> {
        self.kernels.check_alive()
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Sets the valid lengths of each sequence, `[N]` each; `None` makes all of them full. Takes effect for commands submitted after it,
    /// as [`wgpu::Queue::write_buffer`] does.
    ///
    /// # Errors
    /// Names an entry that is larger than the tensors are long; [`Error::DeviceLost`].
    pub fn set_lengths(
        &self,
        queue: &wgpu::Queue,
        query_lengths: Option<&[u32]>,
        key_lengths: Option<&[u32]>,
    ) -> Result<()> {
        self.kernels.check_alive()?;
        self.write_lengths(queue, query_lengths, key_lengths)
    }

    /// [`DeviceAttention::set_lengths`] on a device that is known to be there.
    pub(crate) fn write_lengths(
        &self,
        queue: &wgpu::Queue,
        query_lengths: Option<&[u32]>,
        key_lengths: Option<&[u32]>,
    ) -> Result<()> {
        let shape = self.plan.problem.shape();
        check_lengths(&self.plan.problem, query_lengths, key_lengths)?;
        for (lengths, full, first) in [(query_lengths, shape.queries, 0), (key_lengths, shape.keys, shape.batch)] {
            let offset = 4 * first as u64;
            match lengths {
                Some(lengths) => queue.write_buffer(&self.memory.lengths, offset, bytemuck::cast_slice(lengths)),
                None => {
                    let lengths = vec![full as u32; shape.batch];
                    queue.write_buffer(&self.memory.lengths, offset, bytemuck::cast_slice(&lengths));
                }
            }
        }
        Ok(())
    }

    /// The lengths on the device, `N` query lengths and then `N` key lengths as `u32`, for apps that compute them there: the buffer is
    /// a copy destination. Longer ones than the tensors count as full.
    pub fn lengths_buffer(&self) -> &wgpu::Buffer {
        &self.memory.lengths
    }

    /// Compiles the kernels and makes the bind groups for a set of buffers, so that recording with them is quick from the first time. Some
    /// drivers, software ones among them, compile only when a kernel first runs.
    ///
    /// # Errors
    /// Names a slice that is too small, lacks a usage or is misaligned; [`Error::DeviceLost`].
    pub fn prepare(&mut self, tensors: &DeviceTensors) -> Result<()> {
        self.kernels.check_alive()?;
        self.recording(tensors).map(|_| ())
    }

    /// Records the computation into an encoder.
    ///
    /// # Errors
    /// Names a slice that is too small, lacks a usage or is misaligned; [`Error::DeviceLost`]. Nothing was recorded then.
    pub fn record(&mut self, encoder: &mut wgpu::CommandEncoder, tensors: &DeviceTensors) -> Result<()> {
        self.kernels.check_alive()?;
        self.recording(tensors)?.record(encoder);
        Ok(())
    }

    /// Does not ask whether the device is there: callers do, once a call.
    pub(crate) fn recording(&mut self, tensors: &DeviceTensors) -> Result<&Recording> {
        let slices = [tensors.queries, tensors.keys, tensors.values, tensors.output];
        let known = self.recordings.iter().position(|recording| {
            recording.ranges.iter().zip(&slices).all(|(range, slice)| {
                range.offset == slice.offset() && range.size == slice.size() && range.buffer == *slice.buffer()
            })
        });
        let index = match known {
            Some(index) => index,
            None => {
                let ranges = self.check(slices)?;
                if self.recordings.len() == Self::RECORDINGS {
                    self.recordings.remove(0);
                }
                let recording = Recording::new(&self.kernels, &self.plan, &self.memory, &ranges, self.given);
                self.recordings.push(recording);
                self.recordings.len() - 1
            }
        };
        Ok(&self.recordings[index])
    }

    /// Whether two slices have a byte in common as they are bound, from an aligned offset on.
    fn overlap(&self, one: &wgpu::BufferSlice, other: &wgpu::BufferSlice) -> bool {
        let alignment = u64::from(self.plan.limits.offset_alignment_bytes);
        let begin = |slice: &wgpu::BufferSlice| slice.offset() / alignment * alignment;
        let end = |slice: &wgpu::BufferSlice| (slice.offset() + slice.size()).next_multiple_of(4);
        one.buffer() == other.buffer() && begin(one) < end(other) && begin(other) < end(one)
    }

    fn check(&self, slices: [wgpu::BufferSlice; 4]) -> Result<Ranges> {
        for (tensor, slice) in Tensor::ALL.into_iter().zip(&slices) {
            let problem = &self.plan.problem;
            check_slice(tensor.name(), slice, problem.element(), tensor.elements(problem))?;
            if tensor != Tensor::Output && self.overlap(slice, &slices[Tensor::Output as usize]) {
                let alignment_bytes = self.plan.limits.offset_alignment_bytes;
                return Err(Error::BufferOverlap { tensor: tensor.name(), alignment_bytes });
            }
            // An offset that is not aligned makes bindings begin before it.
            let needed = self.plan.chunks().map(|chunk| self.plan.binding_bytes(tensor, &chunk, slice.offset())).max();
            let allowed = self.plan.limits.binding_bytes;
            if let Some(needed) = needed.filter(|&needed| needed > allowed) {
                return Err(Error::ExceedsLimit {
                    what: format!("`{}`, one chunk of it from byte {} on,", tensor.name(), slice.offset()),
                    needed,
                    allowed,
                    unit: "bytes",
                    limit: "max_storage_buffer_binding_size",
                });
            }
        }
        Ok(slices.map(|slice| Range { buffer: slice.buffer().clone(), offset: slice.offset(), size: slice.size() }))
    }
}

/// Checks that a plan, which may have been made for another target, fits a device.
fn check_fits(plan: &Plan, limits: &Limits) -> Result<()> {
    let planned = &plan.limits;
    let refused = |value: &str| {
        let allowed = "made with `Kernels::limits` of this device, or with lower limits".into();
        Err(Error::OutOfRange { argument: "plan", value: value.into(), allowed })
    };
    if planned.host {
        // Its cut has no partial results of workgroups.
        return refused("for the host");
    }
    let numbers = [
        (planned.binding_bytes, limits.binding_bytes, "bytes", "max_storage_buffer_binding_size"),
        (planned.buffer_bytes, limits.buffer_bytes, "bytes", "max_buffer_size"),
        (
            planned.workgroups_per_dimension.into(),
            limits.workgroups_per_dimension.into(),
            "workgroups",
            "max_compute_workgroups_per_dimension",
        ),
    ];
    for (needed, allowed, unit, limit) in numbers {
        if needed > allowed {
            let what = "the target that the plan was made for".into();
            return Err(Error::ExceedsLimit { what, needed, allowed, unit, limit });
        }
    }
    if planned.matrices.is_some() && planned.matrices != limits.matrices {
        return refused("for matrix units that these kernels do not have");
    }
    // Bindings begin where the plan says, which this device must allow.
    let aligned = planned.offset_alignment_bytes.is_multiple_of(limits.offset_alignment_bytes)
        && planned.uniform_alignment_bytes.is_multiple_of(limits.uniform_alignment_bytes);
    if !aligned {
        return refused("for a device with smaller alignments");
    }
    Ok(())
}

/// Checks that a slice can be bound as storage and holds at least so many elements.
pub(super) fn check_slice(
    tensor: &'static str,
    slice: &wgpu::BufferSlice,
    element: Element,
    elements: usize,
) -> Result<()> {
    let usage = slice.buffer().usage();
    if !usage.contains(wgpu::BufferUsages::STORAGE) {
        let (actual, needed) = (format!("{usage:?}"), format!("{:?}", wgpu::BufferUsages::STORAGE));
        return Err(Error::BufferUsage { tensor, actual, needed });
    }
    let (offset, element_bytes) = (slice.offset(), element.bytes() as u64);
    if !offset.is_multiple_of(element_bytes) {
        return Err(Error::BufferAlignment { tensor, offset_bytes: offset, element_bytes });
    }
    let (needed_bytes, actual_bytes) = (element.bytes_of(elements), slice.size());
    if actual_bytes < needed_bytes {
        return Err(Error::BufferTooSmall { tensor, needed_bytes, actual_bytes });
    }
    // Shaders read words, so the word of the last element has to be in the buffer.
    let needed_bytes = (offset + needed_bytes).next_multiple_of(4) - offset;
    if offset + needed_bytes > slice.buffer().size() {
        return Err(Error::BufferTooSmall { tensor, needed_bytes, actual_bytes });
    }
    Ok(())
}

pub(super) fn filled_buffer(device: &wgpu::Device, label: &str, bytes: &[u8]) -> wgpu::Buffer {
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: (bytes.len() as u64).next_multiple_of(16),
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: true,
    });
    if let Ok(mut view) = buffer.slice(..).get_mapped_range_mut() {
        view.slice(..bytes.len()).copy_from_slice(bytes);
    }
    buffer.unmap();
    buffer
}
