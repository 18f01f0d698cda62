//! What a benchmark finds out, as it is written to JSON and to the report.

use super::ceilings::Ceilings;
use super::engine::BackEnd;
use super::machine::Machine;
use crate::method_options::is_refined;
use clustered_attention::{Problem, Stage, StageCost};
use serde::Serialize;

/// Everything.
#[derive(Debug, Serialize)]
pub struct Results {
    pub version: &'static str,
    /// Whether the program was compiled with optimisation; times of one that was not mean nothing.
    pub optimised: bool,
    /// Date and time in UTC.
    pub date: String,
    /// The command line's arguments.
    pub arguments: Vec<String>,
    pub machine: Machine,
    pub repeat: usize,
    pub seed: u64,
    pub seconds_limit: f64,
    pub input: &'static str,
    pub back_ends: Vec<BackEnd>,
    pub runs: Vec<Run>,
    pub skipped: Vec<Skipped>,
}

/// What was asked of one call.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Configuration {
    pub method: &'static str,
    pub length: usize,
    pub heads: usize,
    pub width: usize,
    pub clusters: Option<usize>,
    pub top_k: Option<usize>,
    pub window: Option<usize>,
    pub key_groups: Option<usize>,
    /// What inputs and output are stored as.
    pub element: &'static str,
    /// How precise products are at least.
    pub precision: &'static str,
}

/// The options of a configuration that are shown, by a letter each, and their fields.
pub const OPTIONS: [(&str, &str); 4] = [("C", "clusters"), ("k", "top_k"), ("w", "window"), ("G", "key_groups")];

/// What rates are told apart by: method, element and precision.
pub type Rated = (&'static str, &'static str, &'static str);

impl Configuration {
    pub fn new(problem: &Problem) -> Self {
        let (method, shape) = (problem.method(), problem.shape());
        let refined = is_refined(method);
        Self {
            method: method.name(),
            length: shape.queries,
            heads: shape.query_heads,
            width: shape.width,
            clusters: method.clustering().map(|clustering| clustering.clusters),
            top_k: refined.then(|| method.top_k()),
            window: method.window(),
            key_groups: method.stitched_options().map(|stitched| stitched.key_groups.groups),
            element: problem.element().name(),
            precision: problem.precision().name(),
        }
    }

    pub fn rated(&self) -> Rated {
        (self.method, self.element, self.precision)
    }

    /// Whether another one differs in nothing but the length.
    pub fn same_but_length(&self, other: &Self) -> bool {
        *self == Self { length: self.length, ..other.clone() }
    }
}

/// One configuration on one back end.
#[derive(Debug, Serialize)]
pub struct Run {
    pub back_end: String,
    #[serde(flatten)]
    pub configuration: Configuration,
    /// The method that was computed: the configuration's, or what it took.
    pub taken: &'static str,
    /// Seconds of the first call, which prepares kernels and memory.
    pub first_seconds: f64,
    /// Whole calls after that: on a GPU with upload and read-back.
    pub seconds: Spread,
    pub speedup_vs_exact: Option<f64>,
    /// Infinite errors are written as `null`.
    pub relative_error: f64,
    pub max_row_error: f64,
    pub rows_sampled: bool,
    pub rows_compared: usize,
    pub rows_valid: usize,
    pub memory: Memory,
    pub operations: u64,
    pub integer_operations: u64,
    pub bytes: u64,
    /// Floating-point operations that the method needs, in 10^9 a second of the whole call.
    pub gflop_per_second: f64,
    /// Seconds of all stages together.
    pub stage_seconds: f64,
    pub stages: Vec<StageResult>,
}

/// Bytes beyond the caller's.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// Scratch memory as planned.
    pub scratch_bytes: u64,
    /// Inputs and output.
    pub tensor_bytes: u64,
    /// The most that a warm call held on the host's heap, beyond what was held before it.
    pub peak_heap_bytes: u64,
    /// Allocations on the host's heap of a warm call.
    pub allocations: u64,
}

/// Times of several calls.
#[derive(Debug, Clone, Serialize)]
pub struct Spread {
    pub median: f64,
    pub minimum: f64,
    pub lower_quartile: f64,
    pub upper_quartile: f64,
    pub maximum: f64,
    /// In the order of the calls.
    pub calls: Vec<f64>,
}

impl Spread {
    pub fn new(calls: Vec<f64>) -> Self {
        let mut sorted = calls.clone();
        sorted.sort_by(f64::total_cmp);
        // Linear between neighbours.
        let quantile = |part: f64| {
            let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
            let position = part * last as f64;
            let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
            below + (above - below) * position.fract()
        };
        Self {
            median: quantile(0.5),
            minimum: quantile(0.0),
            lower_quartile: quantile(0.25),
            upper_quartile: quantile(0.75),
            maximum: quantile(1.0),
            calls,
        }
    }
}

/// A stage of a call beside what it needs at least.
#[derive(Debug, Clone, Serialize)]
pub struct StageResult {
    pub name: &'static str,
    /// Median of the traced calls.
    pub seconds: f64,
    /// Of all stages.
    pub share: f64,
    pub operations: u64,
    pub integer_operations: u64,
    pub bytes: u64,
    pub gflop_per_second: f64,
    pub gop_per_second: f64,
    pub gbyte_per_second: f64,
    pub percent_of_product: f64,
    pub percent_of_popcount: f64,
    pub percent_of_copy: f64,
    /// The ceiling that is nearest.
    pub bound: &'static str,
    /// Percent of that one. Above 100 where data come from a cache, or where a stage does with less than is counted.
    pub percent_of_ceiling: f64,
}

impl StageResult {
    /// Without the comparison with the ceilings.
    pub fn new(stage: Stage, seconds: f64, total: f64, cost: Option<&StageCost>) -> Self {
        let (operations, integer_operations, bytes) =
            cost.map_or((0, 0, 0), |cost| (cost.operations, cost.integer_operations, cost.bytes));
        // A timestamp can be too coarse for a short stage.
        let rate = |count: u64| if seconds > 0.0 { count as f64 / seconds / 1e9 } else { 0.0 };
        let (flops, integers, transfer) = (rate(operations), rate(integer_operations), rate(bytes));
        Self {
            name: stage.name(),
            seconds,
            share: if total > 0.0 { seconds / total } else { 0.0 },
            operations,
            integer_operations,
            bytes,
            gflop_per_second: flops,
            gop_per_second: integers,
            gbyte_per_second: transfer,
            percent_of_product: 0.0,
            percent_of_popcount: 0.0,
            percent_of_copy: 0.0,
            bound: "",
            percent_of_ceiling: 0.0,
        }
    }

    /// Compares the rates with what the back end can do at best.
    pub fn compare(&mut self, ceilings: &Ceilings) {
        self.percent_of_product = 100.0 * self.gflop_per_second / ceilings.product_gflop_per_second;
        self.percent_of_popcount = 100.0 * self.gop_per_second / ceilings.popcount_gop_per_second;
        self.percent_of_copy = 100.0 * self.gbyte_per_second / ceilings.copy_gbyte_per_second;
        let percents = [
            ("product", self.percent_of_product),
            ("popcount", self.percent_of_popcount),
            ("copy", self.percent_of_copy),
        ];
        (self.bound, self.percent_of_ceiling) =
            percents.iter().fold(percents[0], |best, &next| if next.1 > best.1 { next } else { best });
    }
}

/// What was not measured, and why.
#[derive(Debug, Clone, Serialize)]
pub struct Skipped {
    pub back_end: String,
    #[serde(flatten)]
    pub configuration: Configuration,
    pub reason: String,
}
