//! Sixteen neighbouring queries, the keys in reach of any of them, and what their centroids hold for these.

use super::panel::{pack, Panel, LANES};
use super::tile::{KEY_BLOCK, LOWEST};
use super::work::Work;
use crate::problem::Neighbourhood;
use crate::stages::Scratch;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Sixteen neighbouring queries and the keys in reach of any of them.
pub(super) struct Band<'a> {
    pub slice: usize,
    pub positions: Range<usize>,
    pub keys: Range<usize>,
    /// Index of each query's cluster in the chunk and its row of weights or logits; `None` for a query of another pass.
    pub rows: [Option<(usize, &'a [f32])>; LANES],
    /// Weights that stand in for those of a lane without any.
    some_row: &'a [f32],
    /// First key in reach of each lane, and the one behind the last, counted from the first key of the band.
    pub reach_begin: [u32; LANES],
    pub reach_end: [u32; LANES],
}

impl<'a> Band<'a> {
    /// `None` if no query is of a cluster of the pass.
    pub fn new(
        work: &Work,
        pass: &Range<usize>,
        near: Neighbourhood,
        positions: Range<usize>,
        slice: usize,
        clusters: &[u32],
        weights: &'a [f32],
    ) -> Option<Self> {
        let cut = &work.plan.cut;
        let key_length = work.key_length(slice);
        let keys = near.keys_of_tile(positions.start, positions.end - 1, key_length).near;
        let mut rows = [None; LANES];
        let (mut reach_begin, mut reach_end) = ([0; LANES], [0; LANES]);
        for (lane, position) in positions.clone().enumerate() {
            let cluster = clusters[slice * work.problem.shape().queries + position] as usize;
            if !pass.contains(&cluster) {
                continue;
            }
            let row = slice * work.plan.words_of(Scratch::Weights) + (cluster - pass.start) * cut.keys_padded;
            rows[lane] = Some((slice * cut.clusters + cluster, &weights[row..][..key_length]));
            let own = near.keys_of(position, key_length).near;
            (reach_begin[lane], reach_end[lane]) = ((own.start - keys.start) as u32, (own.end - keys.start) as u32);
        }
        let some_row = rows.iter().flatten().next()?.1;
        Some(Self { slice, positions, keys, rows, some_row, reach_begin, reach_end })
    }

    /// Blocks of the band's keys.
    pub fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let end = self.keys.end;
        self.keys.clone().step_by(KEY_BLOCK).map(move |begin| begin..(begin + KEY_BLOCK).min(end))
    }

    /// What the centroids hold for a block of keys; `unreached` for a key out of reach.
    pub fn gather<'g>(&self, keys: &Range<usize>, unreached: f32, given: &'g mut [Panel]) -> &'g mut [Panel] {
        let given = &mut given[..keys.len()];
        pack(given, self.rows.iter().map(|row| &row.map_or(self.some_row, |(_, weights)| weights)[keys.clone()]));
        let first = (keys.start - self.keys.start) as u32;
        Arch::new().dispatch(MaskReach { given, unreached, first, begin: &self.reach_begin, end: &self.reach_end });
        given
    }
}

/// Marks what a lane does not reach.
struct MaskReach<'a> {
    given: &'a mut [Panel],
    unreached: f32,
    first: u32,
    begin: &'a [u32; LANES],
    end: &'a [u32; LANES],
}

impl WithSimd for MaskReach<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let unreached = simd.splat_f32s(self.unreached);
        for v in 0..LANES / S::F32_LANES {
            let (begin, end) = (S::as_simd_u32s(self.begin).0[v], S::as_simd_u32s(self.end).0[v]);
            for (key, given) in (self.first..).zip(self.given.iter_mut()) {
                let key = simd.splat_u32s(key);
                let given = &mut S::as_mut_simd_f32s(given).0[v];
                let reached = simd.select_f32s(simd.less_than_u32s(key, end), *given, unreached);
                *given = simd.select_f32s(simd.less_than_u32s(key, begin), unreached, reached);
            }
        }
    }
}

/// Leaves the logits of keys inside the window and outside the top-k: of those that centroids gave at least so much to.
pub(super) struct MaskLogits<'a> {
    pub given: &'a [Panel],
    pub least: f32,
    pub logits: &'a mut [Panel],
}

impl WithSimd for MaskLogits<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (least, masked) = (simd.splat_f32s(self.least), simd.splat_f32s(LOWEST));
        for (logits, given) in self.logits.iter_mut().zip(self.given) {
            for (logits, given) in S::as_mut_simd_f32s(logits).0.iter_mut().zip(S::as_simd_f32s(given).0) {
                *logits = simd.select_f32s(simd.less_than_f32s(*given, least), masked, *logits);
            }
        }
    }
}
