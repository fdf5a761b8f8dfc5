//! Where a thread adds: a cell that it alone writes, or one that it shares.
//!
//! What [`Counter`](super::Counter) and [`Histogram`](super::Histogram) have in common. The first
//! threads of a process, by their [`thread_index`], own a shard each and change it with a load
//! and a store; the rest share some more shards and pay a read-modify-write.
//!
//! ```text
//!   thread_index   0        1        2        3        4, 5, 6, …
//!                  ▼        ▼        ▼        ▼        ▼
//!   shard        [ own 0 ][ own 1 ][ own 2 ][ own 3 ][ shared 0 ]
//!                  load, store                         fetch_add
//! ```
//!
//! # Invariants
//! - **I1** A shard below `own` has one writer at a time: the thread of that index, which is one
//!   thread's alone below `EXCLUSIVE`; its next owner sees what the last one wrote (see
//!   `sys/thread_index.rs`).
//! - **I2** A shared shard is changed by read-modify-writes only.

use crate::sys::planted::planted;
use crate::sys::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sys::sync::{EXCLUSIVE, OWN_SHARDS_MAX, known_thread_index, thread_index};

/// How many shards there are of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shards {
    own: usize,
    /// A power of two.
    shared: usize,
}

/// A shard, and whether the calling thread alone writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) shard: usize,
    own: bool,
}

impl Shards {
    /// Room for `own` threads (within `EXCLUSIVE`), and a quarter as many shards for the others.
    pub(super) fn new(own: usize) -> Self {
        Self { own: own.min(EXCLUSIVE), shared: (own / 4).clamp(1, 16).next_power_of_two() }
    }

    /// Room for a thread on each core that this process may use and a few besides, at most `max`.
    pub(super) fn for_this_machine(max: usize) -> Self {
        const BESIDES: usize = 2;
        let threads = crate::sys::topology::usable_cores() + BESIDES;
        Self::new(threads.next_power_of_two().min(max).min(OWN_SHARDS_MAX))
    }

    /// How many there are.
    pub(super) fn len(self) -> usize {
        self.own + self.shared
    }

    /// Where the calling thread adds.
    #[inline]
    pub(super) fn place(self) -> Place {
        let index = thread_index();
        if index < self.own {
            Place { shard: index, own: true }
        } else {
            Place { shard: self.own + (index & (self.shared - 1)), own: false }
        }
    }
}

impl Shards {
    /// Where the calling thread adds, if it has been asked before and has a shard of its own.
    #[inline]
    #[cfg_attr(not(feature = "io"), allow(dead_code, reason = "for the components that use it"))]
    pub(super) fn known_place(self) -> Option<Place> {
        let index = known_thread_index();
        (index < self.own).then_some(Place { shard: index, own: true })
    }
}

impl Place {
    /// Adds `n` to a cell of this place's shard. Wait-free.
    #[inline]
    pub(super) fn add(self, cell: &AtomicU64, n: u64) {
        // Relaxed, all of them: statistics only; no other memory is read because of the value.
        if self.own || planted("shards_lost_update") {
            // I1: nobody writes between our load and our store.
            cell.store(cell.load(Relaxed).wrapping_add(n), Relaxed);
        } else {
            cell.fetch_add(n, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Shards;

    #[test]
    fn every_thread_has_a_place_within_the_shards() {
        for own in [0, 1, 2, 7, 64, usize::MAX] {
            let shards = Shards::new(own);
            assert!(shards.shared.is_power_of_two());
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(move || assert!(shards.place().shard < shards.len()));
                }
            });
        }
    }
}
