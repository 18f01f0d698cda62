//! Damaged files.

#[path = "../../tests/common/files.rs"]
#[allow(dead_code)] // Other tests use the rest.
mod files;

use super::{read_header, read_samples, Fault};
use files::{chunk, chunk_of_size, riff, riff_of_size, Kind, PLAIN};

const SAMPLES: [u8; 64] = [100; 64];

/// Every layout and kind of samples.
fn layouts() -> [Vec<u8>; 6] {
    let data = chunk(b"data", &SAMPLES);
    let open = chunk_of_size(b"data", u32::MAX, &SAMPLES);
    let kind = |tag, bits| Kind { tag, bits, ..PLAIN };
    let text = chunk(b"LIST", b"odd");
    let mut long = riff(&[chunk(b"ds64", &[64, 0, 0, 0, 0, 0, 0, 0].repeat(3)), PLAIN.chunk(), open.clone()]);
    long[..4].copy_from_slice(b"RF64");
    [
        riff(&[PLAIN.chunk(), data.clone()]),
        riff_of_size(u32::MAX, &[PLAIN.chunk(), text.clone(), open].concat()),
        riff(&[text, kind(3, 64).chunk(), data.clone()]),
        riff(&[kind(1, 24).extensible_chunk(4), chunk(b"fact", &[0; 4]), data.clone()]),
        riff(&[kind(7, 8).chunk(), data]),
        long,
    ]
}

fn read(bytes: &[u8]) -> Result<Vec<f32>, Fault> {
    let (header, rest) = read_header(bytes)?;
    read_samples(&header, rest)
}

/// Bytes are changed, taken out, put in and cut off: samples that are in the file or an error, but no panic.
#[test]
fn damage_does_not_panic() {
    let layouts = layouts();
    let mut state = 0u64;
    let mut random = |below: usize| {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % below as u64) as usize
    };
    const ROUNDS: usize = 20_000;
    let mut whole = 0;
    for round in 0..ROUNDS {
        let mut bytes = layouts[round % layouts.len()].clone();
        for _ in 0..=random(3) {
            let position = random(bytes.len().saturating_sub(SAMPLES.len()).max(1));
            match random(16) {
                0 => drop(bytes.remove(position)),
                1 => bytes.insert(position, random(256) as u8),
                2 => bytes.truncate(1 + random(bytes.len())),
                _ => bytes[position] = [0, 1, 3, 127, 128, 255, random(256) as u8][random(7)],
            }
        }
        match read(&bytes) {
            Ok(samples) => {
                assert!(samples.len() <= bytes.len(), "round {round}: {} samples of {bytes:?}", samples.len());
                whole += 1;
            }
            Err(Fault::Read(error)) => panic!("round {round}: memory cannot fail to be read, yet {error}"),
            Err(_) => {}
        }
    }
    assert!(whole > ROUNDS / 20, "only {whole} of {ROUNDS} were read, so decoding was hardly tried");
}
