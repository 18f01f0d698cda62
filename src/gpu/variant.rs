//! What the same kernel is compiled differently for: decided by pure functions.

use crate::limits::Limits;
use crate::{Element, Problem, Strides};

/// What the same kernel is compiled differently for, beside its constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Variant {
    /// How tensors are stored.
    pub element: Element,
    /// Rows of all tensors begin and end at multiples of four elements.
    pub vectors: bool,
    /// Halves become float32 by integer arithmetic, since the device may lack the instruction.
    pub by_integers: bool,
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
        let element = problem.element();
        let vector_bytes = element.bytes_of(4);
        let vectors = shape.width.is_multiple_of(4)
            && shape.value_width.is_multiple_of(4)
            && strides.into_iter().all(aligned)
            && offsets.into_iter().all(|offset| offset.is_multiple_of(vector_bytes));
        Self { element, vectors, by_integers: false, one_buffer }
    }

    /// The same on a target. llvmpipe without float16 refuses `unpack2x16float`; all hardware has it.
    pub fn on(self, limits: &Limits) -> Self {
        Self { by_integers: self.element == Element::F16 && limits.software, ..self }
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
        let halves =
            |offset| Ok(Variant::decide(&problem(8, 4)?.with_element(Element::F16), [0, 8, offset, 32], false).vectors);
        assert!(halves(24)? && !halves(12)? && !halves(2)?);
        Ok(())
    }
}
