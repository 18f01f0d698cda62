//! What tests of the model share.
#![allow(dead_code)] // Each test program uses some of it.

pub mod files;

use burn::tensor::Device;
use clustered_attention::Method;
use clustered_attention_models::{testing::fetched, Asset};
use clustered_attention_whisper::audio::read_wav;
use clustered_attention_whisper::task::SpeechSet;
use clustered_attention_whisper::{ModelFiles, Recognizer};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The packaged model, loaded once and used by one test at a time; `None` if it was not fetched, which is said.
pub fn recognizer() -> Option<MutexGuard<'static, Recognizer>> {
    static RECOGNIZER: OnceLock<Option<Mutex<Recognizer>>> = OnceLock::new();
    let load = || {
        if !fetched(&[Asset::WHISPER]) {
            return None;
        }
        let files = ModelFiles::packaged().expect("the files are there");
        let recognizer = Recognizer::load(&files, Method::Exact, &Device::flex());
        Some(Mutex::new(recognizer.expect("the packaged model")))
    };
    let recognizer = RECOGNIZER.get_or_init(load).as_ref()?;
    let mut recognizer = recognizer.lock().unwrap_or_else(PoisonError::into_inner);
    recognizer.set_method(Method::Exact);
    Some(recognizer)
}

/// The packaged recordings; `None` if they were not fetched.
pub fn speech() -> Option<Vec<SpeechSet>> {
    fetched(&[Asset::SPEECH_CLIPS]).then(|| SpeechSet::packaged().expect("the packaged recordings"))
}

/// Samples of a packaged recording; `None` if it was not fetched.
pub fn clip(name: &str) -> Option<Vec<f32>> {
    fetched(&[Asset::SPEECH_CLIPS])
        .then(|| read_wav(&Asset::SPEECH_CLIPS.path(name).expect("a packaged recording")).expect("a WAV file"))
}
