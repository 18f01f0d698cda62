//! What changed between two benchmarks, by what they wrote.

use super::results::OPTIONS;
use super::table::aligned;
use crate::report::{error, seconds};
use anyhow::{ensure, Context, Result};
use clustered_attention::{Element, Precision};
use serde_json::Value;
use std::path::Path;

/// Ratios nearer to 1 than this are no change, however little calls differ.
const LEAST_CHANGE: f64 = 0.03;

/// Calls of which a middle half can be told.
const LEAST_CALLS: usize = 3;

/// What tells runs apart.
const CONFIGURATION: [&str; 11] = [
    "back_end",
    "method",
    "length",
    "heads",
    "width",
    "clusters",
    "top_k",
    "window",
    "key_groups",
    "element",
    "precision",
];

const HEADINGS: [&str; 11] = [
    "back end",
    "length",
    "method",
    "options",
    "before",
    "after",
    "ratio",
    "calls are",
    "ratio of stages",
    "error before",
    "after",
];

/// A table of the runs that are in both files: how long each takes in the second, as a multiple of the first.
///
/// # Errors
/// A file cannot be read, is no benchmark's, or they have no run in common.
pub fn render(before: &Path, after: &Path) -> Result<String> {
    let [before, after] = [read(before)?, read(after)?];
    let [mut faster, mut same, mut slower, mut too_few, mut only_before] = [0; 5];
    let mut rows = Vec::new();
    for old in &before {
        let Some(new) = after.iter().find(|new| configuration(new) == configuration(old)) else {
            only_before += 1;
            continue;
        };
        let change = change(old, new)?;
        *match change.verdict {
            Verdict::Faster => &mut faster,
            Verdict::Same => &mut same,
            Verdict::Slower => &mut slower,
            Verdict::TooFewCalls => &mut too_few,
        } += 1;
        let stages = ratio(number(old, "stage_seconds")?, number(new, "stage_seconds")?);
        rows.push([
            text(&new["back_end"]),
            text(&new["length"]),
            text(&new["method"]),
            options(new),
            seconds(change.before),
            seconds(change.after),
            format!("{:.2}", change.ratio),
            change.verdict.name().into(),
            format!("{stages:.2}"),
            error_of(old),
            error_of(new),
        ]);
    }
    ensure!(
        !rows.is_empty(),
        "the files have no run in common: the first is of {}, the second of {}",
        back_ends(&before),
        back_ends(&after)
    );
    let is_new = |new: &&Value| !before.iter().any(|old| configuration(old) == configuration(new));
    let only_after = after.iter().filter(is_new).count();
    let percent = LEAST_CHANGE * 100.0;
    Ok(format!(
        "{}\n{faster} faster, {same} the same, {slower} slower, {too_few} with too few calls; {only_before} only in the first, {only_after} only in the second.\n\
         Times are medians of whole calls; a ratio below 1 is a gain. Calls are faster or slower where the middle halves of them lie apart and \
         the medians by more than {percent} %; {LEAST_CALLS} calls of each are needed to tell.",
        aligned(&HEADINGS, rows.into_iter(), 4)
    ))
}

/// The back ends of some runs, each once.
fn back_ends(runs: &[Value]) -> String {
    let mut names: Vec<String> = runs.iter().map(|run| text(&run["back_end"])).collect();
    names.sort_unstable();
    names.dedup();
    names.join(" and ")
}

/// Such as `8 × 64, C 25, k 64`.
fn options(run: &Value) -> String {
    let given = OPTIONS.iter().filter(|(_, field)| !run[*field].is_null());
    let given = given.map(|(name, field)| format!(", {name} {}", text(&run[*field]))).collect::<String>();
    let named = [("element", Element::F32.name()), ("precision", Precision::Float32.name())].map(|(field, usual)| {
        let other = run[field].as_str().filter(|&name| name != usual);
        other.map_or_else(String::new, |name| format!(", {name}"))
    });
    format!("{} × {}{given}{}", text(&run["heads"]), text(&run["width"]), named.concat())
}

/// An infinite error is written as null.
fn error_of(run: &Value) -> String {
    error(run["relative_error"].as_f64().unwrap_or(f64::INFINITY))
}

/// The runs of a file.
fn read(path: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut document: Value = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))?;
    let runs = match document.get_mut("runs").map(Value::take) {
        Some(Value::Array(runs)) => Some(runs),
        _ => None,
    };
    runs.with_context(|| format!("{} is not what `headless bench --json` writes: it has no `runs`", path.display()))
}

/// What was measured. Files from before there was a choice of elements and precisions are of float32.
fn configuration(run: &Value) -> Vec<Value> {
    let field = |name: &str| match (&run[name], name) {
        (Value::Null, "element") => Element::F32.name().into(),
        (Value::Null, "precision") => Precision::Float32.name().into(),
        (value, _) => value.clone(),
    };
    CONFIGURATION.iter().map(|name| field(name)).collect()
}

/// How the second of two runs compares.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    Faster,
    Same,
    Slower,
    TooFewCalls,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Same => "the same",
            Self::Slower => "slower",
            Self::TooFewCalls => "too few",
        }
    }
}

#[derive(Debug)]
struct Change {
    before: f64,
    after: f64,
    ratio: f64,
    verdict: Verdict,
}

fn change(old: &Value, new: &Value) -> Result<Change> {
    let spread = |run: &Value| -> Result<[f64; 3]> {
        let of = |name| number(&run["seconds"], name);
        Ok([of("lower_quartile")?, of("median")?, of("upper_quartile")?])
    };
    let ([old_low, before, old_high], [new_low, after, new_high]) = (spread(old)?, spread(new)?);
    let ratio = ratio(before, after);
    let calls = |run: &Value| run["seconds"]["calls"].as_array().map_or(0, Vec::len);
    let verdict = if calls(old).min(calls(new)) < LEAST_CALLS {
        Verdict::TooFewCalls
    } else if new_high < old_low && ratio < 1.0 - LEAST_CHANGE {
        Verdict::Faster
    } else if new_low > old_high && ratio > 1.0 + LEAST_CHANGE {
        Verdict::Slower
    } else {
        Verdict::Same
    };
    Ok(Change { before, after, ratio, verdict })
}

fn ratio(before: f64, after: f64) -> f64 {
    if before > 0.0 {
        after / before
    } else {
        f64::NAN
    }
}

fn number(value: &Value, field: &str) -> Result<f64> {
    value[field].as_f64().with_context(|| format!("a run has no number `{field}`"))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
