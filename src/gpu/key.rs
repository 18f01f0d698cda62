//! What a kernel is compiled for: the key of what was compiled.

use super::compose::{self, Tile};
use super::kernels::{Kernel, Operand};
use super::variant::Variant;
use crate::stages::{Cut, Given};

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
        // The others are the same whichever buffer the output lies in, and however tensors are stored that they do not touch.
        let one_buffer = variant.one_buffer && kernel.writes_output();
        let (element, by_integers) =
            if kernel.touches_tensors() { (variant.element, variant.by_integers) } else { Default::default() };
        let variant = Variant { element, by_integers, one_buffer, ..variant };
        Self { entry_point: kernel.entry_point, variant, tile: Tile::of(cut, kernel.may_have_matrices()), constants }
    }

    /// The WGSL module of the kernel.
    pub fn module(&self, kernel: &Kernel) -> String {
        let pieces = kernel.pieces(self.tile);
        let mut module = compose::module(kernel.source, &pieces, &self.constants, self.variant, self.tile);
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
