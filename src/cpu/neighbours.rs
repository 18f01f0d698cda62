//! Sixteen neighbouring queries, the keys around any of them, and what their centroids hold for these. Twin of `shaders/shared/neighbours.wgsl`.

use super::panel::{pack, Panel, LANES};
use super::tile::{Tile, KEY_BLOCK, LOWEST};
use super::work::{Rows, Work};
use crate::problem::{Grid, Patches};
use crate::stages::Scratch;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Sixteen neighbouring queries and the keys around any of them, listed in ascending order.
pub(super) struct Neighbours<'a> {
    pub slice: usize,
    /// Positions of the queries.
    positions: [usize; LANES],
    count: usize,
    /// Index of each query's cluster in the chunk and its row of weights or logits; `None` for a query of another pass.
    pub rows: [Option<(usize, &'a [f32])>; LANES],
    /// Weights that stand in for those of a lane without any.
    some_row: &'a [f32],
    grid: Grid,
    key_length: usize,
    /// What is around any of the queries, and around each.
    reach: Patches,
    own: [Patches; LANES],
}

/// Keys that lie together, and where their logits lie in a block.
pub(super) struct Piece {
    pub keys: Range<usize>,
    pub slots: Range<usize>,
    /// Row of the grid; leading tokens have none.
    row: Option<usize>,
}

/// The tiles of a grid that have queries at some positions, with those queries and what their centroids hold.
pub(super) fn tiles<'a>(
    work: &'a Work,
    pass: Range<usize>,
    positions: Range<usize>,
    slice: usize,
    clusters: &'a [u32],
    weights: &'a [f32],
) -> impl Iterator<Item = Neighbours<'a>> {
    work.plan.cut.near.into_iter().flat_map(move |grid| {
        let (pass, positions) = (pass.clone(), positions.clone());
        let numbers = grid.tiles_of(LANES, &positions);
        numbers
            .filter_map(move |number| Neighbours::new(work, &pass, grid, number, &positions, slice, clusters, weights))
    })
}

impl<'a> Neighbours<'a> {
    /// `None` if no query is of a cluster of the pass.
    #[allow(clippy::too_many_arguments)]
    fn new(
        work: &Work,
        pass: &Range<usize>,
        grid: Grid,
        number: usize,
        within: &Range<usize>,
        slice: usize,
        clusters: &[u32],
        weights: &'a [f32],
    ) -> Option<Self> {
        let cut = &work.plan.cut;
        let key_length = work.key_length(slice);
        let tile = grid.tile(LANES, number);
        let (mut rows, mut own) = ([None; LANES], [const { Patches::NONE }; LANES]);
        let (mut positions, mut count) = ([0; LANES], 0);
        for position in grid.positions(&tile).filter(|position| within.contains(position)) {
            let lane = count;
            positions[lane] = position;
            count += 1;
            let cluster = clusters[slice * work.problem.shape().queries + position] as usize;
            if !pass.contains(&cluster) {
                continue;
            }
            let row = slice * work.plan.words_of(Scratch::Weights) + (cluster - pass.start) * cut.keys_padded;
            rows[lane] = Some((slice * cut.clusters + cluster, &weights[row..][..key_length]));
            own[lane] = grid.reach_of(position);
        }
        let some_row = rows.iter().flatten().next()?.1;
        // Of the whole tile, whichever of its queries are here: what a query's sums are does not depend on who else is.
        let reach = grid.reach(&tile);
        Some(Self { slice, positions, count, rows, some_row, grid, key_length, reach, own })
    }

    /// Positions of the queries, lane by lane.
    pub fn positions(&self) -> impl Iterator<Item = usize> + Clone + '_ {
        self.positions[..self.count].iter().copied()
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.grid.runs(&self.reach, self.key_length).map(|(_, run)| run.len()).sum()
    }

    /// Blocks of the listed keys.
    pub fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let end = self.len();
        (0..end).step_by(KEY_BLOCK).map(move |begin| begin..(begin + KEY_BLOCK).min(end))
    }

    /// The runs that a block consists of.
    pub fn pieces(&self, block: Range<usize>) -> impl Iterator<Item = Piece> + '_ {
        let runs = self.grid.runs(&self.reach, self.key_length).scan(0, |listed, (row, run)| {
            let begin = *listed;
            *listed += run.len();
            Some((row, run, begin))
        });
        runs.filter_map(move |(row, run, listed)| {
            let (begin, end) = (block.start.max(listed), block.end.min(listed + run.len()));
            (begin < end).then(|| Piece {
                keys: run.start + begin - listed..run.start + end - listed,
                slots: begin - block.start..end - block.start,
                row,
            })
        })
    }

    /// Whether a key is around the query of a lane.
    pub fn is_reached(&self, lane: usize, key: usize) -> bool {
        self.grid.is_reached(&self.own[lane], key)
    }

    /// What the centroids hold for a block of keys; `unreached` for a key that is not around a query.
    pub fn gather<'g>(&self, block: &Range<usize>, unreached: f32, given: &'g mut [Panel]) -> &'g mut [Panel] {
        let given = &mut given[..block.len()];
        for piece in self.pieces(block.clone()) {
            let Piece { keys, slots, row } = piece;
            let given = &mut given[slots];
            let weights = |row: &Option<(usize, &'a [f32])>| &row.map_or(self.some_row, |(_, row)| row)[keys.clone()];
            pack(given, self.rows.iter().map(weights));
            let (mut begin, mut end) = ([0; LANES], [0; LANES]);
            for (lane, own) in self.own.iter().enumerate().filter(|(lane, _)| self.rows[*lane].is_some()) {
                (begin[lane], end[lane]) = match row {
                    None => (0, keys.len() as u32),
                    Some(row) if !own.rows.contains(&row) => (0, 0),
                    Some(row) => {
                        let key_of = |column: usize| self.grid.leading + row * self.grid.columns + column;
                        let from_first =
                            |column: usize| key_of(column).saturating_sub(keys.start).min(keys.len()) as u32;
                        (from_first(own.columns.start), from_first(own.columns.end))
                    }
                };
            }
            Arch::new().dispatch(MaskReach { given, unreached, begin: &begin, end: &end });
        }
        given
    }

    /// Loads the queries into a tile, and continues the softmax that the refinement left: maximum, sum and weighted values of each.
    pub fn resume<'r>(
        &self,
        tile: &mut Tile,
        queries: Rows,
        state: impl Fn(usize) -> (f32, f32),
        sums: impl Fn(usize) -> &'r [f32],
    ) {
        tile.begin(self.positions().map(|position| queries.row(position)));
        let (mut maximum, mut total) = ([LOWEST; LANES], [0.0; LANES]);
        for (lane, position) in self.positions().enumerate() {
            (maximum[lane], total[lane]) = state(position);
        }
        tile.resume(maximum, total, self.positions().map(sums));
    }

    /// Logits of a block of keys that are inside the window and that centroids gave at least so much to, so that they are outside the top-k.
    pub fn logits(&self, tile: &mut Tile, block: &Range<usize>, keys: Rows, given: &[Panel], least: f32) {
        for piece in self.pieces(block.clone()) {
            tile.logits(piece.slots, keys.from(piece.keys.start), keys.stride);
        }
        let logits = tile.weights_mut(0..block.len());
        Arch::new().dispatch(MaskLogits { given, least, logits });
    }

    /// Adds the values of a block with its weights.
    pub fn add_values(&self, tile: &mut Tile, block: Range<usize>, values: Rows) {
        let runs = self.pieces(block).map(|piece| (piece.slots, values.from(piece.keys.start)));
        tile.add_values_of(runs, values.stride);
    }
}

/// Marks what a lane does not reach.
struct MaskReach<'a> {
    given: &'a mut [Panel],
    unreached: f32,
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
            for (key, given) in (0..).zip(self.given.iter_mut()) {
                let key = simd.splat_u32s(key);
                let given = &mut S::as_mut_simd_f32s(given).0[v];
                let reached = simd.select_f32s(simd.less_than_u32s(key, end), *given, unreached);
                *given = simd.select_f32s(simd.less_than_u32s(key, begin), unreached, reached);
            }
        }
    }
}

/// Leaves the logits of keys that centroids gave at least so much to.
struct MaskLogits<'a> {
    given: &'a [Panel],
    least: f32,
    logits: &'a mut [Panel],
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
