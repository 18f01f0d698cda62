//! Passages of State of the Union addresses.

use crate::{EmbedError, Result, Tokenizer, Tokens};
use clustered_attention_models::Asset;

/// Steps from one speech to the next, so that the first few passages are already of different times; it has no divisor in common with the
/// number of speeches.
const STRIDE: usize = 16;

/// So many passages of `length` tokens each, with the marks of beginning and end: the first of every speech, then the second of every
/// speech that has one, and so on.
///
/// # Errors
/// The speeches have not been fetched, or there are fewer passages.
pub fn passages(tokenizer: &Tokenizer, length: usize, count: usize) -> Result<Vec<Tokens>> {
    let names: Vec<&str> = Asset::SPEECHES.files.iter().map(|file| file.name).filter(|name| is_speech(name)).collect();
    // Read one after another and only as far as needed: most passages come from all speeches.
    let mut speeches = vec![None; names.len()];
    let (mut passages, mut round) = (Vec::with_capacity(count), 0);
    while passages.len() < count {
        let before = passages.len();
        for step in 0..names.len() {
            let index = step * STRIDE % names.len();
            let speech = match &mut speeches[index] {
                Some(speech) => speech,
                unread => unread.insert(read(tokenizer, names[index], length)?),
            };
            passages.extend(speech.get(round).cloned());
        }
        if passages.len() == before {
            return Err(EmbedError::TooFewPassages { available: before, length, needed: count });
        }
        passages.truncate(count);
        round += 1;
    }
    Ok(passages)
}

fn is_speech(name: &str) -> bool {
    name.ends_with(".txt")
}

fn read(tokenizer: &Tokenizer, name: &str, length: usize) -> Result<Vec<Tokens>> {
    let path = Asset::SPEECHES.path(name)?;
    let text = std::fs::read_to_string(&path).map_err(|source| EmbedError::Read { path, source })?;
    tokenizer.pieces(&text, length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_stride_reaches_every_speech() {
        let count = Asset::SPEECHES.files.iter().filter(|file| is_speech(file.name)).count();
        let reached: HashSet<usize> = (0..count).map(|step| step * STRIDE % count).collect();
        assert_eq!(reached.len(), count);
    }
}
