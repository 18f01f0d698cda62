//! From text to token numbers.

use crate::{EmbedError, Result};
use std::path::Path;

/// A model's tokenizer.
pub struct Tokenizer {
    tokenizer: tokenizers::Tokenizer,
    begin: u32,
    end: u32,
    longest: usize,
}

/// A text as the model takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Token numbers, with the marks of beginning and end.
    pub ids: Vec<u32>,
    /// Tokens at the text's end that were left out, because the model takes no more.
    pub left_out: usize,
}

impl Tokenizer {
    const BEGIN: &str = "[CLS]";
    const END: &str = "[SEP]";
    /// The marks of beginning and end.
    const MARKS: usize = 2;

    /// Reads `tokenizer.json` of a model that knows so many tokens and positions. Truncation and padding that the file asks for are
    /// ignored: both are the model's affair.
    pub(crate) fn load(path: &Path, vocabulary: usize, longest: usize) -> Result<Self> {
        let path_buffer = || path.to_owned();
        let bytes = crate::config::read(path)?;
        let mut tokenizer = tokenizers::Tokenizer::from_bytes(bytes)
            .map_err(|error| EmbedError::Tokenizer { path: path_buffer(), message: error.to_string() })?;
        let count = tokenizer.get_vocab_size(true);
        if count != vocabulary {
            return Err(EmbedError::Vocabulary { path: path_buffer(), tokenizer: count, model: vocabulary });
        }
        let id = |token: &'static str| {
            // Every number has to be one that the model knows; with as many tokens, those that are marks say so.
            let id = tokenizer.token_to_id(token).filter(|&id| (id as usize) < vocabulary);
            id.ok_or_else(|| EmbedError::SpecialToken { path: path_buffer(), token })
        };
        let (begin, end) = (id(Self::BEGIN)?, id(Self::END)?);
        tokenizer
            .with_padding(None)
            .with_truncation(None)
            .map_err(|error| EmbedError::Tokenizer { path: path_buffer(), message: error.to_string() })?;
        Ok(Self { tokenizer, begin, end, longest })
    }

    /// The most tokens that a text may have, with the marks of beginning and end.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Cuts texts off after fewer tokens than the model takes. sentence-transformers cuts off after 256, which is what the model was
    /// trained with at most.
    ///
    /// # Errors
    /// [`EmbedError::Length`].
    pub fn set_longest(&mut self, length: usize) -> Result<()> {
        if length <= Self::MARKS || length > self.longest {
            return Err(EmbedError::Length { length, longest: self.longest });
        }
        self.longest = length;
        Ok(())
    }

    /// Token numbers of a text, with marks of beginning and end; `None` if nothing is in it. What is too long is cut off at the end, which
    /// [`Tokens::left_out`] tells.
    ///
    /// # Errors
    /// [`EmbedError::Encoding`].
    pub fn encode(&self, text: &str) -> Result<Option<Tokens>> {
        let ids = self.words(text)?;
        if ids.is_empty() {
            return Ok(None);
        }
        let kept = ids.len().min(self.longest - Self::MARKS);
        Ok(Some(Tokens { left_out: ids.len() - kept, ..self.mark(&ids[..kept]) }))
    }

    /// Consecutive pieces of a text, each of `length` tokens with its marks; what is left at the end is dropped.
    ///
    /// # Errors
    /// [`EmbedError::Encoding`], [`EmbedError::Length`].
    pub fn pieces(&self, text: &str, length: usize) -> Result<Vec<Tokens>> {
        if length <= Self::MARKS || length > self.longest {
            return Err(EmbedError::Length { length, longest: self.longest });
        }
        Ok(self.words(text)?.chunks_exact(length - Self::MARKS).map(|ids| self.mark(ids)).collect())
    }

    fn mark(&self, ids: &[u32]) -> Tokens {
        let ids = std::iter::once(self.begin).chain(ids.iter().copied()).chain([self.end]).collect();
        Tokens { ids, left_out: 0 }
    }

    fn words(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.tokenizer.encode_fast(text, false);
        Ok(encoding.map_err(|error| EmbedError::Encoding(error.to_string()))?.get_ids().to_vec())
    }
}
