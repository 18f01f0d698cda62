//! Features of photographs from the command line.
//!
//! ```text
//! cargo run --release -p clustered-attention-vision -- photograph.jpg --features features.safetensors --picture features.png
//! cargo run --release -p clustered-attention-vision -- --compare --picture compared.png
//! cargo run --release -p clustered-attention-vision -- --help
//! ```

mod compare;
mod options;

use anyhow::Result;
use clustered_attention_models::table::{seconds, write_json};
use clustered_attention_models::{command_line, device, say, Asset};
use clustered_attention_vision::picture::{self, Panel};
use clustered_attention_vision::stereo::Pair;
use clustered_attention_vision::{open, Colours, Model, Photograph};
use options::Options;
use std::process::ExitCode;
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    command_line::run(Ok, |options: &Options| {
        options.check_files()?;
        let work = if options.compare { compare_methods } else { features };
        work(options).map(|()| ExitCode::SUCCESS)
    })
}

fn load(options: &Options) -> Result<(Model, Photograph)> {
    // The photograph first: it is read in a moment.
    let photograph = match &options.photograph {
        Some(path) => open(path, options.pixels)?,
        None => open(&Asset::PHOTOGRAPHS.path("astronaut.png")?, options.pixels)?,
    };
    let device = options.device.open()?;
    let model = match &options.model {
        Some(path) => Model::load_from(path, &device)?,
        None => Model::load(&device)?,
    };
    Ok((model, photograph))
}

/// Computes the features of a photograph and writes what is asked for.
fn features(options: &Options) -> Result<()> {
    let attention = options.attention()?;
    let (mut model, photograph) = load(options)?;
    model.set_attention(attention);
    let (begin, mut attending) = (Instant::now(), Duration::ZERO);
    let features = model.features(&photograph, Some(&mut attending))?;
    let taken = begin.elapsed();
    if let Some(path) = &options.features {
        features.save(path)?;
    }
    if let Some(path) = &options.picture {
        let figures = seconds(taken.as_secs_f64());
        let tokens = 1 + features.rows * features.columns;
        let panels = [
            Panel::photograph(&photograph, format!("{tokens} positions")),
            Panel::features(&features, &Colours::of(&features), attention.name(), figures),
        ];
        picture::save(&picture::compose(&panels), path)?;
    }
    let (rows, columns, width) = (features.rows, features.columns, features.width);
    say!("Features: {rows} x {columns} patches, {width} numbers each, and one of the class token")?;
    say!("Runs on:  {}", device::describe(model.device()))?;
    let (taken, attending) = (seconds(taken.as_secs_f64()), seconds(attending.as_secs_f64()));
    say!("Took:     {taken}, of which attention ({}) {attending}", attention.method(rows, columns))?;
    written([&options.features, &options.picture])
}

/// Compares methods on a photograph and a stereo pair.
fn compare_methods(options: &Options) -> Result<()> {
    let pair = if options.no_stereo { None } else { Some(Pair::load()?) };
    let (mut model, photograph) = load(options)?;
    let image = options.image().method(photograph.rows(), photograph.columns());
    say!("Runs on: {}", device::describe(model.device()))?;
    say!("Image:   {image}")?;
    let compared = compare::compare(options, &mut model, &photograph, pair.as_ref())?;
    if let Some(path) = &options.json {
        write_json(path, &compare::document(options, &model, &photograph, &compared))?;
    }
    if let Some(path) = &options.picture {
        picture::save(&compare::picture(&photograph, &compared), path)?;
    }
    say!("\n{}", compare::describe(options, &compared, pair.as_ref()))?;
    written([&options.json, &options.picture])
}

fn written<const N: usize>(files: [&Option<std::path::PathBuf>; N]) -> Result<()> {
    files.into_iter().flatten().try_for_each(|path| say!("Written: {}", path.display()))?;
    Ok(())
}
