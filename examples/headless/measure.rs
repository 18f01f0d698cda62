//! Runs the methods, takes the times and compares the outputs.

use crate::input::Tensors;
use crate::method_options::MethodName;
use crate::options::Options;
use crate::progress::Progress;
use crate::stored::{Given, Output};
use anyhow::{Context, Result};
use clustered_attention::{
    Accuracy, Attention, Backend, Element, ExactRows, Found, Inputs, Method, Precision, Problem, Rows, Shape, Stage,
    Trace,
};
use std::time::Instant;

/// Operations of exact attention above which its rows are sampled and it is timed only by request.
const LONG_OPERATIONS: u128 = 1 << 38;
/// Operations of exact attention above which progress is shown.
const SLOW_OPERATIONS: u128 = 1 << 34;
/// Rows of a head that are compared in a sample.
pub const SAMPLED_ROWS: usize = 256;
/// A method is not called again once its timed calls took this long together.
const LONG_SECONDS: f64 = 20.0;

/// What was found out about one method.
pub struct Run {
    pub method: Method,
    /// The method that was computed: that of `method`, or what it took.
    pub taken: &'static str,
    /// Seconds of each timed call, ascending.
    pub seconds: Vec<f64>,
    pub accuracy: Accuracy,
    pub scratch_bytes: u64,
    pub stages: Vec<(Stage, f64)>,
    /// The share of the slices that the guard had computed exactly, and the largest error it measured; `None` without one.
    pub guarded: Option<(f64, f32)>,
}

impl Run {
    pub fn seconds_median(&self) -> f64 {
        median(&self.seconds)
    }
}

/// What was found for an error, and the seconds that it took, with what a device compiled.
pub struct Search {
    pub found: Found,
    pub seconds: f64,
}

/// All that was found out.
pub struct Measurements {
    pub runs: Vec<Run>,
    /// How the method was found, where an error was asked for.
    pub search: Option<Search>,
    /// Median seconds of exact attention, where it was timed.
    pub exact_seconds: Option<f64>,
    /// Whether errors were taken on a sample of the rows.
    pub sampled: bool,
    /// Operations of exact attention.
    pub operations: u128,
    /// How tensors were stored, and how precise products were at least.
    pub element: Element,
    pub precision: Precision,
}

/// One method on its way.
struct Candidate {
    problem: Problem,
    /// Calls to time.
    repeat: usize,
    /// Whether it is reported; otherwise it only serves to tell the speed-ups.
    reported: bool,
    seconds: Vec<f64>,
    accuracy: Option<Accuracy>,
}

/// The problems that the options ask for, checked.
///
/// # Errors
/// Sizes or options of a method that cannot be.
pub fn problems(shape: &Shape, options: &Options) -> Result<Vec<Problem>> {
    let exact = Problem::new(*shape, Method::Exact).context("the input's shape")?;
    let shape = *exact.shape();
    options.methods(shape.queries == shape.keys).into_iter().map(|method| problem(shape, method, options)).collect()
}

fn problem(shape: Shape, method: Method, options: &Options) -> Result<Problem> {
    Problem::new(shape, method)
        .and_then(|problem| {
            problem.with_element(options.element).with_precision(options.precision).with_causal(options.causal)
        })
        .with_context(|| format!("{} attention", method.name()))
}

/// Finds the cheapest method for an error.
fn search(target: f64, attention: &Attention, inputs: &Inputs, shape: Shape, options: &Options) -> Result<Search> {
    let method = Method::auto(25).with_clustering(|clustering| clustering.seed = options.seed);
    // Methods are compared by what float32 gives.
    let problem = problem(shape, method, options)?.with_element(Element::F32).with_precision(Precision::Float32);
    let begin = Instant::now();
    let found = Method::for_error(target).with_seed(options.seed).find_blocking(attention, &problem, inputs);
    Ok(Search { found: found.context("the search for a method")?, seconds: begin.elapsed().as_secs_f64() })
}

/// Measures the methods that the options ask for.
pub fn measure(attention: &Attention, tensors: &Tensors, options: &Options) -> Result<Measurements> {
    let shape = tensors.shape;
    let inputs = Inputs::new(&tensors.queries, &tensors.keys, &tensors.values);
    let given = Given::new(tensors, options.element)?;
    let exact_problem = problem(shape, Method::Exact, options).context("the input's shape")?;
    let operations = [shape.slices(), shape.queries, shape.keys, shape.width + shape.value_width]
        .iter()
        .fold(2, |product, &size| product * size as u128);
    let long = operations > LONG_OPERATIONS;

    let search = options.error.map(|target| search(target, attention, &inputs, shape, options)).transpose()?;
    let problems = match &search {
        Some(search) => vec![problem(shape, search.found.method, options)?],
        None => problems(&shape, options)?,
    };
    let exact_is_asked = options.methods.names(MethodName::Exact) || search.is_some();
    let named = |problem: &Problem| exact_is_asked || *problem.method() != Method::Exact;
    let mut candidates = Vec::new();
    if !long && !problems.contains(&exact_problem) {
        candidates.push(Candidate::new(exact_problem, 1, false));
    }
    let measured = problems.into_iter().filter(|problem| !long || named(problem));
    candidates.extend(measured.map(|problem| Candidate::new(problem, options.repeat, true)));

    let steps = 1 + candidates.iter().map(|candidate| 2 + candidate.repeat).sum::<usize>();
    let progress = Progress::new(steps, operations > SLOW_OPERATIONS);
    // The reference is computed by the CPU on every back end, so that a wrong result of an adapter cannot hide.
    progress.step("exact attention, for the errors");
    let rows = if long { Rows::Sample { per_head: SAMPLED_ROWS, seed: options.seed } } else { Rows::All };
    let reference =
        ExactRows::compute_blocking(&Attention::new_blocking(Backend::Cpu)?, &exact_problem, &inputs, rows)?;

    let mut output = Output::zeros(shape.output_elements(), options.element)?;
    for candidate in &mut candidates {
        progress.step(&format!("{}, warming up", candidate.name()));
        candidate.call(attention, &given, &mut output)?;
        candidate.accuracy = Some(reference.compare(&output.floats())?);
    }
    for repetition in 0..options.repeat {
        for candidate in &mut candidates {
            if repetition < candidate.repeat {
                progress.step(&format!("{}, {} of {}", candidate.name(), repetition + 1, candidate.repeat));
                if candidate.seconds.iter().sum::<f64>() < LONG_SECONDS {
                    let seconds = candidate.call(attention, &given, &mut output)?;
                    candidate.seconds.push(seconds);
                }
            }
        }
    }
    drop(output);

    let exact_seconds = candidates
        .iter()
        .find(|candidate| *candidate.problem.method() == Method::Exact)
        .map(|candidate| median(&sorted(&candidate.seconds)));
    let mut runs = Vec::new();
    for candidate in candidates {
        progress.step(&format!("{}, stage by stage", candidate.name()));
        if candidate.reported {
            runs.push(candidate.finish(attention, &given)?);
        }
    }
    Ok(Measurements {
        runs,
        search,
        exact_seconds,
        sampled: long,
        operations,
        element: options.element,
        precision: options.precision,
    })
}

impl Candidate {
    fn new(problem: Problem, repeat: usize, reported: bool) -> Self {
        Self { problem, repeat, reported, seconds: Vec::new(), accuracy: None }
    }

    fn name(&self) -> &'static str {
        self.problem.method().name()
    }

    /// Computes the method once and returns the seconds that it took.
    fn call(&self, attention: &Attention, given: &Given, output: &mut Output) -> Result<f64> {
        let begin = Instant::now();
        given.run_into(attention, &self.problem, output).with_context(|| format!("{} attention", self.name()))?;
        Ok(begin.elapsed().as_secs_f64())
    }

    /// Takes the times of the stages in one more call and puts everything together.
    fn finish(self, attention: &Attention, given: &Given) -> Result<Run> {
        let trace = given.trace(attention, &self.problem)?;
        let plan = attention.plan(&self.problem)?;
        Ok(Run {
            method: *self.problem.method(),
            taken: plan.method().name(),
            seconds: sorted(&self.seconds),
            accuracy: self.accuracy.context("the output was compared")?,
            scratch_bytes: plan.scratch_bytes(),
            guarded: guarded(&trace),
            stages: trace.stages,
        })
    }
}

/// What a guard found.
fn guarded(trace: &Trace) -> Option<(f64, f32)> {
    let largest = trace.guard_error.iter().copied().reduce(f32::max)?;
    let fell_back = trace.fell_back.iter().filter(|&&fell_back| fell_back).count();
    Some((fell_back as f64 / trace.fell_back.len() as f64, largest))
}

fn sorted(seconds: &[f64]) -> Vec<f64> {
    let mut seconds = seconds.to_vec();
    seconds.sort_by(f64::total_cmp);
    seconds
}

/// The middle one, or the mean of the two in the middle; 0 where there is none.
fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[length / 2],
        length => (sorted[length / 2 - 1] + sorted[length / 2]) / 2.0,
    }
}
