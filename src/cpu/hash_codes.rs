//! Codes of the queries: bit `b` is 1 iff `q·a_b > c_b` (paper, section 3.2). Twin of `shaders/hash_codes.wgsl`.

use super::panel::{dot_rows, set_lane, Panel, LANES};
use super::parallel::{blocks, each};
use super::work::Work;

/// `codes[slice][i][word]`; with `means`, the slice's mean is subtracted from each query first. Padding is hashed like any row.
/// `O(L·B·E)` a slice.
pub(crate) fn hash_codes(work: &Work, planes: &[f32], means: Option<&[f32]>, codes: &mut [u32]) {
    let shape = work.problem.shape();
    let (words, width) = (work.plan.cut.words, shape.width);
    let bits = planes.len() / (width + 1);
    each(
        blocks(codes, shape.queries * words, LANES * words),
        || (vec![[0.0; LANES]; width], vec![[0.0; LANES]; bits], vec![0.0; width]),
        |(panel, dots, centered): &mut (Vec<Panel>, Vec<Panel>, Vec<f32>), block| {
            let queries = work.queries(block.slice);
            for (lane, _) in block.data.chunks(words).enumerate() {
                let query = queries.row(block.index * LANES + lane);
                match means {
                    None => set_lane(panel, lane, query),
                    Some(means) => {
                        let mean = &means[block.slice * width..][..width];
                        for ((centered, &query), &mean) in centered.iter_mut().zip(query).zip(mean) {
                            *centered = query - mean;
                        }
                        set_lane(panel, lane, centered);
                    }
                }
            }
            dot_rows(planes, width + 1, panel, dots);
            for (lane, code) in block.data.chunks_mut(words).enumerate() {
                code.fill(0);
                for (bit, dot) in dots.iter().enumerate() {
                    let threshold = planes[bit * (width + 1) + width];
                    code[bit / 32] |= u32::from(dot[lane] > threshold) << (bit % 32);
                }
            }
        },
    );
}
