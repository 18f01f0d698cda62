//! Host slices, lengths and supplied intermediate results, checked against the problem.

use super::{Problem, Strides};
use crate::{Error, Result};

/// Inputs on the host: three tensors in the problem's layout and, where sequences are shorter than the tensors, their lengths.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// Queries, `[N, H, L, E]` or `[N, L, H, E]`.
    pub queries: &'a [f32],
    /// Keys, `[N, G, S, E]` or `[N, S, G, E]`.
    pub keys: &'a [f32],
    /// Values, `[N, G, S, M]` or `[N, S, G, M]`.
    pub values: &'a [f32],
    /// Valid queries of each sequence, `[N]`; padding queries give zeros. `None`: all are valid.
    pub query_lengths: Option<&'a [u32]>,
    /// Valid keys of each sequence, `[N]`; padding keys are never read. `None`: all are valid.
    pub key_lengths: Option<&'a [u32]>,
}

impl<'a> Inputs<'a> {
    /// Inputs whose sequences are all of full length.
    pub fn new(queries: &'a [f32], keys: &'a [f32], values: &'a [f32]) -> Self {
        Self { queries, keys, values, query_lengths: None, key_lengths: None }
    }

    /// The same inputs with lengths a sequence.
    pub fn with_lengths(mut self, query_lengths: &'a [u32], key_lengths: &'a [u32]) -> Self {
        self.query_lengths = Some(query_lengths);
        self.key_lengths = Some(key_lengths);
        self
    }

    /// Checks sizes, lengths and that every valid element is finite.
    pub(crate) fn validate(&self, problem: &Problem) -> Result<()> {
        let shape = problem.shape();
        let (n, h, g) = (shape.batch, shape.query_heads, shape.key_heads);
        check_length("queries", self.queries.len(), &[n, h, shape.queries, shape.width])?;
        check_length("keys", self.keys.len(), &[n, g, shape.keys, shape.width])?;
        check_length("values", self.values.len(), &[n, g, shape.keys, shape.value_width])?;
        check_lengths(problem, self.query_lengths, self.key_lengths)?;
        let finite = |tensor, data: &[f32], strides: Strides, heads, width, lengths: Option<&[u32]>, length| {
            check_finite(tensor, data, strides, [n, heads, width], |batch| {
                lengths.map_or(length, |lengths| lengths[batch] as usize)
            })
        };
        finite("queries", self.queries, problem.query_strides(), h, shape.width, self.query_lengths, shape.queries)?;
        finite("keys", self.keys, problem.key_strides(), g, shape.width, self.key_lengths, shape.keys)?;
        finite("values", self.values, problem.value_strides(), g, shape.value_width, self.key_lengths, shape.keys)
    }
}

/// Intermediate results given from outside instead of computed, for research and tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Supplied<'a> {
    /// Hash planes `[bits, width + 1]`: `a_b` and the threshold `c_b`, instead of those of the seed.
    pub planes: Option<&'a [f32]>,
    /// Positions `[clusters]` whose codes start the centroids of every slice, instead of those of the seed. They may repeat and may
    /// be padding.
    pub initial_positions: Option<&'a [u32]>,
    /// Cluster of each query `[N, H, L]`, instead of computed ones; entries of padding queries are ignored.
    pub assignment: Option<&'a [u32]>,
}

impl Supplied<'_> {
    pub(crate) fn validate(&self, problem: &Problem, query_lengths: Option<&[u32]>) -> Result<()> {
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
        if let Some(assignment) = self.assignment {
            check_length("assignment", assignment.len(), &[shape.batch, shape.query_heads, shape.queries])?;
            for (index, &cluster) in assignment.iter().enumerate() {
                let batch = index / (shape.query_heads * shape.queries);
                let valid = query_lengths.map_or(shape.queries, |lengths| lengths[batch] as usize);
                if index % shape.queries < valid && cluster as usize >= clustering.clusters {
                    return Err(Error::EntryOutOfRange {
                        argument: "assignment",
                        index,
                        value: cluster as u64,
                        maximum: clustering.clusters as u64 - 1,
                    });
                }
            }
        }
        Ok(())
    }
}

/// Checks number and range of the lengths.
pub(crate) fn check_lengths(
    problem: &Problem,
    query_lengths: Option<&[u32]>,
    key_lengths: Option<&[u32]>,
) -> Result<()> {
    let shape = problem.shape();
    check_entries("query_lengths", query_lengths, shape.batch, shape.queries)?;
    check_entries("key_lengths", key_lengths, shape.batch, shape.keys)
}

/// Checks the size of an output slice.
pub(crate) fn check_output(problem: &Problem, output: &[f32]) -> Result<()> {
    let shape = problem.shape();
    check_length("output", output.len(), &[shape.batch, shape.query_heads, shape.queries, shape.value_width])
}

fn check_length(argument: &'static str, actual: usize, dimensions: &[usize]) -> Result<()> {
    let expected = dimensions.iter().product();
    if actual == expected {
        return Ok(());
    }
    Err(Error::SliceLength { argument, expected, actual, dimensions: format!("{dimensions:?}") })
}

fn check_entries(argument: &'static str, entries: Option<&[u32]>, expected: usize, maximum: usize) -> Result<()> {
    let Some(entries) = entries else {
        return Ok(());
    };
    check_length(argument, entries.len(), &[expected])?;
    match entries.iter().position(|&entry| entry as usize > maximum) {
        None => Ok(()),
        Some(index) => {
            Err(Error::EntryOutOfRange { argument, index, value: entries[index] as u64, maximum: maximum as u64 })
        }
    }
}

fn check_finite(
    tensor: &'static str,
    data: &[f32],
    strides: Strides,
    [batches, heads, width]: [usize; 3],
    valid: impl Fn(usize) -> usize,
) -> Result<()> {
    for batch in 0..batches {
        for head in 0..heads {
            for row in 0..valid(batch) {
                let begin = strides.offset(batch, head, row);
                let values = &data[begin..begin + width];
                // The exponent is all ones exactly for NaN and the infinities; an OR without branches vectorises.
                let bad = values.iter().fold(false, |bad, value| bad | !value.is_finite());
                if bad {
                    let column = values.iter().position(|value| !value.is_finite()).unwrap_or(0);
                    let (index, value) = (begin + column, values[column]);
                    return Err(Error::NotFinite { tensor, index, batch, head, row, column, value });
                }
            }
        }
    }
    Ok(())
}
