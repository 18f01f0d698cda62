//! What can be asked on the command line.

use crate::bench::BenchOptions;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use clustered_attention::{Backend, Method};
use std::path::PathBuf;

/// Runs attention by several methods on real or synthetic queries, keys and values, and prints time, error against exact attention
/// and scratch memory of each.
///
/// Options of the clustering that are not given take each method's own default: the paper's for `clustered` and `improved` (no
/// centring, no Euclidean step), the stitched method's for `stitched` (centring, 2 Euclidean steps). What is given holds for every
/// method.
///
/// Times are medians of whole calls on host slices (on a GPU with upload and read-back), the methods taking turns, after one call
/// of each to warm up. A method is called again only until its calls have taken 20 seconds together.
///
/// Long inputs: where exact attention would take more than 2^38 operations (2·N·H·L·S·(E+M); 8 heads of width 64 reach it at 11,585
/// positions), errors are taken on a seeded sample of 256 rows a head, and exact attention is timed only if `--method` names it.
/// Below that it is timed once even if `--method` leaves it out, to tell the speed-up.
#[derive(Debug, Parser)]
#[command(name = "headless", version, args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Safetensors file with `q` [N,H,L,E], `k` [N,G,S,E] and `v` [N,G,S,M], or without N; f32, f16 or bf16. Default: a layer of a
    /// speech recogniser, 6 heads of 1500 positions, which ships with the crate
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Instead of a file: synthetic input of this length with structure like that of real attention (topics that many queries
    /// share, a few strong keys, a bond between neighbours), from `--seed`
    #[arg(long, value_name = "L", conflicts_with = "input", value_parser = at_least_one)]
    pub length: Option<usize>,
    /// Heads of the synthetic input
    #[arg(long, value_name = "H", default_value = "8", requires = "length", value_parser = at_least_one)]
    pub heads: usize,
    /// Width of queries, keys and values of the synthetic input
    #[arg(long, value_name = "E", default_value = "64", requires = "length", value_parser = at_least_one)]
    pub width: usize,
    /// Methods, separated by commas; `auto` is the faster of exact and stitched attention [default: all but auto]
    #[arg(long, value_name = "METHODS", value_enum, value_delimiter = ',')]
    pub method: Vec<MethodName>,
    /// Clusters of each head
    #[arg(long, value_name = "C", default_value_t = 25)]
    pub clusters: usize,
    /// Keys of each cluster that are computed exactly (improved, stitched, auto)
    #[arg(long, value_name = "K", default_value_t = 32)]
    pub top_k: usize,
    /// Half-width of the exact band (stitched, auto), or `none` [default: 16; none where queries and keys differ in number]
    #[arg(long, value_name = "W")]
    pub window: Option<Window>,
    /// Bits of a code [default: 63]
    #[arg(long, value_name = "B")]
    pub bits: Option<usize>,
    /// Rounds of K-means in Hamming space [default: 10]
    #[arg(long, value_name = "ROUNDS")]
    pub iterations: Option<usize>,
    /// Euclidean steps after the Hamming K-means [default: 2 for stitched and auto, otherwise 0]
    #[arg(long, value_name = "STEPS")]
    pub euclidean_steps: Option<usize>,
    /// Subtract the mean query before hashing [default: true for stitched and auto, otherwise false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub center: Option<bool>,
    /// Seed of the clustering, of the sampled rows and of the synthetic input
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Causal attention: refused, it is not supported yet
    #[arg(long)]
    pub causal: bool,
    /// Where to compute: on a real GPU if there is one and otherwise on the CPU; on the best adapter, a software one if need be; on
    /// the CPU
    #[arg(long, value_enum, default_value_t = BackendName::Auto)]
    pub backend: BackendName,
    /// Compute on the adapter whose name, driver or API contains this text
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Calls of each method that are timed
    #[arg(long, value_name = "TIMES", default_value = "5", value_parser = at_least_one)]
    pub repeat: usize,
    /// Bound of the scratch memory, in MiB [default: 128]
    #[arg(long, value_name = "MIB")]
    pub scratch_budget: Option<u32>,
    /// Write the results to this file as JSON too
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Begin with what the driver compiled in an earlier run, where this file has it, and write it there at the end. Ignored on the CPU
    /// and on adapters without pipeline caches
    #[arg(long, value_name = "FILE")]
    pub pipeline_cache: Option<PathBuf>,
    /// List the adapters and stop
    #[arg(long)]
    pub list_adapters: bool,
}

/// Other things to do than the main job.
#[derive(Debug, Subcommand)]
pub enum Command {
    Bench(BenchOptions),
}

/// A method by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MethodName {
    Exact,
    Clustered,
    Improved,
    Stitched,
    Auto,
}

impl MethodName {
    /// All of them, with exact attention first so that speed-ups read from top to bottom.
    const ALL: [Self; 5] = [Self::Exact, Self::Clustered, Self::Improved, Self::Stitched, Self::Auto];

    /// Those asked for, each once. `Auto` only repeats one of the others and has to be named.
    pub fn chosen(asked: &[Self]) -> impl Iterator<Item = Self> + '_ {
        Self::ALL.into_iter().filter(|name| if asked.is_empty() { *name != Self::Auto } else { asked.contains(name) })
    }

    /// The method with a number of clusters and otherwise its defaults.
    pub fn with_clusters(self, clusters: usize) -> Method {
        match self {
            Self::Exact => Method::Exact,
            Self::Clustered => Method::clustered(clusters),
            Self::Improved => Method::improved(clusters),
            Self::Stitched => Method::stitched(clusters),
            Self::Auto => Method::auto(clusters),
        }
    }
}

/// A back end by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BackendName {
    Auto,
    Gpu,
    Cpu,
}

/// Half-width of the exact band, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window(pub Option<usize>);

impl std::str::FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        text.parse().map(|window| Self(Some(window))).map_err(|_| "a whole number or `none` is needed".into())
    }
}

/// A whole number above 0.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("a whole number of at least 1 is needed".into()),
    }
}

impl Options {
    /// Reads the command line; ends the program with a message where it asks for what there is not.
    pub fn read() -> Self {
        let options = Self::parse();
        let refuse = |message: &str| -> ! {
            Self::command().error(clap::error::ErrorKind::ArgumentConflict, message).exit();
        };
        if options.causal {
            refuse("causal attention is not supported yet; leave out --causal to run without a mask");
        }
        if let Some(Command::Bench(bench)) = &options.command {
            if let Some(message) = bench.conflict() {
                refuse(message);
            }
        }
        if options.adapter.is_some() && options.backend == BackendName::Cpu {
            refuse("--adapter names a GPU adapter, but --backend cpu computes without one");
        }
        options
    }

    /// The back end asked for.
    pub fn backend(&self) -> Backend {
        match (&self.adapter, self.backend) {
            (Some(name), _) => Backend::Adapter(name.clone()),
            (None, BackendName::Auto) => Backend::Auto,
            (None, BackendName::Gpu) => Backend::Gpu,
            (None, BackendName::Cpu) => Backend::Cpu,
        }
    }

    /// Whether a method was asked for by name.
    pub fn names(&self, method: MethodName) -> bool {
        self.method.contains(&method)
    }

    /// The methods asked for.
    pub fn methods(&self, square: bool) -> Vec<Method> {
        MethodName::chosen(&self.method).map(|name| self.configure(name, square)).collect()
    }

    fn configure(&self, name: MethodName, square: bool) -> Method {
        let method = name.with_clusters(self.clusters).with_top_k(self.top_k).with_clustering(|clustering| {
            clustering.seed = self.seed;
            clustering.bits = self.bits.unwrap_or(clustering.bits);
            clustering.iterations = self.iterations.unwrap_or(clustering.iterations);
            clustering.euclidean_steps = self.euclidean_steps.unwrap_or(clustering.euclidean_steps);
            clustering.center = self.center.unwrap_or(clustering.center);
        });
        match self.window {
            Some(Window(window)) => method.with_window(window),
            None if square => method,
            None => method.with_window(None),
        }
    }
}
