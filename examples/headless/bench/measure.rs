//! Runs the sweep: every configuration on every back end, taking turns.

use super::engine::Engine;
use super::memory::{self, Heap};
use super::options::BenchOptions;
use super::results::{Configuration, Memory, Rated, Run, Skipped, Spread, StageResult};
use crate::available_memory::{call_bytes, ensure_free, tensor_bytes};
use crate::description::describe;
use crate::measure::SAMPLED_ROWS;
use crate::progress::Progress;
use crate::stored::{Given, Output};
use crate::synthetic;
use anyhow::{bail, Context, Result};
use clustered_attention::{
    Accuracy, Attention, Backend, Element, ExactRows, Inputs, Method, Plan, Problem, Rows, Shape, Stage,
};
use std::collections::HashMap;
use std::time::Instant;

/// Operations of exact attention above which errors are taken on a sample of the rows.
const SAMPLED_OPERATIONS: u64 = 1 << 36;
/// A call this long is traced once instead of three times, and makes the memory that an adapter may have to take again not matter.
const SLOW_CALL_SECONDS: f64 = 0.3;

/// One shape of the sweep, with the methods on it.
struct Point {
    shape: Shape,
    problems: Vec<Problem>,
}

/// A configuration on a back end.
struct Candidate<'a> {
    engine: &'a Engine,
    problem: Problem,
    plan: Plan,
    configuration: Configuration,
    first_seconds: f64,
    accuracy: Option<Accuracy>,
    seconds: Vec<f64>,
    heap: Option<Heap>,
    /// Whether other problems run on the engine between its calls.
    shares_engine: bool,
}

/// Input and memory for an output, of one element.
struct Buffers<'a> {
    element: Element,
    given: Given<'a>,
    output: Output,
}

fn buffers_of<'a, 'b>(problem: &Problem, all: &'a mut [Buffers<'b>]) -> Result<&'a mut Buffers<'b>> {
    let found = all.iter_mut().find(|buffers| buffers.element == problem.element());
    found.context("every element of the sweep has its buffers")
}

/// Runs and what was left out.
pub struct Measured {
    pub runs: Vec<Run>,
    pub skipped: Vec<Skipped>,
}

/// Checks all arguments of a sweep, before anything slow begins.
pub fn check(options: &BenchOptions) -> Result<()> {
    points(options).map(|_| ())
}

fn points(options: &BenchOptions) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    for length in options.lengths() {
        for &heads in &options.heads {
            for &width in &options.width {
                let shape = Shape::self_attention(1, heads, length, width);
                let mut problems = Vec::new();
                for method in options.methods() {
                    let problem = Problem::new(shape, method)
                        .with_context(|| format!("{} attention, length {length}", method.name()))?;
                    for element in options.elements() {
                        let stored = problem.with_element(element);
                        problems.extend(options.precisions().into_iter().map(|least| stored.with_precision(least)));
                    }
                }
                points.push(Point { shape, problems });
            }
        }
    }
    Ok(points)
}

/// Measures everything.
pub fn measure(engines: &[Engine], options: &BenchOptions) -> Result<Measured> {
    let points = points(options)?;
    let calls = options.repeat + 3;
    let steps = points.iter().map(|point| 2 + engines.len() * point.problems.len() * calls).sum();
    let progress = Progress::new(steps, true);
    let mut sweep = Sweep {
        options,
        progress,
        rates: HashMap::new(),
        measured: Measured { runs: Vec::new(), skipped: Vec::new() },
    };
    for point in &points {
        sweep.measure_point(engines, point)?;
    }
    if let (true, Some(skipped)) = (sweep.measured.runs.is_empty(), sweep.measured.skipped.first()) {
        bail!("nothing was measured: {}", skipped.reason);
    }
    Ok(sweep.measured)
}

struct Sweep<'a> {
    options: &'a BenchOptions,
    progress: Progress,
    /// Seconds an operation, of the last configuration of a method, element and precision on a back end.
    rates: HashMap<(String, Rated), f64>,
    measured: Measured,
}

impl Sweep<'_> {
    fn measure_point(&mut self, engines: &[Engine], point: &Point) -> Result<()> {
        let mut candidates = Vec::new();
        for engine in engines.iter().filter(|engine| self.options.includes(point.shape.queries, engine.software)) {
            for problem in &point.problems {
                candidates.extend(self.admit(engine, problem));
            }
        }
        if candidates.is_empty() {
            return Ok(());
        }
        let Shape { queries, query_heads, width, .. } = point.shape;
        self.progress.step(&format!("input of length {queries}"));
        let tensors = synthetic::mixture(queries, query_heads, width, self.options.seed)?;
        let inputs = Inputs::new(&tensors.queries, &tensors.keys, &tensors.values);
        // The CPU computes the reference of every back end, so that a wrong result of an adapter cannot hide.
        self.progress.step(&format!("exact rows of length {queries}"));
        let exact = Problem::new(point.shape, Method::Exact)?;
        let cpu = Attention::new_blocking(Backend::Cpu)?;
        let sampled = operations_of(&cpu.plan(&exact)?).0 > SAMPLED_OPERATIONS;
        let rows = Rows::Sample { per_head: SAMPLED_ROWS, seed: self.options.seed };
        let reference = ExactRows::compute_blocking(&cpu, &exact, &inputs, if sampled { rows } else { Rows::All })?;

        let mut stored = Vec::new();
        for element in self.options.elements() {
            stored.push(Buffers {
                element,
                given: Given::new(&tensors, element)?,
                output: Output::zeros(point.shape.output_elements(), element)?,
            });
        }
        let shared = |candidate: &Candidate| {
            candidates.iter().filter(|other| std::ptr::eq(other.engine, candidate.engine)).count() > 1
        };
        let shares: Vec<bool> = candidates.iter().map(shared).collect();
        for (candidate, shares) in candidates.iter_mut().zip(shares) {
            candidate.shares_engine = shares;
            self.progress.step(&candidate.describe("first call"));
            let buffers = buffers_of(&candidate.problem, &mut stored)?;
            candidate.first_seconds = candidate.call(buffers)?;
            candidate.accuracy = Some(reference.compare(&buffers.output.floats())?);
        }
        for repetition in 0..self.options.repeat {
            for candidate in &mut candidates {
                self.progress.step(&candidate.describe(&format!("{} of {}", repetition + 1, self.options.repeat)));
                candidate.engine.wake();
                let buffers = buffers_of(&candidate.problem, &mut stored)?;
                candidate.repeat(buffers, 5.0 * self.options.seconds_limit)?;
            }
        }
        let mut runs = Vec::new();
        for candidate in candidates {
            self.progress.step(&candidate.describe("stages"));
            let given = &buffers_of(&candidate.problem, &mut stored)?.given;
            let run = candidate.finish(given, sampled)?;
            let operations = (run.operations + run.integer_operations).max(1);
            let rate = run.seconds.median / operations as f64;
            self.rates.insert((run.back_end.clone(), run.configuration.rated()), rate);
            runs.push(run);
        }
        add_speedups(&mut runs);
        self.measured.runs.extend(runs);
        Ok(())
    }

    /// A candidate, unless it cannot run or would take too long.
    fn admit<'e>(&mut self, engine: &'e Engine, problem: &Problem) -> Option<Candidate<'e>> {
        let shape = problem.shape();
        let configuration = Configuration::new(problem);
        let plan = match ensure_free(tensor_bytes(shape), &describe(shape)) {
            Err(error) => Err(error),
            Ok(()) => engine.attention.plan(problem).map_err(Into::into),
        };
        let plan = plan.and_then(|plan| {
            let bytes = call_bytes(problem, plan.scratch_bytes(), engine.is_gpu());
            ensure_free(tensor_bytes(shape).saturating_add(bytes), &describe(shape)).map(|()| plan)
        });
        let reason = match plan {
            Err(error) => error.to_string(),
            Ok(plan) if plan.precision() != problem.precision() => {
                engine.no_matrix_units.clone().unwrap_or_else(|| "this back end computes in float32".to_owned())
            }
            Ok(plan) => {
                let (floating, integers) = operations_of(&plan);
                let at_best = floating as f64 / (engine.facts.ceilings.product_gflop_per_second * 1e9);
                let rate = self.rates.get(&(engine.facts.name.clone(), configuration.rated()));
                let predicted = rate.map_or(at_best, |rate| at_best.max(rate * (floating + integers) as f64));
                let limit = self.options.seconds_limit;
                if predicted <= limit {
                    return Some(Candidate {
                        engine,
                        problem: *problem,
                        plan,
                        configuration,
                        first_seconds: 0.0,
                        accuracy: None,
                        seconds: Vec::new(),
                        heap: None,
                        shares_engine: false,
                    });
                }
                format!("predicted to take {predicted:.1} s a call, over the limit of {limit} s (--seconds-limit)")
            }
        };
        self.progress.skip(self.options.repeat + 3);
        self.measured.skipped.push(Skipped { back_end: engine.facts.name.clone(), configuration, reason });
        None
    }
}

/// Floating-point and integer operations of a call.
fn operations_of(plan: &Plan) -> (u64, u64) {
    let costs = plan.costs();
    (costs.iter().map(|cost| cost.operations).sum(), costs.iter().map(|cost| cost.integer_operations).sum())
}

fn add_speedups(runs: &mut [Run]) {
    let of = |run: &Run| (run.back_end.clone(), run.configuration.element, run.configuration.precision);
    let exact: Vec<_> = runs
        .iter()
        .filter(|run| run.configuration.method == "exact")
        .map(|run| (of(run), run.seconds.median))
        .collect();
    for run in runs {
        let exact = exact.iter().find(|(known, _)| *known == of(run));
        run.speedup_vs_exact = exact.map(|(_, seconds)| seconds / run.seconds.median);
    }
}

impl Candidate<'_> {
    fn describe(&self, what: &str) -> String {
        let Configuration { method, length, .. } = self.configuration;
        format!("{length}: {method} on {}, {what}", self.engine.facts.name)
    }

    /// One call and its seconds.
    fn call(&self, Buffers { given, output, .. }: &mut Buffers) -> Result<f64> {
        let begin = Instant::now();
        let called = given.run_into(&self.engine.attention, &self.problem, output);
        called.with_context(|| self.describe("it failed"))?;
        Ok(begin.elapsed().as_secs_f64())
    }

    /// A timed call, unless those before it took long enough.
    fn repeat(&mut self, buffers: &mut Buffers, most_seconds: f64) -> Result<()> {
        if self.seconds.iter().sum::<f64>() > most_seconds {
            return Ok(());
        }
        let slow = self.seconds.last().is_some_and(|&seconds| seconds > SLOW_CALL_SECONDS);
        if self.engine.is_gpu() && self.shares_engine && !slow {
            self.call(buffers)?;
        }
        let (seconds, heap) = memory::measured(|| self.call(buffers));
        self.seconds.push(seconds?);
        self.heap = Some(heap);
        Ok(())
    }

    /// What the last timed call took from the heap. Its peak on the CPU is that of a call that begins with nothing: what calls of other methods
    /// left is no measure of this one.
    fn heap(&self, given: &Given) -> Result<Heap> {
        let warm = self.heap.context("a call was timed")?;
        if self.engine.is_gpu() {
            return Ok(warm);
        }
        let fresh = Attention::new_blocking(Backend::Cpu)?;
        let mut output = Output::zeros(self.problem.shape().output_elements(), self.problem.element())?;
        let (called, heap) = memory::measured(|| given.run_into(&fresh, &self.problem, &mut output));
        called.with_context(|| self.describe("it failed"))?;
        Ok(Heap { peak_bytes: heap.peak_bytes, ..warm })
    }

    /// Takes the times of the stages and puts everything together.
    fn finish(self, given: &Given, rows_sampled: bool) -> Result<Run> {
        let accuracy = self.accuracy.context("the output was compared")?;
        let heap = self.heap(given)?;
        let facts = &self.engine.facts;
        let seconds = Spread::new(self.seconds);
        let mut traces: Vec<Vec<(Stage, f64)>> = Vec::new();
        for _ in 0..if seconds.median > SLOW_CALL_SECONDS { 1 } else { 3 } {
            self.engine.wake();
            traces.push(given.trace(&self.engine.attention, &self.problem)?.stages);
        }
        let medians: Vec<(Stage, f64)> = (0..traces[0].len())
            .map(|i| (traces[0][i].0, Spread::new(traces.iter().map(|stages| stages[i].1).collect()).median))
            .collect();
        let stage_seconds = medians.iter().map(|(_, seconds)| seconds).sum();
        let costs = self.plan.costs();
        let stages = medians.iter().map(|&(stage, seconds)| {
            let cost = costs.iter().find(|cost| cost.stage == stage);
            StageResult::new(stage, seconds, stage_seconds, cost)
        });
        let (operations, integer_operations) = operations_of(&self.plan);
        let shape = self.problem.shape();
        let elements = shape.query_elements() + shape.key_elements() + shape.value_elements() + shape.output_elements();
        Ok(Run {
            back_end: facts.name.clone(),
            configuration: self.configuration,
            taken: self.plan.method().name(),
            first_seconds: self.first_seconds,
            speedup_vs_exact: None,
            relative_error: accuracy.relative_error,
            max_row_error: accuracy.max_row_error,
            rows_sampled,
            rows_compared: accuracy.rows,
            rows_valid: accuracy.valid_rows,
            memory: Memory {
                scratch_bytes: self.plan.scratch_bytes(),
                tensor_bytes: (self.problem.element().bytes() * elements) as u64,
                peak_heap_bytes: heap.peak_bytes,
                allocations: heap.allocations,
            },
            operations,
            integer_operations,
            bytes: costs.iter().map(|cost| cost.bytes).sum(),
            gflop_per_second: operations as f64 / seconds.median / 1e9,
            seconds,
            stage_seconds,
            stages: stages.collect(),
        })
    }
}
