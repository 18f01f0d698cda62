//! A multi-head attention layer in Burn, by this crate and by Burn itself, with the same weights: times, and how far apart the outputs are.

mod options;
mod ways;

use anyhow::{Context, Result};
use burn::tensor::{Device, Distribution, Tensor};
use clap::Parser;
use clustered_attention::burn::init_wgpu;
use comfy_table::{presets::UTF8_FULL_CONDENSED, Cell, CellAlignment, Table};
use options::{BackendName, Options};
use serde_json::json;
use std::time::Instant;
use ways::{Layers, Way};

fn main() -> Result<()> {
    let options = Options::parse();
    let device = match options.backend {
        BackendName::Cpu => Device::flex(),
        BackendName::Wgpu => init_wgpu(Device::wgpu_options())?,
    };
    device.seed(options.seed);
    let name = device.identity().map_or_else(|| format!("{device:?}"), |identity| identity.name);
    let fusion = if cfg!(feature = "fusion") { "with" } else { "without" };
    println!("{name}; Burn {} {fusion} fusion; {} heads of width {}", burn_version(), options.heads, options.width);
    let layers = Layers::new(options.heads, options.width, &device)?;
    let mut table = table();
    let mut rows = Vec::new();
    for &length in &options.length {
        for measured in measure(&layers, length, &options, &device)? {
            table.add_row(measured.cells());
            rows.push(measured.json());
        }
    }
    println!("{table}");
    println!(
        "Seconds of a forward pass of the layer with its projections, medians of {} rounds in which all take turns, from the first \
         command until the device has finished; nothing is read back. Differences are L2, relative to Burn's own layer.",
        options.repeat
    );
    if let Some(path) = &options.json {
        let results = json!({
            "adapter": name,
            "burn": burn_version(),
            "clustered_attention": env!("CARGO_PKG_VERSION"),
            "fusion": cfg!(feature = "fusion"),
            "heads": options.heads,
            "width": options.width,
            "seed": options.seed,
            "rounds": options.repeat,
            "rows": rows,
        });
        std::fs::write(path, serde_json::to_string_pretty(&results)?).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// One way at one length.
struct Measured {
    length: usize,
    way: String,
    seconds_first: f64,
    /// One where the second call took too long for more.
    seconds: Vec<f64>,
    /// How many times faster than Burn's own layer, where both were timed.
    speed_up: Option<f64>,
    /// From the output of Burn's own layer, where it finished.
    difference: Option<f64>,
}

impl Measured {
    fn median(&self) -> Option<f64> {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len().checked_sub(1)? / 2;
        Some((sorted[middle] + sorted[sorted.len() / 2]) / 2.0)
    }

    fn cells(&self) -> Vec<Cell> {
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "–".into());
        let texts = [
            self.length.to_string(),
            self.way.clone(),
            format!("{:.3} s", self.seconds_first),
            or_dash(self.median().map(|seconds| format!("{:.1} ms", seconds * 1e3))),
            or_dash(self.speed_up.map(|ratio| format!("{ratio:.2}×"))),
            or_dash(self.difference.map(|difference| format!("{difference:.1e}"))),
        ];
        texts.into_iter().map(Cell::new).collect()
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "length": self.length,
            "way": self.way,
            "seconds_first": self.seconds_first,
            "seconds": self.seconds,
            "seconds_median": self.median(),
            "speed_up": self.speed_up,
            "relative_difference": self.difference,
        })
    }
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "length",
        "attention",
        "first call",
        "median",
        "to Burn's layer",
        "difference",
    ]);
    for column in [0, 2, 3, 4, 5] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// All ways at one length, in turns.
fn measure(layers: &Layers, length: usize, options: &Options, device: &Device) -> Result<Vec<Measured>> {
    let input = Tensor::<3>::random([1, length, layers.d_model()], Distribution::Normal(0.0, 1.0), device);
    let once = |way: &Way| -> Result<(f64, Tensor<3>)> {
        device.sync()?;
        let begin = Instant::now();
        let output = layers.forward(way, input.clone())?;
        device.sync()?;
        Ok((begin.elapsed().as_secs_f64(), output))
    };
    let mut reference: Option<Vec<f32>> = None;
    let mut measured = Vec::new();
    let mut ways = Vec::new();
    // Burn's layer is the first.
    for way in Way::all(&options.methods()) {
        // Burn tunes its kernels in the first call, which takes minutes on a slow adapter: say what is being waited for.
        eprintln!("{length} positions, {}: first call", way.name());
        let (seconds_first, output) = once(&way)?;
        let output: Vec<f32> = output.try_into_data()?.try_into_vec()?;
        let difference = reference.as_ref().map(|reference| relative_difference(&output, reference));
        reference.get_or_insert(output);
        let name = way.name();
        measured.push(Measured { length, way: name, seconds_first, seconds: vec![], speed_up: None, difference });
        ways.push(way);
    }
    eprintln!("{length} positions: {} rounds", options.repeat);
    for _ in 0..options.repeat {
        for (way, measured) in ways.iter().zip(&mut measured) {
            // The first call also compiles and tunes, so it is the second that tells.
            if measured.seconds.first().is_none_or(|&seconds| seconds <= options.seconds_limit) {
                measured.seconds.push(once(way)?.0);
            }
        }
    }
    let burns = measured.first().and_then(Measured::median);
    for measured in &mut measured {
        measured.speed_up = burns.zip(measured.median()).map(|(burns, seconds)| burns / seconds);
    }
    Ok(measured)
}

fn relative_difference(actual: &[f32], expected: &[f32]) -> f64 {
    let square = |sum: f64, value: f64| sum + value * value;
    let difference = actual.iter().zip(expected).map(|(&a, &b)| f64::from(a) - f64::from(b)).fold(0.0, square);
    let total = expected.iter().map(|&value| f64::from(value)).fold(0.0, square);
    (difference / total).sqrt()
}

/// The version that this program was built with, from the lock file.
fn burn_version() -> &'static str {
    let lock = include_str!("../../../Cargo.lock");
    let version = lock.split_once("name = \"burn\"\nversion = \"").and_then(|(_, rest)| rest.split('"').next());
    version.unwrap_or("of unknown version")
}
