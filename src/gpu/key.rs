//! What a kernel is compiled for: decided by pure functions, and the key of what was compiled.

use super::compose::{self, Tile};
use super::kernels::{Kernel, Operand};
use crate::stages::{Cut, Given};
use crate::{Problem, Strides};

/// What the same kernel is compiled differently for, beside its constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Variant {
    /// Rows of all tensors begin and end at multiples of four elements.
    pub vectors: bool,
    /// The output lies in a buffer that also holds an input.
    pub one_buffer: bool,
}

impl Variant {
    /// The variant for tensors at some offsets.
    pub fn decide(problem: &Problem, offsets: impl IntoIterator<Item = u64>, one_buffer: bool) -> Self {
        let shape = problem.shape();
        let strides = [problem.query_strides(), problem.key_strides(), problem.value_strides()];
        let aligned = |strides: Strides| {
            [strides.batch, strides.head, strides.row].into_iter().all(|stride| stride.is_multiple_of(4))
        };
        let vectors = shape.width.is_multiple_of(4)
            && shape.value_width.is_multiple_of(4)
            && strides.into_iter().all(aligned)
            && offsets.into_iter().all(|offset| offset.is_multiple_of(16));
        Self { vectors, one_buffer }
    }
}

/// A kernel as it is compiled: the same key, the same code.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct KernelKey {
    pub entry_point: &'static str,
    pub variant: Variant,
    pub tile: Tile,
    /// Constants that the kernel names, and their values.
    pub constants: Vec<(&'static str, u32)>,
}

impl KernelKey {
    /// A kernel for the sizes of a plan.
    pub fn new(kernel: &Kernel, cut: &Cut, given: Given, variant: Variant) -> Self {
        let constants = kernel.constants.iter();
        let constants = constants.map(|constant| (constant.name, (constant.value)(cut, given) as u32)).collect();
        // The others are the same whichever buffer the output lies in.
        let variant = Variant { one_buffer: variant.one_buffer && kernel.writes_output(), ..variant };
        Self { entry_point: kernel.entry_point, variant, tile: Tile::of(cut), constants }
    }

    /// The WGSL module of the kernel.
    pub fn module(&self, kernel: &Kernel) -> String {
        let pieces = kernel.pieces(self.tile);
        let mut module = compose::module(kernel.source, &pieces, &self.constants, self.variant.vectors);
        for &(operand, access) in &kernel.bindings {
            let declared = kernel.declared_access(operand, access, self.variant.one_buffer);
            if let (Operand::Tensor(tensor), true) = (operand, declared != access) {
                let name = tensor.name();
                let read = format!("var<storage, read> {name}:");
                module = module.replace(&read, &format!("var<storage, read_write> {name}:"));
            }
        }
        module
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Method, Result, Shape};

    #[test]
    fn vectors_need_widths_strides_and_offsets_of_four_elements() -> Result<()> {
        let problem = |width, value_width| {
            Problem::new(Shape { value_width, ..Shape::self_attention(1, 1, 10, width) }, Method::Exact)
        };
        let of = |width, value_width, offset| {
            Ok(Variant::decide(&problem(width, value_width)?, [0, 16, offset, 32], false).vectors)
        };
        assert!(of(8, 4, 48)?);
        assert!(!of(7, 4, 48)? && !of(8, 5, 48)? && !of(8, 4, 8)?);
        let strided = |row| {
            let strides = Strides::new(0, 0, row);
            Ok(Variant::decide(&problem(8, 8)?.with_input_strides(strides, strides, strides)?, [0; 4], false).vectors)
        };
        assert!(strided(12)? && !strided(13)?);
        Ok(())
    }
}
