//! Speech recognition with Whisper tiny.en: WAV files in, text out, the encoder's attention by any method.

mod cli;

use anyhow::Result;
use cli::options::Options;
use clustered_attention_models::{command_line, terminal};
use std::process::ExitCode;

fn main() -> ExitCode {
    let options: Options = match command_line::read(Ok) {
        Ok(options) => options,
        Err(code) => return code,
    };
    match options.check_files().and_then(|()| run(&options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => terminal::end(error.as_ref(), format_args!("{error:#}")),
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
