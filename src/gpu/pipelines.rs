//! Compiled kernels of a device, shared by everything that runs on it.

use super::kernels::{Access, Kernel};
use super::key::KernelKey;
use super::liveness::Liveness;
use super::pipeline_cache::PipelineCache;
use crate::limits::{Limits, MatrixUnits};
use crate::{Error, Result};
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Instant;

/// A compiled kernel and the layout of its bindings.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
}

/// A kernel that was compiled, and how long it took.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Compilation {
    /// The kernel's entry point, which is also the label of its shader module and pipeline.
    pub kernel: &'static str,
    /// Seconds until shader module and pipeline were created. Some drivers, software ones among them, compile only when a kernel first
    /// runs, and browsers compile in the background: neither is part of it.
    pub seconds: f64,
}

/// Everything that was compiled so far.
#[derive(Debug, Default)]
struct Compiled {
    pipelines: HashMap<KernelKey, Arc<Pipeline>>,
    /// In the order in which they were compiled.
    compilations: Vec<Compilation>,
}

/// The compiled kernels of one device. Create one a device and share it: each kernel is compiled once for all problems that need the
/// same sizes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Kernels {
    device: wgpu::Device,
    liveness: Liveness,
    cache: Option<Arc<PipelineCache>>,
    compiled: Arc<Mutex<Compiled>>,
    pub(super) matrices: Option<MatrixUnits>,
}

impl Kernels {
    /// Prepares a device. Nothing is compiled yet.
    ///
    /// # Errors
    /// [`Error::ExceedsLimit`] if the device offers less than WebGPU's defaults, [`Error::DeviceLost`] if it is gone.
    #[allow(unsafe_code)]
    pub fn new(device: &wgpu::Device) -> Result<Self> {
        // SAFETY: there is no data.
        unsafe { Self::with_pipeline_cache(device, &[]) }
    }

    /// Prepares a device with [`Kernels::pipeline_cache_data`] of an earlier run, so that its driver need not compile again what it
    /// compiled then.
    ///
    /// On a device without [`wgpu::Features::PIPELINE_CACHE`] the data is ignored. Outputs are the same in any case.
    ///
    /// # Errors
    /// As [`Kernels::new`]; none because of the data.
    ///
    /// # Safety
    /// `data` must be what `pipeline_cache_data` returned, which a driver may trust as it trusts its own compiled code (see
    /// [`wgpu::Device::create_pipeline_cache`]). Accidents are provided for: data that is empty, damaged, or of another version of the crate,
    /// adapter or driver is recognised and ignored. Data that was forged is not, so keep it where only those can write who may also replace
    /// the program.
    #[allow(unsafe_code)]
    pub unsafe fn with_pipeline_cache(device: &wgpu::Device, data: &[u8]) -> Result<Self> {
        let limits = Limits::of(device);
        limits.check()?;
        // SAFETY: what this function demands.
        let cache = unsafe { PipelineCache::open(device, data) }.map(Arc::new);
        let liveness = Liveness::new(device);
        liveness.check()?;
        Ok(Self { device: device.clone(), liveness, cache, compiled: Arc::default(), matrices: None })
    }

    /// The same without what was compiled, or will be.
    pub(super) fn forgetful(&self) -> Self {
        Self { compiled: Arc::default(), ..self.clone() }
    }

    /// The same with matrix units, which the device must have.
    pub(super) fn with_units(self, units: Option<MatrixUnits>) -> Self {
        Self { matrices: units, ..self }
    }

    /// Refuses to go on if the device was lost.
    pub(crate) fn check_alive(&self) -> Result<()> {
        self.liveness.check()
    }

    /// An error with its cause, where that is the loss of the device.
    pub(super) fn explain(&self, error: Error) -> Error {
        self.liveness.explain(error)
    }

    /// The device the kernels are compiled for.
    pub fn device(&self) -> &wgpu::Device {
        &self.device
    }

    /// What was compiled so far, in that order. A kernel is there once for each set of sizes that it was compiled for; lengths are not
    /// among those sizes.
    pub fn compilations(&self) -> Vec<Compilation> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner).compilations.clone()
    }

    /// What the driver compiled so far, and what it was given at the start, as bytes for [`Kernels::with_pipeline_cache`] of a later run.
    ///
    /// `None` unless the device was created with [`wgpu::Features::PIPELINE_CACHE`], which only Vulkan has. Many drivers keep a cache of
    /// their own on disk beside it, and some return data with nothing in it.
    pub fn pipeline_cache_data(&self) -> Option<Vec<u8>> {
        self.cache.as_ref()?.data()
    }

    /// The kernel compiled as its key says; compiles it the first time. Its uniform has `params_bytes`.
    pub(crate) fn pipeline(&self, kernel: &Kernel, key: KernelKey, params_bytes: usize) -> Arc<Pipeline> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = compiled.pipelines.get(&key) {
            return pipeline.clone();
        }
        let begin = Instant::now();
        let pipeline = Arc::new(self.compile(kernel, &key, params_bytes));
        let seconds = begin.elapsed().as_secs_f64();
        compiled.compilations.push(Compilation { kernel: kernel.entry_point, seconds });
        compiled.pipelines.insert(key, pipeline.clone());
        pipeline
    }

    #[allow(unsafe_code)]
    fn compile(&self, kernel: &Kernel, key: &KernelKey, params_bytes: usize) -> Pipeline {
        let source = key.module(kernel);
        let label = Some(kernel.entry_point);
        let descriptor = wgpu::ShaderModuleDescriptor { label, source: wgpu::ShaderSource::Wgsl(source.into()) };
        let checks = wgpu::ShaderRuntimeChecks { force_loop_bounding: false, ..Default::default() };
        // SAFETY: every loop of the kernels counts towards a bound that is known before it begins, so none needs wgpu's counter against
        // endless loops, which would be one more exit that compilers must keep. All other checks stay on.
        let module = unsafe { self.device.create_shader_module_trusted(descriptor, checks) };
        let entry = |binding, ty, has_dynamic_offset, min_binding_size| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size },
            count: None,
        };
        let params_size = NonZeroU64::new(params_bytes as u64);
        let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform, true, params_size)];
        for (index, &(operand, access)) in kernel.bindings.iter().enumerate() {
            let read_only = kernel.declared_access(operand, access, key.variant.one_buffer) == Access::Read;
            let ty = wgpu::BufferBindingType::Storage { read_only };
            entries.push(entry(index as u32 + 1, ty, false, None));
        }
        let layout =
            self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
        let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&layout)],
            ..Default::default()
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(kernel.entry_point),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Every kernel writes its workgroup memory before it reads it.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: self.cache.as_deref().map(PipelineCache::cache),
        });
        Pipeline { pipeline, layout }
    }
}
