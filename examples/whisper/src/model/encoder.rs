//! The encoder: two convolutions, then layers of self-attention by any method.

use super::sizes::{ENCODER_POSITIONS, HEADS, HIDDEN_WIDTH, LAYERS, WIDTH};
use crate::log_mel::{BANDS, WINDOW_FRAMES};
use crate::{Error, Result};
use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{
    Embedding, EmbeddingConfig, Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig, PaddingConfig1d,
};
use burn::tensor::{Device, Tensor};
use clustered_attention::burn::{attention, AttentionOptions, MultiHeadAttention, MultiHeadAttentionConfig};
use clustered_attention_models::gelu::gelu;
use clustered_attention_models::stopwatch::timed;
use std::time::Duration;

/// What the encoder made of 30 seconds.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// `[1, 1500, 384]`.
    pub hidden: Tensor<3>,
    /// Time between queries, keys and values and what the heads found, of all layers.
    pub attention: Duration,
}

/// The encoder of Whisper tiny.en.
#[derive(Module, Debug)]
pub struct Encoder {
    /// From 80 bands to the model's width.
    pub conv1: Conv1d,
    /// From 3,000 frames to 1,500 positions.
    pub conv2: Conv1d,
    /// What is added at each position, `[1500, 384]`.
    pub embed_positions: Embedding,
    /// Four of them.
    pub layers: Vec<EncoderLayer>,
    /// After the last layer.
    pub layer_norm: LayerNorm,
}

/// A layer of the encoder.
#[derive(Module, Debug)]
pub struct EncoderLayer {
    /// Before attention.
    pub self_attn_layer_norm: LayerNorm,
    /// The attention that this crate is about.
    pub self_attn: MultiHeadAttention,
    /// Before the linear maps.
    pub final_layer_norm: LayerNorm,
    /// To four times the width.
    pub fc1: Linear,
    /// And back.
    pub fc2: Linear,
}

/// A linear map whose weights are still to be loaded.
pub(super) fn linear(input: usize, output: usize, bias: bool, device: &Device) -> Linear {
    LinearConfig::new(input, output).with_bias(bias).with_initializer(Initializer::Zeros).init(device)
}

/// A norm over the model's width.
pub(super) fn norm(device: &Device) -> LayerNorm {
    LayerNormConfig::new(WIDTH).init(device)
}

/// A table of vectors whose values are still to be loaded.
pub(super) fn table(rows: usize, device: &Device) -> Embedding {
    EmbeddingConfig::new(rows, WIDTH).with_initializer(Initializer::Zeros).init(device)
}

impl Encoder {
    pub(super) fn new(options: AttentionOptions, device: &Device) -> Result<Self> {
        let convolution = |input, stride| {
            let config = Conv1dConfig::new(input, WIDTH, 3).with_stride(stride).with_initializer(Initializer::Zeros);
            config.with_padding(PaddingConfig1d::Explicit(1, 1)).init(device)
        };
        let layers: Result<_> = (0..LAYERS).map(|_| EncoderLayer::new(options.clone(), device)).collect();
        Ok(Self {
            conv1: convolution(BANDS, 1),
            conv2: convolution(WIDTH, 2),
            embed_positions: table(ENCODER_POSITIONS, device),
            layers: layers?,
            layer_norm: norm(device),
        })
    }

    /// Encodes 30 seconds of a spectrogram, `[1, 80, 3000]`.
    ///
    /// # Errors
    /// A tensor of another shape; those of the attention and of the device.
    pub fn forward(&self, frames: Tensor<3>) -> Result<Encoded> {
        check_shape("frames", &frames, [1, BANDS, WINDOW_FRAMES])?;
        let frames = gelu(self.conv1.forward(frames));
        let frames = gelu(self.conv2.forward(frames));
        let positions = self.embed_positions.weight.val().unsqueeze::<3>();
        let mut hidden = frames.swap_dims(1, 2) + positions;
        let mut attention = Duration::ZERO;
        for layer in &self.layers {
            hidden = layer.forward(hidden, &mut attention)?;
        }
        Ok(Encoded { hidden: self.layer_norm.forward(hidden), attention })
    }
}

impl EncoderLayer {
    fn new(options: AttentionOptions, device: &Device) -> Result<Self> {
        let attention = MultiHeadAttentionConfig::new(WIDTH, HEADS).with_key_bias(false);
        Ok(Self {
            self_attn_layer_norm: norm(device),
            self_attn: attention.with_initializer(Initializer::Zeros).init_with(options, device)?,
            final_layer_norm: norm(device),
            fc1: linear(WIDTH, HIDDEN_WIDTH, true, device),
            fc2: linear(HIDDEN_WIDTH, WIDTH, true, device),
        })
    }

    /// Self-attention and linear maps of `[1, 1500, 384]`, each added to what it was made of. The time of attention is added up.
    fn forward(&self, hidden: Tensor<3>, time: &mut Duration) -> Result<Tensor<3>> {
        let device = hidden.device();
        let normalised = self.self_attn_layer_norm.forward(hidden.clone());
        let [queries, keys, values] = self.self_attn.project(normalised.clone(), normalised)?;
        let (found, duration) = timed(&device, || attention(queries, keys, values, &self.self_attn.options))
            .map_err(|error| Error::Device { reason: error.to_string() })?;
        *time += duration;
        let hidden = hidden + self.self_attn.merge(found?);
        let normalised = self.final_layer_norm.forward(hidden.clone());
        Ok(hidden + self.fc2.forward(gelu(self.fc1.forward(normalised))))
    }
}

/// Refuses a tensor that is not of this shape.
pub(super) fn check_shape(tensor: &'static str, actual: &Tensor<3>, needed: [usize; 3]) -> Result<()> {
    if actual.dims() == needed {
        return Ok(());
    }
    let (actual, needed) = (format!("{:?}", actual.dims()), format!("{needed:?}"));
    Err(clustered_attention::Error::TensorShape { tensor, actual, needed }.into())
}
