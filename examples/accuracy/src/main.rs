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
use clap::Parser;
use clustered_attention_models::table;
use options::{Options, TaskName};
use results::{Results, Task};

fn main() -> Result<()> {
    let options = Options::parse();
    let device = options.device.open()?;
    let sweep = sweep::Sweep::new(&options);
    // Before the work, which is not to be taken for another program's.
    let machine = machine::describe();
    let mut tasks: Vec<Task> = Vec::new();
    for task in options.tasks() {
        let task = match task {
            TaskName::Speech => speech::measure(&sweep, &device)?,
            TaskName::Text => text::measure(&sweep, options.length, options.passages, &device)?,
        };
        println!("{}\n{}", task.title, results::table(&task));
        tasks.push(task);
    }
    let results =
        Results { origin: table::origin(&device), date: machine::date(), machine, seeds: sweep.seeds.clone(), tasks };
    let folder = &options.results;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    table::write_json(&folder.join("accuracy.json"), &serde_json::to_value(&results)?)?;
    let page = folder.join("accuracy.html");
    std::fs::write(&page, page::render(&results)?).with_context(|| format!("cannot write {}", page.display()))?;
    println!("{} and accuracy.json beside it have all of it.", page.display());
    Ok(())
}
