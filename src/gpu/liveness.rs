//! Whether a device is still there. wgpu keeps silent about calls on a lost device, and the one callback that it has for the loss belongs to
//! whoever opened the device.

use crate::{Error, Result};
use std::sync::Arc;

#[cfg(not(target_arch = "wasm32"))]
use std::sync::{
    atomic::{AtomicBool, Ordering},
    Mutex, PoisonError,
};

/// Asks a device whether it was lost.
#[derive(Debug, Clone)]
pub(super) struct Liveness(Arc<Asked>);

/// Natively a buffer that can be mapped for as long as the device is there.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug)]
struct Asked {
    device: wgpu::Device,
    canary: Mutex<wgpu::Buffer>,
    /// Whether the device was gone when the canary was made.
    was_lost: bool,
}

/// In the browser everyone may listen for the loss.
#[cfg(target_arch = "wasm32")]
#[derive(Debug)]
struct Asked {
    lost: Arc<std::sync::atomic::AtomicBool>,
}

impl Liveness {
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(device: &wgpu::Device) -> Self {
        let scopes =
            [wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Validation].map(|of| device.push_error_scope(of));
        let canary = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("clustered-attention canary"),
            size: 4,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: true,
        });
        let is_there = canary.slice(..).get_mapped_range().is_ok();
        if is_there {
            canary.unmap();
        }
        let [memory, validation] = scopes;
        let errors = [validation, memory].map(|scope| pollster::block_on(scope.pop()));
        // On a lost device there is no memory, and no error either.
        let was_lost = !is_there && errors.iter().all(Option::is_none);
        Self(Arc::new(Asked { device: device.clone(), canary: Mutex::new(canary), was_lost }))
    }

    #[cfg(target_arch = "wasm32")]
    pub fn new(device: &wgpu::Device) -> Self {
        let lost = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let heard = lost.clone();
        device.set_device_lost_callback(move |_, _| heard.store(true, std::sync::atomic::Ordering::Relaxed));
        Self(Arc::new(Asked { lost }))
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn is_lost(&self) -> bool {
        if self.0.was_lost {
            return true;
        }
        let canary = self.0.canary.lock().unwrap_or_else(PoisonError::into_inner);
        let scope = self.0.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let refused = Arc::new(AtomicBool::new(false));
        let heard = refused.clone();
        canary.slice(..).map_async(wgpu::MapMode::Read, move |mapped| {
            heard.store(mapped.is_err(), Ordering::Relaxed);
        });
        // It is refused at once or not at all; from here on only the `unmap` below can refuse it.
        let refused = refused.load(Ordering::Relaxed);
        if !refused {
            canary.unmap();
        }
        let error = pollster::block_on(scope.pop());
        match (refused, error) {
            (false, _) => false,
            // The loss is the one reason that wgpu keeps to itself.
            (true, None) => true,
            // Another thread's poll mapped it the last time, between the two steps above.
            (true, Some(_)) => {
                let scope = self.0.device.push_error_scope(wgpu::ErrorFilter::Validation);
                canary.unmap();
                drop(scope.pop());
                false
            }
        }
    }

    #[cfg(target_arch = "wasm32")]
    fn is_lost(&self) -> bool {
        self.0.lost.load(std::sync::atomic::Ordering::Relaxed)
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
