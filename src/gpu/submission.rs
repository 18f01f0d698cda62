//! Submitting work to a queue, and hearing what the driver says of it.

use super::recorder::{Recording, Step};
use crate::background::Cancellation;
use crate::{Error, Result};
use std::future::Future;

/// Operations of a submission. A dispatch stays below `OPERATIONS_PER_DISPATCH`; a submission of many would still hold the queue, and
/// with it the screen, for long.
const OPERATIONS_PER_SUBMISSION: u64 = 1 << 33;

/// Runs work on the device; the future tells what the driver complains about. Scopes belong to a thread, so none is open once this returns.
pub(crate) fn heard<T>(
    device: &wgpu::Device,
    work: impl FnOnce() -> T,
) -> (T, impl Future<Output = Option<wgpu::Error>>) {
    let memory_scope = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let validation_scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let result = work();
    let errors = [validation_scope.pop(), memory_scope.pop()];
    let first = async move {
        for error in errors {
            if let Some(error) = error.await {
                return Some(error);
            }
        }
        None
    };
    (result, first)
}

/// Runs work on the device; what the driver complains about is an error of the future.
pub(crate) fn guarded<T>(device: &wgpu::Device, work: impl FnOnce() -> Result<T>) -> impl Future<Output = Result<T>> {
    let (result, complaint) = heard(device, work);
    async move {
        match complaint.await {
            Some(error) => Err(Error::Device { message: error.to_string() }),
            None => result,
        }
    }
}

/// Submits a recording, in several command buffers where it takes long. What was not submitted when a cancellation came never is.
pub(crate) fn submit(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    recording: &Recording,
    cancellation: &Cancellation,
) -> Result<()> {
    let steps: Vec<&Step> = recording.chunks.iter().flat_map(|chunk| &chunk.steps).collect();
    let mut begin = 0;
    while begin < steps.len() {
        cancellation.check()?;
        let mut operations = 0;
        let mut end = begin;
        while end < steps.len() && (end == begin || operations + steps[end].operations <= OPERATIONS_PER_SUBMISSION) {
            operations += steps[end].operations;
            end += 1;
        }
        let mut encoder = device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            steps[begin..end].iter().for_each(|step| step.record(&mut pass));
        }
        queue.submit([encoder.finish()]);
        begin = end;
    }
    Ok(())
}
