//! A model with its tokenizer: from samples to text.

use crate::audio::{check_samples, is_silent};
use crate::ctranslate2::Ctranslate2File;
use crate::decoding::{decode, Decoded};
use crate::log_mel::{LogMel, BANDS, HOP, WINDOW_FRAMES, WINDOW_SAMPLES};
use crate::model::{Encoded, Whisper};
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};
use burn::tensor::{Device, Tensor, TensorData};
use clustered_attention::burn::{AttentionOptions, USUAL_NAMES};
use clustered_attention::Method;
use clustered_attention_models::assets::Asset;
use clustered_attention_models::weights::{load_safetensors, load_tensors};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Seconds of a timestamp's step, and frames of it.
const TIMESTAMP_SECONDS: f64 = 0.02;
const TIMESTAMP_FRAMES: usize = 2;
/// A window is taken for silence if nobody speaks with more than this probability, and the text's own is low.
const NO_SPEECH_PROBABILITY: f64 = 0.6;
/// The mean logarithm of a token's probability below which text is not believed where it seems that nobody speaks.
const LOW_LOG_PROBABILITY: f64 = -1.0;

/// Where a model's weights and its tokenizer lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFiles {
    /// `model.bin` of CTranslate2, or `model.safetensors` as in the hub.
    pub weights: PathBuf,
    /// `tokenizer.json`.
    pub tokenizer: PathBuf,
}

impl ModelFiles {
    /// The packaged model.
    ///
    /// # Errors
    /// It was not fetched.
    pub fn packaged() -> Result<Self> {
        let path = |name| Asset::WHISPER.path(name);
        Ok(Self { weights: path("model.bin")?, tokenizer: path("tokenizer.json")? })
    }

    /// A model of one's own: a folder with `tokenizer.json` and either `model.safetensors`, in float32, float16 or bfloat16 with the
    /// names of the hub, or CTranslate2's `model.bin`.
    ///
    /// # Errors
    /// One of the files is not there.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let missing = |missing| Error::NotModelFolder { folder: folder.to_owned(), missing };
        let weights =
            ["model.safetensors", "model.bin"].map(|name| folder.join(name)).into_iter().find(|path| path.is_file());
        let tokenizer = folder.join("tokenizer.json");
        Ok(Self {
            weights: weights.ok_or_else(|| missing("model.safetensors or model.bin"))?,
            tokenizer: Some(tokenizer).filter(|path| path.is_file()).ok_or_else(|| missing("tokenizer.json"))?,
        })
    }
}

/// Whisper tiny.en, ready to be spoken to.
pub struct Recognizer {
    model: Whisper,
    tokenizer: Tokenizer,
    log_mel: LogMel,
    device: Device,
}

/// What was said, and how long it took to write it down.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcript {
    /// The text; empty where nothing is to be heard.
    pub text: String,
    /// Its parts with their times; a recording of at most 30 seconds is one part.
    pub segments: Vec<Segment>,
    /// Whether the recording is silent as a whole.
    pub silent: bool,
    /// Time of attention in the encoder: all layers, all windows.
    pub attention: Duration,
    /// Time of everything from samples to text.
    pub total: Duration,
}

/// A part of a transcript.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Where it begins, in seconds.
    pub begin: f64,
    /// Where it ends, in seconds.
    pub end: f64,
    /// Its text.
    pub text: String,
}

impl Recognizer {
    /// Loads a model, with a method of attention in all layers of its encoder. Weights are read or mapped one tensor at a time; in
    /// memory is the model in float32, 151 MB.
    ///
    /// # Errors
    /// The files cannot be read, or are another model's.
    pub fn load(files: &ModelFiles, method: Method, device: &Device) -> Result<Self> {
        let tokenizer = Tokenizer::from_file(&files.tokenizer)?;
        let mut model = Whisper::new(AttentionOptions::new(method), device)?;
        let is_ctranslate2 = files.weights.extension().is_some_and(|extension| extension == "bin");
        if is_ctranslate2 {
            let tensors = Ctranslate2File::open(&files.weights)?.tensors()?;
            load_tensors(&mut model, tensors, USUAL_NAMES)?;
        } else {
            let names: Vec<_> = [(r"^model\.", "")].iter().chain(USUAL_NAMES).copied().collect();
            load_safetensors(&mut model, &files.weights, &names)?;
        }
        Ok(Self { model, tokenizer, log_mel: LogMel::new(), device: device.clone() })
    }

    /// Another method of attention for all layers of the encoder. It is checked when something is transcribed.
    pub fn set_method(&mut self, method: Method) {
        for layer in &mut self.model.encoder.layers {
            layer.self_attn.options.method = method;
        }
    }

    /// The method of attention in the encoder.
    pub fn method(&self) -> Method {
        self.model.encoder.layers[0].self_attn.options.method
    }

    /// The model itself.
    pub fn model(&self) -> &Whisper {
        &self.model
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The device that the model is on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What the encoder makes of the first 30 seconds of samples at 16 kHz.
    ///
    /// # Errors
    /// There are no samples, or some are not finite; those of attention and of the device.
    pub fn encode(&self, samples: &[f32]) -> Result<Encoded> {
        let spectrogram = self.log_mel.compute(&samples[..samples.len().min(WINDOW_SAMPLES)])?;
        self.encode_window(spectrogram.window(0))
    }

    fn encode_window(&self, window: Vec<f32>) -> Result<Encoded> {
        let data = TensorData::new(window, [1, BANDS, WINDOW_FRAMES]);
        self.model.encoder.forward(Tensor::from_data(data, &self.device))
    }

    /// Transcribes samples at 16 kHz, from -1 to 1.
    ///
    /// At most 30 seconds are one window. A longer recording is split as Whisper does it: a window is decoded with timestamps, and the
    /// next one begins where the last whole segment ends. Other than the original, it does not repeat at a higher temperature what it
    /// does not believe, nor give the text so far as a prompt. What is silent ([`is_silent`]) is skipped.
    ///
    /// # Errors
    /// There are no samples, or some are not finite; those of attention and of the device.
    pub fn transcribe(&self, samples: &[f32]) -> Result<Transcript> {
        self.transcribe_observed(samples, |_| {})
    }

    /// [`Recognizer::transcribe`], showing what the encoder made of each window. The time that the observer takes counts.
    ///
    /// # Errors
    /// Those of [`Recognizer::transcribe`].
    pub fn transcribe_observed(&self, samples: &[f32], mut observer: impl FnMut(&Encoded)) -> Result<Transcript> {
        check_samples(samples, "the recording")?;
        let begin = Instant::now();
        let silent = is_silent(samples);
        let (segments, attention) = match silent {
            true => (Vec::new(), Duration::ZERO),
            false => self.windows(samples, &mut observer)?,
        };
        let text: String = segments.iter().map(|segment| segment.text.as_str()).collect();
        let text = text.trim().to_owned();
        Ok(Transcript { text, segments, silent, attention, total: begin.elapsed() })
    }

    fn windows(&self, samples: &[f32], observer: &mut impl FnMut(&Encoded)) -> Result<(Vec<Segment>, Duration)> {
        let spectrogram = self.log_mel.compute(samples)?;
        let frames = spectrogram.content_frames();
        let is_long = samples.len() > WINDOW_SAMPLES;
        let (mut segments, mut attention, mut seek) = (Vec::new(), Duration::ZERO, 0);
        loop {
            let length = WINDOW_FRAMES.min(frames - seek);
            let heard = &samples[seek * HOP..samples.len().min(seek * HOP + WINDOW_SAMPLES)];
            let mut advance = length;
            if !is_silent(heard) {
                let encoded = self.encode_window(spectrogram.window(seek))?;
                attention += encoded.attention;
                observer(&encoded);
                let decoded = decode(&self.model.decoder, &self.tokenizer, &encoded, is_long)?;
                let nobody_speaks = decoded.no_speech_probability > NO_SPEECH_PROBABILITY
                    && decoded.mean_log_probability < LOW_LOG_PROBABILITY;
                if !nobody_speaks {
                    advance = self.split(&decoded, seek, length, &mut segments)?;
                }
            }
            seek += advance.clamp(1, length.max(1));
            if seek >= frames {
                return Ok((segments, attention));
            }
        }
    }

    /// Adds the whole segments of a window that begins at a frame; returns the frames after which the next window begins.
    fn split(&self, decoded: &Decoded, seek: usize, length: usize, segments: &mut Vec<Segment>) -> Result<usize> {
        let tokens = &decoded.tokens;
        let first = self.tokenizer.special().first_timestamp;
        let is_timestamp = |index: usize| tokens[index] >= first;
        let offset = |index: usize| tokens[index].saturating_sub(first) as usize;
        let seconds = |frames: usize| frames as f64 * HOP as f64 / f64::from(crate::audio::SAMPLE_RATE);
        let mut add = |tokens: &[u32], begin: f64, end: f64| -> Result<()> {
            let text = self.tokenizer.decode(tokens)?;
            if !text.trim().is_empty() {
                segments.push(Segment { begin: seconds(seek) + begin, end: seconds(seek) + end, text });
            }
            Ok(())
        };
        // Where the end of one segment is followed by the begin of the next.
        let mut ends: Vec<usize> =
            (1..tokens.len()).filter(|&index| is_timestamp(index - 1) && is_timestamp(index)).collect();
        let count = tokens.len();
        let ends_whole = count >= 2 && is_timestamp(count - 1) && !is_timestamp(count - 2);
        if ends.is_empty() {
            let last = (0..count).rfind(|&index| is_timestamp(index)).map(offset).filter(|&last| last > 0);
            let end = last.map_or(seconds(length), |last| last as f64 * TIMESTAMP_SECONDS);
            add(tokens, 0.0, end)?;
            return Ok(length);
        }
        if ends_whole {
            ends.push(count);
        }
        let mut begin = 0;
        for &end in &ends {
            let part = begin..end;
            add(&tokens[part], offset(begin) as f64 * TIMESTAMP_SECONDS, offset(end - 1) as f64 * TIMESTAMP_SECONDS)?;
            begin = end;
        }
        // After a single timestamp at the end nobody speaks; otherwise what follows the last whole segment is heard again.
        Ok(if ends_whole { length } else { offset(begin - 1) * TIMESTAMP_FRAMES })
    }
}
