//! What an owner does with its magazine: one store for a chunk, an announced change for a batch.

use super::super::depot::Depot;
use super::{ACQUIRE, LEN, MANY_ACQUIRES, Magazine, NOT_ROBBED};
use crate::sys::planted::planted;
use crate::sys::sync::atomic::AtomicU64;
use crate::sys::sync::atomic::Ordering::{Relaxed, Release};
use crate::sys::sync::{UnsafeCell, light_barrier};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// A change of one chunk that met a theft; settled under the pool's lock.
#[derive(Debug, Clone, Copy)]
pub(in crate::memory) struct Dispute {
    /// The state before the change.
    before: u64,
    chunk: NonNull<u8>,
}

/// The right to use a magazine as its owner.
#[derive(Debug, Clone, Copy)]
pub(in crate::memory) struct Owner<'a> {
    magazine: &'a Magazine,
    /// A thread's number is its own: the right does not travel.
    _not_send: PhantomData<*const ()>,
}

impl<'a> Owner<'a> {
    /// For [`Magazine::owner`], whose caller promises that it is one.
    #[inline]
    pub(super) fn new(magazine: &'a Magazine) -> Self {
        Self { magazine, _not_send: PhantomData }
    }

    /// Takes a chunk to be used. Fails if there is none here, or if it is disputed.
    #[inline]
    pub(in crate::memory) fn pop(self, epoch: &AtomicU64) -> Result<NonNull<u8>, Option<Dispute>> {
        let before = self.state();
        if before & LEN == 0 {
            return Err(None);
        }
        let chunk = self.get((before & LEN) - 1);
        self.set_state((before - 1).wrapping_add(ACQUIRE));
        if self.is_current(epoch) { Ok(chunk) } else { Err(Some(Dispute { before, chunk })) }
    }

    /// Keeps a chunk that nobody uses any more. Fails if there is no room, or if it is disputed.
    ///
    /// For a caller who keeps the pool alive.
    #[inline]
    pub(in crate::memory) fn push(
        self,
        epoch: &AtomicU64,
        chunk: NonNull<u8>,
    ) -> Result<(), Option<Dispute>> {
        let before = self.state();
        if !self.has_room(before) {
            return Err(None);
        }
        self.set(before & LEN, chunk);
        self.set_state(before + 1);
        if self.is_current(epoch) { Ok(()) } else { Err(Some(Dispute { before, chunk })) }
    }

    /// As `push`, and touches neither the magazine nor the epoch once the chunk is kept.
    #[inline]
    pub(in crate::memory) fn push_last(self, epoch: &AtomicU64, chunk: NonNull<u8>) -> bool {
        let state = self.state();
        let kept = self.enter(epoch) && self.has_room(state);
        if kept {
            self.set(state & LEN, chunk);
            self.set_state(state + 1);
        }
        self.leave();
        kept
    }

    /// Whether the owner has the chunk that it took out when it was robbed. Under the pool's lock.
    pub(in crate::memory) fn settle_pop(self, dispute: Dispute) -> Option<NonNull<u8>> {
        if self.taken() == dispute.before & LEN && !planted("magazine_dispute_ignored") {
            self.set_state(dispute.before);
            return None;
        }
        Some(dispute.chunk)
    }

    /// Whether the thief has the chunk that the owner put in when it was robbed. Under the pool's lock.
    pub(in crate::memory) fn settle_push(self, dispute: Dispute) -> bool {
        let gone = self.taken() == (dispute.before & LEN) + 1;
        if !gone {
            self.set_state(dispute.before);
        }
        gone
    }

    /// Brings a batch of the depot here, if there is nothing. Lock-free.
    pub(in crate::memory) fn refill(self, epoch: &AtomicU64, depot: &Depot) {
        let mut state = self.state();
        if self.enter(epoch) && state & LEN == 0 {
            depot.take(|chunk| {
                self.set(state & LEN, chunk);
                state += 1;
            });
            self.set_state(state);
        }
        self.leave();
    }

    /// Makes room by giving the older half to the depot, if there is none. Lock-free.
    pub(in crate::memory) fn spill(self, epoch: &AtomicU64, depot: &Depot) {
        let mut state = self.move_acquires(self.state());
        if self.enter(epoch) && state & LEN == self.magazine.capacity {
            let batch = self.magazine.capacity / 2;
            if depot.put(|index| self.get(index as u64)) {
                (0..batch).for_each(|index| self.set(index, self.get(batch + index)));
                state -= batch;
            }
        }
        self.set_state(state);
        self.leave();
    }

    /// Enters the pool's present epoch: what was robbed is forgotten. Under the pool's lock.
    pub(in crate::memory) fn resync(self, epoch: u64) {
        let len = self.magazine.len(epoch) as u64;
        self.set_state(self.state() & !LEN | len);
        // Relaxed, both: read by thieves under the lock.
        self.magazine.epoch.store(epoch, Relaxed);
        self.magazine.taken.store(NOT_ROBBED, Relaxed);
    }

    /// Gives up what is in a void magazine: to `give`, if no thief took it. Under the pool's lock, with
    /// nothing in dispute.
    pub(in crate::memory) fn vacate(self, epoch: u64, mut give: impl FnMut(NonNull<u8>)) {
        // Relaxed: written under the lock.
        if self.magazine.epoch.load(Relaxed) == epoch {
            return;
        }
        let state = self.state();
        if self.taken() == NOT_ROBBED {
            (0..state & LEN).for_each(|index| give(self.get(index)));
        }
        // Relaxed: written under the lock.
        self.magazine.taken.store(0, Relaxed);
        self.set_state(state & !LEN);
    }

    /// Whether nothing is in it. Under the pool's lock, after `resync`.
    pub(in crate::memory) fn is_empty(self) -> bool {
        self.state() & LEN == 0
    }

    /// Puts a chunk in; there is room. Under the pool's lock, after `resync`.
    pub(in crate::memory) fn add(self, chunk: NonNull<u8>) {
        let state = self.state();
        self.set(state & LEN, chunk);
        self.set_state(state + 1);
    }

    /// Takes everything out, unused. Under the pool's lock, after `resync`.
    pub(in crate::memory) fn unload(self, mut take: impl FnMut(NonNull<u8>)) {
        let state = self.state();
        (0..state & LEN).for_each(|index| take(self.get(index)));
        self.set_state(state & !LEN);
    }

    #[inline]
    fn state(self) -> u64 {
        // Relaxed: our own word (M1).
        self.magazine.state.load(Relaxed)
    }

    #[inline]
    fn set_state(self, state: u64) {
        // Release: pairs with the thief's Acquire in `rob`: it sees the slots.
        self.magazine.state.store(state, Release);
    }

    /// Announces a longer change; false if the magazine was robbed, and is not to be touched.
    #[inline]
    fn enter(self, epoch: &AtomicU64) -> bool {
        // Relaxed: ordered before the look at the epoch by the barrier (M3). A word of its own: two
        // stores to `state` in a row cost the next operation, which reads it, ten nanoseconds.
        self.magazine.busy.store(1, Relaxed);
        self.is_current(epoch)
    }

    /// Ends a longer change.
    #[inline]
    fn leave(self) {
        // Release: pairs with the thief's Acquire in `rob`.
        self.magazine.busy.store(0, Release);
    }

    /// Whether no theft came before what was just stored in `state`.
    #[inline]
    fn is_current(self, epoch: &AtomicU64) -> bool {
        if !planted("magazine_no_barrier") {
            light_barrier();
        }
        // Relaxed, both: ordered after our store by the barrier (M2); ours changes under the lock.
        epoch.load(Relaxed) == self.magazine.epoch.load(Relaxed)
    }

    #[inline]
    fn has_room(self, state: u64) -> bool {
        // With many acquires counted there is none, either: `spill` moves them.
        state & (LEN | MANY_ACQUIRES) < self.magazine.capacity
    }

    fn taken(self) -> u64 {
        // Relaxed: under the lock.
        self.magazine.taken.load(Relaxed)
    }

    /// `state` with room to count more acquires.
    fn move_acquires(self, state: u64) -> u64 {
        if state & MANY_ACQUIRES == 0 {
            return state;
        }
        // Relaxed: a statistic with one writer. For a moment a snapshot may see these twice.
        let moved = self.magazine.acquires.load(Relaxed) + MANY_ACQUIRES / ACQUIRE;
        self.magazine.acquires.store(moved, Relaxed);
        state & !MANY_ACQUIRES
    }

    #[inline]
    fn set(self, index: u64, chunk: NonNull<u8>) {
        self.slot(index).with_mut(|slot| {
            // SAFETY: M1: ours to write. A thief reads below a length that it saw, and at or above that
            // only what was published with the length (M2), or nothing (M3).
            unsafe { *slot = chunk.as_ptr() }
        });
    }

    #[inline]
    fn get(self, index: u64) -> NonNull<u8> {
        // SAFETY: M1: only we write it.
        let chunk = self.slot(index).with(|slot| unsafe { *slot });
        // SAFETY: below `len`, where `set` put something that is not null.
        unsafe { NonNull::new_unchecked(chunk) }
    }

    #[inline]
    fn slot(&self, index: u64) -> &UnsafeCell<*mut u8> {
        debug_assert!(index < self.magazine.capacity);
        // SAFETY: M5: the index is below the length, or below the capacity where a chunk is added.
        unsafe { self.magazine.slots.get_unchecked(index as usize) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(number: usize) -> NonNull<u8> {
        NonNull::new(std::ptr::without_provenance_mut(number)).expect("not 0")
    }

    /// A magazine in epoch 1, which is current.
    fn magazine() -> (Magazine, AtomicU64) {
        let magazine = Magazine::new(2, 0);
        // SAFETY: nobody else has it.
        unsafe { magazine.owner() }.resync(1);
        (magazine, AtomicU64::new(1))
    }

    #[test]
    fn chunks_come_back_last_in_first_out_until_there_is_no_room() {
        let (magazine, epoch) = magazine();
        // SAFETY: this thread alone uses it.
        let owner = unsafe { magazine.owner() };
        assert!((1..=2).all(|number| owner.push(&epoch, chunk(number)).is_ok()));
        assert!((3..=4).all(|number| owner.push_last(&epoch, chunk(number))));
        assert!(matches!(owner.push(&epoch, chunk(5)), Err(None)));
        assert!(!owner.push_last(&epoch, chunk(5)));
        assert_eq!(owner.pop(&epoch).ok(), Some(chunk(4)));
        assert_eq!((magazine.len(1), magazine.acquires()), (3, 1));
    }

    #[test]
    fn a_robbed_magazine_is_empty_until_its_owner_comes_back() {
        let (magazine, epoch) = magazine();
        // SAFETY: this thread alone uses it.
        let owner = unsafe { magazine.owner() };
        owner.push(&epoch, chunk(1)).expect("current");
        epoch.store(2, Relaxed);
        let mut loot = Vec::new();
        magazine.rob(1, |chunk| loot.push(chunk));
        assert_eq!(loot, [chunk(1)]);
        magazine.rob(2, |_| panic!("robbed of what it does not have"));
        for _ in 0..3 {
            let dispute = owner.pop(&epoch).unwrap_err().expect("disputed");
            assert_eq!(owner.settle_pop(dispute), None, "the thief has it");
            let dispute = owner.push(&epoch, chunk(2)).unwrap_err().expect("disputed");
            assert!(!owner.settle_push(dispute), "the owner has it");
            assert!(!owner.push_last(&epoch, chunk(2)));
        }
        assert_eq!((magazine.len(2), magazine.acquires()), (0, 0));
        owner.resync(2);
        assert!(matches!(owner.pop(&epoch), Err(None)));
        owner.push(&epoch, chunk(3)).expect("current");
        assert_eq!(owner.pop(&epoch).ok(), Some(chunk(3)));
    }

    #[test]
    fn a_change_that_the_thief_saw_stands() {
        let (magazine, epoch) = magazine();
        // SAFETY: this thread alone uses it.
        let owner = unsafe { magazine.owner() };
        owner.push(&epoch, chunk(1)).expect("current");
        epoch.store(2, Relaxed);
        // The owner's changes come before the thief's look, its own looks after.
        let dispute = owner.push(&epoch, chunk(2)).unwrap_err().expect("disputed");
        let mut loot = Vec::new();
        magazine.rob(1, |chunk| loot.push(chunk));
        assert_eq!(loot, [chunk(1), chunk(2)]);
        assert!(owner.settle_push(dispute));

        let (magazine, epoch) = self::magazine();
        // SAFETY: this thread alone uses it.
        let owner = unsafe { magazine.owner() };
        owner.push(&epoch, chunk(1)).expect("current");
        epoch.store(2, Relaxed);
        let dispute = owner.pop(&epoch).unwrap_err().expect("disputed");
        magazine.rob(1, |_| panic!("it is empty"));
        assert_eq!(owner.settle_pop(dispute), Some(chunk(1)));
    }

    #[test]
    fn a_void_magazine_that_nobody_robbed_is_given_up_by_its_owner() {
        let (magazine, epoch) = magazine();
        // SAFETY: this thread alone uses it.
        let owner = unsafe { magazine.owner() };
        owner.push(&epoch, chunk(1)).expect("current");
        owner.push(&epoch, chunk(2)).expect("current");
        epoch.store(2, Relaxed);
        let dispute = owner.pop(&epoch).unwrap_err().expect("disputed");
        assert_eq!(owner.settle_pop(dispute), Some(chunk(2)), "nobody else can have it");
        let mut given = Vec::new();
        owner.vacate(2, |chunk| given.push(chunk));
        owner.vacate(2, |_| panic!("given up already"));
        assert_eq!(given, [chunk(1)]);
        magazine.rob(2, |_| panic!("it is empty"));
    }

    #[test]
    fn acquires_are_counted_beyond_the_bits_that_are_there_for_them() {
        let (magazine, epoch) = magazine();
        // SAFETY: this thread alone uses it.
        let owner = unsafe { magazine.owner() };
        owner.set_state(MANY_ACQUIRES - ACQUIRE);
        assert!(owner.push_last(&epoch, chunk(1)));
        owner.pop(&epoch).expect("current");
        let counted = magazine.acquires();
        assert_eq!(counted, MANY_ACQUIRES / ACQUIRE);
        assert!(!owner.push_last(&epoch, chunk(1)));
        owner.spill(&epoch, &Depot::new(4, 2).expect("small"));
        assert!(owner.push_last(&epoch, chunk(1)));
        assert_eq!(magazine.acquires(), counted);
    }
}
