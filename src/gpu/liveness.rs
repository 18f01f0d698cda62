//! Whether a device is still there. wgpu keeps silent about calls on a lost device, and the one callback that it has for the loss belongs to
//! whoever opened the device.

#[cfg(not(target_arch = "wasm32"))]
use super::complaints::heard;
use crate::{Error, Result};

/// Asks a device whether it was lost.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug, Clone)]
pub(super) struct Liveness(wgpu::Device);

/// In the browser everyone may listen for the loss.
#[cfg(target_arch = "wasm32")]
#[derive(Debug, Clone)]
pub(super) struct Liveness(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Liveness {
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(device: &wgpu::Device) -> Self {
        Self(device.clone())
    }

    #[cfg(target_arch = "wasm32")]
    pub fn new(device: &wgpu::Device) -> Self {
        let lost = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let heard = lost.clone();
        device.set_device_lost_callback(move |_, _| heard.store(true, std::sync::atomic::Ordering::Relaxed));
        Self(lost)
    }

    /// By four bytes that nobody else ever sees: mapping a buffer that is kept would race with every thread that polls the device.
    #[cfg(not(target_arch = "wasm32"))]
    fn is_lost(&self) -> bool {
        let (is_there, complaint) = heard(&self.0, || {
            let probe = self.0.create_buffer(&wgpu::BufferDescriptor {
                label: Some("clustered-attention probe"),
                size: 4,
                usage: wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: true,
            });
            let memory = probe.slice(..).get_mapped_range_mut();
            memory.is_ok()
        });
        // On a lost device there is no memory, and no error either.
        !is_there && pollster::block_on(complaint).is_none()
    }

    #[cfg(target_arch = "wasm32")]
    fn is_lost(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Refuses to go on without a device.
    pub fn check(&self) -> Result<()> {
        if self.is_lost() {
            return Err(Error::DeviceLost { message: "it was lost before this call".into() });
        }
        Ok(())
    }

    /// An error with its cause, where that is the loss of the device.
    pub fn explain(&self, error: Error) -> Error {
        match error {
            Error::Device { message } if self.is_lost() => Error::DeviceLost { message },
            error => error,
        }
    }
}
