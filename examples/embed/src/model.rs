//! The model: tokenizer, encoder and pooling.

use crate::config::Config;
use crate::encoder::{names, Encoder};
use crate::{EmbedError, Result, Stopwatch, Tokenizer, Tokens};
use burn::tensor::{Device, Int, Tensor, TensorData};
use clustered_attention::Method;
use clustered_attention_models::weights::load_safetensors;
use clustered_attention_models::{device, Asset};
use std::path::Path;

/// A sentence embedder.
pub struct Model {
    encoder: Encoder,
    tokenizer: Tokenizer,
    device: Device,
}

/// What the model makes of a batch.
pub struct Output {
    /// The last layer's states, `[batch, length, width]`, padded at the end of each sequence to the longest.
    pub states: Tensor<3>,
    /// The embeddings, `[batch, width]`.
    pub embeddings: Tensor<2>,
}

/// The last layer's states of one text, on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct HiddenStates {
    /// Numbers of each state.
    pub width: usize,
    /// State after state, one for each token.
    pub values: Vec<f32>,
}

impl HiddenStates {
    /// The state of each token.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.width)
    }
}

impl Model {
    /// Tokens of a batch with its padding, where the model makes the batches.
    const TOKENS_PER_BATCH: usize = 4096;

    /// Loads all-MiniLM-L6-v2, with exact attention.
    ///
    /// # Errors
    /// It has not been fetched, or something is wrong with its files.
    pub fn load(device: &Device) -> Result<Self> {
        for file in ["config.json", "tokenizer.json", "model.safetensors"] {
            Asset::MINILM.path(file)?;
        }
        Self::load_from(&Asset::MINILM.folder()?, device)
    }

    /// Loads `config.json`, `tokenizer.json` and `model.safetensors` of a folder: a BERT whose embeddings are the mean of its tokens, as
    /// all of `all-MiniLM`'s family are. The weights are mapped, not read as a whole.
    ///
    /// # Errors
    /// Files that are missing, damaged, of another kind of model, or that do not belong together.
    pub fn load_from(folder: &Path, device: &Device) -> Result<Self> {
        let config = Config::load(folder)?;
        let tokenizer = folder.join("tokenizer.json");
        let tokenizer = Tokenizer::load(&tokenizer, config.vocab_size, config.max_position_embeddings)?;
        let mut encoder = Encoder::new(&config, device)?;
        load_safetensors(&mut encoder, &folder.join("model.safetensors"), &names())?;
        Ok(Self { encoder, tokenizer, device: device.clone() })
    }

    /// Another method of attention, in all layers.
    pub fn set_method(&mut self, method: Method) {
        self.encoder.set_method(method);
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The tokenizer, to have it cut texts off earlier.
    pub fn tokenizer_mut(&mut self) -> &mut Tokenizer {
        &mut self.tokenizer
    }

    /// Where the model is.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Tokens of each text.
    ///
    /// # Errors
    /// A text in which nothing is.
    pub fn tokenize<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<Tokens>> {
        let encode = |(index, text): (usize, &T)| {
            let tokens = self.tokenizer.encode(text.as_ref())?;
            tokens.ok_or(EmbedError::EmptyText { number: index + 1 })
        };
        texts.iter().enumerate().map(encode).collect()
    }

    /// The embedding of each text, of length 1. Texts are computed in batches of similar length; what a text's embedding is does not
    /// depend on the others, up to rounding.
    ///
    /// # Errors
    /// A text in which nothing is; those of attention.
    pub fn embed<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<Vec<f32>>> {
        self.embed_tokens(&self.tokenize(texts)?)
    }

    /// [`Model::embed`] of texts that are tokens already.
    ///
    /// # Errors
    /// Those of attention.
    pub fn embed_tokens(&self, texts: &[Tokens]) -> Result<Vec<Vec<f32>>> {
        let mut embeddings = vec![Vec::new(); texts.len()];
        for batch in batches(texts, Self::TOKENS_PER_BATCH) {
            let tokens: Vec<&Tokens> = batch.iter().map(|&index| &texts[index]).collect();
            let computed = self.forward(&tokens, None)?.embeddings;
            let [_, width] = computed.dims();
            let rows = numbers(computed)?;
            for (&index, row) in batch.iter().zip(rows.chunks_exact(width)) {
                embeddings[index] = row.to_vec();
            }
        }
        Ok(embeddings)
    }

    /// The last layer's states of each text, all in one batch.
    ///
    /// # Errors
    /// Those of attention.
    pub fn hidden_states(&self, texts: &[Tokens]) -> Result<Vec<HiddenStates>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let states = self.forward(&texts.iter().collect::<Vec<_>>(), None)?.states;
        let [_, length, width] = states.dims();
        let values = numbers(states)?;
        let of_text =
            |(text, rows): (&Tokens, &[f32])| HiddenStates { width, values: rows[..text.ids.len() * width].to_vec() };
        Ok(texts.iter().zip(values.chunks_exact(length * width)).map(of_text).collect())
    }

    /// States and embeddings of a batch of at least one text, on the device.
    ///
    /// # Errors
    /// Those of attention.
    pub fn forward(&self, texts: &[&Tokens], stopwatch: Option<&mut Stopwatch>) -> Result<Output> {
        let length = texts.iter().map(|text| text.ids.len()).max().unwrap_or(0);
        let lengths: Vec<u32> = texts.iter().map(|text| text.ids.len() as u32).collect();
        // Padding is never looked at, so any token will do.
        let mut ids = vec![0; texts.len() * length];
        for (row, text) in ids.chunks_exact_mut(length).zip(texts) {
            row.iter_mut().zip(&text.ids).for_each(|(to, &id)| *to = id as i32);
        }
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [texts.len(), length]), &self.device);
        let states = self.encoder.forward(ids, &lengths, stopwatch)?;
        let embeddings = pool(states.clone(), &lengths);
        Ok(Output { states, embeddings })
    }
}

/// The mean of the valid states of each sequence, scaled to length 1.
fn pool(states: Tensor<3>, lengths: &[u32]) -> Tensor<2> {
    let [batch, length, width] = states.dims();
    let weight = |&valid: &u32| (0..length as u32).map(move |position| f32::from(u8::from(position < valid)));
    let weights: Vec<f32> = lengths.iter().flat_map(weight).collect();
    let weights = Tensor::<3>::from_data(TensorData::new(weights, [batch, length, 1]), &states.device());
    // The sum does for the mean, since it is scaled anyway.
    let sum = (states * weights).sum_dim(1).reshape([batch, width]);
    let norm = (sum.clone() * sum.clone()).sum_dim(1).sqrt().clamp_min(1e-12);
    sum / norm
}

/// A tensor's numbers on the host.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    device::numbers(tensor).map_err(EmbedError::Device)
}

/// Texts, by their numbers, in batches of similar length that with padding have at most `limit` tokens, or one text.
fn batches(texts: &[Tokens], limit: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|&index| texts[index].ids.len());
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for index in order {
        // The last text of a batch is its longest.
        let length = texts[index].ids.len();
        match batches.last_mut() {
            Some(batch) if (batch.len() + 1) * length <= limit => batch.push(index),
            _ => batches.push(vec![index]),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_every_text_once_and_no_more_tokens_than_allowed() {
        let lengths = [7, 3, 100, 3, 40, 9, 512, 40];
        let texts: Vec<Tokens> = lengths.iter().map(|&length| Tokens { ids: vec![0; length], left_out: 0 }).collect();
        let batches = batches(&texts, 100);
        let mut all: Vec<usize> = batches.concat();
        all.sort_unstable();
        assert_eq!(all, (0..lengths.len()).collect::<Vec<_>>());
        for batch in &batches {
            let longest = batch.iter().map(|&index| lengths[index]).max().expect("no batch is empty");
            assert!(batch.len() == 1 || batch.len() * longest <= 100, "{batch:?}");
        }
    }
}
