//! Files for tests, WAV files byte by byte. The reader's unit tests take them, too.

use std::path::{Path, PathBuf};

/// A file of these bytes in a folder.
pub fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("a file in a temporary folder");
    path
}

/// A WAV file of these samples in a folder.
pub fn wave(folder: &Path, name: &str, kind: Kind, samples: &[u8]) -> PathBuf {
    file(folder, name, &riff(&[kind.chunk(), chunk(b"data", samples)]))
}

/// A WAV file of these chunks.
pub fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    let chunks = chunks.concat();
    riff_of_size(chunks.len() as u32 + 4, &chunks)
}

/// A WAV file whose header states this size.
pub fn riff_of_size(size: u32, chunks: &[u8]) -> Vec<u8> {
    [b"RIFF", &size.to_le_bytes()[..], b"WAVE", chunks].concat()
}

/// A chunk, padded to an even number of bytes.
pub fn chunk(name: &[u8; 4], bytes: &[u8]) -> Vec<u8> {
    let padding: &[u8] = if bytes.len() % 2 == 1 { &[0] } else { &[] };
    [&chunk_of_size(name, bytes.len() as u32, bytes), padding].concat()
}

/// A chunk whose header states this size, not padded.
pub fn chunk_of_size(name: &[u8; 4], size: u32, bytes: &[u8]) -> Vec<u8> {
    [name, &size.to_le_bytes()[..], bytes].concat()
}

/// What samples are.
#[derive(Clone, Copy)]
pub struct Kind {
    /// 1 integers, 3 floats, 6 A-law, 7 mu-law.
    pub tag: u16,
    pub channels: u16,
    pub rate: u32,
    pub bits: u16,
}

/// One channel of 16-bit integers at 16 kHz.
pub const PLAIN: Kind = Kind { tag: 1, channels: 1, rate: 16_000, bits: 16 };

impl Kind {
    /// The chunk `fmt ` of 16 bytes.
    pub fn chunk(self) -> Vec<u8> {
        chunk(b"fmt ", &self.fields(self.tag, self.bits.div_ceil(8)))
    }

    /// The chunk `fmt ` of 40 bytes, whose samples take `bytes` each.
    pub fn extensible_chunk(self, bytes: u16) -> Vec<u8> {
        let mut fields = self.fields(0xfffe, bytes);
        fields[14..16].copy_from_slice(&(8 * bytes).to_le_bytes());
        fields.extend([22, 0]);
        fields.extend(self.bits.to_le_bytes());
        fields.extend([4, 0, 0, 0]);
        fields.extend(self.tag.to_le_bytes());
        fields.extend([0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
        chunk(b"fmt ", &fields)
    }

    fn fields(self, tag: u16, bytes: u16) -> Vec<u8> {
        let frame = bytes.wrapping_mul(self.channels);
        let mut fields = [tag.to_le_bytes(), self.channels.to_le_bytes()].concat();
        fields.extend(self.rate.to_le_bytes());
        fields.extend(self.rate.wrapping_mul(u32::from(frame)).to_le_bytes());
        fields.extend([frame.to_le_bytes(), self.bits.to_le_bytes()].concat());
        fields
    }

    /// Samples as integers of this kind; those of 8 bits have no sign.
    pub fn integers(self, samples: impl IntoIterator<Item = i32>) -> Vec<u8> {
        let offset = if self.bits == 8 { 128 } else { 0 };
        let bytes = usize::from(self.bits.div_ceil(8));
        samples.into_iter().flat_map(|sample| (sample + offset).to_le_bytes().into_iter().take(bytes)).collect()
    }
}
