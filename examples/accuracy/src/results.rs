//! Results of the tasks.

use crate::machine::Machine;
use clustered_attention::Method;
use clustered_attention_models::method_options::is_refined;
use clustered_attention_models::methods::method_json;
use clustered_attention_models::table::{self, mean, median};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// Everything that is written.
#[derive(Serialize)]
pub struct Results {
    /// Version, device, profile.
    pub origin: Value,
    pub date: String,
    pub machine: Machine,
    pub seeds: Vec<u64>,
    pub tasks: Vec<Task>,
}

/// What a model was asked to do.
#[derive(Serialize)]
pub struct Task {
    pub name: &'static str,
    pub title: String,
    /// Model and data, with their numbers.
    pub data: String,
    /// What the error is of.
    pub error: &'static str,
    /// What the task's own measure is.
    pub metric: &'static str,
    /// Its unit on the axis.
    pub metric_axis: &'static str,
    /// What the seconds are of.
    pub seconds: &'static str,
    /// In the order of the sweep, exact attention first.
    pub configurations: Vec<Configuration>,
}

/// A method with its options, seed by seed.
#[derive(Serialize)]
pub struct Configuration {
    #[serde(serialize_with = "method_with_options")]
    pub method: Method,
    pub runs: Vec<Run>,
}

/// One seed.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    pub seed: u64,
    /// L2, relative to exact attention.
    pub error: f64,
    /// The task's own measure.
    pub metric: f64,
    /// Seconds of attention.
    pub attention_seconds: f64,
    /// Seconds of everything.
    pub seconds: f64,
}

fn method_with_options<S: Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
    method_json(method).serialize(serializer)
}

impl Configuration {
    fn of(&self, number: impl Fn(&Run) -> f64) -> Vec<f64> {
        self.runs.iter().map(number).collect()
    }

    pub fn error(&self) -> f64 {
        mean(&self.of(|run| run.error))
    }

    pub fn metric(&self) -> f64 {
        mean(&self.of(|run| run.metric))
    }

    /// The lowest and the highest of the task's own measure.
    pub fn metric_range(&self) -> (f64, f64) {
        let metrics = self.of(|run| run.metric);
        (metrics.iter().copied().fold(f64::INFINITY, f64::min), metrics.iter().copied().fold(0.0, f64::max))
    }

    pub fn attention_seconds(&self) -> f64 {
        median(&self.of(|run| run.attention_seconds))
    }

    pub fn seconds(&self) -> f64 {
        median(&self.of(|run| run.seconds))
    }

    /// Clusters and top-k, where the method has them.
    pub fn sizes(&self) -> [String; 2] {
        let clusters = self.method.clustering().map(|clustering| clustering.clusters.to_string());
        let has_top_k = is_refined(&self.method);
        let dash = || "–".to_owned();
        [clusters.unwrap_or_else(dash), if has_top_k { self.method.top_k().to_string() } else { dash() }]
    }
}

/// Headings of [`rows`].
pub fn headings(task: &Task) -> [&'static str; 8] {
    ["method", "clusters", "top-k", "attention", "everything", "error", task.metric_axis, "range"]
}

/// A row for each configuration: means over the seeds, medians of times.
pub fn rows(task: &Task) -> Vec<[String; 8]> {
    let row = |configuration: &Configuration| {
        let [clusters, top_k] = configuration.sizes();
        let (low, high) = configuration.metric_range();
        [
            configuration.method.name().to_owned(),
            clusters,
            top_k,
            table::seconds(configuration.attention_seconds()),
            table::seconds(configuration.seconds()),
            format!("{:.3}", configuration.error()),
            number(configuration.metric()),
            format!("{} to {}", number(low), number(high)),
        ]
    };
    task.configurations.iter().map(row).collect()
}

/// The same as text.
pub fn table(task: &Task) -> String {
    table::table(headings(task), rows(task))
}

/// Whole where it is.
fn number(value: f64) -> String {
    if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}
