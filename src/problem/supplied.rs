//! Intermediate results that are given to a call, checked against the problem.

use super::inputs::{check_entries, check_length};
use super::{Inputs, Problem, Shape, Stored};
use crate::{Error, Result};

/// Entry of the top-k keys of a cluster for which the sequence has no key.
pub const NO_KEY: u32 = u32::MAX;

/// Intermediate results given from outside instead of computed, for research and tests.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Supplied<'a> {
    /// Hash planes `[bits, width + 1]`: `a_b` and the threshold `c_b`, instead of those of the seed.
    pub planes: Option<&'a [f32]>,
    /// Positions `[clusters]` of queries that start the clusters of every slice, instead of those of the seed. They may repeat and may be
    /// padding; in the metric of the logits, a cluster that starts at padding stays empty.
    pub initial_positions: Option<&'a [u32]>,
    /// Cluster of each query `[N, H, L]`, instead of computed ones; entries of padding queries are ignored.
    pub assignment: Option<&'a [u32]>,
    /// Positions `[groups]` of keys that start the key groups of every slice, instead of those of the seed. A group that starts at padding stays
    /// empty.
    pub initial_key_positions: Option<&'a [u32]>,
    /// Group of each key, for every query head, `[N, H, S]`, instead of computed ones; entries of padding keys are ignored.
    pub key_groups: Option<&'a [u32]>,
    /// The top-k keys of each cluster, `[N, H, C, min(k, S)]`, in any order, each once, with [`NO_KEY`](crate::NO_KEY) where there are fewer.
    /// Only where keys are grouped.
    pub top_keys: Option<&'a [u32]>,
}

impl<'a> Supplied<'a> {
    /// With hash planes, or without.
    pub fn with_planes(self, planes: impl Into<Option<&'a [f32]>>) -> Self {
        Self { planes: planes.into(), ..self }
    }

    /// With positions that start the clusters, or without.
    pub fn with_initial_positions(self, positions: impl Into<Option<&'a [u32]>>) -> Self {
        Self { initial_positions: positions.into(), ..self }
    }

    /// With the cluster of each query, or without.
    pub fn with_assignment(self, assignment: impl Into<Option<&'a [u32]>>) -> Self {
        Self { assignment: assignment.into(), ..self }
    }

    /// With positions that start the key groups, or without.
    pub fn with_initial_key_positions(self, positions: impl Into<Option<&'a [u32]>>) -> Self {
        Self { initial_key_positions: positions.into(), ..self }
    }

    /// With the group of each key, or without.
    pub fn with_key_groups(self, key_groups: impl Into<Option<&'a [u32]>>) -> Self {
        Self { key_groups: key_groups.into(), ..self }
    }

    /// With the top-k keys of each cluster, or without.
    pub fn with_top_keys(self, top_keys: impl Into<Option<&'a [u32]>>) -> Self {
        Self { top_keys: top_keys.into(), ..self }
    }

    pub(crate) fn validate<E: Stored>(&self, problem: &Problem, inputs: &Inputs<E>) -> Result<()> {
        let shape = problem.shape();
        let Some(clustering) = problem.method().clustering() else {
            return Ok(());
        };
        if let Some(planes) = self.planes {
            check_length("planes", planes.len(), &[clustering.bits, shape.width + 1])?;
            if let Some(index) = planes.iter().position(|value| !value.is_finite()) {
                return Err(Error::NotFinite {
                    tensor: "planes",
                    index,
                    batch: 0,
                    head: 0,
                    row: index / (shape.width + 1),
                    column: index % (shape.width + 1),
                    value: planes[index],
                });
            }
        }
        check_entries("initial_positions", self.initial_positions, clustering.clusters, shape.queries - 1)?;
        let queries = Rows { each: shape.queries, lengths: inputs.query_lengths };
        check_grouping("assignment", self.assignment, shape, queries, clustering.clusters)?;
        let groups = problem.method().stitched_options().map_or(0, |stitched| stitched.key_groups.groups);
        if groups > 0 {
            check_entries("initial_key_positions", self.initial_key_positions, groups, shape.keys - 1)?;
            let keys = Rows { each: shape.keys, lengths: inputs.key_lengths };
            check_grouping("key_groups", self.key_groups, shape, keys, groups)?;
            self.check_top_keys(problem, clustering.clusters, keys)?;
        } else if self.initial_key_positions.or(self.key_groups).or(self.top_keys).is_some() {
            return Err(Error::Unsupported {
                feature: "supplied key groups or top-k keys for a method without key groups",
            });
        }
        Ok(())
    }

    fn check_top_keys(&self, problem: &Problem, clusters: usize, keys: Rows) -> Result<()> {
        let (shape, Some(top_keys)) = (problem.shape(), self.top_keys) else { return Ok(()) };
        let top_k = problem.method().top_k().min(shape.keys);
        check_length("top_keys", top_keys.len(), &[shape.batch, shape.query_heads, clusters, top_k])?;
        let mut sorted = Vec::with_capacity(top_k);
        for (list, listed) in top_keys.chunks(top_k.max(1)).enumerate() {
            let valid = keys.valid(list / (shape.query_heads * clusters));
            let refused = |index: usize| Error::EntryOutOfRange {
                argument: "top_keys",
                index: list * top_k + index,
                value: listed[index].into(),
                maximum: (valid as u64).saturating_sub(1),
            };
            if let Some(index) = listed.iter().position(|&key| key != NO_KEY && key as usize >= valid) {
                return Err(refused(index));
            }
            sorted.clear();
            sorted.extend(listed.iter().copied().filter(|&key| key != NO_KEY));
            sorted.sort_unstable();
            if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                let (value, allowed) =
                    (format!("key {} twice in list {list}", twice[0]), "each key once a list".into());
                return Err(Error::OutOfRange { argument: "top_keys", value, allowed });
            }
        }
        Ok(())
    }
}

/// Rows of a head, and the valid ones of each sequence.
#[derive(Clone, Copy)]
struct Rows<'a> {
    each: usize,
    lengths: Option<&'a [u32]>,
}

impl Rows<'_> {
    fn valid(&self, batch: usize) -> usize {
        self.lengths.map_or(self.each, |lengths| lengths[batch] as usize)
    }
}

/// Checks that every valid row of every query head is in one of some groups.
fn check_grouping(
    argument: &'static str,
    groups: Option<&[u32]>,
    shape: &Shape,
    rows: Rows,
    count: usize,
) -> Result<()> {
    let Some(groups) = groups else { return Ok(()) };
    check_length(argument, groups.len(), &[shape.batch, shape.query_heads, rows.each])?;
    for (index, &group) in groups.iter().enumerate() {
        let valid = rows.valid(index / (shape.query_heads * rows.each));
        if index % rows.each < valid && group as usize >= count {
            return Err(Error::EntryOutOfRange { argument, index, value: group.into(), maximum: count as u64 - 1 });
        }
    }
    Ok(())
}
