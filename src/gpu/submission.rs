//! Submitting work to a queue.

use super::recorder::{Recording, Step};
use crate::background::Cancellation;
use crate::Result;

/// Operations of a submission, at most, unless a dispatch has more. A submission of many dispatches would hold the queue, and
/// with it the screen, for long.
const OPERATIONS_PER_SUBMISSION: u64 = 1 << 33;

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
