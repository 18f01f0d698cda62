//! The two inner loops of the CPU back end: products with sixteen columns held in SIMD registers.
//!
//! A *panel* is a row of [`LANES`] floats, one for each of sixteen queries (or keys, or clusters). Rows of the other operand are
//! broadcast, up to six at a time, so that twelve accumulators of two vectors a row stay in registers: per step 12 fused multiply-adds for
//! 2 loads of columns and 6 broadcasts. Where a vector is as wide as a panel (AVX-512), sixteen rows of one vector each. AVX-512, AVX2 with
//! FMA, NEON, WebAssembly SIMD or scalar code is chosen at run time by `pulp`.

use pulp::{Arch, Simd, WithSimd};

/// Columns of a panel.
pub(crate) const LANES: usize = 16;

/// One row of a panel.
pub(crate) type Panel = [f32; LANES];

/// Rows that a block of registers holds, of two vectors each.
const ROWS: usize = 6;
/// The same of vectors as wide as a panel.
const WIDE_ROWS: usize = 16;
/// Rows of a last, incomplete group of columns that are copied together.
const TAIL_ROWS: usize = 32;

/// Floats of a row that [`add_weighted`] can write: `width` rounded up to whole panels.
pub(crate) fn padded(width: usize) -> usize {
    width.next_multiple_of(LANES)
}

/// `out[r][lane] = sum_j rows[r * stride + j] * panel[j][lane]` for each row `r` of `out`.
pub(crate) fn dot_rows(rows: &[f32], stride: usize, panel: &[Panel], out: &mut [Panel]) {
    Arch::new().dispatch(DotRows { rows, stride, panel, out });
}

/// `out[r][m] += sum_j weights[j][r] * values[j * stride + m]` for `r < rows` and `m < width`; rows of `out` are [`padded`], and what is
/// behind `width` is of no meaning.
pub(crate) fn add_weighted(
    weights: &[Panel],
    rows: usize,
    values: &[f32],
    stride: usize,
    width: usize,
    out: &mut [f32],
) {
    add_weighted_runs(&[Run { weights, values }], rows, stride, width, out);
}

/// Values that lie together, and their weights.
#[derive(Clone, Copy, Default)]
pub(crate) struct Run<'a> {
    pub weights: &'a [Panel],
    pub values: &'a [f32],
}

/// [`add_weighted`] of several runs: the sums stay in registers from one to the next, but for what is behind the last whole panel of columns.
pub(crate) fn add_weighted_runs(runs: &[Run], rows: usize, stride: usize, width: usize, out: &mut [f32]) {
    Arch::new().dispatch(AddWeighted { runs, rows, stride, width, out });
}

/// Rows of a block with the vectors of `S`.
const fn block_rows<S: Simd>() -> usize {
    if S::F32_LANES == LANES {
        WIDE_ROWS
    } else {
        ROWS
    }
}

/// Calls `$block::<S, R, V>` with the constant `R` that equals a number of rows, so that incomplete blocks are as fast as whole ones, and
/// the `V` vectors of a row that are in registers together.
macro_rules! with_rows {
    ($rows:expr, $block:ident $arguments:tt) => {
        if S::F32_LANES == LANES {
            with_rows!($rows, $block::<WIDE_ROWS, 1> $arguments, 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
        } else {
            with_rows!($rows, $block::<ROWS, 2> $arguments, 1 2 3 4 5)
        }
    };
    ($rows:expr, $block:ident::<$most:ident, $vectors:literal> $arguments:tt, $($fewer:literal)*) => {
        match $rows {
            $($fewer => $block::<S, $fewer, $vectors> $arguments,)*
            _ => $block::<S, $most, $vectors> $arguments,
        }
    };
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
        // Even blocks: a last one of few rows would take nearly as long as a whole one.
        let count = self.out.len().max(1);
        let block_rows = count.div_ceil(count.div_ceil(block_rows::<S>()));
        for (block, out) in self.out.chunks_mut(block_rows).enumerate() {
            let rows = &self.rows[block * block_rows * self.stride..];
            with_rows!(out.len(), dot_block(simd, rows, self.stride, self.panel, out));
        }
    }
}

#[inline(always)]
fn dot_block<S: Simd, const R: usize, const V: usize>(
    simd: S,
    rows: &[f32],
    stride: usize,
    panel: &[Panel],
    out: &mut [Panel],
) {
    let depth = panel.len();
    let rows: [&[f32]; R] = std::array::from_fn(|r| &rows[r * stride..][..depth]);
    for part in 0..LANES / (V * S::F32_LANES) {
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        for j in 0..depth {
            let columns = vectors_of::<S, V>(&panel[j], part);
            for (sum, row) in sums.iter_mut().zip(&rows) {
                let factor = simd.splat_f32s(row[j]);
                for (sum, columns) in sum.iter_mut().zip(columns) {
                    *sum = simd.mul_add_e_f32s(factor, columns, *sum);
                }
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            S::as_mut_simd_f32s(out).0[V * part..][..V].copy_from_slice(&sum);
        }
    }
}

struct AddWeighted<'a> {
    runs: &'a [Run<'a>],
    rows: usize,
    stride: usize,
    width: usize,
    out: &'a mut [f32],
}

impl WithSimd for AddWeighted<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { runs, rows, stride, width, out } = self;
        let out_stride = padded(width);
        let whole = width / LANES * LANES;
        for column in (0..whole).step_by(LANES) {
            weighted_columns(simd, runs, rows, column, stride, &mut out[column..], out_stride);
        }
        if whole < width {
            // Behind a row there may be nothing to read.
            let mut tail = [[0.0; LANES]; TAIL_ROWS];
            for Run { weights, values } in runs {
                for (block, weights) in weights.chunks(TAIL_ROWS).enumerate() {
                    for (j, columns) in tail[..weights.len()].iter_mut().enumerate() {
                        let row = &values[(block * TAIL_ROWS + j) * stride..][whole..width];
                        columns[..width - whole].copy_from_slice(row);
                    }
                    let run = Run { weights, values: tail.as_flattened() };
                    weighted_columns(simd, &[run], rows, 0, LANES, &mut out[whole..], out_stride);
                }
            }
        }
    }
}

/// Sixteen columns of values, from one on, for all rows.
#[inline(always)]
fn weighted_columns<S: Simd>(
    simd: S,
    runs: &[Run],
    rows: usize,
    column: usize,
    stride: usize,
    out: &mut [f32],
    out_stride: usize,
) {
    for first in (0..rows).step_by(block_rows::<S>()) {
        let out = &mut out[first * out_stride..];
        with_rows!(rows - first, weighted_block(simd, runs, first, column, stride, out, out_stride));
    }
}

#[inline(always)]
fn weighted_block<S: Simd, const R: usize, const V: usize>(
    simd: S,
    runs: &[Run],
    first: usize,
    column: usize,
    stride: usize,
    out: &mut [f32],
    out_stride: usize,
) {
    for part in 0..LANES / (V * S::F32_LANES) {
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        for (r, sum) in sums.iter_mut().enumerate() {
            *sum = vectors_of::<S, V>(panel_ref(&out[r * out_stride..]), part);
        }
        for Run { weights, values } in runs {
            for (weights, columns) in weights.iter().zip(values[column..].chunks(stride)) {
                let columns = vectors_of::<S, V>(panel_ref(columns), part);
                for (sum, &weight) in sums.iter_mut().zip(&weights[first..][..R]) {
                    let weight = simd.splat_f32s(weight);
                    for (sum, columns) in sum.iter_mut().zip(columns) {
                        *sum = simd.mul_add_e_f32s(weight, columns, *sum);
                    }
                }
            }
        }
        for (r, sum) in sums.into_iter().enumerate() {
            let out = panel_mut(&mut out[r * out_stride..]);
            S::as_mut_simd_f32s(out).0[V * part..][..V].copy_from_slice(&sum);
        }
    }
}

#[inline(always)]
fn panel_ref(row: &[f32]) -> &Panel {
    let (panel, _) = row.split_first_chunk().expect("a whole panel");
    panel
}

#[inline(always)]
fn panel_mut(row: &mut [f32]) -> &mut Panel {
    let (panel, _) = row.split_first_chunk_mut().expect("a whole panel");
    panel
}

#[inline(always)]
fn vectors_of<S: Simd, const V: usize>(panel: &Panel, part: usize) -> [S::f32s; V] {
    let (vectors, _) = S::as_simd_f32s(panel).0[V * part..].split_first_chunk().expect("whole vectors");
    *vectors
}

/// Packs up to sixteen rows into the lanes of a panel; lanes without a row hold zeros.
pub(crate) fn pack<'a>(panel: &mut [Panel], mut rows: impl Iterator<Item = &'a [f32]>) {
    let width = panel.len();
    let whole = width / 4 * 4;
    // Squares of four rows and four columns stay in registers.
    for first in (0..LANES).step_by(4) {
        let Some(row) = rows.next() else {
            panel.iter_mut().for_each(|columns| columns[first..].fill(0.0));
            return;
        };
        let more: [Option<&[f32]>; 3] = std::array::from_fn(|_| rows.next());
        if let [Some(second), Some(third), Some(fourth)] = more {
            let (a, b, c, d) = (&row[..width], &second[..width], &third[..width], &fourth[..width]);
            let squares = a.chunks_exact(4).zip(b.chunks_exact(4)).zip(c.chunks_exact(4)).zip(d.chunks_exact(4));
            for (columns, (((a, b), c), d)) in panel.chunks_exact_mut(4).zip(squares) {
                let lanes = transpose([square_row(a), square_row(b), square_row(c), square_row(d)]);
                for (columns, lanes) in columns.iter_mut().zip(lanes) {
                    columns[first..first + 4].copy_from_slice(&lanes);
                }
            }
            for j in whole..width {
                panel[j][first..first + 4].copy_from_slice(&[a[j], b[j], c[j], d[j]]);
            }
        } else {
            for (column, columns) in panel.iter_mut().enumerate() {
                columns[first..].fill(0.0);
                columns[first] = row[column];
                for (slot, row) in columns[first + 1..].iter_mut().zip(more.iter().flatten()) {
                    *slot = row[column];
                }
            }
            return;
        }
    }
}

/// Columns of up to sixteen panels: lane `l` of panel `j` becomes lane `j` of panel `l`.
pub(crate) fn columns(panels: &[Panel]) -> [Panel; LANES] {
    let mut columns = [[0.0; LANES]; LANES];
    pack(&mut columns, panels.iter().map(|panel| panel.as_slice()));
    columns
}

/// Copies as many lanes as there is room for, at most all.
#[inline(always)]
pub(crate) fn store_lanes(lanes: &Panel, room: &mut [f32]) {
    // A copy of a known size is no call.
    match room.first_chunk_mut() {
        Some(whole) => *whole = *lanes,
        None => room.copy_from_slice(&lanes[..room.len()]),
    }
}

#[inline(always)]
fn square_row(row: &[f32]) -> [f32; 4] {
    [row[0], row[1], row[2], row[3]]
}

/// Columns of four rows. Of plain assignments the compiler makes sixteen loads and stores, so the shuffles are named where they are
/// always there.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn transpose(rows: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    use std::arch::x86_64::__m128;
    let Some(sse) = pulp::core_arch::x86::Sse::try_new() else { return transpose_plainly(rows) };
    let [a, b, c, d]: [__m128; 4] = bytemuck::cast(rows);
    let (ab_low, ab_high) = (sse._mm_unpacklo_ps(a, b), sse._mm_unpackhi_ps(a, b));
    let (cd_low, cd_high) = (sse._mm_unpacklo_ps(c, d), sse._mm_unpackhi_ps(c, d));
    bytemuck::cast([
        sse._mm_movelh_ps(ab_low, cd_low),
        sse._mm_movehl_ps(cd_low, ab_low),
        sse._mm_movelh_ps(ab_high, cd_high),
        sse._mm_movehl_ps(cd_high, ab_high),
    ])
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn transpose(rows: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    transpose_plainly(rows)
}

#[inline(always)]
fn transpose_plainly([a, b, c, d]: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    [[a[0], b[0], c[0], d[0]], [a[1], b[1], c[1], d[1]], [a[2], b[2], c[2], d[2]], [a[3], b[3], c[3], d[3]]]
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
            for r in 0..count {
                for lane in 0..LANES {
                    let dot: f32 = (0..depth).map(|j| rows[r * stride + j] * panel[j][lane]).sum();
                    assert!((dots[r][lane] - dot).abs() < 1e-4);
                }
            }
        }
    }

    #[test]
    fn weighted_sums_equal_plain_loops() {
        for (rows, count, width) in [(1, 1, 1), (5, 33, 16), (9, 48, 37), (16, 7, 64), (13, 65, 31)] {
            let stride = width + 3;
            // The last row ends with the slice: nothing behind it may be read.
            let values = numbers((count - 1) * stride + width, 3);
            let weights: Vec<Panel> =
                numbers(count * LANES, 4).chunks(LANES).map(|c| c.try_into().expect("16 lanes")).collect();
            let mut out = vec![0.5; rows * padded(width)];
            add_weighted(&weights, rows, &values, stride, width, &mut out);
            for r in 0..rows {
                for m in 0..width {
                    let sum: f32 = (0..count).map(|j| weights[j][r] * values[j * stride + m]).sum();
                    assert!((out[r * padded(width) + m] - 0.5 - sum).abs() < 1e-4, "{rows} {count} {width}");
                }
            }
        }
    }

    #[test]
    fn packing_transposes() {
        for (count, width) in [(0, 3), (1, 5), (4, 4), (6, 9), (15, 2), (16, 64), (16, 7)] {
            let rows = numbers(count * width, 5);
            let mut panel = vec![[7.0; LANES]; width];
            pack(&mut panel, rows.chunks(width));
            for (column, lanes) in panel.iter().enumerate() {
                for (lane, &value) in lanes.iter().enumerate() {
                    assert_eq!(value, if lane < count { rows[lane * width + column] } else { 0.0 });
                }
            }
        }
    }
}
