//! What can be asked on the command line.

use crate::ways::Way;
use clap::Parser;

/// Times Burn's attention on the wgpu adapter that wgpu prefers (or `CUBECL_WGPU_DEFAULT_DEVICE` names).
#[derive(Debug, Parser)]
pub struct Options {
    /// Lengths, separated by commas
    #[arg(long, value_name = "L", value_delimiter = ',', default_value = "512")]
    pub length: Vec<usize>,
    #[arg(long, value_name = "H", default_value_t = 8)]
    pub heads: usize,
    #[arg(long, value_name = "E", default_value_t = 64)]
    pub width: usize,
    /// Threads of Mesa's software adapter (sets `LP_NUM_THREADS`) [default: the driver's own choice, all]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    pub repetitions: u32,
    /// Calls that are not counted; the first one compiles kernels and, with autotuning, chooses them
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub warm_up: u32,
    /// Ways to compute attention, separated by commas
    #[arg(long, value_name = "WAYS", value_enum, value_delimiter = ',', default_values_t = [Way::Attention, Way::Plain])]
    pub way: Vec<Way>,
}
