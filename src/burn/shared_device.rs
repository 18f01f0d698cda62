//! The handles of Burn's wgpu devices, and what is kept for each.

use super::{AttentionOptions, Lengths};
use crate::background::Cancellation;
use crate::gpu::{heard, submit};
use crate::{DeviceAttention, DeviceTensors, Error, Kernels, Limits, Plan, Problem, Result};
use ::burn::backend::{CubeDevice, DispatchDevice, WgpuDevice};
use ::burn::tensor::wgpu::{WgpuOptions, WgpuSetup};
use ::burn::tensor::Device;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Opens a device of Burn's wgpu backend as `options.init()` does, and keeps its handles, so that [`attention`](super::attention) runs on
/// it. Call it before anything else uses the same selector; clone the device for everything that is to share it.
///
/// ```no_run
/// use burn::tensor::{Device, DeviceKind};
///
/// let options = Device::wgpu_options().device_kind(DeviceKind::IntegratedGpu(0));
/// let device = clustered_attention::burn::init_wgpu(options)?;
/// # Ok::<(), clustered_attention::Error>(())
/// ```
///
/// # Errors
/// [`Error::Device`] if Burn cannot open it, or has opened it already.
#[cfg(not(target_arch = "wasm32"))]
pub fn init_wgpu(options: WgpuOptions) -> Result<Device> {
    let (device, setup) = options.init_with_setup().map_err(|error| Error::Device { message: error.to_string() })?;
    share_device(&device, &setup)?;
    Ok(device)
}

/// [`init_wgpu`](self::init_wgpu) for async programs and the browser.
///
/// # Errors
/// As `init_wgpu`.
pub async fn init_wgpu_async(options: WgpuOptions) -> Result<Device> {
    let opened = options.init_with_setup_async().await;
    let (device, setup) = opened.map_err(|error| Error::Device { message: error.to_string() })?;
    share_device(&device, &setup)?;
    Ok(device)
}

/// Keeps the handles of a device that a program opened by itself, by `Device::wgpu_options().init_with_setup()` or, from handles of its
/// own, by `Device::wgpu_options().setup(setup).init()`. `setup` has to be that device's.
///
/// # Errors
/// [`Error::OutOfRange`] if `device` is not of Burn's wgpu backend, [`Error::ExceedsLimit`] if it offers less than WebGPU's defaults.
pub fn share_device(device: &Device, setup: &WgpuSetup) -> Result<()> {
    let Some(selector) = selector(device) else {
        let allowed = "a device of Burn's wgpu backend".into();
        return Err(Error::OutOfRange { argument: "device", value: format!("{device:?}"), allowed });
    };
    let shared = SharedDevice {
        kernels: Kernels::new(&setup.device)?,
        queue: setup.queue.clone(),
        limits: Limits::of(&setup.device),
        kept: Mutex::default(),
    };
    DEVICES.write().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().insert(selector, Arc::new(shared));
    Ok(())
}

/// The selector of a device of Burn's wgpu backend.
pub(super) fn selector(device: &Device) -> Option<WgpuDevice> {
    match device.as_dispatch() {
        DispatchDevice::Cube(CubeDevice::Wgpu(selector)) => Some(selector.clone()),
        _ => None,
    }
}

/// What [`share_device`] was told of a device.
pub(super) fn find(selector: &WgpuDevice) -> Option<Arc<SharedDevice>> {
    DEVICES.read().unwrap_or_else(PoisonError::into_inner).as_ref()?.get(selector).cloned()
}

static DEVICES: RwLock<Option<HashMap<WgpuDevice, Arc<SharedDevice>>>> = RwLock::new(None);

/// A device of Burn's with the crate's kernels on it.
pub(super) struct SharedDevice {
    kernels: Kernels,
    queue: wgpu::Queue,
    limits: Limits,
    /// Problems computed last, the latest at the end. Held from writing the lengths to submitting: they lie in one buffer a problem.
    kept: Mutex<Vec<DeviceAttention>>,
}

impl SharedDevice {
    /// Problems whose memory is kept, as long as all of it fits the scratch budget of the call.
    const KEPT: usize = 8;

    /// Refuses to go on if the device was lost.
    pub fn check_alive(&self) -> Result<()> {
        self.kernels.check_alive()
    }

    /// Records and submits attention. What was submitted to the queue before comes before it.
    pub fn submit(
        &self,
        problem: &Problem,
        lengths: Lengths,
        options: &AttentionOptions,
        tensors: &DeviceTensors,
    ) -> Result<()> {
        let device = self.kernels.device();
        let (result, complaint) = heard(device, || {
            let plan = Plan::new(problem, &self.limits.with_scratch_budget_bytes(options.scratch_budget_bytes))?;
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let mut attention = self.take(&mut kept, plan, options.scratch_budget_bytes)?;
            attention.write_lengths(&self.queue, lengths.queries, lengths.keys)?;
            submit(device, &self.queue, attention.recording(tensors)?, &Cancellation::default())?;
            kept.push(attention);
            Ok(())
        });
        #[cfg(not(target_arch = "wasm32"))]
        if let Some(error) = pollster::block_on(complaint) {
            return Err(Error::Device { message: error.to_string() });
        }
        // In the browser nothing may wait; the device's handler hears what the driver complains about.
        #[cfg(target_arch = "wasm32")]
        drop(complaint);
        result
    }

    /// The kept object for a plan, or a new one after making room for it.
    fn take(&self, kept: &mut Vec<DeviceAttention>, plan: Plan, budget_bytes: u64) -> Result<DeviceAttention> {
        if let Some(index) = kept.iter().position(|attention| *attention.plan() == plan) {
            return Ok(kept.remove(index));
        }
        let held = |kept: &[DeviceAttention]| kept.iter().map(DeviceAttention::scratch_bytes).sum::<u64>();
        while kept.len() >= Self::KEPT || (!kept.is_empty() && held(kept) + plan.scratch_bytes() > budget_bytes) {
            kept.remove(0);
        }
        DeviceAttention::with_plan(&self.kernels, plan)
    }
}
