//! A file that keeps what the driver compiled from one run to the next.

use anyhow::{Context, Result};
use clustered_attention::Attention;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What an earlier run left; nothing if there is no such file yet.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        result => result.with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Leaves what was compiled for a later run, and says so or why not.
pub fn write(path: &Path, attention: &Attention) -> Result<String> {
    let compilations = attention.compilations();
    let seconds: f64 = compilations.iter().map(|compilation| compilation.seconds).sum();
    let Some(data) = attention.pipeline_cache_data() else {
        let reason = match attention.adapter() {
            None => "the CPU compiles nothing".to_owned(),
            Some(adapter) => format!("there are none on {adapter}"),
        };
        return Ok(format!("Pipeline cache: not written, since {reason}"));
    };
    // Another program that reads at the same time sees the old file or the new one, and a disk that is full leaves the old one.
    let temporary = beside(path);
    let written = std::fs::write(&temporary, &data).and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        // It may not even exist; the error that counts is the first.
        let _ = std::fs::remove_file(&temporary);
    }
    written.with_context(|| format!("cannot write {}", path.display()))?;
    Ok(format!(
        "Pipeline cache: {} bytes written to {}; {} pipelines were created in {:.3} s",
        data.len(),
        path.display(),
        compilations.len(),
        seconds
    ))
}

/// A file of this process in the same folder.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}
