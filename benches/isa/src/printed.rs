//! What a driver prints to standard output while something is done: the only way that some tell their assembly.

use anyhow::Result;
#[cfg(unix)]
use anyhow::{ensure, Context};

/// Does something, and returns its result with what was printed meanwhile.
#[cfg(unix)]
pub fn while_doing<T>(work: impl FnOnce() -> T) -> Result<(T, String)> {
    use std::os::fd::AsRawFd;
    const STANDARD_OUTPUT: i32 = 1;
    let path = std::env::temp_dir().join(format!("isa-printed-{}", std::process::id()));
    let file = std::fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    // SAFETY: descriptors are numbers here, and each call checks its own; what C has buffered is written before standard output changes,
    // which no other thread uses meanwhile, there being none.
    let (result, restored) = unsafe {
        libc::fflush(std::ptr::null_mut());
        let before = libc::dup(STANDARD_OUTPUT);
        ensure!(
            before >= 0 && libc::dup2(file.as_raw_fd(), STANDARD_OUTPUT) >= 0,
            "standard output cannot be redirected"
        );
        let result = work();
        libc::fflush(std::ptr::null_mut());
        let restored = libc::dup2(before, STANDARD_OUTPUT) >= 0;
        libc::close(before);
        (result, restored)
    };
    ensure!(restored, "standard output is lost");
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    // It lies in the system's temporary folder.
    let _ = std::fs::remove_file(&path);
    Ok((result, String::from_utf8_lossy(&bytes).into_owned()))
}

/// Does something. What is printed is not caught here.
#[cfg(not(unix))]
pub fn while_doing<T>(work: impl FnOnce() -> T) -> Result<(T, String)> {
    Ok((work(), String::new()))
}
