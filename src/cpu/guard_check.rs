//! The error of stitched attention on some rows of each slice, which are computed exactly. Twin of `shaders/guard_check.wgsl`.

use super::panel::LANES;
use super::tile::{Tile, LOWEST};
use super::work::Work;
use crate::parallel::{blocks, each_with};

/// What the rows of a slice tell.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Verdict {
    /// Relative error; infinite where it is not a number.
    pub error: f32,
    /// Whether that is more than is allowed.
    pub exceeds: bool,
}

/// Sets each slice's rows, computed exactly, beside the output that stitched attention left. `O(rows·S·(E+M))` a slice.
pub(crate) fn guard_check(work: &Work, rows: &[u32], parts: &mut [f32], output: &[f32], verdicts: &mut [Verdict]) {
    attend(work, rows, parts);
    let (cut, strides) = (&work.plan.cut, work.problem.output_strides());
    let (count, value_width) = (cut.guard_rows, cut.shape.value_width);
    let slice_parts = cut.guard_blocks * count * (2 + value_width);
    each_with(
        work.threads,
        blocks(verdicts, 1, 1),
        |exact: &mut Vec<f64>| exact.resize(value_width, 0.0),
        |exact, block| {
            let (slice, (batch, head)) = (block.slice, work.chunk.slice(block.slice));
            let parts = &parts[slice * slice_parts..][..slice_parts];
            let (mut difference, mut norm) = (0.0, 0.0);
            let positions = &rows[slice * count..][..count.min(work.query_length(slice))];
            for (row, &position) in positions.iter().enumerate() {
                combine(parts.chunks(2 + value_width).skip(row).step_by(count), exact);
                let actual = &output[strides.offset(batch, head, position as usize)..][..value_width];
                for (&exact, &actual) in exact.iter().zip(actual) {
                    difference += (f64::from(actual) - exact).powi(2);
                    norm += exact * exact;
                }
            }
            let error = relative(difference, norm);
            block.data[0] = Verdict { error, exceeds: error > cut.guard_tolerance };
        },
    );
}

/// `parts[slice][block][row]`: maximum, sum and weighted values of the softmax over a block of keys.
fn attend(work: &Work, rows: &[u32], parts: &mut [f32]) {
    let (cut, shape) = (&work.plan.cut, work.problem.shape());
    let (count, part) = (cut.guard_rows, 2 + shape.value_width);
    each_with(
        work.threads,
        blocks(parts, cut.guard_blocks * count * part, count * part),
        |tile: &mut Tile| tile.fit(work.problem),
        |tile, block| {
            let (queries, keys, values) = (work.queries(block.slice), work.keys(block.slice), work.values(block.slice));
            let begin = block.index * cut.guard_length;
            let listed = work.key_length(block.slice).saturating_sub(begin).min(cut.guard_length);
            let positions = &rows[block.slice * count..][..count.min(work.query_length(block.slice))];
            for (positions, parts) in positions.chunks(LANES).zip(block.data.chunks_mut(LANES * part)) {
                tile.begin(positions.iter().map(|&position| queries.row(position as usize)));
                tile.attend((keys.from(begin), keys.stride), (values.from(begin), values.stride), listed);
                for (lane, part) in parts.chunks_mut(part).take(positions.len()).enumerate() {
                    (part[0], part[1]) = (tile.maximum[lane], tile.total[lane]);
                    tile.store(lane, 1.0, &mut part[2..]);
                }
            }
        },
    );
}

/// A row of exact attention from its parts, in order; zeros without keys.
fn combine<'a>(parts: impl Iterator<Item = &'a [f32]> + Clone, exact: &mut [f64]) {
    let highest = parts.clone().fold(LOWEST, |highest, part| highest.max(part[0]));
    let mut total = 0.0;
    exact.fill(0.0);
    for part in parts {
        let factor = (f64::from(part[0]) - f64::from(highest)).exp();
        total += factor * f64::from(part[1]);
        exact.iter_mut().zip(&part[2..]).for_each(|(exact, &sum)| *exact += factor * f64::from(sum));
    }
    if total > 0.0 {
        exact.iter_mut().for_each(|exact| *exact /= total);
    }
}

/// Relative error from squared norms; NaN must not pass as a small error.
fn relative(difference: f64, norm: f64) -> f32 {
    match difference {
        0.0 => 0.0,
        _ if difference.is_nan() || norm.is_nan() => f32::INFINITY,
        _ => (difference / norm).sqrt() as f32,
    }
}
