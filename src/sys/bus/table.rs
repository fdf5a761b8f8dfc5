//! The ranges that are watched: a fixed table that a signal handler can read at any moment.
//!
//! Claimed and released by ordinary threads, read by handlers that may have interrupted any of them
//! anywhere. A handler takes no lock and never waits: it looks at each slot as a sequence lock's reader
//! would, and what is being changed is not what it looks for, because whoever reads a range keeps it.
//!
//! ```text
//!   state  { version : 62, FREE | CLAIMED | LIVE }
//!
//!   FREE ──claim, CAS──▶ CLAIMED ──range, flag──▶ LIVE ──release──▶ CLAIMED ──no handler inside──▶ FREE
//!                                                   ▲ only now a handler acts on it    version + 1 ┘
//! ```
//!
//! | who | writes | when |
//! |---|---|---|
//! | the claimer | `state`, `start`, `end`, `poisoned` | while the slot is its own: CLAIMED |
//! | handlers | `poisoned` | while the slot is LIVE |
//!
//! # Invariants
//! - **T1** `start..end` of a slot change only while it is CLAIMED, and `version` between two lives.
//! - **T2** When `release` returns, no handler acts on the range any more, nor will one.
//!
//! # Memory ordering
//! A reader's `fence(Acquire)` behind its loads of the range pairs with the claimer's `fence(Release)`
//! before its stores of the next: who saw a word of a later life also sees that the state has changed.
//! T2 is a store-buffer pattern. The handler says that it is inside, has a fence, and reads the state; who
//! releases changes the state, has a fence, and reads who is inside. If its store comes first, the handler
//! finds a slot that is not live; if the handler's does, the releaser sees it, and waits.

use crate::sys::fork;
use std::ops::Range;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, fence};
use std::thread;

/// How many ranges there can be.
pub(super) const CAPACITY: usize = 4096;

const FREE: u64 = 0;
const CLAIMED: u64 = 1;
const LIVE: u64 = 2;
const PHASE: u64 = 3;
const VERSION: u64 = 4;

/// The part of [`Inside`] that counts.
const COUNT: u64 = u32::MAX as u64;

/// The table of the process.
pub(super) static TABLE: Table = Table::new();

/// A place for a range; in a cache line of its own, because the flag is looked at with every read.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Slot {
    /// { version, FREE | CLAIMED | LIVE }
    state: AtomicU64,
    start: AtomicUsize,
    end: AtomicUsize,
    poisoned: AtomicBool,
}

/// All places. See the [module](self).
#[derive(Debug)]
pub(super) struct Table {
    slots: [Slot; CAPACITY],
    /// Slots from here on have never been claimed.
    watermark: AtomicUsize,
    inside: Inside,
    hits: AtomicU64,
}

impl Table {
    #[allow(clippy::large_stack_arrays, reason = "for statics")]
    const fn new() -> Self {
        Self {
            slots: [const { Slot::new() }; CAPACITY],
            watermark: AtomicUsize::new(0),
            inside: Inside(AtomicU64::new(0)),
            hits: AtomicU64::new(0),
        }
    }

    /// A slot for `range`, not poisoned; `None` if all are in use. Looks at each slot at most once.
    pub(super) fn claim(&self, range: Range<usize>) -> Option<&Slot> {
        let index = self.slots.iter().position(Slot::try_claim)?;
        // Relaxed: a handler that must see the slot runs on a thread that got the range from us, or is
        // us: it sees what came before.
        self.watermark.fetch_max(index + 1, Relaxed);
        let slot = &self.slots[index];
        slot.publish(range);
        Some(slot)
    }

    /// Ends the life of a claimed slot; waits for handlers that are at work now.
    pub(super) fn release(&self, slot: &Slot) {
        slot.hide();
        // SeqCst: the releaser's side of T2, between hiding the slot and asking who is inside.
        fence(SeqCst);
        self.inside.wait_for_nobody();
        slot.free();
    }

    /// For the handler: does `act` with the slot and the range in which `address` lies, if there is one, and
    /// returns what it says. Counts it if that is true.
    pub(super) fn act(
        &self,
        address: usize,
        act: impl FnOnce(&Slot, Range<usize>) -> bool,
    ) -> bool {
        self.inside.enter();
        // SeqCst: the handler's side of T2, between saying that it is inside and reading states.
        fence(SeqCst);
        let done = self.find(address).is_some_and(|(slot, range)| act(slot, range));
        if done {
            // Relaxed: a statistic.
            self.hits.fetch_add(1, Relaxed);
        }
        self.inside.leave();
        done
    }

    fn find(&self, address: usize) -> Option<(&Slot, Range<usize>)> {
        // Relaxed: see `claim`.
        let used = self.watermark.load(Relaxed);
        let live = self.slots[..used].iter().filter_map(|slot| Some((slot, slot.range()?)));
        live.into_iter().find(|(_, range)| range.contains(&address))
    }

    pub(super) fn hits(&self) -> u64 {
        // Relaxed: a statistic.
        self.hits.load(Relaxed)
    }

    pub(super) fn watched(&self) -> usize {
        self.slots.iter().filter(|slot| slot.range().is_some()).count()
    }
}

impl Slot {
    const fn new() -> Self {
        Self {
            state: AtomicU64::new(FREE),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            poisoned: AtomicBool::new(false),
        }
    }

    fn try_claim(&self) -> bool {
        // Relaxed: only a look, before a write to the line.
        let state = self.state.load(Relaxed);
        // Acquire: pairs with the Release in `free`: what the last owner did with the slot is over.
        // Relaxed on failure: another slot is tried.
        state & PHASE == FREE
            && self.state.compare_exchange(state, state | CLAIMED, Acquire, Relaxed).is_ok()
    }

    fn publish(&self, range: Range<usize>) {
        // Release: pairs with the Acquire fence in `range`: who sees a word below also sees the claim.
        fence(Release);
        // Relaxed, all three: ours (T1), and behind the fence.
        self.poisoned.store(false, Relaxed);
        self.start.store(range.start, Relaxed);
        self.end.store(range.end, Relaxed);
        // Relaxed: nobody but us can change it.
        let claimed = self.state.load(Relaxed);
        // Release: pairs with the Acquire in `range`: who sees the slot live sees its range.
        self.state.store(claimed & !PHASE | LIVE, Release);
    }

    fn hide(&self) {
        // Relaxed: nobody but us can change it.
        let live = self.state.load(Relaxed);
        // Relaxed: the fence in `release` orders it.
        self.state.store(live & !PHASE | CLAIMED, Relaxed);
    }

    fn free(&self) {
        // Relaxed: nobody but us can change it.
        let claimed = self.state.load(Relaxed);
        // Release: pairs with the Acquire in `try_claim`.
        self.state.store((claimed & !PHASE).wrapping_add(VERSION) | FREE, Release);
    }

    /// The range, if the slot is live and was all the time.
    fn range(&self) -> Option<Range<usize>> {
        // Acquire: pairs with the Release in `publish`.
        let before = self.state.load(Acquire);
        if before & PHASE != LIVE {
            return None;
        }
        // Relaxed, both: checked below.
        let range = self.start.load(Relaxed)..self.end.load(Relaxed);
        // Acquire: pairs with the Release fence in `publish`.
        fence(Acquire);
        // Relaxed: behind the fence.
        (self.state.load(Relaxed) == before).then_some(range)
    }

    /// Marks the range as lost. For the handler.
    pub(super) fn poison(&self) {
        // Release: the bytes that others read in this range from here on may be zeros, and who reads one
        // has gone through the system's locks behind this store (I2).
        self.poisoned.store(true, Release);
    }

    #[inline]
    pub(super) fn is_poisoned(&self) -> bool {
        // Acquire: pairs with the Release in `poison`.
        self.poisoned.load(Acquire)
    }
}

/// How many handlers are at work in this process: { forks, count }.
///
/// The child of a `fork` has one thread, which was in no handler: what its parent's other threads were
/// doing does not count.
#[derive(Debug)]
struct Inside(AtomicU64);

impl Inside {
    fn enter(&self) {
        let entered = |word| {
            let count = if word >> 32 == here() { word & COUNT } else { 0 };
            Some(here() << 32 | (count + 1))
        };
        // AcqRel: keeps what the handler does behind it; the fence that follows does the rest.
        let _ = self.0.fetch_update(AcqRel, Relaxed, entered);
    }

    fn leave(&self) {
        // Release: pairs with the Acquire in `wait_for_nobody`: what we did to the mapping is done.
        self.0.fetch_sub(1, Release);
    }

    fn wait_for_nobody(&self) {
        loop {
            // Acquire: pairs with the Release in `leave`.
            let word = self.0.load(Acquire);
            if word >> 32 != here() || word & COUNT == 0 {
                return;
            }
            thread::yield_now();
        }
    }
}

fn here() -> u64 {
    u64::from(fork::forks())
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, Table};
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
    use std::thread;

    /// A table of its own, on the heap.
    fn table() -> &'static Table {
        static TABLES: [Table; 4] = [const { Table::new() }; 4];
        static NEXT: AtomicU64 = AtomicU64::new(0);
        &TABLES[NEXT.fetch_add(1, Relaxed) as usize]
    }

    #[test]
    fn an_address_is_found_in_its_range_while_it_is_watched() {
        let table = table();
        let (low, high) = (table.claim(100..200).unwrap(), table.claim(200..300).unwrap());
        let at = |address| table.find(address).map(|(_, range)| range.start);
        let expected =
            [(99, None), (100, Some(100)), (199, Some(100)), (200, Some(200)), (300, None)];
        for (address, start) in expected {
            assert_eq!(at(address), start);
        }
        table.release(low);
        assert_eq!((at(150), at(250)), (None, Some(200)));
        table.release(high);
        assert_eq!((at(250), table.watched()), (None, 0));
    }

    #[test]
    fn a_slot_is_clean_when_it_is_used_again() {
        let table = table();
        let slot = table.claim(0..10).unwrap();
        assert!(table.act(5, |slot, _| {
            slot.poison();
            true
        }));
        assert!(slot.is_poisoned());
        assert!(!table.act(50, |_, _| true), "not ours");
        assert_eq!(table.hits(), 1);
        table.release(slot);
        let again = table.claim(20..30).unwrap();
        assert!(std::ptr::eq(slot, again));
        assert!(!again.is_poisoned());
    }

    #[test]
    fn a_full_table_refuses() {
        let table = table();
        let slots: Vec<_> = (0..CAPACITY).map(|_| table.claim(0..1).unwrap()).collect();
        assert!(table.claim(0..1).is_none());
        table.release(slots[7]);
        assert!(table.claim(0..1).is_some());
    }

    #[test]
    fn no_handler_acts_on_a_range_that_has_been_released_nor_on_a_mix_of_two() {
        let (table, stop) = (table(), AtomicBool::new(false));
        // Ranges with the address 1000 in them are owned here, one at a time; `alive` is its number. Relaxed: it
        // is `claim` and `release` that must order it, a fence of its own would hide that they do not.
        let alive = AtomicU64::new(0);
        let acted = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(Relaxed) {
                        let found = table.act(1000, |_, range| {
                            let number = alive.load(Relaxed);
                            assert_ne!(number, 0, "it was released");
                            assert_eq!(range.end, range.start + 2000, "a mix of two ranges");
                            number == alive.load(Relaxed)
                        });
                        acted.fetch_add(u64::from(found), Relaxed);
                    }
                });
            }
            let mut round = 0;
            while round < 20_000 || acted.load(Relaxed) == 0 {
                round += 1;
                alive.store(round, Relaxed);
                let slot = table.claim(round as usize % 900..round as usize % 900 + 2000).unwrap();
                table.release(slot);
                alive.store(0, Relaxed);
                // Another range in the same slot, in which the address is not.
                let slot = table.claim(5000..7000).unwrap();
                table.release(slot);
            }
            stop.store(true, Relaxed);
        });
    }
}
