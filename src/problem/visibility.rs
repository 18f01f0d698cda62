//! Which keys a query sees: one object that both back ends, the plan and the costs ask for ranges. Twin of `shaders/shared/visible.wgsl`.
//!
//! A query's *position* is where it stands among the keys: query `i` of a sequence at `i + key_length - query_length`, so that the last
//! valid query stands at the last valid key, and fewer queries than keys are a chunk behind a cache. It is negative for queries that stand
//! before the first key. Where tensors hold as many queries as keys, it is never below `i`: fewer valid keys than queries are padding there,
//! which moves nothing.

use super::Shape;
use std::ops::Range;

/// How far a query sees from its position. Lengths come with each question: they may differ from sequence to sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Visibility {
    /// Keys before the position; `None`: all.
    pub left: Option<usize>,
    /// Keys behind the position; `None`: all.
    pub right: Option<usize>,
    /// First keys that `left` and `right` do not hide.
    pub sinks: usize,
    /// Hides every key behind the position, of the first ones too.
    pub causal: bool,
}

/// Keys in ascending order, as two runs that lie apart: `0..sinks`, then `near`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    pub sinks: usize,
    pub near: Range<usize>,
}

impl Keys {
    pub fn count(&self) -> usize {
        self.sinks + self.near.len()
    }

    pub fn runs(&self) -> [Range<usize>; 2] {
        [0..self.sinks, self.near.clone()]
    }
}

impl Visibility {
    pub const ALL: Self = Self { left: None, right: None, sinks: 0, causal: false };
    /// Stands for no bound in arithmetic: beyond every length, and far enough from overflow for sums of two on a device.
    pub const UNBOUNDED: i64 = 1 << 30;

    /// Where a query stands among the keys, by the valid lengths of its sequence.
    pub fn position(shape: &Shape, query: usize, query_length: usize, key_length: usize) -> i64 {
        let offset = key_length as i64 - query_length as i64;
        query as i64 + if shape.queries == shape.keys { offset.max(0) } else { offset }
    }

    /// Whether any key is hidden from any query.
    pub fn hides(&self) -> bool {
        self.causal || self.left.is_some() || self.right.is_some()
    }

    /// Distances to the first key and the last one beside the first keys.
    pub fn bounds(&self) -> (i64, i64) {
        let bound = |keys: Option<usize>| keys.map_or(Self::UNBOUNDED, |keys| keys as i64);
        (bound(self.left), if self.causal { 0 } else { bound(self.right) })
    }

    /// Whether the query at `position` sees a key of `keys` valid ones. The definition; what follows only counts by it.
    #[cfg(test)]
    pub fn sees(&self, position: i64, key: usize, keys: usize) -> bool {
        let distance = key as i64 - position;
        let (left, right) = self.bounds();
        key < keys && !(self.causal && distance > 0) && ((-left..=right).contains(&distance) || key < self.sinks)
    }

    /// What the query at `position` sees of `keys` valid keys.
    pub fn keys_of(&self, position: i64, keys: usize) -> Keys {
        self.keys_of_tile(position, position, keys)
    }

    /// What any query at a position from `first` to `last` sees of `keys` valid keys.
    pub fn keys_of_tile(&self, first: i64, last: i64, keys: usize) -> Keys {
        let (left, right) = self.bounds();
        let clamped = |key: i64| key.clamp(0, keys as i64) as usize;
        let (begin, end) = (clamped(first - left), clamped(last + right + 1));
        let sinks = self.sinks.min(if self.causal { clamped(last + 1) } else { keys });
        if sinks >= begin {
            Keys { sinks: 0, near: 0..sinks.max(end) }
        } else {
            Keys { sinks, near: begin..end.max(begin) }
        }
    }

    /// Pairs of a query and a key that it sees, over queries at `first`, `first + 1`, … Saturates.
    pub fn pairs(&self, first: i64, queries: usize, keys: usize) -> u64 {
        // What a query sees grows and shrinks by whole keys from one query to the next, and only changes its pace where a bound meets an end.
        let (left, right) = self.bounds();
        let (sinks, end) = (self.sinks.min(keys) as i64, first + queries as i64);
        let mut breaks: Vec<i64> = [-1, 0, sinks, keys as i64]
            .iter()
            .flat_map(|key| [key + left, key - right - 1, key - 1, *key])
            .flat_map(|position| [position, position + 1])
            .filter(|position| (first + 1..end).contains(position))
            .chain([first, end])
            .collect();
        breaks.sort_unstable();
        let count = |position: i64| self.keys_of(position, keys).count() as u128;
        let sum = |run: &[i64]| {
            let queries = (run[1] - run[0]) as u128;
            if queries == 0 {
                return 0;
            }
            queries * (count(run[0]) + count(run[1] - 1)) / 2
        };
        u64::try_from(breaks.windows(2).map(sum).sum::<u128>()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Every kind of visibility that short sequences can tell apart.
    pub fn kinds() -> Vec<Visibility> {
        let mut kinds = Vec::new();
        for left in [None, Some(0), Some(1), Some(3), Some(11)] {
            for right in [None, Some(0), Some(2), Some(10)] {
                for sinks in [0, 1, 3, 12] {
                    for causal in [false, true] {
                        kinds.push(Visibility { left, right, sinks, causal });
                    }
                }
            }
        }
        kinds
    }

    #[test]
    fn ranges_and_counts_are_those_of_dense_masks() {
        for visibility in kinds() {
            for (queries, keys) in (0..=9).flat_map(|queries| (0..=9).map(move |keys| (queries, keys))) {
                let first = keys as i64 - queries as i64;
                let seen = |query: usize, key| visibility.sees(first + query as i64, key, keys);
                let mut pairs = 0;
                for query in 0..queries {
                    let row: Vec<usize> = (0..keys).filter(|&key| seen(query, key)).collect();
                    let listed = visibility.keys_of(first + query as i64, keys);
                    assert_eq!(listed.runs().into_iter().flatten().collect::<Vec<_>>(), row, "{visibility:?} {query}");
                    assert_eq!(listed.count(), row.len());
                    pairs += row.len() as u64;
                    for last in query..queries {
                        let any: Vec<usize> =
                            (0..keys).filter(|&key| (query..=last).any(|query| seen(query, key))).collect();
                        let tile = visibility.keys_of_tile(first + query as i64, first + last as i64, keys);
                        assert_eq!(
                            tile.runs().into_iter().flatten().collect::<Vec<_>>(),
                            any,
                            "{visibility:?} {query} {last}"
                        );
                    }
                }
                assert_eq!(visibility.pairs(first, queries, keys), pairs, "{visibility:?} {queries} {keys}");
                if !visibility.hides() {
                    assert_eq!(pairs, (queries * keys) as u64);
                }
            }
        }
    }

    #[test]
    fn counts_of_long_sequences_neither_overflow_nor_take_long() {
        let long = 1 << 28;
        assert_eq!(Visibility::ALL.pairs(0, long, long), 1 << 56);
        let causal = Visibility { causal: true, ..Visibility::ALL };
        assert_eq!(causal.pairs(0, long, long), (1 << 55) + (1 << 27));
        let band = Visibility { left: Some(16), right: Some(16), ..Visibility::ALL };
        assert_eq!(band.pairs(0, long, long), 33 * (1 << 28) - 16 * 17);
    }
}
