//! The declarations against the shaders themselves: bindings, struct layout, and translation to every platform's language.

use crate::gpu::compose::{imports, pieces, Tile, PIECES};
use crate::gpu::finite_check::CheckParams;
use crate::gpu::kernels::{Access, Kernel, Operand, KERNELS};
use crate::gpu::key::KernelKey;
use crate::gpu::matrix_units::WORKGROUP_BYTES;
use crate::gpu::params::{Blocks, Layout, Near, Params, Reach, Share, Sizes};
use crate::gpu::variant::Variant;
use crate::limits::{Limits, MatrixUnits};
use crate::plan::{Plan, Tensor};
use crate::stages::{Cut, Given, Matrices, Role, Stage};
use crate::{Element, Grid, Guard, KeyGroups, Method, Problem, Shape};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess, TypeInner};

const VECTORS: Variant = Variant { element: Element::F32, vectors: true, by_integers: false, one_buffer: false };

/// The variant for dense tensors.
fn decide(cut: &Cut) -> Variant {
    let problem = Problem::new(cut.shape, Method::Exact).expect("a valid problem");
    Variant::decide(&problem, [], false)
}

/// Sizes that differ in everything the shaders are compiled for: narrow, odd, wide, few and many words and clusters; the last as software
/// adapters, targets with scalar loads, and those with many registers get them.
fn cuts() -> Vec<Cut> {
    let hardware = Limits::webgpu_defaults();
    let software = Limits { query_registers: 4, value_registers: 8, block_queries: 0, ..hardware };
    let scalar = Limits { block_queries: 0, ..hardware };
    let wide = Limits { block_queries: 8, ..hardware };
    let sizes =
        [(64, 64, 25, 63, 16), (13, 40, 7, 31, 5), (256, 256, 1000, 256, 40), (1, 1, 1, 1, 1), (72, 100, 64, 128, 0)];
    let sizes = sizes
        .map(|sizes| (sizes, hardware))
        .into_iter()
        .chain([software, scalar, wide].map(|limits| ((64, 64, 25, 63, 16), limits)));
    sizes
        .map(|((width, value_width, clusters, bits, groups), limits)| {
            let shape = Shape { width, value_width, ..Shape::self_attention(1, 2, 300, 1) };
            let method = Method::stitched(clusters).with_clustering(|clustering| clustering.bits = bits);
            let method = method.with_key_groups(KeyGroups::new(groups).with_spread(groups % 2 == 0));
            let method = method.with_guard(Guard::new().with_rows(2 + groups % 63));
            // Patches of an image, where the sizes are odd.
            let grid = Grid::new(13, 23).with_leading(1);
            let method = if width % 2 == 1 { method.with_grid(grid) } else { method };
            let problem = Problem::new(shape, method).expect("a valid problem");
            Plan::new(&problem, &limits).expect("a plan").cut
        })
        .collect()
}

/// A kernel's module for the sizes of a plan.
fn module(kernel: &Kernel, cut: &Cut, variant: Variant) -> String {
    KernelKey::new(kernel, cut, Given::default(), variant).module(kernel)
}

fn parse(source: &str) -> (Module, ModuleInfo) {
    let module =
        naga::front::wgsl::parse_str(source).unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
    // Hardware has the instruction without being asked whether it has halves.
    let halves = source.contains("unpack2x16float(");
    let mut capabilities = if halves { Capabilities::SHADER_FLOAT16_IN_FLOAT32 } else { Capabilities::empty() };
    if source.starts_with("enable f16;") {
        capabilities |= Capabilities::SHADER_FLOAT16 | Capabilities::COOPERATIVE_MATRIX;
    }
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .validate(&module)
        .unwrap_or_else(|error| panic!("{}", error.emit_to_string(source)));
    (module, info)
}

/// WGSL empties such a variable whenever its declaration is reached; Chromium 156 on SwiftShader does so only once.
#[test]
fn variables_in_loops_are_given_a_value() {
    let cut = cuts().remove(0);
    for kernel in KERNELS.iter() {
        let source = module(kernel, &cut, VECTORS);
        let nested = source.lines().filter(|line| line.starts_with("        "));
        let bare: Vec<&str> =
            nested.filter(|line| line.trim_start().starts_with("var ") && !line.contains('=')).collect();
        assert!(bare.is_empty(), "{}: {bare:?}", kernel.entry_point);
    }
}

#[test]
fn bindings_are_what_the_shaders_declare() {
    let cut = cuts().remove(0);
    for kernel in KERNELS.iter() {
        let halves = Variant { element: Element::F16, vectors: false, ..VECTORS };
        let one_buffer = [VECTORS, halves].map(|variant| Variant { one_buffer: true, ..variant });
        for variant in [VECTORS, halves].into_iter().chain(one_buffer) {
            let (module, _) = parse(&module(kernel, &cut, variant));
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
                    let access = kernel.declared_access(operand, access, variant.one_buffer);
                    (binding, operand.name().to_string(), access)
                })
                .collect();
            assert_eq!(declared, expected, "{}", kernel.entry_point);
            assert!(expected.len() <= 8, "{} has {} storage bindings", kernel.entry_point, expected.len());
            assert!(module.entry_points.iter().any(|entry| entry.name == kernel.entry_point));
        }
    }
}

#[test]
fn inputs_in_the_buffer_of_the_output_are_declared_as_written() {
    for kernel in KERNELS.iter() {
        let writes_output = kernel.bindings.contains(&(Operand::Tensor(Tensor::Output), Access::Write));
        for &(operand, access) in &kernel.bindings {
            let expected = if writes_output && matches!(operand, Operand::Tensor(_)) { Access::Write } else { access };
            assert_eq!(kernel.declared_access(operand, access, true), expected, "{}", kernel.entry_point);
            assert_eq!(kernel.declared_access(operand, access, false), access, "{}", kernel.entry_point);
        }
    }
}

#[test]
fn kernels_are_the_entry_points_of_the_stages_in_their_order() {
    let staged = Stage::ALL
        .iter()
        .flat_map(|stage| stage.definition().kernels.iter().map(|entry_point| (*entry_point, stage.name())));
    let expected: Vec<(&str, &str)> = staged.chain([("check_finite", "check_finite")]).collect();
    let declared: Vec<(&str, &str)> = KERNELS.iter().map(|kernel| (kernel.entry_point, kernel.file)).collect();
    assert_eq!(declared, expected);
}

#[test]
fn imports_name_pieces_and_pieces_come_after_what_they_need() {
    let sources = KERNELS.iter().map(|kernel| kernel.source).chain(PIECES.iter().map(|piece| piece.source));
    for source in sources {
        for tile in [Tile::ROWS, Tile::BLOCKS, Tile::MATRICES] {
            for name in imports(source).map(|import| tile.piece(import)) {
                assert!(PIECES.iter().any(|piece| piece.name == name), "there is no piece `{name}`");
            }
            let order: Vec<&str> = pieces(source, tile).iter().map(|piece| piece.name).collect();
            for (index, piece) in pieces(source, tile).iter().enumerate() {
                let mut needed = imports(piece.source).map(|import| tile.piece(import));
                assert!(needed.all(|needed| order[..index].contains(&needed)), "{order:?}");
            }
        }
    }
}

#[test]
fn roles_have_the_numbers_of_their_list() {
    for (index, (role, name)) in Role::ALL.into_iter().enumerate() {
        assert_eq!(role as usize, index, "{name}");
    }
}

/// Name, offset and size of each member of a struct, and the size of the whole.
type Members = (Vec<(String, usize)>, usize);

fn members(module: &Module, name: &str) -> Members {
    let found = module.types.iter().find_map(|(_, ty)| match (&ty.name, &ty.inner) {
        (Some(known), TypeInner::Struct { members, span }) if known == name => Some((members, *span)),
        _ => None,
    });
    let (members, span) = found.unwrap_or_else(|| panic!("the shaders have no struct `{name}`"));
    let members = members.iter().map(|member| (member.name.clone().expect("a name"), member.offset as usize));
    (members.collect(), span as usize)
}

macro_rules! layout_of {
    ($ty:ident { $($field:ident),* }) => {
        (vec![$((stringify!($field).to_string(), std::mem::offset_of!($ty, $field))),*], size_of::<$ty>())
    };
}

#[test]
fn params_have_the_layout_of_the_shaders() {
    let cut = cuts().remove(0);
    let (module, _) = parse(&module(&KERNELS[0], &cut, VECTORS));
    let same = |name: &str, (fields, size): Members| {
        let (declared, span) = members(&module, name);
        assert_eq!(declared, fields, "{name}");
        // What follows only fills the struct to a multiple of 16 bytes.
        assert_eq!(span.next_multiple_of(16), size, "{name}");
    };
    same("Params", layout_of!(Params { sizes, cut, share }));
    same("Layout", layout_of!(Layout { batch, head, row, origin }));
    same("Reach", layout_of!(Reach { left, right, sinks, causal }));
    let of_near =
        layout_of!(Near { rows, columns, leading, row_radius, column_radius, tile_column_bits, tiles_across });
    same("Near", of_near);
    #[rustfmt::skip]
    same("Sizes", layout_of!(Sizes {
        batch, query_heads, key_heads, queries, keys, clusters, top_k, bits,
        query_layout, key_layout, value_layout, output_layout, visible, near, scale, groups, guard_rows,
        guard_tolerance
    }));
    #[rustfmt::skip]
    same("Blocks", layout_of!(Blocks {
        keys_padded, cluster_rows, key_length, key_blocks, vote_length, vote_blocks, group_length, group_blocks, softmax_vectors,
        clusters_words, groups_words, key_tiles, samples, key_samples
    }));
    #[rustfmt::skip]
    same("Share", layout_of!(Share {
        chunk_batch, chunk_head, chunk_heads, slice_begin, tile_begin, cluster_begin, cluster_end, key_begin, key_end,
        parts, role, continues, finishes
    }));
}

#[test]
fn checks_have_the_layout_of_their_shader() {
    let check = KERNELS.iter().find(|kernel| kernel.entry_point == "check_finite").expect("the check");
    let (module, _) = parse(&module(check, &cuts().remove(0), Variant::default()));
    let (declared, span) = members(&module, "CheckParams");
    let (fields, size) = layout_of!(CheckParams { layout, heads, rows, width, first_length, slice_begin, tile_begin });
    // The strides, which are a struct here, come first.
    let strides = ["batch_stride", "head_stride", "row_stride", "origin"];
    assert_eq!(declared[..4].iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), strides);
    assert_eq!((declared[4..].to_vec(), span.next_multiple_of(16)), (fields[1..].to_vec(), size));
}

fn workgroup_bytes(module: &Module) -> u32 {
    let variables = module.global_variables.iter();
    let shared = variables.filter(|(_, variable)| variable.space == AddressSpace::WorkGroup);
    shared.map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx())).sum()
}

#[test]
fn workgroup_memory_stays_within_the_defaults() {
    for cut in cuts() {
        for kernel in KERNELS.iter() {
            let (module, _) = parse(&module(kernel, &cut, decide(&cut)));
            let bytes = workgroup_bytes(&module);
            assert!(bytes <= 16 << 10, "{} uses {bytes} bytes", kernel.entry_point);
        }
    }
}

/// For adapters that the tests may not have: what runs elsewhere is at least valid, and of the size that is asked for.
#[test]
fn kernels_with_matrices_translate_to_every_platform_that_has_them() {
    for cut in cuts() {
        for (side, subgroup_lanes, pairs) in [(8, 8, true), (8, 32, false), (16, 32, true), (16, 64, false)] {
            let matrices = Some(Matrices { units: MatrixUnits { side, subgroup_lanes }, pairs });
            let cut = Cut { matrices, ..cut.clone() };
            for kernel in KERNELS.iter().filter(|kernel| kernel.may_have_matrices()) {
                let (module, info) = parse(&module(kernel, &cut, decide(&cut)));
                translate_spirv(&module, &info, kernel.entry_point);
                translate_msl(&module, &info, kernel.entry_point);
                let bytes = workgroup_bytes(&module);
                assert!(bytes <= WORKGROUP_BYTES, "{} uses {bytes} bytes", kernel.entry_point);
            }
        }
    }
}

#[test]
fn every_kernel_translates_to_every_platform() {
    // For the real compilers, which run on Windows (or under Wine): `SET_KERNEL_ELEMENT.hlsl` for each kernel.
    let hlsl_folder = std::env::var_os("CLUSTERED_ATTENTION_HLSL_FOLDER").map(std::path::PathBuf::from);
    for (set, cut) in cuts().iter().enumerate() {
        let aligned = decide(cut).vectors;
        for kernel in KERNELS.iter() {
            let elements = [(Element::F32, false), (Element::F16, false), (Element::F16, true)];
            let all = elements.into_iter().flat_map(|(element, by)| [(element, by, false), (element, by, true)]);
            for (element, by_integers, vectors) in all.filter(|&(.., vectors)| aligned || !vectors) {
                let cut = &cut.clone().storing(element);
                let variant = Variant { element, vectors, by_integers, one_buffer: false };
                let source = |one_buffer| module(kernel, cut, Variant { one_buffer, ..variant });
                let (module, info) = parse(&source(true));
                translate_glsl(&module, &info, kernel.entry_point);
                let (module, info) = parse(&source(false));
                let entry = kernel.entry_point;
                translate_spirv(&module, &info, entry);
                translate_msl(&module, &info, entry);
                let hlsl = translate_hlsl(&module, &info, entry);
                if let Some(folder) = &hlsl_folder {
                    let of = if vectors { "vec4" } else { "scalar" };
                    let by = if by_integers { "_by_integers" } else { "" };
                    let name = format!("{set}_{entry}_{of}_{element}{by}.hlsl");
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
    let has_matrices = module.types.iter().any(|(_, ty)| matches!(ty.inner, TypeInner::CooperativeMatrix { .. }));
    let lang_version = if has_matrices { (2, 3) } else { naga::back::msl::Options::default().lang_version };
    let options = naga::back::msl::Options { lang_version, fake_missing_bindings: true, ..Default::default() };
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
