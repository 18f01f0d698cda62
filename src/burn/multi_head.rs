//! Modules: attention alone, and the layer with its projections.

use super::{attention, attention_with_lengths, AttentionOptions, Lengths};
use crate::{Error, Method};
use ::burn::config::Config;
use ::burn::module::Module;
use ::burn::nn::{Initializer, Linear, LinearConfig};
use ::burn::tensor::{Device, Tensor};

/// [`attention`] as a module without weights, for models that project by themselves.
#[derive(Module, Debug)]
pub struct ClusteredAttention {
    /// Method and options of every call.
    #[module(skip)]
    pub options: AttentionOptions,
}

impl ClusteredAttention {
    /// Attention with these options.
    pub fn new(options: AttentionOptions) -> Self {
        Self { options }
    }

    /// Queries `[batch, heads, length, width]` over keys and values; see [`attention`].
    ///
    /// # Errors
    /// Those of [`attention`].
    pub fn forward(&self, queries: Tensor<4>, keys: Tensor<4>, values: Tensor<4>) -> crate::Result<Tensor<4>> {
        attention(queries, keys, values, &self.options)
    }

    /// [`ClusteredAttention::forward`] of sequences of different lengths, padded to one.
    ///
    /// # Errors
    /// Those of [`attention`].
    pub fn forward_with_lengths(
        &self,
        queries: Tensor<4>,
        keys: Tensor<4>,
        values: Tensor<4>,
        lengths: Lengths,
    ) -> crate::Result<Tensor<4>> {
        attention_with_lengths(queries, keys, values, lengths, &self.options)
    }
}

/// Names that models give the projections of attention, as pairs of a regular expression and its replacement for
/// `burn_store::KeyRemapper`, so that their weights load into [`MultiHeadAttention`].
///
/// Covers `q_proj`, `k_proj`, `v_proj`, `out_proj` or `o_proj` (Whisper, BART, CLIP, Llama), `attention.self.query` and so on with
/// `attention.output.dense` (BERT, MiniLM; load what else is in `attention.output`, the norm, under its own name), `q_lin` and so on
/// (DistilBERT), and leaves Burn's own names, `query`, `key`, `value`, `output`, as they are.
pub const USUAL_NAMES: &[(&str, &str)] = &[
    (r"(^|\.)(?:q_proj|q_lin)\.", "${1}query."),
    (r"(^|\.)(?:k_proj|k_lin)\.", "${1}key."),
    (r"(^|\.)(?:v_proj|v_lin)\.", "${1}value."),
    (r"(^|\.)(?:out_proj|o_proj|out_lin)\.", "${1}output."),
    (r"(^|\.)attention\.self\.(query|key|value)\.", "${1}attention.${2}."),
    (r"(^|\.)attention\.output\.dense\.", "${1}attention.output."),
];

/// Configuration of a [`MultiHeadAttention`] layer. Names and defaults are those of Burn's own, without what clustered attention has not
/// (dropout on weights, quiet softmax, arbitrary masks).
#[derive(Config, Debug)]
pub struct MultiHeadAttentionConfig {
    /// Width of the input and of the output.
    pub d_model: usize,
    /// Heads of the queries; they divide `d_model`.
    pub n_heads: usize,
    /// Heads of keys and values, which divide `n_heads`; as many as `n_heads` unless given.
    pub n_key_heads: Option<usize>,
    /// Whether the projection of the queries has a bias.
    #[config(default = true)]
    pub query_bias: bool,
    /// Whether the projection of the keys has a bias.
    #[config(default = true)]
    pub key_bias: bool,
    /// Whether the projection of the values has a bias.
    #[config(default = true)]
    pub value_bias: bool,
    /// Whether the projection of the output has a bias.
    #[config(default = true)]
    pub output_bias: bool,
    /// The method as text, with its options: `stitched`, `improved:clusters=50,top_k=16` ([`Method`]'s `FromStr`).
    #[config(default = "String::from(\"stitched\")")]
    pub method: String,
    /// How weights begin where none are loaded.
    #[config(default = "Initializer::KaimingUniform{gain:1.0/3f64.sqrt(), fan_out_only:false}")]
    pub initializer: Initializer,
}

impl MultiHeadAttentionConfig {
    /// Makes the layer with the method that it names.
    ///
    /// # Errors
    /// A method that cannot be read; and as [`MultiHeadAttentionConfig::init_with`].
    pub fn init(&self, device: &Device) -> crate::Result<MultiHeadAttention> {
        self.init_with(AttentionOptions::new(self.method.parse::<Method>()?), device)
    }

    /// Makes the layer with other options, whatever its method is.
    ///
    /// # Errors
    /// `n_heads` does not divide `d_model`, or `n_key_heads` does not divide `n_heads`.
    pub fn init_with(&self, options: AttentionOptions, device: &Device) -> crate::Result<MultiHeadAttention> {
        let (d_model, heads, key_heads) = (self.d_model, self.n_heads, self.n_key_heads.unwrap_or(self.n_heads));
        let divides = |argument, value: usize, whole: usize, name| {
            if value > 0 && whole.is_multiple_of(value) {
                return Ok(());
            }
            let allowed = format!("a divisor of `{name}`, {whole}");
            Err(Error::OutOfRange { argument, value: value.to_string(), allowed })
        };
        divides("n_heads", heads, d_model, "d_model")?;
        divides("n_key_heads", key_heads, heads, "n_heads")?;
        let key_width = d_model / heads * key_heads;
        let linear = |output, bias| {
            let config = LinearConfig::new(d_model, output).with_bias(bias);
            config.with_initializer(self.initializer.clone()).init(device)
        };
        Ok(MultiHeadAttention {
            query: linear(d_model, self.query_bias),
            key: linear(key_width, self.key_bias),
            value: linear(key_width, self.value_bias),
            output: linear(d_model, self.output_bias),
            n_heads: heads,
            n_key_heads: key_heads,
            options,
        })
    }
}

/// Multi-head attention with its projections, in place of `burn::nn::attention::MultiHeadAttention`: the weights have the same names
/// and shapes, so a record of one loads into the other; [`USUAL_NAMES`] maps what other frameworks call them.
#[derive(Module, Debug)]
pub struct MultiHeadAttention {
    /// Projection of the input to queries, `[d_model, d_model]`.
    pub query: Linear,
    /// Projection of the input to keys, `[d_model, n_key_heads · width]`.
    pub key: Linear,
    /// Projection of the input to values, `[d_model, n_key_heads · width]`.
    pub value: Linear,
    /// Projection of what the heads found to the output, `[d_model, d_model]`.
    pub output: Linear,
    /// Heads of the queries.
    pub n_heads: usize,
    /// Heads of keys and values.
    pub n_key_heads: usize,
    /// Method and options; they may be changed between calls.
    #[module(skip)]
    pub options: AttentionOptions,
}

impl MultiHeadAttention {
    /// Self-attention of `[batch, length, d_model]`; returns the same shape.
    ///
    /// # Errors
    /// Those of [`attention`], and an input of another width.
    pub fn forward(&self, input: Tensor<3>) -> crate::Result<Tensor<3>> {
        self.forward_with_lengths(input, Lengths::default())
    }

    /// [`MultiHeadAttention::forward`] of sequences of different lengths, padded to one.
    ///
    /// # Errors
    /// Those of [`attention`], and an input of another width.
    pub fn forward_with_lengths(&self, input: Tensor<3>, lengths: Lengths) -> crate::Result<Tensor<3>> {
        let context = input.clone();
        self.forward_cross_with_lengths(input, context, lengths)
    }

    /// Attention of `[batch, length, d_model]` over a context `[batch, keys, d_model]`, whose projections are keys and values; returns
    /// the shape of the first. Stitched attention needs a window of `None` for it, unless both have one length.
    ///
    /// # Errors
    /// Those of [`attention`], and tensors of another width.
    pub fn forward_cross(&self, input: Tensor<3>, context: Tensor<3>) -> crate::Result<Tensor<3>> {
        self.forward_cross_with_lengths(input, context, Lengths::default())
    }

    /// [`MultiHeadAttention::forward_cross`] of sequences of different lengths, padded to one: `lengths.keys` are those of the context.
    ///
    /// # Errors
    /// Those of [`attention`], and tensors of another width.
    pub fn forward_cross_with_lengths(
        &self,
        input: Tensor<3>,
        context: Tensor<3>,
        lengths: Lengths,
    ) -> crate::Result<Tensor<3>> {
        let [queries, keys, values] = self.project(input, context)?;
        Ok(self.merge(attention_with_lengths(queries, keys, values, lengths, &self.options)?))
    }

    /// The first part of [`MultiHeadAttention::forward_cross`]: queries `[batch, heads, length, width]`, keys and values, as
    /// [`attention`] takes them. They are views of `[batch, length, heads, width]`, which it reads without a copy.
    ///
    /// # Errors
    /// A tensor of another width than `d_model`.
    pub fn project(&self, input: Tensor<3>, context: Tensor<3>) -> crate::Result<[Tensor<4>; 3]> {
        let [d_model, _] = self.query.weight.dims();
        for (tensor, dimensions) in [("input", input.dims()), ("context", context.dims())] {
            let [batch, length, width] = dimensions;
            if width != d_model {
                let (actual, needed) = (format!("{dimensions:?}"), format!("{:?}", [batch, length, d_model]));
                return Err(Error::TensorShape { tensor, actual, needed });
            }
        }
        let split = |projection: &Linear, tensor: Tensor<3>, heads: usize| {
            let [batch, length, _] = tensor.dims();
            let projected = projection.forward(tensor);
            let [.., width] = projected.dims();
            projected.reshape([batch, length, heads, width / heads]).swap_dims(1, 2)
        };
        let keys = split(&self.key, context.clone(), self.n_key_heads);
        let values = split(&self.value, context, self.n_key_heads);
        Ok([split(&self.query, input, self.n_heads), keys, values])
    }

    /// The last part of [`MultiHeadAttention::forward_cross`]: from `[batch, heads, length, width]` to `[batch, length, d_model]`.
    pub fn merge(&self, heads: Tensor<4>) -> Tensor<3> {
        let [batch, count, length, width] = heads.dims();
        self.output.forward(heads.swap_dims(1, 2).reshape([batch, length, count * width]))
    }
}
