//! Burn's device by the command line.

use anyhow::Result;
use burn::tensor::{Device, Tensor};
use clap::{Args, ValueEnum};

/// Where a model runs.
#[derive(Debug, Clone, Args)]
pub struct DeviceOptions {
    /// Burn's backend: on the CPU, or through wgpu on the best adapter (in programs built with `--features wgpu`)
    #[arg(long, value_enum, default_value_t = BackendName::Cpu)]
    pub backend: BackendName,
}

/// A backend of Burn's by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BackendName {
    Cpu,
    Wgpu,
}

impl DeviceOptions {
    /// Opens the device. Call it once: its clones share it.
    ///
    /// # Errors
    /// There is no adapter, or the program was built without wgpu.
    pub fn open(&self) -> Result<Device> {
        match self.backend {
            BackendName::Cpu => Ok(Device::flex()),
            #[cfg(feature = "wgpu")]
            BackendName::Wgpu => Ok(clustered_attention::burn::init_wgpu(Device::wgpu_options())?),
            #[cfg(not(feature = "wgpu"))]
            BackendName::Wgpu => anyhow::bail!("this program has no wgpu backend: build it with `--features wgpu`"),
        }
    }
}

/// A tensor's numbers on the host.
///
/// # Errors
/// What the device or the conversion says went wrong.
pub fn numbers<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, String> {
    let data = tensor.try_into_data().map_err(|error| error.to_string())?;
    data.try_into_vec::<f32>().map_err(|error| error.to_string())
}

/// A device by what people call it.
pub fn describe(device: &Device) -> String {
    #[cfg(feature = "wgpu")]
    if let Some(identity) = device.identity() {
        return format!("{}, Burn's wgpu backend", identity.name);
    }
    let threads = rayon::current_num_threads();
    let plural = if threads == 1 { "" } else { "s" };
    let backend = if *device == Device::flex() { "" } else { ", another backend of Burn's" };
    format!("the CPU, {threads} thread{plural}{backend}")
}
