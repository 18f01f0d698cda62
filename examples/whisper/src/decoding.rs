//! Greedy decoding, by Whisper's rules of what may follow what.

use crate::model::sizes::DECODER_POSITIONS;
use crate::model::{Decoder, Encoded};
use crate::tokenizer::{SpecialTokens, Tokenizer};
use crate::Result;

/// Tokens that a window of 30 seconds can have at most, as in the original; what repeats itself endlessly ends there.
pub const MAXIMUM_TOKENS: usize = DECODER_POSITIONS / 2;
/// The latest time at which the first segment of a window can begin, in timestamps: one second.
const LATEST_BEGIN: u32 = 50;

/// The tokens of a window.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// Without the beginning and the end of text; with timestamps where they were asked for.
    pub tokens: Vec<u32>,
    /// Mean of the logarithms of the tokens' probabilities, the end of text included.
    pub mean_log_probability: f64,
    /// The probability that nobody speaks.
    pub no_speech_probability: f64,
}

/// Writes down what the encoder made of a window: at each step the likeliest token that may follow, until the end of text or
/// [`MAXIMUM_TOKENS`].
///
/// # Errors
/// The device failed.
pub fn decode(decoder: &Decoder, tokenizer: &Tokenizer, encoded: &Encoded, timestamps: bool) -> Result<Decoded> {
    let special = tokenizer.special();
    let mut state = decoder.begin(&encoded.hidden)?;
    let mut scores = decoder.step(special.start_of_transcript, &mut state)?;
    let no_speech_probability = f64::from(scores[special.no_speech as usize] - log_sum_exp(&scores)).exp();
    if !timestamps {
        scores = decoder.step(special.no_timestamps, &mut state)?;
    }
    let mut tokens = Vec::new();
    let (mut sum, mut count) = (0.0, 0.0);
    while tokens.len() < MAXIMUM_TOKENS {
        suppress(&mut scores, tokenizer, &tokens, timestamps);
        let token = likeliest(&scores);
        sum += f64::from(scores[token as usize] - log_sum_exp(&scores));
        count += 1.0;
        if token == special.end_of_text {
            break;
        }
        tokens.push(token);
        scores = decoder.step(token, &mut state)?;
    }
    Ok(Decoded { tokens, mean_log_probability: sum / f64::max(count, 1.0), no_speech_probability })
}

/// The token with the highest score; of several the first.
fn likeliest(scores: &[f32]) -> u32 {
    let mut best = 0;
    for (token, &score) in scores.iter().enumerate() {
        if score > scores[best] {
            best = token;
        }
    }
    best as u32
}

/// The logarithm of the sum of exponentials.
fn log_sum_exp(scores: &[f32]) -> f32 {
    let largest = scores.iter().fold(f32::NEG_INFINITY, |largest, &score| largest.max(score));
    if largest == f32::NEG_INFINITY {
        return largest;
    }
    let sum: f64 = scores.iter().map(|&score| f64::from(score - largest).exp()).sum();
    largest + sum.ln() as f32
}

/// Rules out what may not follow.
fn suppress(scores: &mut [f32], tokenizer: &Tokenizer, tokens: &[u32], timestamps: bool) {
    let special = tokenizer.special();
    let mut forbid = |token: u32| scores[token as usize] = f32::NEG_INFINITY;
    tokenizer.never().iter().copied().for_each(&mut forbid);
    if tokens.is_empty() {
        tokenizer.never_first().iter().copied().for_each(&mut forbid);
    }
    forbid(special.no_timestamps);
    if timestamps {
        suppress_by_time(scores, special, tokens);
    } else {
        scores[special.first_timestamp as usize..].fill(f32::NEG_INFINITY);
    }
}

/// Timestamps come in pairs, end and begin, never go back, and are written where all of them together are likelier than any text.
fn suppress_by_time(scores: &mut [f32], special: SpecialTokens, tokens: &[u32]) {
    let (text, first) = (special.end_of_text as usize, special.first_timestamp as usize);
    let is_timestamp = |token: &u32| *token >= special.first_timestamp;
    let last_is = tokens.last().is_some_and(is_timestamp);
    let one_before_is = tokens.len() < 2 || is_timestamp(&tokens[tokens.len() - 2]);
    if last_is && one_before_is {
        scores[first..].fill(f32::NEG_INFINITY);
    } else if last_is {
        scores[..text].fill(f32::NEG_INFINITY);
    }
    if let Some(&latest) = tokens.iter().rfind(|token| is_timestamp(token)) {
        // A segment has a length; its end may be the next one's begin.
        let next = if last_is && !one_before_is { latest } else { latest + 1 };
        scores[first..(next as usize).min(first + crate::tokenizer::TIMESTAMPS as usize)].fill(f32::NEG_INFINITY);
    }
    if tokens.is_empty() {
        scores[..first].fill(f32::NEG_INFINITY);
        scores[first + LATEST_BEGIN as usize + 1..].fill(f32::NEG_INFINITY);
    }
    let likeliest_text = scores[..first].iter().fold(f32::NEG_INFINITY, |largest, &score| largest.max(score));
    if log_sum_exp(&scores[first..]) > likeliest_text {
        scores[..first].fill(f32::NEG_INFINITY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIAL: SpecialTokens = SpecialTokens {
        start_of_transcript: 11,
        end_of_text: 10,
        no_timestamps: 13,
        no_speech: 12,
        first_timestamp: 14,
    };

    /// Scores of 10 tokens of text, 4 special ones and all timestamps, after the rules; text is the likelier unless ruled out.
    fn allowed(tokens: &[u32]) -> Vec<u32> {
        let mut scores = vec![0.0; 14 + crate::tokenizer::TIMESTAMPS as usize];
        scores[..10].fill(20.0);
        suppress_by_time(&mut scores, SPECIAL, tokens);
        (0..scores.len() as u32).filter(|&token| scores[token as usize] > f32::NEG_INFINITY).collect()
    }

    #[test]
    fn a_window_begins_with_a_timestamp_of_its_first_second() {
        assert_eq!(allowed(&[]), (14..=64).collect::<Vec<_>>());
    }

    #[test]
    fn after_a_begin_comes_text() {
        assert!(allowed(&[14]).iter().all(|&token| token < 14));
        assert!(allowed(&[14, 3, 20, 20]).iter().all(|&token| token < 14));
    }

    #[test]
    fn after_an_end_comes_a_begin_not_before_it_or_the_end_of_text() {
        let allowed = allowed(&[14, 3, 20]);
        assert!(allowed.iter().all(|&token| (10..14).contains(&token) || token >= 20), "{allowed:?}");
        assert!(allowed.contains(&20) && allowed.contains(&1514));
    }

    #[test]
    fn a_segment_has_a_length() {
        let allowed = allowed(&[24, 3]);
        assert!(!allowed.contains(&24) && allowed.contains(&25) && allowed.contains(&3));
    }

    #[test]
    fn likely_timestamps_rule_text_out() {
        let mut scores = vec![0.0; 14 + crate::tokenizer::TIMESTAMPS as usize];
        scores[..10].fill(5.0); // ln(1501) is 7.3
        suppress_by_time(&mut scores, SPECIAL, &[14, 3]);
        assert!(scores[..14].iter().all(|&score| score == f32::NEG_INFINITY));
    }

    #[test]
    fn the_last_timestamp_is_no_overrun() {
        let last = 14 + crate::tokenizer::TIMESTAMPS - 1;
        assert!(allowed(&[14, 3, last]).contains(&last));
        assert!(!allowed(&[last, 3]).contains(&last));
    }

    #[test]
    fn sums_of_exponentials() {
        assert!((log_sum_exp(&[0.0, 0.0]) - 2f32.ln()).abs() < 1e-6);
        assert_eq!(log_sum_exp(&[f32::NEG_INFINITY; 3]), f32::NEG_INFINITY);
        assert_eq!(likeliest(&[1.0, 3.0, 3.0]), 1);
    }
}
