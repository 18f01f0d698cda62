//! A problem with its inputs, and its slices as plain rows.

use super::{numbers, Engine};
use clustered_attention::{Inputs, Layout, Method, Problem, Result, Shape, Supplied, Trace};

/// A problem and tensors for it. Padding holds NaN, so that whatever reads it shows.
#[derive(Debug, Clone)]
pub struct Case {
    pub problem: Problem,
    pub queries: Vec<f32>,
    pub keys: Vec<f32>,
    pub values: Vec<f32>,
    pub query_lengths: Vec<u32>,
    pub key_lengths: Vec<u32>,
}

/// Valid rows of one slice: a query head of a sequence with the keys and values that it reads.
pub struct Slice {
    pub queries: Vec<Vec<f32>>,
    pub keys: Vec<Vec<f32>>,
    pub values: Vec<Vec<f32>>,
    pub scale: f32,
    pub value_width: usize,
    pub causal: bool,
    /// Whether the tensors, not the valid rows, are as many queries as keys.
    pub square: bool,
}

/// Offset of a row of a dense tensor.
pub fn row_offset(layout: Layout, [heads, length, width]: [usize; 3], batch: usize, head: usize, row: usize) -> usize {
    width
        * match layout {
            Layout::HeadsFirst => (batch * heads + head) * length + row,
            _ => (batch * length + row) * heads + head,
        }
}

impl Case {
    /// Tensors of normal numbers; queries lie around a few centres, so that clusters mean something.
    pub fn new(problem: Problem, seed: u64) -> Self {
        let shape = *problem.shape();
        let centres = numbers(7 * shape.width, seed ^ 1);
        let mut queries = numbers(shape.query_elements(), seed ^ 2);
        for (row, query) in queries.chunks_mut(shape.width).enumerate() {
            let centre = &centres[row * 31 % 7 * shape.width..][..shape.width];
            query.iter_mut().zip(centre).for_each(|(value, centre)| *value += centre);
        }
        Self {
            problem,
            queries,
            keys: numbers(shape.key_elements(), seed ^ 3),
            values: numbers(shape.value_elements(), seed ^ 4),
            query_lengths: vec![shape.queries as u32; shape.batch],
            key_lengths: vec![shape.keys as u32; shape.batch],
        }
    }

    /// A case of a shape and a method that are known to be valid.
    pub fn of(shape: Shape, method: Method, seed: u64) -> Self {
        Self::new(Problem::new(shape, method).expect("a valid problem"), seed)
    }

    /// The same case with shorter sequences; what is beyond them becomes NaN.
    pub fn with_lengths(mut self, query_lengths: &[u32], key_lengths: &[u32]) -> Self {
        self.query_lengths = query_lengths.to_vec();
        self.key_lengths = key_lengths.to_vec();
        self.fill_padding(f32::NAN);
        self
    }

    /// Overwrites the rows beyond the lengths.
    pub fn fill_padding(&mut self, filler: f32) {
        let (shape, layout) = (*self.problem.shape(), self.problem.layout());
        let fill = |tensor: &mut Vec<f32>, dimensions: [usize; 3], lengths: &[u32]| {
            for (batch, &length) in lengths.iter().enumerate() {
                for head in 0..dimensions[0] {
                    for row in length as usize..dimensions[1] {
                        tensor[row_offset(layout, dimensions, batch, head, row)..][..dimensions[2]].fill(filler);
                    }
                }
            }
        };
        fill(&mut self.queries, [shape.query_heads, shape.queries, shape.width], &self.query_lengths);
        fill(&mut self.keys, [shape.key_heads, shape.keys, shape.width], &self.key_lengths);
        fill(&mut self.values, [shape.key_heads, shape.keys, shape.value_width], &self.key_lengths);
    }

    /// The same inputs under another method.
    pub fn with_method(&self, method: Method) -> Self {
        let problem = Problem::new(*self.problem.shape(), method).expect("a valid method");
        let problem = problem.with_layout(self.problem.layout()).with_scale(self.problem.scale()).expect("its scale");
        Self { problem, ..self.clone() }
    }

    pub fn with_scale(mut self, scale: f32) -> Self {
        self.problem = self.problem.with_scale(scale).expect("a valid scale");
        self
    }

    /// The same rows in the other order of axes.
    pub fn in_layout(&self, layout: Layout) -> Self {
        let shape = *self.problem.shape();
        let moved = |tensor: &[f32], dimensions| transposed(tensor, shape.batch, dimensions, self.layout(), layout);
        Self {
            problem: self.problem.with_layout(layout),
            queries: moved(&self.queries, [shape.query_heads, shape.queries, shape.width]),
            keys: moved(&self.keys, [shape.key_heads, shape.keys, shape.width]),
            values: moved(&self.values, [shape.key_heads, shape.keys, shape.value_width]),
            ..self.clone()
        }
    }

    pub fn shape(&self) -> &Shape {
        self.problem.shape()
    }

    pub fn layout(&self) -> Layout {
        self.problem.layout()
    }

    pub fn inputs(&self) -> Inputs<'_> {
        Inputs::new(&self.queries, &self.keys, &self.values).with_lengths(&self.query_lengths, &self.key_lengths)
    }

    pub fn run(&self, engine: &Engine) -> Vec<f32> {
        let output = engine.attention.run_blocking(&self.problem, &self.inputs());
        output.unwrap_or_else(|error| panic!("{}: {error}", engine.name))
    }

    pub fn trace(&self, engine: &Engine, supplied: &Supplied) -> Trace {
        let trace = engine.attention.trace_blocking(&self.problem, &self.inputs(), supplied);
        trace.unwrap_or_else(|error| panic!("{}: {error}", engine.name))
    }

    pub fn try_run(&self, engine: &Engine) -> Result<Vec<f32>> {
        engine.attention.run_blocking(&self.problem, &self.inputs())
    }

    /// Batch and query head of every slice, in the order of a trace.
    pub fn slices(&self) -> impl Iterator<Item = (usize, usize)> {
        let heads = self.shape().query_heads;
        (0..self.shape().slices()).map(move |slice| (slice / heads, slice % heads))
    }

    pub fn slice(&self, batch: usize, head: usize) -> Slice {
        let shape = *self.shape();
        let rows = |tensor: &[f32], dimensions: [usize; 3], head: usize, length: u32| -> Vec<Vec<f32>> {
            let offset = |row| row_offset(self.layout(), dimensions, batch, head, row);
            (0..length as usize).map(|row| tensor[offset(row)..][..dimensions[2]].to_vec()).collect()
        };
        let (key_head, key_length) = (head / shape.group_size(), self.key_lengths[batch]);
        Slice {
            queries: rows(
                &self.queries,
                [shape.query_heads, shape.queries, shape.width],
                head,
                self.query_lengths[batch],
            ),
            keys: rows(&self.keys, [shape.key_heads, shape.keys, shape.width], key_head, key_length),
            values: rows(&self.values, [shape.key_heads, shape.keys, shape.value_width], key_head, key_length),
            scale: self.problem.scale(),
            value_width: shape.value_width,
            causal: self.problem.causal(),
            square: shape.queries == shape.keys,
        }
    }

    /// Offset of an output row.
    pub fn output_offset(&self, batch: usize, head: usize, row: usize) -> usize {
        let shape = self.shape();
        row_offset(self.layout(), [shape.query_heads, shape.queries, shape.value_width], batch, head, row)
    }

    /// The rows of an output that belong to one slice, padding included.
    pub fn output_of(&self, output: &[f32], batch: usize, head: usize) -> Vec<f32> {
        let offsets = (0..self.shape().queries).map(|row| self.output_offset(batch, head, row));
        offsets.flat_map(|offset| output[offset..][..self.shape().value_width].to_vec()).collect()
    }
}

/// A tensor of `[heads, length, width]` a sequence, moved from one layout to another.
pub fn transposed(tensor: &[f32], batch: usize, dimensions: [usize; 3], from: Layout, to: Layout) -> Vec<f32> {
    let mut moved = vec![0.0; tensor.len()];
    let [heads, length, width] = dimensions;
    for (batch, head, row) in
        (0..batch * heads * length).map(|i| (i / (heads * length), i / length % heads, i % length))
    {
        let row_in = |layout| row_offset(layout, dimensions, batch, head, row);
        moved[row_in(to)..][..width].copy_from_slice(&tensor[row_in(from)..][..width]);
    }
    moved
}
