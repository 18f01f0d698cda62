//! The kernels of a problem as files, for other compilers and tools to look at.

use crate::files;
use crate::options::Options;
use crate::say;
use anyhow::{Context, Result};
use clustered_attention::{Attention, KernelSource, Limits, Plan, Precision, Problem, DEFAULT_SCRATCH_BUDGET_BYTES};
use std::path::Path;

/// Writes every kernel that problems use, each once, and tells the files.
///
/// # Errors
/// A problem has no plan, or a file cannot be written.
pub fn write(folder: &Path, attention: &Attention, problems: &[Problem], options: &Options) -> Result<()> {
    let budget = options.scratch_budget_bytes().unwrap_or(DEFAULT_SCRATCH_BUDGET_BYTES);
    let any_gpu = Limits::webgpu_defaults().with_scratch_budget_bytes(budget);
    let mut sources: Vec<KernelSource> = Vec::new();
    for problem in problems {
        let plan = match attention.adapter() {
            Some(adapter) if problem.precision() != Precision::Float32 => {
                Plan::new(problem, &attention.limits().with_matrix_units_of(&adapter)?)?
            }
            Some(_) => attention.plan(problem)?,
            None => Plan::new(problem, &any_gpu)?,
        };
        for source in plan.kernel_sources() {
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
    }
    let cannot = || format!("cannot make the folder {}", folder.display());
    std::fs::create_dir_all(folder).with_context(cannot)?;
    match attention.adapter() {
        Some(adapter) => say!("Kernels for {adapter}:")?,
        None => say!("Kernels for a GPU with WebGPU's default limits:")?,
    }
    for source in &sources {
        let path = folder.join(file_name(source, &sources));
        files::write(&path, &source.wgsl)?;
        say!("  {}", path.display())?;
    }
    Ok(())
}

/// Such as `top_k.wgsl`, or `refine_top_k.GROUPS=16.wgsl` where others of the same name have other constants.
fn file_name(source: &KernelSource, all: &[KernelSource]) -> String {
    let same_name = || all.iter().filter(|other| other.kernel == source.kernel);
    let differing =
        source.constants.iter().filter(|constant| same_name().any(|other| !other.constants.contains(constant)));
    let suffix: String = differing.map(|(name, value)| format!(".{name}={value}")).collect();
    format!("{}{suffix}.wgsl", source.kernel)
}
