//! What follows from the clusters, and from the key groups: on every back end the same checks.

use crate::common::case::{Case, Slice};
use crate::common::metric::{self, Metric};
use crate::common::reference::{self, Choices, ROUNDING};
use clustered_attention::{KeyGroups, Trace, NO_KEY};

/// Values with their truth and a plain float32 evaluation.
#[derive(Default)]
struct Compared {
    actual: Vec<f32>,
    plain: Vec<f64>,
    truth: Vec<f64>,
}

impl Compared {
    fn push(&mut self, actual: &[f32], plain: impl IntoIterator<Item = f32>, truth: impl IntoIterator<Item = f64>) {
        self.actual.extend(actual);
        self.plain.extend(plain.into_iter().map(f64::from));
        self.truth.extend(truth);
    }

    /// The norm of a few values is one draw of chance; they have the tolerance of the reference cases, relative to each, or to `least`.
    fn check(&self, name: &str, least: f64) -> Result<(), String> {
        let Self { actual, plain, truth } = self;
        if actual.len() >= 64 {
            return reference::within_twice_plain(actual, plain, truth).map_err(|error| format!("{name}: {error}"));
        }
        // NaN is off too.
        let near = |actual: f32, truth: f64| (f64::from(actual) - truth).abs() <= 1e-5 * truth.abs().max(least);
        let off = |(&actual, &truth): (&f32, &f64)| !near(actual, truth);
        match actual.iter().zip(truth).position(off) {
            Some(index) => Err(format!("{name} {index} is {}, should be {}", actual[index], truth[index])),
            None => Ok(()),
        }
    }
}

/// Counts, centroids, top-k keys, their mass, pseudo-keys and the output, given the clusters and the key groups.
pub fn check_results(case: &Case, trace: &Trace) -> Result<(), String> {
    for (index, (batch, head)) in case.slices().enumerate() {
        let (slice, choices) = (case.slice(batch, head), Choices::of(case, trace, index));
        check_top_keys(case, &slice, trace, index, &choices)?;
    }
    check_given(case, trace)
}

/// The same without the question which keys are the top-k.
pub fn check_given(case: &Case, trace: &Trace) -> Result<(), String> {
    let (shape, clusters) = (*case.shape(), case.problem.method().clustering().expect("clusters").clusters);
    let (mut centroids, mut masses) = (Compared::default(), Compared::default());
    for (index, (batch, head)) in case.slices().enumerate() {
        let slice = case.slice(batch, head);
        let choices = Choices::of(case, trace, index);
        let counts = &trace.counts[index * clusters..][..clusters];
        for (cluster, &count) in counts.iter().enumerate() {
            let members = choices.assignment.iter().filter(|&&c| c as usize == cluster).count();
            if count as usize != members {
                return Err(format!("cluster {cluster} counts {count} members of {members}"));
            }
        }
        let rounded = reference::centroids::<f32>(&slice, &choices.assignment, clusters, shape.width);
        let means = reference::centroids::<f64>(&slice, &choices.assignment, clusters, shape.width);
        let row = clusters * shape.width;
        centroids.push(&trace.centroids[index * row..][..row], rounded.concat(), means.concat());
        let z = reference::centroid_logits::<f64>(&slice, &choices.assignment, clusters, shape.width);
        let rounded = reference::centroid_logits::<f32>(&slice, &choices.assignment, clusters, shape.width);
        let truth = reference::top_mass(&z, slice.scale, &choices.top_keys);
        let rounded = reference::top_mass(&rounded, slice.scale, &choices.top_keys);
        // What an empty cluster would attend to is never read.
        for cluster in (0..clusters).filter(|&cluster| counts[cluster] > 0) {
            let mass = trace.top_mass[index * clusters + cluster];
            masses.push(&[mass], [rounded[cluster]], [truth[cluster]]);
        }
    }
    reference::within_twice_plain(&centroids.actual, &centroids.plain, &centroids.truth)
        .map_err(|error| format!("centroids: {error}"))?;
    masses.check("top mass", 0.0)?;
    check_pseudo_keys(case, trace)?;
    reference::check_output(case, Some(trace), &trace.output)
}

/// What the centroids of clusters with members give to each key group.
fn check_pseudo_keys(case: &Case, trace: &Trace) -> Result<(), String> {
    let (shape, clusters) = (*case.shape(), case.problem.method().clustering().expect("clusters").clusters);
    let groups = groups(case);
    let (width, value_width) = (shape.width, shape.value_width);
    let sizes =
        [trace.key_groups.len(), trace.group_log_mass.len(), trace.pseudo_keys.len(), trace.pseudo_values.len()];
    let rows = shape.slices() * clusters * groups;
    let keys = if groups > 0 { shape.slices() * shape.keys } else { 0 };
    if sizes != [keys, rows, rows * width, rows * value_width] {
        return Err(format!("the trace of key groups has sizes {sizes:?}"));
    }
    let (mut masses, mut means, mut values) = (Compared::default(), Compared::default(), Compared::default());
    for (index, (batch, head)) in case.slices().enumerate().take(if groups > 0 { usize::MAX } else { 0 }) {
        let slice = case.slice(batch, head);
        let choices = Choices::of(case, trace, index);
        let z = reference::centroid_logits::<f64>(&slice, &choices.assignment, clusters, width);
        let rounded = reference::centroid_logits::<f32>(&slice, &choices.assignment, clusters, width);
        for cluster in (0..clusters).filter(|&cluster| choices.assignment.contains(&(cluster as u32))) {
            let (top_keys, key_groups) = (&choices.top_keys[cluster], &choices.key_groups);
            let truth = reference::pseudo_keys(&slice, &z[cluster], top_keys, key_groups, groups);
            let plain = reference::pseudo_keys(&slice, &rounded[cluster], top_keys, key_groups, groups);
            for (group, pair) in truth.into_iter().zip(plain).enumerate() {
                let row = (index * clusters + cluster) * groups + group;
                let log_mass = trace.group_log_mass[row];
                let (Some(truth), Some(plain)) = pair else {
                    if log_mass == f32::NEG_INFINITY {
                        continue;
                    }
                    return Err(format!("group {group} of cluster {cluster} has no keys but a mass of {log_mass}"));
                };
                masses.push(&[log_mass], [plain.log_mass], [truth.log_mass]);
                means.push(&trace.pseudo_keys[row * width..][..width], plain.key, truth.key);
                values.push(&trace.pseudo_values[row * value_width..][..value_width], plain.value, truth.value);
            }
        }
    }
    masses.check("group log mass", 1.0)?;
    means.check("pseudo key", 1.0)?;
    values.check("pseudo value", 1.0)
}

/// Key groups of a case's method.
fn groups(case: &Case) -> usize {
    key_groups(case).groups
}

fn key_groups(case: &Case) -> KeyGroups {
    case.problem.method().stitched_options().map_or(KeyGroups::NONE, |stitched| stitched.key_groups)
}

/// The keys of largest logit, with what their groups stand for badly where that counts, ascending; those within rounding of the last one
/// may be exchanged.
fn check_top_keys(case: &Case, slice: &Slice, trace: &Trace, index: usize, choices: &Choices) -> Result<(), String> {
    let (clustering, width) = (*case.problem.method().clustering().expect("clusters"), case.shape().width);
    let z = reference::centroid_logits::<f64>(slice, &choices.assignment, clustering.clusters, width);
    let key_groups = key_groups(case);
    let spread = if key_groups.groups > 0 && key_groups.spread {
        let rows = metric::centred_queries::<f64>(slice, &clustering, &choices.assignment, width);
        metric::spread(slice, &Metric::new(&rows, width), &choices.key_groups, key_groups.groups)
    } else {
        vec![(0.0, 0.0); slice.keys.len()]
    };
    let stored = case.problem.method().top_k().min(case.shape().keys);
    let expected = stored.min(slice.keys.len());
    // Mean size of the queries' entries, which centroids are sums of.
    let size = |column: usize| slice.queries.iter().map(|q| f64::from(q[column].abs())).sum::<f64>();
    let sizes: Vec<f64> = (0..width).map(|column| size(column) / slice.queries.len().max(1) as f64).collect();
    for (cluster, keys) in choices.top_keys.iter().enumerate() {
        if !choices.assignment.contains(&(cluster as u32)) {
            continue;
        }
        let listed = &trace.top_keys[(index * z.len() + cluster) * stored..][..stored];
        let ascending = keys.windows(2).all(|pair| pair[0] < pair[1]);
        let in_range = keys.iter().all(|&key| key < slice.keys.len());
        if keys.len() != expected || !ascending || !in_range || listed[expected..].iter().any(|&key| key != NO_KEY) {
            return Err(format!("top-k keys of cluster {cluster} are {listed:?}; {expected} were expected"));
        }
        let bound = |key: usize| {
            let products = slice.keys[key].iter().zip(&sizes);
            8.0 * ROUNDING * products.map(|(&k, size)| f64::from(k.abs()) * size).sum::<f64>()
        };
        let most = |key: usize| z[cluster][key] + bound(key) + spread[key].1;
        let least = |key: usize| z[cluster][key] - bound(key) + spread[key].0;
        let lowest = keys.iter().map(|&key| most(key)).fold(f64::INFINITY, f64::min);
        let left_out = |key: &usize| !keys.contains(key) && least(*key) > lowest;
        if let Some(key) = (0..slice.keys.len()).find(left_out).filter(|_| expected > 0) {
            return Err(format!("cluster {cluster} left out key {key}"));
        }
    }
    Ok(())
}
