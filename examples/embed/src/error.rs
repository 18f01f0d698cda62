//! What can go wrong.

use clustered_attention_models::weights::WeightsError;
use clustered_attention_models::AssetError;
use std::path::PathBuf;

/// The result of what can fail here.
pub type Result<T, E = EmbedError> = std::result::Result<T, E>;

/// Why a text could not be embedded, or a model not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The model or the speeches have not been fetched.
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
    /// The model's configuration is of another kind of model, or none.
    #[error("{} does not describe a model that can be loaded: {message}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The tokenizer cannot be read.
    #[error("{} is no tokenizer: {message}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The tokenizer is of another model.
    #[error("the tokenizer {} has {tokenizer} tokens, but the model has {model}: they do not belong together", path.display())]
    Vocabulary {
        /// The tokenizer's file.
        path: PathBuf,
        /// Tokens of the tokenizer.
        tokenizer: usize,
        /// Tokens of the model.
        model: usize,
    },
    /// The tokenizer lacks a token that the model needs.
    #[error("the tokenizer {} has no token {token}, which the model needs", path.display())]
    SpecialToken {
        /// The tokenizer's file.
        path: PathBuf,
        /// The token.
        token: &'static str,
    },
    /// The weights cannot be loaded.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A text has nothing in it to embed.
    #[error("text {number} is empty: there is nothing to embed")]
    EmptyText {
        /// Which, counted from 1.
        number: usize,
    },
    /// A text cannot be cut into tokens.
    #[error("a text cannot be cut into tokens: {0}")]
    Encoding(String),
    /// A length that the model cannot have.
    #[error("{length} tokens are not possible: the model takes 3 to {longest}")]
    Length {
        /// The length.
        length: usize,
        /// The model's longest.
        longest: usize,
    },
    /// There are fewer passages than asked for.
    #[error("there are only {available} passages of {length} tokens, but {needed} are needed")]
    TooFewPassages {
        /// Passages that there are.
        available: usize,
        /// Tokens of each.
        length: usize,
        /// Passages asked for.
        needed: usize,
    },
    /// Attention failed.
    #[error(transparent)]
    Attention(#[from] clustered_attention::Error),
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(String),
}
