//! Host slices, lengths and supplied intermediate results, checked against the problem.

use super::magnitude::{self, Valid};
use super::{Problem, Stored, Supplied};
use crate::parallel::within;
use crate::{Error, Result};

/// Inputs on the host: three tensors in the problem's layout and, where sequences are shorter than the tensors, their lengths. Slices are of `f32`, or
/// of [`half::f16`] for a problem with [`Element::F16`](crate::Element::F16).
///
/// Everything valid must be finite, and so small that logits (`query · key`), squared distances of queries (where there are clusters) and sums
/// of a slice's values stay within float32: up to 5e17, with a scale of at most 1, and, for values, up to float32's largest number divided by the
/// number of keys, all is well. Beyond, what would overflow is an [`Error::Overflow`], also where the mean of the values would be representable.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Inputs<'a, E = f32> {
    /// Queries, `[N, H, L, E]` or `[N, L, H, E]`.
    pub queries: &'a [E],
    /// Keys, `[N, H', S, E]` or `[N, S, H', E]`.
    pub keys: &'a [E],
    /// Values, `[N, H', S, M]` or `[N, S, H', M]`.
    pub values: &'a [E],
    /// Valid queries of each sequence, `[N]`; padding queries give zeros. `None`: all are valid.
    pub query_lengths: Option<&'a [u32]>,
    /// Valid keys of each sequence, `[N]`; padding keys are never read. `None`: all are valid.
    pub key_lengths: Option<&'a [u32]>,
}

impl<'a, E: Stored> Inputs<'a, E> {
    /// Inputs whose sequences are all of full length.
    pub fn new(queries: &'a [E], keys: &'a [E], values: &'a [E]) -> Self {
        Self { queries, keys, values, query_lengths: None, key_lengths: None }
    }

    /// The same inputs with lengths a sequence.
    pub fn with_lengths(self, query_lengths: &'a [u32], key_lengths: &'a [u32]) -> Self {
        self.with_query_lengths(query_lengths).with_key_lengths(key_lengths)
    }

    /// The same inputs with valid queries of each sequence; `None`: all.
    pub fn with_query_lengths(self, lengths: impl Into<Option<&'a [u32]>>) -> Self {
        Self { query_lengths: lengths.into(), ..self }
    }

    /// The same inputs with valid keys of each sequence; `None`: all.
    pub fn with_key_lengths(self, lengths: impl Into<Option<&'a [u32]>>) -> Self {
        Self { key_lengths: lengths.into(), ..self }
    }

    /// Checks the element, sizes, lengths, that every valid element is finite, and that so is what is computed from queries and keys.
    pub(crate) fn validate(&self, problem: &Problem) -> Result<Sums> {
        check_element::<E>("queries", problem)?;
        let shape = problem.shape();
        let (n, h, g) = (shape.batch, shape.query_heads, shape.key_heads);
        if problem.is_dense() {
            check_length("queries", self.queries.len(), &[n, h, shape.queries, shape.width])?;
            check_length("keys", self.keys.len(), &[n, g, shape.keys, shape.width])?;
            check_length("values", self.values.len(), &[n, g, shape.keys, shape.value_width])?;
        } else {
            check_extent("queries", self.queries.len(), problem.query_elements())?;
            check_extent("keys", self.keys.len(), problem.key_elements())?;
            check_extent("values", self.values.len(), problem.value_elements())?;
        }
        check_lengths(problem, self.query_lengths, self.key_lengths)?;
        let largest = [self.query_rows(problem), self.key_rows(problem), self.value_rows(problem)];
        let [queries, keys, values] = within(|| largest.each_ref().map(Valid::largest));
        magnitude::check(problem, &largest[0], queries?, &largest[1], keys?)?;
        let most = shape.keys as f64 * f64::from(values?);
        Ok(if most > magnitude::MOST { Sums::MayOverflow } else { Sums::Finite })
    }

    fn query_rows(&self, problem: &Problem) -> Valid<'a, E> {
        let (shape, strides) = (problem.shape(), problem.query_strides());
        let size = [shape.batch, shape.query_heads, shape.queries, shape.width];
        Valid { tensor: "queries", data: self.queries, strides, size, lengths: self.query_lengths }
    }

    fn key_rows(&self, problem: &Problem) -> Valid<'a, E> {
        let (shape, strides) = (problem.shape(), problem.key_strides());
        let size = [shape.batch, shape.key_heads, shape.keys, shape.width];
        Valid { tensor: "keys", data: self.keys, strides, size, lengths: self.key_lengths }
    }

    fn value_rows(&self, problem: &Problem) -> Valid<'a, E> {
        let (shape, strides) = (problem.shape(), problem.value_strides());
        let size = [shape.batch, shape.key_heads, shape.keys, shape.value_width];
        Valid { tensor: "values", data: self.values, strides, size, lengths: self.key_lengths }
    }

    /// Checks the sums of values, by the output, where they may have exceeded float32.
    pub(crate) fn check_sums(&self, problem: &Problem, sums: Sums, output: &[E]) -> Result<()> {
        if sums == Sums::Finite {
            return Ok(());
        }
        let (shape, strides) = (problem.shape(), problem.output_strides());
        let size = [shape.batch, shape.query_heads, shape.queries, shape.value_width];
        let rows = Valid { tensor: "output", data: output, strides, size, lengths: self.query_lengths };
        match rows.largest() {
            Err(Error::NotFinite { batch, head, .. }) => {
                let bound = shape.keys as f64 * f64::from(self.value_rows(problem).largest()?);
                Err(Error::Overflow { what: "sums of values", batch, head, bound })
            }
            _ => Ok(()),
        }
    }
}

/// Whether a sum of the values may exceed float32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sums {
    Finite,
    MayOverflow,
}

/// All that is given to one call, validated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a, E = f32> {
    pub inputs: &'a Inputs<'a, E>,
    pub supplied: &'a Supplied<'a>,
    /// Where each query stands among the keys, `[N, H, L]`, ascending in each slice, instead of by the lengths.
    pub positions: Option<&'a [i32]>,
}

impl<E: Stored> Call<'_, E> {
    /// Valid queries of a sequence.
    pub fn query_length(&self, problem: &Problem, batch: usize) -> usize {
        self.inputs.query_lengths.map_or(problem.shape().queries, |lengths| lengths[batch] as usize)
    }

    /// Valid keys of a sequence.
    pub fn key_length(&self, problem: &Problem, batch: usize) -> usize {
        self.inputs.key_lengths.map_or(problem.shape().keys, |lengths| lengths[batch] as usize)
    }
}

/// All that is given to a call, copied.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug)]
pub(crate) struct OwnedCall<E> {
    tensors: [Vec<E>; 3],
    lengths: [Option<Vec<u32>>; 2],
    planes: Option<Vec<f32>>,
    supplied: [Option<Vec<u32>>; 5],
    positions: Option<Vec<i32>>,
}

#[cfg(not(target_arch = "wasm32"))]
impl<E: Stored> OwnedCall<E> {
    /// With strides, slices may go on behind their tensors; what does is left out.
    pub fn of(problem: &Problem, call: &Call<E>) -> Result<Self> {
        let Inputs { queries, keys, values, query_lengths, key_lengths } = *call.inputs;
        let cut = |data: &'_ [E], most: usize| data.len().min(if problem.is_dense() { usize::MAX } else { most });
        let queries = &queries[..cut(queries, problem.query_elements())];
        let keys = &keys[..cut(keys, problem.key_elements())];
        let values = &values[..cut(values, problem.value_elements())];
        let Supplied { planes, initial_positions, assignment, initial_key_positions, key_groups, top_keys } =
            *call.supplied;
        let optional = |entries: Option<&[u32]>| entries.map(<[u32]>::to_vec);
        Ok(Self {
            tensors: [copied("queries", queries)?, copied("keys", keys)?, copied("values", values)?],
            lengths: [query_lengths, key_lengths].map(optional),
            planes: planes.map(<[f32]>::to_vec),
            supplied: [initial_positions, assignment, initial_key_positions, key_groups, top_keys].map(optional),
            positions: call.positions.map(<[i32]>::to_vec),
        })
    }

    /// The call, for as long as `use_it` runs.
    pub fn lend<T>(&self, use_it: impl FnOnce(&Call<E>) -> T) -> T {
        let [queries, keys, values] = self.tensors.each_ref().map(Vec::as_slice);
        let [query_lengths, key_lengths] = self.lengths.each_ref().map(Option::as_deref);
        let supplied = self.supplied.each_ref().map(Option::as_deref);
        let [initial_positions, assignment, initial_key_positions, key_groups, top_keys] = supplied;
        let planes = self.planes.as_deref();
        let supplied = Supplied { planes, initial_positions, assignment, initial_key_positions, key_groups, top_keys };
        let inputs = Inputs { queries, keys, values, query_lengths, key_lengths };
        use_it(&Call { inputs: &inputs, supplied: &supplied, positions: self.positions.as_deref() })
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn copied<E: Stored>(what: &'static str, data: &[E]) -> Result<Vec<E>> {
    let mut copy = Vec::new();
    let bytes = size_of_val(data) as u64;
    copy.try_reserve_exact(data.len()).map_err(|_| Error::OutOfMemory { what, bytes })?;
    copy.extend_from_slice(data);
    Ok(copy)
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

/// Checks that host slices are of the problem's element.
pub(crate) fn check_element<E: Stored>(tensor: &'static str, problem: &Problem) -> Result<()> {
    if E::ELEMENT == problem.element() {
        return Ok(());
    }
    Err(Error::DataType { tensor, actual: E::ELEMENT.name().into(), needed: problem.element().name() })
}

/// Checks the size of an output slice.
pub(crate) fn check_output<E>(problem: &Problem, output: &[E]) -> Result<()> {
    let shape = problem.shape();
    check_length("output", output.len(), &[shape.batch, shape.query_heads, shape.queries, shape.value_width])
}

/// Memory for an output.
pub(crate) fn empty_output<E: Stored>(problem: &Problem) -> Result<Vec<E>> {
    let elements = problem.shape().output_elements();
    let mut output = Vec::new();
    let bytes = (size_of::<E>() * elements) as u64;
    output.try_reserve_exact(elements).map_err(|_| Error::OutOfMemory { what: "output", bytes })?;
    output.resize(elements, E::default());
    Ok(output)
}

pub(super) fn check_length(argument: &'static str, actual: usize, dimensions: &[usize]) -> Result<()> {
    let expected = dimensions.iter().product();
    if actual == expected {
        return Ok(());
    }
    Err(Error::SliceLength { argument, expected, actual, dimensions: format!("{dimensions:?}") })
}

/// With strides, a slice may go on behind the tensor.
fn check_extent(argument: &'static str, actual: usize, expected: usize) -> Result<()> {
    if actual >= expected {
        return Ok(());
    }
    let dimensions = "at least, by the strides".into();
    Err(Error::SliceLength { argument, expected, actual, dimensions })
}

pub(super) fn check_entries(
    argument: &'static str,
    entries: Option<&[u32]>,
    expected: usize,
    maximum: usize,
) -> Result<()> {
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
