//! What can be asked on the command line.

use clap::{Parser, ValueEnum};
use clustered_attention_models::device::DeviceOptions;
use clustered_attention_models::method_options::at_least_one;
use std::path::PathBuf;

/// Runs pretrained models with every method, clusters and top-k swept, and writes how far the results are from those of exact attention
/// and what attention costs: speech recognition by Whisper tiny.en, and embeddings by all-MiniLM-L6-v2. The models are fetched by
/// `cargo xtask models`.
#[derive(Debug, Parser)]
#[command(name = "accuracy", version)]
pub struct Options {
    /// Tasks, separated by commas [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    pub task: Vec<TaskName>,
    /// Numbers of clusters of each head, at 32 top keys
    #[arg(long, value_name = "C", value_delimiter = ',', default_value = "5,10,25,50,100", value_parser = at_least_one)]
    pub clusters: Vec<usize>,
    /// Numbers of top keys, at 25 clusters
    #[arg(long, value_name = "K", value_delimiter = ',', default_value = "8,16,64,128", value_parser = at_least_one)]
    pub top_k: Vec<usize>,
    /// Seeds of every clustering, from 0 on
    #[arg(long, value_name = "N", default_value = "3", value_parser = at_least_one)]
    pub seeds: usize,
    /// Tokens of each passage of the text task, 512 at most
    #[arg(long, value_name = "TOKENS", default_value = "512", value_parser = at_least_one)]
    pub length: usize,
    /// Passages of the text task: the corpus in which each looks for the others that are nearest
    #[arg(long, value_name = "N", default_value = "48", value_parser = at_least_one)]
    pub passages: usize,
    #[command(flatten)]
    pub device: DeviceOptions,
    /// Folder for accuracy.html and accuracy.json [default: accuracy, in the folder that CARGO_TARGET_DIR names, or target]
    #[arg(long, value_name = "FOLDER")]
    results: Option<PathBuf>,
}

impl Options {
    /// Where the results go.
    pub fn results(&self) -> PathBuf {
        let target = || std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
        self.results.clone().unwrap_or_else(|| target().join("accuracy"))
    }

    /// The tasks asked for, each once.
    pub fn tasks(&self) -> impl Iterator<Item = TaskName> + '_ {
        [TaskName::Speech, TaskName::Text].into_iter().filter(|task| self.task.is_empty() || self.task.contains(task))
    }
}

/// A task by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TaskName {
    Speech,
    Text,
}
