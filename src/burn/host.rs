//! On any backend: the tensors are read, the CPU back end computes, the output is written back.

use super::{AttentionOptions, Lengths};
use crate::framework::compute_on_host;
use crate::problem::Stored;
use crate::{Element, Error, Problem, Result};
use ::burn::tensor::{DType, Device, Element as BurnElement, Tensor, TensorData};
use half::f16;

pub(super) fn attention(
    device: &Device,
    problem: &Problem,
    lengths: Lengths,
    options: &AttentionOptions,
    tensors: [Tensor<4>; 3],
) -> Result<Tensor<4>> {
    match problem.element() {
        Element::F32 => of::<f32>(device, problem, lengths, options, tensors),
        Element::F16 => of::<f16>(device, problem, lengths, options, tensors),
    }
}

fn of<E: Stored + BurnElement>(
    device: &Device,
    problem: &Problem,
    lengths: Lengths,
    options: &AttentionOptions,
    tensors: [Tensor<4>; 3],
) -> Result<Tensor<4>> {
    let failed = |message: String| Error::Device { message };
    let mut data = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        data.push(tensor.try_into_data().map_err(|error| failed(error.to_string()))?);
    }
    let slice = |index: usize| data[index].as_slice::<E>().map_err(|error| failed(error.to_string()));
    let inputs = [slice(0)?, slice(1)?, slice(2)?];
    let output = compute_on_host(problem, inputs, lengths, options.scratch_budget_bytes)?;
    let shape = problem.shape();
    let dimensions = [shape.batch, shape.query_heads, shape.queries, shape.value_width];
    let data_type: DType = E::dtype();
    Ok(Tensor::from_data(TensorData::new(output, dimensions), (device, data_type)))
}
