//! Codes of the queries: bit `b` is 1 iff `q·a_b > c_b` (paper, section 3.2). Twin of `shaders/hash_codes.wgsl`.

use super::panel::{dot_rows, pack, Panel, LANES};
use super::work::Work;
use crate::parallel::{blocks, each_with};
use crate::Clustering;
use pulp::{Arch, Simd, WithSimd};

/// Words of a code, for sixteen queries each.
type Words = [[u32; LANES]; Clustering::MAX_BITS / 32];

/// `codes[slice][i][word]`; with `means`, the slice's mean is subtracted from each query first. Padding is hashed like any row.
/// `O(L·B·E)` a slice.
pub(crate) fn hash_codes(work: &Work, planes: &[f32], means: Option<&[f32]>, codes: &mut [u32]) {
    let shape = work.problem.shape();
    let (words, width) = (work.plan.cut.words, shape.width);
    let bits = planes.len() / (width + 1);
    each_with(
        work.threads,
        blocks(codes, shape.queries * words, LANES * words),
        |(panel, dots): &mut (Vec<Panel>, Vec<Panel>)| {
            panel.resize(width, [0.0; LANES]);
            dots.resize(bits, [0.0; LANES]);
        },
        |(panel, dots), block| {
            let queries = work.queries(block.slice);
            let first = block.index * LANES;
            let lanes = block.data.len() / words;
            pack(panel, (first..first + lanes).map(|position| queries.row(position)));
            if let Some(means) = means {
                for (columns, mean) in panel.iter_mut().zip(&means[block.slice * width..]) {
                    columns.iter_mut().for_each(|column| *column -= mean);
                }
            }
            dot_rows(planes, width + 1, panel, dots);
            let mut codes: Words = Default::default();
            let thresholds = planes.iter().skip(width).step_by(width + 1);
            Arch::new().dispatch(CompareThresholds { dots, thresholds, codes: &mut codes });
            for (lane, code) in block.data.chunks_mut(words).enumerate() {
                for (slot, word) in code.iter_mut().zip(&codes) {
                    *slot = word[lane];
                }
            }
        },
    );
}

struct CompareThresholds<'a, T> {
    dots: &'a [Panel],
    thresholds: T,
    codes: &'a mut Words,
}

impl<'a, T: Iterator<Item = &'a f32>> WithSimd for CompareThresholds<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (bit, (dots, &threshold)) in self.dots.iter().zip(self.thresholds).enumerate() {
            let (threshold, set) = (simd.splat_f32s(threshold), simd.splat_u32s(1 << (bit % 32)));
            let words = S::as_mut_simd_u32s(&mut self.codes[bit / 32]).0;
            for (word, &dot) in words.iter_mut().zip(S::as_simd_f32s(dots).0) {
                let above = simd.select_u32s(simd.greater_than_f32s(dot, threshold), set, simd.splat_u32s(0));
                *word = simd.or_u32s(*word, above);
            }
        }
    }
}
