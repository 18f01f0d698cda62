//! Heap memory of a call, counted by the program's allocator: exact, and the same on every platform.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// The system's allocator with counters.
pub struct Counting;

fn grow(bytes: usize) {
    let held = HELD.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(held, Relaxed);
    ALLOCATIONS.fetch_add(1, Relaxed);
}

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let pointer = unsafe { System.alloc(layout) };
        if !pointer.is_null() {
            grow(layout.size());
        }
        pointer
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let pointer = unsafe { System.alloc_zeroed(layout) };
        if !pointer.is_null() {
            grow(layout.size());
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) };
        HELD.fetch_sub(layout.size(), Relaxed);
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let moved = unsafe { System.realloc(pointer, layout, size) };
        if !moved.is_null() {
            // Old and new can exist at the same time.
            grow(size);
            HELD.fetch_sub(layout.size(), Relaxed);
        }
        moved
    }
}

/// What a call took from the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heap {
    /// The most that was held beyond what was held before.
    pub peak_bytes: u64,
    pub allocations: u64,
}

/// Runs something that nothing else runs beside, and tells what it took from the heap.
pub fn measured<T>(work: impl FnOnce() -> T) -> (T, Heap) {
    let (held, allocations) = (HELD.load(Relaxed), ALLOCATIONS.load(Relaxed));
    PEAK.store(held, Relaxed);
    let result = work();
    let peak_bytes = PEAK.load(Relaxed).saturating_sub(held) as u64;
    (result, Heap { peak_bytes, allocations: ALLOCATIONS.load(Relaxed) - allocations })
}
