//! Time of a part of a model.

use burn::tensor::{Device, ExecutionError};
use std::time::{Duration, Instant};

/// Does some work, and tells its time. The device is made to finish what it has before and after, so the whole takes somewhat longer than
/// without.
///
/// # Errors
/// The device failed.
pub fn timed<T>(device: &Device, work: impl FnOnce() -> T) -> Result<(T, Duration), ExecutionError> {
    device.sync()?;
    let begin = Instant::now();
    let result = work();
    device.sync()?;
    Ok((result, begin.elapsed()))
}
