//! The decoder: a token at a time, with the keys and values of earlier tokens and of the recording kept.

use super::encoder::{check_shape, linear, norm, table};
use super::sizes::{DECODER_POSITIONS, ENCODER_POSITIONS, HEADS, HIDDEN_WIDTH, LAYERS, VOCABULARY, WIDTH};
use crate::{Error, Result};
use burn::module::Module;
use burn::nn::{Embedding, LayerNorm, Linear};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor};
use clustered_attention_models::device::numbers;
use clustered_attention_models::gelu::gelu;

/// The decoder of Whisper tiny.en.
#[derive(Module, Debug)]
pub struct Decoder {
    /// The tokens' vectors, `[51864, 384]`; the next token's scores are products with them too.
    pub embed_tokens: Embedding,
    /// What is added at each position, `[448, 384]`.
    pub embed_positions: Embedding,
    /// Four of them.
    pub layers: Vec<DecoderLayer>,
    /// After the last layer.
    pub layer_norm: LayerNorm,
}

/// A layer of the decoder.
#[derive(Module, Debug)]
pub struct DecoderLayer {
    /// Before attention to the tokens so far.
    pub self_attn_layer_norm: LayerNorm,
    /// Attention to the tokens so far.
    pub self_attn: Projections,
    /// Before attention to the recording.
    pub encoder_attn_layer_norm: LayerNorm,
    /// Attention to the recording.
    pub encoder_attn: Projections,
    /// Before the linear maps.
    pub final_layer_norm: LayerNorm,
    /// To four times the width.
    pub fc1: Linear,
    /// And back.
    pub fc2: Linear,
}

/// The four projections of attention; the keys' has no bias.
#[derive(Module, Debug)]
pub struct Projections {
    /// Projection to queries, `[384, 384]`.
    pub query: Linear,
    /// Projection to keys.
    pub key: Linear,
    /// Projection to values.
    pub value: Linear,
    /// Projection of what the heads found.
    pub output: Linear,
}

/// Keys and values, each `[1, heads, positions, width]`.
#[derive(Debug, Clone)]
struct KeysValues {
    keys: Tensor<4>,
    values: Tensor<4>,
}

/// What the decoder keeps between tokens of one recording.
#[derive(Debug, Clone)]
pub struct DecoderState {
    /// Of each layer, of the tokens so far; `None` before the first.
    tokens: Vec<Option<KeysValues>>,
    /// Of each layer, of the recording.
    recording: Vec<KeysValues>,
    /// Tokens so far.
    length: usize,
}

impl DecoderState {
    /// Tokens that were given so far.
    pub fn length(&self) -> usize {
        self.length
    }
}

impl Decoder {
    pub(super) fn new(device: &Device) -> Self {
        Self {
            embed_tokens: table(VOCABULARY, device),
            embed_positions: table(DECODER_POSITIONS, device),
            layers: (0..LAYERS).map(|_| DecoderLayer::new(device)).collect(),
            layer_norm: norm(device),
        }
    }

    /// Begins a transcript of what the encoder made of a recording, `[1, 1500, 384]`: keys and values of it are computed once.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn begin(&self, recording: &Tensor<3>) -> Result<DecoderState> {
        check_shape("recording", recording, [1, ENCODER_POSITIONS, WIDTH])?;
        Ok(DecoderState {
            tokens: self.layers.iter().map(|_| None).collect(),
            recording: self.layers.iter().map(|layer| layer.encoder_attn.keys_values(recording.clone())).collect(),
            length: 0,
        })
    }

    /// Gives the next token; returns the scores of the one after it, `[51864]`.
    ///
    /// # Errors
    /// There are 448 tokens already, the token is not in the vocabulary, or the device failed.
    pub fn step(&self, token: u32, state: &mut DecoderState) -> Result<Vec<f32>> {
        let position = state.length;
        if position >= DECODER_POSITIONS || token as usize >= VOCABULARY {
            return Err(Error::Token { token, position, vocabulary: VOCABULARY, positions: DECODER_POSITIONS });
        }
        let device = self.embed_tokens.weight.val().device();
        let token = Tensor::<2, Int>::from_ints([[token as i32]], &device);
        let added = self.embed_positions.weight.val().narrow(0, position, 1).unsqueeze::<3>();
        let mut hidden = self.embed_tokens.forward(token) + added;
        for (index, layer) in self.layers.iter().enumerate() {
            hidden = layer.forward(hidden, &mut state.tokens[index], &state.recording[index]);
        }
        state.length += 1;
        let hidden = self.layer_norm.forward(hidden).reshape([1, WIDTH]);
        let scores = hidden.matmul(self.embed_tokens.weight.val().transpose());
        numbers(scores).map_err(|reason| Error::Device { reason })
    }
}

impl DecoderLayer {
    fn new(device: &Device) -> Self {
        Self {
            self_attn_layer_norm: norm(device),
            self_attn: Projections::new(device),
            encoder_attn_layer_norm: norm(device),
            encoder_attn: Projections::new(device),
            final_layer_norm: norm(device),
            fc1: linear(WIDTH, HIDDEN_WIDTH, true, device),
            fc2: linear(HIDDEN_WIDTH, WIDTH, true, device),
        }
    }

    /// One token, `[1, 1, 384]`; its keys and values are kept.
    fn forward(&self, hidden: Tensor<3>, tokens: &mut Option<KeysValues>, recording: &KeysValues) -> Tensor<3> {
        let normalised = self.self_attn_layer_norm.forward(hidden.clone());
        let newest = self.self_attn.keys_values(normalised.clone());
        let all = match tokens.take() {
            None => newest,
            Some(earlier) => KeysValues {
                keys: Tensor::cat(vec![earlier.keys, newest.keys], 2),
                values: Tensor::cat(vec![earlier.values, newest.values], 2),
            },
        };
        let hidden = hidden + self.self_attn.attend(normalised, &all);
        *tokens = Some(all);
        let normalised = self.encoder_attn_layer_norm.forward(hidden.clone());
        let hidden = hidden + self.encoder_attn.attend(normalised, recording);
        let normalised = self.final_layer_norm.forward(hidden.clone());
        hidden + self.fc2.forward(gelu(self.fc1.forward(normalised)))
    }
}

impl Projections {
    fn new(device: &Device) -> Self {
        let projection = |bias| linear(WIDTH, WIDTH, bias, device);
        Self { query: projection(true), key: projection(false), value: projection(true), output: projection(true) }
    }

    fn keys_values(&self, context: Tensor<3>) -> KeysValues {
        KeysValues { keys: heads(self.key.forward(context.clone())), values: heads(self.value.forward(context)) }
    }

    /// Attention of `[1, 1, 384]` to keys and values. Tokens come one at a time, so no mask is needed for them to be causal.
    fn attend(&self, input: Tensor<3>, context: &KeysValues) -> Tensor<3> {
        let queries = heads(self.query.forward(input)) / ((WIDTH / HEADS) as f64).sqrt();
        let weights = softmax(queries.matmul(context.keys.clone().swap_dims(2, 3)), 3);
        let found = weights.matmul(context.values.clone());
        let [batch, _, length, _] = found.dims();
        self.output.forward(found.swap_dims(1, 2).reshape([batch, length, WIDTH]))
    }
}

/// From `[batch, length, 384]` to `[batch, heads, length, 64]`.
fn heads(tensor: Tensor<3>) -> Tensor<4> {
    let [batch, length, _] = tensor.dims();
    tensor.reshape([batch, length, HEADS, WIDTH / HEADS]).swap_dims(1, 2)
}
