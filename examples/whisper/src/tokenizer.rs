//! Tokens and text, by the `tokenizer.json` that belongs to the model.

use crate::model::sizes::VOCABULARY;
use crate::{Error, Result};
use std::path::Path;

/// Timestamps of the vocabulary: 0 to 30 seconds in steps of 20 ms.
pub const TIMESTAMPS: u32 = 1501;
/// Symbols that stand for no speech: annotations, notes, speakers' names.
const SYMBOLS: &str = "\" # ( ) * + / : ; < = > @ [ \\ ] ^ _ ` { | } ~ 「 」 『 』 << >> <<< >>> -- --- -( -[ (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪";
/// Notes of music, of which the first token is suppressed even where a note is of several.
const NOTES: &str = "♩ ♪ ♫ ♬ ♭ ♮ ♯";

/// The tokenizer of Whisper tiny.en, and the tokens with a meaning of their own.
pub struct Tokenizer {
    tokenizer: tokenizers::Tokenizer,
    special: SpecialTokens,
    never: Vec<u32>,
    never_first: Vec<u32>,
}

/// Tokens that are no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Begins every transcript.
    pub start_of_transcript: u32,
    /// Ends it; all tokens below it are text.
    pub end_of_text: u32,
    /// Says at the beginning that no timestamps shall be written.
    pub no_timestamps: u32,
    /// Says that nobody speaks.
    pub no_speech: u32,
    /// The timestamp of 0 seconds; the others follow in steps of 20 ms.
    pub first_timestamp: u32,
}

impl Tokenizer {
    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// The file cannot be read, is no tokenizer, lacks one of the special tokens, or has not as many tokens as the model.
    pub fn from_file(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::read(path))?;
        let wrong = |reason: String| Error::Tokenizer { path: path.to_owned(), reason };
        let tokenizer = tokenizers::Tokenizer::from_bytes(bytes).map_err(|error| wrong(error.to_string()))?;
        let find = |name: &str| tokenizer.token_to_id(name).ok_or_else(|| wrong(format!("it has no token {name}")));
        let no_timestamps = find("<|notimestamps|>")?;
        let special = SpecialTokens {
            start_of_transcript: find("<|startoftranscript|>")?,
            end_of_text: find("<|endoftext|>")?,
            no_timestamps,
            // The same token under its first and its later name.
            no_speech: find("<|nocaptions|>").or_else(|_| find("<|nospeech|>"))?,
            first_timestamp: no_timestamps.saturating_add(1),
        };
        let size = special.first_timestamp as usize + TIMESTAMPS as usize;
        if size != VOCABULARY {
            return Err(wrong(format!("with the timestamps it has {size} tokens, but the model {VOCABULARY}")));
        }
        // The timestamps themselves are in some files and not in others.
        if tokenizer.token_to_id("<|0.00|>").is_some_and(|token| token != special.first_timestamp) {
            return Err(wrong(format!("the timestamp <|0.00|> is not token {}", special.first_timestamp)));
        }
        let words = tokenizer.get_vocab_size(false);
        if !(special.end_of_text as usize..=VOCABULARY).contains(&words) || special.end_of_text >= special.no_timestamps
        {
            return Err(wrong(format!("it has {words} tokens of text, but <|endoftext|> is {}", special.end_of_text)));
        }
        let mut never = vec![special.start_of_transcript, special.no_speech];
        for name in ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>"] {
            never.push(find(name)?);
        }
        let tokens_of = |text: &str| -> Result<Vec<u32>> {
            let encoding = tokenizer.encode(text, false).map_err(|error| wrong(error.to_string()))?;
            Ok(encoding.get_ids().to_vec())
        };
        // Hyphens and apostrophes are speech within words, but not before one.
        never.extend(tokens_of(" -")?.first());
        never.extend(tokens_of(" '")?.first());
        for (symbols, also_of_several) in [(SYMBOLS, false), (NOTES, true)] {
            for symbol in symbols.split(' ') {
                for tokens in [tokens_of(symbol)?, tokens_of(&format!(" {symbol}"))?] {
                    if tokens.len() == 1 || also_of_several {
                        never.extend(tokens.first());
                    }
                }
            }
        }
        never.sort_unstable();
        never.dedup();
        let mut never_first = tokens_of(" ")?;
        never_first.push(special.end_of_text);
        Ok(Self { tokenizer, special, never, never_first })
    }

    /// The tokens with a meaning of their own.
    pub fn special(&self) -> SpecialTokens {
        self.special
    }

    /// Tokens that greedy decoding never takes, in order: symbols that stand for no speech, and special tokens.
    pub fn never(&self) -> &[u32] {
        &self.never
    }

    /// Tokens that a transcript cannot begin with: a blank, and its end.
    pub fn never_first(&self) -> &[u32] {
        &self.never_first
    }

    /// The text of tokens; special tokens and timestamps are left out.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn decode(&self, tokens: &[u32]) -> Result<String> {
        let text: Vec<u32> = tokens.iter().copied().filter(|&token| token < self.special.end_of_text).collect();
        self.tokenizer.decode(&text, true).map_err(|error| Error::Decode { reason: error.to_string() })
    }
}
