//! Speech recognition with Whisper tiny.en: WAV files in, text out, the encoder's attention by any method.

mod cli;

use anyhow::Result;
use clap::Parser;
use cli::options::Options;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does what is asked; `false` if a file could not be transcribed.
fn run(options: &Options) -> Result<bool> {
    if options.compare {
        cli::compare::run(options)?;
        return Ok(true);
    }
    cli::transcribe::run(options)
}
