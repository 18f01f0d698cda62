//! On any backend: the tensors are read, the CPU back end computes, the output is written back.

use super::AttentionOptions;
use crate::background::Cancellation;
use crate::cpu::{self, Workspace};
use crate::problem::Call;
use crate::{Error, Inputs, Limits, Plan, Problem, Result, Supplied};
use ::burn::tensor::{Device, Tensor, TensorData};
use std::sync::OnceLock;

pub(super) fn attention(
    device: &Device,
    problem: &Problem,
    options: &AttentionOptions,
    tensors: [Tensor<4>; 3],
) -> Result<Tensor<4>> {
    let plan = Plan::new(problem, &Limits::host(), options.scratch_budget_bytes)?;
    let failed = |message: String| Error::Device { message };
    let mut data = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        data.push(tensor.try_into_data().map_err(|error| failed(error.to_string()))?);
    }
    let slice = |index: usize| data[index].as_slice::<f32>().map_err(|error| failed(error.to_string()));
    let inputs = Inputs {
        query_lengths: options.query_lengths.as_deref(),
        key_lengths: options.key_lengths.as_deref(),
        ..Inputs::new(slice(0)?, slice(1)?, slice(2)?)
    };
    let sums = inputs.validate(problem)?;
    let shape = problem.shape();
    let mut output = vec![0.0; shape.output_elements()];
    let call = Call { inputs: &inputs, supplied: &Supplied::default(), positions: None };
    cpu::run(&plan, &call, &mut output, None, workspace(), &Cancellation::default())?;
    inputs.check_sums(problem, sums, &output)?;
    let dimensions = [shape.batch, shape.query_heads, shape.queries, shape.value_width];
    Ok(Tensor::from_data(TensorData::new(output, dimensions), device))
}

/// Scratch memory that is kept from call to call.
fn workspace() -> &'static Workspace {
    static WORKSPACE: OnceLock<Workspace> = OnceLock::new();
    WORKSPACE.get_or_init(Workspace::default)
}
