//! Host slices on a device: upload, submit, read back.

use super::adapter::{self, AdapterDescription};
use super::complaints::guarded;
use super::device_attention::{DeviceAttention, DeviceTensors};
use super::exclusive::exclusive;
use super::pipelines::{Compilation, Kernels};
use super::read_back::{read_back, staging_buffer};
use super::submission::submit;
use super::tracer::Tracer;
use crate::background::Cancellation;
use crate::limits::Limits;
use crate::plan::{Plan, Tensor};
use crate::problem::{Call, Stored};
use crate::trace::Trace;
use crate::{Error, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A device that computes on host slices.
#[derive(Debug)]
pub(crate) struct HostEngine {
    /// `None` only while it is dropped.
    pub(super) open: Option<Open>,
}

/// What an open device needs.
#[derive(Debug)]
pub(crate) struct Open {
    device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) kernels: Result<Kernels>,
    description: AdapterDescription,
    api: wgpu::Backend,
    /// The last problem's memory, for callers that repeat one shape.
    session: Mutex<Option<Session>>,
    /// What the driver complained about outside of any call.
    complaint: Arc<Mutex<Option<String>>>,
}

impl Drop for HostEngine {
    fn drop(&mut self) {
        // Memory is given back under the same rule as it is used.
        let _one = self.exclusive();
        self.open = None;
    }
}

impl std::ops::Deref for HostEngine {
    type Target = Open;

    fn deref(&self) -> &Open {
        self.open.as_ref().expect("an engine is open until it is dropped")
    }
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
        let open = |description: AdapterDescription| async move {
            if description.is_software() {
                return Err(Error::Unsupported { feature: "a software adapter as hardware" });
            }
            Self::open_described(description).await
        };
        adapter::try_each(None, open).await.ok()
    }

    /// The best adapter that opens, of those that match a text.
    pub async fn open(name: Option<&str>) -> Result<Self> {
        adapter::try_each(name, Self::open_described).await
    }

    pub async fn open_described(description: AdapterDescription) -> Result<Self> {
        let Some(adapter) = &description.adapter else {
            return Err(Error::Device { message: "the adapter was not listed by `adapters`".into() });
        };
        let (device, queue) = adapter::open(adapter).await?;
        Self::of_opened(device, queue, description)
    }

    /// A device that was opened for the engine alone.
    pub(super) fn of_opened(device: wgpu::Device, queue: wgpu::Queue, description: AdapterDescription) -> Result<Self> {
        // Without a handler wgpu panics; here the next call reports what happened.
        let complaint = Arc::new(Mutex::new(None));
        let heard = complaint.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            heard.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.to_string());
        }));
        let kernels = Kernels::new(&device);
        kernels.as_ref().map_err(Clone::clone)?;
        let api = device.adapter_info().backend;
        Ok(Self::of(Open { device, queue, kernels, description, api, session: Mutex::default(), complaint }))
    }

    pub fn with_device(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        let info = device.adapter_info();
        let (description, api) = (AdapterDescription::new(&info, None), info.backend);
        let _turn = exclusive(api);
        let kernels = Kernels::new(&device);
        let (session, complaint) = (Mutex::default(), Arc::default());
        Self::of(Open { device, queue, kernels, description, api, session, complaint })
    }

    /// Kernels that there are.
    pub(super) fn with_kernels(kernels: Kernels, queue: wgpu::Queue) -> Self {
        let device = kernels.device().clone();
        let info = device.adapter_info();
        let (description, api) = (AdapterDescription::new(&info, None), info.backend);
        let (session, complaint) = (Mutex::default(), Arc::default());
        Self::of(Open { device, queue, kernels: Ok(kernels), description, api, session, complaint })
    }

    fn of(open: Open) -> Self {
        Self { open: Some(open) }
    }

    /// Waits for its turn, where the API needs one.
    pub fn exclusive(&self) -> Option<MutexGuard<'static, ()>> {
        exclusive(self.api)
    }

    /// The same device with nothing compiled and data of an earlier run.
    ///
    /// # Safety
    /// As [`Kernels::with_pipeline_cache`].
    #[allow(unsafe_code)]
    pub unsafe fn with_pipeline_cache(&self, data: &[u8]) -> Self {
        let _turn = self.exclusive();
        let units = self.kernels.as_ref().ok().and_then(|known| known.matrices);
        Self::of(Open {
            device: self.device.clone(),
            queue: self.queue.clone(),
            // SAFETY: what this function demands.
            kernels: unsafe { Kernels::with_pipeline_cache(&self.device, data) }
                .map(|kernels| kernels.with_units(units)),
            description: self.description.clone(),
            api: self.api,
            session: Mutex::default(),
            complaint: self.complaint.clone(),
        })
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
        self.kernels.as_ref().map_or_else(|_| Limits::of(&self.device), Kernels::limits)
    }

    /// Computes a problem whose inputs were validated. Natively it waits on this thread.
    pub async fn run<E: Stored>(
        &self,
        plan: &Plan,
        call: &Call<'_, E>,
        output: &mut [E],
        trace: Option<&mut Trace>,
        cancellation: &Cancellation,
    ) -> Result<()> {
        let kernels = self.kernels.as_ref().map_err(Clone::clone)?;
        kernels.check_alive()?;
        let work = async {
            cancellation.check()?;
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
                        submit(&self.device, &self.queue, attention.recording(&tensors)?, cancellation)
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
            read_back(&self.device, staging, E::bytes_mut(output)).await?;
            if let Some(message) = self.complaint.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Err(Error::Device { message });
            }
            if !tracing && call.positions.is_none() {
                *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
            }
            Ok(())
        };
        work.await.map_err(|error| kernels.explain(error))
    }

    /// Memory for the problem, with its inputs uploaded and its kernels compiled.
    fn begin<E: Stored>(&self, plan: &Plan, call: &Call<E>, tracing: bool) -> Result<Session> {
        let inputs = call.inputs;
        let mut session = match self.take_session(plan, tracing || call.positions.is_some()) {
            Some(session) => session,
            None => self.open_session(plan, call)?,
        };
        session.attention.write_lengths(&self.queue, inputs.query_lengths, inputs.key_lengths)?;
        let inputs = [inputs.queries, inputs.keys, inputs.values];
        for ((tensor, buffer), data) in Tensor::ALL.into_iter().zip(&session.tensors).zip(inputs) {
            // With strides, a slice may go on behind the tensor.
            self.upload(buffer, E::bytes(&data[..tensor.elements(&plan.problem)]));
        }
        session.attention.recording(&tensors_of(&session.tensors))?;
        Ok(session)
    }

    /// Writes bytes to the beginning of a buffer, in words: the last may be of an odd number of halves.
    fn upload(&self, buffer: &wgpu::Buffer, bytes: &[u8]) {
        let (words, rest) = bytes.split_at(bytes.len() / 4 * 4);
        self.queue.write_buffer(buffer, 0, words);
        if !rest.is_empty() {
            let mut word = [0; 4];
            word[..rest.len()].copy_from_slice(rest);
            self.queue.write_buffer(buffer, words.len() as u64, &word);
        }
    }

    /// The kept session if it fits the plan and its memory is what the call needs.
    fn take_session(&self, plan: &Plan, own_memory: bool) -> Option<Session> {
        let mut kept = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        // A session of another problem is dropped before another is opened, so that their memory does not add up.
        kept.take().filter(|session| !own_memory && session.attention.plan() == plan)
    }

    fn open_session<E: Stored>(&self, plan: &Plan, call: &Call<E>) -> Result<Session> {
        let kernels = self.kernels.as_ref().map_err(Clone::clone)?;
        let element = plan.problem.element();
        let bytes = |tensor: Tensor| element.bytes_of(tensor.elements(&plan.problem)).next_multiple_of(16);
        for tensor in Tensor::ALL {
            let (needed, allowed) = (bytes(tensor), plan.limits.buffer_bytes);
            if needed > allowed {
                let (what, limit) = (format!("`{}`", tensor.name()), "max_buffer_size");
                return Err(Error::ExceedsLimit { what, needed, allowed, unit: "bytes", limit });
            }
        }
        let tensors = Tensor::ALL.map(|tensor| {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(tensor.name()),
                size: bytes(tensor),
                usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            })
        });
        let staging = staging_buffer(&self.device, tensors[Tensor::Output as usize].size());
        let attention = DeviceAttention::with_supplied(kernels, plan.clone(), call.supplied, call.positions)?;
        Ok(Session { attention, tensors, staging })
    }
}
