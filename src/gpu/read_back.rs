//! Reading a buffer on the host.

use crate::{Error, Result};
use futures_intrusive::channel::shared::oneshot_channel;

/// A buffer that results are copied to and mapped from.
pub(super) fn staging_buffer(device: &wgpu::Device, size: u64) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("clustered-attention staging"),
        size,
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

/// Waits for a staging buffer and copies its beginning to `out`. Natively the wait blocks the thread, in the browser it yields.
pub(super) async fn read_back(device: &wgpu::Device, staging: &wgpu::Buffer, out: &mut [u8]) -> Result<()> {
    let failed = |message: String| Error::Device { message };
    let (sender, receiver) = oneshot_channel();
    let slice = staging.slice(..);
    slice.map_async(wgpu::MapMode::Read, move |result| {
        // The receiver is only gone if the caller dropped the future.
        let _ = sender.send(result);
    });
    device.poll(wgpu::PollType::wait_indefinitely()).map_err(|error| failed(error.to_string()))?;
    match receiver.receive().await {
        Some(result) => result.map_err(|error| failed(error.to_string()))?,
        None => return Err(failed("the device was lost before a result could be read".into())),
    }
    {
        let view = slice.get_mapped_range().map_err(|error| failed(error.to_string()))?;
        out.copy_from_slice(&view[..out.len()]);
    }
    staging.unmap();
    Ok(())
}
