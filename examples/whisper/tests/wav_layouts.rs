//! WAV files as programs lay them out: sizes that were never filled in, chunks of odd length, more than 4 GiB, damage.

mod common;

use clustered_attention_whisper::audio::read_wav;
use clustered_attention_whisper::Error;
use common::files::{chunk, chunk_of_size, file, riff, riff_of_size, Kind, PLAIN};

/// A ramp over most of the range, as integers of 16 bits.
const RAMP: std::ops::Range<i32> = -800..800;

fn ramp() -> Vec<u8> {
    PLAIN.integers(RAMP.map(|step| step * 31))
}

/// Read as the ramp, every sample of it.
fn reads_as_ramp(what: &str, bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let read = read_wav(&file(folder.path(), "clip.wav", bytes)).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(read.iter().copied().eq(RAMP.map(|step| (step * 31) as f32 / 32_768.0)), "{what}: {} samples", read.len());
}

/// What FFmpeg puts before samples: its name and version.
fn info() -> Vec<u8> {
    chunk(b"LIST", b"INFOISFT\x0e\0\0\0Lavf60.16.100\0")
}

/// Programs that write into a pipe cannot go back to fill in sizes.
#[test]
fn sizes_that_a_pipe_left_open() {
    let header = 36;
    let cases = [
        ("FFmpeg", u32::MAX, u32::MAX),
        ("SoX and eSpeak", 0x7fff_f000 + header, 0x7fff_f000),
        ("arecord", 0x8000_0000 + header, 0x8000_0000),
        ("GStreamer", 0x7fff_0000 + header, 0x7fff_0000),
        ("the largest signed number", i32::MAX as u32, i32::MAX as u32 - header),
        ("the largest number less the header", u32::MAX, u32::MAX - header),
        ("Python", header, 0),
        ("zeros", 0, 0),
        ("no size of samples", header + 3_200, 0),
        ("no size of the whole", 0, 3_200),
        ("a size of the whole without samples", header, 3_200),
    ];
    for (program, riff_bytes, data_bytes) in cases {
        let samples = chunk_of_size(b"data", data_bytes, &ramp());
        reads_as_ramp(program, &riff_of_size(riff_bytes, &[PLAIN.chunk(), samples.clone()].concat()));
        let with_text = [PLAIN.chunk(), info(), samples];
        if riff_bytes != header + 3_200 {
            reads_as_ramp(&format!("{program} with text"), &riff_of_size(riff_bytes, &with_text.concat()));
        }
    }
    // A program that was stopped within a sample.
    let stopped = chunk_of_size(b"data", u32::MAX, &[&ramp()[..], &[1]].concat());
    reads_as_ramp("half a sample", &riff_of_size(u32::MAX, &[PLAIN.chunk(), stopped].concat()));
}

#[test]
fn recordings_without_samples_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = chunk(b"data", &[]);
    let cases = [
        riff(&[PLAIN.chunk(), nothing.clone()]),
        // Zero is a size where another chunk follows.
        riff(&[PLAIN.chunk(), nothing.clone(), info()]),
        riff_of_size(0, &[PLAIN.chunk(), nothing].concat()),
        riff_of_size(u32::MAX, &[PLAIN.chunk(), chunk_of_size(b"data", u32::MAX, &[])].concat()),
        riff_of_size(u32::MAX, &[PLAIN.chunk(), chunk_of_size(b"data", u32::MAX, &[1])].concat()),
    ];
    for (index, bytes) in cases.iter().enumerate() {
        let error = read_wav(&file(folder.path(), "none.wav", bytes)).unwrap_err();
        assert!(matches!(error, Error::NoSamples { .. }), "case {index}: {error}");
    }
}

/// Chunks of odd length take a byte more, which some programs leave out.
#[test]
fn chunks_of_odd_length() {
    for text in [&b"INFOISFT\x05\0\0\0tool\0"[..], b"x", b"", b"INFOIART\x03\0\0\0abc"] {
        let list = chunk_of_size(b"LIST", text.len() as u32, text);
        for (padding, bytes) in [("with a zero", &b"\0"[..]), ("with a blank", b" "), ("without", b"")] {
            let padding_bytes = if text.len() % 2 == 1 { bytes } else { b"" };
            let list = [&list, padding_bytes].concat();
            let what = format!("{} bytes, padded {padding}", text.len());
            let samples = chunk(b"data", &ramp());
            reads_as_ramp(&what, &riff(&[PLAIN.chunk(), list.clone(), samples.clone()]));
            reads_as_ramp(&what, &riff(&[list.clone(), PLAIN.chunk(), list, samples]));
        }
    }
    // Of odd length are also the samples, or their size alone.
    let folder = tempfile::tempdir().unwrap();
    let kind = Kind { bits: 24, ..PLAIN };
    let samples = kind.integers([1 << 20, 1 << 21, 1 << 22]);
    for data in [chunk(b"data", &samples), chunk(b"data", &[&samples[..], &[0]].concat())] {
        let read = read_wav(&file(folder.path(), "odd.wav", &riff(&[kind.chunk(), data, info()]))).unwrap();
        assert_eq!(read, [0.125, 0.25, 0.5]);
    }
}

#[test]
fn chunks_of_other_lengths_and_what_follows_the_samples() {
    let samples = chunk(b"data", &ramp());
    let plain = PLAIN.chunk();
    let longer = |more: &[u8]| chunk(b"fmt ", &[&plain[8..], more].concat());
    reads_as_ramp("18 bytes of format", &riff(&[longer(&[0; 2]), samples.clone()]));
    reads_as_ramp("20 bytes of format", &riff(&[longer(&[0; 4]), samples.clone()]));
    reads_as_ramp("40 bytes of format", &riff(&[longer(&[0; 24]), samples.clone()]));
    reads_as_ramp("500 bytes of format", &riff(&[longer(&[1; 484]), samples.clone()]));
    reads_as_ramp("extensible", &riff(&[PLAIN.extensible_chunk(2), chunk(b"fact", &[0; 4]), samples.clone()]));
    let mut wrong_pace = plain.clone();
    wrong_pace[16..20].fill(0);
    reads_as_ramp("no bytes a second", &riff(&[wrong_pace, samples.clone()]));
    reads_as_ramp("a chunk after", &riff(&[plain.clone(), samples.clone(), chunk(b"id3 ", &[7; 101])]));
    let whole = riff(&[plain.clone(), samples.clone()]);
    reads_as_ramp("garbage after", &[&whole[..], b"garbage"].concat());
    reads_as_ramp("a long chunk before", &riff(&[chunk(b"junk", &[0; 100_001]), plain, samples]));
}

/// Files of more than 4 GiB have their sizes in a chunk of their own; short ones may have it, too.
#[test]
fn sizes_of_64_bits() {
    let long = |name: &[u8; 4], data_bytes: u64| {
        let sizes = [3_300u64.to_le_bytes(), data_bytes.to_le_bytes(), 1_600u64.to_le_bytes()].concat();
        let sizes = chunk(b"ds64", &[&sizes[..], &[0; 4]].concat());
        let samples = chunk_of_size(b"data", u32::MAX, &ramp());
        let mut bytes = riff_of_size(u32::MAX, &[sizes, PLAIN.chunk(), samples].concat());
        bytes[..4].copy_from_slice(name);
        bytes
    };
    for name in [b"RF64", b"BW64"] {
        reads_as_ramp("its size", &long(name, 3_200));
        reads_as_ramp("a chunk after", &[long(name, 3_200), info()].concat());
        reads_as_ramp("no size: a pipe", &long(name, 0));
        reads_as_ramp("no size: a pipe", &long(name, u64::MAX));
    }
    let folder = tempfile::tempdir().unwrap();
    let error = read_wav(&file(folder.path(), "cut.wav", &long(b"RF64", 1 << 60))).unwrap_err();
    assert!(error.to_string().contains("576460752303423488 samples are announced"), "{error}");
    assert!(error.to_string().contains("break off after 1600"), "{error}");
}

/// A size that the file does not have is refused or, where it stands for none, not believed: no memory is taken for it.
#[test]
fn sizes_that_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let samples = chunk_of_size(b"data", 0x7000_0000, &ramp());
    let error = read_wav(&file(folder.path(), "cut.wav", &riff(&[PLAIN.chunk(), samples.clone()]))).unwrap_err();
    assert!(
        error.to_string().contains("939524096 samples are announced, but the data break off after 1600"),
        "{error}"
    );
    for name in [b"fmt ", b"LIST", b"ds64", b"junk"] {
        let bytes = riff(&[chunk_of_size(name, 0xfffe_0000, &PLAIN.chunk()[8..]), samples.clone()]);
        let error = read_wav(&file(folder.path(), "cut.wav", &bytes)).unwrap_err();
        let name = name.escape_ascii();
        assert!(error.to_string().contains(&format!("`{name}` of 4294836224 bytes breaks off after 3224")), "{error}");
    }
}

/// Every single byte of a header is changed to several values: an error or samples, but no panic and no endless memory. (More damage is
/// done to what is in memory, beside the reader.)
#[test]
fn damaged_headers_do_not_panic() {
    let folder = tempfile::tempdir().unwrap();
    let whole = riff(&[PLAIN.chunk(), chunk(b"data", &PLAIN.integers([100; 64]))]);
    for position in 0..44 {
        for value in [0, 1, 3, 64, 127, 128, 255] {
            let mut damaged = whole.clone();
            damaged[position] = value;
            if let Ok(samples) = read_wav(&file(folder.path(), "damaged.wav", &damaged)) {
                let most = 64 * 16_000 / 1_000 * 2;
                assert!(samples.len() <= most, "byte {position} as {value}: {} samples", samples.len());
            }
        }
    }
}
