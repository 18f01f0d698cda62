//! Modules as text: shared pieces by their `#import` lines, loads and stores of tensors, constants.

use super::constants::{Constant, CONSTANTS};
use crate::plan::Tensor;
use crate::stages::{Cut, Role};
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
    "softmax_parts",
    "centroid_codes",
    "centroids",
    "covariances",
    "weights",
    "query",
    "listed_members",
    "attention",
    "tile_queries",
    "products_rows",
    "products_blocks",
    "metric_squares",
    "tile_rows",
    "tile_blocks",
    "tensor_keys",
    "tile_keys",
    "output_sums",
    "guard"
];

const LOAD_VEC4: &str = include_str!("../../shaders/shared/load_vec4.wgsl");
const LOAD_SCALAR: &str = include_str!("../../shaders/shared/load_scalar.wgsl");
const STORE_VEC4: &str = include_str!("../../shaders/shared/store_vec4.wgsl");
const STORE_SCALAR: &str = include_str!("../../shaders/shared/store_scalar.wgsl");

/// The names on a text's `#import` lines.
pub(crate) fn imports(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("#import ")).map(str::trim)
}

/// What `#import products` and `#import tile` stand for: two pieces each with the same functions, of which the target decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Tile {
    Rows,
    Blocks,
}

impl Tile {
    /// The tile of a plan.
    pub fn of(cut: &Cut) -> Self {
        if cut.block_queries == 0 {
            Self::Rows
        } else {
            Self::Blocks
        }
    }

    /// The piece that an import names.
    pub fn piece(self, import: &str) -> &str {
        match (import, self) {
            ("tile", Self::Rows) => "tile_rows",
            ("tile", Self::Blocks) => "tile_blocks",
            ("products", Self::Rows) => "products_rows",
            ("products", Self::Blocks) => "products_blocks",
            _ => import,
        }
    }
}

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

/// Whether rows of a tensor are loaded or stored.
fn accesses(verb: &str, tensor: Tensor, words: &HashSet<&str>) -> bool {
    let name = tensor.name();
    [format!("{verb}_{name}"), format!("{verb}_at_{name}")].iter().any(|access| words.contains(access.as_str()))
}

/// The constants that a shader with its pieces names, itself or by what it does with tensors.
pub(crate) fn constants_named(source: &str, pieces: &[&'static Piece]) -> Vec<&'static Constant> {
    let texts: Vec<&str> = pieces.iter().map(|piece| piece.source).chain([source]).collect();
    let words = words(&texts);
    let accessed = |name: &str| {
        let tensor = Tensor::ALL.into_iter().find(|tensor| name.starts_with(&format!("{}_", tensor.name())));
        tensor.is_some_and(|tensor| accesses("load", tensor, &words) || accesses("store", tensor, &words))
    };
    CONSTANTS.iter().filter(|constant| words.contains(constant.name) || accessed(constant.name)).collect()
}

/// A WGSL module: constants and roles, pieces and source, and the loads and stores of the tensors that they name.
pub(crate) fn module(
    source: &str,
    pieces: &[&'static Piece],
    constants: &[(&'static str, u32)],
    vectors: bool,
) -> String {
    let texts: Vec<&str> = pieces.iter().map(|piece| piece.source).chain([source]).collect();
    let words = words(&texts);
    let mut module = format!("alias element = {};\n", if vectors { "vec4f" } else { "f32" });
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
    // The loads and stores are the same text for every tensor and element type.
    for tensor in Tensor::ALL {
        for (verb, vec4, scalar) in [("load", LOAD_VEC4, LOAD_SCALAR), ("store", STORE_VEC4, STORE_SCALAR)] {
            if accesses(verb, tensor, &words) {
                module += &if vectors { vec4 } else { scalar }.replace("TENSOR", tensor.name());
            }
        }
    }
    module
}
