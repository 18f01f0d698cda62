//! Reads a command line by clap. Shared by the programs that have clap.

use crate::terminal::{self, complain, PrintError};
use clap::Parser;
use std::process::ExitCode;

/// A program from its command line, by what a check makes of it, to the code that it ends with.
pub fn run<T: Parser>(
    check: impl FnOnce(T) -> Result<T, clap::Error>,
    work: impl FnOnce(&T) -> anyhow::Result<ExitCode>,
) -> ExitCode {
    match T::try_parse().and_then(check) {
        Ok(options) => work(&options).unwrap_or_else(|error| terminal::end(error.as_ref(), format_args!("{error:#}"))),
        Err(error) => ending(&error),
    }
}

/// Prints what clap has to say, and tells how to end. `clap::Error::exit` would take help for printed that was not.
fn ending(error: &clap::Error) -> ExitCode {
    match error.print().map_err(PrintError::from) {
        Err(PrintError::Failed(cause)) if !error.use_stderr() => {
            complain(format_args!("error: cannot write to standard output: {cause}"));
            ExitCode::FAILURE
        }
        _ => u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from),
    }
}
