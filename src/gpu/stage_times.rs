//! How long each stage takes on an app's own device.

use super::device_attention::{DeviceAttention, DeviceTensors};
use super::recorder::Step;
use crate::stages::Stage;
use crate::{Error, Result};

/// Times of the stages of one [`DeviceAttention`], by timestamp queries in the app's own commands.
///
/// Record with [`DeviceAttention::record_timed`] instead of `record`, submit, copy [`StageTimes::buffer`] to the host, and give what it holds to
/// [`StageTimes::seconds`]. Each stage gets compute passes of its own, so that the whole takes a little longer than without.
///
/// ```no_run
/// # use clustered_attention::{wgpu, DeviceAttention, DeviceTensors, Result, StageTimes};
/// # fn words_of(buffer: &wgpu::Buffer) -> Vec<u64> { Vec::new() }
/// # fn time(device: &wgpu::Device, queue: &wgpu::Queue, attention: &mut DeviceAttention, tensors: &DeviceTensors) -> Result<()> {
/// let times = StageTimes::new(attention, tensors)?;
/// let mut encoder = device.create_command_encoder(&Default::default());
/// attention.record_timed(&mut encoder, tensors, &times)?;
/// queue.submit([encoder.finish()]);
/// let words = words_of(times.buffer()); // as the app reads its buffers
/// for (stage, seconds) in times.seconds(&words, queue.get_timestamp_period()) {
///     println!("{stage:20} {:.3} ms", seconds * 1e3);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct StageTimes {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    /// The stage of each pair of timestamps.
    stages: Vec<Stage>,
}

/// Dispatches of one stage in a row.
fn runs(steps: &[Step]) -> impl Iterator<Item = &[Step]> {
    steps.chunk_by(|one, next| one.stage == next.stage)
}

impl StageTimes {
    /// Timestamps that wgpu has in a set.
    const MOST: usize = wgpu::QUERY_SET_MAX_QUERIES as usize;

    /// Prepares as many timestamps as recording with these tensors takes.
    ///
    /// # Errors
    /// [`Error::Unsupported`] on a device without [`wgpu::Features::TIMESTAMP_QUERY`], [`Error::ExceedsLimit`] where there are too many chunks;
    /// and as [`DeviceAttention::prepare`].
    pub fn new(attention: &mut DeviceAttention, tensors: &DeviceTensors) -> Result<Self> {
        attention.check_alive()?;
        let device = attention.device().clone();
        if !device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Err(Error::Unsupported { feature: "timing stages on a device without `TIMESTAMP_QUERY`" });
        }
        let recording = attention.recording(tensors)?;
        let stages: Vec<Stage> =
            recording.chunks.iter().flat_map(|chunk| runs(&chunk.steps)).map(|run| run[0].stage).collect();
        let count = 2 * stages.len();
        if count > Self::MOST {
            return Err(Error::ExceedsLimit {
                what: "timing every stage of every chunk".into(),
                needed: count as u64,
                allowed: Self::MOST as u64,
                unit: "timestamps",
                limit: "QUERY_SET_MAX_QUERIES",
            });
        }
        let queries = device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("clustered-attention stage times"),
            ty: wgpu::QueryType::Timestamp,
            count: count as u32,
        });
        let resolved = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("clustered-attention stage times"),
            size: 8 * count as u64,
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        Ok(Self { queries, resolved, stages })
    }

    /// Where the timestamps are once the commands are done: two `u64` for each run of a stage, to be copied from here.
    pub fn buffer(&self) -> &wgpu::Buffer {
        &self.resolved
    }

    /// Seconds of each stage, in the order of the computation, from what [`StageTimes::buffer`] holds and the queue's
    /// [`wgpu::Queue::get_timestamp_period`]. Timestamps that are missing count as no time.
    pub fn seconds(&self, timestamps: &[u64], period_nanoseconds: f32) -> Vec<(Stage, f64)> {
        let mut seconds: Vec<(Stage, f64)> = Vec::new();
        for (&stage, pair) in self.stages.iter().zip(timestamps.chunks_exact(2)) {
            let taken = pair[1].saturating_sub(pair[0]) as f64 * f64::from(period_nanoseconds) * 1e-9;
            match seconds.iter_mut().find(|(known, _)| *known == stage) {
                Some((_, total)) => *total += taken,
                None => seconds.push((stage, taken)),
            }
        }
        seconds.sort_by_key(|(stage, _)| *stage);
        seconds
    }
}

impl DeviceAttention {
    /// [`DeviceAttention::record`] with the times of the stages, which have to be of this object and these tensors.
    ///
    /// # Errors
    /// As `record`; [`Error::OutOfRange`] if `times` were prepared for other stages. Nothing was recorded then.
    pub fn record_timed(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        tensors: &DeviceTensors,
        times: &StageTimes,
    ) -> Result<()> {
        self.check_alive()?;
        let recording = self.recording(tensors)?;
        let all: Vec<&[Step]> = recording.chunks.iter().flat_map(|chunk| runs(&chunk.steps)).collect();
        if !all.iter().map(|run| run[0].stage).eq(times.stages.iter().copied()) {
            let value = format!("for {} runs of stages", times.stages.len());
            let allowed = format!("for the {} runs of this object", all.len());
            return Err(Error::OutOfRange { argument: "times", value, allowed });
        }
        for (index, run) in all.into_iter().enumerate() {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some(run[0].stage.name()),
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: &times.queries,
                    beginning_of_pass_write_index: Some(2 * index as u32),
                    end_of_pass_write_index: Some(2 * index as u32 + 1),
                }),
            });
            run.iter().for_each(|step| step.record(&mut pass));
        }
        encoder.resolve_query_set(&times.queries, 0..2 * times.stages.len() as u32, &times.resolved, 0);
        Ok(())
    }
}
