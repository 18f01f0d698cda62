//! A run that times every stage and keeps every intermediate result.

use super::device_attention::{DeviceAttention, DeviceTensors};
use super::read_back::{read_back, staging_buffer};
use super::recorder::Step;
use crate::plan::{Chunk, Plan};
use crate::problem::Call;
use crate::stages::{Kept, Scratch};
use crate::trace::Trace;
use crate::Result;

use crate::clock::Instant;

pub(super) struct Tracer<'a> {
    device: &'a wgpu::Device,
    queue: &'a wgpu::Queue,
    timestamps: Option<wgpu::QuerySet>,
}

impl<'a> Tracer<'a> {
    pub fn new(device: &'a wgpu::Device, queue: &'a wgpu::Queue) -> Self {
        let timestamps = device.features().contains(wgpu::Features::TIMESTAMP_QUERY).then(|| {
            device.create_query_set(&wgpu::QuerySetDescriptor { label: None, ty: wgpu::QueryType::Timestamp, count: 2 })
        });
        Self { device, queue, timestamps }
    }

    pub async fn run(
        &self,
        attention: &mut DeviceAttention,
        tensors: &DeviceTensors<'_>,
        call: &Call<'_>,
        trace: &mut Trace,
    ) -> Result<()> {
        let plan = attention.plan().clone();
        attention.recording(tensors)?;
        for chunk in 0..plan.chunks().count() {
            if let Some(assignment) = call.supplied.assignment {
                self.upload_assignment(attention, &plan, chunk, assignment, call)?;
            }
            let mut begin = 0;
            loop {
                let recording = attention.recording(tensors)?;
                let steps = &recording.chunks[chunk].steps;
                let Some(first) = steps.get(begin) else { break };
                // Dispatches of one stage, up to one after which something is kept.
                let alike = steps[begin..].iter().take_while(|step| step.stage == first.stage).count();
                let kept = steps[begin..begin + alike].iter().position(|step| step.kept.is_some());
                let end = begin + kept.map_or(alike, |index| index + 1);
                let (stage, kept) = (first.stage, steps[end - 1].kept);
                let seconds = self.timed(&steps[begin..end]).await?;
                trace.add_seconds(stage, seconds);
                begin = end;
                if let Some(kept) = kept {
                    let chunk = recording.chunks[chunk].chunk.clone();
                    self.keep(kept, attention, &plan, &chunk, trace).await?;
                }
            }
        }
        trace.scratch_bytes = plan.scratch_bytes();
        if plan.cut.clusters > 0 {
            trace.count_members(plan.problem.shape().slices(), plan.cut.clusters);
        }
        Ok(())
    }

    fn upload_assignment(
        &self,
        attention: &DeviceAttention,
        plan: &Plan,
        chunk: usize,
        assignment: &[u32],
        call: &Call,
    ) -> Result<()> {
        let shape = plan.problem.shape();
        let (Some(chunk), Some(buffer)) =
            (plan.chunks().nth(chunk), attention.memory().scratch.get(&Scratch::Clusters))
        else {
            return Ok(());
        };
        let mut clusters = Vec::with_capacity(chunk.slices() * shape.queries);
        for slice in 0..chunk.slices() {
            let (batch, head) = chunk.slice(slice);
            let valid = call.query_length(&plan.problem, batch);
            let begin = (batch * shape.query_heads + head) * shape.queries;
            clusters.extend_from_slice(&assignment[begin..begin + valid]);
            clusters.extend(std::iter::repeat_n(plan.cut.clusters as u32, shape.queries - valid));
        }
        self.queue.write_buffer(buffer, 0, bytemuck::cast_slice(&clusters));
        Ok(())
    }

    /// Runs steps alone and returns their seconds: by timestamps where there are any, otherwise from submission to completion.
    async fn timed(&self, steps: &[Step]) -> Result<f64> {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: self.timestamps.as_ref().map(|query_set| wgpu::ComputePassTimestampWrites {
                    query_set,
                    beginning_of_pass_write_index: Some(0),
                    end_of_pass_write_index: Some(1),
                }),
            });
            steps.iter().for_each(|step| step.record(&mut pass));
        }
        // Reading something back is the wait that works on every platform.
        let staging = staging_buffer(self.device, 16);
        let resolved = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 16,
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        if let Some(timestamps) = &self.timestamps {
            encoder.resolve_query_set(timestamps, 0..2, &resolved, 0);
        }
        encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, 16);
        let start = Instant::now();
        self.queue.submit([encoder.finish()]);
        let mut ticks = [0u64; 2];
        read_back(self.device, &staging, bytemuck::cast_slice_mut(&mut ticks)).await?;
        Ok(match self.timestamps {
            Some(_) => ticks[1].saturating_sub(ticks[0]) as f64 * f64::from(self.queue.get_timestamp_period()) * 1e-9,
            None => start.elapsed().as_secs_f64(),
        })
    }

    /// Reads results of a chunk into the trace.
    async fn keep(
        &self,
        kept: Kept,
        attention: &DeviceAttention,
        plan: &Plan,
        chunk: &Chunk,
        trace: &mut Trace,
    ) -> Result<()> {
        let cut = &plan.cut;
        let words = |piece| self.read_words(attention, chunk, piece);
        match kept {
            Kept::Codes => {
                let clusters = words(Scratch::Clusters).await?;
                Trace::push_assignment(&mut trace.hamming_assignment, &clusters, cut.clusters);
                trace.codes.extend(words(Scratch::Codes).await?);
            }
            Kept::Assignment => {
                let clusters = words(Scratch::Clusters).await?;
                Trace::push_assignment(&mut trace.assignment, &clusters, cut.clusters);
            }
            Kept::Clusters => {
                for row in words(Scratch::Centroids).await?.chunks(4 * (cut.width4 + 1)) {
                    trace.centroids.extend(row[..cut.shape.width].iter().copied().map(f32::from_bits));
                }
                if cut.top_k > 0 {
                    trace.top_keys.extend(words(Scratch::TopKeys).await?);
                }
                let parts = words(Scratch::SoftmaxParts).await?;
                let slices = parts.chunks(plan.words_of(Scratch::SoftmaxParts));
                for row in slices.flat_map(|slice| slice.chunks(cut.sums_row_words()).take(cut.clusters)) {
                    let [rest_maximum, rest_sum, top_maximum, top_sum] =
                        std::array::from_fn(|i| f32::from_bits(row[i]));
                    let total = top_sum + rest_sum * (rest_maximum - top_maximum).exp();
                    trace.top_mass.push(if total > 0.0 { top_sum / total } else { 0.0 });
                }
            }
        }
        Ok(())
    }

    /// The chunk's words of a piece of scratch memory.
    async fn read_words(&self, attention: &DeviceAttention, chunk: &Chunk, piece: Scratch) -> Result<Vec<u32>> {
        let Some(buffer) = attention.memory().scratch.get(&piece) else { return Ok(Vec::new()) };
        let mut words = vec![0; attention.plan().words_of(piece) * chunk.slices()];
        let staging = staging_buffer(self.device, buffer.size());
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
        self.queue.submit([encoder.finish()]);
        read_back(self.device, &staging, bytemuck::cast_slice_mut(&mut words)).await?;
        Ok(words)
    }
}
