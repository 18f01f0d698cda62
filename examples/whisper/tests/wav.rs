//! WAV files of every kind, whole and broken.

mod common;

use clustered_attention_whisper::audio::{is_silent, read_wav, SAMPLE_RATE};
use clustered_attention_whisper::Error;
use common::{file, wave, PLAIN};
use hound::{SampleFormat, WavSpec};

/// A tone of 440 Hz and half of full scale.
fn tone(rate: u32, count: usize) -> impl Iterator<Item = f64> {
    (0..count).map(move |index| 0.5 * (std::f64::consts::TAU * 440.0 / f64::from(rate) * index as f64).sin())
}

#[test]
fn every_width_of_integers_is_read_alike() {
    let folder = tempfile::tempdir().unwrap();
    for bits in [8u16, 16, 24, 32] {
        let spec = WavSpec { bits_per_sample: bits, ..PLAIN };
        let scale = (1u64 << (bits - 1)) as f64;
        let samples: Vec<i32> = tone(16_000, 1_000).map(|value| (value * scale) as i32).collect();
        let read = read_wav(&wave(folder.path(), "clip.wav", spec, &samples)).unwrap();
        assert_eq!(read.len(), 1_000);
        for (value, truth) in read.iter().zip(tone(16_000, 1_000)) {
            assert!((f64::from(*value) - truth).abs() <= 1.0 / scale + 1e-7, "{bits} bits: {value} for {truth}");
        }
    }
}

#[test]
fn floats_channels_and_rates() {
    let folder = tempfile::tempdir().unwrap();
    let spec = WavSpec { channels: 2, sample_rate: 44_100, bits_per_sample: 32, sample_format: SampleFormat::Float };
    // Left three quarters, right a quarter of full scale: half when mixed.
    let samples: Vec<f32> = tone(44_100, 44_100).flat_map(|value| [1.5 * value as f32, 0.5 * value as f32]).collect();
    let read = read_wav(&wave(folder.path(), "clip.wav", spec, &samples)).unwrap();
    assert!(read.len().abs_diff(SAMPLE_RATE as usize) <= 1, "{}", read.len());
    for (value, truth) in read.iter().zip(tone(16_000, 16_000)).skip(2_000).take(12_000) {
        assert!((f64::from(*value) - truth).abs() < 2e-3, "{value} for {truth}");
    }
}

#[test]
fn what_is_no_wav_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, bytes: &[u8]| {
        let error = read_wav(&file(folder.path(), name, bytes)).unwrap_err();
        assert!(matches!(error, Error::NotWave { .. }), "{name}: {error}");
        assert!(error.to_string().contains(name), "{error}");
    };
    refused("empty.wav", b"");
    refused("text.wav", b"This is not sound at all, but a text of some length.");
    refused("cut.wav", b"RIFF\x24\x00\x00\x00WAVEfmt ");
    let whole = std::fs::read(wave(folder.path(), "whole.wav", PLAIN, &[1i16; 1_000])).unwrap();
    refused("half.wav", &whole[..whole.len() / 2]);
    let error = read_wav(&file(folder.path(), "odd.wav", &whole[..whole.len() - 1])).unwrap_err();
    assert!(error.to_string().contains("1000 samples are announced, but the data break off"), "{error}");
    let mut flac = b"fLaC\0\0\0\x22".to_vec();
    flac.resize(1_000, 0);
    refused("clip.flac", &flac);
}

#[test]
fn files_that_are_not_there_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = read_wav(&folder.path().join("nothing.wav")).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error}");
    assert!(error.to_string().contains("nothing.wav"), "{error}");
    assert!(read_wav(folder.path()).is_err(), "a folder");
}

#[test]
fn kinds_that_are_not_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(wave(folder.path(), "law.wav", PLAIN, &[1i16; 100])).unwrap();
    bytes[20] = 7; // mu-law, by its tag
    let error = read_wav(&file(folder.path(), "law.wav", &bytes)).unwrap_err();
    assert!(matches!(error, Error::UnsupportedWave { .. } | Error::NotWave { .. }), "{error}");
    let spec = WavSpec { channels: 100, ..PLAIN };
    let error = read_wav(&wave(folder.path(), "many.wav", spec, &[1i16; 100])).unwrap_err();
    assert!(error.to_string().contains("integers of 16 bits in 100 channels"), "{error}");
    let spec = WavSpec { sample_rate: 10, ..PLAIN };
    let error = read_wav(&wave(folder.path(), "slow.wav", spec, &[1i16; 100])).unwrap_err();
    assert_eq!(error.to_string(), "a sampling rate of 10 Hz is not supported: from 1000 to 768000 Hz are");
}

#[test]
fn samples_that_are_no_sound_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = read_wav(&wave::<i16>(folder.path(), "none.wav", PLAIN, &[])).unwrap_err();
    assert!(matches!(error, Error::NoSamples { .. }), "{error}");
    let spec = WavSpec { bits_per_sample: 32, sample_format: SampleFormat::Float, ..PLAIN };
    for (value, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        let error = read_wav(&wave(folder.path(), "bad.wav", spec, &[0.0, 0.5, value, 0.5])).unwrap_err();
        assert!(matches!(error, Error::NotFinite { index: 2, .. }), "{error}");
        assert!(error.to_string().contains("sample 2") && error.to_string().contains(name), "{error}");
    }
}

#[test]
fn silence_is_read_and_known() {
    let folder = tempfile::tempdir().unwrap();
    let silence = read_wav(&wave(folder.path(), "silence.wav", PLAIN, &[0i16; 16_000])).unwrap();
    assert!(is_silent(&silence));
    let dither: Vec<i16> = (0..16_000).map(|index| (index * 7919 % 3 - 1) as i16).collect();
    assert!(is_silent(&read_wav(&wave(folder.path(), "dither.wav", PLAIN, &dither)).unwrap()));
}

/// Every single byte of a header is changed to several values: an error or samples, but no panic and no endless memory.
#[test]
fn damaged_headers_do_not_panic() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(wave(folder.path(), "whole.wav", PLAIN, &[100i16; 64])).unwrap();
    for position in 0..44 {
        for value in [0, 1, 3, 64, 127, 128, 255] {
            let mut damaged = whole.clone();
            damaged[position] = value;
            if let Ok(samples) = read_wav(&file(folder.path(), "damaged.wav", &damaged)) {
                assert!(
                    samples.len() <= 64 * 16_000 / 1_000 * 2,
                    "byte {position} as {value}: {} samples",
                    samples.len()
                );
            }
        }
    }
}
