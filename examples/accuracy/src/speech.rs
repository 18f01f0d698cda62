//! Speech recognition: how many words come out wrong.

use crate::results::{Configuration, Run, Task};
use crate::sweep::Sweep;
use anyhow::Result;
use burn::tensor::Device;
use clustered_attention::Method;
use clustered_attention_models::progress::Progress;
use clustered_attention_whisper::task::{evaluate, SpeechSet};
use clustered_attention_whisper::{ModelFiles, Recognizer};

/// Transcribes the packaged recordings with every method and seed.
pub fn measure(sweep: &Sweep, device: &Device) -> Result<Task> {
    let sets = SpeechSet::packaged()?;
    let (recordings, words) =
        sets.iter().fold((0, 0), |(recordings, words), set| (recordings + set.utterances.len(), words + set.words()));
    let mut recognizer = Recognizer::load(&ModelFiles::packaged()?, Method::Exact, device)?;
    let progress = Progress::new((sweep.runs() + 1) * recordings);
    let reference = evaluate(&recognizer, &sets, |name| progress.step(&format!("exact, {name}")))?;
    let mut configurations = Vec::new();
    for &method in &sweep.methods {
        let mut runs = Vec::new();
        for (seed, seeded) in sweep.seeded(method) {
            recognizer.set_method(seeded);
            let evaluation =
                evaluate(&recognizer, &sets, |name| progress.step(&format!("speech, {}, {name}", method.name())))?;
            runs.push(Run {
                seed,
                error: evaluation.relative_error(&reference),
                metric: evaluation.errors().errors as f64,
                attention_seconds: evaluation.attention_seconds(),
                seconds: evaluation.total_seconds(),
            });
        }
        configurations.push(Configuration { method, runs });
    }
    Ok(Task {
        name: "speech",
        title: "Speech recognition, Whisper tiny.en".into(),
        data: format!(
            "{recordings} recordings of {} sets (five sentences read for LibriVox, five spoken cards, the sentences joined), {words} words; \
             attention of all 4 encoder layers replaced, 1,500 positions, 6 heads of width 64",
            sets.len()
        ),
        error: "of the encoder's output",
        metric: "words that come out wrong, of all recordings together",
        metric_axis: "wrong words",
        seconds: "the encoder's attention, all recordings",
        configurations,
    })
}
