//! The page's graphics device.

use crate::failure::{Failure, Result};
use clustered_attention::wgpu;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// GPUs that one is content with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gpus {
    Real,
    /// Also those that the processor emulates.
    All,
}

/// An open device; `lost` turns true when it is gone.
pub struct Opened {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub lost: Arc<AtomicBool>,
}

pub async fn open(gpus: Gpus) -> Result<Opened> {
    #[cfg(target_arch = "wasm32")]
    if !wgpu::util::is_browser_webgpu_supported().await {
        return Err(Failure::no_gpu("this browser offers no WebGPU here"));
    }
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let wish =
        wgpu::RequestAdapterOptions { power_preference: wgpu::PowerPreference::HighPerformance, ..Default::default() };
    let adapter = instance.request_adapter(&wish).await.map_err(Failure::no_gpu)?;
    if gpus == Gpus::Real && adapter.get_info().device_type == wgpu::DeviceType::Cpu {
        return Err(Failure::no_gpu("the only GPU here is emulated by the processor"));
    }
    let description = wgpu::DeviceDescriptor {
        label: Some("clustered-attention"),
        required_features: adapter.features() & wgpu::Features::TIMESTAMP_QUERY,
        required_limits: adapter.limits(),
        ..Default::default()
    };
    let (device, queue) = adapter.request_device(&description).await.map_err(Failure::no_gpu)?;
    let lost = Arc::new(AtomicBool::new(false));
    let heard = lost.clone();
    device.set_device_lost_callback(move |_, _| heard.store(true, Ordering::Relaxed));
    // Calls report what goes wrong within them; nothing is to be thrown outside of any.
    device.on_uncaptured_error(Arc::new(|_| {}));
    Ok(Opened { device, queue, lost })
}
