//! `config.json` of a model.

use crate::{EmbedError, Result};
use serde::Deserialize;
use std::path::Path;

/// Sizes of an encoder, as the model's file names them.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Config {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub layer_norm_eps: f64,
    pub max_position_embeddings: usize,
    pub num_attention_heads: usize,
    pub num_hidden_layers: usize,
    pub type_vocab_size: usize,
    pub vocab_size: usize,
    model_type: String,
    hidden_act: String,
    #[serde(default = "absolute")]
    position_embedding_type: String,
}

fn absolute() -> String {
    "absolute".into()
}

/// How sentence-transformers pools, of `1_Pooling/config.json`.
#[derive(Deserialize)]
struct Pooling {
    pooling_mode_mean_tokens: bool,
}

impl Config {
    /// Reads a model's configuration and checks that it is of the one architecture that there is here: BERT's, pooled by the mean.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        let config: Self = parse(&path, &read(&path)?)?;
        let wrong = |message: String| Err(EmbedError::Config { path: path.clone(), message });
        for (name, actual, needed) in [
            ("model_type", &config.model_type, "bert"),
            ("hidden_act", &config.hidden_act, "gelu"),
            ("position_embedding_type", &config.position_embedding_type, "absolute"),
        ] {
            if actual != needed {
                return wrong(format!("`{name}` is {actual:?}, but only {needed:?} is known"));
            }
        }
        for (name, size) in [
            ("hidden_size", config.hidden_size),
            ("intermediate_size", config.intermediate_size),
            ("num_attention_heads", config.num_attention_heads),
            ("num_hidden_layers", config.num_hidden_layers),
            ("type_vocab_size", config.type_vocab_size),
            ("vocab_size", config.vocab_size),
        ] {
            if size == 0 {
                return wrong(format!("`{name}` is 0"));
            }
        }
        if config.max_position_embeddings < 3 {
            return wrong("`max_position_embeddings` leaves no room for a token".into());
        }
        if !config.hidden_size.is_multiple_of(config.num_attention_heads) {
            return wrong("`num_attention_heads` does not divide `hidden_size`".into());
        }
        config.check_pooling(folder)?;
        Ok(config)
    }

    /// Models that are pooled in another way would load, and give embeddings that mean nothing.
    fn check_pooling(&self, folder: &Path) -> Result<()> {
        let path = folder.join("1_Pooling").join("config.json");
        if path.is_file() && !parse::<Pooling>(&path, &read(&path)?)?.pooling_mode_mean_tokens {
            let message = "its embeddings are not the mean of the tokens, and no other pooling is known".into();
            return Err(EmbedError::Config { path, message });
        }
        Ok(())
    }
}

fn parse<T: for<'text> Deserialize<'text>>(path: &Path, text: &[u8]) -> Result<T> {
    serde_json::from_slice(text)
        .map_err(|error| EmbedError::Config { path: path.to_owned(), message: error.to_string() })
}

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|cause| EmbedError::Read { path: path.to_owned(), cause })
}
