//! The back ends of a benchmark, each with its ceilings.

use super::ceilings::{self, Ceilings, WarmUp};
use super::machine::clocks;
use super::options::{BenchBackend, BenchOptions};
use crate::terminal::complain;
use anyhow::{bail, Context, Result};
use clustered_attention::{wgpu, AdapterDescription, Attention, Backend, Precision};
use serde::Serialize;
use std::time::Instant;

/// An open back end.
pub struct Engine {
    pub attention: Attention,
    pub software: bool,
    /// Where the ceilings are measured; `None` on the CPU.
    adapter: Option<wgpu::Adapter>,
    /// What raises a real GPU's clock.
    warm_up: Option<WarmUp>,
    /// Why matrix units that were asked for are not there.
    pub no_matrix_units: Option<String>,
    pub facts: BackEnd,
}

/// What the report says of a back end.
#[derive(Debug, Clone, Serialize)]
pub struct BackEnd {
    /// The name that the results refer to.
    pub name: String,
    /// `cpu` or `gpu`.
    pub kind: &'static str,
    pub adapter: Option<String>,
    pub driver: Option<String>,
    pub api: Option<String>,
    /// Threads, of the CPU.
    pub threads: Option<usize>,
    /// Where the times of the stages come from.
    pub stage_times: &'static str,
    /// Seconds until the device was open.
    pub open_seconds: f64,
    pub ceilings: Ceilings,
    /// What was compiled during the benchmark.
    pub compilations: Vec<Compilation>,
    /// Of a real GPU, what tools of the system tell of the clocks right after work: a line for each card.
    pub clocks: Vec<String>,
}

/// A pipeline and how long it took.
#[derive(Debug, Clone, Serialize)]
pub struct Compilation {
    pub kernel: &'static str,
    pub seconds: f64,
}

impl Engine {
    /// Raises the clock, which a real GPU lowers while the host works, unless that was done just now.
    pub fn wake(&self) {
        if let Some(warm_up) = &self.warm_up {
            warm_up.run();
        }
    }

    pub fn is_gpu(&self) -> bool {
        self.facts.kind == "gpu"
    }

    /// The facts once everything has run, with the ceilings measured again, since other work may have disturbed them the first time.
    pub fn finish(self) -> Result<BackEnd> {
        let again = match &self.adapter {
            None => ceilings::of_cpu(),
            Some(adapter) => ceilings::of_adapter(adapter)?,
        };
        self.wake();
        let (compilations, clocks) =
            (compilations(&self.attention), self.warm_up.as_ref().map_or(vec![], |_| clocks()));
        Ok(BackEnd { compilations, clocks, ceilings: self.facts.ceilings.clone().or_better(again), ..self.facts })
    }
}

/// Compile times of the pipelines, in the order of compilation.
fn compilations(attention: &Attention) -> Vec<Compilation> {
    let compilations = attention.compilations().into_iter();
    compilations.map(|compilation| Compilation { kernel: compilation.kernel, seconds: compilation.seconds }).collect()
}

/// Opens the back ends that the options ask for and measures their ceilings.
pub fn open(options: &BenchOptions, mut say: impl FnMut(&str)) -> Result<Vec<Engine>> {
    let wanted = |backend| options.backend.is_empty() || options.backend.contains(&backend);
    let budget = |attention: Attention| match options.scratch_budget {
        Some(mebibytes) => attention.with_scratch_budget_bytes(u64::from(mebibytes) << 20),
        None => attention,
    };
    let mut engines = Vec::new();
    // Adapters alone may be named without `--backend`.
    if wanted(BenchBackend::Cpu) && (options.adapter.is_empty() || !options.backend.is_empty()) {
        say("ceilings of the CPU");
        let attention = budget(Attention::new_blocking(Backend::Cpu)?);
        engines.push(Engine {
            attention,
            software: false,
            adapter: None,
            warm_up: None,
            no_matrix_units: None,
            facts: cpu(),
        });
    }
    if wanted(BenchBackend::Gpu) {
        for description in chosen_adapters(options)? {
            say(&format!("ceilings of {}", description.name));
            let found = find(&description).context("the adapter is gone")?;
            let ceilings = ceilings::of_adapter(&found)?;
            let software = description.is_software();
            let name = unique_name(&description, &engines);
            let begin = Instant::now();
            let mut attention = Attention::with_adapter_blocking(description.clone())
                .with_context(|| format!("cannot open {description}"))?;
            let mut no_matrix_units = None;
            if options.precisions() != [Precision::Float32] {
                match attention.clone().with_matrix_units_blocking() {
                    Ok(opened) => attention = opened,
                    Err(error) => no_matrix_units = Some(error.to_string()),
                }
            }
            let facts = BackEnd {
                name,
                kind: "gpu",
                adapter: Some(description.name),
                driver: Some(description.driver),
                api: Some(description.backend),
                threads: None,
                stage_times: if found.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
                    "timestamp queries"
                } else {
                    "wall time of a submission for each stage"
                },
                open_seconds: begin.elapsed().as_secs_f64(),
                ceilings,
                compilations: Vec::new(),
                clocks: Vec::new(),
            };
            let warm_up = if software { None } else { Some(WarmUp::new(&found)?) };
            let attention = budget(attention);
            engines.push(Engine { attention, software, adapter: Some(found), warm_up, no_matrix_units, facts });
        }
    }
    Ok(engines)
}

fn cpu() -> BackEnd {
    BackEnd {
        name: "CPU".into(),
        kind: "cpu",
        adapter: None,
        driver: None,
        api: None,
        threads: Some(rayon::current_num_threads()),
        stage_times: "wall time",
        open_seconds: 0.0,
        ceilings: ceilings::of_cpu(),
        compilations: Vec::new(),
        clocks: Vec::new(),
    }
}

/// The adapters asked for, each once; none is no error unless one was asked for.
fn chosen_adapters(options: &BenchOptions) -> Result<Vec<AdapterDescription>> {
    let adapters = match options.probe.adapters() {
        // The CPU alone is measured where no GPU was asked for.
        Err(error) if options.adapter.is_empty() && options.backend.is_empty() => {
            complain(format_args!("note: {error:#}; the CPU alone is measured"));
            return Ok(Vec::new());
        }
        adapters => adapters?,
    };
    let listed = || adapters.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if adapters.is_empty() {
        if options.adapter.is_empty() && options.backend.is_empty() {
            return Ok(Vec::new());
        }
        bail!("no adapter was found; --backend cpu needs none");
    }
    let best = ["best".to_owned()];
    let mut chosen: Vec<usize> = Vec::new();
    for text in if options.adapter.is_empty() { &best[..] } else { &options.adapter } {
        let wanted = text.to_lowercase();
        let matching = |adapter: &AdapterDescription| {
            [&adapter.name, &adapter.driver, &adapter.backend]
                .iter()
                .any(|field| field.to_lowercase().contains(&wanted))
        };
        match wanted.as_str() {
            "all" => chosen.extend(0..adapters.len()),
            "best" => chosen.push(0),
            _ => match adapters.iter().position(matching) {
                Some(index) => chosen.push(index),
                None => bail!("no adapter matches `{text}`; there are: {}", listed()),
            },
        }
    }
    let mut seen = Vec::new();
    chosen.retain(|&index| !seen.contains(&index) && (seen.push(index), true).1);
    Ok(chosen.into_iter().map(|index| adapters[index].clone()).collect())
}

/// The adapter of a description, for a device of the benchmark's own.
fn find(description: &AdapterDescription) -> Option<wgpu::Adapter> {
    // As the library has it: no other driver is asked than the one that a user narrows it to by `WGPU_BACKEND`.
    let backends = wgpu::Backends::all().with_env();
    let descriptor = wgpu::InstanceDescriptor { backends, ..wgpu::InstanceDescriptor::new_without_display_handle() };
    let adapters = pollster::block_on(wgpu::Instance::new(descriptor).enumerate_adapters(backends));
    adapters.into_iter().find(|adapter| {
        let info = adapter.get_info();
        info.name == description.name && format!("{:?}", info.backend).to_lowercase() == description.backend
    })
}

/// A short name such as `llvmpipe (vulkan)`: what follows in brackets in the adapter's name is the driver's version.
fn unique_name(description: &AdapterDescription, engines: &[Engine]) -> String {
    let short = description.name.split('(').next().unwrap_or_default().trim();
    let name = format!("{short} ({})", description.backend);
    let taken = |name: &str| engines.iter().any(|engine| engine.facts.name == name);
    if !taken(&name) {
        return name;
    }
    (2..).map(|number| format!("{name} {number}")).find(|name| !taken(name)).unwrap_or(name)
}
