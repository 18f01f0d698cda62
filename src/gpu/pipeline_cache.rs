//! Compiled pipelines as bytes that an app keeps from one run to the next.
//!
//! Bytes are sealed: a magic number, the crate's version, the adapter's key, the length of wgpu's data, their checksum, and the data. Only
//! bytes whose seal is whole and belongs to this version and adapter reach wgpu, which checks the driver's version, as does the driver.
//! All of that guards against accidents: a file of another machine, a disk that was full. It does not guard against an attacker.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// What sealed data begins with; the digit is the version of this format.
const MAGIC: &[u8] = b"clustered-attention pipelines 1\n";

/// wgpu's pipeline cache of a device.
#[derive(Debug)]
pub(super) struct PipelineCache {
    cache: wgpu::PipelineCache,
    /// wgpu's name for adapters that may share data.
    key: String,
}

impl PipelineCache {
    /// A cache that begins with what an earlier run left; empty if that is not whole or not for this device. `None` if the device was
    /// opened without pipeline caches or its API has none.
    ///
    /// # Safety
    /// As [`Kernels::with_pipeline_cache`](super::Kernels::with_pipeline_cache).
    #[allow(unsafe_code)]
    pub unsafe fn open(device: &wgpu::Device, sealed: &[u8]) -> Option<Self> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let key = wgpu::util::pipeline_cache_key(&device.adapter_info())?;
        // SAFETY: the caller answers for the data; no data is always right.
        let create = |data| unsafe { create(device, data) };
        let cache = unseal(&key, sealed).and_then(|data| create(Some(data))).or_else(|| create(None))?;
        Some(Self { cache, key })
    }

    pub fn cache(&self) -> &wgpu::PipelineCache {
        &self.cache
    }

    /// What a later run can begin with; `None` if the driver does not tell.
    pub fn data(&self) -> Option<Vec<u8>> {
        self.cache.get_data().map(|data| seal(&self.key, &data))
    }
}

/// A cache with the data of [`wgpu::PipelineCache::get_data`]; `None` if the device refuses.
///
/// # Safety
/// The data must have come from `get_data`. A seal tells what did, in this version of the crate and on this kind of adapter, but not what was forged.
#[allow(unsafe_code)]
unsafe fn create(device: &wgpu::Device, data: Option<&[u8]>) -> Option<wgpu::PipelineCache> {
    let descriptor = wgpu::PipelineCacheDescriptor { label: Some("clustered-attention"), data, fallback: true };
    let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
    // SAFETY: what this function demands.
    let cache = unsafe { device.create_pipeline_cache(&descriptor) };
    // Where there are pipeline caches, scopes answer at once.
    let error = pin!(scope.pop()).poll(&mut Context::from_waker(Waker::noop()));
    matches!(error, Poll::Ready(None)).then_some(cache)
}

/// What sealed data of this version and an adapter begins with.
fn prefix(key: &str) -> Vec<u8> {
    [MAGIC, env!("CARGO_PKG_VERSION").as_bytes(), b"\n", key.as_bytes(), b"\n"].concat()
}

fn seal(key: &str, data: &[u8]) -> Vec<u8> {
    [&prefix(key)[..], &(data.len() as u64).to_le_bytes(), &checksum(data).to_le_bytes(), data].concat()
}

/// The data within a seal; `None` unless every byte is as [`seal`] wrote it for the same key.
fn unseal<'a>(key: &str, sealed: &'a [u8]) -> Option<&'a [u8]> {
    let rest = sealed.strip_prefix(&prefix(key)[..])?;
    let (length, rest) = rest.split_first_chunk()?;
    let (sum, data) = rest.split_first_chunk()?;
    let whole = u64::from_le_bytes(*length) == data.len() as u64 && u64::from_le_bytes(*sum) == checksum(data);
    whole.then_some(data)
}

/// FNV-1a of 64 bits. Each step is a bijection of the state, so a single changed byte always changes the sum.
fn checksum(data: &[u8]) -> u64 {
    data.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "wgpu_pipeline_cache_vulkan_4318_9860";

    #[test]
    fn checksums_are_the_published_ones() {
        assert_eq!(checksum(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(checksum(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(checksum(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn what_was_sealed_is_unsealed() {
        for data in [&b""[..], b"x", &[0; 1000]] {
            assert_eq!(unseal(KEY, &seal(KEY, data)), Some(data));
        }
    }

    #[test]
    fn other_adapters_versions_and_formats_are_refused() {
        let sealed = seal(KEY, b"data");
        for other in ["wgpu_pipeline_cache_vulkan_4318_986", "wgpu_pipeline_cache_vulkan_4318_98601", ""] {
            assert_eq!(unseal(other, &sealed), None, "{other}");
        }
        let version = env!("CARGO_PKG_VERSION");
        let replaced = |from: &str, to: &str| {
            let text = String::from_utf8_lossy(&prefix(KEY)).replacen(from, to, 1);
            [text.as_bytes(), &sealed[prefix(KEY).len()..]].concat()
        };
        assert_eq!(unseal(KEY, &replaced(version, version)), Some(&b"data"[..]));
        assert_eq!(unseal(KEY, &replaced(version, &format!("{version}-next"))), None);
        assert_eq!(unseal(KEY, &replaced("pipelines 1", "pipelines 2")), None);
    }

    #[test]
    fn every_damage_is_refused() {
        let sealed = seal(KEY, b"some data of a driver");
        for length in 0..sealed.len() {
            assert_eq!(unseal(KEY, &sealed[..length]), None, "{length} bytes of {}", sealed.len());
        }
        for index in 0..sealed.len() {
            for bit in 0..8 {
                let mut damaged = sealed.clone();
                damaged[index] ^= 1 << bit;
                assert_eq!(unseal(KEY, &damaged), None, "bit {bit} of byte {index}");
            }
        }
        assert_eq!(unseal(KEY, &[&sealed[..], b"\0"].concat()), None);
        assert_eq!(unseal(KEY, b"a file of something else\n"), None);
    }
}
