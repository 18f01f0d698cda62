//! Softmax attention over all keys that are seen, fused. Twin of `shaders/exact_attention.wgsl`.

use super::guard_check::Verdict;
use super::panel::LANES;
use super::single_query::{self, FEW};
use super::tile::{inverse, Tile};
use super::visible;
use super::work::Work;
use crate::parallel::each_with;
use crate::stages::Role;

/// Writes the output of every query of the chunk, or of the leading tokens of images, or of the slices whose error is too large.
/// `O(pairs·(E+M))` a slice, pairs of a query and a key that it sees.
pub(crate) fn exact_attention(work: &Work, role: Role, verdicts: &[Verdict], output: &mut [f32]) {
    let visible = work.plan.cut.visible;
    let rows = if role == Role::Leading { work.plan.cut.leading() } else { work.problem.shape().queries };
    each_with(
        work.threads,
        work.output_blocks(output, &mut [], 0),
        |tile: &mut Tile| tile.fit(work.problem),
        |tile, mut block| {
            // The one step that can take very long.
            if work.cancellation.is_requested() {
                return;
            }
            let computed = |&(slice, _): &(usize, usize)| role != Role::Guarded || verdicts[slice].exceeds;
            for (slice, head) in block.slices().filter(computed) {
                let queries = work.queries(slice);
                let (keys, values) = (work.keys(slice), work.values(slice));
                let end = rows.clamp(block.positions.start, block.positions.end);
                let valid = work.query_length(slice).clamp(block.positions.start, end);
                let key_length = work.key_length(slice);
                for begin in (block.positions.start..valid).step_by(LANES) {
                    let positions = begin..(begin + LANES).min(valid);
                    if positions.len() <= FEW && !visible.hides() {
                        for position in positions {
                            let row = block.row_mut(head, position);
                            let scale = work.problem.scale();
                            single_query::attend(queries.row(position), scale, keys, values, key_length, row);
                        }
                        continue;
                    }
                    tile.begin(positions.clone().map(|position| queries.row(position)));
                    if visible.hides() {
                        let places = positions.clone().map(|query| work.position(slice, query));
                        visible::attend(tile, &visible, places, keys, values, key_length);
                    } else {
                        tile.attend((keys.from(0), keys.stride), (values.from(0), values.stride), key_length);
                    }
                    for (lane, position) in positions.enumerate() {
                        tile.store(lane, inverse(tile.total[lane]), block.row_mut(head, position));
                    }
                }
                for position in valid..end {
                    block.row_mut(head, position).fill(0.0);
                }
            }
        },
    );
}
