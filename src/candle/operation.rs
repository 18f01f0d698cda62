//! The operation that candle calls with its memory.

use super::view::{cheapest_order, elements, gather, lies_in, View};
use super::{AttentionOptions, Lengths};
use crate::framework::{compute_on_host, shape_of};
use crate::Layout as Order;
use candle_core::{CpuStorage, CudaStorage, CustomOp3, Error, Layout, MetalStorage, Result, Shape, Tensor};

/// Attention as an operation of candle's: `queries.apply_op3(&keys, &values, operation)` gives `[batch, heads, length, value width]`,
/// contiguous, as operations of candle's do.
///
/// [`attention`](super::attention) is that too, but leaves the output in the order of the inputs.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use clustered_attention::{candle::{AttentionOptions, ClusteredAttention}, Method};
///
/// # fn main() -> candle_core::Result<()> {
/// let operation = ClusteredAttention::new(AttentionOptions::new(Method::Exact));
/// let tensor = Tensor::randn(0f32, 1., (1, 2, 50, 16), &Device::Cpu)?;
/// assert_eq!(tensor.apply_op3(&tensor, &tensor, operation)?.dims(), [1, 2, 50, 16]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ClusteredAttention {
    options: AttentionOptions,
    query_lengths: Option<Vec<u32>>,
    key_lengths: Option<Vec<u32>>,
    /// Order of the output's axes; its shape is `[batch, length, heads, value width]` where the length comes first.
    order: Order,
}

impl ClusteredAttention {
    /// Attention with these options, of sequences of full length.
    pub fn new(options: AttentionOptions) -> Self {
        Self { options, query_lengths: None, key_lengths: None, order: Order::HeadsFirst }
    }

    /// The same operation for sequences of these lengths.
    pub fn with_lengths(mut self, lengths: Lengths) -> Self {
        self.query_lengths = lengths.queries.map(<[u32]>::to_vec);
        self.key_lengths = lengths.keys.map(<[u32]>::to_vec);
        self
    }

    /// Applies the operation, with an output that lies as most of the input does.
    pub(super) fn apply(mut self, queries: &Tensor, keys: &Tensor, values: &Tensor) -> Result<Tensor> {
        let layouts = [queries, keys, values].map(Tensor::layout);
        self.order = cheapest_order(|order| {
            let deviating = layouts.iter().filter(|layout| !lies_in(layout, order));
            deviating.map(|layout| elements(layout)).fold(0, usize::saturating_add)
        });
        let order = self.order;
        let output = queries.apply_op3(keys, values, self)?;
        match order {
            Order::HeadsFirst => Ok(output),
            Order::LengthFirst => output.transpose(1, 2),
        }
    }

    fn compute(&self, views: &[View; 3]) -> Result<(Vec<f32>, Shape)> {
        let [queries, keys, values] = views;
        let shape = shape_of([queries.dimensions()?, keys.dimensions()?, values.dimensions()?]).map_err(Error::wrap)?;
        let lengths = Lengths { queries: self.query_lengths.as_deref(), keys: self.key_lengths.as_deref() };
        let problem = self.options.problem(shape, lengths).map_err(Error::wrap)?;
        let order = cheapest_order(|order| {
            let inputs: usize = views.iter().filter(|view| !view.lies_in(order)).map(View::elements).sum();
            inputs + if order == self.order { 0 } else { shape.output_elements() }
        });
        let problem = problem.with_layout(order);
        let read = [queries.read(order)?, keys.read(order)?, values.read(order)?];
        let inputs = read.each_ref().map(|data| data.as_ref());
        let output =
            compute_on_host(&problem, inputs, lengths, self.options.scratch_budget_bytes).map_err(Error::wrap)?;
        let dimensions = |order| match order {
            Order::HeadsFirst => (shape.batch, shape.query_heads, shape.queries, shape.value_width),
            Order::LengthFirst => (shape.batch, shape.queries, shape.query_heads, shape.value_width),
        };
        let output = if order == self.order {
            output
        } else {
            let lies = Layout::contiguous(dimensions(order)).transpose(1, 2)?;
            gather(&CpuStorage::F32(output), &lies)?
        };
        Ok((output, dimensions(self.order).into()))
    }
}

impl CustomOp3 for ClusteredAttention {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        queries: &CpuStorage,
        queries_layout: &Layout,
        keys: &CpuStorage,
        keys_layout: &Layout,
        values: &CpuStorage,
        values_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let views = [
            View::new("queries of clustered-attention", queries, queries_layout)?,
            View::new("keys of clustered-attention", keys, keys_layout)?,
            View::new("values of clustered-attention", values, values_layout)?,
        ];
        let (output, shape) = self.compute(&views)?;
        Ok((CpuStorage::F32(output), shape))
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Err(Error::Cuda(ON_THE_CPU.into()).bt())
    }

    fn metal_fwd(
        &self,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        Err(Error::Metal(ON_THE_CPU.to_string().into()).bt())
    }
}

const NAME: &str = "clustered-attention";

const ON_THE_CPU: &str =
    "clustered-attention computes candle's tensors on the CPU alone; move them there by `to_device(&Device::Cpu)`";
