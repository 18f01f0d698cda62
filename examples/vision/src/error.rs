//! What can go wrong.

use clustered_attention_models::weights::WeightsError;
use clustered_attention_models::AssetError;
use std::path::{Path, PathBuf};

/// The result of what can fail here.
pub type Result<T, E = VisionError> = std::result::Result<T, E>;

/// Why features could not be computed, or a model not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum VisionError {
    /// The model or the photographs have not been fetched.
    #[error(transparent)]
    Asset(#[from] AssetError),
    /// A file cannot be read.
    #[error("{} cannot be read: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A file cannot be written.
    #[error("{} cannot be written: {message}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// A file is no photograph that can be read.
    #[error("{} is no photograph in PNG or JPEG that can be read: {message}", path.display())]
    Photograph {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A side that is none of whole patches.
    #[error("{pixels} pixels are no side of whole patches of {patch} that can be computed: {lower} or {upper} are")]
    Side {
        /// What was asked for.
        pixels: usize,
        /// Pixels of a patch.
        patch: usize,
        /// The next smaller side, at least one patch.
        lower: usize,
        /// The next larger one.
        upper: usize,
    },
    /// A file is no model of ONNX.
    #[error("{} is no ONNX model, or one that is cut short: {message}", path.display())]
    Onnx {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// Weights are missing or of other shapes than the model needs.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// True disparities cannot be read.
    #[error("{} holds no array of disparities: {message}", path.display())]
    Disparity {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// Attention failed.
    #[error(transparent)]
    Attention(#[from] clustered_attention::Error),
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(String),
}

impl VisionError {
    pub(crate) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |cause| Self::Read { path: path.to_owned(), cause }
    }
}
