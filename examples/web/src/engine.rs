//! A back end with an input, and what was computed of it so far.

use crate::device::{self, Gpus, Opened};
use crate::failure::{Failure, Result};
use crate::matrix;
use crate::page_input::Input;
use crate::rows;
use crate::settings::{MethodName, Settings};
use clustered_attention::wgpu;
use clustered_attention::{
    Attention, Backend, Clustering, ExactRows, GuardAction, KeyGroups, Method, Problem, Rows, Shape, Supplied, Trace,
};
use serde::Serialize;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use web_time::Instant;

/// Operations of exact attention up to which all rows are compared, and rows of a head that are where there are more.
const OPERATIONS_OF_ALL_ROWS: u64 = 1 << 32;
const SAMPLED_ROWS: usize = 64;
/// A call is timed again until its repetitions took this long together, or were this many.
const SECONDS_OF_REPETITIONS: f64 = 0.4;
const REPETITIONS: usize = 5;
/// A first call that took longer than this is the measurement: it computed for so long that preparing hardly counts.
const SECONDS_OF_A_LONG_CALL: f64 = 10.0;
/// The widest image of a matrix: the widest values that kernels take.
const LARGEST_IMAGE: usize = Shape::MAX_WIDTH;

/// What a call of a method took and how far off it was.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    pub method: &'static str,
    #[serde(skip)]
    pub output: Vec<f32>,
    /// Median of the calls after the first, which also prepares kernels and memory; the first where it took long enough to count.
    pub milliseconds: f64,
    pub first_milliseconds: f64,
    pub relative_error: f64,
    pub worst_row_error: f64,
    /// Floating-point and integer operations by the formulas of `docs/method.md`, of the method and of exact attention.
    pub operations: f64,
    pub exact_operations: f64,
    pub scratch_bytes: f64,
    /// What the guard measured in each head, and whether the head was computed exactly; empty without a guard.
    pub guard_errors: Vec<f32>,
    pub fell_back: Vec<bool>,
}

/// The largest values that settings may have for an input on a back end.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingLimits {
    pub clusters: usize,
    pub top_k: usize,
    pub window: usize,
    pub key_groups: usize,
    pub samples: usize,
    pub bits: usize,
    pub iterations: usize,
    pub euclidean_steps: usize,
    pub length: usize,
}

/// What was computed of an input, kept for the next question.
#[derive(Debug, Default)]
struct State {
    /// The input as the page gave it, and the one that is computed, which may be a longer one made of it.
    given: Option<Rc<Input>>,
    input: Option<Rc<Input>>,
    exact: Option<Rc<ExactRows>>,
    groups: Option<(Settings, Rc<Trace>)>,
}

/// A back end with an input.
#[derive(Debug)]
pub struct Engine {
    attention: Attention,
    /// The CPU twin. It groups what a page looks at, query by query: reading every stage back from a GPU would take longer than computing
    /// it, in some browsers by seconds.
    twin: Attention,
    device: Option<wgpu::Device>,
    /// Why the CPU was taken although a GPU would have been welcome.
    fallback_reason: Option<String>,
    lost: Arc<AtomicBool>,
    disposed: Cell<bool>,
    state: RefCell<State>,
}

impl Engine {
    /// Opens WebGPU (or what wgpu finds elsewhere), the CPU, or the first if there is a real GPU behind it, as the crate does natively: the
    /// twin is faster than a GPU that a processor plays.
    pub async fn open(backend: &str) -> Result<Self> {
        match backend {
            "cpu" => Self::open_cpu(None).await,
            "gpu" => Self::open_gpu(Gpus::All).await,
            "auto" => match Self::open_gpu(Gpus::Real).await {
                Ok(engine) => Ok(engine),
                Err(failure) => Self::open_cpu(Some(failure.message)).await,
            },
            other => Err(format!("there is no back end `{other}`; there are auto, gpu, cpu").into()),
        }
    }

    async fn open_cpu(fallback_reason: Option<String>) -> Result<Self> {
        Ok(Self::of(open_twin().await?, open_twin().await?, None, fallback_reason, Arc::default()))
    }

    fn of(
        attention: Attention,
        twin: Attention,
        device: Option<wgpu::Device>,
        fallback_reason: Option<String>,
        lost: Arc<AtomicBool>,
    ) -> Self {
        let (disposed, state) = (Cell::default(), RefCell::default());
        Self { attention, twin, device, fallback_reason, lost, disposed, state }
    }

    async fn open_gpu(gpus: Gpus) -> Result<Self> {
        let Opened { device, queue, lost } = device::open(gpus).await?;
        let attention = Attention::with_device(device.clone(), queue);
        Ok(Self::of(attention, open_twin().await?, Some(device), None, lost))
    }

    pub fn fallback_reason(&self) -> Option<String> {
        self.fallback_reason.clone()
    }

    pub fn backend(&self) -> &'static str {
        if self.device.is_some() {
            "gpu"
        } else {
            "cpu"
        }
    }

    /// The adapter in words.
    pub fn adapter(&self) -> String {
        self.attention.adapter().map_or_else(|| "CPU".into(), |adapter| adapter.to_string())
    }

    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Frees the device; calls fail from then on.
    pub fn dispose(&self) {
        self.lost.store(true, Ordering::Relaxed);
        self.disposed.set(true);
        self.state.take();
        if let Some(device) = &self.device {
            device.destroy();
        }
    }

    /// Takes an input after it was checked.
    pub fn set_input(&self, input: Input) -> Result<()> {
        self.check_device()?;
        input.check()?;
        let input = Rc::new(input);
        *self.state.borrow_mut() = State { given: Some(input.clone()), input: Some(input), ..State::default() };
        Ok(())
    }

    /// Computes with a longer input made of the one that was given.
    pub fn lengthen(&self, length: usize, seed: u64) -> Result<()> {
        self.check_device()?;
        let given = self.state.borrow().given.clone().ok_or_else(no_input)?;
        let shape = given.shape.with_queries(length).with_keys(length);
        Problem::new(shape, Method::Exact)?;
        let input = Rc::new(given.lengthened(length, seed));
        *self.state.borrow_mut() = State { given: Some(given), input: Some(input), ..State::default() };
        Ok(())
    }

    /// The input as it is now; a later one is for later calls.
    pub fn input(&self) -> Result<Rc<Input>> {
        self.check_device()?;
        self.state.borrow().input.clone().ok_or_else(no_input)
    }

    fn check_device(&self) -> Result<()> {
        if self.disposed.get() {
            return Err(Failure::disposed());
        }
        if self.is_lost() {
            return Err(Failure::lost(None));
        }
        Ok(())
    }

    /// What matters about a failure: that the device is gone, if it is.
    pub fn explain(&self, failure: Failure) -> Failure {
        match self.check_device() {
            Err(gone) if gone.code == failure.code => failure,
            Err(gone) if self.disposed.get() => gone,
            Err(_) => Failure::lost(Some(&failure.message)),
            Ok(()) => failure,
        }
    }

    pub fn limits(&self) -> Result<SettingLimits> {
        let shape = self.input()?.shape;
        let row_bytes = 4 * shape.slices() as u64 * shape.width.max(shape.value_width) as u64;
        let buffer_bytes = match &self.device {
            Some(device) => device.limits().max_buffer_size,
            // A quarter of the memory that WebAssembly can have.
            None => 1 << 30,
        };
        Ok(SettingLimits {
            clusters: shape.queries.min(Clustering::MAX_CLUSTERS),
            top_k: shape.keys.min(Method::MAX_TOP_K),
            window: shape.queries - 1,
            key_groups: shape.keys.min(KeyGroups::MAX_GROUPS),
            samples: Clustering::MAX_SAMPLES,
            bits: Clustering::MAX_BITS,
            iterations: 100,
            euclidean_steps: 100,
            length: (buffer_bytes / row_bytes.max(1)).min(1 << 24) as usize,
        })
    }

    /// Computes the input by a method, several times, and compares it with exact attention.
    pub async fn run(&self, input: &Rc<Input>, method: MethodName, settings: &Settings) -> Result<Measured> {
        let problem = problem(input, method, settings)?;
        let plan = self.attention.plan(&problem)?;
        let mut output = vec![0.0; input.shape.output_elements()];
        let first = self.timed(&problem, input, &mut output).await?;
        let mut later = Vec::new();
        while first < SECONDS_OF_A_LONG_CALL
            && later.len() < REPETITIONS
            && (later.is_empty() || later.iter().sum::<f64>() < SECONDS_OF_REPETITIONS)
        {
            later.push(self.timed(&problem, input, &mut output).await?);
        }
        check_finite(&output)?;
        later.sort_by(f64::total_cmp);
        let median = later.get(later.len() / 2).copied().unwrap_or(first);
        let exact = self.exact(input).await?;
        let accuracy = exact.compare(&output)?;
        let exact_problem = self::problem(input, MethodName::Exact, settings)?;
        let guarded = match (method, settings.guard) {
            (MethodName::Stitched, GuardAction::Report | GuardAction::Recompute) => {
                self.attention.trace(&problem, &input.inputs(), &Supplied::default()).await?
            }
            _ => Trace::default(),
        };
        Ok(Measured {
            method: method.name(),
            output,
            milliseconds: 1e3 * median,
            first_milliseconds: 1e3 * first,
            relative_error: accuracy.relative_error,
            worst_row_error: accuracy.max_row_error,
            operations: self.operations(&problem)?,
            exact_operations: self.operations(&exact_problem)?,
            scratch_bytes: plan.scratch_bytes() as f64,
            guard_errors: guarded.guard_error,
            fell_back: guarded.fell_back,
        })
    }

    /// Computes a problem and returns the seconds that it took, data to the device and back included.
    async fn timed(&self, problem: &Problem, input: &Input, output: &mut [f32]) -> Result<f64> {
        let begin = Instant::now();
        self.attention.run_into(problem, &input.inputs(), output).await?;
        Ok(begin.elapsed().as_secs_f64())
    }

    fn operations(&self, problem: &Problem) -> Result<f64> {
        let plan = self.attention.plan(problem)?;
        Ok(plan.costs().iter().map(|cost| cost.operations as f64 + cost.integer_operations as f64).sum())
    }

    /// Exact attention of the input, at all rows or some; computed once.
    async fn exact(&self, input: &Rc<Input>) -> Result<Rc<ExactRows>> {
        if let Some(exact) = self.kept(input, |state| state.exact.clone()) {
            return Ok(exact);
        }
        let shape = input.shape;
        let problem = Problem::new(shape, Method::Exact)?;
        let products = shape.slices() as u64 * (shape.queries as u64).pow(2);
        let rows = if 2 * products * (shape.width + shape.value_width) as u64 <= OPERATIONS_OF_ALL_ROWS {
            Rows::All
        } else {
            Rows::Sample { per_head: SAMPLED_ROWS, seed: 0 }
        };
        let exact = Rc::new(ExactRows::compute(&self.attention, &problem, &input.inputs(), rows).await?);
        self.keep(input, |state| state.exact = Some(exact.clone()));
        Ok(exact)
    }

    /// What is kept of an input; nothing, if the page has given another meanwhile.
    fn kept<T>(&self, input: &Rc<Input>, choose: impl FnOnce(&State) -> Option<T>) -> Option<T> {
        let state = self.state.borrow();
        let is_present = state.input.as_ref().is_some_and(|present| Rc::ptr_eq(present, input));
        is_present.then(|| choose(&state)).flatten()
    }

    /// Changes what is kept, unless the page has given another input meanwhile.
    fn keep(&self, input: &Rc<Input>, change: impl FnOnce(&mut State)) {
        let mut state = self.state.borrow_mut();
        if state.input.as_ref().is_some_and(|present| Rc::ptr_eq(present, input)) {
            change(&mut state);
        }
    }

    /// How queries and keys are grouped, and the keys that each cluster computes exactly; computed once for the same settings.
    pub async fn groups(&self, input: &Rc<Input>, settings: &Settings) -> Result<Rc<Trace>> {
        let settings = settings.grouping();
        let of_settings = |state: &State| state.groups.clone().filter(|(kept, _)| *kept == settings);
        if let Some((_, groups)) = self.kept(input, of_settings) {
            return Ok(groups);
        }
        // It alone groups keys; its clusters and top-k keys are those of the others.
        let problem = problem(input, MethodName::Stitched, &settings)?;
        let trace = Rc::new(self.twin.trace(&problem, &input.inputs(), &Supplied::default()).await?);
        self.keep(input, |state| state.groups = Some((settings, trace.clone())));
        Ok(trace)
    }

    /// The weights that a query gives to all keys.
    pub async fn row(
        &self,
        input: &Rc<Input>,
        method: MethodName,
        settings: &Settings,
        head: usize,
        position: usize,
    ) -> Result<Vec<f32>> {
        check_place("position", position, input.shape.queries)?;
        check_place("head", head, input.heads())?;
        problem(input, method, settings)?;
        let groups = if method == MethodName::Exact { Rc::default() } else { self.groups(input, settings).await? };
        Ok(rows::weights(input, &groups, method, settings, head, position))
    }

    /// The attention matrix of a head as an image.
    pub async fn matrix(
        &self,
        input: &Rc<Input>,
        method: MethodName,
        settings: &Settings,
        head: usize,
        size: usize,
    ) -> Result<Vec<f32>> {
        check_place("head", head, input.heads())?;
        let largest = LARGEST_IMAGE.min(input.shape.queries);
        if !(1..=largest).contains(&size) {
            return Err(format!("`size` is {size}; it must be from 1 to {largest}").into());
        }
        let groups = if method == MethodName::Exact { Rc::default() } else { self.groups(input, settings).await? };
        let supplied = matrix::supplied(&groups, method, input, head);
        let image = matrix::image(&self.attention, input, method.with(settings), &supplied, head, size).await?;
        check_finite(&image)?;
        Ok(image)
    }
}

/// Keys of a cluster in [`Trace::top_keys`].
pub fn top_k_stride(input: &Input, settings: &Settings) -> usize {
    settings.top_k.min(input.shape.keys)
}

fn problem(input: &Input, method: MethodName, settings: &Settings) -> Result<Problem> {
    Ok(Problem::new(input.shape, method.with(settings))?)
}

async fn open_twin() -> Result<Attention> {
    Ok(Attention::new(Backend::Cpu).await?)
}

fn no_input() -> Failure {
    "there is no input yet; call `setInput` first".to_owned().into()
}

/// Finite input can give what is not.
fn check_finite(numbers: &[f32]) -> Result<()> {
    if numbers.iter().all(|number| number.is_finite()) {
        return Ok(());
    }
    let message =
        "the result is not finite: the input's numbers are so large that 32-bit floats overflow; scale them down";
    Err(message.to_owned().into())
}

fn check_place(argument: &str, place: usize, count: usize) -> Result<()> {
    if place < count {
        return Ok(());
    }
    Err(format!("`{argument}` is {place}; it must be below {count}").into())
}
