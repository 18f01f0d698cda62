//! The encoder: BERT's layers, post-norm, with attention of this crate.

use crate::config::Config;
use crate::{Result, Stopwatch};
use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor};
use clustered_attention::burn::{
    attention_with_lengths, AttentionOptions, Lengths, MultiHeadAttention, MultiHeadAttentionConfig, USUAL_NAMES,
};
use clustered_attention::Method;
use clustered_attention_models::gelu::gelu;

/// Names in a model's file beside those of attention, as pairs of a regular expression and its replacement.
const NAMES: &[(&str, &str)] = &[
    (r"^bert\.", ""),
    (r"^embeddings\.(word|position|token_type)_embeddings\.", "embeddings.${1}."),
    (r"^embeddings\.LayerNorm\.", "embeddings.norm."),
    (r"^encoder\.layer\.", "layers."),
    (r"\.attention\.output\.LayerNorm\.", ".attention_norm."),
    (r"\.intermediate\.dense\.", ".intermediate."),
    (r"^(layers\.\d+)\.output\.dense\.", "${1}.output."),
    (r"^(layers\.\d+)\.output\.LayerNorm\.", "${1}.output_norm."),
];

/// All names, as the loader of weights takes them.
pub(crate) fn names() -> Vec<(&'static str, &'static str)> {
    NAMES.iter().chain(USUAL_NAMES).copied().collect()
}

/// From token numbers to a state for each token.
#[derive(Module, Debug)]
pub(crate) struct Encoder {
    embeddings: Embeddings,
    layers: Vec<Layer>,
}

#[derive(Module, Debug)]
struct Embeddings {
    word: Embedding,
    position: Embedding,
    token_type: Embedding,
    norm: LayerNorm,
}

#[derive(Module, Debug)]
struct Layer {
    attention: MultiHeadAttention,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
}

impl Encoder {
    /// An encoder of these sizes, whose weights are yet to be loaded.
    pub fn new(config: &Config, device: &Device) -> Result<Self> {
        let layers = (0..config.num_hidden_layers).map(|_| Layer::new(config, device)).collect::<Result<_>>()?;
        let embedding = |count| EmbeddingConfig::new(count, config.hidden_size).init(device);
        let embeddings = Embeddings {
            word: embedding(config.vocab_size),
            position: embedding(config.max_position_embeddings),
            token_type: embedding(config.type_vocab_size),
            norm: norm(config, device),
        };
        Ok(Self { embeddings, layers })
    }

    /// Another method of attention, in all layers.
    pub fn set_method(&mut self, method: Method) {
        self.layers.iter_mut().for_each(|layer| layer.attention.options.method = method);
    }

    /// States `[batch, length, width]` of tokens `[batch, length]`, of which the first `lengths` of each sequence are valid. What the
    /// states of the others are is of no meaning.
    pub fn forward(
        &self,
        tokens: Tensor<2, Int>,
        lengths: &[u32],
        mut stopwatch: Option<&mut Stopwatch>,
    ) -> Result<Tensor<3>> {
        let mut states = self.embeddings.forward(tokens);
        for layer in &self.layers {
            states = layer.forward(states, lengths, stopwatch.as_deref_mut())?;
        }
        Ok(states)
    }
}

impl Embeddings {
    fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let [_, length] = tokens.dims();
        let device = tokens.device();
        let positions = Tensor::<1, Int>::arange(0..length as i64, &device).unsqueeze::<2>();
        let types = Tensor::<2, Int>::zeros([1, length], &device);
        let sum = self.word.forward(tokens) + self.position.forward(positions) + self.token_type.forward(types);
        self.norm.forward(sum)
    }
}

impl Layer {
    fn new(config: &Config, device: &Device) -> Result<Self> {
        let width = config.hidden_size;
        let attention = MultiHeadAttentionConfig::new(width, config.num_attention_heads);
        Ok(Self {
            attention: attention.init_with(AttentionOptions::new(Method::Exact), device)?,
            attention_norm: norm(config, device),
            intermediate: LinearConfig::new(width, config.intermediate_size).init(device),
            output: LinearConfig::new(config.intermediate_size, width).init(device),
            output_norm: norm(config, device),
        })
    }

    fn forward(&self, states: Tensor<3>, lengths: &[u32], stopwatch: Option<&mut Stopwatch>) -> Result<Tensor<3>> {
        // In three parts, so that attention alone can be timed; otherwise it is `self.attention.forward`.
        let [queries, keys, values] = self.attention.project(states.clone(), states.clone())?;
        let device = states.device();
        let attend =
            move || attention_with_lengths(queries, keys, values, Lengths::new(lengths), &self.attention.options);
        let heads = match stopwatch {
            Some(stopwatch) => stopwatch.time(&device, attend)??,
            None => attend()?,
        };
        let states = self.attention_norm.forward(states + self.attention.merge(heads));
        let changes = self.output.forward(gelu(self.intermediate.forward(states.clone())));
        Ok(self.output_norm.forward(states + changes))
    }
}

fn norm(config: &Config, device: &Device) -> LayerNorm {
    LayerNormConfig::new(config.hidden_size).with_epsilon(config.layer_norm_eps).init(device)
}
