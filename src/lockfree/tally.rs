//! Several counters that move together: one line a thread, found once.
//!
//! What happens some ten million times a second on each core cannot pay for several
//! [`Counter`](super::Counter)s: each finds its shard anew, and each writes a line of its own. Here they lie
//! side by side.
//!
//! ```text
//!   thread 0 ──▶ [ reads, bytes, …  ]  a cache line of its own: loads and stores
//!   thread 1 ──▶ [ reads, bytes, …  ]
//!   thread 9 ──▶ [ reads, bytes, …  ]  shared: read-modify-writes
//! ```
//!
//! Each counter is what a `Counter` is: exact, wait-free, relaxed (`lockfree/shards.rs`). Sums of two
//! counters may be of different moments.

use super::shards::Shards;
use crate::sys::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crossbeam_utils::CachePadded;
use std::fmt;

/// `N` counters. See the [module](self).
pub(crate) struct Tally<const N: usize> {
    shards: Shards,
    lines: Box<[CachePadded<[AtomicU64; N]>]>,
}

impl<const N: usize> Tally<N> {
    /// All at zero. One allocation: a cache line a core, and some.
    pub(crate) fn new() -> Self {
        const MAX_OWN: usize = 64;
        let shards = Shards::for_this_machine(MAX_OWN);
        let line = |_| CachePadded::new([(); N].map(|()| AtomicU64::new(0)));
        Self { shards, lines: (0..shards.len()).map(line).collect() }
    }

    /// Adds to each counter if the calling thread is known to have a line of its own, else false: then
    /// [`add`](Self::add) does it. In a handful of instructions.
    #[inline]
    #[must_use]
    pub(crate) fn try_add(&self, amounts: [u64; N]) -> bool {
        let Some(place) = self.shards.known_place() else { return false };
        // SAFETY: a place is one of the shards, and there is a line for each (`new`).
        let line = unsafe { self.lines.get_unchecked(place.shard) };
        for (cell, amount) in line.iter().zip(amounts) {
            place.add(cell, amount);
        }
        true
    }

    /// Adds to each counter. Wait-free.
    pub(crate) fn add(&self, amounts: [u64; N]) {
        let place = self.shards.place();
        for (cell, amount) in self.lines[place.shard].iter().zip(amounts) {
            place.add(cell, amount);
        }
    }

    /// The sum of all that was added to counter `index`, and perhaps of what is being added.
    pub(crate) fn sum(&self, index: usize) -> u64 {
        // Relaxed: statistics only.
        self.lines.iter().fold(0, |sum, line| sum.wrapping_add(line[index].load(Relaxed)))
    }
}

impl<const N: usize> fmt::Debug for Tally<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries((0..N).map(|index| self.sum(index))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn threads_lose_nothing_whether_they_were_known_or_not() {
        let tally = Tally::<2>::new();
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        if !tally.try_add([1, 3]) {
                            tally.add([1, 3]);
                        }
                    }
                });
            }
        });
        assert_eq!((tally.sum(0), tally.sum(1)), (120_000, 360_000));
    }

    #[test]
    fn a_thread_is_known_once_it_has_added() {
        let tally = Tally::<1>::new();
        tally.add([5]);
        // Unless more threads live than have lines.
        assert!(tally.try_add([2]) || crate::sys::sync::thread_index() > 1);
        assert!(tally.sum(0) >= 5);
    }
}
