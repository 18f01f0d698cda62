//! Ceilings of the CPU: all threads at once, SIMD chosen at run time as in the crate.

use super::{best_rate, Batches, Ceilings};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::hint::black_box;
use std::time::Duration;

/// Inner dimension of the product: a panel of two vectors stays in the first-level cache, all of both matrices in the second.
const DEPTH: usize = 256;
/// A multiple of all numbers of rows that are in registers.
const ROWS: usize = 96;
/// A multiple of all numbers of columns that are in registers.
const COLUMNS: usize = 256;
/// Products that a thread computes in a row.
const PRODUCTS: usize = 8;
/// Floats that are copied: 128 MiB.
const COPIED: usize = 1 << 25;
/// Codes that a popcount loop compares with each of as many.
const CODES: usize = 1024;

/// Short, so that some are disturbed by nothing on a machine that does other things too.
const BATCHES: Batches = Batches { seconds: 0.001, count: 200, rest: Duration::from_millis(4) };

/// A copy takes a while by itself.
const COPY_BATCHES: Batches = Batches { seconds: 0.0, count: 20, rest: Duration::from_millis(20) };

/// Measures the three ceilings.
pub fn measure() -> Ceilings {
    let threads = rayon::current_num_threads() as f64;
    let flops = threads * (PRODUCTS * 2 * ROWS * COLUMNS * DEPTH) as f64;
    let (left, right) = (vec![0.5; ROWS * DEPTH], vec![0.25; COLUMNS * DEPTH]);
    let product_gflop_per_second = best_rate(&BATCHES, flops, |times| {
        rayon::broadcast(|_| {
            let mut product = vec![0.0; ROWS * COLUMNS];
            for _ in 0..times * PRODUCTS {
                Arch::new().dispatch(Product {
                    left: black_box(&left),
                    right: black_box(&right),
                    product: black_box(&mut product),
                });
            }
        });
    });

    let source = vec![1.0f32; COPIED];
    let mut target = vec![0.0f32; COPIED];
    let share = COPIED.div_ceil(rayon::current_num_threads());
    let copy_gbyte_per_second = best_rate(&COPY_BATCHES, (2 * 4 * COPIED) as f64, |times| {
        for _ in 0..times {
            let shares = target.par_chunks_mut(share).zip(source.par_chunks(share));
            shares.for_each(|(target, source)| target.copy_from_slice(black_box(source)));
        }
    });

    // A word of 64 bits counts as two.
    let codes: Vec<u64> = (0..CODES as u64).map(|code| code.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    let popcount_gop_per_second = best_rate(&BATCHES, threads * (3 * 2 * CODES * CODES) as f64, |times| {
        rayon::broadcast(|_| {
            for _ in 0..times {
                black_box(Arch::new().dispatch(Distances { codes: black_box(&codes) }));
            }
        });
    });
    Ceilings {
        product_gflop_per_second,
        product_kernel: instructions(),
        copy_gbyte_per_second,
        popcount_gop_per_second,
    }
}

/// The set of instructions in use by its name in `pulp`, such as `V3` for AVX2 with FMA.
fn instructions() -> String {
    let name = format!("{:?}", Arch::new());
    format!("SIMD {}", name.split('(').next().unwrap_or_default())
}

/// A product of packed matrices: `left` in blocks `[DEPTH][rows]`, `right` in panels `[DEPTH][columns]`.
struct Product<'a> {
    left: &'a [f32],
    right: &'a [f32],
    product: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 {
            self.with_rows::<S, 12>(simd);
        } else {
            self.with_rows::<S, 6>(simd);
        }
    }
}

impl Product<'_> {
    /// Twice `R` accumulators, enough to keep the units for multiply-adds busy, beside two vectors and a broadcast factor.
    #[inline(always)]
    fn with_rows<S: Simd, const R: usize>(self, simd: S) {
        let columns = 2 * S::F32_LANES;
        let mut blocks = self.product.chunks_exact_mut(R * columns);
        for panel in self.right.chunks_exact(DEPTH * columns) {
            let (vectors, _) = S::as_simd_f32s(panel);
            for rows in self.left.chunks_exact(DEPTH * R) {
                let mut sums = [[simd.splat_f32s(0.0); 2]; R];
                for (pair, factors) in vectors.chunks_exact(2).zip(rows.chunks_exact(R)) {
                    for (sum, &factor) in sums.iter_mut().zip(factors) {
                        let factor = simd.splat_f32s(factor);
                        sum[0] = simd.mul_add_e_f32s(factor, pair[0], sum[0]);
                        sum[1] = simd.mul_add_e_f32s(factor, pair[1], sum[1]);
                    }
                }
                let Some(block) = blocks.next() else { return };
                let (block, _) = S::as_mut_simd_f32s(block);
                for (target, sum) in block.chunks_exact_mut(2).zip(sums) {
                    target.copy_from_slice(&sum);
                }
            }
        }
    }
}

/// Hamming distances of all codes to all codes, summed.
struct Distances<'a> {
    codes: &'a [u64],
}

impl WithSimd for Distances<'_> {
    type Output = u64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> u64 {
        let to = |query: &u64| self.codes.iter().map(|code| u64::from((code ^ query).count_ones())).sum::<u64>();
        self.codes.iter().map(to).sum()
    }
}
