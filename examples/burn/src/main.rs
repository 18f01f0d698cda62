//! A multi-head attention layer in Burn, by this crate and by Burn itself, with the same weights: times, and how far apart the outputs are.

mod options;
mod ways;

use anyhow::Result;
use burn::tensor::{Device, Distribution, Tensor};
use clustered_attention::burn::init_wgpu;
use clustered_attention_models::table::{median, relative_error, table, write_json};
use clustered_attention_models::terminal::{self, complain};
use clustered_attention_models::{command_line, files, say};
use options::{BackendName, Options};
use serde_json::json;
use std::process::ExitCode;
use std::time::Instant;
use ways::{Layers, Way};

fn main() -> ExitCode {
    command_line::run(Ok, |options: &Options| run(options).map(|()| ExitCode::SUCCESS))
}

fn run(options: &Options) -> Result<()> {
    if let Some(path) = &options.json {
        files::check_outputs(&[("--json", path)], &[])?;
        terminal::outlive_readers();
    }
    let device = match options.backend {
        BackendName::Cpu => Device::flex(),
        BackendName::Wgpu => init_wgpu(Device::wgpu_options())?,
    };
    device.seed(options.seed);
    let name = device.identity().map_or_else(|| format!("{device:?}"), |identity| identity.name);
    let fusion = if cfg!(feature = "fusion") { "with" } else { "without" };
    say!("{name}; Burn {} {fusion} fusion; {} heads of width {}", burn_version(), options.heads, options.width)?;
    let layers = Layers::new(options.heads, options.width, &device)?;
    let (mut cells, mut rows, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for &length in &options.length {
        for measured in measure(&layers, length, options, &device)? {
            cells.push(measured.cells());
            rows.push(measured.json());
            if let Some(why) = &measured.failure {
                failures.push(format!("{} failed at {length}: {why}.", measured.way));
            }
        }
    }
    let header = ["attention", "length", "first call", "median", "to Burn's layer", "difference"];
    // The file first: what is printed can fail for reasons of its own.
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
        write_json(path, &results)?;
    }
    say!("{}", table(header, cells))?;
    failures.iter().try_for_each(|failure| say!("{failure}"))?;
    say!(
        "Seconds of a forward pass of the layer with its projections, medians of {} rounds in which all take turns, from the first \
         command until the device has finished; nothing is read back. Differences are L2, relative to Burn's own layer, or to \
         its attention function where that failed.",
        options.repeat
    )?;
    Ok(())
}

/// One way at one length.
#[derive(Default)]
struct Measured {
    length: usize,
    way: String,
    seconds_first: Option<f64>,
    /// One where the second call took too long for more.
    seconds: Vec<f64>,
    /// How many times faster than Burn's own layer, where both were timed.
    speed_up: Option<f64>,
    /// From the output of Burn's own layer, or of its attention function where the layer failed.
    difference: Option<f64>,
    /// Why it did not finish.
    failure: Option<String>,
}

impl Measured {
    fn median(&self) -> Option<f64> {
        (!self.seconds.is_empty()).then(|| median(&self.seconds))
    }

    fn cells(&self) -> [String; 6] {
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "–".into());
        [
            self.way.clone(),
            self.length.to_string(),
            self.seconds_first.map_or("failed".into(), |seconds| format!("{seconds:.3} s")),
            or_dash(self.median().map(|seconds| format!("{:.1} ms", seconds * 1e3))),
            or_dash(self.speed_up.map(|ratio| format!("{ratio:.2}×"))),
            or_dash(self.difference.map(|difference| format!("{difference:.1e}"))),
        ]
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
            "failure": self.failure,
        })
    }
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
        complain(format_args!("{length} positions, {}: first call", way.name()));
        let finished = once(&way).and_then(|(seconds, output)| Ok((seconds, output.try_into_data()?.try_into_vec()?)));
        let mut row = Measured { length, way: way.name(), ..Default::default() };
        match finished {
            Ok((seconds, output)) => {
                row.seconds_first = Some(seconds);
                if way.is_attention() {
                    row.difference = reference.as_ref().map(|reference| relative_error(&output, reference));
                    reference.get_or_insert(output);
                }
            }
            // Such as a matrix of weights that is larger than the adapter's buffers: the others go on.
            Err(error) => row.failure = Some(cause(&error)),
        }
        measured.push(row);
        ways.push(way);
    }
    complain(format_args!("{length} positions: {} rounds", options.repeat));
    for _ in 0..options.repeat {
        for (way, measured) in ways.iter().zip(&mut measured) {
            // The first call also compiles and tunes, so it is the second that tells.
            if measured.failure.is_none()
                && measured.seconds.first().is_none_or(|&seconds| seconds <= options.seconds_limit)
            {
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

/// What lies beneath an error. Burn tells a chain of causes in one text.
fn cause(error: &anyhow::Error) -> String {
    let text = error.root_cause().to_string();
    let deepest = text.rsplit("Caused by:").next().unwrap_or(&text);
    deepest.trim().lines().next().unwrap_or_default().to_owned()
}

/// The version that this program was built with, from the lock file.
fn burn_version() -> &'static str {
    let lock = include_str!("../../../Cargo.lock");
    let version = lock.split_once("name = \"burn\"\nversion = \"").and_then(|(_, rest)| rest.split('"').next());
    version.unwrap_or("of unknown version")
}
