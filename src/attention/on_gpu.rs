//! What only attention on a GPU has: adapters, devices, matrix units, and what was compiled.

use super::{Attention, Engine};
#[cfg(not(target_arch = "wasm32"))]
use crate::background;
use crate::gpu::{self, AdapterDescription, Compilation};
use crate::{Error, Result};
use std::sync::Arc;

fn no_matrix_units(place: &str) -> Error {
    Error::NoMatrixUnits { reason: format!("{place} has none") }
}

impl Attention {
    /// Opens one of the adapters that [`adapters`](crate::adapters) lists.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) if it cannot be opened.
    pub async fn with_adapter(adapter: AdapterDescription) -> Result<Self> {
        #[cfg(not(target_arch = "wasm32"))]
        return background::run(move |_| Self::with_adapter_blocking(adapter)).await;
        #[cfg(target_arch = "wasm32")]
        Ok(Self::of(Engine::Gpu(Arc::new(gpu::HostEngine::open_described(adapter).await?))))
    }

    /// [`Attention::with_adapter`] for programs without an async runtime. Not available in the browser.
    ///
    /// # Errors
    /// As [`Attention::with_adapter`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn with_adapter_blocking(adapter: AdapterDescription) -> Result<Self> {
        let engine = pollster::block_on(gpu::HostEngine::open_described(adapter))?;
        Ok(Self::of(Engine::Gpu(Arc::new(engine))))
    }

    /// Opens the adapter once more, with its matrix units, which compute the products of problems that say less than float32 is precise enough
    /// ([`Problem::with_precision`](crate::Problem::with_precision)); others are computed as before. In wgpu they are an experiment. Some small problems are computed by them and in
    /// float32, and compared, at every start. The device is another: give it a pipeline cache after this, not before.
    ///
    /// # Errors
    /// [`Error::NoMatrixUnits`](crate::Error::NoMatrixUnits) says what is missing, or how wrong their results are.
    pub async fn with_matrix_units(self) -> Result<Self> {
        #[cfg(not(target_arch = "wasm32"))]
        return background::run(move |_| self.with_matrix_units_blocking()).await;
        #[cfg(target_arch = "wasm32")]
        return Err(no_matrix_units("a browser"));
    }

    /// [`Attention::with_matrix_units`] for programs without an async runtime. Not available in the browser.
    ///
    /// # Errors
    /// As [`Attention::with_matrix_units`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn with_matrix_units_blocking(self) -> Result<Self> {
        let Engine::Gpu(engine) = &self.engine else { return Err(no_matrix_units("the CPU")) };
        let engine = self.in_turn(engine.with_matrix_units())?;
        Ok(Self { engine: Engine::Gpu(Arc::new(engine)), ..self })
    }

    /// Uses an open device, with no more than the limits and features it was created with.
    pub fn with_device(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        Self::of(Engine::Gpu(Arc::new(gpu::HostEngine::with_device(device, queue))))
    }

    /// Begins with [`Attention::pipeline_cache_data`] of an earlier run, so that the driver need not compile again what it compiled then.
    /// Call it before the first problem: what was compiled already is dropped.
    ///
    /// On the CPU, and where there are no pipeline caches, the data is ignored. Outputs are the same in any case.
    ///
    /// # Safety
    /// `data` must be what `pipeline_cache_data` returned, which a driver may trust as it trusts its own compiled code (see
    /// [`wgpu::Device::create_pipeline_cache`]). Accidents are provided for: data that is empty, damaged, or of another version of the crate,
    /// adapter or driver is recognised and ignored. Data that was forged is not, so keep it where only those can write who may also replace
    /// the program.
    #[allow(unsafe_code)]
    pub unsafe fn with_pipeline_cache(mut self, data: &[u8]) -> Self {
        if let Engine::Gpu(engine) = &mut self.engine {
            // SAFETY: what this function demands.
            *engine = Arc::new(unsafe { engine.with_pipeline_cache(data) });
        }
        self
    }

    /// What the driver compiled so far, as bytes for [`Attention::with_pipeline_cache`] of a later run. `None` on the CPU and where there
    /// are no pipeline caches: only Vulkan has them, and a device of your own only if it was created with
    /// [`wgpu::Features::PIPELINE_CACHE`]. Many drivers keep a cache of their own on disk beside it, and some return data with nothing in it.
    pub fn pipeline_cache_data(&self) -> Option<Vec<u8>> {
        match &self.engine {
            Engine::Cpu(_) => None,
            Engine::Gpu(engine) => engine.pipeline_cache_data(),
        }
    }

    /// The kernels that were compiled so far, in that order, a kernel once for each set of sizes that it was compiled for; none on the CPU.
    pub fn compilations(&self) -> Vec<Compilation> {
        match &self.engine {
            Engine::Cpu(_) => Vec::new(),
            Engine::Gpu(engine) => engine.compilations(),
        }
    }

    /// The adapter in use; `None` on the CPU.
    pub fn adapter(&self) -> Option<AdapterDescription> {
        match &self.engine {
            Engine::Cpu(_) => None,
            Engine::Gpu(engine) => Some(engine.describe()),
        }
    }
}
