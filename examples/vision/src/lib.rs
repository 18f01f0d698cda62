//! Features of photographs by a vision transformer of DINOv2's architecture in [Burn](https://burn.dev), with any method of attention in place
//! of the model's own, nothing retrained.
//!
//! ```no_run
//! use burn::tensor::Device;
//! use clustered_attention_vision::{open, Attention, Model};
//!
//! let mut model = Model::load(&Device::flex())?;
//! model.set_attention(Attention::image(25, 64));
//! let features = model.features(&open("photograph.jpg".as_ref(), 1036)?, None)?;
//! println!("{} x {} patches, {} numbers each", features.rows, features.columns, features.width);
//! # Ok::<(), clustered_attention_vision::VisionError>(())
//! ```

mod attention;
mod encoder;
mod error;
mod features;
mod model;
mod onnx;
mod photograph;
pub mod picture;
mod positions;
mod principal;
pub mod stereo;

pub use attention::Attention;
pub use error::{Result, VisionError};
pub use features::Features;
pub use model::{Model, PATCH};
pub use photograph::{open, resized, Photograph};
pub use principal::Colours;
