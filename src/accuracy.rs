//! How far an approximate output is from exact attention.

use crate::problem::{check_output, Visibility};
use crate::random::{self, Stream};
use crate::{Attention, Element, Error, Inputs, Method, Problem, Result};

/// Which rows of the output are compared with exact attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Rows {
    /// Every valid row. Costs as much as exact attention: `O(L·S·(E+M))` a head.
    #[default]
    All,
    /// Some rows of each head, so that the cost stays linear in the length: `O(per_head·S·(E+M))` a head.
    Sample {
        /// Rows of each head, at least 1. Where a head has no more valid rows than this, all are compared.
        per_head: usize,
        /// The valid rows of a head are cut into `per_head` runs of equal length and one row is drawn from each, by this seed.
        seed: u64,
    },
}

impl Rows {
    /// Rows compared among `valid` rows.
    fn count(self, valid: usize) -> usize {
        match self {
            Self::All => valid,
            Self::Sample { per_head, .. } => per_head.min(valid),
        }
    }

    /// Positions of the rows of a slice, ascending and distinct.
    pub(crate) fn positions(self, slice: usize, queries: usize, valid: usize) -> Vec<usize> {
        let count = self.count(valid);
        let draw = |row: usize| match self {
            Self::All => 0,
            Self::Sample { seed, .. } => {
                (random::bits(seed, Stream::Rows, slice as u64 * queries as u64 + row as u64) >> 32) as u32
            }
        };
        (0..count).filter_map(|row| random::start_position(draw(row), row, count, valid)).collect()
    }
}

/// Error of an output against exact attention. An output that is not finite has an infinite error.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Accuracy {
    /// Relative L2 error `|a - e| / |e|` over all values compared, `a` the output and `e` exact attention. Zero where both are zero.
    pub relative_error: f64,
    /// The largest relative L2 error of a single row. A row in which exact attention is zero counts as 0 where the output is zero too,
    /// otherwise as infinite.
    pub max_row_error: f64,
    /// Rows that were compared.
    pub rows: usize,
    /// Valid rows there are.
    pub valid_rows: usize,
}

impl Accuracy {
    /// The share of all valid rows, from 0 to 1, that may be worse than [`Accuracy::max_row_error`]: with 95 % certainty no more are. Zero where
    /// all rows were compared.
    ///
    /// It is `1 - 0.05^(1/n)` with `n` rows compared, about `3/n`, however errors are distributed: were a larger share worse, `n` drawn rows would
    /// all have missed them in less than 5 of 100 draws. It assumes that the rows were drawn as [`Rows::Sample`] draws them; to draw one from each of
    /// equal runs misses no more than to draw from all. Where sequences differ in length, every head of every sequence counts alike, whatever
    /// its rows.
    pub fn share_of_worse_rows(&self) -> f64 {
        if self.rows >= self.valid_rows {
            return 0.0;
        }
        1.0 - 0.05f64.powf(1.0 / self.rows as f64)
    }
}

/// The rows that are compared, as a problem of their own.
pub(crate) struct Chosen {
    /// Of all rows.
    whole: Problem,
    /// Attention of the chosen queries, which are dense, to keys and values where they are.
    pub problem: Problem,
    /// Positions of the chosen queries of each slice.
    pub positions: Vec<Vec<usize>>,
    /// Chosen queries of each sequence.
    pub counts: Vec<u32>,
    /// Where the queries stand among the keys, where that matters.
    placed: Option<Vec<i32>>,
    valid_rows: usize,
}

impl Chosen {
    /// Of sequences with these query and key lengths, which were checked.
    pub fn new(problem: &Problem, [query_lengths, key_lengths]: [Option<&[u32]>; 2], rows: Rows) -> Result<Self> {
        if let Rows::Sample { per_head: 0, .. } = rows {
            return Err(Error::OutOfRange { argument: "per_head", value: "0".into(), allowed: "at least 1".into() });
        }
        let shape = problem.shape();
        let valid = |batch: usize| query_lengths.map_or(shape.queries, |lengths| lengths[batch] as usize);
        let counts: Vec<u32> = (0..shape.batch).map(|batch| rows.count(valid(batch)) as u32).collect();
        let positions: Vec<Vec<usize>> = (0..shape.slices())
            .map(|slice| rows.positions(slice, shape.queries, valid(slice / shape.query_heads)))
            .collect();

        let longest = counts.iter().fold(1, |longest, &count| longest.max(count as usize));
        let chosen = Problem::new(crate::Shape { queries: longest, ..*shape }, Method::Exact)?
            .with_layout(problem.layout())
            .with_scale(problem.scale())?
            .with_causal(problem.causal())?;
        let chosen = match problem.is_dense() {
            true => chosen,
            // The chosen queries are dense, the keys and values are where they were.
            false => {
                chosen.with_input_strides(chosen.query_strides(), problem.key_strides(), problem.value_strides())?
            }
        };
        // Without a mask it does not matter where a query stands.
        let placed = problem.causal().then(|| {
            let mut placed = vec![0i32; shape.slices() * longest];
            for (slice, positions) in positions.iter().enumerate() {
                let batch = slice / shape.query_heads;
                let keys = key_lengths.map_or(shape.keys, |lengths| lengths[batch] as usize);
                for (place, &position) in placed[slice * longest..].iter_mut().zip(positions) {
                    *place = Visibility::position(shape, position, valid(batch), keys) as i32;
                }
            }
            placed
        });
        let valid_rows = (0..shape.batch).map(valid).sum::<usize>() * shape.query_heads;
        Ok(Self { whole: *problem, problem: chosen, positions, counts, placed, valid_rows })
    }

    /// Checks the inputs, and chooses among their rows. What is computed here is exact attention, whatever the method.
    fn among(problem: &Problem, inputs: &Inputs, rows: Rows) -> Result<Self> {
        inputs.validate(&problem.with_method(Method::Exact).with_element(Element::F32))?;
        Self::new(problem, [inputs.query_lengths, inputs.key_lengths], rows)
    }

    /// The first element of each chosen query, and its place among the chosen ones.
    pub fn query_offsets(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let (heads, all, chosen) =
            (self.whole.shape().query_heads, self.whole.query_strides(), self.problem.query_strides());
        self.positions.iter().enumerate().flat_map(move |(slice, positions)| {
            let (batch, head) = (slice / heads, slice % heads);
            let offsets = move |(row, &position)| (all.offset(batch, head, position), chosen.offset(batch, head, row));
            positions.iter().enumerate().map(offsets)
        })
    }

    fn queries(&self, all: &[f32]) -> Vec<f32> {
        let (width, mut queries) = (self.whole.shape().width, vec![0.0; self.problem.shape().query_elements()]);
        for (source, place) in self.query_offsets() {
            queries[place..][..width].copy_from_slice(&all[source..][..width]);
        }
        queries
    }

    fn inputs<'a>(&'a self, queries: &'a [f32], all: &Inputs<'a>) -> Inputs<'a> {
        Inputs { queries, query_lengths: Some(&self.counts), ..*all }
    }

    /// With what was computed of the chosen queries.
    pub fn with_output(self, output: Vec<f32>) -> ExactRows {
        let Self { whole, problem, positions, valid_rows, .. } = self;
        ExactRows { problem: whole, chosen: problem, positions, output, valid_rows }
    }
}

/// Exact attention at all or some rows of a problem: computed once, compared with any number of outputs.
///
/// ```
/// use clustered_attention::{Attention, Backend, ExactRows, Inputs, Method, Problem, Rows, Shape};
/// let problem = Problem::new(Shape::self_attention(1, 2, 300, 16), Method::stitched(10))?;
/// let data: Vec<f32> = (0..2 * 300 * 16).map(|i| (i as f32 * 0.37).sin()).collect();
/// let inputs = Inputs::new(&data, &data, &data);
/// let attention = Attention::new_blocking(Backend::Cpu)?;
/// let output = attention.run_blocking(&problem, &inputs)?;
/// let exact = ExactRows::compute_blocking(&attention, &problem, &inputs, Rows::Sample { per_head: 32, seed: 0 })?;
/// let accuracy = exact.compare(&output)?;
/// assert!(accuracy.relative_error <= accuracy.max_row_error);
/// assert_eq!((accuracy.rows, accuracy.valid_rows), (64, 600));
/// # Ok::<(), clustered_attention::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ExactRows {
    problem: Problem,
    /// Attention of the chosen queries over all keys that they see, in the layout of `problem`.
    chosen: Problem,
    /// Positions of the chosen queries of each slice.
    positions: Vec<Vec<usize>>,
    output: Vec<f32>,
    valid_rows: usize,
}

impl ExactRows {
    /// Computes exact attention at the rows chosen, by `attention`: to all keys, or to those up to a query's own position where the problem is
    /// causal. The method of `problem` does not matter; a window is compared with attention to everything, too. Nor does its element: inputs
    /// and what is computed are float32, and an output in `f16` is widened to be compared.
    ///
    /// # Errors
    /// As [`Attention::run`]; also if a sample of no rows is asked for.
    pub async fn compute(attention: &Attention, problem: &Problem, inputs: &Inputs<'_>, rows: Rows) -> Result<Self> {
        let chosen = Chosen::among(problem, inputs, rows)?;
        let queries = chosen.queries(inputs.queries);
        let inputs = chosen.inputs(&queries, inputs);
        let output = attention.run_placed(&chosen.problem, &inputs, chosen.placed.as_deref()).await?;
        Ok(chosen.with_output(output))
    }

    /// [`ExactRows::compute`] for programs without an async runtime. Not available in the browser.
    ///
    /// # Errors
    /// As [`ExactRows::compute`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn compute_blocking(attention: &Attention, problem: &Problem, inputs: &Inputs, rows: Rows) -> Result<Self> {
        let chosen = Chosen::among(problem, inputs, rows)?;
        let queries = chosen.queries(inputs.queries);
        let inputs = chosen.inputs(&queries, inputs);
        let output = attention.run_placed_blocking(&chosen.problem, &inputs, chosen.placed.as_deref())?;
        Ok(chosen.with_output(output))
    }

    /// Error of an output of the same problem, by any method, in the problem's layout. Padding rows are not looked at.
    ///
    /// # Errors
    /// The output must have the problem's size.
    pub fn compare(&self, output: &[f32]) -> Result<Accuracy> {
        check_output(&self.problem, output)?;
        let (heads, strides) = (self.problem.shape().query_heads, self.problem.output_strides());
        Ok(self.compare_rows(|slice, row| {
            &output[strides.offset(slice / heads, slice % heads, self.positions[slice][row])..]
        }))
    }

    /// Error of an output of which `actual` has the chosen rows, by slice and place among its chosen rows; what follows a row is not looked at.
    pub(crate) fn compare_rows<'a>(&self, actual: impl Fn(usize, usize) -> &'a [f32]) -> Accuracy {
        let (mut difference, mut norm, mut max_row_error) = (0.0, 0.0, 0.0f64);
        for (slice, positions) in self.positions.iter().enumerate() {
            for row in 0..positions.len() {
                let (row_difference, row_norm) = squares(self.row(slice, row), actual(slice, row));
                max_row_error = max_row_error.max(relative(row_difference, row_norm));
                difference += row_difference;
                norm += row_norm;
            }
        }
        let rows = self.positions.iter().map(Vec::len).sum();
        Accuracy { relative_error: relative(difference, norm), max_row_error, rows, valid_rows: self.valid_rows }
    }

    /// Positions of the chosen rows of each slice.
    pub(crate) fn positions(&self) -> &[Vec<usize>] {
        &self.positions
    }

    /// The exact output at a slice's chosen row.
    pub(crate) fn row(&self, slice: usize, row: usize) -> &[f32] {
        let shape = self.chosen.shape();
        let (batch, head) = (slice / shape.query_heads, slice % shape.query_heads);
        &self.output[self.chosen.output_strides().offset(batch, head, row)..][..shape.value_width]
    }
}

/// Squared norms of the difference of two rows, and of the first.
pub(crate) fn squares(one: &[f32], other: &[f32]) -> (f64, f64) {
    one.iter().zip(other).fold((0.0, 0.0), |(difference, norm), (&one, &other)| {
        let (one, other) = (f64::from(one), f64::from(other));
        (difference + (other - one).powi(2), norm + one.powi(2))
    })
}

/// Relative error from squared norms; NaN must not pass as a small error.
pub(crate) fn relative(difference: f64, norm: f64) -> f64 {
    if difference.is_nan() {
        f64::INFINITY
    } else if difference == 0.0 {
        0.0
    } else {
        (difference / norm).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Backend, Layout, Shape};

    const SHAPE: Shape =
        Shape { batch: 3, query_heads: 4, key_heads: 2, queries: 50, keys: 37, width: 5, value_width: 3 };
    const LENGTHS: ([u32; 3], [u32; 3]) = ([50, 0, 11], [37, 20, 9]);

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        (0..count as u64).map(|index| random::normal(seed, Stream::Planes, index)).collect()
    }

    /// Inputs of [`SHAPE`], the exact output, and its rows of a choice.
    fn case(layout: Layout, rows: Rows) -> (Vec<f32>, ExactRows) {
        let problem = Problem::new(SHAPE, Method::Exact).expect("a problem").with_layout(layout);
        let problem = problem.with_scale(0.7).expect("a scale");
        let (queries, keys, values) =
            (numbers(SHAPE.query_elements(), 1), numbers(SHAPE.key_elements(), 2), numbers(SHAPE.value_elements(), 3));
        let inputs = Inputs::new(&queries, &keys, &values).with_lengths(&LENGTHS.0, &LENGTHS.1);
        let attention = Attention::new_blocking(Backend::Cpu).expect("the CPU");
        let output = attention.run_blocking(&problem, &inputs).expect("an output");
        (output, ExactRows::compute_blocking(&attention, &problem, &inputs, rows).expect("exact rows"))
    }

    #[test]
    fn exact_attention_has_no_error_and_a_scaled_one_a_known_error() {
        for layout in [Layout::HeadsFirst, Layout::LengthFirst] {
            for (rows, compared) in [(Rows::All, 244), (Rows::Sample { per_head: 16, seed: 4 }, 108)] {
                let (mut output, exact) = case(layout, rows);
                let accuracy = exact.compare(&output).expect("a comparison");
                assert!(accuracy.max_row_error < 1e-6, "{layout:?} {rows:?} {accuracy:?}");
                assert_eq!((accuracy.rows, accuracy.valid_rows), (compared, 244));
                output.iter_mut().for_each(|value| *value *= 1.25);
                let accuracy = exact.compare(&output).expect("a comparison");
                assert!((accuracy.relative_error - 0.25).abs() < 1e-6, "{accuracy:?}");
                assert!((accuracy.max_row_error - 0.25).abs() < 1e-5, "{accuracy:?}");
            }
        }
    }

    #[test]
    fn one_wrong_row_is_the_worst_and_padding_is_not_looked_at() {
        let (mut output, exact) = case(Layout::HeadsFirst, Rows::All);
        let width = SHAPE.value_width;
        let row = (2 * SHAPE.query_heads + 1) * SHAPE.queries + 10;
        output[row * width..][..width].iter_mut().for_each(|value| *value *= 3.0);
        output[(row + 1) * width] = f32::NAN;
        let accuracy = exact.compare(&output).expect("a comparison");
        assert!((accuracy.max_row_error - 2.0).abs() < 1e-5, "{accuracy:?}");
        assert!(accuracy.relative_error > 0.0 && accuracy.relative_error < 0.5, "{accuracy:?}");
        output[row * width] = f32::NAN;
        let accuracy = exact.compare(&output).expect("a comparison");
        assert_eq!((accuracy.relative_error, accuracy.max_row_error), (f64::INFINITY, f64::INFINITY));
    }

    #[test]
    fn rows_of_zeros_are_defined() {
        let problem = Problem::new(Shape::self_attention(1, 1, 4, 2), Method::Exact).expect("a problem");
        let attention = Attention::new_blocking(Backend::Cpu).expect("the CPU");
        let (data, zeros) = ([0.5; 8], [0.0; 8]);
        let inputs = Inputs::new(&data, &data, &zeros);
        let exact = ExactRows::compute_blocking(&attention, &problem, &inputs, Rows::All).expect("exact rows");
        assert_eq!(exact.compare(&zeros).expect("a comparison").max_row_error, 0.0);
        assert_eq!(exact.compare(&data).expect("a comparison").relative_error, f64::INFINITY);
    }

    #[test]
    fn sampled_rows_are_distinct_valid_and_differ_between_heads_and_seeds() {
        let sample = |seed, slice| Rows::Sample { per_head: 256, seed }.positions(slice, 5000, 4001);
        let rows = sample(0, 0);
        assert_eq!(rows.len(), 256);
        assert!(rows.windows(2).all(|pair| pair[0] < pair[1]) && rows.iter().all(|&row| row < 4001));
        assert_eq!(rows, sample(0, 0));
        assert_ne!(rows, sample(0, 1));
        assert_ne!(rows, sample(1, 0));
        assert_eq!(Rows::Sample { per_head: 256, seed: 0 }.positions(3, 200, 200), (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_not_looked_at_is_bounded() {
        let of = |rows| Accuracy { relative_error: 0.1, max_row_error: 0.2, rows, valid_rows: 5000 };
        assert_eq!(of(5000).share_of_worse_rows(), 0.0);
        for rows in [1, 59, 192, 4999] {
            let share = of(rows).share_of_worse_rows();
            // So many rows miss a share of that size in 5 of 100 draws.
            assert!(((1.0 - share).powi(rows as i32) - 0.05).abs() < 1e-9, "{rows}: {share}");
            assert!(share < 3.0 / rows as f64, "{rows}: {share}");
        }
        assert_eq!(of(0).share_of_worse_rows(), 1.0);
    }

    #[test]
    fn bad_input_is_named() {
        let (output, exact) = case(Layout::HeadsFirst, Rows::All);
        let short = exact.compare(&output[1..]);
        assert!(matches!(short, Err(Error::SliceLength { argument: "output", .. })), "{short:?}");
        let problem = Problem::new(Shape::self_attention(1, 1, 4, 2), Method::Exact).expect("a problem");
        let attention = Attention::new_blocking(Backend::Cpu).expect("the CPU");
        let data = [0.5; 8];
        let compute = |queries, rows| {
            ExactRows::compute_blocking(&attention, &problem, &Inputs::new(queries, &data, &data), rows)
        };
        let empty = compute(&data, Rows::Sample { per_head: 0, seed: 0 });
        assert!(matches!(empty, Err(Error::OutOfRange { argument: "per_head", .. })), "{empty:?}");
        let short = compute(&data[1..], Rows::All);
        assert!(matches!(short, Err(Error::SliceLength { argument: "queries", .. })), "{short:?}");
    }
}
