//! A back end with an input, and what was computed of it so far.

use crate::matrix;
use crate::page_input::Input;
use crate::rows;
use crate::settings::{MethodName, Settings};
use clustered_attention::wgpu;
use clustered_attention::{
    Attention, Backend, Clustering, Error, ExactRows, Method, Problem, Rows, Shape, Supplied, Trace,
};
use serde::Serialize;
use std::cell::RefCell;
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
}

/// The largest values that settings may have for an input on a back end.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingLimits {
    pub clusters: usize,
    pub top_k: usize,
    pub window: usize,
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
    lost: Arc<AtomicBool>,
    state: RefCell<State>,
}

impl Engine {
    /// Opens WebGPU (or what wgpu finds elsewhere), the CPU, or the first if there is one.
    pub async fn open(backend: &str) -> Result<Self, String> {
        match backend {
            "cpu" => Self::open_cpu().await,
            "gpu" => Self::open_gpu().await,
            "auto" => match Self::open_gpu().await {
                Ok(engine) => Ok(engine),
                Err(_) => Self::open_cpu().await,
            },
            other => Err(format!("there is no back end `{other}`; there are auto, gpu, cpu")),
        }
    }

    async fn open_cpu() -> Result<Self, String> {
        let (attention, twin) = (open_twin().await?, open_twin().await?);
        Ok(Self { attention, twin, device: None, lost: Arc::default(), state: RefCell::default() })
    }

    async fn open_gpu() -> Result<Self, String> {
        #[cfg(target_arch = "wasm32")]
        if !wgpu::util::is_browser_webgpu_supported().await {
            return Err("this browser offers no WebGPU here".into());
        }
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let wish = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = instance.request_adapter(&wish).await.map_err(|error| error.to_string())?;
        let description = wgpu::DeviceDescriptor {
            label: Some("clustered-attention"),
            required_features: adapter.features() & wgpu::Features::TIMESTAMP_QUERY,
            required_limits: adapter.limits(),
            ..Default::default()
        };
        let (device, queue) = adapter.request_device(&description).await.map_err(|error| error.to_string())?;
        let lost = Arc::new(AtomicBool::new(false));
        let heard = lost.clone();
        device.set_device_lost_callback(move |_, _| heard.store(true, Ordering::Relaxed));
        // Calls report what goes wrong within them; nothing is to be thrown outside of any.
        device.on_uncaptured_error(Arc::new(|_| {}));
        let attention = Attention::with_device(device.clone(), queue);
        let twin = open_twin().await?;
        Ok(Self { attention, twin, device: Some(device), lost, state: RefCell::default() })
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
        self.state.take();
        if let Some(device) = &self.device {
            device.destroy();
        }
    }

    /// Takes an input after its sizes were checked.
    pub fn set_input(&self, input: Input) -> Result<(), String> {
        Problem::new(input.shape, Method::Exact).map_err(|error| error.to_string())?;
        for (name, data, elements) in [
            ("queries", &input.queries, input.shape.query_elements()),
            ("keys", &input.keys, input.shape.key_elements()),
            ("values", &input.values, input.shape.value_elements()),
        ] {
            if data.len() != elements {
                return Err(format!("`{name}` has {} numbers; its shape has {elements}", data.len()));
            }
            if let Some(place) = data.iter().position(|value| !value.is_finite()) {
                return Err(format!("`{name}` holds {} at number {place}; all must be finite", data[place]));
            }
        }
        let input = Rc::new(input);
        *self.state.borrow_mut() = State { given: Some(input.clone()), input: Some(input), ..State::default() };
        Ok(())
    }

    /// Computes with a longer input made of the one that was given.
    pub fn lengthen(&self, length: usize, seed: u64) -> Result<(), String> {
        let given = self.state.borrow().given.clone().ok_or_else(no_input)?;
        let shape = Shape { queries: length, keys: length, ..given.shape };
        Problem::new(shape, Method::Exact).map_err(|error| error.to_string())?;
        let input = Rc::new(given.lengthened(length, seed));
        *self.state.borrow_mut() = State { given: Some(given), input: Some(input), ..State::default() };
        Ok(())
    }

    fn input(&self) -> Result<Rc<Input>, String> {
        if self.is_lost() {
            return Err("the device is gone; create another `ClusteredAttention`".into());
        }
        self.state.borrow().input.clone().ok_or_else(no_input)
    }

    pub fn limits(&self) -> Result<SettingLimits, String> {
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
            bits: Clustering::MAX_BITS,
            iterations: 100,
            euclidean_steps: 100,
            length: (buffer_bytes / row_bytes.max(1)).min(1 << 24) as usize,
        })
    }

    /// Computes the input by a method, several times, and compares it with exact attention.
    pub async fn run(&self, method: MethodName, settings: &Settings) -> Result<Measured, String> {
        let input = self.input()?;
        let problem = self.problem(&input, method, settings)?;
        let plan = self.attention.plan(&problem).map_err(|error| error.to_string())?;
        let mut output = vec![0.0; input.shape.output_elements()];
        let first = self.timed(&problem, &input, &mut output).await?;
        let mut later = Vec::new();
        while first < SECONDS_OF_A_LONG_CALL
            && later.len() < REPETITIONS
            && (later.is_empty() || later.iter().sum::<f64>() < SECONDS_OF_REPETITIONS)
        {
            later.push(self.timed(&problem, &input, &mut output).await?);
        }
        later.sort_by(f64::total_cmp);
        let median = later.get(later.len() / 2).copied().unwrap_or(first);
        let exact = self.exact(&input).await?;
        let accuracy = exact.compare(&output).map_err(|error| error.to_string())?;
        let exact_problem = self.problem(&input, MethodName::Exact, settings)?;
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
        })
    }

    /// Computes a problem and returns the seconds that it took, data to the device and back included.
    async fn timed(&self, problem: &Problem, input: &Input, output: &mut [f32]) -> Result<f64, String> {
        let begin = Instant::now();
        let result = self.attention.run_into(problem, &input.inputs(), output).await;
        result.map_err(|error| self.explain(&error))?;
        Ok(begin.elapsed().as_secs_f64())
    }

    fn problem(&self, input: &Input, method: MethodName, settings: &Settings) -> Result<Problem, String> {
        Problem::new(input.shape, method.with(settings)).map_err(|error| error.to_string())
    }

    fn operations(&self, problem: &Problem) -> Result<f64, String> {
        let plan = self.attention.plan(problem).map_err(|error| error.to_string())?;
        Ok(plan.costs().iter().map(|cost| cost.operations as f64 + cost.integer_operations as f64).sum())
    }

    /// Exact attention of the input, at all rows or some; computed once.
    async fn exact(&self, input: &Rc<Input>) -> Result<Rc<ExactRows>, String> {
        if let Some(exact) = self.state.borrow().exact.clone() {
            return Ok(exact);
        }
        let shape = input.shape;
        let problem = Problem::new(shape, Method::Exact).map_err(|error| error.to_string())?;
        let products = shape.slices() as u64 * (shape.queries as u64).pow(2);
        let rows = if 2 * products * (shape.width + shape.value_width) as u64 <= OPERATIONS_OF_ALL_ROWS {
            Rows::All
        } else {
            Rows::Sample { per_head: SAMPLED_ROWS, seed: 0 }
        };
        let exact = ExactRows::compute(&self.attention, &problem, &input.inputs(), rows).await;
        let exact = Rc::new(exact.map_err(|error| self.explain(&error))?);
        self.keep(input, |state| state.exact = Some(exact.clone()));
        Ok(exact)
    }

    /// Changes what is kept, unless the page has given another input meanwhile.
    fn keep(&self, input: &Rc<Input>, change: impl FnOnce(&mut State)) {
        let mut state = self.state.borrow_mut();
        if state.input.as_ref().is_some_and(|present| Rc::ptr_eq(present, input)) {
            change(&mut state);
        }
    }

    /// How the queries are grouped, and the keys that each group computes exactly; computed once for the same settings.
    pub async fn groups(&self, settings: &Settings) -> Result<Rc<Trace>, String> {
        let input = self.input()?;
        let settings = settings.without_window();
        if let Some((_, groups)) = self.state.borrow().groups.as_ref().filter(|(kept, _)| *kept == settings) {
            return Ok(groups.clone());
        }
        let problem = self.problem(&input, MethodName::Improved, &settings)?;
        let trace = self.twin.trace(&problem, &input.inputs(), &Supplied::default()).await;
        let trace = Rc::new(trace.map_err(|error| self.explain(&error))?);
        self.keep(&input, |state| state.groups = Some((settings, trace.clone())));
        Ok(trace)
    }

    /// Keys of a cluster in [`Trace::top_keys`].
    pub fn top_k_stride(&self, settings: &Settings) -> Result<usize, String> {
        Ok(settings.top_k.min(self.input()?.shape.keys))
    }

    /// The weights that a query gives to all keys.
    pub async fn row(
        &self,
        method: MethodName,
        settings: &Settings,
        head: usize,
        position: usize,
    ) -> Result<Vec<f32>, String> {
        let input = self.input()?;
        check_place("position", position, input.shape.queries)?;
        check_place("head", head, input.heads())?;
        self.problem(&input, method, settings)?;
        let groups = if method == MethodName::Exact { Rc::default() } else { self.groups(settings).await? };
        Ok(rows::weights(&input, &groups, method, settings, head, position))
    }

    /// The attention matrix of a head as an image.
    pub async fn matrix(
        &self,
        method: MethodName,
        settings: &Settings,
        head: usize,
        size: usize,
    ) -> Result<Vec<f32>, String> {
        let input = self.input()?;
        check_place("head", head, input.heads())?;
        let largest = LARGEST_IMAGE.min(input.shape.queries);
        if !(1..=largest).contains(&size) {
            return Err(format!("`size` is {size}; it must be from 1 to {largest}"));
        }
        let length = input.shape.queries;
        let groups = if method == MethodName::Exact { None } else { Some(self.groups(settings).await?) };
        let assignment = groups.as_ref().map(|groups| &groups.assignment[head * length..][..length]);
        let image = matrix::image(&self.attention, &input, method.with(settings), assignment, head, size).await;
        image.map_err(|error| self.explain(&error))
    }

    /// An error in words; where the device is gone, that is what matters.
    fn explain(&self, error: &Error) -> String {
        if self.is_lost() {
            format!("the device is gone ({error}); create another `ClusteredAttention`")
        } else {
            error.to_string()
        }
    }
}

async fn open_twin() -> Result<Attention, String> {
    Attention::new(Backend::Cpu).await.map_err(|error| error.to_string())
}

fn no_input() -> String {
    "there is no input yet; call `setInput` first".into()
}

fn check_place(argument: &str, place: usize, count: usize) -> Result<(), String> {
    if place < count {
        return Ok(());
    }
    Err(format!("`{argument}` is {place}; it must be below {count}"))
}
