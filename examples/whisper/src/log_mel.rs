//! Whisper's input: the logarithm of the energy in 80 bands, a hundred times a second.

use crate::Result;
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// Bands of the mel scale.
pub const BANDS: usize = 80;
/// Samples of a frame's window.
pub const WINDOW: usize = 400;
/// Samples from frame to frame.
pub const HOP: usize = 160;
/// Frames that the model sees at once: 30 seconds.
pub const WINDOW_FRAMES: usize = 3000;
/// Samples that the model sees at once.
pub const WINDOW_SAMPLES: usize = WINDOW_FRAMES * HOP;
/// Frequencies of a frame's spectrum.
const FREQUENCIES: usize = WINDOW / 2 + 1;

/// The log-mel spectrogram of a recording, and of the 30 seconds of silence that Whisper adds after it.
#[derive(Debug, Clone)]
pub struct Spectrogram {
    /// `[BANDS, frames]`, band by band.
    values: Vec<f32>,
    frames: usize,
}

impl Spectrogram {
    /// Frames of the recording itself, 10 ms each.
    pub fn content_frames(&self) -> usize {
        self.frames - WINDOW_FRAMES
    }

    /// The 30 seconds that begin at a frame, `[BANDS, WINDOW_FRAMES]`; beyond the end there are zeros.
    pub fn window(&self, first_frame: usize) -> Vec<f32> {
        let mut window = vec![0.0; BANDS * WINDOW_FRAMES];
        let first = first_frame.min(self.frames);
        let count = WINDOW_FRAMES.min(self.frames - first);
        for (band, row) in window.chunks_exact_mut(WINDOW_FRAMES).enumerate() {
            let begin = band * self.frames + first;
            row[..count].copy_from_slice(&self.values[begin..begin + count]);
        }
        window
    }
}

/// What computes spectrograms: a Fourier transform, a window and the bands' filters.
pub struct LogMel {
    transform: Arc<dyn RealToComplex<f64>>,
    hann: Vec<f64>,
    filters: Vec<Filter>,
}

/// A band's weights of neighbouring frequencies.
struct Filter {
    first: usize,
    weights: Vec<f64>,
}

impl Default for LogMel {
    fn default() -> Self {
        Self::new()
    }
}

impl LogMel {
    /// Prepares transform, window and filters.
    pub fn new() -> Self {
        let angle = std::f64::consts::TAU / WINDOW as f64;
        Self {
            transform: RealFftPlanner::new().plan_fft_forward(WINDOW),
            hann: (0..WINDOW).map(|index| 0.5 - 0.5 * (angle * index as f64).cos()).collect(),
            filters: filters(),
        }
    }

    /// The spectrogram of samples at 16 kHz, as Whisper computes it: of recording and 30 seconds of silence, its values at most 8 orders
    /// of magnitude below the loudest, then shifted and scaled. Takes 32 kB a second of sound.
    ///
    /// # Errors
    /// There are no samples, or one is not finite.
    pub fn compute(&self, samples: &[f32]) -> Result<Spectrogram> {
        crate::audio::check_samples(samples, "the recording")?;
        let frames = samples.len() / HOP + WINDOW_FRAMES;
        let mut values = vec![0.0; BANDS * frames];
        let mut input = self.transform.make_input_vec();
        let mut spectrum = self.transform.make_output_vec();
        let mut scratch = self.transform.make_scratch_vec();
        let mut power = [0.0; FREQUENCIES];
        for frame in 0..frames {
            let begin = (frame * HOP) as isize - (WINDOW / 2) as isize;
            for (index, value) in input.iter_mut().enumerate() {
                // Before its beginning the recording is continued by reflection. There is silence at the end, so none is needed there.
                let position = (begin + index as isize).unsigned_abs();
                let sample = samples.get(position).copied().unwrap_or(0.0);
                *value = f64::from(sample) * self.hann[index];
            }
            self.transform
                .process_with_scratch(&mut input, &mut spectrum, &mut scratch)
                .expect("the buffers are the transform's own");
            for (power, value) in power.iter_mut().zip(&spectrum) {
                *power = Complex::norm_sqr(value);
            }
            for (band, filter) in self.filters.iter().enumerate() {
                let energy: f64 = filter.weights.iter().zip(&power[filter.first..]).map(|(a, b)| a * b).sum();
                values[band * frames + frame] = energy.max(1e-10).log10() as f32;
            }
        }
        let loudest = values.iter().fold(f32::MIN, |loudest, &value| loudest.max(value));
        for value in &mut values {
            *value = (value.max(loudest - 8.0) + 4.0) / 4.0;
        }
        Ok(Spectrogram { values, frames })
    }
}

/// Slaney's mel scale, linear below 1 kHz and logarithmic above, in mel of a hertz.
fn hertz(mel: f64) -> f64 {
    let step = 6.4f64.ln() / 27.0;
    if mel < 15.0 {
        mel * 200.0 / 3.0
    } else {
        1000.0 * ((mel - 15.0) * step).exp()
    }
}

/// Triangles of equal area between 0 and 8 kHz, [`BANDS`] of them.
fn filters() -> Vec<Filter> {
    let rate = f64::from(crate::audio::SAMPLE_RATE);
    let top = 15.0 + (rate / 2.0 / 1000.0).ln() * 27.0 / 6.4f64.ln();
    let edge = |index: usize| hertz(top * index as f64 / (BANDS + 1) as f64);
    let filter = |band: usize| {
        let (low, middle, high) = (edge(band), edge(band + 1), edge(band + 2));
        let weight = |frequency: usize| {
            let hertz = frequency as f64 * rate / WINDOW as f64;
            let (rise, fall) = ((hertz - low) / (middle - low), (high - hertz) / (high - middle));
            rise.min(fall).max(0.0) * 2.0 / (high - low)
        };
        let used = |frequency: &usize| weight(*frequency) > 0.0;
        let first = (0..FREQUENCIES).find(used).unwrap_or(0);
        let weights = (first..FREQUENCIES).take_while(used).map(weight).collect();
        Filter { first, weights }
    };
    (0..BANDS).map(filter).collect()
}
