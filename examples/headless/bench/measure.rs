//! Runs the sweep: every configuration on every back end, taking turns.

use super::engine::Engine;
use super::memory::{self, Heap};
use super::options::BenchOptions;
use super::results::{Configuration, Memory, Run, Skipped, Spread, StageResult};
use crate::available_memory::{call_bytes, ensure_free, tensor_bytes, zeros};
use crate::description::describe;
use crate::input::Tensors;
use crate::measure::SAMPLED_ROWS;
use crate::progress::Progress;
use crate::synthetic;
use anyhow::{bail, Context, Result};
use clustered_attention::{
    Accuracy, Attention, Backend, ExactRows, Inputs, Method, Plan, Problem, Rows, Shape, Stage, Supplied,
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
                let problem = |method: Method| {
                    Problem::new(shape, method).with_context(|| format!("{} attention, length {length}", method.name()))
                };
                let problems = options.methods().into_iter().map(problem).collect::<Result<_>>()?;
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
    /// Seconds an operation, of the last configuration of a method on a back end.
    rates: HashMap<(String, &'static str), f64>,
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

        let mut output = zeros(point.shape.output_elements())?;
        let shared = |candidate: &Candidate| {
            candidates.iter().filter(|other| std::ptr::eq(other.engine, candidate.engine)).count() > 1
        };
        let shares: Vec<bool> = candidates.iter().map(shared).collect();
        for (candidate, shares) in candidates.iter_mut().zip(shares) {
            candidate.shares_engine = shares;
            self.progress.step(&candidate.describe("first call"));
            candidate.first_seconds = candidate.call(&inputs, &mut output)?;
            candidate.accuracy = Some(reference.compare(&output)?);
        }
        for repetition in 0..self.options.repeat {
            for candidate in &mut candidates {
                self.progress.step(&candidate.describe(&format!("{} of {}", repetition + 1, self.options.repeat)));
                candidate.repeat(&inputs, &mut output, 5.0 * self.options.seconds_limit)?;
            }
        }
        drop(output);
        let mut runs = Vec::new();
        for candidate in candidates {
            self.progress.step(&candidate.describe("stages"));
            let run = candidate.finish(&tensors, &inputs, sampled)?;
            let operations = (run.operations + run.integer_operations).max(1);
            let rate = run.seconds.median / operations as f64;
            self.rates.insert((run.back_end.clone(), run.configuration.method), rate);
            runs.push(run);
        }
        add_speedups(&mut runs);
        self.measured.runs.extend(runs);
        Ok(())
    }

    /// A candidate, unless it cannot run or would take too long.
    fn admit<'e>(&mut self, engine: &'e Engine, problem: &Problem) -> Option<Candidate<'e>> {
        let shape = problem.shape();
        let configuration = Configuration::new(problem.method(), shape.queries, shape.query_heads, shape.width);
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
            Ok(plan) => {
                let (floating, integers) = operations_of(&plan);
                let at_best = floating as f64 / (engine.facts.ceilings.product_gflop_per_second * 1e9);
                let rate = self.rates.get(&(engine.facts.name.clone(), configuration.method));
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
    let exact: Vec<(String, f64)> = runs
        .iter()
        .filter(|run| run.configuration.method == "exact")
        .map(|run| (run.back_end.clone(), run.seconds.median))
        .collect();
    for run in runs {
        let exact = exact.iter().find(|(name, _)| *name == run.back_end);
        run.speedup_vs_exact = exact.map(|(_, seconds)| seconds / run.seconds.median);
    }
}

impl Candidate<'_> {
    fn describe(&self, what: &str) -> String {
        let Configuration { method, length, .. } = self.configuration;
        format!("{length}: {method} on {}, {what}", self.engine.facts.name)
    }

    /// One call and its seconds.
    fn call(&self, inputs: &Inputs, output: &mut [f32]) -> Result<f64> {
        let begin = Instant::now();
        self.engine
            .attention
            .run_into_blocking(&self.problem, inputs, output)
            .with_context(|| self.describe("it failed"))?;
        Ok(begin.elapsed().as_secs_f64())
    }

    /// A timed call, unless those before it took long enough.
    fn repeat(&mut self, inputs: &Inputs, output: &mut [f32], most_seconds: f64) -> Result<()> {
        if self.seconds.iter().sum::<f64>() > most_seconds {
            return Ok(());
        }
        let slow = self.seconds.last().is_some_and(|&seconds| seconds > SLOW_CALL_SECONDS);
        if self.engine.is_gpu() && self.shares_engine && !slow {
            self.call(inputs, output)?;
        }
        let (seconds, heap) = memory::measured(|| self.call(inputs, output));
        self.seconds.push(seconds?);
        self.heap = Some(heap);
        Ok(())
    }

    /// What the last timed call took from the heap. Its peak on the CPU is that of a call that begins with nothing: what calls of other methods
    /// left is no measure of this one.
    fn heap(&self, inputs: &Inputs) -> Result<Heap> {
        let warm = self.heap.context("a call was timed")?;
        if self.engine.is_gpu() {
            return Ok(warm);
        }
        let fresh = Attention::new_blocking(Backend::Cpu)?;
        let mut output = vec![0.0; self.problem.shape().output_elements()];
        let (called, heap) = memory::measured(|| fresh.run_into_blocking(&self.problem, inputs, &mut output));
        called.with_context(|| self.describe("it failed"))?;
        Ok(Heap { peak_bytes: heap.peak_bytes, ..warm })
    }

    /// Takes the times of the stages and puts everything together.
    fn finish(self, tensors: &Tensors, inputs: &Inputs, rows_sampled: bool) -> Result<Run> {
        let accuracy = self.accuracy.context("the output was compared")?;
        let heap = self.heap(inputs)?;
        let facts = &self.engine.facts;
        let seconds = Spread::new(self.seconds);
        let mut traces: Vec<Vec<(Stage, f64)>> = Vec::new();
        for _ in 0..if seconds.median > SLOW_CALL_SECONDS { 1 } else { 3 } {
            let trace = self.engine.attention.trace_blocking(&self.problem, inputs, &Supplied::default())?;
            traces.push(trace.stages);
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
        let elements = tensors.queries.len() + tensors.keys.len() + tensors.values.len();
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
                tensor_bytes: 4 * (elements + tensors.shape.output_elements()) as u64,
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
