//! The hot paths allocate nothing: counted by the allocator itself, thread by thread, with
//! controls that must count.

#[cfg(feature = "cache")]
mod cache;
#[cfg(feature = "cpu")]
mod cpu;
#[cfg(feature = "io")]
mod journal;
mod lockfree;
#[cfg(feature = "memory")]
mod memory;
#[cfg(feature = "io")]
mod reader;
#[cfg(feature = "io")]
mod scratch;
#[cfg(feature = "threads")]
mod threads;
#[cfg(feature = "io")]
mod writer;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Bytes that this thread has allocated, less those that it has freed.
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, counting per thread.
struct Counting;

// SAFETY: every call is passed on to `System` unchanged; counting does not allocate, because the
// thread-local is const-initialised and has no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        BYTES.set(BYTES.get() + layout.size().cast_signed());
        // SAFETY: the caller's promise is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.set(BYTES.get() - layout.size().cast_signed());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        BYTES.set(BYTES.get() + size.cast_signed() - layout.size().cast_signed());
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROUNDS: u64 = 1_000;

/// How many allocations this thread makes in `ROUNDS` runs of `op`, after one to warm up.
fn allocations(mut op: impl FnMut()) -> u64 {
    op();
    let before = ALLOCATIONS.get();
    for _ in 0..ROUNDS {
        op();
    }
    ALLOCATIONS.get() - before
}

#[test]
fn the_count_counts() {
    assert_eq!(allocations(|| drop(black_box(Box::new(1)))), ROUNDS);
    let mut grown = Vec::with_capacity(1);
    assert!(allocations(|| grown.push(black_box(1_u64))) > 0, "realloc counts, too");
    let before = BYTES.get();
    let mut bytes = Vec::<u8>::with_capacity(black_box(100));
    bytes.reserve_exact(black_box(300));
    assert_eq!(BYTES.get() - before, 300);
    drop(bytes);
    assert_eq!(BYTES.get(), before);
}
