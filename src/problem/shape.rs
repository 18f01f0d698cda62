//! Sizes of the tensors and how they lie in memory.

use crate::{Error, Result};

/// Sizes of one attention call, named as in `docs/method.md`.
///
/// Queries are `[batch, query_heads, queries, width]`, keys `[batch, key_heads, keys, width]`, values
/// `[batch, key_heads, keys, value_width]` and the output `[batch, query_heads, queries, value_width]`.
/// Query head `h` reads key/value head `h / (query_heads / key_heads)` (grouped-query attention).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Shape {
    /// Sequences (`N`).
    pub batch: usize,
    /// Query heads (`H`), a multiple of `key_heads`.
    pub query_heads: usize,
    /// Key/value heads (`H'`).
    pub key_heads: usize,
    /// Queries of a head (`L`).
    pub queries: usize,
    /// Keys of a head (`S`).
    pub keys: usize,
    /// Width of a query or key (`E`), at most [`Shape::MAX_WIDTH`].
    pub width: usize,
    /// Width of a value (`M`), at most [`Shape::MAX_WIDTH`].
    pub value_width: usize,
}

impl Shape {
    /// The largest supported `width` and `value_width`.
    pub const MAX_WIDTH: usize = 256;

    /// Self-attention: `length` queries and keys, one key head a query head, values as wide as keys.
    pub fn self_attention(batch: usize, heads: usize, length: usize, width: usize) -> Self {
        Self { batch, query_heads: heads, key_heads: heads, queries: length, keys: length, width, value_width: width }
    }

    /// The same with so many sequences.
    pub fn with_batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// The same with so many query heads; key heads stay as they are.
    pub fn with_query_heads(self, query_heads: usize) -> Self {
        Self { query_heads, ..self }
    }

    /// The same with so many key/value heads, which query heads share.
    pub fn with_key_heads(self, key_heads: usize) -> Self {
        Self { key_heads, ..self }
    }

    /// The same with so many queries a head.
    pub fn with_queries(self, queries: usize) -> Self {
        Self { queries, ..self }
    }

    /// The same with so many keys a head.
    pub fn with_keys(self, keys: usize) -> Self {
        Self { keys, ..self }
    }

    /// The same with so many columns of queries and keys.
    pub fn with_width(self, width: usize) -> Self {
        Self { width, ..self }
    }

    /// The same with so many columns of values.
    pub fn with_value_width(self, value_width: usize) -> Self {
        Self { value_width, ..self }
    }

    /// Slices (`N * H`): independent pieces of attention, one for a sequence and query head.
    pub fn slices(&self) -> usize {
        self.batch * self.query_heads
    }

    /// Elements of the query tensor.
    pub fn query_elements(&self) -> usize {
        self.slices() * self.queries * self.width
    }

    /// Elements of the key tensor.
    pub fn key_elements(&self) -> usize {
        self.batch * self.key_heads * self.keys * self.width
    }

    /// Elements of the value tensor.
    pub fn value_elements(&self) -> usize {
        self.batch * self.key_heads * self.keys * self.value_width
    }

    /// Elements of the output tensor.
    pub fn output_elements(&self) -> usize {
        self.slices() * self.queries * self.value_width
    }

    /// Query heads that share one key/value head (`H / G`).
    pub fn group_size(&self) -> usize {
        self.query_heads / self.key_heads
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let at_least_one = |argument, value: usize, maximum: usize| {
            if value == 0 || value > maximum {
                return Err(Error::OutOfRange {
                    argument,
                    value: value.to_string(),
                    allowed: format!("from 1 to {maximum}"),
                });
            }
            Ok(())
        };
        // The device addresses rows and slices with 32 bits; lengths stay far enough below for sums of two.
        at_least_one("batch", self.batch, 1 << 30)?;
        at_least_one("query_heads", self.query_heads, 1 << 20)?;
        at_least_one("key_heads", self.key_heads, 1 << 20)?;
        at_least_one("queries", self.queries, 1 << 28)?;
        at_least_one("keys", self.keys, 1 << 28)?;
        at_least_one("width", self.width, Self::MAX_WIDTH)?;
        at_least_one("value_width", self.value_width, Self::MAX_WIDTH)?;
        if !self.query_heads.is_multiple_of(self.key_heads) {
            return Err(Error::HeadsNotDivisible { query_heads: self.query_heads, key_heads: self.key_heads });
        }
        let fits = |tensor, dimensions: [usize; 4]| {
            let product = dimensions.iter().try_fold(1u64, |product, &dimension| product.checked_mul(dimension as u64));
            match product {
                Some(elements) if elements < 1 << 48 && elements * 4 <= isize::MAX as u64 => Ok(()),
                _ => Err(Error::SizeOverflow { tensor, dimensions: format!("{dimensions:?}") }),
            }
        };
        fits("queries", [self.batch, self.query_heads, self.queries, self.width])?;
        fits("keys", [self.batch, self.key_heads, self.keys, self.width])?;
        fits("values", [self.batch, self.key_heads, self.keys, self.value_width])?;
        fits("output", [self.batch, self.query_heads, self.queries, self.value_width])
    }
}

/// Order of the axes of all four tensors in memory (row-major, dense).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Layout {
    /// `[batch, heads, length, width]`, as attention is usually written.
    #[default]
    HeadsFirst,
    /// `[batch, length, heads, width]`, as the projections of a model produce it.
    LengthFirst,
}

/// Distances, in elements, between neighbours along the outer axes of a tensor; the elements of a row are neighbours in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Strides {
    /// From a sequence to the next; 0 where all are the same.
    pub batch: usize,
    /// From a head to the next; 0 where all are the same.
    pub head: usize,
    /// From a row to the next, at least its width.
    pub row: usize,
}

impl Strides {
    /// The distances between sequences, heads and rows.
    pub fn new(batch: usize, head: usize, row: usize) -> Self {
        Self { batch, head, row }
    }

    /// Those of a tensor without gaps.
    pub(crate) fn dense(layout: Layout, heads: usize, length: usize, width: usize) -> Self {
        let batch = heads * length * width;
        match layout {
            Layout::HeadsFirst => Self { batch, head: length * width, row: width },
            Layout::LengthFirst => Self { batch, head: width, row: heads * width },
        }
    }

    /// Offset of the first element of a row.
    #[inline]
    pub(crate) fn offset(&self, batch: usize, head: usize, row: usize) -> usize {
        batch * self.batch + head * self.head + row * self.row
    }
}
