//! A run that times every stage and keeps every intermediate result.

use super::device_attention::{DeviceAttention, DeviceTensors};
use super::read_back::{read_back, staging_buffer};
use super::recorder::Step;
use crate::plan::{Chunk, Plan};
use crate::problem::{Call, Stored, Supplied};
use crate::stages::{Cut, Given, Kept, Scratch};
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

    pub async fn run<E: Stored>(
        &self,
        attention: &mut DeviceAttention,
        tensors: &DeviceTensors<'_>,
        call: &Call<'_, E>,
        trace: &mut Trace,
    ) -> Result<()> {
        let plan = attention.plan().clone();
        attention.recording(tensors)?;
        for chunk in 0..plan.chunks().count() {
            self.upload_given(attention, &plan, chunk, call);
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
                    let given = Given::of(call.supplied, call.positions);
                    self.keep(kept, attention, &plan, &chunk, given, trace).await?;
                }
            }
        }
        trace.scratch_bytes = plan.scratch_bytes();
        if plan.cut.clusters > 0 {
            trace.count_members(plan.problem.shape().slices(), plan.cut.clusters);
        }
        Ok(())
    }

    /// Writes the assignments and lists that are given into a chunk's memory.
    fn upload_given<E: Stored>(&self, attention: &DeviceAttention, plan: &Plan, chunk: usize, call: &Call<E>) {
        let Some(chunk) = plan.chunks().nth(chunk) else { return };
        let (shape, cut) = (plan.problem.shape(), &plan.cut);
        // What is given for a slice, `each` numbers, of which the first are valid.
        let slices = |given: &[u32], each: usize, padding: usize, valid: &dyn Fn(usize) -> usize| -> Vec<Vec<u32>> {
            let slice = |local| {
                let (batch, head) = chunk.slice(local);
                let mut numbers = given[(batch * shape.query_heads + head) * each..][..each].to_vec();
                numbers[valid(batch)..].fill(padding as u32);
                numbers
            };
            (0..chunk.slices()).map(slice).collect()
        };
        let write = |piece: Scratch, begin: usize, slices: Vec<Vec<u32>>| {
            let Some(buffer) = attention.memory().scratch.get(&piece) else { return };
            for (slice, numbers) in slices.iter().enumerate() {
                let offset = 4 * (slice * plan.words_of(piece) + begin) as u64;
                self.queue.write_buffer(buffer, offset, bytemuck::cast_slice(numbers));
            }
        };
        let Supplied { assignment, key_groups, top_keys, .. } = *call.supplied;
        if let Some(assignment) = assignment {
            let valid = |batch| call.query_length(&plan.problem, batch);
            write(Scratch::Clusters, 0, slices(assignment, shape.queries, cut.clusters, &valid));
        }
        if let Some(key_groups) = key_groups {
            let valid = |batch| call.key_length(&plan.problem, batch);
            write(Scratch::Clusters, shape.queries, slices(key_groups, shape.keys, cut.groups, &valid));
        }
        if let (Some(top_keys), true) = (top_keys, cut.top_k > 0) {
            let each = cut.clusters * cut.top_k;
            let mut lists = slices(top_keys, each, 0, &|_| each);
            // The last of the numbers stands for no key.
            lists.iter_mut().flat_map(|lists| lists.chunks_mut(cut.top_k)).for_each(<[u32]>::sort_unstable);
            write(Scratch::TopKeys, 0, lists);
        }
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
        given: Given,
        trace: &mut Trace,
    ) -> Result<()> {
        let cut = &plan.cut;
        let words = |piece| self.read_words(attention, chunk, piece);
        let queries = cut.shape.queries;
        match kept {
            Kept::Codes => {
                let clusters = words(Scratch::Clusters).await?;
                let slices = clusters.chunks(cut.clusters_words()).flat_map(|slice| &slice[..queries]);
                Trace::push_assignment(&mut trace.hamming_assignment, slices, cut.clusters);
                trace.codes.extend(words(Scratch::Codes).await?);
            }
            Kept::Assignment => {
                let clusters = words(Scratch::Clusters).await?;
                let slices = clusters.chunks(cut.clusters_words()).flat_map(|slice| &slice[..queries]);
                Trace::push_assignment(&mut trace.assignment, slices, cut.clusters);
            }
            Kept::Clusters => {
                for slice in words(Scratch::Centroids).await?.chunks(cut.centroids_words()) {
                    for row in slice.chunks(4 * (cut.width4 + 1)).take(cut.clusters) {
                        trace.centroids.extend(row[..cut.shape.width].iter().copied().map(f32::from_bits));
                    }
                }
                if cut.top_k > 0 {
                    trace.top_keys.extend(words(Scratch::TopKeys).await?);
                }
                let parts = words(Scratch::SoftmaxParts).await?;
                for slice in parts.chunks(plan.words_of(Scratch::SoftmaxParts)) {
                    keep_statistics(cut, plan.problem.scale(), slice, trace);
                }
                if cut.groups > 0 {
                    for slice in words(Scratch::Clusters).await?.chunks(cut.clusters_words()) {
                        Trace::push_assignment(&mut trace.key_groups, &slice[queries..][..cut.shape.keys], cut.groups);
                    }
                }
                let row_words = 4 * cut.width4;
                for slice in words(Scratch::Covariances).await?.chunks(2 * cut.shape.width * row_words.max(1)) {
                    let halves = slice.chunks(cut.shape.width * row_words);
                    for ((half, covariance), to) in
                        halves.enumerate().zip([&mut trace.key_covariance, &mut trace.query_covariance])
                    {
                        if plan.computes_covariance(half, given) {
                            let rows = covariance.chunks(row_words).flat_map(|row| &row[..cut.shape.width]);
                            to.extend(rows.copied().map(f32::from_bits));
                        }
                    }
                }
            }
            Kept::Guard => {
                for slice in words(Scratch::Guard).await?.chunks(plan.words_of(Scratch::Guard)) {
                    let (verdict, rows) = slice.split_at(slice.len() - cut.guard_rows);
                    trace.guard_rows.extend_from_slice(rows);
                    // Too large for a number, or not one.
                    let error = Some(f32::from_bits(verdict[3])).filter(|&error| error < f32::MAX);
                    trace.guard_error.push(error.unwrap_or(f32::INFINITY));
                    trace.fell_back.push(plan.recomputes() && verdict[2] != 0);
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

/// Statistics of a slice's clusters, and its pseudo-keys where keys are grouped.
fn keep_statistics(cut: &Cut, scale: f32, slice: &[u32], trace: &mut Trace) {
    let numbers = |words: &[u32]| words.iter().copied().map(f32::from_bits).collect::<Vec<f32>>();
    let (statistics, rows) = slice.split_at(cut.clusters * cut.sums_row_words());
    let mut rows = rows.chunks(cut.pseudo_row_words());
    for row in statistics.chunks(cut.sums_row_words()) {
        let [rest_maximum, rest_sum, top_maximum, top_sum] = std::array::from_fn(|i| f32::from_bits(row[i]));
        if cut.groups == 0 {
            let total = top_sum + rest_sum * (rest_maximum - top_maximum).exp();
            trace.top_mass.push(if total > 0.0 { top_sum / total } else { 0.0 });
            continue;
        }
        let mut log_masses = Vec::with_capacity(cut.groups);
        for row in rows.by_ref().take(cut.groups) {
            let row = numbers(row);
            // As the shaders' `PseudoFacts`.
            let (maximum, mass) = (scale * row[1], row[2]);
            log_masses.push(if mass > 0.0 { maximum + mass.ln() } else { f32::NEG_INFINITY });
            trace.pseudo_keys.extend_from_slice(&row[4..][..cut.shape.width]);
            trace.pseudo_values.extend_from_slice(&row[4 + 4 * cut.width4..][..cut.shape.value_width]);
        }
        trace.push_groups(&log_masses, top_maximum, top_sum);
    }
}
