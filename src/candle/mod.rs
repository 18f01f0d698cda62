//! Attention on the tensors of [candle](https://github.com/huggingface/candle) (feature `candle`).
//!
//! [`attention`] takes queries, keys and values as tensors `[batch, heads, length, width]` and returns the same. Beneath it is
//! [`ClusteredAttention`], a [`CustomOp3`](candle_core::CustomOp3) for models that keep one or apply it by themselves.
//!
//! The CPU computes, on candle's own memory. Tensors that are contiguous, and views `transpose(1, 2)` of `[batch, length, heads, width]` as
//! projections leave them, are read where they lie, wherever in a buffer they start; the output of [`attention`] then lies likewise, so that
//! `transpose(1, 2)` gives a contiguous tensor again. Where the three lie differently, those are copied that make the fewest elements;
//! views with other strides (a part of the length of several heads, a broadcast) are copied.
//!
//! # Limits
//! Tensors of `f32` on the CPU, forward only: `backward` through the operation is candle's error
//! [`BackwardNotSupported`](candle_core::Error::BackwardNotSupported). Types, ranks and devices are refused by candle's own errors; what
//! this crate refuses is its [`Error`](crate::Error), wrapped, with the message unchanged.
//!
//! The feature needs Rust 1.94, which candle 0.11 does on x86-64 without stating it; the crate without it needs 1.89.
//!
//! ```
//! use candle_core::{Device, Tensor};
//! use clustered_attention::{candle::{attention, AttentionOptions}, Method};
//!
//! # fn main() -> candle_core::Result<()> {
//! // As a projection leaves them: a view of `[batch, length, heads, width]`, which is not copied.
//! let projected = Tensor::randn(0f32, 1., (1, 500, 6, 64), &Device::Cpu)?;
//! let queries = projected.transpose(1, 2)?;
//! let output = attention(&queries, &queries, &queries, &AttentionOptions::new(Method::stitched(25)))?;
//! assert_eq!(output.dims(), [1, 6, 500, 64]);
//! # Ok(())
//! # }
//! ```

mod operation;
mod view;

pub use crate::framework::{AttentionOptions, Lengths};
pub use operation::ClusteredAttention;

use candle_core::{Result, Tensor};

/// Attention of queries `[batch, heads, length, width]` over keys `[batch, key heads, keys, width]` and values
/// `[batch, key heads, keys, value width]`; returns `[batch, heads, length, value width]`.
///
/// Heads that share keys (grouped-query attention) are those of `heads / key heads` neighbours, as `repeat_kv` of candle's models has
/// them. [Module documentation](self) tells what is copied; complexity is the method's ([`Method`](crate::Method)).
///
/// # Errors
/// Another rank, another type than `f32`, another device than the CPU; shapes that do not fit together; NaN or infinity.
pub fn attention(queries: &Tensor, keys: &Tensor, values: &Tensor, options: &AttentionOptions) -> Result<Tensor> {
    attention_with_lengths(queries, keys, values, Lengths::default(), options)
}

/// [`attention`] of sequences of different lengths, padded to one.
///
/// # Errors
/// Those of [`attention`], of valid positions alone; lengths out of range.
pub fn attention_with_lengths(
    queries: &Tensor,
    keys: &Tensor,
    values: &Tensor,
    lengths: Lengths,
    options: &AttentionOptions,
) -> Result<Tensor> {
    ClusteredAttention::new(options.clone()).with_lengths(lengths).apply(queries, keys, values)
}
