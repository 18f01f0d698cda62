//! What can be asked on the command line.

use crate::bench::BenchOptions;
use crate::method_options::{at_least_one, times, MethodOptions};
use crate::probe::ProbeOptions;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use clustered_attention::{Backend, Element, Method, Precision};
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
    /// Safetensors file with `q` [N,H,L,E], `k` [N,H',S,E] and `v` [N,H',S,M], or without N; f32, f16 or bf16. Default: a layer of a
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
    #[command(flatten)]
    pub methods: MethodOptions,
    /// Instead of methods and their options: the cheapest method whose relative error, measured on a few rows of the input, is at most this
    #[arg(long, value_name = "ERROR", value_parser = relative_error, conflicts_with = "MethodOptions")]
    pub error: Option<f64>,
    /// Seed of the clustering, of the sampled rows and of the synthetic input
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// No position sees a key behind its own, in any method; only exact attention and windows can do that [default methods: exact]
    #[arg(long)]
    pub causal: bool,
    /// How queries, keys, values and output are stored, f32 or f16: the input is rounded to it, and so is the output. Errors are against exact
    /// attention in f32
    #[arg(long, value_name = "ELEMENT", default_value_t = Element::F32)]
    pub element: Element,
    /// How precise products of queries with keys and of weights with values must be at least: float32, float16-products or float16-pairs. What
    /// is not float32 needs a GPU with matrix units, and opens them
    #[arg(long, value_name = "PRECISION", default_value_t = Precision::Float32)]
    pub precision: Precision,
    /// Where to compute: on a real GPU if there is one and otherwise on the CPU; on the best adapter, a software one if need be; on
    /// the CPU
    #[arg(long, value_enum, default_value_t = BackendName::Auto)]
    pub backend: BackendName,
    /// Compute on the adapter whose name, driver or API contains this text
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
    /// Calls of each method that are timed
    #[arg(long, value_name = "TIMES", default_value = "5", value_parser = times)]
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
    /// Write the WGSL of every kernel that the methods use into this folder, a file each, as the adapter's driver would get it, and stop. The
    /// folder is made if need be. Where no GPU is used, kernels are those of a GPU with WebGPU's default limits; `--backend cpu` asks no driver
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["error", "json", "pipeline_cache", "list_adapters"])]
    pub write_kernels: Option<PathBuf>,
    /// List the adapters and stop
    #[arg(long)]
    pub list_adapters: bool,
    #[command(flatten)]
    pub probe: ProbeOptions,
}

/// An error that can be asked for.
fn relative_error(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(error) if error.is_finite() && error >= 0.0 => Ok(error),
        _ => Err("a number of at least 0 is needed".into()),
    }
}

/// Other things to do than the main job.
#[derive(Debug, Subcommand)]
pub enum Command {
    Bench(BenchOptions),
}

/// A back end by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BackendName {
    Auto,
    Gpu,
    Cpu,
}

impl Options {
    /// Refuses options that do not go together, beyond what clap knows.
    ///
    /// # Errors
    /// Such options, as clap tells errors.
    pub fn check(self) -> Result<Self, clap::Error> {
        let by_clusters = |method: &Method| method.clustering().is_some() && method.name() != "auto";
        let on_cpu = self.command.is_none() && self.backend == BackendName::Cpu;
        let conflict = if self.causal && self.methods(true).iter().any(by_clusters) {
            Some("causal attention by clusters is not supported yet; --causal goes with --method exact and window")
        } else if let Some(Command::Bench(bench)) = &self.command {
            bench.conflict()
        } else if on_cpu && self.adapter.is_some() {
            Some("--adapter names a GPU adapter, but --backend cpu computes without one")
        } else if on_cpu && self.list_adapters {
            Some("--list-adapters asks the drivers, but --backend cpu goes without them")
        } else {
            None
        };
        match conflict {
            Some(message) => Err(Self::command().error(ErrorKind::ArgumentConflict, message)),
            None => Ok(self),
        }
    }

    /// Whether drivers are asked for adapters. A broken one can end a program, so nobody asks who does not need to.
    pub fn needs_drivers(&self) -> bool {
        self.list_adapters || self.adapter.is_some() || self.backend != BackendName::Cpu
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

    /// The bound of the scratch memory, if one was given.
    pub fn scratch_budget_bytes(&self) -> Option<u64> {
        self.scratch_budget.map(|mebibytes| u64::from(mebibytes) << 20)
    }

    /// The methods asked for. Where one is to be found, only exact attention is known beforehand.
    pub fn methods(&self, square: bool) -> Vec<Method> {
        if self.error.is_some() || self.causal && self.methods.method.is_empty() {
            return vec![Method::Exact];
        }
        self.methods.methods(square, self.seed)
    }
}
