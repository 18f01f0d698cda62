//! Passages of State of the Union addresses.

use crate::{EmbedError, Result, Tokenizer, Tokens};
use clustered_attention_models::Asset;

/// Steps from one speech to the next, so that the first few passages are already of different times; it has no divisor in common with the
/// number of speeches.
const STRIDE: usize = 16;

/// So many passages of `length` tokens each, with the marks of beginning and end: one of every speech, then the next of every speech that
/// has another, and so on. The first speech is begun at its beginning, the last near its end and the others between, so that openings,
/// which are much alike, are not more among the first passages than in the speeches.
///
/// # Errors
/// The speeches have not been fetched, or there are fewer passages.
pub fn passages(tokenizer: &Tokenizer, length: usize, count: usize) -> Result<Vec<Tokens>> {
    let names: Vec<&str> = Asset::SPEECHES.files.iter().map(|file| file.name).filter(|name| is_speech(name)).collect();
    // Read only as far as needed.
    let mut speeches = vec![None; names.len()];
    let (mut passages, mut round) = (Vec::with_capacity(count), 0);
    while passages.len() < count {
        let before = passages.len();
        for step in 0..names.len() {
            if passages.len() == count {
                break;
            }
            let index = step * STRIDE % names.len();
            let speech = match &mut speeches[index] {
                Some(speech) => speech,
                unread => unread.insert(read(tokenizer, names[index], length)?),
            };
            if round < speech.len() {
                let first = speech.len() * index / names.len();
                passages.push(speech[(first + round) % speech.len()].clone());
            }
        }
        if passages.len() == before {
            return Err(EmbedError::TooFewPassages { available: before, length, needed: count });
        }
        round += 1;
    }
    Ok(passages)
}

fn is_speech(name: &str) -> bool {
    name.ends_with(".txt")
}

fn read(tokenizer: &Tokenizer, name: &str, length: usize) -> Result<Vec<Tokens>> {
    let path = Asset::SPEECHES.path(name)?;
    let text = std::fs::read_to_string(&path).map_err(|cause| EmbedError::Read { path, cause })?;
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
