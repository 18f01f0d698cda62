//! The ways in which a user of Burn may compute attention.

use burn::tensor::activation::softmax;
use burn::tensor::module::{attention, attention_fallback};
use burn::tensor::Tensor;
use clap::ValueEnum;

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Way {
    /// Burn's function for attention: with autotuning the fastest kernels for the adapter, without it those of the fallback.
    Attention,
    /// Burn's attention of separate kernels.
    Fallback,
    /// Softmax of a product times values, as one writes it by hand.
    Plain,
}

impl Way {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attention => "burn attention",
            Self::Fallback => "burn attention_fallback",
            Self::Plain => "burn softmax(QK^T)V",
        }
    }

    pub fn compute(self, query: Tensor<4>, key: Tensor<4>, value: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Attention => attention(query, key, value, None, None, Default::default()),
            Self::Fallback => attention_fallback(query, key, value, None, None, Default::default()),
            Self::Plain => {
                let [.., width] = query.dims();
                let scores = query.matmul(key.transpose()) / (width as f64).sqrt();
                softmax(scores, 3).matmul(value)
            }
        }
    }
}
