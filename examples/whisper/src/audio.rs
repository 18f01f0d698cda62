//! From a WAV file to samples as the model takes them: one channel, 16 kHz, from -1 to 1.

use crate::wave::{read_header, read_samples, Fault};
use crate::{Error, Result};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Samples a second that Whisper takes.
pub const SAMPLE_RATE: u32 = 16_000;
/// The lowest rate that is resampled, in hertz.
pub const MINIMUM_RATE: u32 = 1_000;
/// The highest rate that is resampled, in hertz.
pub const MAXIMUM_RATE: u32 = 768_000;
/// A recording whose samples all lie within this distance of their mean is silent: 80 dB below full scale, about three steps of 16 bits.
pub const SILENCE: f32 = 1e-4;
/// More channels than any recording of speech has; the bound keeps a damaged header from asking for much memory.
pub(crate) const MAXIMUM_CHANNELS: u16 = 64;
/// Input frames that the resampler takes at a time, at least.
const RESAMPLER_CHUNK: usize = 1024;
/// The resampler's filter.
const WINDOW: WindowFunction = WindowFunction::BlackmanHarris2;

/// Reads a WAV file (RIFF or RF64): integers of 8, 16, 24 or 32 bits, floats of 32 or 64 bits, A-law or mu-law, of 1 to 64 channels and
/// any rate from [`MINIMUM_RATE`] to [`MAXIMUM_RATE`]; channels are mixed down to their mean, other rates are resampled to
/// [`SAMPLE_RATE`]. Where a program that wrote into a pipe left the size open, the recording lasts to the end of the file.
///
/// # Errors
/// The file cannot be read, is no whole WAV file or of another kind, holds no samples, or holds NaN or infinity.
pub fn read_wav(path: &Path) -> Result<Vec<f32>> {
    let file = File::open(path).map_err(Error::read(path))?;
    let name = path.display().to_string();
    let read = || -> Result<_, Fault> {
        let (header, rest) = read_header(BufReader::new(file))?;
        Ok((read_samples(&header, rest)?, header.format.rate))
    };
    let (samples, rate) = read().map_err(|fault| match fault {
        Fault::Read(source) => Error::read(path)(source),
        Fault::NotWave(reason) => Error::NotWave { path: path.to_owned(), reason },
        Fault::Unsupported(actual) => Error::UnsupportedWave { path: path.to_owned(), actual },
        Fault::NotFinite { index, value } => Error::NotFinite { name: name.clone(), index, value },
    })?;
    check_samples(&samples, &name)?;
    let samples = resample(samples, rate)?;
    check_samples(&samples, &name)?;
    Ok(samples)
}

/// Brings samples of one channel to [`SAMPLE_RATE`], by a filter that keeps what lies below half of both rates. Time and memory grow
/// linearly with the samples; of [`SAMPLE_RATE`] they are returned as they are.
///
/// # Errors
/// The rate is not between [`MINIMUM_RATE`] and [`MAXIMUM_RATE`].
pub fn resample(samples: Vec<f32>, rate: u32) -> Result<Vec<f32>> {
    if rate == SAMPLE_RATE {
        return Ok(samples);
    }
    if !(MINIMUM_RATE..=MAXIMUM_RATE).contains(&rate) {
        return Err(Error::SamplingRate { rate, minimum: MINIMUM_RATE, maximum: MAXIMUM_RATE });
    }
    let failed = |error: &dyn std::fmt::Display| Error::Resample { rate, reason: error.to_string() };
    let input = InterleavedSlice::new(&samples, 1, samples.len()).map_err(|error| failed(&error))?;
    // The filter delays by half a chunk, which is undone by whole samples: so a chunk has to be even, in samples of both rates.
    let period = 2 * rate as usize / greatest_common_divisor(rate, SAMPLE_RATE) as usize;
    let chunk = RESAMPLER_CHUNK.next_multiple_of(period);
    let mut resampler =
        Fft::<f32>::new_custom(rate as usize, SAMPLE_RATE as usize, chunk, 1, 1, WINDOW, FixedSync::Input)
            .map_err(|error| failed(&error))?;
    let output = resampler.process_all(&input, samples.len(), None).map_err(|error| failed(&error))?;
    Ok(output.take_data())
}

fn greatest_common_divisor(one: u32, other: u32) -> u32 {
    match other {
        0 => one,
        _ => greatest_common_divisor(other, one % other),
    }
}

/// Refuses samples that are no sound: none at all, NaN or infinity.
///
/// # Errors
/// These, with `name` in the message.
pub fn check_samples(samples: &[f32], name: &str) -> Result<()> {
    if samples.is_empty() {
        return Err(Error::NoSamples { name: name.into() });
    }
    match samples.iter().position(|sample| !sample.is_finite()) {
        Some(index) => Err(Error::NotFinite { name: name.into(), index, value: samples[index] }),
        None => Ok(()),
    }
}

/// Whether nothing is to be heard: no sample is further than [`SILENCE`] from the mean. Given silence, Whisper makes words up; so what is
/// silent is not given to it and has an empty transcript.
pub fn is_silent(samples: &[f32]) -> bool {
    let mean = samples.iter().map(|&sample| f64::from(sample)).sum::<f64>() / samples.len().max(1) as f64;
    samples.iter().all(|&sample| (f64::from(sample) - mean).abs() <= f64::from(SILENCE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hertz: f64, seconds: f64) -> Vec<f32> {
        let count = (f64::from(rate) * seconds) as usize;
        let step = std::f64::consts::TAU * hertz / f64::from(rate);
        (0..count).map(|index| (0.5 * (step * index as f64).sin()) as f32).collect()
    }

    #[test]
    fn a_tone_stays_what_it_is_at_other_rates() {
        for rate in [8_000, 11_025, 22_050, 44_100, 48_000, 96_000] {
            let resampled = resample(tone(rate, 440.0, 1.0), rate).unwrap();
            let expected = tone(SAMPLE_RATE, 440.0, 1.0);
            assert!(resampled.len().abs_diff(expected.len()) <= 1, "{rate} Hz: {} samples", resampled.len());
            let inner = 2_000..expected.len() - 2_000; // the filter's ends apart
            for index in inner {
                let difference = (resampled[index] - expected[index]).abs();
                assert!(difference < 2e-3, "{rate} Hz: off by {difference} at {index}");
            }
        }
    }

    #[test]
    fn tones_above_the_new_band_are_gone() {
        let resampled = resample(tone(48_000, 12_000.0, 1.0), 48_000).unwrap();
        let inner = &resampled[2_000..resampled.len() - 2_000];
        let loudest = inner.iter().fold(0.0f32, |loudest, sample| loudest.max(sample.abs()));
        assert!(loudest < 1e-3, "{loudest}");
    }

    #[test]
    fn rates_out_of_range_are_refused() {
        for rate in [0, 999, 768_001, u32::MAX] {
            let error = resample(vec![0.5; 100], rate).unwrap_err();
            assert!(matches!(error, Error::SamplingRate { .. }), "{error}");
        }
        resample(vec![0.5; 100], 767_999).unwrap();
        resample(vec![0.5], 44_100).unwrap();
    }

    #[test]
    fn silence_is_told_from_speech() {
        assert!(is_silent(&[]));
        assert!(is_silent(&[0.0; 100]));
        assert!(is_silent(&[0.25; 100]), "a constant is no sound either");
        assert!(is_silent(&[3e-5, -3e-5, 0.0, 3e-5]), "dither");
        assert!(!is_silent(&tone(16_000, 440.0, 0.1)));
    }

    #[test]
    fn samples_that_are_no_sound_are_refused() {
        assert!(matches!(check_samples(&[], "it"), Err(Error::NoSamples { .. })));
        let error = check_samples(&[0.0, 1.0, f32::NAN], "it").unwrap_err();
        assert_eq!(error.to_string(), "sample 2 of it is NaN, not a number that sound can have");
        assert!(matches!(check_samples(&[f32::INFINITY], "it"), Err(Error::NotFinite { index: 0, .. })));
    }
}
