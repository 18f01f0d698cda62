//! A chunk of slices and the host tensors behind it.

use super::panel::LANES;
use crate::background::Cancellation;
use crate::parallel::{threads, Rest, Split, ThreadMemory};
use crate::plan::{Chunk, Plan};
use crate::problem::{Call, Strides, Visibility};
use crate::stages::Role;
use crate::{Layout, Problem};
use std::ops::Range;

/// Bounds of the positions of one task that writes output rows. Many positions have more members of a cluster among them, which share
/// its keys; results do not depend on it.
const OUTPUT_BLOCK: Range<usize> = 256..4096;
/// Tasks a thread gets, so that threads end together.
const TASKS_PER_THREAD: usize = 8;

/// What every stage reads: the problem, its inputs and the chunk in work.
pub(crate) struct Work<'a> {
    pub problem: &'a Problem,
    pub plan: &'a Plan,
    pub call: &'a Call<'a>,
    pub chunk: Chunk,
    pub cancellation: &'a Cancellation,
    /// Memory of the threads.
    pub threads: &'a ThreadMemory,
}

/// Rows of one head of a tensor.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    data: &'a [f32],
    begin: usize,
    pub stride: usize,
    width: usize,
}

impl<'a> Rows<'a> {
    fn new(data: &'a [f32], strides: Strides, batch: usize, head: usize, width: usize) -> Self {
        Self { data, begin: strides.offset(batch, head, 0), stride: strides.row, width }
    }

    #[inline]
    pub fn row(&self, index: usize) -> &'a [f32] {
        &self.data[self.begin + index * self.stride..][..self.width]
    }

    /// Everything from a row on, to be read with `stride`.
    pub fn from(&self, index: usize) -> &'a [f32] {
        &self.data[self.begin + index * self.stride..]
    }
}

impl<'a> Work<'a> {
    pub fn slices(&self) -> usize {
        self.chunk.slices()
    }

    pub fn queries(&self, slice: usize) -> Rows<'a> {
        let (batch, head) = self.chunk.slice(slice);
        Rows::new(self.call.inputs.queries, self.problem.query_strides(), batch, head, self.problem.shape().width)
    }

    pub fn keys(&self, slice: usize) -> Rows<'a> {
        let (batch, head) = self.chunk.slice(slice);
        let head = head / self.problem.shape().group_size();
        Rows::new(self.call.inputs.keys, self.problem.key_strides(), batch, head, self.problem.shape().width)
    }

    pub fn values(&self, slice: usize) -> Rows<'a> {
        let (batch, head) = self.chunk.slice(slice);
        let head = head / self.problem.shape().group_size();
        Rows::new(self.call.inputs.values, self.problem.value_strides(), batch, head, self.problem.shape().value_width)
    }

    /// Valid queries of a slice.
    pub fn query_length(&self, slice: usize) -> usize {
        self.call.query_length(self.problem, self.chunk.slice(slice).0)
    }

    /// Valid keys of a slice.
    pub fn key_length(&self, slice: usize) -> usize {
        self.call.key_length(self.problem, self.chunk.slice(slice).0)
    }

    /// The rows that a role is about, keys or queries, and how many are valid.
    pub fn side(&self, role: Role, slice: usize) -> (Rows<'a>, usize) {
        match role.is_of_keys() {
            true => (self.keys(slice), self.key_length(slice)),
            false => (self.queries(slice), self.query_length(slice)),
        }
    }

    /// Where a query of a slice stands among its keys.
    pub fn position(&self, slice: usize, query: usize) -> i64 {
        match self.call.positions {
            Some(positions) => {
                let (batch, head) = self.chunk.slice(slice);
                let shape = self.problem.shape();
                positions[(batch * shape.query_heads + head) * shape.queries + query].into()
            }
            None => Visibility::position(self.problem.shape(), query, self.query_length(slice), self.key_length(slice)),
        }
    }

    /// Cuts the chunk's part of the output, and the running softmax of its queries, `state_size` floats each where there is any, into blocks
    /// of positions.
    pub fn output_blocks<'o>(&self, output: &'o mut [f32], state: &'o mut [f32], state_size: usize) -> OutputBlocks<'o>
    where
        'a: 'o,
    {
        self.blocks_from(0, LANES, output, state, state_size)
    }

    /// The same for stages of the window, none of whose tiles then lies in two blocks, which would both compute it; but for images so wide that
    /// a row of tiles is larger than a block.
    pub fn window_blocks<'o>(&self, output: &'o mut [f32], state: &'o mut [f32], state_size: usize) -> OutputBlocks<'o>
    where
        'a: 'o,
    {
        let (first, unit) = self.plan.cut.near.map_or((0, LANES), |near| (near.leading, near.row_of_tiles(LANES)));
        self.blocks_from(first, unit, output, state, state_size)
    }

    /// Blocks that begin and end at whole units behind the first positions, which are the first block's.
    fn blocks_from<'o>(
        &self,
        first: usize,
        unit: usize,
        output: &'o mut [f32],
        state: &'o mut [f32],
        state_size: usize,
    ) -> OutputBlocks<'o>
    where
        'a: 'o,
    {
        let shape = self.problem.shape();
        let positions = self.slices() * shape.queries / (TASKS_PER_THREAD * threads());
        let least = positions.clamp(OUTPUT_BLOCK.start, OUTPUT_BLOCK.end);
        let block_size = least.next_multiple_of(if unit <= least { unit } else { LANES });
        let first = first.min(shape.queries);
        let heads = if self.problem.layout() == Layout::HeadsFirst { 1 } else { self.chunk.heads.len() };
        let blocks = (shape.queries - first).div_ceil(block_size).max(1);
        OutputBlocks {
            problem: self.problem,
            chunk: self.chunk.clone(),
            heads,
            first,
            blocks,
            block_size,
            state_size: if state.is_empty() { 0 } else { state_size },
            numbers: 0..self.slices() / heads * blocks,
            output: Rest::new(output),
            state: Rest::new(state),
        }
    }
}

/// Blocks of positions of the output, in the order in which they lie there.
pub(crate) struct OutputBlocks<'a> {
    problem: &'a Problem,
    chunk: Chunk,
    /// Heads of a block.
    heads: usize,
    /// Positions before those that are cut, blocks of a slice, and positions of each.
    first: usize,
    blocks: usize,
    block_size: usize,
    state_size: usize,
    numbers: Range<usize>,
    output: Rest<'a, f32>,
    state: Rest<'a, f32>,
}

/// Where a block lies.
struct OutputPlace {
    first_slice: usize,
    positions: Range<usize>,
    output: Range<usize>,
    state: Range<usize>,
}

impl OutputBlocks<'_> {
    fn place(&self, number: usize) -> OutputPlace {
        let (queries, strides) = (self.problem.shape().queries, self.problem.output_strides());
        let (first_slice, block) = (number / self.blocks * self.heads, number % self.blocks);
        let begin = if block == 0 { 0 } else { self.first + block * self.block_size };
        let positions = begin..(self.first + (block + 1) * self.block_size).min(queries);
        let (batch, head) = self.chunk.slice(first_slice);
        // Interleaved heads lie in each other's rows.
        let offset = strides.offset(batch, if self.problem.layout() == Layout::HeadsFirst { head } else { 0 }, begin);
        let state = (first_slice * queries + self.heads * begin) * self.state_size;
        OutputPlace {
            first_slice,
            output: offset..offset + positions.len() * strides.row,
            state: state..state + self.heads * positions.len() * self.state_size,
            positions,
        }
    }
}

impl<'a> Iterator for OutputBlocks<'a> {
    type Item = OutputBlock<'a>;

    fn next(&mut self) -> Option<OutputBlock<'a>> {
        let number = self.numbers.next()?;
        let place = self.place(number);
        let strides = self.problem.output_strides();
        let interleaved = self.problem.layout() != Layout::HeadsFirst;
        Some(OutputBlock {
            positions: place.positions,
            heads: self.heads,
            first_slice: place.first_slice,
            data: self.output.take(place.output),
            origin: if interleaved { self.chunk.heads.start * strides.head } else { 0 },
            head_stride: strides.head,
            row_stride: strides.row,
            width: self.problem.shape().value_width,
            state: self.state.take(place.state),
            state_size: self.state_size,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.numbers.size_hint()
    }
}

impl ExactSizeIterator for OutputBlocks<'_> {}

impl Split for OutputBlocks<'_> {
    fn split_at(self, count: usize) -> (Self, Self) {
        let place = self.place(self.numbers.start + count);
        let (first, second) = self.numbers.split_at(count);
        let (output, more_output) = self.output.split_at(place.output.start);
        let (state, more_state) = self.state.split_at(place.state.start);
        let chunk = self.chunk.clone();
        (
            Self { numbers: first, output, state, chunk, ..self },
            Self { numbers: second, output: more_output, state: more_state, ..self },
        )
    }
}

/// Some positions of the output: of one head, or of all heads of the chunk where heads are interleaved.
pub(crate) struct OutputBlock<'a> {
    pub positions: Range<usize>,
    heads: usize,
    first_slice: usize,
    data: &'a mut [f32],
    origin: usize,
    head_stride: usize,
    row_stride: usize,
    width: usize,
    state: &'a mut [f32],
    state_size: usize,
}

impl OutputBlock<'_> {
    /// The slices of the chunk whose rows lie in the block, as `(slice, head of the block)`.
    pub fn slices(&self) -> impl Iterator<Item = (usize, usize)> {
        let first = self.first_slice;
        (0..self.heads).map(move |head| (first + head, head))
    }

    fn offset(&self, head: usize, position: usize) -> usize {
        self.origin + head * self.head_stride + (position - self.positions.start) * self.row_stride
    }

    pub fn row(&self, head: usize, position: usize) -> &[f32] {
        &self.data[self.offset(head, position)..][..self.width]
    }

    pub fn row_mut(&mut self, head: usize, position: usize) -> &mut [f32] {
        let offset = self.offset(head, position);
        &mut self.data[offset..][..self.width]
    }

    /// Where the running softmax of a query lies.
    fn state_offset(&self, head: usize, position: usize) -> usize {
        (head * self.positions.len() + position - self.positions.start) * self.state_size
    }

    pub fn state(&self, head: usize, position: usize) -> &[f32] {
        &self.state[self.state_offset(head, position)..][..self.state_size]
    }

    /// Maximum and sum of a query's running softmax.
    pub fn softmax(&self, head: usize, position: usize) -> (f32, f32) {
        let state = self.state(head, position);
        (state[0], state[1])
    }

    pub fn state_mut(&mut self, head: usize, position: usize) -> &mut [f32] {
        let offset = self.state_offset(head, position);
        &mut self.state[offset..][..self.state_size]
    }
}
