//! What `headless bench` can be asked.

use crate::method_options::{at_least_one, times, MethodName, Window};
use crate::probe::ProbeOptions;
use clap::{Args, ValueEnum};
use clustered_attention::{Element, Method, Precision};
use std::path::PathBuf;

/// Measures methods over sweeps: time, error and memory of whole calls, and every stage against what the same back end can do at best.
///
/// Options with lists take several values, separated by commas; every combination is measured. The input is synthetic (as with
/// `headless --length`).
///
/// Back ends and methods take turns, repetition by repetition. The first call of each is told apart. On an adapter, a timed call follows
/// one of the same problem that is not timed, unless it takes longer than 0.3 seconds, since the adapter keeps the memory of one problem
/// only. A method is called again only until its timed calls took five times `--seconds-limit` together.
#[derive(Debug, Args)]
pub struct BenchOptions {
    /// Lengths [default: 512 to 65536 in steps of two; on software adapters no longer than 8192]
    #[arg(long, value_name = "L,…", value_delimiter = ',', value_parser = at_least_one)]
    pub length: Vec<usize>,
    /// Methods; `auto` is the faster of exact and stitched attention [default: all but auto]
    #[arg(long, value_name = "METHODS", value_enum, value_delimiter = ',')]
    pub method: Vec<MethodName>,
    /// Clusters of each head
    #[arg(long, value_name = "C,…", value_delimiter = ',', default_value = "25")]
    pub clusters: Vec<usize>,
    /// Keys of each cluster that are computed exactly (improved, stitched, auto) [default: 32 for improved, otherwise 64]
    #[arg(long, value_name = "K,…", value_delimiter = ',')]
    pub top_k: Vec<usize>,
    /// Half-widths of the exact band (stitched, auto); `none` is one
    #[arg(long, value_name = "W,…", value_delimiter = ',', default_value = "16")]
    pub window: Vec<Window>,
    /// Heads
    #[arg(long, value_name = "H,…", value_delimiter = ',', default_value = "8", value_parser = at_least_one)]
    pub heads: Vec<usize>,
    /// Widths of queries, keys and values
    #[arg(long, value_name = "E,…", value_delimiter = ',', default_value = "64", value_parser = at_least_one)]
    pub width: Vec<usize>,
    /// How tensors are stored: f32, f16. Speed-ups are over exact attention of the same element, errors against it in f32 [default: f32]
    #[arg(long, value_name = "ELEMENTS", value_delimiter = ',')]
    pub element: Vec<Element>,
    /// How precise products must be: float32, float16-products, float16-pairs. Speed-ups are over exact attention of the same precision; what is
    /// not float32 is left out where there are no matrix units for it [default: float32]
    #[arg(long, value_name = "PRECISIONS", value_delimiter = ',')]
    pub precision: Vec<Precision>,
    /// Back ends [default: the CPU, and the best adapter if there is one]
    #[arg(long, value_name = "BACK-ENDS", value_enum, value_delimiter = ',')]
    pub backend: Vec<BenchBackend>,
    /// Adapters by text that their name, driver or API contains; `best` is the best, `all` are all [default: best]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub adapter: Vec<String>,
    /// Timed calls of each method
    #[arg(long, value_name = "TIMES", default_value = "5", value_parser = times)]
    pub repeat: usize,
    /// Seed of the input, of the clustering and of the sampled rows
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// A method is left out where a call is predicted to take longer than this many seconds, by the ceilings and by what it took before;
    /// the report says so
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = positive)]
    pub seconds_limit: f64,
    /// Bound of the scratch memory, in MiB [default: 128]
    #[arg(long, value_name = "MIB")]
    pub scratch_budget: Option<u32>,
    /// Write everything that was found out to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a report with plots to this file: one page that needs nothing else
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Measures nothing: reads what two benchmarks wrote with --json and says what of the second is faster, slower, or the same
    #[arg(long, value_names = ["BEFORE", "AFTER"], num_args = 2, conflicts_with_all = ["json", "html"])]
    pub compare: Vec<PathBuf>,
    #[command(flatten)]
    pub probe: ProbeOptions,
}

/// A back end of the benchmark by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchBackend {
    Cpu,
    Gpu,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 => Ok(number),
        _ => Err("a number above 0 is needed".into()),
    }
}

/// Of all, those that a list names, each once; of an empty list the default.
fn asked<T: Copy + Default + PartialEq, const COUNT: usize>(all: [T; COUNT], list: &[T]) -> Vec<T> {
    let chosen = |value: &T| list.contains(value) || (list.is_empty() && *value == T::default());
    all.into_iter().filter(chosen).collect()
}

const DEFAULT_LENGTHS: [usize; 8] = [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];
/// The longest default length of a software adapter.
const SOFTWARE_LENGTH: usize = 8192;

impl BenchOptions {
    /// Whether an adapter is measured, so that drivers are asked for them.
    pub fn needs_drivers(&self) -> bool {
        self.compare.is_empty() && (self.backend.is_empty() || self.backend.contains(&BenchBackend::Gpu))
    }

    /// What is wrong with the options taken together.
    pub fn conflict(&self) -> Option<&'static str> {
        (!self.needs_drivers() && self.compare.is_empty() && !self.adapter.is_empty())
            .then_some("--adapter names a GPU adapter, but --backend cpu computes without one")
    }

    /// Lengths from short to long, each once.
    pub fn lengths(&self) -> Vec<usize> {
        let mut lengths = if self.length.is_empty() { DEFAULT_LENGTHS.to_vec() } else { self.length.clone() };
        lengths.sort_unstable();
        lengths.dedup();
        lengths
    }

    /// Whether a length is measured on an adapter that is software or is not.
    pub fn includes(&self, length: usize, software: bool) -> bool {
        !self.length.is_empty() || !software || length <= SOFTWARE_LENGTH
    }

    /// Elements, each once.
    pub fn elements(&self) -> Vec<Element> {
        asked(Element::ALL, &self.element)
    }

    /// Precisions, each once.
    pub fn precisions(&self) -> Vec<Precision> {
        asked(Precision::ALL, &self.precision)
    }

    /// Every method with every combination of the options that it has, exact attention first.
    pub fn methods(&self) -> Vec<Method> {
        let mut methods = Vec::new();
        for name in MethodName::chosen(&self.method) {
            for &clusters in &self.clusters {
                let default = name.with_clusters(clusters);
                let all_top_k = if self.top_k.is_empty() { vec![default.top_k()] } else { self.top_k.clone() };
                for top_k in all_top_k {
                    for &Window(window) in &self.window {
                        let method = default.with_top_k(top_k).with_window(window);
                        let method = method.with_clustering(|clustering| clustering.seed = self.seed);
                        if !methods.contains(&method) {
                            methods.push(method);
                        }
                    }
                }
            }
        }
        methods
    }
}
