//! Host slices, lengths and supplied intermediate results, checked against the problem.

use super::{Problem, Strides};
use crate::parallel::each;
use crate::{Error, Result};
use pulp::{Arch, Simd, WithSimd};
use std::sync::{Mutex, PoisonError};

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

/// All that is given to one call, validated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub inputs: &'a Inputs<'a>,
    pub supplied: &'a Supplied<'a>,
    /// Where each query stands among the keys, `[N, H, L]`, ascending in each slice, instead of by the lengths.
    pub positions: Option<&'a [i32]>,
}

impl Call<'_> {
    /// Valid queries of a sequence.
    pub fn query_length(&self, problem: &Problem, batch: usize) -> usize {
        self.inputs.query_lengths.map_or(problem.shape().queries, |lengths| lengths[batch] as usize)
    }

    /// Valid keys of a sequence.
    pub fn key_length(&self, problem: &Problem, batch: usize) -> usize {
        self.inputs.key_lengths.map_or(problem.shape().keys, |lengths| lengths[batch] as usize)
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

/// Rows of one task.
const CHECK_BLOCK: usize = 1024;

/// Finds the first NaN or infinity at a valid position.
fn check_finite(
    tensor: &'static str,
    data: &[f32],
    strides: Strides,
    [batches, heads, width]: [usize; 3],
    valid: impl Fn(usize) -> usize,
) -> Result<()> {
    let first_bad = Mutex::new(None);
    let mut blocks = Vec::new();
    for batch in 0..batches {
        let valid = valid(batch);
        for head in 0..heads {
            for begin in (0..valid).step_by(CHECK_BLOCK) {
                blocks.push((batch, head, begin..(begin + CHECK_BLOCK).min(valid)));
            }
        }
    }
    each(
        blocks,
        || (),
        |(), (batch, head, rows)| {
            let data = &data[strides.offset(batch, head, rows.start)..];
            let bad = Arch::new().dispatch(FirstBadRow { data, stride: strides.row, width, rows: rows.len() });
            if let Some(row) = bad {
                let found = (batch, head, rows.start + row);
                let mut first_bad = first_bad.lock().unwrap_or_else(PoisonError::into_inner);
                *first_bad = Some(first_bad.map_or(found, |known: (usize, usize, usize)| known.min(found)));
            }
        },
    );
    let Some((batch, head, row)) = first_bad.into_inner().unwrap_or_else(PoisonError::into_inner) else {
        return Ok(());
    };
    let begin = strides.offset(batch, head, row);
    let values = &data[begin..begin + width];
    let column = values.iter().position(|value| !value.is_finite()).unwrap_or(0);
    Err(Error::NotFinite { tensor, index: begin + column, batch, head, row, column, value: values[column] })
}

struct FirstBadRow<'a> {
    data: &'a [f32],
    stride: usize,
    width: usize,
    rows: usize,
}

impl WithSimd for FirstBadRow<'_> {
    type Output = Option<usize>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Option<usize> {
        self.data.chunks(self.stride).take(self.rows).position(|row| {
            // Without its sign, a number is at least infinity's bits exactly if it is not finite; a maximum without branches vectorises.
            let largest = row[..self.width].iter().fold(0, |largest, value| largest.max(value.abs().to_bits() as i32));
            largest >= f32::INFINITY.to_bits() as i32
        })
    }
}
