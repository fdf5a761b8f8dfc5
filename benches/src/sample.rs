//! One measurement: so many operations, how long they took, how often they allocated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Barrier;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What some operations took, set-up and tear-down not included.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// From the start of the first thread to the end of the last.
    pub elapsed: Duration,
    /// How often any thread asked the allocator for memory meanwhile.
    pub allocations: u64,
}

/// Measures `ops` calls of `op` on this thread.
pub fn repeat(ops: u64, mut op: impl FnMut()) -> Sample {
    measure(|| (0..ops).for_each(|_| op()))
}

/// Measures threads that start together, one for each of `roles`, until the last ends.
///
/// # Panics
/// If one of them does.
#[must_use]
pub fn together<F: FnOnce() + Send>(roles: Vec<F>) -> Sample {
    let (ready, go) = (Barrier::new(roles.len() + 1), Barrier::new(roles.len() + 1));
    std::thread::scope(|scope| {
        let threads: Vec<_> = roles
            .into_iter()
            .map(|role| {
                let (ready, go) = (&ready, &go);
                scope.spawn(move || {
                    ready.wait();
                    go.wait();
                    role();
                })
            })
            .collect();
        ready.wait();
        measure(|| {
            go.wait();
            for thread in threads {
                thread.join().expect("a measured thread does not panic");
            }
        })
    })
}

fn measure(work: impl FnOnce()) -> Sample {
    // Relaxed: the threads that count are started and joined by `work`.
    let before = ALLOCATIONS.load(Relaxed);
    let start = Instant::now();
    work();
    let elapsed = start.elapsed();
    Sample { elapsed, allocations: ALLOCATIONS.load(Relaxed) - before }
}

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);

/// What was allocated and not freed while [`COUNTS`] was set. Only differences mean something.
#[must_use]
pub fn live_bytes() -> i64 {
    // Relaxed: whoever counts joins the threads that allocate.
    LIVE_BYTES.load(Relaxed)
}

/// The system's allocator, counting requests and bytes.
///
/// The counts are shared words. They cost a contender that allocates a few nanoseconds an
/// allocation, so [`COUNTS`] turns them off for the runs that are timed.
#[derive(Debug)]
pub struct Counting;

/// Whether [`Counting`] counts.
pub static COUNTS: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

impl Counting {
    fn note(requests: u64, bytes: i64) {
        // Relaxed: set before the threads that are counted are started.
        if COUNTS.load(Relaxed) {
            // Relaxed: statistics.
            ALLOCATIONS.fetch_add(requests, Relaxed);
            LIVE_BYTES.fetch_add(bytes, Relaxed);
        }
    }
}

// SAFETY: every call is passed on to `System` unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::note(1, layout.size().cast_signed() as i64);
        // SAFETY: the caller's promise is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Self::note(0, -(layout.size().cast_signed() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::note(1, size.cast_signed() as i64 - layout.size().cast_signed() as i64);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
