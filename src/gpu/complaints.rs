//! What the driver says of work on a device.

use crate::{Error, Result};
use std::future::Future;

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
