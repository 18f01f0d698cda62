//! What the methods cost and what they lose in pretrained models: clusters and top-k swept, seeds repeated, results as JSON and as a page.

// As the benchmark of `headless` has them.
#[allow(dead_code)] // a part is the benchmark's alone
#[path = "../../headless/bench/machine.rs"]
mod machine;
mod options;
mod page;
mod results;
mod speech;
mod sweep;
mod text;

use anyhow::{Context, Result};
use clustered_attention_models::{command_line, files, say, table, terminal};
use options::{Options, TaskName};
use results::{Results, Task};
use std::process::ExitCode;

fn main() -> ExitCode {
    command_line::run(Ok, |options: &Options| run(options).map(|()| ExitCode::SUCCESS))
}

fn run(options: &Options) -> Result<()> {
    let folder = options.results();
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let (json, page) = (folder.join("accuracy.json"), folder.join("accuracy.html"));
    files::check_outputs(&[("--results", &json), ("--results", &page)], &[])?;
    terminal::outlive_readers();
    let device = options.device.open()?;
    let sweep = sweep::Sweep::new(options);
    // Before the work, which is not to be taken for another program's.
    let machine = machine::describe();
    let measure = |task| match task {
        TaskName::Speech => speech::measure(&sweep, &device),
        TaskName::Text => text::measure(&sweep, options.length, options.passages, &device),
    };
    let mut tasks: Vec<Task> = Vec::new();
    let mut tables = Vec::new();
    for task in options.tasks() {
        let task = measure(task)?;
        tables.push(format!("{}\n{}", task.title, results::table(&task)));
        tasks.push(task);
    }
    let results =
        Results { origin: table::origin(&device), date: machine::date(), machine, seeds: sweep.seeds.clone(), tasks };
    // Files first: what is printed can fail for reasons of its own.
    table::write_json(&json, &serde_json::to_value(&results)?)?;
    files::write(&page, &page::render(&results)?)?;
    tables.iter().try_for_each(|table| say!("{table}"))?;
    say!("{} and accuracy.json beside it have all of it.", page.display())?;
    Ok(())
}
