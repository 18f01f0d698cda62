//! Attention of a layer by candle's own operations and by this crate: times, and how far apart the outputs are.

#[path = "../../headless/command_line.rs"]
mod command_line;
#[path = "../../headless/terminal.rs"]
mod terminal;

use anyhow::{ensure, Context, Result};
use candle_core::{safetensors, DType, Device, Tensor};
use clap::Parser;
use clustered_attention::candle::{attention, AttentionOptions};
use clustered_attention::Method;
use clustered_attention_candle::{plain_attention, relative_error};
use comfy_table::{presets::UTF8_FULL_CONDENSED, CellAlignment, Table};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Runs attention on queries, keys and values of a file by candle's own operations, and by this crate exact and stitched.
#[derive(Debug, Parser)]
#[command(name = "candle", version)]
struct Options {
    /// Safetensors file with `q`, `k` and `v`, [batch, heads, length, width]
    #[arg(long, value_name = "FILE", default_value = SHIPPED_LAYER)]
    input: PathBuf,
    /// Clusters of stitched attention
    #[arg(long, value_name = "C", default_value_t = 25)]
    clusters: usize,
    /// Calls of each that are timed after the first; all take turns
    #[arg(long, value_name = "TIMES", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
}

/// A layer of a speech recogniser, which is in the repository.
const SHIPPED_LAYER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/speech_layer1.safetensors");

fn main() -> ExitCode {
    command_line::run(Ok, |options: &Options| compare(options).map(|()| ExitCode::SUCCESS))
}

fn compare(options: &Options) -> Result<()> {
    let [queries, keys, values] = load(&options.input)?;
    say!("queries {:?}, keys {:?}, values {:?}", queries.dims(), keys.dims(), values.dims())?;
    let scale = (queries.dim(3)? as f64).sqrt().recip();
    let ours = |method| {
        let options = AttentionOptions::new(method);
        let (queries, keys, values) = (queries.clone(), keys.clone(), values.clone());
        move || attention(&queries, &keys, &values, &options)
    };
    let plain = || plain_attention(&queries, &keys, &values, scale);
    let ways: [Way; 3] = [
        ("candle: softmax(QKᵀ)V".into(), Box::new(plain)),
        ("exact".into(), Box::new(ours(Method::Exact))),
        (format!("stitched, {} clusters", options.clusters), Box::new(ours(Method::stitched(options.clusters)))),
    ];
    let (mut outputs, mut seconds) = (Vec::new(), vec![Vec::new(); ways.len()]);
    for (name, way) in &ways {
        outputs.push(way().with_context(|| format!("{name} failed"))?);
    }
    for _ in 0..options.repeat {
        for ((_, way), seconds) in ways.iter().zip(&mut seconds) {
            let begin = Instant::now();
            way()?;
            seconds.push(begin.elapsed().as_secs_f64());
        }
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["attention", "median", "candle's over it", "difference"]);
    let reference = median(&mut seconds[0]);
    for ((name, _), (output, seconds)) in ways.iter().zip(outputs.iter().zip(&mut seconds)) {
        let (seconds, error) = (median(seconds), relative_error(output, &outputs[0])?);
        let (seconds_text, ratio) = (format!("{:.1} ms", seconds * 1e3), format!("{:.2}", reference / seconds));
        table.add_row([name.clone(), seconds_text, ratio, format!("{error:.1e}")]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    say!("{table}")?;
    say!(
        "Medians of {} calls that take turns, after one of each. Inputs are views of [batch, length, heads, width], as projections leave \
         them; candle's products copy them. Differences are L2, relative to candle's output.",
        options.repeat
    )?;
    Ok(())
}

/// A name, and what computes attention.
type Way<'a> = (String, Box<dyn Fn() -> candle_core::Result<Tensor> + 'a>);

/// Queries, keys and values as a model has them: `[batch, length, heads, width]` in memory, with heads and length swapped.
fn load(path: &Path) -> Result<[Tensor; 3]> {
    let tensors = safetensors::load(path, &Device::Cpu).with_context(|| format!("cannot read {}", path.display()))?;
    let tensor = |name: &str| -> Result<Tensor> {
        let tensor = tensors.get(name).with_context(|| format!("{} has no tensor `{name}`", path.display()))?;
        ensure!(tensor.rank() == 4, "`{name}` is {:?}; [batch, heads, length, width] is needed", tensor.dims());
        Ok(tensor.to_dtype(DType::F32)?.transpose(1, 2)?.contiguous()?.transpose(1, 2)?)
    };
    Ok([tensor("q")?, tensor("k")?, tensor("v")?])
}

/// The middle one, of the two in the middle the later.
fn median(seconds: &mut [f64]) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
