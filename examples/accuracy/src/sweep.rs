//! What is run.

use crate::options::Options;
use clustered_attention::Method;
use clustered_attention_models::methods::with_seed;

/// Clusters while the top-k is swept, and top keys while clusters are.
const CLUSTERS: usize = 25;
const TOP_K: usize = 32;

/// Methods and seeds.
pub struct Sweep {
    /// Exact attention first.
    pub methods: Vec<Method>,
    pub seeds: Vec<u64>,
}

impl Sweep {
    pub fn new(options: &Options) -> Self {
        let mut methods = vec![Method::Exact];
        for of_clusters in [Method::clustered, Method::improved, Method::stitched] {
            let by_clusters = options.clusters.iter().map(|&clusters| of_clusters(clusters).with_top_k(TOP_K));
            let by_top_k = options.top_k.iter().map(|&top_k| of_clusters(CLUSTERS).with_top_k(top_k));
            for method in by_clusters.chain(by_top_k) {
                // Clustered attention has no top-k; no method is run twice.
                if !methods.contains(&method) {
                    methods.push(method);
                }
            }
        }
        Self { methods, seeds: (0..options.seeds as u64).collect() }
    }

    /// A method with each of the seeds; exact attention once.
    pub fn seeded(&self, method: Method) -> impl Iterator<Item = (u64, Method)> + '_ {
        let seeds = if method == Method::Exact { 1 } else { self.seeds.len() };
        self.seeds[..seeds].iter().map(move |&seed| (seed, with_seed(method, seed)))
    }

    /// All runs.
    pub fn runs(&self) -> usize {
        self.methods.iter().map(|&method| self.seeded(method).count()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn nothing_is_run_twice() {
        let options = Options::parse_from(["accuracy", "--clusters", "10,25", "--top-k", "8,32", "--seeds", "4"]);
        let sweep = Sweep::new(&options);
        let names: Vec<&str> = sweep.methods.iter().map(Method::name).collect();
        let count = |name| names.iter().filter(|&&other| other == name).count();
        assert_eq!((count("exact"), count("clustered"), count("improved"), count("stitched")), (1, 2, 3, 3));
        assert_eq!(sweep.runs(), 1 + 4 * 8);
    }
}
