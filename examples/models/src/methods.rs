//! Methods of attention by the command line, and in results.

use crate::method_options::{self, MethodName};
use clap::Args;
use clustered_attention::Method;
use serde_json::{json, Value};

/// Which methods, how they are to be set, and the seed.
#[derive(Debug, Clone, Args)]
#[group(skip)] // of one name with what is flattened into it
pub struct MethodOptions {
    #[command(flatten)]
    chosen: method_options::MethodOptions,
    /// Seed of the clustering
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

impl MethodOptions {
    /// The methods asked for, exact attention first; all but `auto` if none is named.
    pub fn methods(&self) -> Vec<Method> {
        self.chosen.methods(true, self.seed)
    }

    /// The one method asked for, or the one that a program takes where none is named; `None` if several are.
    pub fn method_or(&self, default: MethodName) -> Option<Method> {
        let mut chosen = self.chosen.clone();
        if chosen.method.is_empty() {
            chosen.method = vec![default];
        }
        match chosen.methods(true, self.seed)[..] {
            [method] => Some(method),
            _ => None,
        }
    }
}

/// The same method with another seed; exact attention has none.
pub fn with_seed(method: Method, seed: u64) -> Method {
    method.with_clustering(|clustering| clustering.seed = seed)
}

/// A method and its options as JSON, with `null` for what it has not.
pub fn method_json(method: &Method) -> Value {
    let clustering = method.clustering();
    let refined = method_options::is_refined(method);
    json!({
        "method": method.name(),
        "clusters": clustering.map(|clustering| clustering.clusters),
        "top_k": refined.then(|| method.top_k()),
        "window": method.window(),
        "grid": method.grid().map(|grid| grid.to_string()),
        "radius": method.grid().map(|grid| grid.radius_text()),
        "key_groups": method.stitched_options().map(|stitched| stitched.key_groups.groups),
        "spread": method.stitched_options().map(|stitched| stitched.key_groups.spread),
        "space": clustering.map(|clustering| clustering.space.to_string()),
        "bits": clustering.map(|clustering| clustering.bits),
        "samples": clustering.map(|clustering| clustering.samples),
        "iterations": clustering.map(|clustering| clustering.iterations),
        "euclidean_steps": clustering.map(|clustering| clustering.euclidean_steps),
        "center": clustering.map(|clustering| clustering.center),
    })
}

/// How many groups a method puts keys into; `None` where it makes none.
pub fn key_groups(method: &Method) -> Option<usize> {
    method.stitched_options().map(|stitched| stitched.key_groups.groups).filter(|&groups| groups > 0)
}

/// A method in a few words, such as `stitched, 25 clusters, top-k 32, window 16, 32 key groups`.
pub fn describe(method: &Method) -> String {
    let mut text = method.name().to_owned();
    if let Some(clustering) = method.clustering() {
        text += &format!(", {} clusters", clustering.clusters);
        if method_options::is_refined(method) {
            text += &format!(", top-k {}", method.top_k());
        }
        if let Some(neighbourhood) = method.neighbourhood() {
            text += &format!(", {neighbourhood}");
        }
        if let Some(groups) = key_groups(method) {
            text += &format!(", {groups} key groups");
        }
    }
    text
}
