//! Attention of sixteen queries to the keys that each of them sees: twin of `shaders/shared/visible.wgsl`.

use super::panel::{Panel, LANES};
use super::tile::{Tile, KEY_BLOCK, LOWEST};
use super::work::Rows;
use crate::problem::Visibility;
use pulp::{Arch, Simd, WithSimd};

/// Adds the keys that queries at some positions see, which ascend from lane to lane, to their softmax.
pub(crate) fn attend(
    tile: &mut Tile,
    visible: &Visibility,
    positions: impl Iterator<Item = i64>,
    keys: Rows,
    values: Rows,
    key_length: usize,
) {
    let mut seen = Seen { sinks: [0; LANES], begin: [0; LANES], end: [0; LANES] };
    let (mut first, mut last) = (i64::MAX, i64::MIN);
    for (lane, position) in positions.enumerate() {
        let own = visible.keys_of(position, key_length);
        (seen.sinks[lane], seen.begin[lane], seen.end[lane]) =
            (own.sinks as u32, own.near.start as u32, own.near.end as u32);
        (first, last) = (first.min(position), last.max(position));
    }
    for run in visible.keys_of_tile(first, last, key_length).runs() {
        for begin in run.clone().step_by(KEY_BLOCK) {
            let count = KEY_BLOCK.min(run.end - begin);
            let logits = tile.logits(0..count, keys.from(begin), keys.stride);
            Arch::new().dispatch(HideUnseen { logits, first: begin as u32, seen: &seen });
            tile.weigh(count);
            tile.add_values(0..count, values.from(begin), values.stride);
        }
    }
}

/// What each lane sees, as in `Keys`.
struct Seen {
    sinks: [u32; LANES],
    begin: [u32; LANES],
    end: [u32; LANES],
}

/// Leaves the logits of the keys that each lane sees.
struct HideUnseen<'a> {
    logits: &'a mut [Panel],
    first: u32,
    seen: &'a Seen,
}

impl WithSimd for HideUnseen<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { logits, first, seen } = self;
        for (key, logits) in (first..).zip(logits) {
            for (lane, logit) in logits.iter_mut().enumerate() {
                let near = (key >= seen.begin[lane]) & (key < seen.end[lane]);
                let sees = (key < seen.sinks[lane]) | near;
                *logit = if sees { *logit } else { LOWEST };
            }
        }
    }
}
