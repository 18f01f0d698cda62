//! Speech recognition with Whisper tiny.en: WAV files in, text out, the encoder's attention by any method.

mod cli;

use anyhow::Result;
use cli::options::Options;
use clustered_attention_models::command_line;
use std::process::ExitCode;

fn main() -> ExitCode {
    command_line::run(Ok, |options: &Options| {
        options.check_files()?;
        Ok(if run(options)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// Does what is asked; `false` if a file could not be transcribed.
fn run(options: &Options) -> Result<bool> {
    if options.compare {
        cli::compare::run(options)?;
        return Ok(true);
    }
    cli::transcribe::run(options)
}
