//! Transcripts of files, by one method or several.

use super::options::Options;
use anyhow::{ensure, Result};
use clustered_attention::Method;
use clustered_attention_models::methods::{describe, method_json};
use clustered_attention_models::progress::Progress;
use clustered_attention_models::say;
use clustered_attention_models::table::{origin, seconds};
use clustered_attention_models::terminal::{complain, PrintError};
use clustered_attention_whisper::audio::{read_wav, SAMPLE_RATE};
use clustered_attention_whisper::log_mel::WINDOW_SAMPLES;
use clustered_attention_whisper::task::SpeechSet;
use clustered_attention_whisper::word_error_rate::{word_errors, WordErrors};
use clustered_attention_whisper::{Error, Recognizer, Transcript};
use serde_json::{json, Value};
use std::path::Path;

/// A recording, and what was said if that is known.
struct Recording {
    name: String,
    samples: Vec<f32>,
    reference: Option<String>,
}

/// What methods came to over all recordings.
#[derive(Default)]
struct Total {
    errors: Option<WordErrors>,
    attention: f64,
    total: f64,
}

/// Transcribes files or the packaged recordings; `false` if one of the files could not be.
pub fn run(options: &Options) -> Result<bool> {
    let (given, files) = (options.transcript.len(), options.files.len());
    ensure!(
        given == 0 || given == files,
        "there are {given} transcripts for {files} files: one for each is needed, or none"
    );
    let (recordings, mut all_read) = recordings(options)?;
    let mut recognizer = options.load()?;
    let methods = options.methods();
    let mut results = Vec::new();
    let mut totals: Vec<Total> = methods.iter().map(|_| Total::default()).collect();
    for recording in &recordings {
        let length = recording.samples.len() as f64 / f64::from(SAMPLE_RATE);
        say!("\n{} ({length:.1} s)", recording.name)?;
        for (method, total) in methods.iter().zip(&mut totals) {
            recognizer.set_method(*method);
            match transcribe(&recognizer, recording, method, total) {
                Ok((transcript, errors, result)) => {
                    print_transcript(method, &transcript, errors)?;
                    results.push(result);
                }
                Err(error) => {
                    complain(format_args!("error: {}: {error}", recording.name));
                    all_read = false;
                }
            }
        }
    }
    let device = recognizer.device();
    options.write_json(&json!({ "origin": origin(device), "transcripts": results }))?;
    say!()?;
    for (method, total) in methods.iter().zip(&totals) {
        let words = total.errors.map_or(String::new(), |errors| format!("{}, ", wrong(errors)));
        let times = format!("attention {}, everything {}", seconds(total.attention), seconds(total.total));
        say!("{}: {words}{times}", describe(method))?;
    }
    Ok(all_read)
}

/// What is to be transcribed, and whether all of it could be read.
fn recordings(options: &Options) -> Result<(Vec<Recording>, bool)> {
    if options.files.is_empty() {
        let mut sets = SpeechSet::packaged()?;
        sets.retain(|set| set.name != "joined");
        let utterances = sets.into_iter().flat_map(|set| set.utterances);
        let recordings = utterances.map(|utterance| Recording {
            name: utterance.name,
            samples: utterance.samples,
            reference: Some(utterance.reference),
        });
        return Ok((recordings.collect(), true));
    }
    let (mut recordings, mut all_read) = (Vec::new(), true);
    for (index, path) in options.files.iter().enumerate() {
        let read = || -> Result<Recording, Error> {
            let samples = read_wav(path)?;
            let reference = options.transcript.get(index).map(|path| read_transcript(path)).transpose()?;
            Ok(Recording { name: path.display().to_string(), samples, reference })
        };
        match read() {
            Ok(recording) => recordings.push(recording),
            Err(error) => {
                complain(format_args!("error: {error}"));
                all_read = false;
            }
        }
    }
    ensure!(!recordings.is_empty(), "none of the files can be transcribed");
    Ok((recordings, all_read))
}

fn read_transcript(path: &Path) -> Result<String, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    String::from_utf8(bytes).map_err(|_| Error::Transcript { path: path.to_owned(), reason: "it is not UTF-8".into() })
}

/// Transcribes and adds up; returns what is printed, and what goes into the file of results.
fn transcribe(
    recognizer: &Recognizer,
    recording: &Recording,
    method: &Method,
    total: &mut Total,
) -> Result<(Transcript, Option<WordErrors>, Value), Error> {
    let progress = Progress::new(recording.samples.len().div_ceil(WINDOW_SAMPLES));
    let transcript = recognizer.transcribe_observed(&recording.samples, |_| progress.step(&recording.name))?;
    drop(progress);
    let errors = recording.reference.as_ref().map(|reference| word_errors(reference, &transcript.text));
    if let Some(errors) = errors {
        total.errors = Some(total.errors.unwrap_or_default() + errors);
    }
    let (attention, everything) = (transcript.attention.as_secs_f64(), transcript.total.as_secs_f64());
    total.attention += attention;
    total.total += everything;
    let segments = transcript.segments.iter();
    let segments =
        segments.map(|segment| json!({ "begin": segment.begin, "end": segment.end, "text": segment.text.trim() }));
    let result = json!({
        "recording": recording.name,
        "seconds": recording.samples.len() as f64 / f64::from(SAMPLE_RATE),
        "method": method_json(method),
        "seed": method.clustering().map(|clustering| clustering.seed),
        "text": transcript.text,
        "segments": segments.collect::<Vec<_>>(),
        "silent": transcript.silent,
        "errors": errors.map(|errors| errors.errors),
        "words": errors.map(|errors| errors.words),
        "attention_seconds": attention,
        "total_seconds": everything,
    });
    Ok((transcript, errors, result))
}

fn print_transcript(method: &Method, transcript: &Transcript, errors: Option<WordErrors>) -> Result<(), PrintError> {
    if transcript.silent {
        say!("  (silence: no sample is louder than 80 dB below full scale, so nothing is transcribed)")?;
    } else if transcript.segments.len() > 1 {
        for segment in &transcript.segments {
            say!("  {:6.2} to {:6.2}  {}", segment.begin, segment.end, segment.text.trim())?;
        }
    } else {
        say!("  {}", transcript.text)?;
    }
    let words = errors.map_or(String::new(), |errors| format!("{}, ", wrong(errors)));
    let (attention, total) = (transcript.attention.as_secs_f64(), transcript.total.as_secs_f64());
    say!("  {}: {words}attention {}, everything {}", method.name(), seconds(attention), seconds(total))
}

fn wrong(errors: WordErrors) -> String {
    format!("{errors} words wrong ({:.1} %)", errors.rate() * 100.0)
}
