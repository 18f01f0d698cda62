//! The chunk `fmt `: what samples are.

use super::{little_endian, Fault};
use crate::audio::{MAXIMUM_CHANNELS, MAXIMUM_RATE, MINIMUM_RATE};
use symphonia_core::codecs::audio::well_known::{
    CODEC_ID_PCM_ALAW, CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64LE, CODEC_ID_PCM_MULAW, CODEC_ID_PCM_S16LE,
    CODEC_ID_PCM_S24LE, CODEC_ID_PCM_S32LE, CODEC_ID_PCM_U8,
};
use symphonia_core::codecs::audio::AudioCodecId;

const INTEGERS: u16 = 1;
const FLOATS: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
/// The format stands at the end of the chunk, in a GUID.
const EXTENSIBLE: u16 = 0xfffe;
/// GUIDs end so after the format, those of Ambisonics differently.
const GUID_ENDS: [[u8; 14]; 2] = [
    [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71],
    [0, 0, 0x21, 0x07, 0xd3, 0x11, 0x86, 0x44, 0xc8, 0xc1, 0xca, 0, 0, 0],
];

/// What samples are.
pub(crate) struct Format {
    /// How they are decoded.
    pub(super) codec: AudioCodecId,
    /// Samples that belong to one time: 1 to 64.
    pub(super) channels: u16,
    /// Frames a second.
    pub(crate) rate: u32,
    /// Bytes of one sample of every channel.
    pub(super) frame_bytes: usize,
}

impl Format {
    /// Of the chunk's first bytes.
    pub(super) fn parse(chunk: &[u8]) -> Result<Self, Fault> {
        let needs = |bytes: usize| -> Result<(), Fault> {
            let short = format!("its chunk `fmt ` has {} bytes, and {bytes} are needed", chunk.len());
            (chunk.len() >= bytes).then_some(()).ok_or(Fault::NotWave(short))
        };
        needs(16)?;
        let number = |at: usize| u16::from_le_bytes([chunk[at], chunk[at + 1]]);
        let (mut tag, channels, frame_bytes, bits) = (number(0), number(2), number(12), number(14));
        let rate = little_endian(&chunk[4..8]) as u32;
        let is_extensible = tag == EXTENSIBLE;
        if is_extensible {
            needs(40)?;
            if GUID_ENDS.iter().any(|end| end == &chunk[26..40]) {
                tag = number(24);
            }
        }
        let plural = if channels == 1 { "" } else { "s" };
        let actual = format!("{} in {channels} channel{plural} at {rate} Hz", samples_name(tag, bits));
        if !(1..=MAXIMUM_CHANNELS).contains(&channels) || !(MINIMUM_RATE..=MAXIMUM_RATE).contains(&rate) {
            return Err(Fault::Unsupported(actual));
        }
        // Samples of 12 bits fill two bytes, from the highest bit down; so those of any width are read as the bytes that hold them.
        let sample_bytes = frame_bytes / channels;
        let codec = match (tag, sample_bytes) {
            (INTEGERS, 1) => CODEC_ID_PCM_U8,
            (INTEGERS, 2) => CODEC_ID_PCM_S16LE,
            (INTEGERS, 3) => CODEC_ID_PCM_S24LE,
            (INTEGERS, 4) => CODEC_ID_PCM_S32LE,
            (FLOATS, 4) => CODEC_ID_PCM_F32LE,
            (FLOATS, 8) => CODEC_ID_PCM_F64LE,
            (A_LAW, 1) => CODEC_ID_PCM_ALAW,
            (MU_LAW, 1) => CODEC_ID_PCM_MULAW,
            _ => return Err(Fault::Unsupported(actual)),
        };
        // More bytes than the bits need are allowed where the format is extensible; elsewhere, programs disagree on where the bits are.
        let needed = bits.div_ceil(8);
        let fits = sample_bytes == needed || is_extensible && tag == INTEGERS && sample_bytes > needed;
        if bits == 0 || frame_bytes % channels != 0 || !fits {
            let reason =
                format!("its chunk `fmt ` contradicts itself: {actual} cannot have frames of {frame_bytes} bytes");
            return Err(Fault::NotWave(reason));
        }
        Ok(Self { codec, channels, rate, frame_bytes: usize::from(frame_bytes) })
    }
}

/// What samples of a format are called.
fn samples_name(tag: u16, bits: u16) -> String {
    let compression = match tag {
        INTEGERS => return format!("integers of {bits} bits"),
        FLOATS => return format!("floats of {bits} bits"),
        A_LAW => return format!("A-law of {bits} bits"),
        MU_LAW => return format!("mu-law of {bits} bits"),
        0x02 => "Microsoft ADPCM",
        0x11 => "IMA ADPCM",
        0x31 => "GSM 6.10",
        0x45 => "G.726",
        0x50 => "MPEG audio",
        0x55 => "MP3",
        0xff | 0x1600..=0x1610 => "AAC",
        0x160..=0x163 => "Windows Media audio",
        EXTENSIBLE => return "samples of an unknown extensible format".into(),
        _ => return format!("samples of the unknown format {tag:#06x}"),
    };
    format!("compressed sound ({compression})")
}
