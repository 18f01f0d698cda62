//! Time of attention within a model.

use crate::{EmbedError, Result};
use burn::tensor::Device;
use clustered_attention_models::stopwatch::timed;
use std::time::Duration;

/// Adds up what attention takes, all layers together. See [`timed`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Stopwatch {
    /// The sum.
    pub attention: Duration,
}

impl Stopwatch {
    pub(crate) fn time<T>(&mut self, device: &Device, work: impl FnOnce() -> T) -> Result<T> {
        let (result, duration) = timed(device, work).map_err(|error| EmbedError::Device(error.to_string()))?;
        self.attention += duration;
        Ok(result)
    }
}
