//! The model: from a photograph to features.

use crate::encoder::{Encoder, NAMES, WIDTH};
use crate::positions::{between, TRAINED};
use crate::{onnx, Attention, Features, Photograph, Result, VisionError};
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor, TensorData};
use clustered_attention::Method;
use clustered_attention_models::weights::load_tensors;
use clustered_attention_models::{device, Asset};
use std::path::Path;
use std::time::Duration;

/// Pixels of a patch's side.
pub const PATCH: usize = 14;

/// A vision transformer with its weights.
pub struct Model {
    weights: Weights,
    attention: Attention,
    /// Positions of the trained size, on the host.
    positions: Vec<f32>,
    device: Device,
}

#[derive(Module, Debug)]
struct Weights {
    projection: Conv2d,
    class: Param<Tensor<3>>,
    /// Position of the class token, and of the patches.
    class_position: Param<Tensor<3>>,
    positions: Param<Tensor<3>>,
    encoder: Encoder,
}

/// Names beside those of the encoder. Those of constants that the export folded are its numbers.
const NAMES_AROUND: &[(&str, &str)] = &[
    (r"^backbone\.embeddings\.cls_token$", "class"),
    (r"^backbone\.embeddings\.patch_embeddings\.projection\.", "projection."),
    (r"^onnx::Concat_1957$", "class_position"),
    (r"^onnx::Reshape_1962$", "positions"),
    (r"^(layers|norm)\.", "encoder.${1}."),
];

impl Model {
    /// Loads the model that was fetched, with exact attention.
    ///
    /// # Errors
    /// It has not been fetched, or something is wrong with its file.
    pub fn load(device: &Device) -> Result<Self> {
        Self::load_from(&Asset::DINO.path("model.onnx")?, device)
    }

    /// Loads an ONNX file of the same model.
    ///
    /// # Errors
    /// A file that is missing, damaged, or of another model.
    pub fn load_from(path: &Path, device: &Device) -> Result<Self> {
        let parameter = |sizes: [usize; 3]| Param::from_tensor(Tensor::<3>::zeros(sizes, device));
        let mut weights = Weights {
            projection: Conv2dConfig::new([3, WIDTH], [PATCH; 2]).with_stride([PATCH; 2]).init(device),
            class: parameter([1, 1, WIDTH]),
            class_position: parameter([1, 1, WIDTH]),
            positions: parameter([1, TRAINED * TRAINED, WIDTH]),
            encoder: Encoder::new(device)?,
        };
        let names: Vec<(&str, &str)> = NAMES.iter().chain(NAMES_AROUND).copied().collect();
        load_tensors(&mut weights, onnx::weights(path)?, &names)?;
        let positions = numbers(weights.positions.val())?;
        Ok(Self { weights, attention: Attention::Plain(Method::Exact), positions, device: device.clone() })
    }

    /// Another method of attention, in all layers.
    pub fn set_attention(&mut self, attention: Attention) {
        self.attention = attention;
    }

    /// Where the model is.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The features of a photograph. With a stopwatch, what attention takes in all layers is added to it, and the whole takes somewhat longer.
    ///
    /// # Errors
    /// Those of attention, and a device that fails.
    pub fn features(&mut self, photograph: &Photograph, stopwatch: Option<&mut Duration>) -> Result<Features> {
        let (rows, columns) = (photograph.rows(), photograph.columns());
        self.weights.encoder.set_method(self.attention.method(rows, columns));
        let pixels = TensorData::new(photograph.planes(), [1, 3, PATCH * rows, PATCH * columns]);
        let patches = self.weights.projection.forward(Tensor::<4>::from_data(pixels, &self.device));
        let positions = TensorData::new(between(&self.positions, rows, columns, WIDTH), [1, rows * columns, WIDTH]);
        let positions = Tensor::<3>::from_data(positions, &self.device);
        let patches = patches.reshape([1, WIDTH, rows * columns]).swap_dims(1, 2) + positions;
        let class = self.weights.class.val() + self.weights.class_position.val();
        let states = self.weights.encoder.forward(Tensor::cat(vec![class, patches], 1), stopwatch)?;
        let mut numbers = numbers(states)?;
        let patches = numbers.split_off(WIDTH);
        Ok(Features { rows, columns, width: WIDTH, class: numbers, patches })
    }
}

/// A tensor's numbers on the host.
fn numbers<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    device::numbers(tensor).map_err(VisionError::Device)
}
