//! WAV files of every kind of samples, whole and broken. How programs lay them out is in `wav_layouts.rs`.

mod common;

use clustered_attention_whisper::audio::{is_silent, read_wav, SAMPLE_RATE};
use clustered_attention_whisper::Error;
use common::files::{chunk, file, riff, wave, Kind, PLAIN};
use std::path::Path;

const FLOATS: Kind = Kind { tag: 3, bits: 32, ..PLAIN };

/// A tone of 440 Hz and half of full scale.
fn tone(rate: u32, count: usize) -> impl Iterator<Item = f64> {
    (0..count).map(move |index| 0.5 * (std::f64::consts::TAU * 440.0 / f64::from(rate) * index as f64).sin())
}

/// Floats of 32 bits.
fn floats(samples: impl IntoIterator<Item = f32>) -> Vec<u8> {
    samples.into_iter().flat_map(f32::to_le_bytes).collect()
}

#[test]
fn every_width_of_integers_is_read_alike() {
    let folder = tempfile::tempdir().unwrap();
    for bits in [8u16, 16, 24, 32] {
        let kind = Kind { bits, ..PLAIN };
        let scale = (1u64 << (bits - 1)) as f64;
        let samples = kind.integers(tone(16_000, 1_000).map(|value| (value * scale) as i32));
        let read = read_wav(&wave(folder.path(), "clip.wav", kind, &samples)).unwrap();
        assert_eq!(read.len(), 1_000);
        for (value, truth) in read.iter().zip(tone(16_000, 1_000)) {
            assert!((f64::from(*value) - truth).abs() <= 1.0 / scale + 1e-7, "{bits} bits: {value} for {truth}");
        }
    }
}

/// Samples of fewer bits than their bytes hold begin at the highest bit.
#[test]
fn integers_in_wider_bytes_have_their_full_scale() {
    let folder = tempfile::tempdir().unwrap();
    for (bits, bytes) in [(12u16, 2u16), (20, 3), (24, 4), (16, 4)] {
        let wide = Kind { bits: 8 * bytes, ..PLAIN };
        let step = 1i64 << (8 * bytes - bits);
        let full = (1i64 << (8 * bytes - 1)) as f64;
        let samples = wide.integers(tone(16_000, 1_000).map(|value| ((value * full) as i64 / step * step) as i32));
        let kind = Kind { bits, ..PLAIN };
        let bytes = riff(&[kind.extensible_chunk(bytes), chunk(b"data", &samples)]);
        let read = read_wav(&file(folder.path(), "clip.wav", &bytes)).unwrap();
        assert_eq!(read.len(), 1_000);
        for (value, truth) in read.iter().zip(tone(16_000, 1_000)) {
            let error = (f64::from(*value) - truth).abs();
            assert!(error <= step as f64 / full + 1e-7, "{bits} bits: {value} for {truth}");
        }
    }
}

#[test]
fn floats_channels_and_rates() {
    let folder = tempfile::tempdir().unwrap();
    // Left three quarters, right a quarter of full scale: half when mixed.
    let samples = || tone(44_100, 44_100).flat_map(|value| [1.5 * value, 0.5 * value]);
    let doubles: Vec<u8> = samples().flat_map(f64::to_le_bytes).collect();
    for (bits, samples) in [(32, floats(samples().map(|value| value as f32))), (64, doubles)] {
        let kind = Kind { channels: 2, rate: 44_100, bits, ..FLOATS };
        let plain = riff(&[kind.chunk(), chunk(b"data", &samples)]);
        let extensible = riff(&[kind.extensible_chunk(bits / 8), chunk(b"fact", &[0; 4]), chunk(b"data", &samples)]);
        for bytes in [plain, extensible] {
            let read = read_wav(&file(folder.path(), "clip.wav", &bytes)).unwrap();
            assert!(read.len().abs_diff(SAMPLE_RATE as usize) <= 1, "{}", read.len());
            for (value, truth) in read.iter().zip(tone(16_000, 16_000)).skip(2_000).take(12_000) {
                assert!((f64::from(*value) - truth).abs() < 2e-3, "{value} for {truth}");
            }
        }
    }
}

#[test]
fn channels_are_mixed_to_their_mean() {
    let folder = tempfile::tempdir().unwrap();
    for channels in [1u16, 2, 3, 6, 64] {
        let kind = Kind { channels, ..PLAIN };
        // Every channel of a frame is another multiple of the first.
        let frames = (0..5_000).flat_map(|frame| (1..=i32::from(channels)).map(move |channel| frame % 100 * channel));
        let read = read_wav(&wave(folder.path(), "clip.wav", kind, &kind.integers(frames))).unwrap();
        assert_eq!(read.len(), 5_000);
        for (frame, value) in read.iter().enumerate() {
            let truth = (frame % 100) as f32 * f32::from(channels + 1) / 2.0 / 32_768.0;
            assert!((value - truth).abs() < 1e-6, "frame {frame} of {channels} channels: {value} for {truth}");
        }
    }
    // A mean that a float holds, although the sum is beyond it.
    let kind = Kind { channels: 2, ..FLOATS };
    let loud = wave(folder.path(), "loud.wav", kind, &floats([3e38, 3e38]));
    assert_eq!(read_wav(&loud).unwrap(), [3e38]);
}

/// Numbers of ITU-T G.711: the loudest and the softest steps of both signs.
#[test]
fn a_law_and_mu_law_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (6, [0xaa, 0x2a, 0xd5, 0x55, 0x80, 0x00], [32_256.0, -32_256.0, 8.0, -8.0, 5_504.0, -5_504.0]),
        (7, [0x80, 0x00, 0xff, 0x7f, 0xf0, 0x70], [32_124.0, -32_124.0, 0.0, 0.0, 120.0, -120.0]),
    ];
    for (tag, samples, values) in cases {
        let kind = Kind { tag, bits: 8, ..PLAIN };
        let read = read_wav(&wave(folder.path(), "call.wav", kind, &samples)).unwrap();
        assert_eq!(read.iter().map(|value| value * 32_768.0).collect::<Vec<f32>>(), values, "format {tag}");
    }
}

/// Refused as no WAV file, with its name and this reason.
fn refused(folder: &Path, name: &str, bytes: &[u8], reason: &str) {
    let error = read_wav(&file(folder, name, bytes)).unwrap_err();
    assert!(matches!(error, Error::NotWave { .. }), "{name}: {error}");
    assert!(error.to_string().contains(name) && error.to_string().contains(reason), "{error} for {reason}");
}

#[test]
fn what_is_no_wav_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, bytes: &[u8], reason: &str| refused(folder.path(), name, bytes, reason);
    refused("empty.wav", b"", "it is empty");
    refused("text.wav", b"This is not sound at all, but a text of some length.", "begins with \"This is not \"");
    refused("start.wav", b"RIFF\x24", "breaks off after 5 bytes");
    refused("cut.wav", b"RIFF\x24\x00\x00\x00WAVEfmt ", "ends without samples");
    let whole = riff(&[PLAIN.chunk(), chunk(b"data", &[1; 2_000])]);
    refused("format.wav", &whole[..30], "its chunk `fmt ` of 16 bytes breaks off after 10");
    refused("half.wav", &whole[..whole.len() / 2], "the data break off after 489");
    let odd = &whole[..whole.len() - 1];
    refused("odd.wav", odd, "1000 samples are announced, but the data break off after 999");
    let samples = chunk(b"data", &[1; 100]);
    refused("bare.wav", &riff(std::slice::from_ref(&samples)), "its samples come before the chunk `fmt `");
    refused("short.wav", &riff(&[chunk(b"fmt ", &[1; 14]), samples.clone()]), "has 14 bytes, and 16 are needed");
    let mut extensible = PLAIN.extensible_chunk(2);
    extensible.truncate(28);
    extensible[4] = 20;
    refused("extensible.wav", &riff(&[extensible, samples.clone()]), "has 20 bytes, and 40 are needed");
    for (bits, bytes) in [(16, 3), (16, 1), (24, 4), (0, 2)] {
        let mut contradiction = Kind { bits, ..PLAIN }.chunk();
        contradiction[20] = bytes;
        let reason =
            format!("contradicts itself: integers of {bits} bits in 1 channel at 16000 Hz cannot have frames of");
        refused("frames.wav", &riff(&[contradiction, samples.clone()]), &format!("{reason} {bytes} bytes"));
    }
}

#[test]
fn other_kinds_of_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[u8], &str); 11] = [
        (b"fLaC\0\0\0\x22\x10\0\x10\0", "a FLAC file"),
        (b"OggS\0\x02\0\0\0\0\0\0", "an Ogg file"),
        (b"ID3\x04\0\0\0\0\0\0\0\0", "an MP3 file"),
        (b"\xff\xfb\x90\x64\0\0\0\0\0\0\0\0", "an MP3 file"),
        (b"\0\0\0\x20ftypM4A ", "an MP4 file"),
        (b"FORM\0\0\x10\0AIFFCOMM", "an AIFF file"),
        (b"RIFX\0\0\x10\0WAVEfmt ", "a RIFX file"),
        (b"RIFF\0\x10\0\0AVI LIST", "an AVI video"),
        (b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0", "a Sony Wave64 file"),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81", "a Matroska or WebM file"),
        (b"<!DOCTYPE html><html>", "a web page"),
    ];
    for (start, name) in cases {
        let mut bytes = start.to_vec();
        bytes.resize(1_000, 0);
        refused(folder.path(), "clip.wav", &bytes, &format!("it is {name}"));
        refused(folder.path(), "clip.wav", &bytes, "`ffmpeg -i FILE clip.wav` makes a WAV file");
    }
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
    let refused = |name: &str, kind: Kind, actual: &str| {
        let error = read_wav(&wave(folder.path(), name, kind, &[1; 200])).unwrap_err();
        assert!(matches!(error, Error::UnsupportedWave { .. }), "{error}");
        let needed =
            "needed are integers of 8, 16, 24 or 32 bits, floats of 32 or 64 bits, A-law or mu-law of 8 bits, \
                      in 1 to 64 channels at 1000 to 768000 Hz";
        let told = [name, &format!("holds {actual};"), needed].iter().all(|text| error.to_string().contains(text));
        assert!(told, "{error} for {actual}");
    };
    refused("law.wav", Kind { tag: 7, ..PLAIN }, "mu-law of 16 bits in 1 channel at 16000 Hz");
    refused("many.wav", Kind { channels: 100, ..PLAIN }, "integers of 16 bits in 100 channels at 16000 Hz");
    refused("none.wav", Kind { channels: 0, ..PLAIN }, "integers of 16 bits in 0 channels at 16000 Hz");
    refused("slow.wav", Kind { rate: 10, ..PLAIN }, "integers of 16 bits in 1 channel at 10 Hz");
    refused("fast.wav", Kind { rate: u32::MAX, ..PLAIN }, "integers of 16 bits in 1 channel at 4294967295 Hz");
    refused("half.wav", Kind { bits: 16, ..FLOATS }, "floats of 16 bits in 1 channel at 16000 Hz");
    refused("long.wav", Kind { bits: 64, ..PLAIN }, "integers of 64 bits in 1 channel at 16000 Hz");
    let compressed = |tag, name: &str| {
        refused("small.wav", Kind { tag, bits: 4, ..PLAIN }, &format!("{name} in 1 channel at 16000 Hz"));
    };
    compressed(0x02, "compressed sound (Microsoft ADPCM)");
    compressed(0x11, "compressed sound (IMA ADPCM)");
    compressed(0x31, "compressed sound (GSM 6.10)");
    compressed(0x55, "compressed sound (MP3)");
    compressed(0x1234, "samples of the unknown format 0x1234");
}

#[test]
fn samples_that_are_no_sound_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = read_wav(&wave(folder.path(), "none.wav", PLAIN, &[])).unwrap_err();
    assert!(matches!(error, Error::NoSamples { .. }), "{error}");
    assert!(error.to_string().contains("none.wav holds no samples"), "{error}");
    for (value, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        for (channels, index) in [(1u16, 2usize), (2, 9_001), (2, 19_998)] {
            let mut samples = vec![0.5; 20_000];
            samples[index] = value;
            let doubles: Vec<u8> = samples.iter().flat_map(|&sample| f64::from(sample).to_le_bytes()).collect();
            for (bits, samples) in [(32, floats(samples.iter().copied())), (64, doubles)] {
                let kind = Kind { channels, bits, ..FLOATS };
                let error = read_wav(&wave(folder.path(), "bad.wav", kind, &samples)).unwrap_err();
                assert!(matches!(error, Error::NotFinite { .. }), "{error}");
                let told = format!("bad.wav is {name}, not a number");
                assert!(error.to_string().contains(&told), "{error}");
                assert!(error.to_string().starts_with(&format!("sample {index} of ")), "{error}");
            }
        }
    }
}

#[test]
fn silence_is_read_and_known() {
    let folder = tempfile::tempdir().unwrap();
    let silence = read_wav(&wave(folder.path(), "silence.wav", PLAIN, &[0; 32_000])).unwrap();
    assert!(is_silent(&silence));
    let dither = PLAIN.integers((0..16_000).map(|index| index * 7919 % 3 - 1));
    assert!(is_silent(&read_wav(&wave(folder.path(), "dither.wav", PLAIN, &dither)).unwrap()));
}
