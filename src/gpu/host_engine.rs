//! Host slices on a device: upload, submit, read back.

use super::adapter::{self, AdapterDescription};
use super::device_attention::{DeviceAttention, DeviceTensors};
use super::pipelines::{Compilation, Kernels};
use super::read_back::{read_back, staging_buffer};
use super::submission::{guarded, submit};
use super::tracer::Tracer;
use crate::limits::Limits;
use crate::plan::{Plan, Tensor};
use crate::problem::Call;
use crate::trace::Trace;
use crate::{Error, Result};
use std::sync::{Arc, Mutex, PoisonError};

/// A device that computes on host slices.
#[derive(Debug)]
pub(crate) struct HostEngine {
    device: wgpu::Device,
    queue: wgpu::Queue,
    kernels: Result<Kernels>,
    description: AdapterDescription,
    /// The last problem's memory, for callers that repeat one shape.
    session: Mutex<Option<Session>>,
    /// What the driver complained about outside of any call.
    complaint: Arc<Mutex<Option<String>>>,
}

/// The buffers of a session as tensors.
fn tensors_of([queries, keys, values, output]: &[wgpu::Buffer; 4]) -> DeviceTensors<'_> {
    DeviceTensors {
        queries: queries.slice(..),
        keys: keys.slice(..),
        values: values.slice(..),
        output: output.slice(..),
    }
}

/// Buffers of one problem.
#[derive(Debug)]
struct Session {
    attention: DeviceAttention,
    tensors: [wgpu::Buffer; 4],
    staging: wgpu::Buffer,
}

impl HostEngine {
    /// The best hardware adapter that opens.
    pub async fn open_hardware() -> Option<Self> {
        for description in adapter::adapters().await {
            if !description.is_software() {
                if let Ok(engine) = Self::open_described(description).await {
                    return Some(engine);
                }
            }
        }
        None
    }

    pub async fn open(name: Option<&str>) -> Result<Self> {
        Self::open_described(adapter::find(name).await?).await
    }

    pub async fn open_described(description: AdapterDescription) -> Result<Self> {
        let Some(adapter) = &description.adapter else {
            return Err(Error::Device { message: "the adapter was not listed by `adapters`".into() });
        };
        let (device, queue) = adapter::open(adapter).await?;
        // Without a handler wgpu panics; here the next call reports what happened.
        let complaint = Arc::new(Mutex::new(None));
        let heard = complaint.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.to_string());
        }));
        let kernels = Kernels::new(&device);
        kernels.as_ref().map_err(Clone::clone)?;
        Ok(Self { device, queue, kernels, description, session: Mutex::default(), complaint })
    }

    pub fn with_device(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        let description = AdapterDescription::new(&device.adapter_info(), None);
        let kernels = Kernels::new(&device);
        Self { device, queue, kernels, description, session: Mutex::default(), complaint: Arc::default() }
    }

    /// Forgets what was compiled and begins with data of an earlier run.
    ///
    /// # Safety
    /// As [`Kernels::with_pipeline_cache`].
    #[allow(unsafe_code)]
    pub unsafe fn use_pipeline_cache(&mut self, data: &[u8]) {
        // SAFETY: what this function demands.
        self.kernels = unsafe { Kernels::with_pipeline_cache(&self.device, data) };
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub fn pipeline_cache_data(&self) -> Option<Vec<u8>> {
        self.kernels.as_ref().ok()?.pipeline_cache_data()
    }

    pub fn compilations(&self) -> Vec<Compilation> {
        self.kernels.as_ref().map(Kernels::compilations).unwrap_or_default()
    }

    pub fn describe(&self) -> AdapterDescription {
        self.description.clone()
    }

    pub fn limits(&self) -> Limits {
        Limits::of(&self.device)
    }

    /// Computes a problem whose inputs were validated.
    pub async fn run(&self, plan: &Plan, call: &Call<'_>, output: &mut [f32], trace: Option<&mut Trace>) -> Result<()> {
        let tracing = trace.is_some();
        let mut session = guarded(&self.device, || self.begin(plan, call, tracing)).await?;
        let Session { attention, tensors: buffers, staging } = &mut session;
        let (tensors, out) = (tensors_of(buffers), &buffers[Tensor::Output as usize]);
        match trace {
            Some(trace) => {
                let tracer = Tracer::new(&self.device, &self.queue);
                tracer.run(attention, &tensors, call, trace).await?;
            }
            None => {
                guarded(&self.device, || {
                    submit(&self.device, &self.queue, attention.recording(&tensors)?);
                    Ok(())
                })
                .await?
            }
        }
        let copy = || {
            let mut encoder = self.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(out, 0, staging, 0, out.size());
            self.queue.submit([encoder.finish()]);
            Ok(())
        };
        guarded(&self.device, copy).await?;
        read_back(&self.device, staging, bytemuck::cast_slice_mut(output)).await?;
        if let Some(message) = self.complaint.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(Error::Device { message });
        }
        if !tracing && call.positions.is_none() {
            *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
        }
        Ok(())
    }

    /// Memory for the problem, with its inputs uploaded and its kernels compiled.
    fn begin(&self, plan: &Plan, call: &Call, tracing: bool) -> Result<Session> {
        let inputs = call.inputs;
        let mut session = match self.take_session(plan, tracing || call.positions.is_some()) {
            Some(session) => session,
            None => self.open_session(plan, call)?,
        };
        session.attention.set_lengths(&self.queue, inputs.query_lengths, inputs.key_lengths)?;
        for (buffer, data) in session.tensors.iter().zip([inputs.queries, inputs.keys, inputs.values]) {
            self.queue.write_buffer(buffer, 0, bytemuck::cast_slice(data));
        }
        session.attention.prepare(&tensors_of(&session.tensors))?;
        Ok(session)
    }

    /// The kept session if it fits the plan and its memory is what the call needs.
    fn take_session(&self, plan: &Plan, own_memory: bool) -> Option<Session> {
        let mut kept = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        // A session of another problem is dropped before another is opened, so that their memory does not add up.
        kept.take().filter(|session| !own_memory && session.attention.plan() == plan)
    }

    fn open_session(&self, plan: &Plan, call: &Call) -> Result<Session> {
        let kernels = self.kernels.as_ref().map_err(Clone::clone)?;
        for tensor in Tensor::ALL {
            let needed = 4 * tensor.elements(&plan.problem) as u64;
            if needed > plan.limits.buffer_bytes {
                return Err(Error::ExceedsLimit {
                    what: format!("`{}`", tensor.name()),
                    needed,
                    allowed: plan.limits.buffer_bytes,
                    unit: "bytes",
                    limit: "max_buffer_size",
                });
            }
        }
        let tensors = Tensor::ALL.map(|tensor| {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(tensor.name()),
                size: (4 * tensor.elements(&plan.problem) as u64).next_multiple_of(16),
                usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            })
        });
        let staging = staging_buffer(&self.device, tensors[Tensor::Output as usize].size());
        let attention = DeviceAttention::with_plan(kernels, plan.clone(), call.supplied, call.positions);
        Ok(Session { attention, tensors, staging })
    }
}
