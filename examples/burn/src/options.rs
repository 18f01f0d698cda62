//! What can be asked on the command line.

use clap::{Parser, ValueEnum};
use clustered_attention::Method;
use clustered_attention_models::method_options::{at_least_one, MethodName, MethodOptions};
use std::path::PathBuf;

/// Times a multi-head attention layer in Burn: Burn's own layer, the same projections around Burn's attention function, alone, and around this
/// crate's attention, all with the same weights.
#[derive(Debug, Parser)]
#[command(name = "burn", version)]
pub struct Options {
    /// Burn's backend: `cpu` is Flex, `wgpu` the adapter that Burn prefers (or `CUBECL_WGPU_DEFAULT_DEVICE` names)
    #[arg(long, value_enum, default_value_t = BackendName::Wgpu)]
    pub backend: BackendName,
    /// Lengths, separated by commas
    #[arg(long, value_name = "L", value_delimiter = ',', default_value = "256,512,1024", value_parser = at_least_one)]
    pub length: Vec<usize>,
    #[arg(long, value_name = "H", default_value = "8", value_parser = at_least_one)]
    pub heads: usize,
    /// Width of a head
    #[arg(long, value_name = "E", default_value = "64", value_parser = at_least_one)]
    pub width: usize,
    /// This crate's methods, and how they are to be set; exact and stitched attention if none is named
    #[command(flatten)]
    methods: MethodOptions,
    /// Calls of each that are timed after the first
    #[arg(long, value_name = "TIMES", default_value = "5", value_parser = at_least_one)]
    pub repeat: usize,
    /// What takes longer than this in its second call, the first that neither compiles nor tunes, is not called again
    #[arg(long, value_name = "SECONDS", default_value_t = 120.0)]
    pub seconds_limit: f64,
    /// Seed of weights, input and clustering
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Write the results to this file as JSON too
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

impl Options {
    /// The methods asked for, exact attention first.
    pub fn methods(&self) -> Vec<Method> {
        let mut methods = self.methods.clone();
        if methods.method.is_empty() {
            methods.method = vec![MethodName::Exact, MethodName::Stitched];
        }
        methods.methods(true, self.seed)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BackendName {
    Cpu,
    Wgpu,
}
