//! How badly its group stands for each key. Twin of `shaders/key_spread.wgsl`.

use super::panel::{dot_rows, Panel, LANES};
use super::work::Work;
use crate::parallel::{blocks, each_with};

const BLOCK: usize = 16 * LANES;
/// Half the weight that the logarithm has in the selection, `λ / 2`.
const WEIGHT: f32 = 1.0;
/// Logarithm of the least `t²·d²` that counts.
const LEAST: f32 = -13.815_511;
/// Keeps the logarithm finite.
const SMALLEST: f32 = 1e-37;

/// `spread[slice][s] = λ/(2t)·ln(max(t²·d², 1e-6))`, where `d²` is the key's squared distance to its group's centre in the covariance of the
/// queries about their centroids. `O(S·E²)` a slice.
pub(crate) fn key_spread(work: &Work, key_groups: &[u32], centres: &[f32], covariances: &[f32], spread: &mut [f32]) {
    let (cut, scale) = (&work.plan.cut, work.problem.scale());
    let (width, keys) = (cut.shape.width, cut.shape.keys);
    each_with(
        work.threads,
        blocks(spread, cut.keys_padded, BLOCK),
        |(panel, products): &mut (Vec<Panel>, Vec<Panel>)| {
            panel.resize(width, [0.0; LANES]);
            products.resize(width, [0.0; LANES]);
        },
        |(panel, products), block| {
            let slice = block.slice;
            let metric = &covariances[(2 * slice + 1) * width * width..][..width * width];
            let trace: f32 = metric.iter().step_by(width + 1).sum();
            let offset = trace.max(SMALLEST).ln() + 2.0 * scale.ln();
            let rows = work.keys(slice);
            let begin = block.index * BLOCK;
            let valid = work.key_length(slice).saturating_sub(begin).min(block.data.len());
            for (tile, spread) in block.data[..valid].chunks_mut(LANES).enumerate() {
                let first = begin + tile * LANES;
                for lane in 0..spread.len() {
                    let group = key_groups[slice * keys + first + lane] as usize;
                    let centre = &centres[(slice * cut.groups + group) * width..][..width];
                    for ((columns, value), centre) in panel.iter_mut().zip(rows.row(first + lane)).zip(centre) {
                        columns[lane] = value - centre;
                    }
                }
                dot_rows(metric, width, panel, products);
                let mut squares = [0.0; LANES];
                for (products, panel) in products.iter().zip(panel.iter()) {
                    for lane in 0..LANES {
                        // By the trace, so that nothing overflows.
                        squares[lane] += products[lane] / trace.max(SMALLEST) * panel[lane];
                    }
                }
                for (spread, square) in spread.iter_mut().zip(squares) {
                    *spread = WEIGHT / scale * (square.max(SMALLEST).ln() + offset).max(LEAST);
                }
            }
        },
    );
}
