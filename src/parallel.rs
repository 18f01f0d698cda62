//! Work on many items: by all cores natively, one after another where there are no threads (WebAssembly). Nothing is allocated once the memory
//! of the threads is there: items are cut off arrays as they come up, and not listed.

use std::any::Any;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Items that can be cut into two runs, for different threads.
// One thread cuts nothing.
#[cfg_attr(target_arch = "wasm32", allow(dead_code))]
pub(crate) trait Split: ExactSizeIterator + Send + Sized {
    /// The first so many items, fewer than all, and the others.
    fn split_at(self, count: usize) -> (Self, Self);
}

/// Runs `work` on each item.
pub(crate) fn each<I: Split>(items: I, work: impl Fn(I::Item) + Sync) {
    share(items, &|run: I| run.for_each(&work));
}

/// Runs `work` on each item with memory that no other thread uses meanwhile, sized by `fit`. It holds what it was left with.
pub(crate) fn each_with<I: Split, M: Default + Send + 'static>(
    memory: &ThreadMemory,
    items: I,
    fit: impl Fn(&mut M),
    work: impl Fn(&mut M, I::Item) + Sync,
) {
    let pieces = memory.take(&fit);
    share(items, &|run: I| {
        // A run holds its piece and begins no other, so that there are no more at a time than threads.
        let mut piece = locked(&pieces.0).pop().expect("a piece for each thread");
        run.for_each(|item| work(&mut piece, item));
        locked(&pieces.0).push(piece);
    });
    memory.put_back(pieces);
}

/// Memory that threads work in, kept from call to call of one plan: a piece a thread of every type that was asked for.
#[derive(Debug, Default)]
pub(crate) struct ThreadMemory(Mutex<Vec<Box<dyn Any + Send>>>);

/// The pieces of one type.
#[derive(Default)]
struct Pieces<M>(Mutex<Vec<M>>);

impl ThreadMemory {
    /// A piece for each thread. All are sized here: left to the threads, it would depend on who comes first what a later call finds.
    fn take<M: Default + Send + 'static>(&self, fit: impl Fn(&mut M)) -> Box<Pieces<M>> {
        let mut kept = locked(&self.0);
        let place = kept.iter().position(|pieces| pieces.is::<Pieces<M>>());
        let pieces = place.and_then(|place| kept.swap_remove(place).downcast::<Pieces<M>>().ok()).unwrap_or_default();
        let mut list = locked(&pieces.0);
        let pieces_needed = threads().max(list.len());
        list.resize_with(pieces_needed, M::default);
        list.iter_mut().for_each(fit);
        drop(list);
        pieces
    }

    fn put_back<M: Send + 'static>(&self, pieces: Box<Pieces<M>>) {
        locked(&self.0).push(pieces);
    }
}

/// What a thread that panicked left is sized again before it is used.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands runs of the items to the threads.
#[cfg(not(target_arch = "wasm32"))]
fn share<I: Split>(items: I, run: &(impl Fn(I) + Sync)) {
    cut(items, threads(), false, run);
}

#[cfg(target_arch = "wasm32")]
fn share<I: Split>(items: I, run: &(impl Fn(I) + Sync)) {
    run(items);
}

/// Cuts as rayon's iterators do: into somewhat more runs than threads, and again what an idle thread took over.
#[cfg(not(target_arch = "wasm32"))]
fn cut<I: Split>(items: I, cuts: usize, taken_over: bool, run: &(impl Fn(I) + Sync)) {
    if items.len() < 2 || (cuts == 0 && !taken_over) {
        return run(items);
    }
    let cuts = if taken_over { threads().max(cuts / 2) } else { cuts / 2 };
    let half = items.len() / 2;
    let (first, second) = items.split_at(half);
    rayon::join_context(
        |context| cut(first, cuts, context.migrated(), run),
        |context| cut(second, cuts, context.migrated(), run),
    );
}

/// Runs `work` among the threads of [`each`]. A call from elsewhere would go to sleep and be woken at every step.
pub(crate) fn within<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    #[cfg(not(target_arch = "wasm32"))]
    {
        rayon::scope(|_| work())
    }
    #[cfg(target_arch = "wasm32")]
    {
        work()
    }
}

/// Threads that [`each`] works with.
pub(crate) fn threads() -> usize {
    #[cfg(not(target_arch = "wasm32"))]
    {
        rayon::current_num_threads()
    }
    #[cfg(target_arch = "wasm32")]
    {
        1
    }
}

/// What is left of an array from whose front parts were cut off.
pub(crate) struct Rest<'a, T> {
    data: &'a mut [T],
    /// Where it begins in the array.
    begin: usize,
}

impl<'a, T> Rest<'a, T> {
    pub fn new(data: &'a mut [T]) -> Self {
        Self { data, begin: 0 }
    }

    /// Cuts off what lies before a place in the array.
    #[cfg_attr(target_arch = "wasm32", allow(dead_code))]
    pub fn split_at(self, place: usize) -> (Self, Self) {
        let (before, behind) = self.data.split_at_mut(place - self.begin);
        (Self { data: before, begin: self.begin }, Self { data: behind, begin: place })
    }

    /// Cuts off everything up to the end of a range of the array, and returns the range.
    pub fn take(&mut self, range: Range<usize>) -> &'a mut [T] {
        let (before, behind) = std::mem::take(&mut self.data).split_at_mut(range.end - self.begin);
        let begin = std::mem::replace(&mut self.begin, range.end);
        self.data = behind;
        &mut before[range.start - begin..]
    }
}

/// A block of one slice's part of an array.
pub(crate) struct Block<'a, T> {
    /// Slice of the chunk.
    pub slice: usize,
    /// Number of the block in its slice.
    pub index: usize,
    pub data: &'a mut [T],
}

/// Where the blocks of an array lie.
#[derive(Clone, Copy)]
struct Places {
    slice_size: usize,
    /// The part of each slice that is cut into blocks.
    begin: usize,
    size: usize,
    block_size: usize,
    blocks_per_slice: usize,
}

impl Places {
    fn of(&self, number: usize) -> Range<usize> {
        let (slice, block) = (number / self.blocks_per_slice, number % self.blocks_per_slice);
        let begin = slice * self.slice_size + self.begin;
        let end_of = |blocks: usize| begin + (blocks * self.block_size).min(self.size);
        end_of(block)..end_of(block + 1)
    }
}

/// The blocks of an array, slice by slice.
pub(crate) struct Blocks<'a, T> {
    places: Places,
    numbers: Range<usize>,
    rest: Rest<'a, T>,
}

/// Cuts an array of `slice_size` elements a slice into blocks of at most `block_size`.
pub(crate) fn blocks<T>(data: &mut [T], slice_size: usize, block_size: usize) -> Blocks<'_, T> {
    blocks_of(data, slice_size, 0..slice_size, block_size, slice_size.div_ceil(block_size))
}

/// Cuts a range of each slice into `count` blocks of at most `block_size`.
pub(crate) fn blocks_of<T>(
    data: &mut [T],
    slice_size: usize,
    range: Range<usize>,
    block_size: usize,
    count: usize,
) -> Blocks<'_, T> {
    let places = Places { slice_size, begin: range.start, size: range.len(), block_size, blocks_per_slice: count };
    Blocks { places, numbers: 0..data.len() / slice_size * count, rest: Rest::new(data) }
}

impl<'a, T> Iterator for Blocks<'a, T> {
    type Item = Block<'a, T>;

    fn next(&mut self) -> Option<Block<'a, T>> {
        let number = self.numbers.next()?;
        let data = self.rest.take(self.places.of(number));
        let blocks = self.places.blocks_per_slice;
        Some(Block { slice: number / blocks, index: number % blocks, data })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.numbers.size_hint()
    }
}

impl<T> ExactSizeIterator for Blocks<'_, T> {}

impl<T: Send> Split for Blocks<'_, T> {
    fn split_at(self, count: usize) -> (Self, Self) {
        let (first, second) = self.numbers.split_at(count);
        let (before, behind) = self.rest.split_at(self.places.of(second.start).start);
        let places = self.places;
        (Self { places, numbers: first, rest: before }, Self { places, numbers: second, rest: behind })
    }
}

impl Split for Range<usize> {
    fn split_at(self, count: usize) -> (Self, Self) {
        let middle = self.start + count;
        (self.start..middle, middle..self.end)
    }
}

/// Items of two arrays that belong together, as many of each.
pub(crate) struct Zip<A, B>(A, B);

pub(crate) fn zip<A: Split, B: Split>(one: A, other: B) -> Zip<A, B> {
    Zip(one, other)
}

impl<A: Split, B: Split> Iterator for Zip<A, B> {
    type Item = (A::Item, B::Item);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.next()?, self.1.next()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<A: Split, B: Split> ExactSizeIterator for Zip<A, B> {}

impl<A: Split, B: Split> Split for Zip<A, B> {
    fn split_at(self, count: usize) -> (Self, Self) {
        let ((a, more_a), (b, more_b)) = (self.0.split_at(count), self.1.split_at(count));
        (Self(a, b), Self(more_a, more_b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All blocks in order, cut in two wherever `cut` says so.
    fn cut_everywhere<I: Split>(items: I, list: &mut Vec<I::Item>) {
        if items.len() < 2 {
            return list.extend(items);
        }
        let third = (items.len() / 3).max(1);
        let (first, second) = items.split_at(third);
        cut_everywhere(first, list);
        cut_everywhere(second, list);
    }

    #[test]
    fn blocks_are_those_of_plain_chunks() {
        for (slices, slice_size, range, block_size) in
            [(1, 1, 0..1, 1), (3, 10, 0..10, 4), (2, 12, 3..9, 2), (4, 7, 2..2, 3), (3, 8, 1..8, 100)]
        {
            let count = range.len().div_ceil(block_size);
            let mut data: Vec<usize> = (0..slices * slice_size).collect();
            let expected: Vec<(usize, usize, Vec<usize>)> = (data.chunks(slice_size).enumerate())
                .flat_map(|(slice, data)| {
                    let blocks = data[range.clone()].chunks(block_size).enumerate();
                    blocks.map(move |(index, data)| (slice, index, data.to_vec()))
                })
                .collect();
            let seen = |list: Vec<Block<usize>>| -> Vec<_> {
                list.into_iter().map(|block| (block.slice, block.index, block.data.to_vec())).collect()
            };
            let in_order = blocks_of(&mut data, slice_size, range.clone(), block_size, count).collect();
            assert_eq!(seen(in_order), expected);
            let mut list = Vec::new();
            cut_everywhere(blocks_of(&mut data, slice_size, range.clone(), block_size, count), &mut list);
            assert_eq!(seen(list), expected);
        }
    }

    #[test]
    fn every_item_is_worked_on_once_with_fitted_memory() {
        let memory = ThreadMemory::default();
        let mut data = vec![0; 3 * 100];
        for (round, size) in [(1, 5), (2, 3), (3, 8)] {
            let mut sums = vec![0u64; 30];
            let items = zip(blocks(&mut data, 100, 10), blocks(&mut sums, 10, 1));
            let fit = |list: &mut Vec<u8>| list.resize(size, 0);
            each_with(&memory, items, fit, |list, (block, sum)| {
                assert_eq!((list.len(), block.slice, block.index), (size, sum.slice, sum.index));
                block.data.iter_mut().for_each(|value| *value += 1);
                sum.data[0] += block.data.iter().sum::<u64>();
            });
            assert_eq!(sums, vec![10 * round; 30]);
        }
        assert_eq!(locked(&memory.0).len(), 1);
    }
}
