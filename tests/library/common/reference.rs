//! The formulas of `docs/method.md`, dense and plain, in float64 for truth and in float32 for what float32 is worth.

use super::case::{Case, Slice};
use clustered_attention::{Method, Trace, NO_KEY};
use std::ops::{Add, AddAssign, Div, Mul, Sub};

/// A floating-point type to evaluate in.
pub trait Real:
    Copy
    + PartialOrd
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Into<f64>
    + From<f32>
{
    fn exp(self) -> Self;
}

impl Real for f32 {
    fn exp(self) -> Self {
        f32::exp(self)
    }
}

impl Real for f64 {
    fn exp(self) -> Self {
        f64::exp(self)
    }
}

type Matrix<F> = Vec<Vec<F>>;

fn widen<F: Real>(rows: &[Vec<f32>]) -> Matrix<F> {
    rows.iter().map(|row| row.iter().map(|&value| F::from(value)).collect()).collect()
}

fn sum<F: Real>(values: impl Iterator<Item = F>) -> F {
    values.fold(F::from(0.0), |sum, value| sum + value)
}

fn dot<F: Real>(a: &[F], b: &[F]) -> F {
    sum(a.iter().zip(b).map(|(&a, &b)| a * b))
}

fn softmax<F: Real>(logits: &[F]) -> Vec<F> {
    let Some(&first) = logits.first() else { return Vec::new() };
    let maximum = logits.iter().fold(first, |maximum, &logit| if logit > maximum { logit } else { maximum });
    let weights: Vec<F> = logits.iter().map(|&logit| (logit - maximum).exp()).collect();
    let total = sum(weights.iter().copied());
    weights.into_iter().map(|weight| weight / total).collect()
}

fn combine<F: Real>(weights: &[F], values: &[Vec<F>], value_width: usize) -> Vec<F> {
    let mut row = vec![F::from(0.0); value_width];
    for (&weight, value) in weights.iter().zip(values) {
        row.iter_mut().zip(value).for_each(|(row, &value)| *row += weight * value);
    }
    row
}

/// Products of every row with every key, unscaled.
fn logits<F: Real>(rows: &[Vec<F>], keys: &[Vec<F>]) -> Matrix<F> {
    rows.iter().map(|row| keys.iter().map(|key| dot(row, key)).collect()).collect()
}

/// Mean query of each cluster; zeros where it is empty.
pub fn centroids<F: Real>(slice: &Slice, assignment: &[u32], clusters: usize, width: usize) -> Matrix<F> {
    let mut means = vec![vec![F::from(0.0); width]; clusters];
    let mut counts = vec![0; clusters];
    for (query, &cluster) in widen::<F>(&slice.queries).iter().zip(assignment) {
        counts[cluster as usize] += 1;
        means[cluster as usize].iter_mut().zip(query).for_each(|(mean, &value)| *mean += value);
    }
    for (mean, &count) in means.iter_mut().zip(&counts) {
        mean.iter_mut().for_each(|mean| *mean = *mean / F::from(count.max(1) as f32));
    }
    means
}

/// Unscaled centroid logits `z`.
pub fn centroid_logits<F: Real>(slice: &Slice, assignment: &[u32], clusters: usize, width: usize) -> Matrix<F> {
    logits(&centroids::<F>(slice, assignment, clusters, width), &widen(&slice.keys))
}

/// Softmax mass of the top-k keys of each cluster.
pub fn top_mass<F: Real>(z: &[Vec<F>], scale: f32, top_keys: &[Vec<usize>]) -> Vec<F> {
    let mass = |(z, keys): (&Vec<F>, &Vec<usize>)| {
        let attention = softmax(&scaled(z, scale));
        sum(keys.iter().map(|&key| attention[key]))
    };
    z.iter().zip(top_keys).map(mass).collect()
}

fn scaled<F: Real>(row: &[F], scale: f32) -> Vec<F> {
    row.iter().map(|&logit| logit * F::from(scale)).collect()
}

/// What was chosen in one slice: cluster of each query and keys of each cluster's top-k.
pub struct Choices {
    pub assignment: Vec<u32>,
    pub top_keys: Vec<Vec<usize>>,
}

impl Choices {
    /// Those of a trace; `slice` counts in its order.
    pub fn of(case: &Case, trace: &Trace, slice: usize) -> Self {
        let shape = case.shape();
        let clusters = case.problem.method().clustering().map_or(0, |clustering| clustering.clusters);
        let valid = case.query_lengths[slice / shape.query_heads] as usize;
        let stored = trace.top_keys.len() / (shape.slices() * clusters).max(1);
        let keys = |cluster| {
            let keys = &trace.top_keys[(slice * clusters + cluster) * stored..][..stored];
            keys.iter().filter(|&&key| key != NO_KEY).map(|&key| key as usize).collect()
        };
        Self {
            assignment: trace.assignment[slice * shape.queries..][..valid].to_vec(),
            top_keys: (0..clusters).map(keys).collect(),
        }
    }
}

/// Whether a query of a slice sees a key: a window spares the first keys, a causal mask does not.
pub fn sees(slice: &Slice, method: &Method, query: usize, key: usize) -> bool {
    let offset = slice.keys.len() as i64 - slice.queries.len() as i64;
    let distance = key as i64 - (query as i64 + if slice.square { offset.max(0) } else { offset });
    let in_window = match *method {
        Method::Window { left, right, sinks, .. } => {
            let within = |bound: Option<usize>, distance: i64| bound.is_none_or(|bound| distance <= bound as i64);
            key < sinks || (within(left, -distance) && within(right, distance))
        }
        _ => true,
    };
    in_window && (!slice.causal || distance <= 0)
}

/// Rows of one slice by a method, given what was chosen.
pub fn rows<F: Real>(slice: &Slice, method: &Method, width: usize, choices: Option<&Choices>) -> Matrix<F> {
    let (keys, values) = (widen::<F>(&slice.keys), widen::<F>(&slice.values));
    let own = logits(&widen::<F>(&slice.queries), &keys);
    let Some((choices, clustering)) = choices.zip(method.clustering()) else {
        let row = |(query, own): (usize, &Vec<F>)| {
            let seen: Vec<usize> = (0..keys.len()).filter(|&key| sees(slice, method, query, key)).collect();
            let of_seen = |row: &[F]| -> Vec<F> { seen.iter().map(|&key| row[key]).collect() };
            let values: Matrix<F> = seen.iter().map(|&key| values[key].clone()).collect();
            combine(&softmax(&scaled(&of_seen(own), slice.scale)), &values, slice.value_width)
        };
        return own.iter().enumerate().map(row).collect();
    };
    let z = centroid_logits::<F>(slice, &choices.assignment, clustering.clusters, width);
    let row = |(i, &cluster): (usize, &u32)| {
        let (z, own, top) = (&z[cluster as usize], &own[i], &choices.top_keys[cluster as usize]);
        let weights = match method {
            Method::Improved { .. } => {
                let mut weights = softmax(&scaled(z, slice.scale));
                let mass = sum(top.iter().map(|&key| weights[key]));
                let best: Vec<F> = top.iter().map(|&key| own[key]).collect();
                for (&key, share) in top.iter().zip(softmax(&scaled(&best, slice.scale))) {
                    weights[key] = mass * share;
                }
                weights
            }
            Method::Stitched { window, .. } => {
                let near = |key: usize| window.is_some_and(|window| key.abs_diff(i) <= window);
                let exact = |key: usize| near(key) || top.contains(&key);
                let x: Vec<F> = (0..keys.len()).map(|key| if exact(key) { own[key] } else { z[key] }).collect();
                softmax(&scaled(&x, slice.scale))
            }
            _ => softmax(&scaled(z, slice.scale)),
        };
        combine(&weights, &values, slice.value_width)
    };
    choices.assignment.iter().enumerate().map(row).collect()
}

/// The whole output, in the case's layout, given what a trace says was chosen; zeros for padding.
pub fn output<F: Real>(case: &Case, chosen: Option<&Trace>) -> Vec<f64> {
    let mut output = vec![0.0; case.shape().output_elements()];
    for (index, (batch, head)) in case.slices().enumerate() {
        let choices = chosen.map(|trace| Choices::of(case, trace, index));
        let slice = case.slice(batch, head);
        let rows = rows::<F>(&slice, case.problem.method(), case.shape().width, choices.as_ref());
        for (position, row) in rows.into_iter().enumerate() {
            let offset = case.output_offset(batch, head, position);
            output[offset..][..row.len()].iter_mut().zip(row).for_each(|(out, value)| *out = value.into());
        }
    }
    output
}

/// Half a unit in the last place of 1: what rounding the result alone may cost.
pub const ROUNDING: f64 = 1.0 / (1u64 << 24) as f64;

/// Errors against the truth, in the L2 norm and the largest.
#[derive(Debug, Clone, Copy)]
pub struct Errors {
    pub norm: f64,
    pub largest: f64,
}

impl Errors {
    pub fn new(actual: impl Iterator<Item = f64>, truth: &[f64]) -> Self {
        let mut errors = Self { norm: 0.0, largest: 0.0 };
        for (actual, truth) in actual.zip(truth) {
            let error = (actual - truth).abs();
            // NaN must not pass as zero.
            let error = if error.is_nan() { f64::INFINITY } else { error };
            errors.norm += error * error;
            errors.largest = errors.largest.max(error);
        }
        errors.norm = errors.norm.sqrt();
        errors
    }
}

/// The tolerance of `docs/method.md`: at most twice the error of a plain float32 evaluation, in the L2 norm. The largest error alone is one
/// draw of chance; it may be four times that of the plain evaluation, so that a bad row cannot hide among good ones. Where the plain
/// evaluation happens to be nearly exact, as with a single key, it counts as one rounding of the largest value.
pub fn within_twice_plain(actual: &[f32], plain: &[f64], truth: &[f64]) -> Result<(), String> {
    assert_eq!(actual.len(), truth.len());
    let largest = truth.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let actual = Errors::new(actual.iter().map(|&value| value.into()), truth);
    let plain = Errors::new(plain.iter().copied(), truth);
    let count = truth.len() as f64;
    let allowed_norm = 2.0 * plain.norm.max(ROUNDING * largest * count.sqrt());
    let allowed = 4.0 * plain.largest.max(ROUNDING * largest);
    if actual.norm <= allowed_norm && actual.largest <= allowed {
        return Ok(());
    }
    Err(format!("{actual:?}; plain {plain:?}; largest value {largest:.3}, {count} values"))
}

/// Compares an output with the truth for what a trace says was chosen (for exact attention nothing is).
pub fn check_output(case: &Case, chosen: Option<&Trace>, actual: &[f32]) -> Result<(), String> {
    let (truth, plain) = (output::<f64>(case, chosen), output::<f32>(case, chosen));
    let name = case.problem.method().name();
    within_twice_plain(actual, &plain, &truth).map_err(|error| format!("output of {name}: {error}"))
}
