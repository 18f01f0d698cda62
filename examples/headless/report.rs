//! The results as a table for people and as JSON for machines.

use crate::measure::{Measurements, Run, Search, SAMPLED_ROWS};
use crate::method_options::is_refined;
use anyhow::Result;
use clustered_attention::{Element, Method, Shape, Trial};
use comfy_table::{presets::UTF8_FULL_CONDENSED, CellAlignment, Table};
use serde::Serialize;

/// Where the results come from.
pub struct Origin<'a> {
    /// The adapter; `None` on the CPU.
    pub adapter: Option<String>,
    pub input: &'a str,
    pub shape: Shape,
    pub seed: u64,
}

/// The table and what must be known to read it.
pub fn table(measurements: &Measurements, seed: u64) -> String {
    let mut table = Table::new();
    let guarded = measurements.runs.iter().any(|run| run.guarded.is_some());
    let mut header = vec!["method", "time", "speed-up", "relative error", "worst row", "scratch"];
    if guarded {
        header.extend(["fell back", "guard's error"]);
    }
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    for run in &measurements.runs {
        let mut row = vec![
            method_name(run.method.name(), run.taken),
            seconds(run.seconds_median()),
            speedup(measurements, run).map_or("-".to_owned(), |factor| format!("{factor:.1}×")),
            error(run.accuracy.relative_error),
            error(run.accuracy.max_row_error),
            format!("{:.1} MiB", run.scratch_bytes as f64 / f64::from(1 << 20)),
        ];
        if guarded {
            let of = |show: fn((f64, f32)) -> String| run.guarded.map_or("-".to_owned(), show);
            row.extend([of(|(share, _)| format!("{:.0} %", 100.0 * share)), of(|(_, largest)| error(largest.into()))]);
        }
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n{}", notes(measurements, seed))
}

/// Such as `stitched`, or `auto (stitched)`.
pub fn method_name(method: &str, taken: &str) -> String {
    if method == taken {
        method.to_owned()
    } else {
        format!("{method} ({taken})")
    }
}

fn notes(measurements: &Measurements, seed: u64) -> String {
    let mut notes =
        "Errors are L2, relative to exact attention as the CPU computes it: of all rows together, and of the worst row.".to_owned();
    if let Some(run) = measurements.runs.first() {
        let (rows, valid) = (run.accuracy.rows, run.accuracy.valid_rows);
        if measurements.sampled {
            notes += &format!(
                "\nSAMPLED: errors are taken on {SAMPLED_ROWS} rows a head (seed {seed}), {rows} of {valid}, since exact attention \
                 over all rows would take {:.1e} operations.",
                measurements.operations as f64
            );
            notes += &format!(
                "\nWith 95 % certainty, at most {:.2} % of all rows are worse than the worst row of those.",
                100.0 * run.accuracy.share_of_worse_rows()
            );
        } else {
            notes += &format!("\nAll {rows} rows are compared.");
        }
    }
    if measurements.element != Element::F32 {
        notes += &format!(
            "\nTensors are in {}: the input was rounded, and the output; exact attention, for the errors, is of neither.",
            measurements.element
        );
    }
    if measurements.runs.iter().any(|run| run.guarded.is_some()) {
        notes += "\nFell back: heads that the guard had computed exactly; its error is the largest that it measured, before they were.";
    }
    if let Some(search) = &measurements.search {
        notes += &format!("\n{}", found(search));
    }
    if measurements.exact_seconds.is_none() {
        notes += "\nNo speed-up is given: exact attention would take long and was not timed";
        // A method that was found is the only one.
        notes += if measurements.search.is_some() { "." } else { "; ask for it with --method exact,…" };
    }
    notes
}

/// How the method was found, in words.
fn found(Search { found, seconds: taken }: &Search) -> String {
    let target = found.target;
    let tried = match found.trials.len() {
        0 => "none was measured".to_owned(),
        1 => format!("1 method was measured, in {}", seconds(*taken)),
        count => format!("{count} methods were measured, in {}", seconds(*taken)),
    };
    match (found.trial(), found.method.stitched_options()) {
        (Some(trial), Some(stitched)) => format!(
            "Found for an error of at most {target}: {} clusters, {} key groups, top-k {}, {}; measured {} and, with its margin, {}. {tried}.",
            stitched.clustering.clusters,
            stitched.key_groups.groups,
            stitched.top_k,
            stitched.window.map_or("no window".to_owned(), |window| window.to_string()),
            error(trial.error),
            error(trial.upper_error),
        ),
        _ => format!(
            "Found for an error of at most {target}: exact attention, since no method estimated to be cheaper meets it; {tried}."
        ),
    }
}

fn speedup(measurements: &Measurements, run: &Run) -> Option<f64> {
    measurements.exact_seconds.map(|exact| exact / run.seconds_median())
}

/// A time in a unit that suits it.
pub fn seconds(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{:.2} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

/// An error, short.
pub fn error(error: f64) -> String {
    if error != 0.0 && error < 1e-3 {
        format!("{error:.1e}")
    } else {
        format!("{error:.3}")
    }
}

/// The results as one JSON object.
pub fn json(origin: &Origin, measurements: &Measurements) -> Result<String> {
    Ok(serde_json::to_string_pretty(&Document::new(origin, measurements))? + "\n")
}

#[derive(Serialize)]
struct Document<'a> {
    version: &'static str,
    adapter: Option<&'a str>,
    backend: &'static str,
    input: &'a str,
    shape: ShapeDocument,
    seed: u64,
    element: &'static str,
    precision: &'static str,
    error_rows: ErrorRows,
    exact_seconds_median: Option<f64>,
    /// `null` where methods were asked for, not an error.
    search: Option<SearchDocument>,
    runs: Vec<RunDocument>,
}

/// How a method was found.
#[derive(Serialize)]
struct SearchDocument {
    target: f64,
    /// The method with all of its options, as text that can be read back.
    method: String,
    seconds: f64,
    error: f64,
    trials: Vec<TrialDocument>,
}

/// A method that was measured. An infinite error is written as `null`.
#[derive(Serialize)]
struct TrialDocument {
    method: String,
    estimated_seconds: f64,
    error: f64,
    upper_error: f64,
}

impl SearchDocument {
    fn new(Search { found, seconds }: &Search) -> Self {
        let trial = |trial: &Trial| TrialDocument {
            method: trial.method.to_string(),
            estimated_seconds: trial.estimated_seconds,
            error: trial.error,
            upper_error: trial.upper_error,
        };
        Self {
            target: found.target,
            method: found.method.to_string(),
            seconds: *seconds,
            error: found.error(),
            trials: found.trials.iter().map(trial).collect(),
        }
    }
}

#[derive(Serialize)]
struct ShapeDocument {
    batch: usize,
    query_heads: usize,
    key_heads: usize,
    queries: usize,
    keys: usize,
    width: usize,
    value_width: usize,
}

/// Rows that the errors were taken on.
#[derive(Serialize)]
struct ErrorRows {
    sampled: bool,
    compared: usize,
    valid: usize,
    /// With 95 % certainty, no larger share of all rows is worse than the worst of those compared.
    share_of_worse_rows: f64,
}

/// An infinite error, of an output that is not finite, is written as `null`, which JSON has no number for.
#[derive(Serialize)]
struct RunDocument {
    method: &'static str,
    /// The method that was computed.
    taken: &'static str,
    clusters: Option<usize>,
    top_k: Option<usize>,
    window: Option<usize>,
    /// Rows, columns and leading tokens of an image, and how far around a patch keys are exact.
    grid: Option<String>,
    radius: Option<String>,
    /// Keys that a window sees before and behind a position (`null`: all, or no window), and first keys.
    left: Option<usize>,
    right: Option<usize>,
    sinks: Option<usize>,
    key_groups: Option<usize>,
    spread: Option<bool>,
    guard: Option<String>,
    guard_rows: Option<usize>,
    guard_tolerance: Option<f32>,
    /// The share of the slices that the guard had computed exactly, and the largest error it measured; `null` without a guard.
    fell_back: Option<f64>,
    guard_error: Option<f32>,
    space: Option<String>,
    samples: Option<usize>,
    bits: Option<usize>,
    iterations: Option<usize>,
    euclidean_steps: Option<usize>,
    center: Option<bool>,
    seconds_median: f64,
    seconds: Vec<f64>,
    speedup_vs_exact: Option<f64>,
    relative_error: f64,
    max_row_error: f64,
    scratch_bytes: u64,
    stages: Vec<StageDocument>,
}

#[derive(Serialize)]
struct StageDocument {
    name: &'static str,
    seconds: f64,
}

impl<'a> Document<'a> {
    fn new(origin: &'a Origin, measurements: &Measurements) -> Self {
        let Shape { batch, query_heads, key_heads, queries, keys, width, value_width, .. } = origin.shape;
        let accuracy = measurements.runs.first().map(|run| run.accuracy);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            adapter: origin.adapter.as_deref(),
            backend: if origin.adapter.is_some() { "gpu" } else { "cpu" },
            input: origin.input,
            shape: ShapeDocument { batch, query_heads, key_heads, queries, keys, width, value_width },
            seed: origin.seed,
            element: measurements.element.name(),
            precision: measurements.precision.name(),
            error_rows: ErrorRows {
                sampled: measurements.sampled,
                compared: accuracy.map_or(0, |accuracy| accuracy.rows),
                valid: accuracy.map_or(0, |accuracy| accuracy.valid_rows),
                share_of_worse_rows: accuracy.map_or(0.0, |accuracy| accuracy.share_of_worse_rows()),
            },
            exact_seconds_median: measurements.exact_seconds,
            search: measurements.search.as_ref().map(SearchDocument::new),
            runs: measurements.runs.iter().map(|run| RunDocument::new(run, speedup(measurements, run))).collect(),
        }
    }
}

impl RunDocument {
    fn new(run: &Run, speedup_vs_exact: Option<f64>) -> Self {
        let clustering = run.method.clustering();
        let (left, right, sinks) = match run.method {
            Method::Window { left, right, sinks, .. } => (left, right, Some(sinks)),
            _ => (None, None, None),
        };
        let refined = is_refined(&run.method);
        let guard = run.method.stitched_options().map(|stitched| stitched.guard);
        let key_groups = run.method.stitched_options().map(|stitched| stitched.key_groups);
        Self {
            method: run.method.name(),
            taken: run.taken,
            clusters: clustering.map(|clustering| clustering.clusters),
            top_k: refined.then(|| run.method.top_k()),
            window: run.method.window(),
            grid: run.method.grid().map(|grid| grid.to_string()),
            radius: run.method.grid().map(|grid| grid.radius_text()),
            left,
            right,
            sinks,
            key_groups: key_groups.map(|key_groups| key_groups.groups),
            spread: key_groups.map(|key_groups| key_groups.spread),
            guard: guard.map(|guard| guard.action.to_string()),
            guard_rows: guard.map(|guard| guard.rows),
            guard_tolerance: guard.map(|guard| guard.tolerance.value()),
            fell_back: run.guarded.map(|(share, _)| share),
            guard_error: run.guarded.map(|(_, largest)| largest),
            space: clustering.map(|clustering| clustering.space.to_string()),
            samples: clustering.map(|clustering| clustering.samples),
            bits: clustering.map(|clustering| clustering.bits),
            iterations: clustering.map(|clustering| clustering.iterations),
            euclidean_steps: clustering.map(|clustering| clustering.euclidean_steps),
            center: clustering.map(|clustering| clustering.center),
            seconds_median: run.seconds_median(),
            seconds: run.seconds.clone(),
            speedup_vs_exact,
            relative_error: run.accuracy.relative_error,
            max_row_error: run.accuracy.max_row_error,
            scratch_bytes: run.scratch_bytes,
            stages: run.stages.iter().map(|&(stage, seconds)| StageDocument { name: stage.name(), seconds }).collect(),
        }
    }
}
