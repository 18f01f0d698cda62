//! Whisper tiny.en on Burn: an encoder whose self-attention is replaceable, and a decoder that writes token by token.

mod decoder;
mod encoder;

pub use decoder::{Decoder, DecoderLayer, DecoderState, Projections};
pub use encoder::{Encoded, Encoder, EncoderLayer};

use crate::Result;
use burn::module::Module;
use burn::tensor::Device;
use clustered_attention::burn::AttentionOptions;

/// Sizes of Whisper tiny.en.
pub mod sizes {
    /// Width of the model.
    pub const WIDTH: usize = 384;
    /// Heads of every attention, of width 64.
    pub const HEADS: usize = 6;
    /// Layers of the encoder, and of the decoder.
    pub const LAYERS: usize = 4;
    /// Width between the two linear maps after attention.
    pub const HIDDEN_WIDTH: usize = 1536;
    /// Positions that the encoder makes of 3,000 frames.
    pub const ENCODER_POSITIONS: usize = 1500;
    /// Tokens that the decoder can hold.
    pub const DECODER_POSITIONS: usize = 448;
    /// Tokens there are, the 1,501 timestamps among them.
    pub const VOCABULARY: usize = 51_864;
}

/// The model. Its fields are named as the weights are in the hub's files, but for the projections of attention.
#[derive(Module, Debug)]
pub struct Whisper {
    /// From the spectrogram to what the decoder looks at.
    pub encoder: Encoder,
    /// From that and the tokens so far to the next token.
    pub decoder: Decoder,
}

impl Whisper {
    /// A model whose weights are still to be loaded.
    ///
    /// # Errors
    /// Never for the sizes of tiny.en; those of the attention layers.
    pub fn new(options: AttentionOptions, device: &Device) -> Result<Self> {
        Ok(Self { encoder: Encoder::new(options, device)?, decoder: Decoder::new(device) })
    }
}
