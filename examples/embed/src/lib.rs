//! Sentence embeddings with all-MiniLM-L6-v2 (or another encoder of its kind) in [Burn](https://burn.dev), with any method of attention in
//! place of the model's own, nothing retrained.
//!
//! ```no_run
//! use burn::tensor::Device;
//! use clustered_attention::Method;
//! use clustered_attention_embed::Model;
//!
//! let mut model = Model::load(&Device::flex())?;
//! model.set_method(Method::stitched(25));
//! let embeddings = model.embed(&["The weather is lovely today.", "It's so sunny outside!"])?;
//! # Ok::<(), clustered_attention_embed::EmbedError>(())
//! ```

pub mod compare;
mod config;
mod encoder;
mod error;
mod model;
pub mod search;
pub mod speeches;
mod stopwatch;
mod tokenizer;

pub use error::{EmbedError, Result};
pub use model::{HiddenStates, Model, Output};
pub use stopwatch::Stopwatch;
pub use tokenizer::{Tokenizer, Tokens};
