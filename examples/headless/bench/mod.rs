//! `headless bench`: methods over sweeps, every stage beside what the back end can do at best.

mod ceilings;
mod compare;
mod engine;
mod machine;
mod measure;
pub mod memory;
mod options;
mod page;
mod results;
mod table;

pub use options::BenchOptions;

use crate::files::{self, Named};
use crate::progress::Progress;
use crate::{say, terminal};
use anyhow::Result;
use engine::{BackEnd, Engine};
use results::Results;

/// Checks all options, before anything slow begins, and returns the files to be written.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(options: &BenchOptions) -> Result<Vec<Named<'_>>> {
    measure::check(options)?;
    let outputs = [("--json", &options.json), ("--html", &options.html)];
    let outputs: Vec<Named> =
        outputs.into_iter().filter_map(|(option, path)| Some((option, path.as_deref()?))).collect();
    files::check_outputs(&outputs, &[])?;
    Ok(outputs)
}

/// Runs the benchmark, writes what was asked for and prints its tables.
pub fn run(options: &BenchOptions) -> Result<()> {
    if let [before, after] = &options.compare[..] {
        say!("{}", compare::render(before, after)?)?;
        return Ok(());
    }
    let outputs = check(options)?;
    if !outputs.is_empty() {
        terminal::outlive_readers();
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
        arguments: std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect(),
        machine,
        repeat: options.repeat,
        seed: options.seed,
        seconds_limit: options.seconds_limit,
        input: "synthetic self-attention of one sequence",
        back_ends,
        runs: measured.runs,
        skipped: measured.skipped,
    };
    // Files first: what is printed can fail for reasons of its own.
    if let Some(path) = &options.json {
        files::write(path, &(serde_json::to_string_pretty(&results)? + "\n"))?;
    }
    if let Some(path) = &options.html {
        files::write(path, &page::render(&results)?)?;
    }
    say!("{}", table::render(&results))?;
    outputs.iter().try_for_each(|(_, path)| say!("Written: {}", path.display()))?;
    Ok(())
}
