//! The declarations against the shaders themselves: bindings, struct layout, and translation to every platform's language.

use super::kernels::{constants, module_source, Access, Operand, Variant, KERNELS};
use crate::plan::Tensor;

const VECTORS: Variant = Variant { vectors: true, one_buffer: false };
use super::params::Params;
use crate::plan::{Limits, Plan};
use crate::{Method, Problem, Shape};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess, TypeInner};

/// Constants of problems that differ in everything the shaders are compiled for: narrow, odd, wide, few and many words and clusters; the
/// last with the registers of a software adapter.
fn constant_sets() -> Vec<(Vec<(&'static str, usize)>, bool)> {
    let hardware = Limits::webgpu_defaults();
    let software = Limits { query_registers: 4, value_registers: 8, ..hardware };
    let sizes = [(64, 64, 25, 63), (13, 40, 7, 31), (256, 256, 1000, 256), (1, 1, 1, 1), (72, 100, 64, 128)];
    sizes
        .map(|sizes| (sizes, hardware))
        .into_iter()
        .chain([((64, 64, 25, 63), software)])
        .map(|((width, value_width, clusters, bits), limits)| {
            let shape = Shape { width, value_width, ..Shape::self_attention(1, 2, 300, 1) };
            let method = Method::stitched(clusters).with_clustering(|clustering| clustering.bits = bits);
            let problem = Problem::new(shape, method).expect("a valid problem");
            let plan = Plan::new(&problem, &limits, 1 << 27).expect("a plan");
            (constants(&problem, &plan.cut), width % 4 == 0 && value_width % 4 == 0)
        })
        .collect()
}

fn parse(source: &str) -> (Module, ModuleInfo) {
    let module =
        naga::front::wgsl::parse_str(source).unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
    let info = Validator::new(ValidationFlags::all(), Capabilities::empty())
        .validate(&module)
        .unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
    (module, info)
}

/// WGSL empties such a variable whenever its declaration is reached; Chromium 156 on SwiftShader does so only once.
#[test]
fn variables_in_loops_are_given_a_value() {
    let (constants, _) = constant_sets().remove(0);
    for kernel in KERNELS {
        let source = module_source(kernel, &constants, VECTORS);
        let nested = source.lines().filter(|line| line.starts_with("        "));
        let bare: Vec<&str> =
            nested.filter(|line| line.trim_start().starts_with("var ") && !line.contains('=')).collect();
        assert!(bare.is_empty(), "{}: {bare:?}", kernel.entry_point);
    }
}

#[test]
fn bindings_are_what_the_shaders_declare() {
    let (constants, _) = constant_sets().remove(0);
    for kernel in KERNELS {
        for variant in [VECTORS, Variant { one_buffer: true, ..VECTORS }] {
            let (module, _) = parse(&module_source(kernel, &constants, variant));
            let mut declared: Vec<(u32, String, Access)> = module
                .global_variables
                .iter()
                .filter_map(|(_, variable)| {
                    let binding = variable.binding.as_ref()?;
                    assert_eq!(binding.group, 0);
                    let access = match variable.space {
                        AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => Access::Write,
                        AddressSpace::Storage { .. } => Access::Read,
                        _ => return None,
                    };
                    Some((binding.binding, variable.name.clone()?, access))
                })
                .collect();
            declared.sort_by_key(|(binding, ..)| *binding);
            let expected: Vec<(u32, String, Access)> = kernel
                .bindings
                .iter()
                .zip(1..)
                .map(|(&(operand, access), binding)| {
                    (binding, operand.name().to_string(), kernel.declared_access(operand, access, variant))
                })
                .collect();
            assert_eq!(declared, expected, "{}", kernel.entry_point);
            assert!(expected.len() <= 8, "{} needs more than WebGPU's default bindings", kernel.entry_point);
            assert!(module.entry_points.iter().any(|entry| entry.name == kernel.entry_point));
        }
    }
}

#[test]
fn inputs_in_the_buffer_of_the_output_are_declared_as_written() {
    let one_buffer = Variant { one_buffer: true, ..VECTORS };
    for kernel in KERNELS {
        let writes_output = kernel.bindings.contains(&(Operand::Tensor(Tensor::Output), Access::Write));
        for &(operand, access) in kernel.bindings {
            let expected = if writes_output && matches!(operand, Operand::Tensor(_)) { Access::Write } else { access };
            assert_eq!(kernel.declared_access(operand, access, one_buffer), expected, "{}", kernel.entry_point);
            assert_eq!(kernel.declared_access(operand, access, VECTORS), access, "{}", kernel.entry_point);
        }
    }
}

#[test]
fn kernels_are_listed_in_the_order_of_their_names() {
    for (index, declared) in KERNELS.iter().enumerate() {
        assert_eq!(declared.name as usize, index, "{}", declared.entry_point);
    }
}

#[test]
fn params_have_the_layout_of_the_shaders() {
    let (constants, _) = constant_sets().remove(0);
    let (module, _) = parse(&module_source(&KERNELS[0], &constants, VECTORS));
    let (members, span) = module
        .types
        .iter()
        .find_map(|(_, ty)| match (&ty.name, &ty.inner) {
            (Some(name), TypeInner::Struct { members, span }) if name == "Params" => Some((members, *span)),
            _ => None,
        })
        .expect("struct Params");
    assert_eq!((span as usize).next_multiple_of(16), size_of::<Params>());
    let offset = |name: &str| {
        let member = members.iter().find(|member| member.name.as_deref() == Some(name));
        member.unwrap_or_else(|| panic!("the shaders have no `{name}`")).offset as usize
    };
    macro_rules! same {
        ($($field:ident),*) => {
            $(assert_eq!(offset(stringify!($field)), std::mem::offset_of!(Params, $field), stringify!($field));)*
            // What follows only fills the struct to a multiple of 16 bytes.
            assert_eq!(members.len(), [$(stringify!($field)),*].len());
        };
    }
    same!(
        batch,
        query_heads,
        key_heads,
        queries,
        keys,
        clusters,
        top_k,
        window,
        query_layout,
        key_layout,
        value_layout,
        output_layout,
        keys_padded,
        vote_length,
        vote_blocks,
        group_length,
        group_blocks,
        mean_parts,
        key_length,
        key_blocks,
        chunk_batch,
        chunk_head,
        chunk_heads,
        slice_begin,
        tile_begin,
        cluster_begin,
        cluster_end,
        key_begin,
        key_end,
        mode,
        scale,
        cluster_rows,
        bits
    );
}

#[test]
fn workgroup_memory_stays_within_the_defaults() {
    for (constants, vectors) in constant_sets() {
        for kernel in KERNELS {
            let (module, _) = parse(&module_source(kernel, &constants, Variant { vectors, one_buffer: false }));
            let bytes: u32 = module
                .global_variables
                .iter()
                .filter(|(_, variable)| variable.space == AddressSpace::WorkGroup)
                .map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx()))
                .sum();
            assert!(bytes <= 16 << 10, "{} uses {bytes} bytes", kernel.entry_point);
        }
    }
}

#[test]
fn every_kernel_translates_to_every_platform() {
    // For the real compilers, which run on Windows (or under Wine): `SET_KERNEL_ELEMENT.hlsl` for each kernel.
    let hlsl_folder = std::env::var_os("CLUSTERED_ATTENTION_HLSL_FOLDER").map(std::path::PathBuf::from);
    for (set, (constants, aligned)) in constant_sets().into_iter().enumerate() {
        for kernel in KERNELS {
            for vectors in [false, true] {
                if vectors && !aligned {
                    continue;
                }
                let source = |one_buffer| module_source(kernel, &constants, Variant { vectors, one_buffer });
                let (module, info) = parse(&source(true));
                translate_glsl(&module, &info, kernel.entry_point);
                let (module, info) = parse(&source(false));
                let entry = kernel.entry_point;
                translate_spirv(&module, &info, entry);
                translate_msl(&module, &info, entry);
                let hlsl = translate_hlsl(&module, &info, entry);
                if let Some(folder) = &hlsl_folder {
                    let name = format!("{set}_{entry}_{}.hlsl", if vectors { "vec4" } else { "scalar" });
                    std::fs::write(folder.join(name), hlsl).expect("the folder can be written");
                }
                translate_glsl(&module, &info, entry);
            }
        }
    }
}

fn translate_spirv(module: &Module, info: &ModuleInfo, entry: &str) {
    let words = naga::back::spv::write_vec(module, info, &naga::back::spv::Options::default(), None)
        .unwrap_or_else(|error| panic!("{entry}: {error}"));
    assert_eq!(words[0], 0x0723_0203);
}

fn translate_msl(module: &Module, info: &ModuleInfo, entry: &str) {
    let options = naga::back::msl::Options { fake_missing_bindings: true, ..Default::default() };
    let pipeline = naga::back::msl::PipelineOptions::default();
    let (source, translation) = naga::back::msl::write_string(module, info, &options, &pipeline)
        .unwrap_or_else(|error| panic!("{entry}: {error}"));
    assert!(translation.entry_point_names.iter().all(Result::is_ok));
    assert!(source.contains(entry));
}

fn translate_hlsl(module: &Module, info: &ModuleInfo, entry: &str) -> String {
    // As `Kernels` creates modules: loops are not bounded, workgroup memory is not zeroed.
    let options = naga::back::hlsl::Options {
        fake_missing_bindings: true,
        force_loop_bounding: false,
        zero_initialize_workgroup_memory: false,
        ..Default::default()
    };
    let mut source = String::new();
    naga::back::hlsl::Writer::new(&mut source, &options, &naga::back::hlsl::PipelineOptions::default())
        .write(module, info, None)
        .unwrap_or_else(|error| panic!("{entry}: {error}"));
    assert!(source.contains(entry));
    source
}

fn translate_glsl(module: &Module, info: &ModuleInfo, entry: &str) {
    let options = naga::back::glsl::Options {
        version: naga::back::glsl::Version::Embedded { version: 310, is_webgl: false },
        ..Default::default()
    };
    let pipeline = naga::back::glsl::PipelineOptions {
        shader_stage: naga::ShaderStage::Compute,
        entry_point: entry.to_string(),
        multiview: None,
    };
    let policies = naga::proc::BoundsCheckPolicies::default();
    let mut source = String::new();
    naga::back::glsl::Writer::new(&mut source, module, info, &options, &pipeline, policies)
        .and_then(|mut writer| writer.write())
        .unwrap_or_else(|error| panic!("{entry}: {error}"));
    assert!(source.contains("main"));
}
