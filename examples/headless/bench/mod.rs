//! `headless bench`: methods over sweeps, every stage beside what the back end can do at best.

mod ceilings;
mod engine;
mod machine;
mod measure;
pub mod memory;
mod options;
mod page;
mod results;
mod table;

pub use options::BenchOptions;

use crate::progress::Progress;
use anyhow::{Context, Result};
use engine::{BackEnd, Engine};
use results::Results;
use std::path::Path;

/// Runs the benchmark, prints its tables and writes what was asked for.
pub fn run(options: &BenchOptions) -> Result<()> {
    measure::check(options)?;
    // A file that cannot be written is better known before than after.
    for path in [&options.json, &options.html].into_iter().flatten() {
        let opened = std::fs::OpenOptions::new().append(true).create(true).open(path);
        opened.with_context(|| cannot_write(path))?;
    }
    let machine = machine::describe();
    let engines = {
        let progress = Progress::new(1 + options.adapter.len(), true);
        engine::open(options, |what| progress.step(what))?
    };
    let mut measured = measure::measure(&engines, options)?;
    let back_ends: Vec<BackEnd> = engines.into_iter().map(Engine::finish).collect::<Result<_>>()?;
    for run in &mut measured.runs {
        if let Some(back_end) = back_ends.iter().find(|back_end| back_end.name == run.back_end) {
            run.stages.iter_mut().for_each(|stage| stage.compare(&back_end.ceilings));
        }
    }
    let results = Results {
        version: env!("CARGO_PKG_VERSION"),
        optimised: !cfg!(debug_assertions),
        date: machine::date(),
        arguments: std::env::args().skip(1).collect(),
        machine,
        repeat: options.repeat,
        seed: options.seed,
        seconds_limit: options.seconds_limit,
        input: "synthetic self-attention of one sequence",
        back_ends,
        runs: measured.runs,
        skipped: measured.skipped,
    };
    println!("{}", table::render(&results));
    if let Some(path) = &options.json {
        write(path, &(serde_json::to_string_pretty(&results)? + "\n"))?;
        println!("Written: {}", path.display());
    }
    if let Some(path) = &options.html {
        write(path, &page::render(&results)?)?;
        println!("Written: {}", path.display());
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| cannot_write(path))
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}
