//! What is asked: sizes, layout, method and input, validated once. Knows nothing of devices.

mod clustering;
mod element;
mod grid;
mod guard;
mod inputs;
mod magnitude;
mod method;
mod method_text;
mod neighbourhood;
mod precision;
mod recipe;
mod shape;
mod stitched;
mod supplied;
mod visibility;

pub use clustering::{Clustering, Space};
pub use element::{Element, Stored};
#[cfg(all(test, feature = "gpu"))]
pub(crate) use grid::tests::kinds as kinds_of_grid;
pub use grid::Grid;
pub(crate) use grid::Patches;
pub use guard::{Guard, GuardAction, Tolerance};
#[cfg(any(feature = "gpu", feature = "burn-host", feature = "candle"))]
pub(crate) use inputs::check_lengths;
pub use inputs::Inputs;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use inputs::{check_element, OwnedCall};
pub(crate) use inputs::{check_output, empty_output, Call, Sums};
pub use method::Method;
pub use neighbourhood::Neighbourhood;
pub use precision::Precision;
pub(crate) use recipe::{Finish, Recipe};
pub use shape::{Layout, Shape, Strides};
pub use stitched::{KeyGroups, Stitched};
pub use supplied::{Supplied, NO_KEY};
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
    element: Element,
    precision: Precision,
    /// Of queries, keys and values, where they are not dense.
    input_strides: Option<[Strides; 3]>,
}

impl Problem {
    /// Checks shape and method. The layout is [`Layout::HeadsFirst`], the scale `1/sqrt(width)`, the element [`Element::F32`] and the
    /// precision [`Precision::Float32`] until changed.
    ///
    /// # Errors
    /// Names the first argument out of range.
    pub fn new(shape: Shape, method: Method) -> Result<Self> {
        shape.validate()?;
        method.validate(&shape)?;
        let scale = 1.0 / (shape.width as f32).sqrt();
        let (layout, element, precision) = (Layout::HeadsFirst, Element::F32, Precision::Float32);
        Ok(Self { shape, method, layout, scale, causal: false, element, precision, input_strides: None })
    }

    /// The same problem with its tensors in another layout.
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// The same problem with queries, keys, values and output stored in another element, in the same layout and strides, which count elements.
    /// It decides what host slices and buffers hold, and nothing else: everything is computed in float32.
    ///
    /// ```
    /// use clustered_attention::{half::f16, Attention, Backend, Element, Inputs, Method, Problem, Shape};
    /// let shape = Shape::self_attention(1, 2, 50, 16);
    /// let problem = Problem::new(shape, Method::Exact)?.with_element(Element::F16);
    /// let data: Vec<f16> = (0..shape.query_elements()).map(|i| f16::from_f32((i as f32 * 0.37).sin())).collect();
    /// let output: Vec<f16> =
    ///     Attention::new_blocking(Backend::Cpu)?.run_blocking(&problem, &Inputs::new(&data, &data, &data))?;
    /// assert_eq!(output.len(), shape.output_elements());
    /// # Ok::<(), clustered_attention::Error>(())
    /// ```
    pub fn with_element(mut self, element: Element) -> Self {
        self.element = element;
        self
    }

    /// The same problem with products that need be no more precise than this, which lets matrix units compute them where they were opened.
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
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
        let can_be = matches!(self.method, Method::Exact | Method::Window { .. } | Method::Auto(_));
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

    /// How the tensors are stored.
    pub fn element(&self) -> Element {
        self.element
    }

    /// How precise products must be at least.
    pub fn precision(&self) -> Precision {
        self.precision
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

    /// The same problem with queries, keys and values that lie otherwise than the layout says: with gaps between rows or heads, as the parts of a
    /// fused buffer of queries, keys and values do, or with heads or sequences that share memory. The output stays as the layout says. Slices,
    /// of host memory or buffers, begin at a tensor's first element and reach at least to its last ([`Problem::query_elements`] and the like).
    ///
    /// # Errors
    /// A row that is closer to the next than it is wide, distances beyond what devices address (2^32), and a tensor that reaches beyond memory.
    ///
    /// ```
    /// use clustered_attention::{Attention, Backend, Inputs, Method, Problem, Shape, Strides};
    /// // `[length, 3, heads, width]`, as one projection makes queries, keys and values.
    /// let (length, heads, width) = (50, 2, 8);
    /// let fused: Vec<f32> = (0..length * 3 * heads * width).map(|i| (i as f32 * 0.37).sin()).collect();
    /// let strides = Strides::new(fused.len(), width, 3 * heads * width);
    /// let problem = Problem::new(Shape::self_attention(1, heads, length, width), Method::Exact)?
    ///     .with_input_strides(strides, strides, strides)?;
    /// let part = |index: usize| &fused[index * heads * width..];
    /// let output = Attention::new_blocking(Backend::Cpu)?
    ///     .run_blocking(&problem, &Inputs::new(part(0), part(1), part(2)))?;
    /// assert_eq!(output.len(), heads * length * width);
    /// # Ok::<(), clustered_attention::Error>(())
    /// ```
    pub fn with_input_strides(mut self, queries: Strides, keys: Strides, values: Strides) -> Result<Self> {
        let widths = [self.shape.width, self.shape.width, self.shape.value_width];
        let names = ["row stride of queries", "row stride of keys", "row stride of values"];
        for ((argument, strides), width) in names.into_iter().zip([queries, keys, values]).zip(widths) {
            let most = 1 << 32;
            let largest = strides.batch.max(strides.head).max(strides.row) as u64;
            if strides.row < width || largest >= most {
                let value = format!("{} of {strides:?}", strides.row);
                let allowed = format!("at least {width}, and all below {most}");
                return Err(Error::OutOfRange { argument, value, allowed });
            }
        }
        self.input_strides = Some([queries, keys, values]);
        let shape = &self.shape;
        for (tensor, strides, heads, rows, width) in [
            ("queries", queries, shape.query_heads, shape.queries, shape.width),
            ("keys", keys, shape.key_heads, shape.keys, shape.width),
            ("values", values, shape.key_heads, shape.keys, shape.value_width),
        ] {
            let along = |stride: usize, count: usize| stride as u128 * (count as u128 - 1);
            let extent = along(strides.batch, shape.batch) + along(strides.head, heads) + along(strides.row, rows);
            let elements = extent + width as u128;
            if elements >= 1 << 48 || 4 * elements > isize::MAX as u128 {
                return Err(Error::SizeOverflow { tensor, dimensions: format!("{strides:?}") });
            }
        }
        Ok(self)
    }

    /// Elements from the first of the queries to the last.
    pub fn query_elements(&self) -> usize {
        let shape = &self.shape;
        extent(self.query_strides(), [shape.batch, shape.query_heads, shape.queries, shape.width])
    }

    /// Elements from the first of the keys to the last.
    pub fn key_elements(&self) -> usize {
        let shape = &self.shape;
        extent(self.key_strides(), [shape.batch, shape.key_heads, shape.keys, shape.width])
    }

    /// Elements from the first of the values to the last.
    pub fn value_elements(&self) -> usize {
        let shape = &self.shape;
        extent(self.value_strides(), [shape.batch, shape.key_heads, shape.keys, shape.value_width])
    }

    /// Whether all inputs lie without gaps, as the layout says.
    pub(crate) fn is_dense(&self) -> bool {
        self.input_strides.is_none()
    }

    pub(crate) fn query_strides(&self) -> Strides {
        let dense = || Strides::dense(self.layout, self.shape.query_heads, self.shape.queries, self.shape.width);
        self.input_strides.map_or_else(dense, |[queries, ..]| queries)
    }

    pub(crate) fn key_strides(&self) -> Strides {
        let dense = || Strides::dense(self.layout, self.shape.key_heads, self.shape.keys, self.shape.width);
        self.input_strides.map_or_else(dense, |[_, keys, _]| keys)
    }

    pub(crate) fn value_strides(&self) -> Strides {
        let dense = || Strides::dense(self.layout, self.shape.key_heads, self.shape.keys, self.shape.value_width);
        self.input_strides.map_or_else(dense, |[.., values]| values)
    }

    pub(crate) fn output_strides(&self) -> Strides {
        Strides::dense(self.layout, self.shape.query_heads, self.shape.queries, self.shape.value_width)
    }
}

/// Elements from the first of a tensor to the last.
fn extent(strides: Strides, [batch, heads, rows, width]: [usize; 4]) -> usize {
    strides.offset(batch - 1, heads - 1, rows - 1) + width
}
