//! How precise products may be.

use crate::named::by_name;

/// The precision that products of queries with keys, and of weights with values, need at least, in exact attention and in the refinement of the
/// top-k. Everything else is float32 in any case: the softmax, sums, and what finds clusters and keys.
///
/// Less than `Float32` is for GPUs with matrix units, which wgpu has as an experiment and only natively: where they were opened
/// ([`Attention::with_matrix_units`](crate::Attention::with_matrix_units), `Kernels::with_matrix_units`), they compute the products of halves.
/// The CPU and all other devices compute in float32, which is always precise enough. [`Plan::precision`](crate::Plan::precision) tells what it is.
///
/// Numbers are multiplied by powers of two before they become halves, so that none is too large for one; what is 2^29 times smaller than the
/// largest of its tile loses digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Precision {
    /// Products of float32.
    #[default]
    Float32,
    /// Products of numbers rounded to halves, 11 bits: errors of some 4e-4 of the output, more where logits are large.
    Float16Products,
    /// Products of pairs of halves, 22 bits: errors as of float32, for three products in place of one.
    Float16Pairs,
}

impl Precision {
    /// Every precision.
    pub const ALL: [Self; 3] = [Self::Float32, Self::Float16Products, Self::Float16Pairs];

    /// Its name: `float32`, `float16-products` or `float16-pairs`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16Products => "float16-products",
            Self::Float16Pairs => "float16-pairs",
        }
    }
}

by_name!(Precision, "precision");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for precision in Precision::ALL {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        assert!("f16".parse::<Precision>().is_err_and(|error| error.to_string().contains("float16-pairs")));
    }
}
