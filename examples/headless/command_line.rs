//! Reads a command line by clap. Shared by the programs that have clap.

use crate::terminal::{complain, PrintError};
use clap::Parser;
use std::process::ExitCode;

/// The options of a program; where it is to end at once, for a message or for `--help`, the code to end with.
///
/// # Errors
/// The command line asks for what there is not, or for help.
pub fn read<T: Parser>(check: impl FnOnce(T) -> Result<T, clap::Error>) -> Result<T, ExitCode> {
    T::try_parse().and_then(check).map_err(|error| ending(&error))
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
