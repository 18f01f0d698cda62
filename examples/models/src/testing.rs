//! What tests with pretrained models share.

use crate::Asset;
use std::io::Write;
use std::process::{Command, Stdio};

/// Whether a test finds the assets that it needs. If it does not, it has to leave off, and this says so past the test harness, which hides
/// what a test prints that passes.
pub fn fetched(assets: &[Asset]) -> bool {
    let missing: Vec<&str> = assets.iter().filter(|asset| !asset.is_present()).map(|asset| asset.name).collect();
    if !missing.is_empty() {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let missing = missing.join(", ");
        // Where even this cannot be written, the summary of `cargo xtask test` still counts what was skipped.
        let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {missing} not fetched; `cargo xtask models` fetches it");
    }
    missing.is_empty()
}

/// Runs a program when nobody reads what it prints.
///
/// # Panics
/// It ends with an error, or says anything about it.
pub fn ends_quietly_unread(command: &mut Command) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let child = command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).spawn().expect("the program starts");
    let output = child.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{command:?}: {}: {errors}", output.status);
}
