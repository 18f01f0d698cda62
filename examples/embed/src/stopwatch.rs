//! Time of attention within a model.

use crate::{EmbedError, Result};
use burn::tensor::Device;
use std::time::{Duration, Instant};

/// Adds up what attention takes, all layers together. The device is made to finish what it has before and after each call, so the whole
/// takes somewhat longer than without a stopwatch.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stopwatch {
    /// The sum.
    pub attention: Duration,
}

impl Stopwatch {
    pub(crate) fn time<T>(&mut self, device: &Device, work: impl FnOnce() -> T) -> Result<T> {
        let wait = || device.sync().map_err(|error| EmbedError::Device(error.to_string()));
        wait()?;
        let begin = Instant::now();
        let result = work();
        wait()?;
        self.attention += begin.elapsed();
        Ok(result)
    }
}
