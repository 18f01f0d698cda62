//! The top-k keys of each cluster, and the weights of the others.

use super::remainder::cluster_parts;
use super::{Cost, Count, Definition, Launch, Pace, Scratch};

pub(super) const DEFINITION: Definition = Definition {
    kernels: &["top_k"],
    scratch: |_, cut| {
        let statistics = if cut.host { (Scratch::Statistics, 4 * cut.clusters) } else { cluster_parts(cut) };
        // A kernel's bindings are there whether it has a use for them or not.
        let spread = (Scratch::KeySpread, usize::from(!cut.host));
        vec![(Scratch::TopKeys, (cut.clusters * cut.top_k).max(1)), statistics, spread]
    },
    cost: |step, cut| {
        let [clusters, keys, top_k] = [step.clusters.len(), cut.shape.keys, cut.top_k].map(Count::from);
        let logits = clusters * keys;
        Cost { operations: 2 * logits, words: 2 * logits + clusters * top_k, ..Cost::default() }
    },
    pace: Pace::Operations([350.0, 8100.0, 20.0]),
    launches: |step, cut| vec![Launch::new("top_k", step.clusters.len(), 1, &[16, cut.shape.keys])],
};
