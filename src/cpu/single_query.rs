//! Exact attention of a single query, whose vectors lie along its width: a tile would leave all other lanes idle.

use super::exponential::exp;
use super::panel::{Panel, LANES};
use super::tile::{inverse, LOWEST};
use super::work::Rows;
use pulp::{Arch, Simd, WithSimd};

/// Queries up to which it is faster than a tile of them.
pub(crate) const FEW: usize = 4;

/// Panels of keys whose logits are in memory together.
const PANELS: usize = 16;
/// Vectors of sums that stay in registers.
const SUMS: usize = 8;
/// Products that wait for no other.
const PRODUCTS: usize = 4;

/// Writes a query's attention to the first `count` keys. `O(count·(E+M))`.
pub(crate) fn attend(query: &[f32], scale: f32, keys: Rows, values: Rows, count: usize, output: &mut [f32]) {
    output.fill(0.0);
    let (mut maximum, mut total) = (LOWEST, 0.0);
    let mut weights = [[LOWEST; LANES]; PANELS];
    for begin in (0..count).step_by(PANELS * LANES) {
        let listed = (PANELS * LANES).min(count - begin);
        let panels = listed.div_ceil(LANES);
        let weights = weights[..panels].as_flattened_mut();
        Arch::new().dispatch(Dots {
            query,
            scale,
            keys: keys.from(begin),
            stride: keys.stride,
            out: &mut weights[..listed],
        });
        // What is behind the keys weighs nothing.
        weights[listed..].fill(LOWEST);
        let highest = weights[..listed].iter().copied().fold(maximum, f32::max);
        let factor = (maximum - highest).exp();
        maximum = highest;
        let added = Arch::new().dispatch(Weigh { weights: weights.as_chunks_mut().0, highest });
        total = total * factor + added;
        if factor != 1.0 {
            output.iter_mut().for_each(|sum| *sum *= factor);
        }
        let (values, stride) = (values.from(begin), values.stride);
        Arch::new().dispatch(AddValues { weights: &weights[..listed], values, stride, sums: output });
    }
    let factor = inverse(total);
    output.iter_mut().for_each(|sum| *sum *= factor);
}

/// Logits of a query with neighbouring keys.
struct Dots<'a> {
    query: &'a [f32],
    scale: f32,
    keys: &'a [f32],
    stride: usize,
    out: &'a mut [f32],
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { query, scale, keys, stride, out } = self;
        let (query_vectors, query_tail) = S::as_simd_f32s(query);
        for (key, out) in keys.chunks(stride).zip(out) {
            let (vectors, tail) = S::as_simd_f32s(&key[..query.len()]);
            let mut sums = [simd.splat_f32s(0.0); PRODUCTS];
            for (query, key) in query_vectors.chunks(PRODUCTS).zip(vectors.chunks(PRODUCTS)) {
                for ((sum, &query), &key) in sums.iter_mut().zip(query).zip(key) {
                    *sum = simd.mul_add_e_f32s(query, key, *sum);
                }
            }
            let pairs = simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]));
            let rest: f32 = query_tail.iter().zip(tail).map(|(query, key)| query * key).sum();
            *out = scale * (simd.reduce_sum_f32s(pairs) + rest);
        }
    }
}

/// Turns logits into weights relative to the highest, and sums them.
struct Weigh<'a> {
    weights: &'a mut [Panel],
    highest: f32,
}

impl WithSimd for Weigh<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let highest = simd.splat_f32s(self.highest);
        let mut total = simd.splat_f32s(0.0);
        for weights in S::as_mut_simd_f32s(self.weights.as_flattened_mut()).0 {
            *weights = exp(simd, simd.sub_f32s(*weights, highest));
            total = simd.add_f32s(total, *weights);
        }
        simd.reduce_sum_f32s(total)
    }
}

/// Adds the values of neighbouring keys by their weights.
struct AddValues<'a> {
    weights: &'a [f32],
    values: &'a [f32],
    stride: usize,
    sums: &'a mut [f32],
}

impl WithSimd for AddValues<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { weights, values, stride, sums } = self;
        for (block, sums) in sums.chunks_mut(SUMS * S::F32_LANES).enumerate() {
            let columns = block * SUMS * S::F32_LANES..block * SUMS * S::F32_LANES + sums.len();
            let (vectors, tail) = S::as_mut_simd_f32s(sums);
            let mut together = [simd.splat_f32s(0.0); SUMS];
            together[..vectors.len()].copy_from_slice(vectors);
            for (&weight, row) in weights.iter().zip(values.chunks(stride)) {
                let (row, row_tail) = S::as_simd_f32s(&row[columns.clone()]);
                let vector_weight = simd.splat_f32s(weight);
                for (sum, &value) in together.iter_mut().zip(row) {
                    *sum = simd.mul_add_e_f32s(vector_weight, value, *sum);
                }
                tail.iter_mut().zip(row_tail).for_each(|(sum, value)| *sum += weight * value);
            }
            vectors.copy_from_slice(&together[..vectors.len()]);
        }
    }
}
