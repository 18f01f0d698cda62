//! The top-k keys of each cluster, and the weights of the others. Twin of `shaders/top_k.wgsl`.

use super::exponential::{exp, exp_panel};
use super::panel::LANES;
use super::tile::LOWEST;
use super::work::Work;
use crate::parallel::{blocks_of, each_with, zip};
use crate::stages::{Role, Scratch};
use crate::trace::NO_KEY;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Marks a key of the top-k among the weights of the remainder, which are never negative.
pub(crate) const SELECTED: f32 = -1.0;

/// Statistics of a cluster's softmax, all logits scaled.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct ClusterStatistics {
    /// Largest logit outside the top-k.
    pub rest_maximum: f32,
    /// Sum of `exp(logit - rest_maximum)` outside the top-k.
    pub rest_sum: f32,
    /// Largest logit.
    pub top_maximum: f32,
    /// Sum of `exp(logit - top_maximum)` over the top-k.
    pub top_sum: f32,
}

impl ClusterStatistics {
    /// Share of the centroid's attention that falls on the top-k (`m_c`; paper, section 3.3).
    pub fn top_mass(&self) -> f32 {
        let total = self.top_sum + self.rest_sum * (self.rest_maximum - self.top_maximum).exp();
        self.top_sum * super::tile::inverse(total)
    }
}

/// Selects the `k` largest logits of each row (ties: lower index) into `top_keys`, ascending by key; replaces them by [`SELECTED`] and
/// every other logit by its weight `exp(t·z - rest_maximum)`. For key groups it adds `spread` before it selects, or takes the keys that are
/// listed ([`Role::GivenKeys`]), and replaces those logits by minus infinity only. `O(S + k log k)` a cluster.
pub(crate) fn top_k(
    work: &Work,
    pass: Range<usize>,
    role: Role,
    spread: &[f32],
    weights: &mut [f32],
    top_keys: &mut [u32],
    statistics: &mut [ClusterStatistics],
) {
    let cut = &work.plan.cut;
    let scale = work.problem.scale();
    let (slice_weights, slice_keys) = (work.plan.words_of(Scratch::Weights), work.plan.words_of(Scratch::TopKeys));
    let rows = blocks_of(weights, slice_weights, 0..pass.len() * cut.keys_padded, cut.keys_padded, pass.len());
    let keys = cut.top_k * pass.start..cut.top_k * pass.end;
    let keys = blocks_of(top_keys, slice_keys, keys, cut.top_k, pass.len());
    let clusters = blocks_of(statistics, cut.clusters, pass.clone(), 1, pass.len());
    each_with(
        work.threads,
        zip(rows, zip(keys, clusters)),
        |candidates: &mut Vec<(f32, u32)>| {
            candidates.clear();
            candidates.reserve(candidates_of(cut.top_k));
        },
        |candidates, (row, (keys, cluster))| {
            let (top_keys, statistics) = (keys.data, &mut cluster.data[0]);
            let logits = &mut row.data[..work.key_length(row.slice)];
            match role {
                Role::GivenKeys => {}
                _ if spread.is_empty() => select(logits.iter().copied(), top_keys, candidates),
                _ => {
                    let spread = &spread[row.slice * cut.keys_padded..];
                    select(logits.iter().zip(spread).map(|(logit, more)| logit + more), top_keys, candidates);
                }
            }
            let kept = top_keys.iter().position(|&key| key == NO_KEY).unwrap_or(top_keys.len());
            *statistics = match role {
                Role::Plain => weigh(logits, &top_keys[..kept], scale),
                _ => mark(logits, &top_keys[..kept], scale),
            };
        },
    );
}

/// Candidates at a time for so many of the largest.
fn candidates_of(count: usize) -> usize {
    4 * count + 64
}

/// Writes the indices of the largest logits to `top_keys`, ascending, padded with [`NO_KEY`].
fn select(logits: impl ExactSizeIterator<Item = f32>, top_keys: &mut [u32], candidates: &mut Vec<(f32, u32)>) {
    let count = top_keys.len().min(logits.len());
    candidates.clear();
    if count > 0 {
        // Only logits above the threshold can still enter; it rises each time the candidates are thinned out to the best `count`.
        let largest_first = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        let capacity = candidates_of(count);
        let mut threshold = f32::NEG_INFINITY;
        for (key, logit) in logits.enumerate() {
            if logit > threshold || candidates.len() < count {
                // Adding zero makes -0 and 0 equal.
                candidates.push((logit + 0.0, key as u32));
                if candidates.len() == capacity {
                    candidates.select_nth_unstable_by(count - 1, largest_first);
                    candidates.truncate(count);
                    threshold = candidates[count - 1].0;
                }
            }
        }
        if candidates.len() > count {
            candidates.select_nth_unstable_by(count - 1, largest_first);
            candidates.truncate(count);
        }
        candidates.sort_unstable_by_key(|candidate| candidate.1);
    }
    for (slot, key) in top_keys.iter_mut().zip(candidates.iter().map(|c| c.1).chain(std::iter::repeat(NO_KEY))) {
        *slot = key;
    }
}

/// Largest of some logits, and the sum of their weights relative to it; in their place stands minus infinity.
fn take_out(logits: &mut [f32], top_keys: &[u32], scale: f32) -> (f32, f32) {
    let mut top_maximum = LOWEST;
    for &key in top_keys {
        top_maximum = top_maximum.max(scale * logits[key as usize]);
    }
    let mut top_sum = 0.0;
    for &key in top_keys {
        top_sum += (scale * logits[key as usize] - top_maximum).exp();
        logits[key as usize] = f32::NEG_INFINITY;
    }
    (top_maximum, top_sum)
}

/// Leaves the other logits as they are.
fn mark(logits: &mut [f32], top_keys: &[u32], scale: f32) -> ClusterStatistics {
    let (top_maximum, top_sum) = take_out(logits, top_keys, scale);
    ClusterStatistics { rest_maximum: LOWEST, rest_sum: 0.0, top_maximum, top_sum }
}

fn weigh(logits: &mut [f32], top_keys: &[u32], scale: f32) -> ClusterStatistics {
    let (top_maximum, top_sum) = take_out(logits, top_keys, scale);
    let rest_maximum = weigh_rest(logits, scale);
    for &key in top_keys {
        logits[key as usize] = SELECTED;
    }
    ClusterStatistics { rest_maximum, rest_sum: 0.0, top_maximum: top_maximum.max(rest_maximum), top_sum }
}

/// Replaces logits by weights relative to the largest, which is returned scaled; minus infinity weighs nothing.
fn weigh_rest(logits: &mut [f32], scale: f32) -> f32 {
    Arch::new().dispatch(WeighRest { logits, scale })
}

struct WeighRest<'a> {
    logits: &'a mut [f32],
    scale: f32,
}

impl WithSimd for WeighRest<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let Self { logits, scale } = self;
        let mut highest = [f32::NEG_INFINITY; LANES];
        let (panels, tail) = logits.as_chunks_mut::<LANES>();
        for panel in panels.iter() {
            for lane in 0..LANES {
                highest[lane] = if panel[lane] > highest[lane] { panel[lane] } else { highest[lane] };
            }
        }
        let highest = highest.iter().chain(tail.iter()).fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        let maximum = (scale * highest).max(LOWEST);
        for panel in panels {
            for logit in panel.iter_mut() {
                *logit = scale * *logit - maximum;
            }
            for logits in S::as_mut_simd_f32s(panel).0 {
                *logits = exp(simd, *logits);
            }
        }
        let mut last = [f32::NEG_INFINITY; LANES];
        for (slot, &logit) in last.iter_mut().zip(tail.iter()) {
            *slot = scale * logit - maximum;
        }
        exp_panel(&mut last);
        tail.copy_from_slice(&last[..tail.len()]);
        maximum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(logits: &[f32], k: usize) -> Vec<u32> {
        let mut keys = vec![0; k];
        select(logits.iter().copied(), &mut keys, &mut Vec::new());
        keys
    }

    #[test]
    fn ties_go_to_the_lower_index() {
        assert_eq!(selected(&[1.0, 3.0, 3.0, 3.0, 2.0], 2), [1, 2]);
        assert_eq!(selected(&[0.0; 7], 3), [0, 1, 2]);
        assert_eq!(selected(&[-0.0, 0.0, 1.0], 2), [0, 2]);
        assert_eq!(selected(&[5.0, 4.0], 4), [0, 1, NO_KEY, NO_KEY]);
        assert_eq!(selected(&[], 2), [NO_KEY, NO_KEY]);
    }

    #[test]
    fn selection_equals_a_full_sort() {
        let logits: Vec<f32> =
            (0..3000).map(|i| (crate::random::bits(1, crate::random::Stream::Rows, i) % 997) as f32).collect();
        let mut order: Vec<u32> = (0..3000).collect();
        order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b)));
        for k in [1, 31, 256] {
            let mut expected = order[..k].to_vec();
            expected.sort_unstable();
            assert_eq!(selected(&logits, k), expected);
        }
    }
}
