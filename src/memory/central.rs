//! What a pool's lock protects: loose chunks, memory not committed yet, the waiters, and the mode.
//!
//! The lock is for what is rare: a magazine and the depot are both empty (or full), the limit is
//! reached, memory goes back, the pool closes.
//!
//! ```text
//!               every chunk is somewhere, none is here
//!     Sharing ──────────────────────────────────────────► Searched
//!     magazines hold what they like;                      magazines are void: every chunk goes
//!     the lock is for growth alone                        through here, in order
//!        ▲                                                   │
//!        └──── nobody waits, and enough is free again ───────┘
//!                                   close() ──► Closed ──► last handle dropped ──► Dead
//! ```
//!
//! Between `Searched` and back lies a search of all magazines, which costs a microsecond or so; a
//! pool that stays at its limit stays `Searched`, where an acquire costs one uncontended lock.
//!
//! # Invariants
//! - **C1** In every mode but `Sharing`, magazines are void: each free chunk is loose or in the
//!   depot, and only the holder of the lock touches the depot. Free chunks can be counted. (If the
//!   kernel refused the barrier, some are with their owners until those come here, and the pool
//!   never shares again.)
//! - **C2** Somebody waits only if no chunk is free and none can be committed: who releases one
//!   hands it to the first waiter.

use super::backing::Backing;
use super::bitmap::Bitmap;
use super::depot::Depot;
use super::idle;
use super::magazine::Magazine;
use super::waiters::Waiters;
use std::ptr::NonNull;

/// How chunks move; see the [module](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Through magazines.
    Sharing,
    /// Through the lock, until there is enough again.
    Searched,
    /// Only back: nothing is handed out any more.
    Closed,
    /// Nobody has a handle: what comes back is counted, and the last chunk frees the pool.
    Dead,
}

/// What the lock protects.
#[derive(Debug)]
pub(super) struct Central {
    pub(super) mode: Mode,
    pub(super) backing: Backing,
    pub(super) waiters: Waiters,
    pub(super) idle: idle::Memory,
    pub(super) high_water: usize,
    /// Magazines that local pools gave back.
    pub(super) spare: Vec<NonNull<Magazine>>,
    /// Free chunks that make no batch. Never more than two batches.
    loose: Vec<NonNull<u8>>,
    batch: usize,
    /// Whether magazines can be searched, and so may be used.
    can_share: bool,
    /// Chunks that came or went since the last search.
    moves: u64,
}

// SAFETY: the addresses in it are chunks that nobody holds, not borrowed from any thread.
unsafe impl Send for Central {}

/// What [`is_relaxed`] looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pressure {
    free: usize,
    total: usize,
    /// What all magazines together may keep from others.
    hoard: usize,
    /// Chunks that came or went since the search.
    moves: u64,
}

/// Whether a searched pool can go back to sharing without being searched again soon.
///
/// It can when more is free than the magazines may hoard, or half of the pool; and not before so
/// many chunks have moved that another search would cost each of them a few nanoseconds.
pub(super) fn is_relaxed(pressure: Pressure) -> bool {
    const MOVES_MIN: u64 = 256;
    let enough = pressure.hoard.min(pressure.total / 2).max(1);
    pressure.free >= enough && pressure.moves >= MOVES_MIN
}

impl Central {
    pub(super) fn new(can_share: bool, backing: Backing, batch: usize) -> Self {
        Self {
            mode: if can_share { Mode::Sharing } else { Mode::Searched },
            can_share,
            backing,
            waiters: Waiters::new(),
            idle: idle::Memory::default(),
            high_water: 0,
            spare: Vec::new(),
            loose: Vec::with_capacity(2 * batch),
            batch,
            moves: 0,
        }
    }

    /// Takes one free chunk: a loose one, one of the depot, or a new one.
    pub(super) fn take(&mut self, depot: &Depot) -> Option<NonNull<u8>> {
        self.moves += 1;
        if self.loose.is_empty() && !depot.take(|chunk| self.loose.push(chunk)) {
            self.commit(depot, 1, false);
        }
        self.loose.pop()
    }

    /// Takes up to a batch of free chunks, as `take`; each goes to `put`.
    pub(super) fn take_batch(&mut self, depot: &Depot, mut put: impl FnMut(NonNull<u8>)) -> usize {
        if self.loose.is_empty() && !depot.take(|chunk| self.loose.push(chunk)) {
            self.commit(depot, self.batch, false);
        }
        let taken = self.loose.len().min(self.batch);
        self.loose.drain(self.loose.len() - taken..).for_each(&mut put);
        taken
    }

    /// Keeps a chunk that nobody holds.
    pub(super) fn put(&mut self, depot: &Depot, chunk: NonNull<u8>) {
        self.moves += 1;
        stow(&mut self.loose, self.batch, depot, chunk);
    }

    /// Makes up to `want` new chunks; how many.
    pub(super) fn commit(&mut self, depot: &Depot, want: usize, prefault: bool) -> usize {
        let Self { backing, loose, batch, .. } = self;
        let made = backing.commit(want, prefault, |chunk| stow(loose, *batch, depot, chunk));
        self.high_water = self.high_water.max(self.backing.committed());
        made
    }

    /// How many chunks can still be made.
    pub(super) fn room(&self) -> usize {
        self.backing.geometry().total - self.backing.committed()
    }

    /// How many loose chunks there are.
    pub(super) fn loose(&self) -> usize {
        self.loose.len()
    }

    /// How many free chunks are here or in the depot: all of them but those in magazines.
    pub(super) fn free(&self, depot: &Depot) -> usize {
        self.loose.len() + depot.chunks()
    }

    /// The magazines are void; `found` if what was in them is here.
    pub(super) fn searched(&mut self, found: bool) {
        self.mode = Mode::Searched;
        self.moves = 0;
        self.can_share &= found;
    }

    /// Lets magazines be used again, if there is enough for them.
    pub(super) fn relax(&mut self, depot: &Depot, magazines: usize) {
        let pressure = Pressure {
            free: self.free(depot),
            total: self.backing.geometry().total,
            hoard: 2 * self.batch * magazines,
            moves: self.moves,
        };
        let searched = self.can_share && self.mode == Mode::Searched;
        if searched && self.waiters.len() == 0 && is_relaxed(pressure) {
            self.mode = Mode::Sharing;
        }
    }

    /// Gives up to `want` free chunks' memory back, and how many it was.
    ///
    /// Takes time in proportion to the free chunks.
    pub(super) fn trim(&mut self, depot: &Depot, want: usize) -> usize {
        let geometry = self.backing.geometry();
        let Ok(mut free) = Bitmap::new(geometry.total) else { return 0 };
        let number = |chunk: NonNull<u8>| geometry.number(chunk.as_ptr()).expect("a chunk of ours");
        self.loose.drain(..).for_each(|chunk| free.insert(number(chunk)));
        while depot.take(|chunk| free.insert(number(chunk))) {}
        let given = self.backing.decommit(&mut free, want);
        // The lowest last, so that they are used first.
        for number in (0..geometry.total).rev().filter(|number| free.contains(*number)) {
            self.put(depot, geometry.address(number));
        }
        given
    }
}

/// Puts a chunk among the loose ones; two batches of them become one and one in the depot.
fn stow(loose: &mut Vec<NonNull<u8>>, batch: usize, depot: &Depot, chunk: NonNull<u8>) {
    loose.push(chunk);
    if loose.len() >= 2 * batch {
        let last = loose.len() - 1;
        if depot.put(|index| loose[last - index]) {
            loose.truncate(loose.len() - batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pressure, is_relaxed};

    #[test]
    fn a_pool_is_relaxed_when_magazines_can_be_filled_without_starving_anybody() {
        let table = [
            // free, total, hoard, moves, relaxed
            (0, 8, 4, 1_000, false),
            (3, 8, 4, 1_000, false),
            (4, 8, 4, 1_000, true),
            (4, 8, 4, 255, false),
            // Magazines that could hold the whole pool: half of it is enough.
            (499, 1_000, 10_000, 1_000, false),
            (500, 1_000, 10_000, 1_000, true),
            // A pool of one chunk.
            (0, 1, 2, 1_000, false),
            (1, 1, 2, 1_000, true),
        ];
        for (free, total, hoard, moves, relaxed) in table {
            assert_eq!(
                is_relaxed(Pressure { free, total, hoard, moves }),
                relaxed,
                "{free}/{total}"
            );
        }
    }
}
