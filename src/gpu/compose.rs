//! Modules as text: shared pieces by their `#import` lines, loads and stores of tensors, constants.

use super::constants::{Constant, CONSTANTS};
use super::variant::Variant;
use crate::plan::Tensor;
use crate::stages::{Cut, Role};
use crate::Element;
use std::collections::HashSet;

/// A shared piece of WGSL.
#[derive(Debug)]
pub(crate) struct Piece {
    pub name: &'static str,
    pub source: &'static str,
}

macro_rules! pieces {
    ($($name:literal),*) => {
        &[$(Piece { name: $name, source: include_str!(concat!("../../shaders/shared/", $name, ".wgsl")) }),*]
    };
}
pub(crate) const PIECES: &[Piece] = pieces![
    "params",
    "lengths",
    "positions",
    "sides",
    "side_rows",
    "cluster_of",
    "visible",
    "neighbours",
    "softmax_parts",
    "centroid_codes",
    "centroids",
    "centroid_rows",
    "covariances",
    "weights",
    "weighted_rows",
    "query",
    "listed_members",
    "attention",
    "tile_queries",
    "block_lanes",
    "block_softmax",
    "products_rows",
    "products_blocks",
    "products_matrices",
    "metric_squares",
    "tile_rows",
    "tile_blocks",
    "tile_matrices",
    "tensor_keys",
    "tile_keys",
    "output_sums",
    "guard"
];

/// What touches tensors: the functions that load and store their rows, with the types of their buffers, and that of a written one.
struct Access {
    element: &'static str,
    output_element: &'static str,
    load: &'static str,
    /// What loads call.
    stored: &'static str,
    store: &'static str,
}

macro_rules! access {
    ($element:literal, $output_element:literal, $rows:literal, $name:literal) => {
        Access {
            element: $element,
            output_element: $output_element,
            load: include_str!(concat!("../../shaders/shared/load_", $rows, ".wgsl")),
            stored: include_str!(concat!("../../shaders/shared/stored_", $name, ".wgsl")),
            store: include_str!(concat!("../../shaders/shared/store_", $name, ".wgsl")),
        }
    };
}
const VEC4: Access = access!("vec4f", "vec4f", "vec4", "vec4");
const SCALAR: Access = access!("f32", "f32", "scalar", "scalar");
const VEC4_HALF: Access = access!("vec2u", "vec2u", "vec4", "vec4_half");
/// Two neighbouring invocations may write the halves of one word.
const SCALAR_HALF: Access = access!("u32", "atomic<u32>", "scalar", "scalar_half");
/// What loads and stores of halves call.
const HALVES: &str = include_str!("../../shaders/shared/halves.wgsl");
const HALVES_BY_INSTRUCTION: &str = include_str!("../../shaders/shared/halves_by_instruction.wgsl");
const HALVES_BY_INTEGERS: &str = include_str!("../../shaders/shared/halves_by_integers.wgsl");

/// Where sums rest between kernels: those to float32 tensors in the output, others in `softmax_parts`.
const STORE_SUM_OUTPUT: &str = include_str!("../../shaders/shared/store_sum_output.wgsl");
const STORE_SUM_PARTS: &str = include_str!("../../shaders/shared/store_sum_parts.wgsl");
const LOAD_SUM_OUTPUT: &str = include_str!("../../shaders/shared/load_sum_output.wgsl");
const LOAD_SUM_PARTS: &str = include_str!("../../shaders/shared/load_sum_parts.wgsl");

/// The names on a text's `#import` lines.
pub(crate) fn imports(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("#import ")).map(str::trim)
}

/// What `#import products` and `#import tile` stand for, and in kernels that may have matrices `#import attention_tile`: pieces with the same
/// functions, of which the target and the problem's precision decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Tile {
    /// Blocks in place of rows.
    pub blocks: bool,
    /// The side of the matrices of `attention_tile`, if it has any.
    pub matrix_side: Option<usize>,
}

impl Tile {
    pub const ROWS: Self = Self { blocks: false, matrix_side: None };
    pub const BLOCKS: Self = Self { blocks: true, matrix_side: None };
    pub const MATRICES: Self = Self { blocks: true, matrix_side: Some(16) };

    /// The tile of a plan, for a kernel that may have matrices.
    pub fn of(cut: &Cut, may_have_matrices: bool) -> Self {
        let matrix_side = cut.matrices.filter(|_| may_have_matrices).map(|matrices| matrices.units.side);
        Self { blocks: cut.block_queries > 0, matrix_side }
    }

    /// The piece that an import names.
    pub fn piece(self, import: &str) -> &str {
        match import {
            "tile" | ATTENTION_TILE if self.matrix_side.is_some() => "tile_matrices",
            "tile" | ATTENTION_TILE if self.blocks => "tile_blocks",
            "tile" | ATTENTION_TILE => "tile_rows",
            "products" if self.blocks => "products_blocks",
            "products" => "products_rows",
            _ => import,
        }
    }

    /// What a module with such a tile begins with.
    fn preamble(self) -> String {
        let Some(side) = self.matrix_side else { return String::new() };
        let alias = |name, element, role| format!("alias {name} = coop_mat{side}x{side}<{element}, {role}>;\n");
        "enable f16;\nenable wgpu_cooperative_matrix;\n".to_owned()
            + &alias("matrix_left", "f16", "A")
            + &alias("matrix_right", "f16", "B")
            + &alias("matrix_sums", "f32", "C")
    }
}

/// The import of kernels that may have matrices.
pub(crate) const ATTENTION_TILE: &str = "attention_tile";

/// The pieces that a text imports, itself or through others, each once and after those that it needs.
pub(crate) fn pieces(text: &str, tile: Tile) -> Vec<&'static Piece> {
    fn add(text: &str, tile: Tile, list: &mut Vec<&'static Piece>) {
        for name in imports(text).map(|import| tile.piece(import)) {
            let Some(piece) = PIECES.iter().find(|piece| piece.name == name) else { continue };
            if !list.iter().any(|known| known.name == name) {
                add(piece.source, tile, list);
                list.push(piece);
            }
        }
    }
    let mut list = Vec::new();
    add(text, tile, &mut list);
    list
}

/// A text as WGSL: without its `#import` lines.
pub(crate) fn plain(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("#import "));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The whole words of some texts: what they name.
fn words<'a>(texts: &[&'a str]) -> HashSet<&'a str> {
    texts.iter().flat_map(|text| text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))).collect()
}

/// The tensor, of queries and keys, that a dispatch is about.
pub(crate) const SIDE: &str = "side";

/// What rows are loaded of or stored to.
fn tensors() -> impl Iterator<Item = &'static str> {
    Tensor::ALL.into_iter().map(Tensor::name).chain([SIDE])
}

/// Whether rows of a tensor are loaded or stored.
fn accesses(verb: &str, name: &str, words: &HashSet<&str>) -> bool {
    [format!("{verb}_{name}"), format!("{verb}_at_{name}")].iter().any(|access| words.contains(access.as_str()))
}

/// The constants that a shader with its pieces names, itself or by what it does with tensors.
pub(crate) fn constants_named(source: &str, pieces: &[&'static Piece]) -> Vec<&'static Constant> {
    let texts: Vec<&str> = pieces.iter().map(|piece| piece.source).chain([source]).collect();
    let words = words(&texts);
    let accessed = |name: &str| {
        let tensor = tensors().find(|tensor| name.starts_with(&format!("{tensor}_")));
        tensor.is_some_and(|tensor| accesses("load", tensor, &words) || accesses("store", tensor, &words))
    };
    CONSTANTS.iter().filter(|constant| words.contains(constant.name) || accessed(constant.name)).collect()
}

/// A WGSL module: constants and roles, pieces and source, and the loads and stores of the tensors that they name.
pub(crate) fn module(
    source: &str,
    pieces: &[&'static Piece],
    constants: &[(&'static str, u32)],
    variant: Variant,
    tile: Tile,
) -> String {
    let mut texts: Vec<&str> = pieces.iter().map(|piece| piece.source).chain([source]).collect();
    let named = words(&texts);
    let half = variant.element == Element::F16;
    if named.contains("store_sum") {
        texts.push(if half { STORE_SUM_PARTS } else { STORE_SUM_OUTPUT });
    }
    if named.contains("load_sum") {
        texts.push(if half { LOAD_SUM_PARTS } else { LOAD_SUM_OUTPUT });
    }
    let words = words(&texts);
    let access = match (half, variant.vectors) {
        (false, true) => VEC4,
        (false, false) => SCALAR,
        (true, true) => VEC4_HALF,
        (true, false) => SCALAR_HALF,
    };
    let mut module = tile.preamble() + &format!("alias element = {};\n", access.element);
    if words.contains("output_element") {
        module += &format!("alias output_element = {};\n", access.output_element);
    }
    if words.contains("HALVES") {
        module += &format!("const HALVES: bool = {half};\n");
    }
    for (name, value) in constants {
        module += &format!("const {name}: u32 = {value}u;\n");
    }
    for (role, name) in Role::ALL {
        if words.contains(name) {
            module += &format!("const {name}: u32 = {}u;\n", role as u32);
        }
    }
    for text in &texts {
        module += &plain(text);
    }
    // The loads and stores are the same text for every tensor.
    for tensor in tensors() {
        for (verb, text) in [("load", access.load), ("load", access.stored), ("store", access.store)] {
            if accesses(verb, tensor, &words) {
                module += &text.replace("TENSOR", tensor);
            }
        }
    }
    let accessed = |verb| half && tensors().any(|tensor| accesses(verb, tensor, &words));
    if accessed("load") {
        module += if variant.by_integers { HALVES_BY_INTEGERS } else { HALVES_BY_INSTRUCTION };
    }
    if accessed("store") {
        module += HALVES;
    }
    module
}
