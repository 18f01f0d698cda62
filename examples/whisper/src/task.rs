//! What methods are compared on: the packaged recordings, and how many of their words come out wrong.

use crate::audio::read_wav;
use crate::log_mel::WINDOW_SAMPLES;
use crate::word_error_rate::{word_errors, WordErrors};
use crate::{Error, Recognizer, Result, Transcript};
use clustered_attention_models::assets::Asset;
use clustered_attention_models::device::numbers;
use clustered_attention_models::table::relative_error_of;
use std::path::Path;

/// What somebody said.
#[derive(Debug, Clone)]
pub struct Utterance {
    /// Its name.
    pub name: String,
    /// Samples at 16 kHz.
    pub samples: Vec<f32>,
    /// What was said.
    pub reference: String,
}

/// Recordings whose errors are counted together.
#[derive(Debug, Clone)]
pub struct SpeechSet {
    /// Its name.
    pub name: &'static str,
    /// Its recordings.
    pub utterances: Vec<Utterance>,
}

impl SpeechSet {
    /// The packaged sets: `clips`, five sentences read for LibriVox (70 words); `cards`, five hands of cards (21 words); `joined`, the
    /// five sentences as one recording of 24.7 seconds.
    ///
    /// # Errors
    /// They were not fetched, or cannot be read.
    pub fn packaged() -> Result<Vec<Self>> {
        let clips = Self::read("clips", "librivox", "librivox/fileids", "librivox/transcription")?;
        let cards = Self::read("cards", "cards", "cards/cards.fileids", "cards/cards.transcription")?;
        let joined = Self { name: "joined", utterances: vec![join(&clips.utterances, "clips joined")] };
        Ok(vec![clips, cards, joined])
    }

    fn read(name: &'static str, folder: &str, list: &str, transcripts: &str) -> Result<Self> {
        let asset = Asset::SPEECH_CLIPS;
        let text = |path: &Path| std::fs::read_to_string(path).map_err(Error::read(path));
        let path = asset.path(transcripts)?;
        let said = text(&path)?;
        let mut utterances = Vec::new();
        for file in text(&asset.path(list)?)?.split_whitespace() {
            let missing = || Error::Transcript { path: path.clone(), reason: format!("it has no line of {file}") };
            let reference = transcript_of(&said, file).ok_or_else(missing)?;
            let samples = read_wav(&asset.path(&format!("{folder}/{file}.wav"))?)?;
            utterances.push(Utterance { name: format!("{folder}/{file}"), samples, reference });
        }
        Ok(Self { name, utterances })
    }

    /// Words of all references.
    pub fn words(&self) -> usize {
        self.utterances.iter().map(|utterance| word_errors(&utterance.reference, "").words).sum()
    }
}

/// Recordings one after another, without a pause.
pub fn join(utterances: &[Utterance], name: &str) -> Utterance {
    let references: Vec<&str> = utterances.iter().map(|utterance| utterance.reference.as_str()).collect();
    Utterance {
        name: name.into(),
        samples: utterances.iter().flat_map(|utterance| &utterance.samples).copied().collect(),
        reference: references.join(" "),
    }
}

/// The text between `<s>` and `</s>` on the line that ends with the name of a recording.
fn transcript_of(transcripts: &str, name: &str) -> Option<String> {
    let line = transcripts.lines().find(|line| line.trim_end().ends_with(&format!("({name})")))?;
    let text = line.split_once("<s>")?.1.split_once("</s>")?.0.trim();
    // The reader says "a more amiable woman", as the book does; the transcript has an "a" too many.
    Some(text.replace("a more a amiable", "a more amiable"))
}

/// How a method did on some sets.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// In the order of the sets.
    pub sets: Vec<SetResult>,
    /// What the encoder made of the recordings of at most 30 seconds, in order: each `[1500, 384]`.
    encoded: Vec<Vec<f32>>,
}

/// How a method did on a set.
#[derive(Debug, Clone)]
pub struct SetResult {
    /// The set's name.
    pub name: &'static str,
    /// Wrong words of all its recordings.
    pub errors: WordErrors,
    /// Of each recording.
    pub transcripts: Vec<Transcript>,
}

impl SetResult {
    /// Seconds of attention in the encoder, of all recordings.
    pub fn attention_seconds(&self) -> f64 {
        self.transcripts.iter().map(|transcript| transcript.attention.as_secs_f64()).sum()
    }

    /// Seconds of everything, of all recordings.
    pub fn total_seconds(&self) -> f64 {
        self.transcripts.iter().map(|transcript| transcript.total.as_secs_f64()).sum()
    }
}

impl Evaluation {
    /// Wrong words of all sets.
    pub fn errors(&self) -> WordErrors {
        self.sets.iter().map(|set| set.errors).sum()
    }

    /// Seconds of attention in the encoder, of all sets.
    pub fn attention_seconds(&self) -> f64 {
        self.sets.iter().map(SetResult::attention_seconds).sum()
    }

    /// Seconds of everything, of all sets.
    pub fn total_seconds(&self) -> f64 {
        self.sets.iter().map(SetResult::total_seconds).sum()
    }

    /// Drops what the encoder made of the recordings, 2.3 MB of each; errors, transcripts and times stay.
    pub fn forget_encoder_outputs(&mut self) {
        self.encoded = Vec::new();
    }

    /// The difference of the encoder's outputs from another evaluation's of the same sets, L2, relative to the other's; 0 if there are
    /// none.
    pub fn relative_error(&self, exact: &Self) -> f64 {
        relative_error_of(self.encoded.iter().zip(&exact.encoded).map(|(values, truth)| (&values[..], &truth[..])))
    }
}

/// Transcribes sets by the recogniser's method and counts wrong words. `progress` is called with the name of each recording before it.
///
/// # Errors
/// Those of [`Recognizer::transcribe`].
pub fn evaluate(recognizer: &Recognizer, sets: &[SpeechSet], progress: impl Fn(&str)) -> Result<Evaluation> {
    let mut evaluation = Evaluation { sets: Vec::new(), encoded: Vec::new() };
    for set in sets {
        let mut result = SetResult { name: set.name, errors: WordErrors::default(), transcripts: Vec::new() };
        for utterance in &set.utterances {
            progress(&utterance.name);
            let mut windows = Vec::new();
            let transcript =
                recognizer.transcribe_observed(&utterance.samples, |encoded| windows.push(encoded.hidden.clone()))?;
            if utterance.samples.len() <= WINDOW_SAMPLES {
                for hidden in windows {
                    evaluation.encoded.push(numbers(hidden).map_err(|reason| Error::Device { reason })?);
                }
            }
            result.errors = result.errors + word_errors(&utterance.reference, &transcript.text);
            result.transcripts.push(transcript);
        }
        evaluation.sets.push(result);
    }
    Ok(evaluation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transcripts_are_found_by_name() {
        let text = "<s> five five  </s> (004)\n<s> a more a amiable woman </s> (0920)\nno markers (005)\n";
        assert_eq!(transcript_of(text, "004").as_deref(), Some("five five"));
        assert_eq!(transcript_of(text, "0920").as_deref(), Some("a more amiable woman"));
        assert_eq!(transcript_of(text, "005"), None);
        assert_eq!(transcript_of(text, "4"), None);
    }
}
