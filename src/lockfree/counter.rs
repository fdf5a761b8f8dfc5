//! A counter that many threads add to without sharing a cache line.
//!
//! Made for statistics on hot paths. Use a plain atomic where one thread writes, or
//! where the sum is read as often as it is written.
//!
//! - **Wait-free**: `add` is a load and a store on a line that the thread alone writes, or, in a
//!   process of many threads, one fetch-and-add on a line that few share.
//! - **Never allocates** after construction, never blocks, no syscall; except that the first call of
//!   a thread claims its number (lock-free) and registers its release at the thread's end, for which
//!   the system may allocate.
//! - **Sums are not snapshots**: `sum` reads shard after shard, so it may miss an addition that
//!   is under way while it counts a later one on another shard. It never exceeds what has been
//!   added, and two sums by one thread never go backwards (until a wrap at 2^64).
//! - **Not for signal handlers**: one that interrupts an addition of its own thread on the same
//!   counter may undo it.
//!
//! ```text
//!   thread 0 ──add──►  [ own 0    ]  cache lines of their own
//!   thread 1 ──add──►  [ own 1    ]
//!   thread 9 ──add──►  [ shared 0 ]  threads beyond the own shards share
//!                           └── sum() adds them up
//! ```
//!
//! # Invariants
//! - **I1** No update is lost: a shard has a single writer, or is changed by atomic
//!   read-modify-writes only (`lockfree/shards.rs`).
//! - **I2** Each shard only grows (modulo 2^64).
//!
//! # Memory ordering
//! Everything is `Relaxed`: a count says nothing about other memory. After joining the threads
//! that added, the sum is exact, because joining orders their additions before it.

use super::shards::Shards;
use crate::sys::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crossbeam_utils::CachePadded;
use std::fmt;

/// A sharded, monotone counter. See the [module](self) for its guarantees.
///
/// ```
/// use forthwith::lockfree::Counter;
///
/// let hits = Counter::new();
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| (0..1000).for_each(|_| hits.add(1)));
///     }
/// });
/// assert_eq!(hits.sum(), 4000);
/// ```
pub struct Counter {
    shards: Shards,
    cells: Box<[CachePadded<AtomicU64>]>,
}

impl Counter {
    /// A counter at zero, with a shard for a thread on each core that this process may use, and
    /// some besides.
    ///
    /// Allocates a padded cell a shard (128 bytes on x86-64 and aarch64). The first one in a process
    /// reads the CPU masks and cgroup files (see
    /// [`usable_cores`](crate::sys::topology::usable_cores)): make it before pinning the main thread.
    #[must_use]
    pub fn new() -> Self {
        const MAX_OWN: usize = 64;
        Self::build(Shards::for_this_machine(MAX_OWN))
    }

    /// A counter at zero in which at most `threads` threads (and at most 1024) have a shard of their
    /// own; with 0 all share. Allocates as [`new`](Self::new), reads no files.
    #[must_use]
    pub fn with_shards(threads: usize) -> Self {
        Self::build(Shards::new(threads))
    }

    fn build(shards: Shards) -> Self {
        Self { shards, cells: (0..shards.len()).map(|_| CachePadded::default()).collect() }
    }

    /// Adds `n`. Wait-free.
    #[inline]
    pub fn add(&self, n: u64) {
        let place = self.shards.place();
        place.add(&self.cells[place.shard], n);
    }

    /// The sum of all additions that happened before, and perhaps of some that run now.
    ///
    /// One load a shard; never blocks writers.
    #[must_use]
    pub fn sum(&self) -> u64 {
        // Relaxed: statistics only.
        self.cells.iter().fold(0, |sum, cell| sum.wrapping_add(cell.load(Relaxed)))
    }
}

impl Default for Counter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.sum()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Counter;

    #[test]
    fn threads_lose_nothing_on_shards_of_their_own_or_shared() {
        for shards in [0, 2, 64, usize::MAX] {
            let counter = Counter::with_shards(shards);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| (0..10_000).for_each(|_| counter.add(3)));
                }
            });
            assert_eq!(counter.sum(), 120_000);
        }
    }

    #[test]
    fn threads_that_come_and_go_lose_nothing() {
        let counter = Counter::new();
        for _ in 0..50 {
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| (0..100).for_each(|_| counter.add(1)));
                }
            });
        }
        assert_eq!(counter.sum(), 15_000);
    }

    #[test]
    fn a_sum_wraps_rather_than_panics() {
        let counter = Counter::with_shards(1);
        counter.add(u64::MAX);
        counter.add(2);
        assert_eq!(counter.sum(), 1);
    }
}
