//! The one inner loop of the CPU back end: a product with sixteen columns held in SIMD registers.
//!
//! A *panel* is a row of [`LANES`] floats, one for each of sixteen queries (or keys, or value columns). Rows of the other operand are
//! broadcast against it, six at a time, so that twelve 8-wide accumulators stay in registers: per step 12 fused multiply-adds for 2
//! panel loads and 6 broadcasts. AVX2 with FMA, NEON, WebAssembly SIMD or scalar code is chosen at run time by `pulp`.

use pulp::{Arch, Simd, WithSimd};

/// Columns of a panel.
pub(crate) const LANES: usize = 16;

/// One row of a panel.
pub(crate) type Panel = [f32; LANES];

const ROWS: usize = 6;

/// `out[r][lane] = sum_j rows[r * stride + j] * panel[j][lane]` for each row `r` of `out`.
pub(crate) fn dot_rows(rows: &[f32], stride: usize, panel: &[Panel], out: &mut [Panel]) {
    Arch::new().dispatch(DotRows { rows, stride, panel, out });
}

/// `out[r][lane] += sum_j rows[j * stride + r] * panel[j][lane]` for each row `r` of `out`.
pub(crate) fn add_outer(rows: &[f32], stride: usize, panel: &[Panel], out: &mut [Panel]) {
    Arch::new().dispatch(AddOuter { rows, stride, panel, out });
}

struct DotRows<'a> {
    rows: &'a [f32],
    stride: usize,
    panel: &'a [Panel],
    out: &'a mut [Panel],
}

impl WithSimd for DotRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let row = |r: usize| &self.rows[r * self.stride..][..self.panel.len()];
        let full = self.out.len() / ROWS * ROWS;
        let (blocks, rest) = self.out.split_at_mut(full);
        for (block, out) in blocks.chunks_exact_mut(ROWS).enumerate() {
            dot_block::<S, ROWS>(simd, std::array::from_fn(|i| row(block * ROWS + i)), self.panel, out);
        }
        for (i, out) in rest.iter_mut().enumerate() {
            dot_block::<S, 1>(simd, [row(full + i)], self.panel, std::slice::from_mut(out));
        }
    }
}

#[inline(always)]
fn dot_block<S: Simd, const R: usize>(simd: S, rows: [&[f32]; R], panel: &[Panel], out: &mut [Panel]) {
    let depth = panel.len();
    let rows = rows.map(|row| &row[..depth]);
    if 2 * S::F32_LANES > LANES {
        // Vectors as wide as a panel: the compiler uses them by itself.
        for (out, row) in out.iter_mut().zip(rows) {
            *out = [0.0; LANES];
            for (columns, &factor) in panel.iter().zip(row) {
                add_scaled(out, columns, factor);
            }
        }
        return;
    }
    for pair in 0..LANES / (2 * S::F32_LANES) {
        let mut sums = [[simd.splat_f32s(0.0); 2]; R];
        for j in 0..depth {
            let columns = pair_of::<S>(&panel[j], pair);
            for (sum, row) in sums.iter_mut().zip(&rows) {
                let factor = simd.splat_f32s(row[j]);
                sum[0] = simd.mul_add_e_f32s(factor, columns[0], sum[0]);
                sum[1] = simd.mul_add_e_f32s(factor, columns[1], sum[1]);
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            S::as_mut_simd_f32s(out).0[2 * pair..][..2].copy_from_slice(&sum);
        }
    }
}

struct AddOuter<'a> {
    rows: &'a [f32],
    stride: usize,
    panel: &'a [Panel],
    out: &'a mut [Panel],
}

impl WithSimd for AddOuter<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let full = self.out.len() / ROWS * ROWS;
        let (blocks, rest) = self.out.split_at_mut(full);
        for (block, out) in blocks.chunks_exact_mut(ROWS).enumerate() {
            outer_block::<S, ROWS>(simd, &self.rows[block * ROWS..], self.stride, self.panel, out);
        }
        for (i, out) in rest.iter_mut().enumerate() {
            outer_block::<S, 1>(simd, &self.rows[full + i..], self.stride, self.panel, std::slice::from_mut(out));
        }
    }
}

#[inline(always)]
fn outer_block<S: Simd, const R: usize>(simd: S, rows: &[f32], stride: usize, panel: &[Panel], out: &mut [Panel]) {
    if 2 * S::F32_LANES > LANES {
        for (row, columns) in rows.chunks(stride).zip(panel) {
            for (out, &factor) in out.iter_mut().zip(&row[..R]) {
                add_scaled(out, columns, factor);
            }
        }
        return;
    }
    for pair in 0..LANES / (2 * S::F32_LANES) {
        let mut sums = [[simd.splat_f32s(0.0); 2]; R];
        for (sum, out) in sums.iter_mut().zip(out.iter()) {
            *sum = pair_of::<S>(out, pair);
        }
        for (row, panel) in rows.chunks(stride).zip(panel) {
            let columns = pair_of::<S>(panel, pair);
            for (sum, &factor) in sums.iter_mut().zip(&row[..R]) {
                let factor = simd.splat_f32s(factor);
                sum[0] = simd.mul_add_e_f32s(factor, columns[0], sum[0]);
                sum[1] = simd.mul_add_e_f32s(factor, columns[1], sum[1]);
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            S::as_mut_simd_f32s(out).0[2 * pair..][..2].copy_from_slice(&sum);
        }
    }
}

#[inline(always)]
fn add_scaled(out: &mut Panel, columns: &Panel, factor: f32) {
    for (out, &column) in out.iter_mut().zip(columns) {
        *out += factor * column;
    }
}

#[inline(always)]
fn pair_of<S: Simd>(panel: &Panel, pair: usize) -> [S::f32s; 2] {
    let vectors = S::as_simd_f32s(panel).0;
    [vectors[2 * pair], vectors[2 * pair + 1]]
}

/// Writes a row of a matrix into one lane of a panel.
#[inline]
pub(crate) fn set_lane(panel: &mut [Panel], lane: usize, row: &[f32]) {
    for (column, &value) in panel.iter_mut().zip(row) {
        column[lane] = value;
    }
}

/// Packs up to sixteen rows into the lanes of a panel; lanes without a row hold zeros.
pub(crate) fn pack<'a>(panel: &mut [Panel], rows: impl Iterator<Item = &'a [f32]>) {
    let mut count = 0;
    for row in rows.take(LANES) {
        set_lane(panel, count, row);
        count += 1;
    }
    if count < LANES {
        for column in panel.iter_mut() {
            column[count..].fill(0.0);
        }
    }
}

/// `exp(x)` for `x <= 0`, lane by lane; relative error below 2e-7, exactly 1 at 0 and 0 below -87.3.
///
/// Cephes' `expf`: `2^n` times a polynomial of the rest, with `n` read from the bits of a sum with 1.5 * 2^23.
#[inline(always)]
pub(crate) fn exp_panel(values: &mut Panel) {
    const MAGIC: f32 = 12_582_912.0;
    for value in values.iter_mut() {
        let x = *value;
        let shifted = x.max(-87.3) * std::f32::consts::LOG2_E + MAGIC;
        let n = shifted - MAGIC;
        let rest = x.max(-87.3) - n * 0.693_359_4 - n * -2.121_944_4e-4;
        let mut polynomial = 1.987_569_1e-4;
        polynomial = polynomial * rest + 1.398_2e-3;
        polynomial = polynomial * rest + 8.333_452e-3;
        polynomial = polynomial * rest + 4.166_579_6e-2;
        polynomial = polynomial * rest + 1.666_666_5e-1;
        polynomial = polynomial * rest + 5e-1;
        let fraction = polynomial * rest * rest + rest + 1.0;
        let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
        *value = if x < -87.3 { 0.0 } else { fraction * power };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        (0..count as u64).map(|i| crate::random::normal(seed, crate::random::Stream::Rows, i)).collect()
    }

    #[test]
    fn products_equal_plain_loops() {
        for (count, depth) in [(1, 1), (6, 5), (13, 8), (40, 33)] {
            let stride = depth.max(count) + 3;
            let rows = numbers(count.max(depth) * stride, 1);
            let panel: Vec<Panel> =
                numbers(depth * LANES, 2).chunks(LANES).map(|c| c.try_into().expect("16 lanes")).collect();
            let mut dots = vec![[0.5; LANES]; count];
            dot_rows(&rows, stride, &panel, &mut dots);
            let mut outer = vec![[0.5; LANES]; count];
            add_outer(&rows, stride, &panel, &mut outer);
            for r in 0..count {
                for lane in 0..LANES {
                    let dot: f32 = (0..depth).map(|j| rows[r * stride + j] * panel[j][lane]).sum();
                    assert!((dots[r][lane] - dot).abs() < 1e-4);
                    let sum: f32 = (0..depth).map(|j| rows[j * stride + r] * panel[j][lane]).sum();
                    assert!((outer[r][lane] - 0.5 - sum).abs() < 1e-4);
                }
            }
        }
    }

    #[test]
    fn exponential_is_accurate() {
        for step in 0..8800 {
            let x = -(step as f32) * 0.01;
            let mut panel = [x; LANES];
            exp_panel(&mut panel);
            let truth = (x as f64).exp();
            if x >= -87.3 {
                assert!(((panel[3] as f64 - truth) / truth).abs() < 2e-7, "{x}: {} {truth}", panel[3]);
            } else {
                assert_eq!(panel[3], 0.0);
            }
        }
        for x in [0.0, -0.0] {
            let mut panel = [x; LANES];
            exp_panel(&mut panel);
            assert_eq!(panel, [1.0; LANES]);
        }
        for x in [f32::NEG_INFINITY, f32::MIN] {
            let mut panel = [x; LANES];
            exp_panel(&mut panel);
            assert_eq!(panel, [0.0; LANES]);
        }
    }
}
