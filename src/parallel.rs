//! Work on many blocks: by all cores natively, one after another where there are no threads (WebAssembly).

/// Runs `work` on each item with a reusable piece of memory from `init`.
pub(crate) fn each<T: Send, M>(
    items: Vec<T>,
    init: impl Fn() -> M + Send + Sync,
    work: impl Fn(&mut M, T) + Send + Sync,
) {
    #[cfg(not(target_arch = "wasm32"))]
    {
        use rayon::prelude::*;
        items.into_par_iter().for_each_init(init, work);
    }
    #[cfg(target_arch = "wasm32")]
    {
        let mut memory = init();
        items.into_iter().for_each(|item| work(&mut memory, item));
    }
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

/// A block of one slice's part of an array.
pub(crate) struct Block<'a, T> {
    /// Slice of the chunk.
    pub slice: usize,
    /// Number of the block in its slice.
    pub index: usize,
    pub data: &'a mut [T],
}

/// Cuts an array of `slice_size` elements a slice into blocks of at most `block_size`.
pub(crate) fn blocks<T>(data: &mut [T], slice_size: usize, block_size: usize) -> Vec<Block<'_, T>> {
    data.chunks_mut(slice_size)
        .enumerate()
        .flat_map(|(slice, data)| {
            data.chunks_mut(block_size).enumerate().map(move |(index, data)| Block { slice, index, data })
        })
        .collect()
}
