//! Every kernel. A shader declares itself: its `#import` lines name the shared pieces, its `@binding` lines the operands, and each of its
//! entry points is a kernel. The list of shaders is the list of stages.

use super::compose::{self, constants_named, Piece, Tile, SIDE};
use super::constants::Constant;
use crate::plan::Tensor;
use crate::stages::{every_stage, Scratch};
use std::sync::LazyLock;
use Access::{Read, Write};

/// What a binding holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operand {
    Tensor(Tensor),
    /// Queries or keys, as the step is about.
    Side,
    Scratch(Scratch),
    /// Hash planes with their thresholds.
    Planes,
    /// Random numbers or positions that start the clusters.
    Starts,
    /// Valid queries and keys of each sequence, then where queries stand if that is given.
    Lengths,
    /// The tensor that is checked, whichever it is.
    Checked,
    /// Offset of a NaN or infinity.
    FoundBad,
}

impl Operand {
    /// The operand of a variable in the shaders.
    fn of(name: &str) -> Option<Self> {
        let others =
            [("planes", Self::Planes), ("starts", Self::Starts), ("lengths", Self::Lengths), ("found", Self::FoundBad)];
        let other =
            others.into_iter().chain([("tensor", Self::Checked), (SIDE, Self::Side)]).find(|(known, _)| *known == name);
        let tensor = || Tensor::ALL.into_iter().find(|tensor| tensor.name() == name).map(Self::Tensor);
        let scratch = || Scratch::OF_DEVICES.into_iter().find(|piece| piece.name() == name).map(Self::Scratch);
        other.map(|(_, operand)| operand).or_else(tensor).or_else(scratch)
    }
}

#[cfg(test)]
impl Operand {
    /// The name of the variable in the shaders.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tensor(tensor) => tensor.name(),
            Self::Side => SIDE,
            Self::Scratch(piece) => piece.name(),
            Self::Planes => "planes",
            Self::Starts => "starts",
            Self::Lengths => "lengths",
            Self::Checked => "tensor",
            Self::FoundBad => "found",
        }
    }
}

/// How a kernel uses a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    Read,
    Write,
}

/// A kernel: an entry point of a shader, and what the shader declares. Binding 0 is the uniform `params`; the others follow in order from 1.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub entry_point: &'static str,
    /// The shader's file in `shaders/`, without its ending.
    #[cfg_attr(not(test), allow(dead_code))]
    pub file: &'static str,
    pub source: &'static str,
    pub bindings: Vec<(Operand, Access)>,
    /// Constants that the kernel is compiled for, whatever the tile.
    pub constants: Vec<&'static Constant>,
}

macro_rules! shaders_of_stages {
    ($(($stage:ident, $name:ident, $description:literal),)*) => {
        &[$((stringify!($name), include_str!(concat!("../../shaders/", stringify!($name), ".wgsl"))),)*]
    };
}
const STAGES: &[(&str, &str)] = every_stage!(shaders_of_stages);
const CHECK_FINITE: (&str, &str) = ("check_finite", include_str!("../../shaders/check_finite.wgsl"));

/// All kernels, in the order of the computation.
pub(crate) static KERNELS: LazyLock<Vec<Kernel>> = LazyLock::new(|| {
    let shaders = STAGES.iter().copied().chain([CHECK_FINITE]);
    shaders.flat_map(|(file, source)| entry_points(source).map(move |entry| Kernel::new(entry, file, source))).collect()
});

/// The names of a shader's kernels: the function after each `@compute`.
fn entry_points(source: &'static str) -> impl Iterator<Item = &'static str> {
    source.split("@compute").skip(1).filter_map(|text| text.split("fn ").nth(1)?.split('(').next())
}

fn may_have_matrices(source: &str) -> bool {
    compose::imports(source).any(|import| import == compose::ATTENTION_TILE)
}

/// The operands of a shader, in order of their bindings.
fn bindings(source: &str) -> Vec<(Operand, Access)> {
    let lines = source.lines().filter(|line| line.starts_with("@group(0) @binding("));
    lines
        .filter_map(|line| {
            let (space, name) = line.split_once("var<")?.1.split_once("> ")?;
            let access = if space.contains("read_write") { Write } else { Read };
            Some((Operand::of(name.split(':').next()?)?, access))
        })
        .collect()
}

impl Kernel {
    fn new(entry_point: &'static str, file: &'static str, source: &'static str) -> Self {
        let tiles = [Tile::ROWS, Tile::BLOCKS].into_iter().chain(may_have_matrices(source).then_some(Tile::MATRICES));
        let pieces: Vec<_> = tiles.flat_map(|tile| compose::pieces(source, tile)).collect();
        let constants = constants_named(source, &pieces);
        Self { entry_point, file, source, bindings: bindings(source), constants }
    }

    /// Shared pieces, each after those that it imports itself.
    pub fn pieces(&self, tile: Tile) -> Vec<&'static Piece> {
        compose::pieces(self.source, tile)
    }

    /// Whether the kernel can compute its products by matrix units.
    pub fn may_have_matrices(&self) -> bool {
        may_have_matrices(self.source)
    }

    /// Whether the kernel writes the output.
    pub fn writes_output(&self) -> bool {
        self.bindings.contains(&(Operand::Tensor(Tensor::Output), Write))
    }

    /// Whether what the kernel is depends on how tensors are stored.
    pub fn touches_tensors(&self) -> bool {
        self.bindings
            .iter()
            .any(|(operand, _)| matches!(operand, Operand::Tensor(_) | Operand::Side | Operand::Checked))
    }

    /// How a binding is declared. A buffer has one usage in a dispatch: where the output lies in the buffer of an input, kernels that write
    /// it declare what they only read as written too.
    pub fn declared_access(&self, operand: Operand, access: Access, one_buffer: bool) -> Access {
        match operand {
            Operand::Tensor(_) if one_buffer && self.writes_output() => Write,
            _ => access,
        }
    }
}

/// A kernel by its entry point, which launches and a test take from the shaders.
pub(crate) fn kernel(entry_point: &str) -> &'static Kernel {
    let found = KERNELS.iter().find(|kernel| kernel.entry_point == entry_point);
    found.expect("every launch names an entry point, as a test holds")
}
