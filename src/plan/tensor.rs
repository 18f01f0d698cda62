//! The tensors of a call, and what a chunk touches of them.

use super::Chunk;
use crate::Problem;

/// The four tensors of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Tensor {
    Queries,
    Keys,
    Values,
    Output,
}

impl Tensor {
    pub const ALL: [Self; 4] = [Self::Queries, Self::Keys, Self::Values, Self::Output];

    pub fn name(self) -> &'static str {
        match self {
            Self::Queries => "queries",
            Self::Keys => "keys",
            Self::Values => "values",
            Self::Output => "output",
        }
    }

    /// Elements from the first of the tensor to the last.
    #[cfg(feature = "gpu")]
    pub fn elements(self, problem: &Problem) -> usize {
        match self {
            Self::Queries => problem.query_elements(),
            Self::Keys => problem.key_elements(),
            Self::Values => problem.value_elements(),
            Self::Output => problem.shape().output_elements(),
        }
    }

    /// First element and number of elements that a chunk touches.
    pub fn span(self, problem: &Problem, chunk: &Chunk) -> (usize, usize) {
        let shape = problem.shape();
        let group = shape.group_size();
        let key_heads = chunk.heads.start / group..(chunk.heads.end - 1) / group + 1;
        let (strides, heads, length, width) = match self {
            Self::Queries => (problem.query_strides(), chunk.heads.clone(), shape.queries, shape.width),
            Self::Keys => (problem.key_strides(), key_heads, shape.keys, shape.width),
            Self::Values => (problem.value_strides(), key_heads, shape.keys, shape.value_width),
            Self::Output => (problem.output_strides(), chunk.heads.clone(), shape.queries, shape.value_width),
        };
        let begin = strides.offset(chunk.batches.start, heads.start, 0);
        let end = strides.offset(chunk.batches.end - 1, heads.end - 1, length - 1) + width;
        (begin, end - begin)
    }
}
