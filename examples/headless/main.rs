//! The main job without a window: attention by several methods on real or synthetic input, with time, error and memory of each.
//!
//! ```text
//! cargo run --release --example headless
//! cargo run --release --example headless -- --length 16384 --clusters 50 --method exact,stitched --json results.json
//! cargo run --release --example headless -- bench --html report.html
//! cargo run --release --example headless -- --help
//! ```

mod available_memory;
mod bench;
mod command_line;
mod description;
mod files;
mod input;
mod job;
mod kernel_files;
mod measure;
mod method_options;
mod options;
mod pipeline_cache;
mod probe;
mod progress;
mod report;
mod stored;
mod synthetic;
mod terminal;

use anyhow::{Context, Result};
use clustered_attention::{AdapterDescription, Attention, Backend, Precision};
use job::Job;
use options::{BackendName, Command, Options};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: bench::memory::Counting = bench::memory::Counting;

fn main() -> ExitCode {
    command_line::run(Options::check, |options| {
        match &options.command {
            Some(Command::Bench(bench)) => bench::run(bench),
            None if options.list_adapters => options.probe.adapters().and_then(|adapters| list(&adapters)),
            None => run(options),
        }?;
        Ok(ExitCode::SUCCESS)
    })
}

fn list(adapters: &[AdapterDescription]) -> Result<()> {
    if adapters.is_empty() {
        say!("Adapters: none was found. The CPU back end needs none.")?;
    } else {
        say!("Adapters:")?;
        adapters.iter().try_for_each(|adapter| say!("  {adapter}"))?;
    }
    Ok(())
}

fn run(options: &Options) -> Result<()> {
    let job = Job::check(options)?;
    if options.json.is_some() || options.pipeline_cache.is_some() {
        terminal::outlive_readers();
    }
    let (mut attention, runs_on) = open(options)?;
    if let Some(bytes) = options.scratch_budget_bytes() {
        attention = attention.with_scratch_budget_bytes(bytes);
    }
    if let Some(folder) = &options.write_kernels {
        return kernel_files::write(folder, &attention, job.problems(), options);
    }
    if let Some(path) = &options.pipeline_cache {
        // SAFETY: the file is the user's, who vouches for it by naming it.
        attention = unsafe { attention.with_pipeline_cache(&pipeline_cache::read(path)?) };
    }
    job.check_calls(&attention)?;
    let tensors = job.tensors()?;
    let adapter = attention.adapter().map(|adapter| adapter.to_string());
    say!("Runs on: {runs_on}")?;
    say!("Input:   {}, {}", tensors.source, description::describe(&tensors.shape))?;
    say!("Options: {}", description::describe_options(options, &tensors.shape))?;

    let measurements = measure::measure(&attention, &tensors, options)?;
    // Files first: what is printed can fail for reasons of its own.
    let mut written = Vec::new();
    if let Some(path) = &options.json {
        let origin = report::Origin { adapter, input: &tensors.source, shape: tensors.shape, seed: options.seed };
        files::write(path, &report::json(&origin, &measurements)?)?;
        written.push(format!("Written: {}", path.display()));
    }
    if let Some(path) = &options.pipeline_cache {
        written.push(pipeline_cache::write(path, &attention)?);
    }
    say!("\n{}", report::table(&measurements, options.seed))?;
    written.iter().try_for_each(|line| say!("{line}"))?;
    Ok(())
}

/// Opens the back end, and says what it is. Drivers are asked only where a GPU may compute.
fn open(options: &Options) -> Result<(Attention, String)> {
    let mut backend = options.backend();
    let mut reason = String::new();
    if options.needs_drivers() {
        match options.probe.adapters() {
            Ok(adapters) => {
                list(&adapters)?;
                let none = ", since there is no adapter";
                let software = ", since no adapter is a real GPU and the CPU outruns a software one";
                reason = if adapters.is_empty() { none } else { software }.to_owned();
            }
            Err(error) if options.adapter.is_none() && options.backend == BackendName::Auto => {
                say!("Adapters: {error:#}. The CPU back end needs none.")?;
                (backend, reason) = (Backend::Cpu, ", since the drivers fail".to_owned());
            }
            Err(error) => return Err(error.context("no GPU can be used")),
        }
    }
    let mut attention = Attention::new_blocking(backend).context("cannot open the back end")?;
    // What is only written is not run.
    if options.precision != Precision::Float32 && options.write_kernels.is_none() {
        attention = attention.with_matrix_units_blocking().with_context(|| format!("no {}", options.precision))?;
    }
    let runs_on = attention.adapter().map_or_else(|| description::cpu() + &reason, |adapter| adapter.to_string());
    Ok((attention, runs_on))
}
