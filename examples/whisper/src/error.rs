//! What can go wrong, each with the name of what it is about.

use crate::audio::{MAXIMUM_CHANNELS, MAXIMUM_RATE, MINIMUM_RATE};
use std::path::{Path, PathBuf};

/// Everything that can go wrong between a file and its transcript.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be opened or read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is not a WAV file, or its header or data break off.
    #[error("{path} is not a whole WAV file: {reason}")]
    NotWave {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A WAV file of a kind that is not read.
    #[error(
        "{path} holds {actual}; needed are integers of 8, 16, 24 or 32 bits, floats of 32 or 64 bits, A-law or mu-law of 8 \
        bits, in 1 to {MAXIMUM_CHANNELS} channels at {MINIMUM_RATE} to {MAXIMUM_RATE} Hz"
    )]
    UnsupportedWave {
        /// The file.
        path: PathBuf,
        /// The kind of samples in it.
        actual: String,
    },
    /// A recording without samples.
    #[error("{name} holds no samples")]
    NoSamples {
        /// The file, or what the samples are called.
        name: String,
    },
    /// A sample that is NaN or infinite.
    #[error("sample {index} of {name} is {value}, not a number that sound can have")]
    NotFinite {
        /// The file, or what the samples are called.
        name: String,
        /// The first such sample, counted over all channels.
        index: usize,
        /// Its value.
        value: f32,
    },
    /// A sampling rate that cannot be brought to 16 kHz.
    #[error("a sampling rate of {rate} Hz is not supported: from {minimum} to {maximum} Hz are")]
    SamplingRate {
        /// The rate in hertz.
        rate: u32,
        /// The lowest rate that is supported.
        minimum: u32,
        /// The highest rate that is supported.
        maximum: u32,
    },
    /// The resampler refused its input.
    #[error("resampling from {rate} Hz failed: {reason}")]
    Resample {
        /// The rate in hertz.
        rate: u32,
        /// What the resampler says.
        reason: String,
    },
    /// A file of weights that is not in the format it should be.
    #[error("{path} is not a CTranslate2 model of version 6: {reason}")]
    NotCtranslate2 {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A file of weights of another model.
    #[error("{path} is not Whisper tiny.en: {reason}")]
    NotTinyEn {
        /// The file.
        path: PathBuf,
        /// The variable that is missing or does not fit.
        reason: String,
    },
    /// A folder in which a file of the model is missing.
    #[error("{folder} is no folder of a Whisper model: it holds no {missing}")]
    NotModelFolder {
        /// The folder.
        folder: PathBuf,
        /// The file that is not there.
        missing: &'static str,
    },
    /// A tokenizer that cannot be read or is another model's.
    #[error("{path} is not the tokenizer of Whisper tiny.en: {reason}")]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A transcript that cannot be compared with.
    #[error("{path} is no transcript: {reason}")]
    Transcript {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Tokens that the tokenizer could not make text of.
    #[error("the tokenizer could not decode what was recognised: {reason}")]
    Decode {
        /// What the tokenizer says.
        reason: String,
    },
    /// A token that the decoder cannot take.
    #[error("the decoder takes tokens below {vocabulary} at positions below {positions}, not token {token} at position {position}")]
    Token {
        /// The token.
        token: u32,
        /// How many came before it.
        position: usize,
        /// Tokens there are.
        vocabulary: usize,
        /// Tokens that the decoder can hold.
        positions: usize,
    },
    /// The device failed.
    #[error("the device failed: {reason}")]
    Device {
        /// What Burn says.
        reason: String,
    },
    /// Attention refused its input or its options.
    #[error(transparent)]
    Attention(#[from] clustered_attention::Error),
    /// Weights could not be loaded into the model.
    #[error(transparent)]
    Weights(#[from] clustered_attention_models::weights::WeightsError),
    /// A packaged file is not there.
    #[error(transparent)]
    Assets(#[from] clustered_attention_models::assets::AssetError),
}

/// The crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Reading a file failed.
    pub(crate) fn read(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Read { path: path.to_owned(), source }
    }
}
