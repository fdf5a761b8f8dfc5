//! A set under its lock: filling places, flipping them, and the order of eviction.
//!
//! See `set.rs` for the states of a place, the invariants and the memory ordering.

use super::policy::Visits;
use super::set::{CHANGING, Head, Inner, LANES, LOCKED, Seen, Set, Slots, VERSION};
use crate::lockfree::backoff::Backoff;
use crate::sys::planted::planted;
use crate::sys::sync::atomic::{
    Ordering::{Acquire, Relaxed, Release},
    fence,
};

/// The lock of a set; unlocks when dropped, also in a panic.
pub(super) struct Locked<'a, P> {
    set: Set<'a, P>,
    /// What the set's word holds.
    word: u64,
}

impl<'a, P> Set<'a, P> {
    /// Takes the lock: waits while another writer has it, for some hundred of its instructions, or
    /// for as long as the system does not let it run.
    #[inline]
    pub(super) fn lock(self) -> Locked<'a, P> {
        let mut backoff = Backoff::default();
        loop {
            if let Some(locked) = self.try_lock() {
                return locked;
            }
            backoff.wait();
        }
    }

    /// Takes the lock if it is free.
    #[inline]
    fn try_lock(self) -> Option<Locked<'a, P>> {
        let lock = &self.head.word;
        // Relaxed: the next guess.
        let word = lock.load(Relaxed);
        if word & LOCKED != 0 {
            return None;
        }
        // Acquire: pairs with the Release of the unlock: the last holder's changes are ours to see.
        let taken = lock.compare_exchange(word, word | LOCKED, Acquire, Relaxed);
        taken.ok().map(|_| Locked { set: self, word: word | LOCKED })
    }
}

impl<'a, P> Locked<'a, P> {
    /// The set.
    #[inline]
    pub(super) fn set(&self) -> Set<'a, P> {
        self.set
    }

    /// What the lock guards.
    #[inline]
    pub(super) fn inner<R>(&mut self, f: impl FnOnce(&mut Inner) -> R) -> R {
        // SAFETY: I4: we hold the lock, mutably, and nobody calls us from within `f`.
        self.set.rear().inner.with_mut(|inner| f(unsafe { &mut *inner }))
    }

    /// The version now, as a reader would begin with.
    #[inline]
    pub(super) fn seen(&self) -> Seen {
        Seen(self.word & !LOCKED)
    }

    // ---- places --------------------------------------------------------------------------

    /// A place to be filled, if one is free.
    #[inline]
    pub(super) fn free_slot(&self) -> Option<usize> {
        // Acquire: pairs with the Release in `free`.
        let used = Slots(self.set.head.flags.load(Acquire) as u32);
        Slots::ALL.without(used).next()
    }

    /// Begins to fill a free place: what is written to it after this call is not taken for what was in
    /// it. It is in use from here on.
    #[inline]
    pub(super) fn fill(&mut self, slot: usize, deadline: u64, stamped: bool) {
        let head = self.set.head;
        // Relaxed: under the lock; those who free places use read-modify-writes, too.
        head.flags.fetch_or(1 << slot, Relaxed);
        if !planted("cache_no_fill_fence") {
            // See `set.rs`: the flip that emptied the place comes first, whoever did that.
            fence(Release);
        }
        // Relaxed, all: published by the flip.
        if stamped {
            self.set.rear().stamps[slot].store(self.seen().count(), Relaxed);
        }
        if head.guarded.load(Relaxed) >> slot & 1 != 0 {
            head.guarded.fetch_and(!(1 << slot), Relaxed);
        }
        if head.visits.load(Relaxed) & Visits::all(slot) != 0 {
            head.visits.fetch_and(!Visits::all(slot), Relaxed);
        }
        self.set.set_deadline(slot, deadline);
    }

    /// In one step: the places in `empty` lose their tags, and `filled` gets its own.
    #[inline]
    pub(super) fn flip(&mut self, empty: Slots, filled: Option<(usize, u8)>) {
        self.change(|head| {
            for slot in empty {
                let tags = &head.tags[slot / LANES];
                // Relaxed, both: only the lock's holder changes tags.
                tags.store(tags.load(Relaxed) & !(0xFF << (slot % LANES * 8)), Relaxed);
            }
            if let Some((slot, tag)) = filled {
                let tags = &head.tags[slot / LANES];
                let filled = tags.load(Relaxed) | u64::from(tag) << (slot % LANES * 8);
                // Release: who finds the new tag also sees the old ones gone, and what was filled.
                tags.store(filled, Release);
            }
        });
    }

    /// In one step: the entry in a live place becomes another of the same key. For places whose readers check
    /// the version.
    #[inline]
    pub(super) fn overwrite(&mut self, slot: usize, deadline: u64, put: impl FnOnce()) {
        let (set, count) = (self.set, self.seen().count());
        self.change(|_| {
            // Relaxed, all: within the change.
            set.rear().stamps[slot].store(count, Relaxed);
            set.set_deadline(slot, deadline);
            put();
        });
        set.visit(slot);
    }

    /// Does what readers must not see in part.
    #[inline]
    fn change(&mut self, f: impl FnOnce(&Head)) {
        let head = self.set.head;
        // Relaxed: ordered before the changes by the fence (I2).
        if !planted("cache_flip_unannounced") {
            head.word.store(self.word | CHANGING, Relaxed);
        }
        if !planted("cache_flip_no_fence") {
            fence(Release);
        }
        f(head);
        self.word += VERSION;
        // Release: the changes come before the version.
        head.word.store(self.word, Release);
    }

    // ---- the order of eviction -----------------------------------------------------------

    /// How many entries live here.
    #[inline]
    pub(super) fn len(&mut self) -> usize {
        self.inner(|inner| inner.order.len())
    }

    /// An entry comes in.
    #[inline]
    pub(super) fn enter(&mut self, slot: usize, print: u16) {
        let share = &self.set.sets.share;
        self.inner(|inner| {
            inner.prints[slot] = print;
            inner.order.insert(slot, print, share);
        });
    }

    /// Entries leave that are not to be remembered.
    #[inline]
    pub(super) fn forget(&mut self, slots: Slots) {
        if !slots.is_empty() {
            self.inner(|inner| slots.for_each(|slot| inner.order.remove(slot)));
        }
    }

    /// An entry moves: so does its place in the order, and its visits, and one more.
    #[inline]
    pub(super) fn replace(&mut self, from: usize, to: usize) {
        self.inner(|inner| {
            inner.prints[to] = inner.prints[from];
            inner.order.replace(from, to);
        });
        let visits = &self.set.head.visits;
        // Relaxed, both: advice.
        let mut moved = (visits.load(Relaxed) & Visits::all(from)) >> from << to;
        moved |= Visits(moved).next(to).unwrap_or(0);
        visits.fetch_or(moved, Relaxed);
    }

    /// The entry that leaves to make room for one of that print, or 0 for none. There must be one.
    #[inline]
    pub(super) fn victim(&mut self, newcomer: u16) -> usize {
        let word = &self.set.head.visits;
        // Relaxed, both: advice.
        let before = word.load(Relaxed);
        let (mut visits, share) = (Visits(before), &self.set.sets.share);
        let victim = self.inner(|inner| {
            let prints = inner.prints;
            inner.order.victim(&mut visits, newcomer, |slot| prints[slot], share)
        });
        let cleared = before & !visits.0;
        if cleared != 0 {
            word.fetch_and(!cleared, Relaxed);
        }
        victim
    }

    /// The same, of those that may leave; `None` if none may. The others come in anew.
    pub(super) fn victim_of(&mut self, may_leave: impl Fn(usize) -> bool) -> Option<usize> {
        let mut others = Slots::default();
        let mut victim = None;
        while victim.is_none() && self.len() > 0 {
            let next = self.victim(0);
            if may_leave(next) {
                victim = Some(next);
            } else {
                others = others.or(Slots::one(next));
            }
        }
        for slot in others {
            let print = self.inner(|inner| inner.prints[slot]);
            self.enter(slot, print);
        }
        victim
    }
}

impl<P> Drop for Locked<'_, P> {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `try_lock`.
        self.set.head.word.store(self.word & !LOCKED, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::super::set::{NEVER, Sets};
    use super::*;

    fn one() -> Sets<()> {
        Sets::new(1, None).expect("memory")
    }

    #[test]
    fn a_flip_moves_tags_and_nothing_else() {
        let sets = one();
        let set = sets.set(0);
        let mut locked = set.lock();
        for slot in [0, 5, 31] {
            locked.fill(slot, NEVER, true);
            locked.flip(Slots(0), Some((slot, 7 + slot as u8)));
        }
        locked.fill(6, NEVER, true);
        locked.flip(Slots::one(5), Some((6, 12)));
        drop(locked);
        assert_eq!(set.matches(12), Slots::one(6));
        assert_eq!(set.live().collect::<Vec<_>>(), [0, 6, 31]);
        assert_eq!((set.tag(0), set.tag(5), set.tag(31)), (7, 0, 38));
    }

    #[test]
    fn a_reader_sees_that_something_was_flipped() {
        let sets = one();
        let set = sets.set(0);
        let seen = set.begin().expect("nobody writes");
        assert!(set.unchanged(seen));
        let mut locked = set.lock();
        assert!(set.unchanged(seen) && set.try_lock().is_none());
        locked.flip(Slots(0), None);
        assert!(!set.unchanged(seen));
        drop(locked);
        assert!(!set.unchanged(seen) && set.try_lock().is_some());
    }

    #[test]
    fn a_panic_under_the_lock_unlocks_it() {
        let sets = one();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _locked = sets.set(0).lock();
            panic!("on purpose");
        }));
        assert!(caught.is_err() && sets.set(0).try_lock().is_some());
    }

    #[test]
    fn a_place_has_a_deadline_only_when_it_was_filled_with_one() {
        let sets = one();
        let (set, mut locked) = (sets.set(0), sets.set(0).lock());
        locked.fill(3, 100, true);
        locked.flip(Slots(0), Some((3, 1)));
        assert_eq!((set.deadline(3), set.deadline(4)), (100, NEVER));
        set.free(Slots::one(3));
        locked.fill(3, NEVER, true);
        assert_eq!(set.deadline(3), NEVER);
    }

    #[test]
    fn a_place_in_use_is_not_given_out() {
        let sets = one();
        let mut locked = sets.set(0).lock();
        for expected in 0..super::super::set::SLOTS {
            assert_eq!(locked.free_slot(), Some(expected));
            locked.fill(expected, NEVER, true);
        }
        assert_eq!(locked.free_slot(), None);
        sets.set(0).free(Slots::one(9));
        assert_eq!(locked.free_slot(), Some(9));
    }

    #[test]
    fn visits_saturate_and_are_cleared_when_a_place_is_filled() {
        let sets = one();
        let set = sets.set(0);
        for _ in 0..9 {
            set.visit(4);
        }
        assert_eq!(Visits(set.head.visits.load(Relaxed)).next(4), None);
        set.lock().fill(4, NEVER, true);
        assert_eq!(set.head.visits.load(Relaxed), 0);
    }
}
