//! WGSL to SPIR-V, as wgpu translates the crate's kernels.

use anyhow::{anyhow, Context, Result};
use naga::back::spv;
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy, Layouter};
use naga::valid::{Capabilities, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ShaderStage};
use std::path::Path;

/// An entry point in SPIR-V, and what it binds.
pub struct Kernel {
    pub name: String,
    pub words: Vec<u32>,
    pub bindings: Vec<Binding>,
    /// Workgroup memory that it declares.
    pub workgroup_bytes: u32,
}

/// A buffer of the only bind group.
pub struct Binding {
    pub number: u32,
    /// At an offset that the dispatch chooses, as the crate binds parameters.
    pub uniform: bool,
}

/// The entry point that a file is named after, or every one.
pub fn translate(file: &Path, unchecked: bool) -> Result<Vec<Kernel>> {
    let source = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let named = |text: String| anyhow!("{}: {text}", file.display());
    let module = naga::front::wgsl::parse_str(&source).map_err(|error| named(error.emit_to_string(&source)))?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .subgroup_stages(ShaderStages::all())
        .subgroup_operations(SubgroupOperationSet::all())
        .validate(&module)
        .map_err(|error| named(error.emit_to_string(&source)))?;
    let policy = if unchecked { BoundsCheckPolicy::Unchecked } else { BoundsCheckPolicy::Restrict };
    let options = spv::Options {
        lang_version: (1, 6),
        flags: spv::WriterFlags::empty(),
        bounds_check_policies: BoundsCheckPolicies {
            index: policy,
            buffer: policy,
            image_load: policy,
            binding_array: policy,
        },
        // What the crate asks wgpu for: kernels write workgroup memory before they read it, and their loops end.
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        fake_missing_bindings: true,
        ..Default::default()
    };
    let kernel = |index: usize| {
        let entry = &module.entry_points[index];
        let pipeline = spv::PipelineOptions { shader_stage: ShaderStage::Compute, entry_point: entry.name.clone() };
        let words = spv::write_vec(&module, &info, &options, Some(&pipeline))
            .with_context(|| format!("{}: {}", file.display(), entry.name))?;
        let workgroup_bytes = workgroup_bytes(&module, info.get_entry_point(index))?;
        Ok(Kernel { name: entry.name.clone(), words, bindings: bindings(&module), workgroup_bytes })
    };
    let file_name = file.file_name().unwrap_or_default().to_string_lossy();
    let named = file_name.split('.').next().unwrap_or_default();
    match module.entry_points.iter().position(|entry| entry.name == named) {
        Some(index) => Ok(vec![kernel(index)?]),
        None => (0..module.entry_points.len()).map(kernel).collect(),
    }
}

fn bindings(module: &Module) -> Vec<Binding> {
    let variables = module.global_variables.iter();
    let bound = variables.filter_map(|(_, variable)| {
        let number = variable.binding.as_ref()?.binding;
        Some(Binding { number, uniform: variable.space == AddressSpace::Uniform })
    });
    bound.collect()
}

/// Bytes of the workgroup variables that an entry point uses.
fn workgroup_bytes(module: &Module, entry: &naga::valid::FunctionInfo) -> Result<u32> {
    let mut layouter = Layouter::default();
    layouter.update(module.to_ctx())?;
    let used = module
        .global_variables
        .iter()
        .filter(|(handle, variable)| variable.space == AddressSpace::WorkGroup && !entry[*handle].is_empty());
    Ok(used.map(|(_, variable)| layouter[variable.ty].size).sum())
}
