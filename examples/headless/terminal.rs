//! What programs print. A reader that went away (`| head -1`) ends a program quietly, and what cannot be printed is an error: `println!`
//! panics at both. Shared by all programs of the workspace.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether the work goes on when nobody reads what is printed.
static OUTLIVES_READERS: AtomicBool = AtomicBool::new(false);

/// Why something was not printed.
#[derive(Debug)]
pub enum PrintError {
    /// Nobody reads any more.
    Closed,
    Failed(io::Error),
}

impl fmt::Display for PrintError {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Self::Closed => "nobody reads what is printed",
            Self::Failed(_) => "cannot write to standard output",
        })
    }
}

impl Error for PrintError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Closed => None,
            Self::Failed(error) => Some(error),
        }
    }
}

impl From<io::Error> for PrintError {
    fn from(error: io::Error) -> Self {
        if error.kind() == ErrorKind::BrokenPipe {
            Self::Closed
        } else {
            Self::Failed(error)
        }
    }
}

/// Has the work go on when nobody reads what is printed, since results go to a file as well.
#[allow(dead_code)] // not every program writes files
pub fn outlive_readers() {
    OUTLIVES_READERS.store(true, Relaxed);
}

/// Prints to standard output at once; `say!` is how to call it.
///
/// # Errors
/// Nobody reads any more, unless [`outlive_readers`] was called, or the text cannot be written.
pub fn print(text: fmt::Arguments) -> Result<(), PrintError> {
    let mut output = io::stdout().lock();
    match output.write_fmt(text).and_then(|()| output.flush()).map_err(PrintError::from) {
        Err(PrintError::Closed) if OUTLIVES_READERS.load(Relaxed) => Ok(()),
        result => result,
    }
}

/// Prints to standard error; where that cannot be, there is nobody to tell.
pub fn complain(text: fmt::Arguments) {
    let _ = io::stderr().lock().write_fmt(format_args!("{text}\n"));
}

/// How a program ends after an error: quietly if nobody reads any more, otherwise with the message.
pub fn end(error: &(dyn Error + 'static), message: fmt::Arguments) -> ExitCode {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if matches!(error.downcast_ref(), Some(PrintError::Closed)) {
            return ExitCode::SUCCESS;
        }
        cause = error.source();
    }
    complain(format_args!("error: {message}"));
    ExitCode::FAILURE
}

/// Prints a line to standard output, as `println!` does, but gives a `PrintError` back.
#[macro_export]
macro_rules! say {
    () => { $crate::terminal::print(format_args!("\n")) };
    ($($argument:tt)*) => { $crate::terminal::print(format_args!("{}\n", format_args!($($argument)*))) };
}
