//! Attention on [Burn](https://burn.dev)'s tensors (features `burn` and `burn-host`).
//!
//! [`attention`] takes queries, keys and values as `Tensor<4>`, `[batch, heads, length, width]`, and returns the same;
//! [`ClusteredAttention`] is that as a module, [`MultiHeadAttention`] a layer with projections, which a pretrained model's weights load
//! into.
//!
//! # Where it runs
//! The tensors' device decides. On a device of Burn's wgpu backend (feature `burn`), the shaders run on Burn's own device and queue, read
//! and write Burn's own buffers, and are submitted between what Burn did before and what it does after, with Burn's fusion and without it.
//! For that the crate has to have the device's handles: [`init_wgpu`] opens a device and keeps them, [`share_device`] takes those that
//! `Device::wgpu_options().init_with_setup()` returned. On a wgpu device that neither knows, attention is an error, not a slow detour.
//!
//! On every other device the CPU computes, after reading the tensors and before writing the output back. That is also what the feature
//! `burn-host` alone does; it builds in a fraction of the time, for programs without Burn's wgpu backend.
//!
//! Both features need Rust 1.95, which Burn does; the crate without them needs 1.89.
//!
//! # Limits
//! Float32 and `f16`, three of one kind, with an output of the same; in `f16` everything is computed in float32 and rounded once, and Burn's device
//! needs no halves of its own unless it has to make views contiguous. Forward only: tensors of a device with autodiff are refused, since no gradient would flow, unless
//! [`AttentionOptions::without_gradients`] says that none is wanted.
//!
//! # When a program ends
//! Burn submits what nobody reads, too. A software adapter compiles and computes in threads of the process, and crashes where the process
//! ends under them: read what was computed, or call `Device::sync`, before `main` returns.
//!
//! ```
//! use burn::tensor::{Device, Distribution, Tensor};
//! use clustered_attention::{burn::{attention, AttentionOptions}, Method};
//!
//! # fn main() -> clustered_attention::Result<()> {
//! # let device = Device::flex();
//! let queries = Tensor::<4>::random([1, 6, 500, 64], Distribution::Normal(0.0, 1.0), &device);
//! let (keys, values) = (queries.clone(), queries.clone());
//! let output = attention(queries, keys, values, &AttentionOptions::new(Method::stitched(25)))?;
//! assert_eq!(output.dims(), [1, 6, 500, 64]);
//! # Ok(())
//! # }
//! ```

mod host;
mod multi_head;
#[cfg(feature = "burn")]
mod shared_device;
#[cfg(feature = "burn")]
mod wgpu;

pub use crate::framework::{AttentionOptions, Lengths};
pub use multi_head::{ClusteredAttention, MultiHeadAttention, MultiHeadAttentionConfig, USUAL_NAMES};
#[cfg(feature = "burn")]
pub use shared_device::{init_wgpu, init_wgpu_async, share_device};

use crate::framework::shape_of;
use crate::{Element, Error, Result};
use ::burn::tensor::{DType, Tensor};

/// Attention of queries `[batch, heads, length, width]` over keys `[batch, key heads, keys, width]` and values
/// `[batch, key heads, keys, value width]`; returns `[batch, heads, length, value width]`.
///
/// Heads that share keys (grouped-query attention) are those of `heads / key heads` neighbours. On Burn's wgpu backend nothing is copied
/// where all three tensors are contiguous, or all three are views of `[batch, length, heads, width]` as `reshape` and `swap_dims(1, 2)`
/// make them; the output then has the same layout. Other views are made contiguous by Burn first. The call returns when the work is
/// submitted. [Module documentation](self) tells where it runs; complexity is the method's ([`Method`](crate::Method)).
///
/// # Errors
/// Shapes that do not fit together, lengths out of range, other types than float32 and `f16`, a device with autodiff, a wgpu device that was not
/// shared, limits of the device that the problem exceeds; on the CPU also NaN or infinity at a valid position.
pub fn attention(
    queries: Tensor<4>,
    keys: Tensor<4>,
    values: Tensor<4>,
    options: &AttentionOptions,
) -> Result<Tensor<4>> {
    attention_with_lengths(queries, keys, values, Lengths::default(), options)
}

/// [`attention`] of sequences of different lengths, padded to one.
///
/// # Errors
/// Those of [`attention`].
pub fn attention_with_lengths(
    queries: Tensor<4>,
    keys: Tensor<4>,
    values: Tensor<4>,
    lengths: Lengths,
    options: &AttentionOptions,
) -> Result<Tensor<4>> {
    let shape = shape_of([queries.dims(), keys.dims(), values.dims()])?;
    let mut tensors = [queries, keys, values];
    if options.without_gradients {
        tensors = tensors.map(Tensor::without_autodiff);
    }
    let [queries, keys, values] = tensors;
    let device = queries.device();
    let element = match queries.dtype() {
        DType::F32 => Element::F32,
        DType::F16 => Element::F16,
        other => {
            return Err(Error::DataType { tensor: "queries", actual: other.name().into(), needed: "f32 or f16" });
        }
    };
    for (name, tensor) in [("queries", &queries), ("keys", &keys), ("values", &values)] {
        if tensor.dtype() != queries.dtype() {
            let (actual, needed) = (tensor.dtype().name().into(), element.name());
            return Err(Error::DataType { tensor: name, actual, needed });
        }
        if tensor.device().is_autodiff() {
            return Err(Error::Unsupported {
                feature: "a gradient through attention (for inference: `AttentionOptions::without_gradients`), on a Burn device with autodiff,",
            });
        }
        if tensor.device() != device {
            let (actual, needed) = (format!("{:?}", tensor.device()), format!("{device:?}"));
            return Err(Error::DifferentDevices { tensor: name, actual, needed });
        }
    }
    let problem = options.problem(shape, lengths)?.with_element(element);
    #[cfg(feature = "burn")]
    if let Some(wgpu_device) = wgpu::wgpu_device(&device) {
        return wgpu::attention(&wgpu_device, problem, lengths, options, [queries, keys, values]);
    }
    host::attention(&device, &problem, lengths, options, [queries, keys, values])
}
