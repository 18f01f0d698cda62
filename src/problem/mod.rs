//! What is asked: sizes, layout, method and input, validated once. Knows nothing of devices.

mod inputs;
mod magnitude;
mod method;
mod method_text;
mod neighbourhood;
mod recipe;
mod shape;
mod visibility;

#[cfg(any(feature = "gpu", feature = "burn-host"))]
pub(crate) use inputs::check_lengths;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use inputs::OwnedCall;
pub(crate) use inputs::{check_output, Call, Sums};
pub use inputs::{Inputs, Supplied};
pub use method::{Clustering, Method};
pub(crate) use neighbourhood::Neighbourhood;
pub(crate) use recipe::{Finish, Grouped, Recipe};
pub(crate) use shape::Strides;
pub use shape::{Layout, Shape};
#[cfg(test)]
pub(crate) use visibility::tests::kinds as kinds_of_visibility;
pub(crate) use visibility::Visibility;

use crate::{Error, Result};

/// A validated attention problem: shape, method, layout and softmax scale.
///
/// ```
/// use clustered_attention::{Method, Problem, Shape};
/// let problem = Problem::new(Shape::self_attention(1, 8, 4096, 64), Method::stitched(25))?;
/// assert_eq!(problem.scale(), 0.125);
/// # Ok::<(), clustered_attention::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Problem {
    shape: Shape,
    method: Method,
    layout: Layout,
    scale: f32,
    causal: bool,
}

impl Problem {
    /// Checks shape and method. The layout is [`Layout::HeadsFirst`] and the scale `1/sqrt(width)` until changed.
    ///
    /// # Errors
    /// Names the first argument out of range.
    pub fn new(shape: Shape, method: Method) -> Result<Self> {
        shape.validate()?;
        method.validate(&shape)?;
        let scale = 1.0 / (shape.width as f32).sqrt();
        Ok(Self { shape, method, layout: Layout::HeadsFirst, scale, causal: false })
    }

    /// The same problem with its tensors in another layout.
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// The same problem with another softmax scale (`t`).
    ///
    /// # Errors
    /// The scale must be positive and finite.
    pub fn with_scale(mut self, scale: f32) -> Result<Self> {
        if !(scale.is_finite() && scale > 0.0) {
            return Err(Error::OutOfRange {
                argument: "scale",
                value: scale.to_string(),
                allowed: "positive and finite".into(),
            });
        }
        self.scale = scale;
        Ok(self)
    }

    /// The same problem with or without a causal mask: query `i` of a sequence sees the keys up to its own position,
    /// `i + key_length - query_length` by the sequence's own lengths. So the last valid query sees every valid key, and fewer queries than
    /// keys are a chunk behind a cache. A query before the first key sees nothing and gives zeros. With tensors of as many queries as keys,
    /// positions are never below `i`, so that lengths of the keys alone, for padding, move nothing.
    ///
    /// # Errors
    /// Only methods that compute exactly what they see can be causal; [`Method::Auto`](crate::Method::Auto) then takes exact attention.
    pub fn with_causal(mut self, causal: bool) -> Result<Self> {
        let can_be = matches!(self.method, Method::Exact | Method::Window { .. } | Method::Auto { .. });
        if causal && !can_be {
            return Err(Error::Unsupported { feature: "causal attention by clusters" });
        }
        self.causal = causal;
        Ok(self)
    }

    /// Sizes of the tensors.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Whether queries see no key behind their own position.
    pub fn causal(&self) -> bool {
        self.causal
    }

    /// The same problem by another method, which must be valid for its shape.
    pub(crate) fn with_method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Order of the axes in memory.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The softmax scale.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    pub(crate) fn query_strides(&self) -> Strides {
        Strides::new(self.layout, self.shape.query_heads, self.shape.queries, self.shape.width)
    }

    pub(crate) fn key_strides(&self) -> Strides {
        Strides::new(self.layout, self.shape.key_heads, self.shape.keys, self.shape.width)
    }

    pub(crate) fn value_strides(&self) -> Strides {
        Strides::new(self.layout, self.shape.key_heads, self.shape.keys, self.shape.value_width)
    }

    pub(crate) fn output_strides(&self) -> Strides {
        Strides::new(self.layout, self.shape.query_heads, self.shape.queries, self.shape.value_width)
    }
}
