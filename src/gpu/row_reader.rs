//! Attention on an app's tensors, of which the host gets some rows.

use super::complaints::guarded;
use super::device_attention::{check_slice, DeviceAttention, DeviceTensors};
use super::pipelines::Kernels;
use super::read_back::{read_back, staging_buffer};
use super::submission::submit;
use crate::background::Cancellation;
use crate::plan::{Plan, Tensor};
use crate::problem::Supplied;
use crate::{Error, Problem, Result};

pub(crate) struct RowReader<'a> {
    pub kernels: &'a Kernels,
    pub queue: &'a wgpu::Queue,
}

/// Valid queries and keys of each sequence.
type Lengths<'a> = [Option<&'a [u32]>; 2];

impl RowReader<'_> {
    /// Checks that the slices hold the tensors, and that rows can be copied from those of queries and output.
    pub fn check(problem: &Problem, tensors: &DeviceTensors) -> Result<()> {
        let slices = [tensors.queries, tensors.keys, tensors.values, tensors.output];
        for (tensor, slice) in Tensor::ALL.into_iter().zip(&slices) {
            check_slice(tensor.name(), slice, problem.element(), tensor.elements(problem))?;
            let (usage, needed) = (slice.buffer().usage(), wgpu::BufferUsages::COPY_SRC);
            if matches!(tensor, Tensor::Queries | Tensor::Output) && !usage.contains(needed) {
                let (actual, needed) = (format!("{usage:?}"), format!("{needed:?}"));
                return Err(Error::BufferUsage { tensor: tensor.name(), actual, needed });
            }
        }
        Ok(())
    }

    /// Computes a plan's problem and reads the rows of its output that begin at some elements, one after another.
    pub async fn of_the_output(
        &self,
        plan: Plan,
        tensors: &DeviceTensors<'_>,
        rows: &[usize],
        lengths: Lengths<'_>,
    ) -> Result<Vec<f32>> {
        let width = plan.problem.shape().value_width;
        let copies: Vec<(usize, usize)> = rows.iter().enumerate().map(|(place, &row)| (row, place * width)).collect();
        self.compute(plan, tensors, lengths).await?;
        self.read(&tensors.output, &copies, width, rows.len() * width).await
    }

    /// Computes a plan's problem, whose queries are some rows of the tensors', by first element and place, and reads its output.
    pub async fn of_some_queries(
        &self,
        plan: Plan,
        tensors: &DeviceTensors<'_>,
        queries: &[(usize, usize)],
        lengths: Lengths<'_>,
    ) -> Result<Vec<f32>> {
        let (device, problem) = (self.kernels.device(), plan.problem);
        let made = guarded(device, || {
            let buffer = |tensor: Tensor| {
                device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("some rows"),
                    size: (4 * tensor.elements(&problem) as u64).next_multiple_of(16),
                    usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
                    mapped_at_creation: false,
                })
            };
            let (chosen, output) = (buffer(Tensor::Queries), buffer(Tensor::Output));
            let mut encoder = device.create_command_encoder(&Default::default());
            copy(&mut encoder, &tensors.queries, queries, problem.shape().width, &chosen);
            self.queue.submit([encoder.finish()]);
            Ok((chosen, output))
        });
        let (chosen, output) = made.await?;
        let some = DeviceTensors { queries: chosen.slice(..), output: output.slice(..), ..*tensors };
        let elements = problem.shape().output_elements();
        self.compute(plan, &some, lengths).await?;
        self.read(&some.output, &[(0, 0)], elements, elements).await
    }

    async fn compute(&self, plan: Plan, tensors: &DeviceTensors<'_>, [queries, keys]: Lengths<'_>) -> Result<()> {
        let device = self.kernels.device();
        let work = || {
            let mut attention = DeviceAttention::with_supplied(self.kernels, plan, &Supplied::default(), None)?;
            attention.write_lengths(self.queue, queries, keys)?;
            submit(device, self.queue, attention.recording(tensors)?, &Cancellation::default())
        };
        guarded(device, work).await.map_err(|error| self.kernels.explain(error))
    }

    /// Reads runs of elements, by the first of each and its place in what is returned.
    async fn read(
        &self,
        slice: &wgpu::BufferSlice<'_>,
        copies: &[(usize, usize)],
        width: usize,
        elements: usize,
    ) -> Result<Vec<f32>> {
        let device = self.kernels.device();
        let mut rows = vec![0.0f32; elements];
        let copied = guarded(device, || {
            let staging = staging_buffer(device, 4 * elements.max(1) as u64);
            let mut encoder = device.create_command_encoder(&Default::default());
            copy(&mut encoder, slice, copies, width, &staging);
            self.queue.submit([encoder.finish()]);
            Ok(staging)
        });
        let work = async { read_back(device, &copied.await?, bytemuck::cast_slice_mut(&mut rows)).await };
        work.await.map_err(|error| self.kernels.explain(error))?;
        Ok(rows)
    }
}

/// Copies runs of `width` elements, those that follow one another at once.
fn copy(
    encoder: &mut wgpu::CommandEncoder,
    from: &wgpu::BufferSlice,
    copies: &[(usize, usize)],
    width: usize,
    to: &wgpu::Buffer,
) {
    let mut copies = copies.iter().copied().peekable();
    while let Some((source, target)) = copies.next() {
        let mut elements = width;
        while copies.next_if_eq(&(source + elements, target + elements)).is_some() {
            elements += width;
        }
        let bytes = |elements: usize| 4 * elements as u64;
        encoder.copy_buffer_to_buffer(from.buffer(), from.offset() + bytes(source), to, bytes(target), bytes(elements));
    }
}
