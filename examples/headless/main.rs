//! The main job without a window: attention by several methods on real or synthetic input, with time, error and memory of each.
//!
//! ```text
//! cargo run --release --example headless
//! cargo run --release --example headless -- --length 16384 --clusters 50 --method exact,stitched --json results.json
//! cargo run --release --example headless -- bench --html report.html
//! cargo run --release --example headless -- --help
//! ```

mod bench;
mod input;
mod measure;
mod method_options;
mod options;
mod pipeline_cache;
mod progress;
mod report;
mod synthetic;

use anyhow::{Context, Result};
use clustered_attention::{adapters_blocking, Attention, Method, Problem, Shape};
use input::Tensors;
use options::{BackendName, Command, Options};
use std::path::Path;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: bench::memory::Counting = bench::memory::Counting;

fn main() -> ExitCode {
    let options = Options::read();
    let result = match &options.command {
        Some(Command::Bench(bench)) => bench::run(bench),
        None => run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let adapters = adapters_blocking();
    if adapters.is_empty() {
        println!("Adapters: none was found. The CPU back end needs none.");
    } else {
        println!("Adapters:");
        adapters.iter().for_each(|adapter| println!("  {adapter}"));
    }
    if options.list_adapters {
        return Ok(());
    }

    let tensors = read_input(options)?;
    let mut attention = Attention::new_blocking(options.backend()).context("cannot open the back end")?;
    if let Some(mebibytes) = options.scratch_budget {
        attention = attention.with_scratch_budget_bytes(u64::from(mebibytes) << 20);
    }
    if let Some(path) = &options.pipeline_cache {
        // SAFETY: the file is the user's, who vouches for it by naming it.
        attention = unsafe { attention.with_pipeline_cache(&pipeline_cache::read(path)?) };
    }
    let adapter = attention.adapter().map(|adapter| adapter.to_string());
    match &adapter {
        Some(adapter) => println!("Runs on: {adapter}"),
        None => {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let reason = match (options.backend, adapters.is_empty()) {
                (BackendName::Auto, true) => ", since there is no adapter",
                (BackendName::Auto, false) => ", since no adapter is a real GPU and the CPU outruns a software one",
                _ => "",
            };
            println!("Runs on: the CPU, {threads} threads{reason}");
        }
    }
    println!("Input:   {}, {}", tensors.source, describe(&tensors.shape));
    println!("Options: {}", describe_options(options, &tensors.shape));

    let measurements = measure::measure(&attention, &tensors, options)?;
    println!("\n{}", report::table(&measurements, options.seed));
    if let Some(path) = &options.json {
        let origin = report::Origin { adapter, input: &tensors.source, shape: tensors.shape, seed: options.seed };
        report::write_json(path, &origin, &measurements)?;
        println!("Written: {}", path.display());
    }
    if let Some(path) = &options.pipeline_cache {
        println!("{}", pipeline_cache::write(path, &attention)?);
    }
    Ok(())
}

fn read_input(options: &Options) -> Result<Tensors> {
    match (options.length, &options.input) {
        (Some(length), _) => {
            let shape = Shape::self_attention(1, options.heads, length, options.width);
            // Refuses sizes that do not fit before memory is taken for them.
            Problem::new(shape, Method::Exact)?;
            Ok(synthetic::mixture(length, options.heads, options.width, options.seed))
        }
        (None, Some(path)) => input::load(path),
        (None, None) => {
            let mut tensors = input::load(Path::new(input::SHIPPED_LAYER))?;
            tensors.source = "a layer of a speech recogniser (examples/data/speech_layer1.safetensors)".to_owned();
            Ok(tensors)
        }
    }
}

fn describe(shape: &Shape) -> String {
    let Shape { batch, query_heads, key_heads, queries, keys, width, value_width } = *shape;
    let heads = if key_heads == query_heads {
        format!("{query_heads} head{}", if query_heads == 1 { "" } else { "s" })
    } else {
        format!("{query_heads} query heads on {key_heads} key heads")
    };
    let length =
        if queries == keys { format!("{queries} positions") } else { format!("{queries} queries, {keys} keys") };
    let width =
        if width == value_width { format!("width {width}") } else { format!("widths {width} and {value_width}") };
    let batch = if batch == 1 { String::new() } else { format!("{batch} sequences, ") };
    format!("{batch}{heads}, {length}, {width}")
}

fn describe_options(options: &Options, shape: &Shape) -> String {
    let square = shape.queries == shape.keys;
    let mut text = format!("{} clusters, top-k {}", options.methods.clusters, options.methods.top_k);
    let methods = options.methods(square);
    if let Some(stitched) = methods.iter().find(|method| matches!(method.name(), "stitched" | "auto")) {
        match (stitched.window().filter(|_| square), square) {
            (Some(window), _) => text += &format!(", window {window}"),
            (None, true) => text += ", no window",
            (None, false) => text += ", no window (queries and keys differ in number)",
        }
    }
    if let Some(Method::Window { left, right, sinks }) = methods.iter().find(|method| method.name() == "window") {
        let bound = |keys: &Option<usize>| keys.map_or("all".to_owned(), |keys| keys.to_string());
        text += &format!(", {} keys before and {} behind", bound(left), bound(right));
        if *sinks > 0 {
            text += &format!(", the first {sinks}");
        }
    }
    if options.causal {
        text += ", causal";
    }
    format!("{text}, seed {}", options.seed)
}
