//! What the model makes of a photograph.

use crate::{Result, VisionError};
use clustered_attention_models::table::cosine;
use safetensors::tensor::{Dtype, TensorView};
use std::path::Path;

/// A feature for each patch, and one for the whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// Rows of patches.
    pub rows: usize,
    /// Patches of a row.
    pub columns: usize,
    /// Numbers of a feature.
    pub width: usize,
    /// The class token's, `[width]`.
    pub class: Vec<f32>,
    /// The patches', `[rows, columns, width]`.
    pub patches: Vec<f32>,
}

impl Features {
    /// The feature of each patch, row by row.
    pub fn each(&self) -> std::slice::ChunksExact<'_, f32> {
        self.patches.chunks_exact(self.width)
    }

    /// The mean cosine of the patches' features with those of another run over the same photograph.
    pub fn cosine(&self, other: &Self) -> f64 {
        let sum: f64 = self.each().zip(other.each()).map(|(one, other)| cosine(one, other)).sum();
        sum / (self.rows * self.columns).max(1) as f64
    }

    /// The patches' features, each scaled to length 1.
    pub(crate) fn directions(&self) -> Vec<f32> {
        let scaled = |feature: &[f32]| {
            let norm = feature.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
            feature.iter().map(|value| value / norm).collect::<Vec<f32>>()
        };
        self.each().flat_map(scaled).collect()
    }

    /// Writes them as `patches`, `[rows, columns, width]`, and `class`, `[width]`, in float32.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let failed = |message: String| VisionError::Write { path: path.to_owned(), message };
        let bytes = |numbers: &[f32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
        let (patches, class) = (bytes(&self.patches), bytes(&self.class));
        let view = |shape, bytes| TensorView::new(Dtype::F32, shape, bytes).map_err(|error| failed(error.to_string()));
        let tensors = [
            ("patches", view(vec![self.rows, self.columns, self.width], &patches)?),
            ("class", view(vec![self.width], &class)?),
        ];
        let file = safetensors::serialize(tensors, None).map_err(|error| failed(error.to_string()))?;
        std::fs::write(path, file).map_err(|error| failed(error.to_string()))
    }
}
