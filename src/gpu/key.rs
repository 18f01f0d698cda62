//! What a kernel is compiled for: decided by pure functions, and the key of what was compiled.

use super::compose;
use super::kernels::{Kernel, Operand};
use crate::stages::{Cut, Given};
use crate::Shape;

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
    pub fn decide(shape: &Shape, offsets: impl IntoIterator<Item = u64>, one_buffer: bool) -> Self {
        let vectors = shape.width.is_multiple_of(4)
            && shape.value_width.is_multiple_of(4)
            && offsets.into_iter().all(|offset| offset.is_multiple_of(16));
        Self { vectors, one_buffer }
    }
}

/// A kernel as it is compiled: the same key, the same code.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct KernelKey {
    pub entry_point: &'static str,
    pub variant: Variant,
    /// Constants that the kernel names, and their values.
    pub constants: Vec<(&'static str, u32)>,
}

impl KernelKey {
    /// A kernel for the sizes of a plan.
    pub fn new(kernel: &Kernel, cut: &Cut, given: Given, variant: Variant) -> Self {
        let constants = kernel.constants.iter().map(|&name| (name, value(name, cut, given) as u32)).collect();
        Self { entry_point: kernel.entry_point, variant, constants }
    }

    /// The WGSL module of the kernel.
    pub fn module(&self, kernel: &Kernel) -> String {
        let mut module = compose::module(kernel.source, &kernel.pieces, &self.constants, self.variant.vectors);
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

/// A constant's value. Widths and numbers of clusters compile in, lengths and offsets do not, so that pipelines are few.
fn value(constant: &str, cut: &Cut, given: Given) -> usize {
    match constant {
        "WIDTH_VECTORS" | "queries_VECTORS" | "keys_VECTORS" => cut.width4,
        "VALUE_VECTORS" | "values_VECTORS" | "output_VECTORS" => cut.value_width4,
        "queries_WIDTH" | "keys_WIDTH" => cut.shape.width,
        "values_WIDTH" | "output_WIDTH" => cut.shape.value_width,
        "WIDTH_PARTS" => cut.width_parts,
        "QUERY_REGISTERS" => cut.query_registers,
        "VALUE_PARTS" => cut.value_parts,
        "VALUE_REGISTERS" => cut.value_registers,
        "WORDS" => cut.words,
        "VOTE_CLUSTERS" => cut.vote_clusters,
        "LOGIT_CLUSTERS" => cut.logit_clusters,
        "REMAINDER_CLUSTERS" => cut.remainder_clusters,
        "PACKED" => usize::from(cut.refine_packed),
        "HIDES" => usize::from(cut.visible.hides()),
        "PLACED" => usize::from(given.placed),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_need_widths_and_offsets_of_four_elements() {
        let of = |width, value_width, offset| {
            let shape = Shape { value_width, ..Shape::self_attention(1, 1, 10, width) };
            Variant::decide(&shape, [0, 16, offset, 32], false).vectors
        };
        assert!(of(8, 4, 48));
        assert!(!of(7, 4, 48) && !of(8, 5, 48) && !of(8, 4, 8));
    }
}
