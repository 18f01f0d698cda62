//! The ways in which the layer is computed.

use anyhow::Result;
use burn::nn::attention::{MhaInput, MultiHeadAttention as BurnLayer, MultiHeadAttentionConfig as BurnConfig};
use burn::tensor::{module, Device, Tensor};
use clustered_attention::burn::{AttentionOptions, MultiHeadAttention, MultiHeadAttentionConfig};
use clustered_attention::Method;

/// One way to compute the layer.
pub enum Way {
    /// Burn's layer, `burn::nn::attention::MultiHeadAttention`: it forms the matrix of weights.
    BurnLayer,
    /// The same projections around Burn's function `attention`: with autotuning, the fastest of its kernels.
    BurnAttention,
    /// The projections with nothing between them, which all ways have.
    Projections,
    /// This crate's layer.
    Clustered(Method),
}

impl Way {
    /// Burn's layer, which the others are compared with, first.
    pub fn all(methods: &[Method]) -> impl Iterator<Item = Self> + '_ {
        let burns = [Self::BurnLayer, Self::BurnAttention, Self::Projections];
        burns.into_iter().chain(methods.iter().copied().map(Self::Clustered))
    }

    /// Whether the output is that of an attention layer.
    pub fn is_attention(&self) -> bool {
        !matches!(self, Self::Projections)
    }

    pub fn name(&self) -> String {
        match self {
            Self::BurnLayer => "Burn's layer".into(),
            Self::BurnAttention => "Burn's attention function".into(),
            Self::Projections => "projections alone".into(),
            Self::Clustered(method) => method.name().into(),
        }
    }
}

/// Burn's layer and this crate's with the same weights.
pub struct Layers {
    burn: BurnLayer,
    clustered: MultiHeadAttention,
}

impl Layers {
    pub fn new(heads: usize, width: usize, device: &Device) -> Result<Self> {
        let burn = BurnConfig::new(heads * width, heads).with_dropout(0.0).init(device);
        let config = MultiHeadAttentionConfig::new(heads * width, heads);
        let mut clustered = config.init_with(AttentionOptions::new(Method::Exact), device)?;
        // The projections have the same names and types.
        clustered.query = burn.query.clone();
        clustered.key = burn.key.clone();
        clustered.value = burn.value.clone();
        clustered.output = burn.output.clone();
        Ok(Self { burn, clustered })
    }

    pub fn d_model(&self) -> usize {
        self.burn.d_model
    }

    /// `[batch, length, d_model]` to the same.
    pub fn forward(&self, way: &Way, input: Tensor<3>) -> Result<Tensor<3>> {
        Ok(match way {
            Way::BurnLayer => self.burn.forward(MhaInput::self_attn(input)).context,
            Way::BurnAttention => {
                let [queries, keys, values] = self.clustered.project(input.clone(), input)?;
                self.clustered.merge(module::attention(queries, keys, values, None, None, Default::default()))
            }
            Way::Projections => {
                let [queries, keys, values] = self.clustered.project(input.clone(), input)?;
                // So that none of the three is left out.
                self.clustered.merge(queries + keys + values)
            }
            Way::Clustered(method) => {
                let mut layer = self.clustered.clone();
                layer.options.method = *method;
                layer.forward(input)?
            }
        })
    }
}
