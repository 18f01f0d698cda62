//! The encoder: a vision transformer of DINOv2's architecture, pre-norm with scaled residuals, with attention of this crate.

use crate::{Result, VisionError};
use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use clustered_attention::burn::{attention, AttentionOptions, MultiHeadAttention, MultiHeadAttentionConfig};
use clustered_attention::Method;
use clustered_attention_models::gelu::gelu;
use clustered_attention_models::stopwatch::timed;
use std::time::Duration;

/// Sizes of the model: a small DINOv2.
pub(crate) const WIDTH: usize = 384;
const HEADS: usize = 6;
const LAYERS: usize = 12;
const EPSILON: f64 = 1e-6;

/// Names in the model's file, as pairs of a regular expression and its replacement.
pub(crate) const NAMES: &[(&str, &str)] = &[
    (r"^backbone\.encoder\.layer\.", "layers."),
    (r"^backbone\.layernorm\.", "norm."),
    (r"\.attention\.attention\.(query|key|value)\.", ".attention.${1}."),
    (r"\.attention\.output\.dense\.", ".attention.output."),
    (r"\.layer_scale(\d)\.lambda1$", ".scale${1}"),
    (r"\.mlp\.(fc\d)\.", ".${1}."),
];

/// From embedded patches to a feature each.
#[derive(Module, Debug)]
pub(crate) struct Encoder {
    layers: Vec<Layer>,
    norm: LayerNorm,
}

#[derive(Module, Debug)]
struct Layer {
    norm1: LayerNorm,
    attention: MultiHeadAttention,
    scale1: Param<Tensor<1>>,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    scale2: Param<Tensor<1>>,
}

impl Encoder {
    /// An encoder whose weights are yet to be loaded.
    pub fn new(device: &Device) -> Result<Self> {
        let layers = (0..LAYERS).map(|_| Layer::new(device)).collect::<Result<_>>()?;
        Ok(Self { layers, norm: norm(device) })
    }

    /// Another method of attention, in all layers.
    pub fn set_method(&mut self, method: Method) {
        self.layers.iter_mut().for_each(|layer| layer.attention.options.method = method);
    }

    /// States `[1, tokens, WIDTH]`. With a stopwatch, what attention takes is added to it.
    pub fn forward(&self, mut states: Tensor<3>, mut stopwatch: Option<&mut Duration>) -> Result<Tensor<3>> {
        for layer in &self.layers {
            states = layer.forward(states, stopwatch.as_deref_mut())?;
        }
        Ok(self.norm.forward(states))
    }
}

impl Layer {
    fn new(device: &Device) -> Result<Self> {
        let scale = || Param::from_tensor(Tensor::<1>::ones([WIDTH], device));
        let attention = MultiHeadAttentionConfig::new(WIDTH, HEADS);
        Ok(Self {
            norm1: norm(device),
            attention: attention.init_with(AttentionOptions::new(Method::Exact), device)?,
            scale1: scale(),
            norm2: norm(device),
            fc1: LinearConfig::new(WIDTH, 4 * WIDTH).init(device),
            fc2: LinearConfig::new(4 * WIDTH, WIDTH).init(device),
            scale2: scale(),
        })
    }

    fn forward(&self, states: Tensor<3>, stopwatch: Option<&mut Duration>) -> Result<Tensor<3>> {
        let normed = self.norm1.forward(states.clone());
        // In three parts, so that attention alone can be timed; otherwise it is `self.attention.forward`.
        let [queries, keys, values] = self.attention.project(normed.clone(), normed)?;
        let device = states.device();
        let attend = move || attention(queries, keys, values, &self.attention.options);
        let heads = match stopwatch {
            Some(stopwatch) => {
                let (heads, duration) =
                    timed(&device, attend).map_err(|error| VisionError::Device(error.to_string()))?;
                *stopwatch += duration;
                heads?
            }
            None => attend()?,
        };
        let scale = |scale: &Param<Tensor<1>>| scale.val().reshape([1, 1, WIDTH as i32]);
        let states = states + self.attention.merge(heads) * scale(&self.scale1);
        let changes = self.fc2.forward(gelu(self.fc1.forward(self.norm2.forward(states.clone()))));
        Ok(states + changes * scale(&self.scale2))
    }
}

fn norm(device: &Device) -> LayerNorm {
    LayerNormConfig::new(WIDTH).with_epsilon(EPSILON).init(device)
}
