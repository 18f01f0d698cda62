//! Logits of the centroids, `z[c,s] = centroid_c · k_s`. Twin of `shaders/centroid_logits.wgsl`.

use super::panel::{columns, dot_rows, pack, store_lanes, Panel, LANES};
use super::tile::KEY_BLOCK;
use super::work::Work;
use crate::parallel::{blocks, each_with};
use crate::stages::Scratch;
use std::ops::Range;

/// `weights[slice][c - pass.start][s]` for the clusters of a pass and valid keys. `O(C·S·E)` a slice.
pub(crate) fn centroid_logits(work: &Work, pass: Range<usize>, centroids: &[f32], weights: &mut [f32]) {
    let shape = work.problem.shape();
    let cut = &work.plan.cut;
    let row = cut.keys_padded;
    each_with(
        work.threads,
        blocks(weights, work.plan.words_of(Scratch::Weights), LANES * row),
        |(panel, dots): &mut (Vec<Panel>, Vec<Panel>)| {
            panel.resize(shape.width, [0.0; LANES]);
            dots.resize(KEY_BLOCK, [0.0; LANES]);
        },
        |(panel, dots), block| {
            let first = pass.start + block.index * LANES;
            let last = (first + LANES).min(pass.end);
            if first >= last {
                return;
            }
            let centroid = |cluster| &centroids[(block.slice * cut.clusters + cluster) * shape.width..][..shape.width];
            pack(panel, (first..last).map(centroid));
            let keys = work.keys(block.slice);
            let valid = work.key_length(block.slice);
            for begin in (0..valid).step_by(KEY_BLOCK) {
                let dots = &mut dots[..KEY_BLOCK.min(valid - begin)];
                dot_rows(keys.from(begin), keys.stride, panel, dots);
                for (square, dots) in dots.chunks(LANES).enumerate() {
                    // From a row a key to a row a cluster.
                    for (row, logits) in block.data.chunks_mut(row).take(last - first).zip(columns(dots)) {
                        store_lanes(&logits, &mut row[begin + square * LANES..][..dots.len()]);
                    }
                }
            }
        },
    );
}
