//! Samples: decoded by Symphonia, and mixed down to one channel.

use super::{Fault, Header};
use std::io::Read;
use symphonia_codec_pcm::PcmDecoder;
use symphonia_core::audio::Channels;
use symphonia_core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia_core::packet::PacketRef;
use symphonia_core::units::{Duration, Timestamp};

/// Frames that are decoded at a time.
const BLOCK_FRAMES: usize = 4096;

/// Reads the samples that follow a header, each the mean of its channels. Bytes after the last whole frame are left out.
pub(crate) fn read_samples(header: &Header, reader: impl Read) -> Result<Vec<f32>, Fault> {
    let format = &header.format;
    let refused = |error: symphonia_core::errors::Error| Fault::NotWave(error.to_string());
    let mut parameters = AudioCodecParameters::new();
    parameters.for_codec(format.codec).with_sample_rate(format.rate).with_channels(Channels::Discrete(format.channels));
    let mut decoder = PcmDecoder::try_new(&parameters, &AudioDecoderOptions::default()).map_err(refused)?;
    let channels = usize::from(format.channels);
    let mut reader = reader.take(header.data_bytes.unwrap_or(u64::MAX));
    let (mut bytes, mut samples, mut mixed) = (Vec::new(), Vec::<f32>::new(), Vec::new());
    loop {
        bytes.clear();
        reader.by_ref().take((BLOCK_FRAMES * format.frame_bytes) as u64).read_to_end(&mut bytes)?;
        let frames = bytes.len() / format.frame_bytes;
        if frames == 0 {
            break;
        }
        let packet =
            PacketRef::new(0, Timestamp::default(), Duration::default(), &bytes[..frames * format.frame_bytes]);
        decoder.decode_ref(&packet).map_err(refused)?.copy_to_vec_interleaved(&mut samples);
        if let Some(index) = samples.iter().position(|sample| !sample.is_finite()) {
            return Err(Fault::NotFinite { index: mixed.len() * channels + index, value: samples[index] });
        }
        match channels {
            1 => mixed.extend_from_slice(&samples),
            _ => mixed.extend(samples.chunks_exact(channels).map(mean)),
        }
    }
    let announced = header.data_bytes.map_or(0, |bytes| bytes / format.frame_bytes as u64);
    if announced > mixed.len() as u64 {
        let (announced, read) = (announced * u64::from(format.channels), mixed.len() * channels);
        let reason = format!("{announced} samples are announced, but the data break off after {read}");
        return Err(Fault::NotWave(reason));
    }
    Ok(mixed)
}

/// The mean, summed so that large samples do not overflow.
fn mean(frame: &[f32]) -> f32 {
    (frame.iter().map(|&sample| f64::from(sample)).sum::<f64>() / frame.len() as f64) as f32
}
