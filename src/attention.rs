//! Attention on host slices, on whatever back end there is.

use crate::gpu::{self, AdapterDescription, Compilation};
use crate::limits::Limits;
use crate::plan::{Plan, DEFAULT_SCRATCH_BUDGET_BYTES};
use crate::problem::{check_output, Call, Supplied};
use crate::trace::Trace;
use crate::{cpu, Inputs, Problem, Result};

/// Where attention is computed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Backend {
    /// A real GPU if there is one, otherwise the CPU.
    #[default]
    Auto,
    /// The best adapter there is, a software one if need be.
    Gpu,
    /// The first adapter whose name, driver or API (`vulkan`, `metal`, `dx12`, `gl`, `browserwebgpu`) contains this text, in any case.
    Adapter(String),
    /// The CPU, by all cores.
    Cpu,
}

/// Computes attention on host slices.
///
/// Creating one opens the device and is slow; keep it. Kernels are compiled once, at the first problem that needs them.
///
/// ```
/// use clustered_attention::{Attention, Backend, Inputs, Method, Problem, Shape};
/// let problem = Problem::new(Shape::self_attention(1, 2, 300, 16), Method::stitched(10))?;
/// let data: Vec<f32> = (0..2 * 300 * 16).map(|i| (i as f32 * 0.37).sin()).collect();
/// let attention = Attention::new_blocking(Backend::Cpu)?;
/// let output = attention.run_blocking(&problem, &Inputs::new(&data, &data, &data))?;
/// assert_eq!(output.len(), data.len());
/// # Ok::<(), clustered_attention::Error>(())
/// ```
#[derive(Debug)]
pub struct Attention {
    engine: Engine,
    scratch_budget_bytes: u64,
}

#[derive(Debug)]
enum Engine {
    Cpu(Box<cpu::Workspace>),
    Gpu(Box<gpu::HostEngine>),
}

impl Attention {
    /// Opens a back end.
    ///
    /// # Errors
    /// [`NoAdapter`](crate::Error::NoAdapter) if a GPU was asked for and none fits, [`Device`](crate::Error::Device) if it cannot be opened.
    pub async fn new(backend: Backend) -> Result<Self> {
        let engine = match backend {
            Backend::Cpu => Engine::Cpu(Box::default()),
            Backend::Auto => match gpu::HostEngine::open_hardware().await {
                Some(engine) => Engine::Gpu(Box::new(engine)),
                None => Engine::Cpu(Box::default()),
            },
            Backend::Gpu => Engine::Gpu(Box::new(gpu::HostEngine::open(None).await?)),
            Backend::Adapter(name) => Engine::Gpu(Box::new(gpu::HostEngine::open(Some(&name)).await?)),
        };
        Ok(Self { engine, scratch_budget_bytes: DEFAULT_SCRATCH_BUDGET_BYTES })
    }

    /// Opens one of the adapters that [`adapters`](crate::adapters) lists.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) if it cannot be opened.
    pub async fn with_adapter(adapter: AdapterDescription) -> Result<Self> {
        let engine = Engine::Gpu(Box::new(gpu::HostEngine::open_described(adapter).await?));
        Ok(Self { engine, scratch_budget_bytes: DEFAULT_SCRATCH_BUDGET_BYTES })
    }

    /// [`Attention::with_adapter`] for programs without an async runtime. Not available in the browser.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn with_adapter_blocking(adapter: AdapterDescription) -> Result<Self> {
        pollster::block_on(Self::with_adapter(adapter))
    }

    /// Uses an open device, with no more than the limits and features it was created with.
    pub fn with_device(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        let engine = Engine::Gpu(Box::new(gpu::HostEngine::with_device(device, queue)));
        Self { engine, scratch_budget_bytes: DEFAULT_SCRATCH_BUDGET_BYTES }
    }

    /// [`Attention::new`] for programs without an async runtime. Not available in the browser.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new_blocking(backend: Backend) -> Result<Self> {
        pollster::block_on(Self::new(backend))
    }

    /// Bounds the scratch memory of a call; the default is [`DEFAULT_SCRATCH_BUDGET_BYTES`].
    pub fn with_scratch_budget_bytes(mut self, bytes: u64) -> Self {
        self.scratch_budget_bytes = bytes;
        self
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
            unsafe { engine.use_pipeline_cache(data) };
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

    /// How a problem would be cut here, and the scratch memory it would take.
    ///
    /// # Errors
    /// See [`Plan::new`].
    pub fn plan(&self, problem: &Problem) -> Result<Plan> {
        let limits = match &self.engine {
            Engine::Cpu(_) => Limits::host(),
            Engine::Gpu(engine) => engine.limits(),
        };
        Plan::new(problem, &limits, self.scratch_budget_bytes)
    }

    /// Computes a problem; the output is in the problem's layout, `[N, H, L, M]` or `[N, L, H, M]`.
    ///
    /// # Errors
    /// Wrong sizes, lengths out of range, NaN or infinity at a valid position, and limits that the problem exceeds.
    pub async fn run(&self, problem: &Problem, inputs: &Inputs<'_>) -> Result<Vec<f32>> {
        self.run_placed(problem, inputs, None).await
    }

    /// [`Attention::run`] with queries that stand where `positions` say, `[N, H, L]`, ascending in each head. For visibility without a bound on
    /// the left: what a tile sees is counted for neighbours (`stages/exact_attention.rs`).
    pub(crate) async fn run_placed(
        &self,
        problem: &Problem,
        inputs: &Inputs<'_>,
        positions: Option<&[i32]>,
    ) -> Result<Vec<f32>> {
        let supplied = Supplied::default();
        let plan = self.check(problem, inputs, &supplied)?;
        let mut output = vec![0.0; problem.shape().output_elements()];
        self.compute(&plan, &Call { inputs, supplied: &supplied, positions }, &mut output, None).await?;
        Ok(output)
    }

    /// [`Attention::run`] into memory of the caller.
    ///
    /// # Errors
    /// As [`Attention::run`]; also if `output` has the wrong size.
    pub async fn run_into(&self, problem: &Problem, inputs: &Inputs<'_>, output: &mut [f32]) -> Result<()> {
        check_output(problem, output)?;
        let supplied = Supplied::default();
        let plan = self.check(problem, inputs, &supplied)?;
        self.compute(&plan, &Call { inputs, supplied: &supplied, positions: None }, output, None).await
    }

    /// Computes a problem and returns all intermediate results and stage times; some results can be supplied instead.
    ///
    /// # Errors
    /// As [`Attention::run`]; also if something supplied has the wrong size or an entry out of range.
    pub async fn trace(&self, problem: &Problem, inputs: &Inputs<'_>, supplied: &Supplied<'_>) -> Result<Trace> {
        let plan = self.check(problem, inputs, supplied)?;
        let mut trace = Trace::default();
        let mut output = vec![0.0; problem.shape().output_elements()];
        self.compute(&plan, &Call { inputs, supplied, positions: None }, &mut output, Some(&mut trace)).await?;
        trace.output = output;
        Ok(trace)
    }

    /// [`Attention::run`] for programs without an async runtime. Not available in the browser.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_blocking(&self, problem: &Problem, inputs: &Inputs) -> Result<Vec<f32>> {
        pollster::block_on(self.run(problem, inputs))
    }

    /// [`Attention::run_into`] for programs without an async runtime. Not available in the browser.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_into_blocking(&self, problem: &Problem, inputs: &Inputs, output: &mut [f32]) -> Result<()> {
        pollster::block_on(self.run_into(problem, inputs, output))
    }

    /// [`Attention::trace`] for programs without an async runtime. Not available in the browser.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn trace_blocking(&self, problem: &Problem, inputs: &Inputs, supplied: &Supplied) -> Result<Trace> {
        pollster::block_on(self.trace(problem, inputs, supplied))
    }

    /// Checks everything that is given, before anything is allocated.
    fn check(&self, problem: &Problem, inputs: &Inputs, supplied: &Supplied) -> Result<Plan> {
        inputs.validate(problem)?;
        supplied.validate(problem, inputs.query_lengths)?;
        self.plan(problem)
    }

    async fn compute(&self, plan: &Plan, call: &Call<'_>, output: &mut [f32], trace: Option<&mut Trace>) -> Result<()> {
        match &self.engine {
            Engine::Cpu(workspace) => {
                cpu::run(plan, call, output, trace, workspace);
                Ok(())
            }
            Engine::Gpu(engine) => engine.run(plan, call, output, trace).await,
        }
    }
}
