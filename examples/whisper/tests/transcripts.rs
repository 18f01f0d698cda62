//! What is recognised, by exact and by stitched attention; and weights in the hub's layout.

mod common;

use burn::tensor::{DType, Device};
use clustered_attention::Method;
use clustered_attention_models::assets::Asset;
use clustered_attention_whisper::ctranslate2::Ctranslate2File;
use clustered_attention_whisper::task::{evaluate, join, SpeechSet};
use clustered_attention_whisper::word_error_rate::word_errors;
use clustered_attention_whisper::{Error, ModelFiles, Recognizer};
use safetensors::tensor::{Dtype, TensorView};
use std::time::Duration;

/// The whole comparison is `whisper --compare`; this is a part of it that takes seconds.
#[test]
fn sentences_come_out_right_by_exact_and_by_stitched_attention() {
    let Some(sets) = common::speech() else { return };
    let Some(mut recognizer) = common::recognizer() else { return };
    assert_eq!(sets.iter().map(SpeechSet::words).collect::<Vec<_>>(), [70, 21, 70]);
    let sets = [SpeechSet { name: "joined", utterances: sets[2].utterances.clone() }];
    let exact = evaluate(&recognizer, &sets, |_| {}).expect("transcribed");
    assert!(exact.errors().errors <= 1, "{}: {}", exact.errors(), exact.sets[0].transcripts[0].text);
    recognizer.set_method(Method::stitched(25));
    assert_eq!(recognizer.method(), Method::stitched(25));
    let stitched = evaluate(&recognizer, &sets, |_| {}).expect("transcribed");
    assert!(stitched.errors().errors <= exact.errors().errors + 1, "{}", stitched.sets[0].transcripts[0].text);
    let error = stitched.relative_error(&exact);
    assert!(error > 0.0 && error < 0.5, "{error}");
    assert_eq!(exact.relative_error(&exact), 0.0);
    assert!(exact.attention_seconds() > 0.0 && exact.attention_seconds() < exact.total_seconds());
}

/// The clips joined twice are 49 seconds: two windows, of which the second begins where the first one's last whole segment ends.
#[test]
fn long_recordings_are_split_at_segments() {
    let Some(sets) = common::speech() else { return };
    let Some(recognizer) = common::recognizer() else { return };
    let clips = &sets[0].utterances;
    let long = join(&[&clips[..], &clips[..]].concat(), "twice");
    assert!(long.samples.len() > 30 * 16_000);
    let transcript = recognizer.transcribe(&long.samples).expect("transcribed");
    let errors = word_errors(&long.reference, &transcript.text);
    assert!(errors.rate() <= 0.05, "{errors}: {}", transcript.text);
    assert!(transcript.segments.len() > 2, "{:?}", transcript.segments);
    for pair in transcript.segments.windows(2) {
        assert!(pair[0].begin < pair[0].end && pair[0].end <= pair[1].begin + 1e-9, "{pair:?}");
    }
    let seconds = long.samples.len() as f64 / 16_000.0;
    assert!(transcript.segments.iter().all(|segment| segment.end <= seconds + 1.0), "{:?}", transcript.segments);
}

#[test]
fn silence_has_no_words() {
    let Some(recognizer) = common::recognizer() else { return };
    for length in [1, 16_000, 40 * 16_000] {
        let transcript = recognizer.transcribe(&vec![0.0; length]).expect("transcribed");
        assert!(transcript.silent && transcript.text.is_empty() && transcript.segments.is_empty(), "{transcript:?}");
        assert_eq!(transcript.attention, Duration::ZERO);
    }
}

#[test]
fn samples_that_are_no_sound_are_refused() {
    let Some(recognizer) = common::recognizer() else { return };
    assert!(matches!(recognizer.transcribe(&[]), Err(Error::NoSamples { .. })));
    assert!(matches!(recognizer.transcribe(&[0.5, f32::NAN]), Err(Error::NotFinite { index: 1, .. })));
    assert!(matches!(recognizer.encode(&[]), Err(Error::NoSamples { .. })));
}

#[test]
fn methods_that_cannot_be_are_refused() {
    let Some(samples) = common::clip("cards/001.wav") else { return };
    let Some(mut recognizer) = common::recognizer() else { return };
    recognizer.set_method(Method::stitched(0));
    let error = recognizer.transcribe(&samples).unwrap_err();
    assert!(matches!(error, Error::Attention(_)) && error.to_string().contains("clusters"), "{error}");
}

/// The packaged weights, written as the hub has them, are the same model.
#[test]
fn weights_in_the_hubs_layout_are_the_same_model() {
    let Some(samples) = common::clip("cards/001.wav") else { return };
    let Some(recognizer) = common::recognizer() else { return };
    let tensors = Ctranslate2File::open(&Asset::WHISPER.path("model.bin").unwrap()).unwrap().tensors().unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(Asset::WHISPER.path("tokenizer.json").unwrap(), folder.path().join("tokenizer.json")).unwrap();
    let data: Vec<_> = tensors.iter().map(|tensor| (tensor, tensor.to_bytes().unwrap())).collect();
    let views = data.iter().map(|(tensor, bytes)| {
        assert_eq!(tensor.dtype, DType::F16);
        let view = TensorView::new(Dtype::F16, tensor.shape.to_vec(), bytes).unwrap();
        (format!("model.{}", tensor.name), view)
    });
    safetensors::serialize_to_file(views, None, &folder.path().join("model.safetensors")).unwrap();
    drop(data);
    let files = ModelFiles::in_folder(folder.path()).unwrap();
    let own = Recognizer::load(&files, Method::Exact, &Device::flex()).unwrap();
    let hidden = |recognizer: &Recognizer| -> Vec<f32> {
        recognizer.encode(&samples).unwrap().hidden.into_data().try_into_vec().unwrap()
    };
    assert!(hidden(&own) == hidden(&recognizer), "the encoders differ");
    assert_eq!(own.transcribe(&samples).unwrap().text, recognizer.transcribe(&samples).unwrap().text);
}
