//! The meeting point of one result: the protocol between who completes and who waits.
//!
//! A slot is used by exactly two handles, a [`Completer`](super::Completer) and a
//! [`Ticket`](super::Ticket), which add the types. Here are the states, the sleeping, and the two
//! questions that such a structure has to answer without a lock: whether the task starts or is
//! cancelled, and who is the last to leave, and so gives the slot back.
//!
//! ```text
//!                     completer                             ticket
//!                     ─────────                             ──────
//!   PENDING ─────────────────────────────────────────────►  poll(): not yet
//!      │                                                    wait(): + PARKED, sleep
//!      │                                                    cancel(): one exchange,
//!      │              start(): one exchange                   PENDING ──► CANCELLED + TICKET_LEFT
//!      ├─ CANCELLED ──────► no: must not run
//!      ├─ else ───────────► + STARTED ───────────────────►  cancel(): too late, + ASKED
//!      │
//!      │              finish(outcome), started or not
//!      │   write the payload
//!      │   one exchange:
//!      ├─ nobody parked ──► outcome + COMPLETER_LEFT ────►  take(), recycle
//!      ├─ PARKED ─────────► outcome, wake, then
//!      │                    + COMPLETER_LEFT ────────────►  take(), + TICKET_LEFT
//!      │                       └── the later of the two recycles
//!      └─ TICKET_LEFT ────► takes the payload back, recycles
//! ```
//!
//! | bits | name | meaning | who may change it |
//! |---|---|---|---|
//! | 0–2 | outcome | 0 pending, 1 value, 2 panicked, 3 abandoned, 4 expired | the completer, once |
//! | 3 | `PARKED` | the ticket sleeps, or is about to | the ticket; cleared with the outcome |
//! | 4 | `STARTED` | the task runs, or is about to | the completer; cleared with the outcome |
//! | 5 | `CANCELLED` | the task must not start | the ticket, with `TICKET_LEFT` |
//! | 6 | `COMPLETER_LEFT` | the completer will not touch the slot again | the completer |
//! | 7 | `TICKET_LEFT` | the ticket will not touch the slot again | the ticket |
//! | 8 | `ASKED` | a task that was started should stop | the ticket; cleared with the outcome |
//!
//! # Invariants
//! - **I1** The payload belongs to the completer while the outcome is pending, then to the
//!   ticket; to the completer again if `TICKET_LEFT` came before the outcome.
//! - **I2** A handle sets its `LEFT` bit as its last access. Who finds the other's bit set when
//!   setting its own, or before, is alone with the slot and recycles it; exactly one does.
//! - **I3** If the ticket sleeps, `PARKED` was set while the outcome was pending, so the exchange
//!   that sets the outcome sees it, and the completer wakes the ticket before it leaves. `STARTED`
//!   may come while the ticket sleeps or falls asleep: it needs no wake-up, and a ticket that saw
//!   the word change without an outcome sleeps on the new one, at most once more.
//! - **I4** `STARTED` and `CANCELLED` are never both set: each is set by an exchange from a state
//!   without the other, and without an outcome. The first of the two exchanges decides.
//! - **I5** While the ticket does not wait, `PARKED` is clear. So from the ticket's side, neither
//!   started nor done is the one state `PENDING`, and cancelling is one exchange.
//!
//! # Memory ordering
//! The exchange that sets the outcome is `Release`, the loads that find it are `Acquire`: the
//! payload is whole when it is taken. `LEFT` bits are set by `AcqRel` read-modify-writes (or found
//! by `Acquire`): whoever recycles comes after everything the other one did. Cancelling is also
//! leaving, so it is `Release`, and a `start` that finds it is `Acquire`: it comes after what the
//! ticket's thread did before. `STARTED` publishes nothing; all it orders is itself and
//! `CANCELLED`, which are bits of one word. `ASKED` is `Release`, and read with `Acquire`: a task that
//! finds it sees what the ticket's thread did before.

use super::inline::Inline;
use super::patience::look_for;
use super::slots::Shared;
use crate::sys::futex::Wake;
use crate::sys::planted::planted;
use crate::sys::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release};
use crate::sys::sync::{Arc, Futex, UnsafeCell, wait_spins, yield_now};
use std::ptr::NonNull;
use std::time::Instant;

/// How often a waiter lets others run before it sleeps.
const YIELDS: u32 = 2;

const PENDING: u32 = 0;
const OUTCOME: u32 = 0b0000_0111;
const PARKED: u32 = 0b0000_1000;
const STARTED: u32 = 0b0001_0000;
const CANCELLED: u32 = 0b0010_0000;
const COMPLETER_LEFT: u32 = 0b0100_0000;
const TICKET_LEFT: u32 = 0b1000_0000;
const ASKED: u32 = 0b1_0000_0000;

/// How the completer ended; what the payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The payload is the value.
    Value = 1,
    /// The payload is what the task panicked with.
    Panicked = 2,
    /// There is no payload.
    Abandoned = 3,
    /// There is no payload: the deadline of the task passed before it was started.
    Expired = 4,
}

impl Outcome {
    fn of(state: u32) -> Option<Self> {
        match state & OUTCOME {
            1 => Some(Self::Value),
            2 => Some(Self::Panicked),
            3 => Some(Self::Abandoned),
            4 => Some(Self::Expired),
            _ => None,
        }
    }
}

/// 64 bytes: one cache line, with a four-byte futex.
pub(super) struct Slot {
    state: Futex,
    /// The place in the pool, if there is one.
    index: u32,
    /// The pool to return to; `None` for a slot of its own allocation.
    home: UnsafeCell<Option<Arc<Shared>>>,
    payload: UnsafeCell<Inline>,
}

impl Slot {
    /// A pending slot without a pool, or for place `index` of one that will lend it out.
    #[inline]
    pub(super) fn new(index: u32) -> Self {
        Self {
            state: Futex::new(PENDING),
            index,
            home: UnsafeCell::new(None),
            payload: UnsafeCell::new(Inline::EMPTY),
        }
    }
}

/// One of the two handles' view of a slot.
///
/// **Invariant:** the slot exists until both handles have left (I2), so that the view is valid
/// for as long as its own handle has not.
pub(super) struct SlotRef(NonNull<Slot>);

// SAFETY: any number of threads may hold a pointer to a slot: by I1 and I2 each part of it has
// one owner at a time, and the state word, which says who, is atomic. What a payload may do on
// another thread is the concern of the typed handles.
unsafe impl Send for Slot {}
// SAFETY: as above.
unsafe impl Sync for Slot {}

impl SlotRef {
    /// A slot of its own allocation, shared by two handles.
    #[inline]
    pub(super) fn boxed() -> Self {
        Self(NonNull::from(Box::leak(Box::new(Slot::new(0)))))
    }

    /// The slot at place `index`, which was popped from the free list of `home`.
    #[inline]
    pub(super) fn lent(home: &Arc<Shared>, index: u32) -> Self {
        let slot = home.slot(index);
        // SAFETY: who popped the index is alone with the slot until it hands out the handles.
        slot.home.with_mut(|own| unsafe { own.write(Some(Arc::clone(home))) });
        Self(NonNull::from(slot))
    }

    /// The other handle's view.
    pub(super) fn twin(&self) -> Self {
        Self(self.0)
    }

    #[inline]
    fn get(&self) -> &Slot {
        // SAFETY: the invariant of this type; callers hold a handle that has not left.
        unsafe { self.0.as_ref() }
    }

    /// The completer's question whether the task may run: `false` if the ticket has cancelled it.
    /// From a `true` on, it cannot be. May be asked again; the answer stays the same.
    pub(super) fn start(&self) -> bool {
        let word = self.get().state.word();
        let mut state = PENDING;
        while state & (STARTED | CANCELLED) == 0 {
            // This line decides between starting and cancelling (I4).
            // Relaxed: publishes nothing. Acquire on failure: pairs with the Release in `cancel`.
            match word.compare_exchange(state, state | STARTED, Relaxed, Acquire) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        state & CANCELLED == 0
    }

    /// The completer's last act: publishes the outcome, or hands the payload back if the ticket
    /// has left. Wakes the ticket if it sleeps (one syscall).
    ///
    /// # Safety
    /// Called once, by the completer, which does not use the slot afterwards.
    pub(super) unsafe fn finish<P>(&self, outcome: Outcome, payload: P) -> Result<(), P> {
        let slot = self.get();
        // SAFETY: I1: pending, so the payload is the completer's.
        slot.payload.with_mut(|own| unsafe { (*own).put(payload) });
        let mut state = PENDING;
        while state & TICKET_LEFT == 0 {
            let parked = state & PARKED != 0;
            let stays = parked && !planted("slot_left_before_waking");
            let left = if stays { 0 } else { COMPLETER_LEFT };
            let after = outcome as u32 | left;
            // Release: publishes the payload to the Acquire in `poll`, and our leaving to it.
            // Acquire on failure: pairs with the ticket's leaving in `abandon` or `cancel`.
            let publish = if planted("slot_unpublished") { Relaxed } else { Release };
            match slot.state.word().compare_exchange(state, after, publish, Acquire) {
                Ok(_) if parked => {
                    slot.state.wake_one();
                    // SAFETY: by the caller's promise this is the completer's last access.
                    unsafe { self.leave(COMPLETER_LEFT) };
                    return Ok(());
                }
                Ok(_) => return Ok(()),
                Err(now) => state = now,
            }
        }
        // SAFETY: I1: the ticket left before the outcome, so what we put there is ours again.
        let payload = slot.payload.with_mut(|own| unsafe { take(own) });
        // SAFETY: I2: we found the ticket's bit and are leaving.
        unsafe { self.recycle() };
        Err(payload)
    }

    /// Whether the ticket has left, by cancelling or without, so that nobody waits for the outcome.
    pub(super) fn is_unwanted(&self) -> bool {
        // Relaxed: a hint; `finish` finds out for certain.
        self.get().state.word().load(Relaxed) & TICKET_LEFT != 0
    }

    /// Whether the ticket has cancelled, before the start or after.
    pub(super) fn is_asked_to_stop(&self) -> bool {
        // Acquire: pairs with the Release in `cancel`.
        self.get().state.word().load(Acquire) & (ASKED | CANCELLED) != 0
    }

    /// What tells slots in use apart.
    pub(super) fn address(&self) -> usize {
        self.0.addr().get()
    }

    /// The ticket's look: the outcome, if there is one. One load.
    #[inline]
    pub(super) fn poll(&self) -> Option<Outcome> {
        // Acquire: pairs with the Release in `finish`; the payload is whole.
        Outcome::of(self.get().state.word().load(Acquire))
    }

    /// Whether it is too late to cancel: the task was started, or there is an outcome.
    pub(super) fn is_started(&self) -> bool {
        // Relaxed: says nothing about other memory. It stays true: the exchange that clears
        // `STARTED` sets the outcome.
        self.get().state.word().load(Relaxed) & (STARTED | OUTCOME) != 0
    }

    /// The ticket sleeps until there is an outcome, or until `deadline` passes without one.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> Option<Outcome> {
        if let Some(outcome) = self.poll().or_else(|| look_for(|| self.poll())) {
            return Some(outcome);
        }
        // Whoever completes may want this very core: being switched to costs both less than a sleep and
        // a wake-up, and it completes as much as it has until then.
        for _ in 0..wait_spins().min(YIELDS) {
            yield_now();
            if let Some(outcome) = self.poll() {
                return Some(outcome);
            }
        }
        let futex = &self.get().state;
        // Relaxed: announces us, publishes nothing.
        let mut state = match self.add_to_pending(PARKED, Relaxed) {
            Ok(state) => state,
            Err(outcome) => return Some(outcome),
        };
        loop {
            let wake = futex.wait(state, deadline);
            // Acquire: as in `poll`.
            state = futex.word().load(Acquire);
            if let Some(outcome) = Outcome::of(state) {
                return Some(outcome);
            }
            if wake == Wake::TimedOut {
                // Acquire: as in `poll`, for an outcome that came with the deadline.
                return Outcome::of(futex.word().fetch_and(!PARKED, Acquire));
            }
        }
    }

    /// The ticket takes the payload and leaves.
    ///
    /// # Safety
    /// Called by the ticket after `poll` or `wait` has returned an outcome whose payload is a
    /// `P`, as its last use.
    pub(super) unsafe fn take<P>(&self) -> P {
        // SAFETY: I1: there is an outcome, so the payload is the ticket's.
        let payload = self.get().payload.with_mut(|own| unsafe { take(own) });
        // SAFETY: by the caller's promise this is the ticket's last access.
        unsafe { self.leave(TICKET_LEFT) };
        payload
    }

    /// The ticket leaves without waiting. If there is an outcome already, it has to be taken:
    /// then nothing is done and it is returned.
    ///
    /// # Safety
    /// Called by the ticket; if it returns `None`, as its last use.
    pub(super) unsafe fn abandon(&self) -> Option<Outcome> {
        // Release: pairs with the Acquire of the failing exchange in `finish`.
        self.add_to_pending(TICKET_LEFT, Release).err()
    }

    /// The ticket leaves and sees to it that the task is not started. If it was, it is asked to stop;
    /// then, or if there is an outcome, the answer is `false`.
    ///
    /// # Safety
    /// Called by the ticket, which is not waiting; if it returns `true`, as its last use.
    pub(super) unsafe fn cancel(&self) -> bool {
        let word = self.get().state.word();
        let after = CANCELLED | TICKET_LEFT;
        if planted("slot_cancel_races_start") {
            let pending = word.load(Acquire) == PENDING;
            if pending {
                word.store(after, Release);
            }
            return pending;
        }
        // This line decides between starting and cancelling (I4); only `PENDING` can be
        // cancelled (I5).
        // Release: pairs with the Acquire of the failing exchanges in `start` and `finish`.
        // Relaxed on failure: nothing is read because of it.
        if word.compare_exchange(PENDING, after, Release, Relaxed).is_ok() {
            return true;
        }
        if planted("slot_asked_over_outcome") {
            let state = word.load(Acquire);
            if Outcome::of(state).is_none() {
                word.store(state | ASKED, Release);
            }
            return false;
        }
        // Release: pairs with the Acquire in `is_asked_to_stop`. Who has an outcome need not be asked.
        let _ = self.add_to_pending(ASKED, Release);
        false
    }

    /// The ticket adds `bit` while there is no outcome, and returns the state with it; else the
    /// outcome. A few exchanges at most: meanwhile only `STARTED` and the outcome can come.
    fn add_to_pending(&self, bit: u32, success: Ordering) -> Result<u32, Outcome> {
        let word = self.get().state.word();
        let mut state = PENDING;
        loop {
            // Acquire on failure: as in `poll`.
            match word.compare_exchange(state, state | bit, success, Acquire) {
                Ok(_) => return Ok(state | bit),
                Err(now) => state = now,
            }
            if let Some(outcome) = Outcome::of(state) {
                return Err(outcome);
            }
        }
    }

    /// Sets `own` bit and recycles the slot if the other handle has left before.
    ///
    /// # Safety
    /// `own` is the calling handle's bit; the handle does not use the slot afterwards.
    #[inline]
    unsafe fn leave(&self, own: u32) {
        let other = own ^ (COMPLETER_LEFT | TICKET_LEFT);
        let word = self.get().state.word();
        // Acquire: pairs with the Release by which the other one left. If it has, nobody else
        // looks at the word any more and our bit need not be set.
        // AcqRel: the same, and our accesses come before the other one's recycling.
        if word.load(Acquire) & other != 0 || word.fetch_or(own, AcqRel) & other != 0 {
            // SAFETY: I2: both have left, and we are the one who found out.
            unsafe { self.recycle() };
        }
    }

    /// Gives the slot back to its pool, or frees it.
    ///
    /// # Safety
    /// I2: the caller is alone with the slot, and does not use it afterwards.
    #[inline]
    unsafe fn recycle(&self) {
        let slot = self.get();
        // SAFETY: alone with the slot, by the caller's promise.
        let home = slot.home.with_mut(|own| unsafe { own.replace(None) });
        if let Some(home) = home {
            // Relaxed: the Release of the push below publishes it to the next owner.
            slot.state.word().store(PENDING, Relaxed);
            home.give_back(slot.index);
        } else {
            // SAFETY: made by `boxed`, and nobody else looks at it.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}

/// Takes a `P` out of `room`.
///
/// # Safety
/// `room` is the caller's alone, and a `P` was put there and has not been taken.
unsafe fn take<P>(room: *mut Inline) -> P {
    // SAFETY: the caller's promise.
    let room = unsafe { &mut *room };
    // SAFETY: the caller's promise.
    unsafe { room.take() }
}

#[cfg(test)]
mod tests {
    use super::Slot;
    use crate::sys::sync::Futex;

    #[test]
    fn a_slot_is_a_cache_line() {
        if cfg!(all(target_os = "linux", target_pointer_width = "64")) {
            assert_eq!(size_of::<Futex>(), 4);
            assert_eq!(size_of::<Slot>(), 64);
        }
    }
}
