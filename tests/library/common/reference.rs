//! The formulas of `docs/method.md`, dense and plain, in float64 for truth and in float32 for what float32 is worth.

use super::case::{Case, Slice};
use clustered_attention::{Method, Neighbourhood, Stitched, Trace, NO_KEY};
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
    fn ln(self) -> Self;
}

impl Real for f32 {
    fn exp(self) -> Self {
        f32::exp(self)
    }

    fn ln(self) -> Self {
        f32::ln(self)
    }
}

impl Real for f64 {
    fn exp(self) -> Self {
        f64::exp(self)
    }

    fn ln(self) -> Self {
        f64::ln(self)
    }
}

pub type Matrix<F> = Vec<Vec<F>>;

pub fn widen<F: Real>(rows: &[Vec<f32>]) -> Matrix<F> {
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

/// What a centroid gives to the keys of a group outside its top-k.
pub struct PseudoKey<F> {
    pub log_mass: F,
    pub key: Vec<F>,
    pub value: Vec<F>,
}

/// The groups of a cluster of logits `z`; `None` for a group without keys outside the top-k.
pub fn pseudo_keys<F: Real>(
    slice: &Slice,
    z: &[F],
    top_keys: &[usize],
    key_groups: &[u32],
    groups: usize,
) -> Vec<Option<PseudoKey<F>>> {
    let logits = scaled(z, slice.scale);
    let mut listed = vec![Vec::new(); groups];
    for (key, &group) in key_groups.iter().enumerate().filter(|(key, _)| !top_keys.contains(key)) {
        listed[group as usize].push(key);
    }
    let pseudo_key = |listed: &Vec<usize>| {
        let highest = listed.iter().map(|&key| logits[key]).reduce(|a, b| if b > a { b } else { a })?;
        let weights: Vec<F> = listed.iter().map(|&key| (logits[key] - highest).exp()).collect();
        let mass = sum(weights.iter().copied());
        let mean = |rows: &[Vec<f32>], width: usize| -> Vec<F> {
            let rows = widen::<F>(&listed.iter().map(|&key| rows[key].clone()).collect::<Vec<_>>());
            combine(&weights, &rows, width).into_iter().map(|sum| sum / mass).collect()
        };
        let (key, value) = (mean(&slice.keys, slice.keys[0].len()), mean(&slice.values, slice.value_width));
        Some(PseudoKey { log_mass: highest + mass.ln(), key, value })
    };
    listed.iter().map(pseudo_key).collect()
}

/// What was chosen in one slice: cluster of each query, keys of each cluster's top-k, and group of each key, if any.
pub struct Choices {
    pub assignment: Vec<u32>,
    pub top_keys: Vec<Vec<usize>>,
    pub key_groups: Vec<u32>,
}

impl Choices {
    /// Those of a trace; `slice` counts in its order.
    pub fn of(case: &Case, trace: &Trace, slice: usize) -> Self {
        let shape = case.shape();
        let clusters = case.problem.method().clustering().map_or(0, |clustering| clustering.clusters);
        let batch = slice / shape.query_heads;
        let (queries, keys) = (case.query_lengths[batch] as usize, case.key_lengths[batch] as usize);
        let stored = trace.top_keys.len() / (shape.slices() * clusters).max(1);
        let listed = |cluster| {
            let keys = &trace.top_keys[(slice * clusters + cluster) * stored..][..stored];
            keys.iter().filter(|&&key| key != NO_KEY).map(|&key| key as usize).collect()
        };
        let key_groups = trace.key_groups.chunks(shape.keys).nth(slice).unwrap_or_default();
        Self {
            assignment: trace.assignment[slice * shape.queries..][..queries].to_vec(),
            top_keys: (0..clusters).map(listed).collect(),
            key_groups: key_groups.iter().copied().take(keys).collect(),
        }
    }
}

/// Whether stitched attention computes a pair exactly whatever the clusters.
fn is_near(neighbourhood: &Neighbourhood, query: usize, key: usize) -> bool {
    match *neighbourhood {
        Neighbourhood::Band(half_width) => key.abs_diff(query) <= half_width,
        Neighbourhood::Grid(grid) => {
            let place = |token: usize| ((token - grid.leading) / grid.columns, (token - grid.leading) % grid.columns);
            query < grid.leading || key < grid.leading || {
                let ((row, column), (key_row, key_column)) = (place(query), place(key));
                row.abs_diff(key_row) <= grid.row_radius && column.abs_diff(key_column) <= grid.column_radius
            }
        }
        _ => panic!("a neighbourhood without a reference: {neighbourhood:?}"),
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
    let queries = widen::<F>(&slice.queries);
    let means = centroids::<F>(slice, &choices.assignment, clustering.clusters, width);
    let z = logits(&means, &keys);
    let groups = method.stitched_options().map_or(0, |stitched| stitched.key_groups.groups);
    let pseudo =
        |cluster: usize| pseudo_keys(slice, &z[cluster], &choices.top_keys[cluster], &choices.key_groups, groups);
    let pseudo: Vec<_> = (0..if groups > 0 { clustering.clusters } else { 0 }).map(pseudo).collect();
    // By how much the logits of a group differ for a query from its centroid's.
    let leanings = |i: usize, cluster: usize| -> Vec<F> {
        let difference: Vec<F> = queries[i].iter().zip(&means[cluster]).map(|(&query, &mean)| query - mean).collect();
        let leaning =
            |pseudo: &Option<PseudoKey<F>>| pseudo.as_ref().map_or(F::from(0.0), |p| dot(&difference, &p.key));
        pseudo[cluster].iter().map(leaning).collect()
    };
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
            Method::Stitched(Stitched { window, .. }) => {
                let near = |key: usize| window.is_some_and(|window| is_near(&window, i, key));
                let exact = |key: usize| near(key) || top.contains(&key);
                let leanings = if groups > 0 { leanings(i, cluster as usize) } else { Vec::new() };
                let elsewhere = |key: usize| match groups {
                    0 => z[key],
                    _ => z[key] + leanings[choices.key_groups[key] as usize],
                };
                let x: Vec<F> = (0..keys.len()).map(|key| if exact(key) { own[key] } else { elsewhere(key) }).collect();
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
