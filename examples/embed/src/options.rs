//! What can be asked on the command line.

use clap::Parser;
use clustered_attention_models::device::DeviceOptions;
use clustered_attention_models::methods::MethodOptions;
use clustered_attention_models::{files, terminal};
use std::path::PathBuf;

/// Texts embedded between two steps of the progress.
pub const BATCH: usize = 16;

/// Sentence embeddings with all-MiniLM-L6-v2: prints the embedding of each text as a JSON array, one a line.
///
/// The model comes from `cargo xtask models`. A text longer than 512 tokens is cut off there, with a note; sentence-transformers cuts off
/// at 256, which `--max-tokens 256` does too. Attention is exact unless `--method` names another.
///
/// With `--compare`: how far every method's token states and embeddings are from those of exact attention, on passages of State of the
/// Union addresses, and how often nearest-neighbour search among passages finds the same. Nothing is retrained. What depends on a seed is
/// averaged over `--seeds` of them.
#[derive(Debug, Parser)]
#[command(name = "embed", version)]
pub struct Options {
    /// Texts to embed; none: the lines of standard input
    #[arg(conflicts_with_all = ["file", "compare"])]
    pub text: Vec<String>,
    /// Embed the lines of this file
    #[arg(long, value_name = "FILE", conflicts_with = "compare")]
    pub file: Option<PathBuf>,
    /// Folder with `config.json`, `tokenizer.json` and `model.safetensors`, instead of the model that was fetched
    #[arg(long, value_name = "FOLDER")]
    pub model: Option<PathBuf>,
    /// Tokens of a text that are read, with the marks of beginning and end [default: what the model takes, 512]
    #[arg(long, value_name = "TOKENS")]
    pub max_tokens: Option<usize>,
    /// Write the results to this file as JSON too
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[command(flatten)]
    pub methods: MethodOptions,
    #[command(flatten)]
    pub device: DeviceOptions,
    /// Compare methods with exact attention
    #[arg(long)]
    pub compare: bool,
    /// Tokens of the passages that are compared
    #[arg(long, value_name = "L,…", value_delimiter = ',', default_value = "128,256,512", requires = "compare")]
    pub length: Vec<usize>,
    /// Passages of each length that are compared
    #[arg(long, value_name = "COUNT", default_value_t = 16, requires = "compare")]
    pub chunks: usize,
    /// Seeds, from `--seed` on
    #[arg(long, value_name = "COUNT", default_value_t = 3, requires = "compare")]
    pub seeds: usize,
    /// Passages that are searched; 0: no search
    #[arg(long, value_name = "COUNT", default_value_t = 200, requires = "compare")]
    pub passages: usize,
    /// Further passages that are searched for
    #[arg(long, value_name = "COUNT", default_value_t = 50, requires = "compare")]
    pub queries: usize,
    /// Tokens of the passages of the search
    #[arg(long, value_name = "TOKENS", default_value_t = 256, requires = "compare")]
    pub passage_length: usize,
}

impl Options {
    /// Checks that results can be written where they are to go, and that the work goes on for them when nobody reads what is printed.
    pub fn check_files(&self) -> anyhow::Result<()> {
        let Some(json) = &self.json else { return Ok(()) };
        let texts = self.file.iter().map(|path| ("--file", path.as_path()));
        let inputs: Vec<files::Named> =
            texts.chain(self.model.iter().map(|path| ("--model", path.as_path()))).collect();
        terminal::outlive_readers();
        files::check_outputs(&[("--json", json)], &inputs)
    }

    /// The seeds that are averaged over; at least one.
    pub fn seeds(&self) -> Vec<u64> {
        (0..self.seeds.max(1) as u64).map(|step| self.methods.seed.wrapping_add(step)).collect()
    }
}
