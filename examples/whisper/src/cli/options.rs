//! What can be asked on the command line.

use anyhow::{Context, Result};
use clap::Parser;
use clustered_attention::Method;
use clustered_attention_models::device::{self, DeviceOptions};
use clustered_attention_models::method_options::{MethodName, MethodOptions};
use clustered_attention_models::{files, say, terminal};
use clustered_attention_whisper::{ModelFiles, Recognizer};
use std::path::PathBuf;

/// Speech recognition with Whisper tiny.en, the attention of its encoder by any method.
///
/// Without files, it transcribes the packaged recordings. Model and recordings are fetched by `cargo xtask models`.
#[derive(Debug, Parser)]
#[command(name = "whisper", version)]
pub struct Options {
    /// WAV files of any rate and number of channels
    pub files: Vec<PathBuf>,
    /// What was said in a file, as text; once for each file, in their order
    #[arg(long, value_name = "FILE", requires = "files")]
    pub transcript: Vec<PathBuf>,
    /// Folder of a Whisper tiny.en of your own: `tokenizer.json` and `model.safetensors` as in the hub, or CTranslate2's `model.bin`
    #[arg(long, value_name = "FOLDER")]
    pub model: Option<PathBuf>,
    /// Compare methods on the packaged recordings: wrong words, error of the encoder's output, times
    #[arg(long, conflicts_with_all = ["files", "transcript"])]
    pub compare: bool,
    /// Seeds that each method with clusters is compared with, from `--seed` on
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: u64,
    /// Seed of the clustering
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Write results as JSON too
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    #[command(flatten)]
    pub methods: MethodOptions,
    #[command(flatten)]
    pub device: DeviceOptions,
}

impl Options {
    /// The methods asked for; to transcribe, stitched attention if none is named, to compare, all but `auto`.
    pub fn methods(&self) -> Vec<Method> {
        let mut methods = self.methods.clone();
        if methods.method.is_empty() && !self.compare {
            methods.method = vec![MethodName::Stitched];
        }
        methods.methods(true, self.seed)
    }

    /// Checks that results can be written where they are to go, and that the work goes on for them when nobody reads what is printed.
    pub fn check_files(&self) -> Result<()> {
        let Some(json) = &self.json else { return Ok(()) };
        let recordings = self.files.iter().map(|path| ("FILES", path.as_path()));
        let transcripts = self.transcript.iter().map(|path| ("--transcript", path.as_path()));
        let model = self.model.iter().map(|path| ("--model", path.as_path()));
        let inputs: Vec<files::Named> = recordings.chain(transcripts).chain(model).collect();
        terminal::outlive_readers();
        files::check_outputs(&[("--json", json)], &inputs)
    }

    /// Opens the device, loads the model and says both.
    pub fn load(&self) -> Result<Recognizer> {
        let device = self.device.open()?;
        let model = match &self.model {
            Some(folder) => ModelFiles::in_folder(folder)?,
            None => ModelFiles::packaged()?,
        };
        let recognizer = Recognizer::load(&model, Method::Exact, &device)?;
        say!("Model:   {}", model.weights.display())?;
        say!("Runs on: {}", device::describe(&device))?;
        Ok(recognizer)
    }

    /// Writes results where they are asked for.
    pub fn write_json(&self, results: &serde_json::Value) -> Result<()> {
        match &self.json {
            Some(path) => clustered_attention_models::table::write_json(path, results).context("results are lost"),
            None => Ok(()),
        }
    }
}
