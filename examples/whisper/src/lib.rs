//! Speech recognition with Whisper tiny.en on [Burn](https://burn.dev), the attention of its encoder replaced by any method of
//! [`clustered_attention`].
//!
//! From a recording to its text: [`audio`] reads a WAV file, [`log_mel`] makes the spectrogram, [`model`] is the network, [`decoding`]
//! takes the likeliest tokens, [`tokenizer`] makes text of them; [`Recognizer`] holds all that together. [`ctranslate2`] reads the
//! packaged weights. [`word_error_rate`] compares transcripts, [`task`] does so over the packaged recordings.

pub mod audio;
pub mod ctranslate2;
pub mod decoding;
mod error;
pub mod log_mel;
pub mod model;
mod recognizer;
pub mod task;
pub mod tokenizer;
mod wave;
pub mod word_error_rate;

pub use error::{Error, Result};
pub use recognizer::{ModelFiles, Recognizer, Segment, Transcript};
