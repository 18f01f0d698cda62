//! WAV files as programs write them: into a pipe, where sizes cannot be filled in afterwards, with chunks of text of odd length, beyond
//! 4 GiB, cut short.
//!
//! Libraries take sizes at their word and refuse or misread many such files; so the way to the samples is found here, in one pass over any
//! reader, and Symphonia decodes them. No size is believed where memory is taken.

mod format;
mod other_files;
mod samples;
#[cfg(test)]
mod tests;

pub(crate) use samples::read_samples;

use format::Format;
use std::io::{self, BufRead, Read};

/// Bytes of the format that are looked at: all that a chunk `fmt ` of the extensible kind has.
const FORMAT_BYTES: u64 = 40;

/// Why a file is not read, without its path.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The system failed.
    Read(io::Error),
    /// It is no whole WAV file.
    NotWave(String),
    /// It is one, of samples that are not read.
    Unsupported(String),
    /// A sample that is NaN or infinite, counted over all channels.
    NotFinite { index: usize, value: f32 },
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::NotWave("it breaks off before its samples begin".into()),
            _ => Self::Read(error),
        }
    }
}

/// What a file says before its samples begin.
pub(crate) struct Header {
    /// What the samples are.
    pub(crate) format: Format,
    /// Bytes of the samples; `None` where the file does not tell: all that follows.
    pub(crate) data_bytes: Option<u64>,
}

/// Reads up to the first sample.
pub(crate) fn read_header(reader: impl BufRead) -> Result<(Header, impl BufRead), Fault> {
    let mut chunks = Chunks { reader, position: 0 };
    let mut start = Vec::new();
    chunks.reader.by_ref().take(12).read_to_end(&mut start)?;
    if start.len() < 12 || !matches!(&start[..4], b"RIFF" | b"RF64" | b"BW64") || &start[8..] != b"WAVE" {
        return Err(Fault::NotWave(other_files::describe(&start)));
    }
    chunks.position = 12;
    let riff_bytes = little_endian(&start[4..8]);
    let (mut format, mut long_data_bytes) = (None, None);
    while let Some((name, bytes)) = chunks.next_header()? {
        match &name {
            b"ds64" if bytes >= 16 => {
                // Sizes of 64 bits: first of the whole, then of the samples.
                let sizes = chunks.read_chunk(name, bytes, 16)?;
                long_data_bytes = Some(little_endian(&sizes[8..16]));
            }
            b"fmt " => format = Some(Format::parse(&chunks.read_chunk(name, bytes, FORMAT_BYTES)?)?),
            b"data" => {
                let missing = "its samples come before the chunk `fmt ` that should say what they are";
                let format = format.ok_or_else(|| Fault::NotWave(missing.into()))?;
                let data_bytes = match (bytes, long_data_bytes) {
                    (u32::MAX, Some(long)) => Some(long).filter(|&long| long != 0 && long != u64::MAX),
                    (0, _) if chunks.ends_without_samples(riff_bytes)? => Some(0),
                    _ => Some(u64::from(bytes)).filter(|&bytes| !is_placeholder(bytes)),
                };
                return Ok((Header { format, data_bytes }, chunks.reader));
            }
            _ => drop(chunks.read_chunk(name, bytes, 0)?),
        }
    }
    Err(Fault::NotWave("it ends without samples: there is no chunk `data`".into()))
}

/// Whether a size means that it was not known. Programs that write into a pipe leave 0 (Python, GStreamer), the largest number (FFmpeg) or
/// one near 2 GiB (SoX and eSpeak 0x7ffff000, GStreamer 0x7fff0000, libsndfile 0x7fffffff, arecord 0x80000000), with the bytes of the
/// header taken off or added.
fn is_placeholder(bytes: u64) -> bool {
    matches!(bytes, 0 | 0x7fff_0000..=0x8000_00ff | 0xffff_0000..)
}

/// Chunks of a file, one after another.
struct Chunks<R> {
    reader: R,
    /// Bytes before what is read next.
    position: u64,
}

impl<R: BufRead> Chunks<R> {
    /// Name and size of the next chunk; `None` at the end.
    fn next_header(&mut self) -> Result<Option<([u8; 4], u32)>, Fault> {
        let mut header = Vec::new();
        self.reader.by_ref().take(8).read_to_end(&mut header)?;
        self.position += 8;
        let [a, b, c, d, size @ ..] = header.as_slice() else { return Ok(None) };
        Ok(size.try_into().ok().map(|size| ([*a, *b, *c, *d], u32::from_le_bytes(size))))
    }

    /// Reads a chunk and its padding, and returns its first bytes, `kept` at most.
    fn read_chunk(&mut self, name: [u8; 4], bytes: u32, kept: u64) -> Result<Vec<u8>, Fault> {
        let mut first = Vec::new();
        let bytes = u64::from(bytes);
        let mut read = self.reader.by_ref().take(bytes.min(kept)).read_to_end(&mut first)? as u64;
        read += io::copy(&mut self.reader.by_ref().take(bytes - read), &mut io::sink())?;
        if read < bytes {
            let name = name.escape_ascii();
            return Err(Fault::NotWave(format!("its chunk `{name}` of {bytes} bytes breaks off after {read}")));
        }
        self.position += bytes;
        // A chunk of odd length is followed by one byte more, zero; some programs leave it out. No name begins with zero.
        if bytes % 2 == 1 && self.reader.fill_buf()?.first().is_some_and(|byte| !byte.is_ascii_alphanumeric()) {
            self.reader.consume(1);
            self.position += 1;
        }
        Ok(first)
    }

    /// Whether samples of size 0 are none, and not ones whose size was never filled in: nothing follows or, as the file's own size says
    /// too, another chunk does.
    fn ends_without_samples(&mut self, riff_bytes: u64) -> Result<bool, Fault> {
        let is_longer = !is_placeholder(riff_bytes) && riff_bytes + 8 > self.position;
        let next = self.reader.fill_buf()?;
        let is_name = |name: &[u8]| name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b' ');
        Ok(next.is_empty() || is_longer && next.get(..4).is_some_and(is_name))
    }
}

/// The number in up to eight bytes.
fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}
