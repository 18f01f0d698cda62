//! On Burn's wgpu backend: the tensors' own buffers, between Burn's own commands.
//!
//! Burn records its kernels lazily, a stream for each thread, and submits them in batches. What a tensor's buffer will hold is certain once
//! its stream is flushed; from then on the queue keeps the order. So: have Burn make sure of the tensors and of memory for the output,
//! flush every stream that is concerned, submit, and give the output to Burn, whose later commands come later on the queue.

use super::shared_device::find;
pub(super) use super::shared_device::selector as wgpu_device;
use super::{AttentionOptions, Lengths};
use crate::{DeviceTensors, Element, Error, Layout, Problem, Result};
use ::burn::backend::{AutoCompiler, Backend, Cube, DType, TensorMetadata, WgpuDevice};
use ::burn::tensor::Tensor;
use burn_cubecl::cubecl::server::Handle;
use burn_cubecl::cubecl::wgpu::WgpuServer;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::CubeBackend;
use burn_fusion::stream::StreamId;
use burn_fusion::{Fusion, FusionBackend, NoOp};
use burn_ir::{InitOperationIr, OperationIr};

pub(super) fn attention(
    selector: &WgpuDevice,
    problem: Problem,
    lengths: Lengths,
    options: &AttentionOptions,
    tensors: [Tensor<4>; 3],
) -> Result<Tensor<4>> {
    let shared = find(selector).ok_or_else(|| Error::UnknownBurnDevice { device: format!("{selector:?}") })?;
    // Before Burn is asked for memory on it.
    shared.check_alive()?;
    let mut inputs = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let primitive = tensor.try_into_primitive::<Cube>().map_err(|error| failed(format!("{error:?}")))?;
        inputs.push(Cube::into_cube(primitive));
    }
    let layout = common_layout(&inputs);
    if layout.is_none() {
        inputs = inputs.into_iter().map(into_contiguous).collect();
    }
    let problem = problem.with_layout(layout.unwrap_or_default());
    let output = empty_output(&problem, &inputs[0]);
    submit(&shared, &problem, lengths, options, &inputs, &output)?;
    Ok(Tensor::from_primitive::<Cube>(Cube::from_cube(output)))
}

fn submit(
    shared: &super::shared_device::SharedDevice,
    problem: &Problem,
    lengths: Lengths,
    options: &AttentionOptions,
    inputs: &[CubeTensor],
    output: &CubeTensor,
) -> Result<()> {
    let client = &output.client;
    // A resource keeps its memory where it is until the work is on the queue.
    let resource = |handle: &Handle| {
        let resource = client.get_resource::<WgpuServer<AutoCompiler>>(handle.clone());
        resource.map_err(|error| failed(error.to_string()))
    };
    let [queries, keys, values] = inputs else { return Err(failed("attention has three inputs".into())) };
    let handles = [queries, keys, values, output].map(|tensor| &tensor.handle);
    let resources = [resource(handles[0])?, resource(handles[1])?, resource(handles[2])?, resource(handles[3])?];
    // Naming a resource makes Burn record what its stream still had to; flushing makes sure that it is submitted.
    let mut flushed: Vec<StreamId> = Vec::new();
    for stream in handles.iter().map(|handle| handle.stream).chain([StreamId::current()]) {
        if !flushed.contains(&stream) {
            stream.executes(|| client.flush()).map_err(|error| failed(error.to_string()))?;
            flushed.push(stream);
        }
    }
    let slices = resources.each_ref().map(|resource| {
        let resource = resource.resource();
        resource.buffer.slice(resource.offset..resource.offset + resource.size)
    });
    let [queries, keys, values, output] = slices;
    shared.submit(problem, lengths, options, &DeviceTensors { queries, keys, values, output })
}

fn failed(message: String) -> Error {
    Error::Device { message }
}

/// How all tensors lie in memory, if they lie alike and without gaps.
fn common_layout(tensors: &[CubeTensor]) -> Option<Layout> {
    [Layout::HeadsFirst, Layout::LengthFirst]
        .into_iter()
        .find(|&layout| tensors.iter().all(|tensor| lies_in(tensor, layout)))
}

fn lies_in(tensor: &CubeTensor, layout: Layout) -> bool {
    let dimensions = tensor.meta.shape().iter().zip(tensor.meta.strides().iter());
    let dimensions: Vec<(usize, usize)> = dimensions.map(|(&size, &stride)| (size, stride)).collect();
    let [batch, head, row, column] = dimensions[..] else { return false };
    let inner_to_outer = match layout {
        Layout::HeadsFirst => [column, row, head, batch],
        Layout::LengthFirst => [column, head, row, batch],
    };
    let mut expected = 1;
    // The stride of a dimension of one element says nothing.
    let without_gaps = inner_to_outer.into_iter().all(|(size, stride)| {
        let fits = size == 1 || stride == expected;
        expected *= size;
        fits
    });
    !tensor.meta.is_tiled() && without_gaps
}

/// Memory of Burn's for the output, in the problem's layout.
fn empty_output(problem: &Problem, like: &CubeTensor) -> CubeTensor {
    let shape = problem.shape();
    let (client, device) = (like.client.clone(), like.device.clone());
    let handle = client.empty(problem.element().bytes() * shape.output_elements());
    let data_type = match problem.element() {
        Element::F32 => DType::F32,
        Element::F16 => DType::F16,
    };
    let [batch, heads, length, width] = [shape.batch, shape.query_heads, shape.queries, shape.value_width];
    let contiguous = |dimensions: [usize; 4]| {
        CubeTensor::new_contiguous(client.clone(), device.clone(), dimensions.into(), handle.clone(), data_type)
    };
    match problem.layout() {
        Layout::HeadsFirst => contiguous([batch, heads, length, width]),
        Layout::LengthFirst => {
            let mut output = contiguous([batch, length, heads, width]);
            output.meta.swap(1, 2);
            output
        }
    }
}

/// Burn's cube backend with and without fusion, whichever the program was built with.
trait CubeBacked: Backend {
    /// The tensor in memory; with fusion, once all that computes it is handed over.
    fn into_cube(tensor: Self::FloatTensorPrimitive) -> CubeTensor;
    /// The inverse.
    fn from_cube(tensor: CubeTensor) -> Self::FloatTensorPrimitive;
}

impl CubeBacked for CubeBackend {
    fn into_cube(tensor: CubeTensor) -> CubeTensor {
        tensor
    }

    fn from_cube(tensor: CubeTensor) -> CubeTensor {
        tensor
    }
}

impl<B: FusionBackend + CubeBacked> CubeBacked for Fusion<B> {
    fn into_cube(tensor: Self::FloatTensorPrimitive) -> CubeTensor {
        let client = tensor.client.clone();
        B::into_cube(client.resolve_tensor_float::<B>(tensor))
    }

    fn from_cube(tensor: CubeTensor) -> Self::FloatTensorPrimitive {
        let (shape, dtype) = (tensor.meta.shape().clone(), tensor.dtype);
        let primitive = B::from_cube(tensor);
        let client = burn_fusion::get_client::<B>(&TensorMetadata::device(&primitive));
        let handle = B::float_tensor_handle(primitive);
        let description = InitOperationIr::create(shape, dtype, || client.register_tensor_handle(handle));
        let mut outputs = client.register(StreamId::current(), OperationIr::Init(description), NoOp::<B>::new());
        outputs.remove(0)
    }
}
