//! Tensors that are not stored in float32: widened before the computation, and the output rounded behind it.

use super::memory::{Widened, Workspace};
use super::run;
use crate::background::Cancellation;
use crate::parallel::{blocks, each, within};
use crate::plan::Plan;
use crate::problem::{Call, Stored};
use crate::trace::Trace;
use crate::{Error, Inputs, Result};

/// Elements of one task.
const BLOCK: usize = 1 << 16;

/// [`run`] on tensors of whatever element.
pub(crate) fn run_stored<E: Stored>(
    plan: &Plan,
    call: &Call<E>,
    output: &mut [E],
    trace: Option<&mut Trace>,
    workspace: &Workspace,
    cancellation: &Cancellation,
) -> Result<()> {
    let Inputs { queries, keys, values, query_lengths, key_lengths } = *call.inputs;
    let Call { supplied, positions, .. } = *call;
    if let (Some(queries), Some(keys), Some(values)) = (E::floats(queries), E::floats(keys), E::floats(values)) {
        if let Some(output) = E::floats_mut(output) {
            let inputs = Inputs { queries, keys, values, query_lengths, key_lengths };
            let call = Call { inputs: &inputs, supplied, positions };
            return run(plan, &call, output, trace, workspace, cancellation);
        }
    }
    let mut widened = workspace.take_widened();
    let Widened([wide_queries, wide_keys, wide_values, wide_output]) = &mut widened;
    // With strides, slices may go on behind their tensors.
    widen("queries", &queries[..plan.problem.query_elements()], wide_queries)?;
    widen("keys", &keys[..plan.problem.key_elements()], wide_keys)?;
    widen("values", &values[..plan.problem.value_elements()], wide_values)?;
    fit("output", output.len(), wide_output)?;
    let inputs = Inputs { queries: wide_queries, keys: wide_keys, values: wide_values, query_lengths, key_lengths };
    let call = Call { inputs: &inputs, supplied, positions };
    run(plan, &call, wide_output, trace, workspace, cancellation)?;
    let elements = output.len();
    within(|| {
        each(blocks(output, elements, BLOCK), |block| {
            E::narrow(&wide_output[block.index * BLOCK..][..block.data.len()], block.data);
        });
    });
    workspace.put_back_widened(widened);
    Ok(())
}

fn widen<E: Stored>(tensor: &'static str, numbers: &[E], wide: &mut Vec<f32>) -> Result<()> {
    fit(tensor, numbers.len(), wide)?;
    within(|| {
        each(blocks(wide, numbers.len(), BLOCK), |block| {
            E::widen(&numbers[block.index * BLOCK..][..block.data.len()], block.data);
        });
    });
    Ok(())
}

/// Gives memory a size. Keeps up to twice as much for calls of similar sizes, as scratch memory does.
fn fit(what: &'static str, elements: usize, wide: &mut Vec<f32>) -> Result<()> {
    let bytes = 4 * elements as u64;
    wide.truncate(elements);
    wide.try_reserve_exact(elements - wide.len()).map_err(|_| Error::OutOfMemory { what, bytes })?;
    wide.resize(elements, 0.0);
    if wide.capacity() / 2 > elements {
        wide.shrink_to(elements);
    }
    Ok(())
}
