//! Attention on host slices, on whatever back end there is.

#[cfg(feature = "gpu")]
mod on_gpu;

#[cfg(not(target_arch = "wasm32"))]
use crate::background;
use crate::background::Cancellation;
#[cfg(feature = "gpu")]
use crate::gpu;
use crate::limits::{Limits, DEFAULT_SCRATCH_BUDGET_BYTES};
use crate::plan::{LastPlan, Plan};
#[cfg(not(target_arch = "wasm32"))]
use crate::problem::{check_element, OwnedCall};
use crate::problem::{check_output, empty_output, Call, Stored, Sums, Supplied};
use crate::trace::Trace;
#[cfg(not(feature = "gpu"))]
use crate::Error;
use crate::{cpu, Inputs, Problem, Result};
#[cfg(not(target_arch = "wasm32"))]
use std::future::Future;
use std::sync::Arc;

/// Where attention is computed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Backend {
    /// A real GPU if there is one, otherwise the CPU. Asks drivers as [`Backend::Gpu`] does, so one that crashes takes the process with it;
    /// [`Backend::Cpu`] touches none.
    #[default]
    Auto,
    /// The best adapter that can be opened, a software one if need be. OpenGL is asked only where no hardware of another API was taken, and
    /// `WGPU_BACKEND` narrows all of them, as for [`adapters`](crate::adapters).
    Gpu,
    /// The best adapter that can be opened of those whose name, driver or API contains this text, in any case. The name of an API (`vulkan`,
    /// `metal`, `dx12`, `gl`) is that API alone: no other driver is touched.
    Adapter(String),
    /// The CPU, by all cores. No driver is touched.
    Cpu,
}

/// Computes attention on host slices.
///
/// Creating one opens the device and is slow; keep it. Kernels are compiled once, at the first problem that needs them. Clones share the
/// device and everything that was compiled.
///
/// Calls may come from several threads. Natively the `async` functions compute on a thread of their own, so that an executor's other tasks go
/// on; they copy what they are given once. Dropping their future stops what had not begun: stages on the CPU, submissions on a GPU. The
/// `_blocking` ones compute and wait on the caller's thread and copy nothing. On OpenGL, which serves one thread at a time, all calls of a
/// process wait for each other, and dropping an `Attention` there waits too.
///
/// On the CPU all cores work by rayon. Within a pool of rayon's use the `_blocking` functions, which compute in the pool that they are called
/// in: a worker that waits for an `async` call keeps a thread that this call may need.
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
#[derive(Debug, Clone)]
pub struct Attention {
    engine: Engine,
    scratch_budget_bytes: u64,
    last_plan: Arc<LastPlan>,
}

#[derive(Debug, Clone)]
enum Engine {
    Cpu(Arc<cpu::Workspace>),
    #[cfg(feature = "gpu")]
    Gpu(Arc<gpu::HostEngine>),
}

impl Engine {
    /// Opens a back end. Natively it waits on this thread.
    async fn open(backend: Backend) -> Result<Self> {
        #[cfg(feature = "gpu")]
        let open = match backend {
            Backend::Cpu => None,
            Backend::Auto => gpu::HostEngine::open_hardware().await,
            Backend::Gpu => Some(gpu::HostEngine::open(None).await?),
            Backend::Adapter(name) => Some(gpu::HostEngine::open(Some(&name)).await?),
        };
        #[cfg(feature = "gpu")]
        if let Some(engine) = open {
            return Ok(Self::Gpu(Arc::new(engine)));
        }
        #[cfg(not(feature = "gpu"))]
        if !matches!(backend, Backend::Auto | Backend::Cpu) {
            let found = "none: the crate was built without its feature `gpu`".into();
            return Err(Error::NoAdapter { wanted: "with compute shaders".into(), found });
        }
        Ok(Self::Cpu(Arc::default()))
    }
}

impl Attention {
    fn of(engine: Engine) -> Self {
        Self { engine, scratch_budget_bytes: DEFAULT_SCRATCH_BUDGET_BYTES, last_plan: Arc::default() }
    }

    /// Opens a back end.
    ///
    /// # Errors
    /// [`NoAdapter`](crate::Error::NoAdapter) if a GPU was asked for and none fits, [`NoAdapterOpens`](crate::Error::NoAdapterOpens) if none
    /// of those that fit can be opened.
    pub async fn new(backend: Backend) -> Result<Self> {
        #[cfg(not(target_arch = "wasm32"))]
        let engine = match backend {
            Backend::Cpu => Engine::open(backend).await?,
            _ => background::run(move |_| pollster::block_on(Engine::open(backend))).await?,
        };
        #[cfg(target_arch = "wasm32")]
        let engine = Engine::open(backend).await?;
        Ok(Self::of(engine))
    }

    /// [`Attention::new`] for programs without an async runtime. Not available in the browser.
    ///
    /// # Errors
    /// As [`Attention::new`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new_blocking(backend: Backend) -> Result<Self> {
        Ok(Self::of(pollster::block_on(Engine::open(backend))?))
    }

    /// Bounds the scratch memory of a call; the default is [`DEFAULT_SCRATCH_BUDGET_BYTES`].
    pub fn with_scratch_budget_bytes(mut self, bytes: u64) -> Self {
        self.scratch_budget_bytes = bytes;
        self
    }

    /// How a problem would be cut here, and the scratch memory it would take.
    ///
    /// # Errors
    /// See [`Plan::new`].
    pub fn plan(&self, problem: &Problem) -> Result<Plan> {
        Plan::new(problem, &self.limits())
    }

    /// The limits that problems are planned for here.
    pub fn limits(&self) -> Limits {
        let limits = match &self.engine {
            Engine::Cpu(_) => Limits::host(),
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.limits(),
        };
        limits.with_scratch_budget_bytes(self.scratch_budget_bytes)
    }

    /// Computes a problem; the output is in the problem's layout, `[N, H, L, M]` or `[N, L, H, M]`, and of the type of the inputs. Natively on a
    /// thread of its own, from a copy of the inputs.
    ///
    /// # Errors
    /// Inputs of another type than the problem's element, wrong sizes, lengths out of range, NaN or infinity at a valid position, inputs so large that logits or sums may exceed float32, and
    /// limits that the problem exceeds; on a device also [`DeviceLost`](crate::Error::DeviceLost), [`Device`](crate::Error::Device). Natively
    /// [`OutOfMemory`](crate::Error::OutOfMemory) and [`Thread`](crate::Error::Thread), where the system has no more.
    pub async fn run<E: Stored>(&self, problem: &Problem, inputs: &Inputs<'_, E>) -> Result<Vec<E>> {
        self.run_placed(problem, inputs, None).await
    }

    /// [`Attention::run`] with queries that stand where `positions` say, `[N, H, L]`, ascending in each head. For visibility without a bound on
    /// the left: what a tile sees is counted for neighbours (`stages/exact_attention.rs`).
    pub(crate) async fn run_placed<E: Stored>(
        &self,
        problem: &Problem,
        inputs: &Inputs<'_, E>,
        positions: Option<&[i32]>,
    ) -> Result<Vec<E>> {
        let supplied = Supplied::default();
        self.compute(problem, &Call { inputs, supplied: &supplied, positions }, false).await.map(|(output, _)| output)
    }

    /// [`Attention::run`] into memory of the caller.
    ///
    /// # Errors
    /// As [`Attention::run`]; also if `output` has the wrong size.
    pub async fn run_into<E: Stored>(&self, problem: &Problem, inputs: &Inputs<'_, E>, output: &mut [E]) -> Result<()> {
        check_output(problem, output)?;
        output.copy_from_slice(&self.run(problem, inputs).await?);
        Ok(())
    }

    /// Computes a problem and returns all intermediate results and stage times; some results can be supplied instead. The output among them is
    /// float32 in any case. Natively on a thread of its own, from a copy of what is given.
    ///
    /// # Errors
    /// As [`Attention::run`]; also if something supplied has the wrong size or an entry out of range.
    pub async fn trace<E: Stored>(
        &self,
        problem: &Problem,
        inputs: &Inputs<'_, E>,
        supplied: &Supplied<'_>,
    ) -> Result<Trace> {
        let (output, trace) = self.compute(problem, &Call { inputs, supplied, positions: None }, true).await?;
        Ok(Trace { output: widened(&output), ..trace })
    }

    /// [`Attention::run`] for programs without an async runtime: computes and waits on this thread. Not available in the browser.
    ///
    /// # Errors
    /// As [`Attention::run`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_blocking<E: Stored>(&self, problem: &Problem, inputs: &Inputs<E>) -> Result<Vec<E>> {
        self.run_placed_blocking(problem, inputs, None)
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn run_placed_blocking<E: Stored>(
        &self,
        problem: &Problem,
        inputs: &Inputs<E>,
        positions: Option<&[i32]>,
    ) -> Result<Vec<E>> {
        let call = Call { inputs, supplied: &Supplied::default(), positions };
        self.compute_here(problem, &call, false, &Cancellation::default()).map(|(output, _)| output)
    }

    /// [`Attention::run_into`] for programs without an async runtime: computes and waits on this thread. Not available in the browser.
    ///
    /// On the CPU, a call with the same problem as the one before allocates nothing. Only rayon does, which takes over calls from threads that are
    /// not its own by a queue: one of some thirty calls allocates a block of that.
    ///
    /// # Errors
    /// As [`Attention::run_into`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_into_blocking<E: Stored>(&self, problem: &Problem, inputs: &Inputs<E>, output: &mut [E]) -> Result<()> {
        check_output(problem, output)?;
        let call = Call { inputs, supplied: &Supplied::default(), positions: None };
        let checked = self.check(problem, &call)?;
        self.in_turn(self.compute_into(&checked, &call, output, None, &Cancellation::default()))
    }

    /// [`Attention::trace`] for programs without an async runtime: computes and waits on this thread. Not available in the browser.
    ///
    /// # Errors
    /// As [`Attention::trace`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn trace_blocking<E: Stored>(
        &self,
        problem: &Problem,
        inputs: &Inputs<E>,
        supplied: &Supplied,
    ) -> Result<Trace> {
        let call = Call { inputs, supplied, positions: None };
        let (output, trace) = self.compute_here(problem, &call, true, &Cancellation::default())?;
        Ok(Trace { output: widened(&output), ..trace })
    }

    /// Computes away from the caller's thread, from a copy of the call. In the browser on the one thread there is, which goes on while a GPU works.
    async fn compute<E: Stored>(&self, problem: &Problem, call: &Call<'_, E>, tracing: bool) -> Computed<E> {
        #[cfg(not(target_arch = "wasm32"))]
        {
            check_element::<E>("queries", problem)?;
            let (this, problem, call) = (self.clone(), *problem, OwnedCall::of(problem, call)?);
            let work = move |requested: &_| call.lend(|call| this.compute_here(&problem, call, tracing, requested));
            background::run(work).await
        }
        #[cfg(target_arch = "wasm32")]
        {
            let checked = self.check(problem, call)?;
            let (mut output, mut trace) = (empty_output(problem)?, Trace::default());
            let kept = tracing.then_some(&mut trace);
            self.compute_into(&checked, call, &mut output, kept, &Cancellation::default()).await?;
            Ok((output, trace))
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn compute_here<E: Stored>(
        &self,
        problem: &Problem,
        call: &Call<'_, E>,
        tracing: bool,
        cancellation: &Cancellation,
    ) -> Computed<E> {
        let checked = self.check(problem, call)?;
        let (mut output, mut trace) = (empty_output(problem)?, Trace::default());
        self.in_turn(self.compute_into(&checked, call, &mut output, tracing.then_some(&mut trace), cancellation))?;
        Ok((output, trace))
    }

    /// Waits on this thread for its turn, and then for the future.
    #[cfg(not(target_arch = "wasm32"))]
    fn in_turn<T>(&self, future: impl Future<Output = T>) -> T {
        #[cfg(feature = "gpu")]
        let _turn = match &self.engine {
            Engine::Cpu(_) => None,
            Engine::Gpu(engine) => engine.exclusive(),
        };
        pollster::block_on(future)
    }

    /// Checks everything that is given, before anything is allocated.
    fn check<E: Stored>(&self, problem: &Problem, call: &Call<E>) -> Result<(Arc<Plan>, Sums)> {
        let sums = call.inputs.validate(problem)?;
        call.supplied.validate(problem, call.inputs)?;
        Ok((self.last_plan.plan(problem, &self.limits())?, sums))
    }

    async fn compute_into<E: Stored>(
        &self,
        checked: &(Arc<Plan>, Sums),
        call: &Call<'_, E>,
        output: &mut [E],
        trace: Option<&mut Trace>,
        cancellation: &Cancellation,
    ) -> Result<()> {
        let (plan, sums) = checked;
        match &self.engine {
            Engine::Cpu(workspace) => cpu::run_stored(plan, call, output, trace, workspace, cancellation)?,
            #[cfg(feature = "gpu")]
            Engine::Gpu(engine) => engine.run(plan, call, output, trace, cancellation).await?,
        }
        call.inputs.check_sums(&plan.problem, *sums, output)
    }
}

/// An output, and what a trace keeps beside it.
type Computed<E> = Result<(Vec<E>, Trace)>;

/// An output as a trace has it.
fn widened<E: Stored>(output: &[E]) -> Vec<f32> {
    output.iter().map(|number| number.wide()).collect()
}
