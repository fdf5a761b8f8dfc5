//! A stack of free chunks that one owner uses without synchronisation, until a thief declares it void.
//!
//! Each thread (by its number) and each `LocalPool` has one magazine a pool: an array of chunk
//! addresses and a length, as in Bonwick and Adams, *Magazines and Vmem* (2001). What is new here
//! is that another thread can empty it while its owner is anywhere, which an exact limit needs: a
//! chunk that is free must not be refused because it lies in somebody else's magazine.
//!
//! A change of one chunk is a single store; whether it met a theft is seen afterwards:
//!
//! ```text
//!   owner: acquire or release              thief, under the pool's lock
//!   ─────────────────────────              ────────────────────────────
//!   read or write slots[len]               pool's epoch += 1
//!   state = new len                        heavy barrier
//!   light barrier                          wait while busy
//!   the pool's epoch as ours? ── yes ─►    len of state: slots[..len] are the thief's,
//!      │                        done         and `taken` = len says so
//!      no ─► the lock: `taken` says who has the chunk (a `Dispute`)
//! ```
//!
//! Exchanging a batch with the depot takes longer, and a release by a chunk that may be the last
//! thing of its pool must not touch the pool afterwards: both announce themselves with `busy`, look at
//! the epoch, and only then change anything; the thief waits for them.
//!
//! The owner alone writes `busy` and `state`:
//!
//! | bits of `state` | name | meaning |
//! |---|---|---|
//! | 63..16 | `acquires` | chunks taken out to be used; moved elsewhere when bit 63 is set |
//! | 15..0 | `len` | chunks in `slots`, if `epoch` is the pool's; else there are none |
//!
//! `epoch` and `taken` are changed under the pool's lock: by the owner when it comes back after a
//! theft, and by the thief.
//!
//! # Invariants
//! - **M1** A magazine has one owner at a time; it alone writes `busy`, `state` and `slots`.
//! - **M2** After its heavy barrier a thief sees the state of every operation that found the old
//!   epoch; and every operation whose state it does not see finds the new epoch, and asks `taken`.
//!   So of a magazine's chunks each is the thief's or the owner's, and both know whose.
//! - **M3** While `busy` was announced and the epoch then found to be ours, no thief reads `slots`:
//!   either it sees `busy` and waits, or the owner sees the new epoch and touches nothing.
//! - **M4** A chunk is in `slots[..len]` only if nobody holds it and it is in no other place.
//! - **M5** `len <= capacity <= SLOTS`.
//! - **M6** While the magazine is robbed (`epoch` is not the pool's) and nothing is in dispute, `taken`
//!   is `len`: a change that meets the old theft is known to have come too late.
//! - **M7** A magazine that is void without a theft (the barrier failed) keeps its chunks until its
//!   owner gives them up, under the lock.
//!
//! Epochs have 64 bits: none comes twice.
//!
//! # Memory ordering
//! The owner's store of `state` is `Release`, the thief's load is `Acquire`: the thief sees the slots.
//! Everything else goes through the pool's lock. What an owner pays for being robbed is the look at
//! the epoch; the number of stores is what an operation costs (one a cycle), and there is none more.

mod owner;

pub(super) use owner::{Dispute, Owner};

use crate::sys::planted::planted;
use crate::sys::sync::atomic::Ordering::{Acquire, Relaxed};
use crate::sys::sync::atomic::{AtomicPtr, AtomicU64};
use crate::sys::sync::{UnsafeCell, spin_loop, yield_now};
use std::ptr::NonNull;

/// The most chunks that move between a magazine and the depot at once.
pub(in crate::memory) const BATCH_MAX: usize = 64;
/// A magazine holds two batches, so that an owner at the edge does not move one back and forth.
const SLOTS: usize = 2 * BATCH_MAX;

const LEN: u64 = ACQUIRE - 1;
const ACQUIRE: u64 = 1 << 16;
/// Half of the acquires that fit have been counted.
const MANY_ACQUIRES: u64 = 1 << 63;
/// `taken` when nothing was.
const NOT_ROBBED: u64 = u64::MAX;

/// One owner's free chunks. See the [module](self) for its invariants.
#[repr(C, align(128))]
#[derive(Debug)]
pub(in crate::memory) struct Magazine {
    state: AtomicU64,
    /// 1 while the owner is in the middle of a longer change.
    busy: AtomicU64,
    epoch: AtomicU64,
    capacity: u64,
    /// How many chunks the thief took in the theft that ended `epoch`.
    taken: AtomicU64,
    /// The acquires that were moved out of `state`.
    acquires: AtomicU64,
    slots: [UnsafeCell<*mut u8>; SLOTS],
    /// The next in the pool's list of magazines; never changes once this one is in it.
    pub(in crate::memory) next: AtomicPtr<Magazine>,
}

impl Magazine {
    /// An empty one; `batch` is at most [`BATCH_MAX`], `epoch` one that is over.
    pub(in crate::memory) fn new(batch: usize, epoch: u64) -> Self {
        assert!((1..=BATCH_MAX).contains(&batch));
        Self {
            state: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            epoch: AtomicU64::new(epoch),
            capacity: 2 * batch as u64,
            taken: AtomicU64::new(0),
            acquires: AtomicU64::new(0),
            slots: std::array::from_fn(|_| UnsafeCell::new(std::ptr::null_mut())),
            next: AtomicPtr::new(std::ptr::null_mut()),
        }
    }

    /// The right to use it.
    ///
    /// # Safety
    /// The caller is its owner (M1) for as long as the right is used.
    #[inline]
    pub(in crate::memory) unsafe fn owner(&self) -> Owner<'_> {
        Owner::new(self)
    }

    /// How many chunks are in it, if `epoch` is the pool's; may be out of date at once.
    pub(in crate::memory) fn len(&self, epoch: u64) -> usize {
        // Relaxed, both: a statistic; or under the pool's lock.
        if self.epoch.load(Relaxed) == epoch {
            (self.state.load(Relaxed) & LEN) as usize
        } else {
            0
        }
    }

    /// How many chunks were taken out of it to be used.
    pub(in crate::memory) fn acquires(&self) -> u64 {
        // Relaxed, both: a statistic.
        self.acquires.load(Relaxed) + self.state.load(Relaxed) / ACQUIRE
    }

    /// Takes everything out after the pool's epoch was changed from `before` and the heavy barrier
    /// was passed. Waits for an owner that is in the middle of something, even if it is preempted.
    ///
    /// For the holder of the pool's lock.
    pub(in crate::memory) fn rob(&self, before: u64, mut take: impl FnMut(NonNull<u8>)) {
        let mut looks = 0;
        // Acquire: pairs with the Release of `leave`: we see the state and the slots.
        while self.busy.load(Acquire) != 0 && !planted("magazine_robbed_while_busy") {
            looks += 1;
            if looks < 64 {
                spin_loop();
            } else {
                yield_now();
            }
        }
        // Acquire: pairs with the Release of `set_state`: we see the slots.
        let state = self.state.load(Acquire);
        // Relaxed, both: under the lock.
        if self.epoch.load(Relaxed) != before {
            return;
        }
        self.taken.store(state & LEN, Relaxed);
        for slot in &self.slots[..(state & LEN) as usize] {
            // SAFETY: M2, M3: the owner's next change finds the new epoch, and the one that may be
            // under way writes no slot below the length that we saw.
            let chunk = slot.with(|slot| unsafe { *slot });
            take(NonNull::new(chunk).expect("below len"));
        }
    }
}
