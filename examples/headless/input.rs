//! Queries, keys and values from a safetensors file.

use crate::available_memory::free_bytes;
use anyhow::{bail, ensure, Context, Result};
use clustered_attention::Shape;
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The layer that is used where no file is named.
pub const SHIPPED_LAYER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/speech_layer1.safetensors");

const NOT_SAFETENSORS: &str = "it is not a safetensors file, or not a whole one";
/// The most bytes that describe the tensors of a safetensors file, as its reader has it.
const LONGEST_DESCRIPTION: u64 = 100_000_000;

/// Three tensors, `[N, heads, length, width]`, and their sizes.
pub struct Tensors {
    /// Where they come from.
    pub source: String,
    pub shape: Shape,
    pub queries: Vec<f32>,
    pub keys: Vec<f32>,
    pub values: Vec<f32>,
}

/// Loads `q`, `k` and `v` from a file.
pub fn load(path: &Path) -> Result<Tensors> {
    let bytes = read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&bytes, path.display().to_string()).with_context(|| format!("cannot use {}", path.display()))
}

/// Reads a file or a pipe that, with its numbers as f32 beside it, fits in memory.
fn read(path: &Path) -> Result<Vec<u8>> {
    let most = free_bytes() / 3;
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let size = if metadata.is_file() { metadata.len() } else { 0 };
    let mut bytes = Vec::new();
    if size <= most {
        bytes.try_reserve_exact(usize::try_from(size)?)?;
        file.by_ref().take(8).read_to_end(&mut bytes)?;
        // The length of what describes the tensors. A device that gives bytes without an end is not read for long.
        let description = bytes.first_chunk().map_or(0, |&length| u64::from_le_bytes(length));
        ensure!((1..=LONGEST_DESCRIPTION).contains(&description), NOT_SAFETENSORS);
        file.take(most.saturating_sub(7)).read_to_end(&mut bytes)?;
    }
    let read = size.max(bytes.len() as u64);
    ensure!(read <= most, "there is not enough memory: it is larger than {most} bytes, a third of what is free");
    Ok(bytes)
}

/// `q`, `k` and `v` of a file's bytes; `source` says where they come from.
pub fn parse(bytes: &[u8], source: String) -> Result<Tensors> {
    let file = SafeTensors::deserialize(bytes).context(NOT_SAFETENSORS)?;
    let (queries, q) = tensor(&file, "q")?;
    let (keys, k) = tensor(&file, "k")?;
    let (values, v) = tensor(&file, "v")?;
    ensure!(
        q[0] == k[0] && q[3] == k[3],
        "`q` is {q:?} and `k` is {k:?}; they must have as many sequences and the same width"
    );
    ensure!(k[..3] == v[..3], "`k` is {k:?} and `v` is {v:?}; they may differ in nothing but the last dimension");
    let shape =
        Shape::self_attention(q[0], q[1], q[2], q[3]).with_key_heads(k[1]).with_keys(k[2]).with_value_width(v[3]);
    Ok(Tensors { source, shape, queries, keys, values })
}

/// A tensor as f32, and its dimensions with a sequence axis in front.
fn tensor(file: &SafeTensors, name: &str) -> Result<(Vec<f32>, [usize; 4])> {
    let Ok(view) = file.tensor(name) else {
        let mut names = file.names();
        names.sort_unstable();
        bail!("there is no tensor `{name}` in it; `q`, `k` and `v` are needed, and it holds {names:?}");
    };
    let dimensions = match *view.shape() {
        [heads, length, width] => [1, heads, length, width],
        [batch, heads, length, width] => [batch, heads, length, width],
        ref other => bail!(
            "`{name}` has the dimensions {other:?}; [heads, length, width] or [batch, heads, length, width] is needed"
        ),
    };
    let bytes = view.data();
    let halves = || bytes.chunks_exact(2).map(|bytes| [bytes[0], bytes[1]]);
    let data = match view.dtype() {
        Dtype::F32 => {
            bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).collect()
        }
        Dtype::F16 => halves().map(|bytes| f16::from_le_bytes(bytes).to_f32()).collect(),
        Dtype::BF16 => halves().map(|bytes| bf16::from_le_bytes(bytes).to_f32()).collect(),
        other => bail!("`{name}` is of type {other:?}; F32, F16 or BF16 is needed"),
    };
    Ok((data, dimensions))
}
