//! Every step against `data/reference.json`, which numpy computed in float64 (`data-tools/reference.py`).

mod common;

use burn::tensor::Tensor;
use clustered_attention_models::{testing::fetched, Asset};
use clustered_attention_whisper::decoding::decode;
use clustered_attention_whisper::log_mel::{LogMel, BANDS, WINDOW_FRAMES};
use clustered_attention_whisper::Error;
use serde_json::Value;

fn reference() -> Value {
    serde_json::from_str(include_str!("data/reference.json")).expect("the reference")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("numbers").iter().map(|number| number.as_f64().expect("a number")).collect()
}

fn tokens(value: &Value) -> Vec<u32> {
    numbers(value).into_iter().map(|number| number as u32).collect()
}

fn clip() -> Option<Vec<f32>> {
    common::clip(reference()["clip"].as_str().expect("a name"))
}

fn values(tensor: Tensor<3>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("float32")
}

#[test]
fn log_mel_spectrogram() {
    let Some(samples) = clip() else { return };
    let reference = &reference()["mel"];
    let spectrogram = LogMel::new().compute(&samples).expect("a spectrogram");
    assert_eq!(spectrogram.content_frames(), samples.len() / 160);
    let mel = spectrogram.window(0);
    let sum: f64 = mel.iter().map(|&value| f64::from(value)).sum();
    assert!((sum - reference["sum"].as_f64().unwrap()).abs() < 0.1, "{sum}");
    for (band, truth) in numbers(&reference["band_sums"]).into_iter().enumerate() {
        let row = &mel[band * WINDOW_FRAMES..(band + 1) * WINDOW_FRAMES];
        let sum: f64 = row.iter().map(|&value| f64::from(value)).sum();
        assert!((sum - truth).abs() < 2e-3, "band {band}: {sum} for {truth}");
    }
    for (frame, truth) in reference["frames"].as_object().unwrap() {
        let frame: usize = frame.parse().unwrap();
        let truth = numbers(truth);
        assert_eq!(truth.len(), BANDS);
        for (band, truth) in truth.into_iter().enumerate() {
            let value = f64::from(mel[band * WINDOW_FRAMES + frame]);
            assert!((value - truth).abs() < 1e-6, "band {band}, frame {frame}: {value} for {truth}");
        }
    }
}

#[test]
fn encoder_and_decoder() {
    let Some(samples) = clip() else { return };
    let Some(recognizer) = common::recognizer() else { return };
    let reference = reference();
    let encoded = recognizer.encode(&samples).expect("encoded");
    let hidden = values(encoded.hidden.clone());
    let norm = hidden.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    let truth = reference["encoder"]["norm"].as_f64().unwrap();
    assert!((norm / truth - 1.0).abs() < 1e-5, "{norm} for {truth}");
    for (position, truth) in reference["encoder"]["positions"].as_object().unwrap() {
        let position: usize = position.parse().unwrap();
        for (index, truth) in numbers(truth).into_iter().enumerate() {
            let value = f64::from(hidden[position * 384 + index]);
            assert!((value - truth).abs() < 1e-3, "position {position}, {index}: {value} for {truth}");
        }
    }
    let decoder = &recognizer.model().decoder;
    let mut state = decoder.begin(&encoded.hidden).expect("a recording");
    let likeliest = reference["decoder"]["likeliest"].as_array().unwrap();
    let scores = reference["decoder"]["scores"].as_array().unwrap();
    for (step, token) in tokens(&reference["decoder"]["tokens"]).into_iter().enumerate() {
        let found = decoder.step(token, &mut state).expect("scores");
        for (token, truth) in tokens(&likeliest[step]).into_iter().zip(numbers(&scores[step])) {
            let score = f64::from(found[token as usize]);
            assert!((score - truth).abs() < 2e-3, "step {step}, token {token}: {score} for {truth}");
        }
    }
    assert_eq!(state.length(), 5);
    let error = decoder.step(51_864, &mut state).unwrap_err();
    assert!(matches!(error, Error::Token { token: 51_864, position: 5, .. }), "{error}");
    assert!(decoder.begin(&encoded.hidden.clone().swap_dims(1, 2)).is_err());
    assert!(recognizer.model().encoder.forward(encoded.hidden).is_err());
}

#[test]
fn greedy_tokens() {
    let Some(samples) = clip() else { return };
    let Some(recognizer) = common::recognizer() else { return };
    let encoded = recognizer.encode(&samples).expect("encoded");
    let tokenizer = recognizer.tokenizer();
    let decoded = decode(&recognizer.model().decoder, tokenizer, &encoded, false).expect("decoded");
    let mut truth = tokens(&reference()["greedy"]);
    assert_eq!(truth.pop(), Some(tokenizer.special().end_of_text));
    assert_eq!(decoded.tokens, truth);
    assert!(decoded.no_speech_probability < 0.5, "{}", decoded.no_speech_probability);
    assert!((-1.0..0.0).contains(&decoded.mean_log_probability), "{}", decoded.mean_log_probability);
}

/// What is never taken follows from the tokenizer; the package lists it too.
#[test]
fn suppressed_tokens() {
    if !fetched(&[Asset::WHISPER]) {
        return;
    }
    let path = Asset::WHISPER.path("tokenizer.json").expect("the packaged tokenizer");
    let tokenizer = clustered_attention_whisper::tokenizer::Tokenizer::from_file(&path).expect("a tokenizer");
    assert_eq!(tokenizer.never(), tokens(&reference()["never"]));
    let mut first = tokenizer.never_first().to_vec();
    first.sort_unstable();
    assert_eq!(first, tokens(&reference()["never_first"]));
}
