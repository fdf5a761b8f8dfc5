//! The pool: who gets an arena, and what all of them may take.

use super::config::{ArenaBuildError, ArenaPoolBuilder, Plan};
use super::guard::Arena;
use super::policy::{self, Keep};
use super::stats::{ArenaCounters, ArenaGauges, ArenaStats};
use crate::lockfree::capacity::boxed_slice;
use crate::lockfree::event::TimedOut;
use crate::lockfree::{Event, FreeList};
use crate::sys::planted::planted;
use crate::sys::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use crate::sys::sync::{Mutex, MutexGuard, UnsafeCell};
use bumpalo::Bump;
use std::fmt;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// Lends arenas, under one byte limit over all of them. See the [module](super) for how.
///
/// ```
/// use forthwith::memory::ArenaPool;
/// use rayon::prelude::*;
///
/// let arenas = ArenaPool::builder("queries").limit_bytes(1 << 20).build()?;
/// let sums: Vec<u64> = (0..1000_u64)
///     .into_par_iter()
///     .map_init(
///         || arenas.get(),
///         |arena, number| {
///             let sum = arena.alloc_slice_fill_with(100, |index| index as u64 * number).iter().sum();
///             // The memory is there for the next one at once.
///             arena.reset();
///             sum
///         },
///     )
///     .collect();
/// assert_eq!(sums[2], 9900);
/// assert!(arenas.stats().charged_bytes <= 1 << 20);
/// # Ok::<(), forthwith::memory::ArenaBuildError>(())
/// ```
pub struct ArenaPool {
    idle: FreeList,
    slots: Box<[Slot]>,
    /// What is promised or kept (A2).
    charged: AtomicUsize,
    /// Held while idle arenas' memory is freed (A3).
    thief: Mutex<()>,
    returned: Event,
    plan: Plan,
    high_water: AtomicUsize,
    counters: ArenaCounters,
    name: Box<str>,
}

/// An arena and what it keeps while nobody has it.
#[derive(Debug)]
struct Slot {
    bump: UnsafeCell<Bump>,
    retained: AtomicUsize,
}

// SAFETY: a `Bump` may be moved between threads, and is used by one at a time (A1).
unsafe impl Sync for Slot {}

/// Why there is no arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GetError {
    /// More than the pool could ever lend.
    TooLarge {
        /// What was asked for.
        asked: usize,
        /// The limit over all arenas.
        limit_bytes: usize,
    },
    /// All arenas were lent, or what they were promised left too little of the limit.
    Exhausted {
        /// What was asked for.
        asked: usize,
    },
    /// Neither changed before the deadline.
    TimedOut,
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { asked, limit_bytes } => {
                write!(f, "an arena of {asked} bytes is over the limit of {limit_bytes} for all")
            }
            Self::Exhausted { asked } => {
                write!(f, "no arena is free, or the others leave less than {asked} bytes")
            }
            Self::TimedOut => write!(f, "no arena came back before the deadline"),
        }
    }
}

impl std::error::Error for GetError {}

impl ArenaPool {
    /// Begins a pool; see [`ArenaPoolBuilder`] for its settings and what they are if not set.
    pub fn builder(name: impl Into<String>) -> ArenaPoolBuilder {
        ArenaPoolBuilder::new(name.into())
    }

    pub(super) fn build(builder: ArenaPoolBuilder) -> Result<Self, ArenaBuildError> {
        let plan = builder.plan()?;
        Ok(Self {
            idle: FreeList::full(plan.arenas)?,
            slots: boxed_slice(plan.arenas, |_| Slot {
                bump: UnsafeCell::new(Bump::new()),
                retained: AtomicUsize::new(0),
            })?,
            charged: AtomicUsize::new(0),
            thief: Mutex::new(()),
            returned: Event::new(),
            plan,
            high_water: AtomicUsize::new(0),
            counters: ArenaCounters::default(),
            name: builder.name.into_boxed_str(),
        })
    }

    /// Lends an arena with the pool's [`arena_bytes`](ArenaPoolBuilder::arena_bytes); waits, for ever,
    /// while all are lent.
    ///
    /// Fits [rayon's `map_init`](https://docs.rs/rayon/1/rayon/iter/trait.ParallelIterator.html), whose
    /// workers hold one at a time. Work that gets a second arena while it holds one (nested parallel
    /// iterators do) may wait for itself: use [`try_get`](Self::try_get), or have arenas enough.
    ///
    /// Lock-free and without allocation unless it has to wait, or to free idle arenas' memory.
    #[must_use]
    pub fn get(&self) -> Arena<'_> {
        self.wait(self.plan.arena_bytes)
    }

    /// Lends an arena, or says that there is none. Never waits for one.
    ///
    /// # Errors
    /// [`GetError::Exhausted`].
    pub fn try_get(&self) -> Result<Arena<'_>, GetError> {
        self.try_get_with(self.plan.arena_bytes)
    }

    /// As [`get`](Self::get), for at most `timeout`. One that overflows the clock waits for ever.
    ///
    /// # Errors
    /// [`GetError::TimedOut`].
    pub fn get_timeout(&self, timeout: Duration) -> Result<Arena<'_>, GetError> {
        self.get_timeout_with(self.plan.arena_bytes, timeout)
    }

    /// As [`get`](Self::get), with a quota of `bytes`.
    ///
    /// # Errors
    /// [`GetError::TooLarge`] for more than the limit.
    pub fn get_with(&self, bytes: usize) -> Result<Arena<'_>, GetError> {
        self.check(bytes)?;
        Ok(self.wait(bytes))
    }

    /// As [`try_get`](Self::try_get), with a quota of `bytes`.
    ///
    /// # Errors
    /// [`GetError::Exhausted`], and [`GetError::TooLarge`] for more than the limit.
    pub fn try_get_with(&self, bytes: usize) -> Result<Arena<'_>, GetError> {
        self.check(bytes)?;
        self.checkout(bytes)
            .or_else(|| self.checkout_locked(bytes))
            .ok_or_else(|| self.refuse(bytes))
    }

    /// As [`get_timeout`](Self::get_timeout), with a quota of `bytes`.
    ///
    /// # Errors
    /// [`GetError::TimedOut`], and [`GetError::TooLarge`] for more than the limit.
    pub fn get_timeout_with(&self, bytes: usize, timeout: Duration) -> Result<Arena<'_>, GetError> {
        self.check(bytes)?;
        if let Some(arena) = self.checkout(bytes).or_else(|| self.checkout_locked(bytes)) {
            return Ok(arena);
        }
        let Some(deadline) = Instant::now().checked_add(timeout) else {
            return Ok(self.wait(bytes));
        };
        self.counters.waited();
        let look = || self.checkout_locked(bytes);
        self.returned.wait_until_deadline(deadline, look).map_err(|TimedOut| {
            self.counters.timed_out();
            GetError::TimedOut
        })
    }

    /// Frees what idle arenas keep beyond twice what any loan needed since the last trim; how many
    /// bytes. With no loan in between, all.
    ///
    /// Takes the pool's lock; arenas are looked at one after the other, each lent to nobody meanwhile.
    #[allow(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn trim(&self) -> usize {
        let thief = self.lock();
        // Relaxed: a statistic.
        let high_water = self.high_water.swap(0, Relaxed);
        self.visit_idle(&thief, |slot| {
            // Relaxed: ours while it is visited.
            let before = slot.retained.load(Relaxed);
            let keep = policy::at_trim(before, high_water);
            let freed = before.saturating_sub(self.settle(slot, before, keep));
            if freed > 0 {
                self.counters.trimmed();
            }
            (freed, false)
        })
    }

    /// What the pool has done and what it holds. Takes no lock, stops nobody.
    #[must_use]
    pub fn stats(&self) -> ArenaStats {
        // Relaxed, all of them: statistics, of slightly different moments.
        let retained: usize = self.slots.iter().map(|slot| slot.retained.load(Relaxed)).sum();
        let mut stats = self.counters.snapshot(ArenaGauges {
            limit_bytes: self.plan.limit_bytes as u64,
            charged_bytes: self.charged.load(Relaxed) as u64,
            retained_bytes: retained as u64,
            high_water_bytes: self.high_water.load(Relaxed) as u64,
            in_use_arenas: 0,
            arenas: self.plan.arenas as u64,
        });
        stats.in_use_arenas = stats.checkouts.saturating_sub(stats.returns);
        stats
    }

    /// The name that it was built with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.thief.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, asked: usize) -> Result<(), GetError> {
        let limit_bytes = self.plan.limit_bytes;
        if asked > limit_bytes { Err(GetError::TooLarge { asked, limit_bytes }) } else { Ok(()) }
    }

    pub(super) fn refuse(&self, asked: usize) -> GetError {
        self.counters.refused();
        GetError::Exhausted { asked }
    }

    fn wait(&self, bytes: usize) -> Arena<'_> {
        self.checkout(bytes).or_else(|| self.checkout_locked(bytes)).unwrap_or_else(|| {
            self.counters.waited();
            self.returned.wait_until(|| self.checkout_locked(bytes))
        })
    }

    /// An idle arena with a quota of `bytes`, or more if it keeps more. Lock-free.
    fn checkout(&self, bytes: usize) -> Option<Arena<'_>> {
        let index = self.idle.pop()?;
        let arena = self.lend(index, bytes, |more| self.try_charge(more));
        if arena.is_none() {
            // Somebody who holds the lock may have looked for an arena while we had this one. Who
            // waits looks under the lock, so nobody is woken by a waiter's own failure.
            self.returned.notify_all();
        }
        arena
    }

    /// As `checkout`, freeing other idle arenas' memory if it has to.
    fn checkout_locked(&self, bytes: usize) -> Option<Arena<'_>> {
        let thief = self.lock();
        let index = self.idle.pop()?;
        self.lend(index, bytes, |more| self.charge_locked(&thief, more))
    }

    /// Lends an arena that we have, if `charge` takes what it needs beyond what it keeps.
    fn lend(
        &self,
        index: u32,
        bytes: usize,
        charge: impl FnOnce(usize) -> bool,
    ) -> Option<Arena<'_>> {
        let slot = &self.slots[index as usize];
        // Relaxed, both: ours, and passed on by the list.
        let retained = slot.retained.load(Relaxed);
        if !charge(bytes.saturating_sub(retained)) {
            self.idle.push(index);
            return None;
        }
        slot.retained.store(0, Relaxed);
        self.counters.checked_out();
        Some(Arena::new(self, index, bytes.max(retained)))
    }

    /// Charges `bytes` to the limit, freeing idle arenas' memory if it has to.
    pub(super) fn charge(&self, bytes: usize) -> bool {
        self.try_charge(bytes) || self.charge_locked(&self.lock(), bytes)
    }

    fn charge_locked(&self, thief: &MutexGuard<'_, ()>, bytes: usize) -> bool {
        let mut charged = self.try_charge(bytes);
        if !charged {
            self.visit_idle(thief, |slot| {
                // Relaxed: ours while it is visited.
                let before = slot.retained.load(Relaxed);
                if before > 0 {
                    self.settle(slot, before, Keep::Nothing);
                    self.counters.stole();
                    charged = self.try_charge(bytes);
                }
                (before, charged)
            });
        }
        charged
    }

    fn try_charge(&self, bytes: usize) -> bool {
        let limit = self.plan.limit_bytes;
        let fits = |charged: usize| charged.checked_add(bytes).filter(|sum| *sum <= limit);
        // Relaxed: the number guards nothing else.
        self.charged.fetch_update(Relaxed, Relaxed, fits).is_ok()
    }

    /// Calls `visit` with each idle arena while nobody else has it, until it says that this is enough;
    /// adds up the bytes that it freed.
    fn visit_idle(
        &self,
        _thief: &MutexGuard<'_, ()>,
        mut visit: impl FnMut(&Slot) -> (usize, bool),
    ) -> usize {
        let (mut freed, mut enough) = (0, false);
        // None is pushed before all are seen: it would be popped again.
        let mut visited = Vec::new();
        while !enough && let Some(index) = self.idle.pop() {
            visited.push(index);
            let bytes;
            (bytes, enough) = visit(&self.slots[index as usize]);
            freed += bytes;
        }
        visited.into_iter().rev().for_each(|index| self.idle.push(index));
        if freed > 0 {
            // What the visitor does not need may be enough for somebody who waits.
            self.returned.notify_all();
        }
        freed
    }

    /// Makes an arena keep what `keep` says; `charged` is what is charged for it. What it keeps.
    ///
    /// The caller has the arena (A1).
    fn settle(&self, slot: &Slot, charged: usize, keep: Keep) -> usize {
        let retained = slot.bump.with_mut(|bump| {
            // SAFETY: A1: the caller has the arena, and nobody borrows from it.
            let bump = unsafe { &mut *bump };
            match keep {
                Keep::All => {}
                Keep::Nothing => *bump = Bump::new(),
                Keep::OneChunk(bytes) => {
                    // The old goes first, so that both are never there.
                    *bump = Bump::new();
                    *bump = one_chunk(bytes, charged);
                }
            }
            bump.allocated_bytes()
        });
        // Relaxed: read by the next one who has the arena, after it was pushed.
        slot.retained.store(retained, Relaxed);
        // Relaxed: the number guards nothing else. More than was charged is there only if somebody
        // changed the arena's own limit (A2): then the truth is charged.
        if retained <= charged {
            self.charged.fetch_sub(charged - retained, Relaxed);
        } else {
            self.charged.fetch_add(retained - charged, Relaxed);
        }
        retained
    }

    /// Takes back a lent arena.
    pub(super) fn give_back(&self, index: u32, quota: usize) {
        let slot = &self.slots[index as usize];
        let (used, keep) = slot.bump.with_mut(|bump| {
            // SAFETY: A1: the arena is its guard's, which is being dropped: nobody borrows from it.
            let bump = unsafe { &mut *bump };
            let grown = bump.allocated_bytes();
            let used = grown - bump.chunk_capacity();
            bump.reset();
            let kept = bump.allocated_bytes();
            (used, policy::after_loan(grown, kept, self.plan.keep_bytes.min(quota)))
        });
        if matches!(keep, Keep::OneChunk(_)) {
            self.counters.consolidated();
        }
        self.settle(slot, quota, keep);
        // Relaxed, both: a statistic; most loans only look at it.
        if used > self.high_water.load(Relaxed) {
            self.high_water.fetch_max(used, Relaxed);
        }
        self.counters.came_back();
        self.idle.push(index);
        if !planted("arena_return_unannounced") {
            self.returned.notify_all();
        }
    }

    /// The arena of a guard.
    pub(super) fn bump(&self, index: u32) -> &Bump {
        // SAFETY: A1: the guard has the arena, and `&mut` of it is made only when it is dropped or
        // reset, which it cannot while this is borrowed.
        self.slots[index as usize].bump.with(|bump| unsafe { &*bump })
    }

    /// The arena of a guard, for a reset.
    ///
    /// # Safety
    /// The caller is the guard, borrowed exclusively.
    pub(super) unsafe fn reset(&self, index: u32) {
        // SAFETY: A1, and the caller's promise.
        self.slots[index as usize].bump.with_mut(|bump| unsafe { (*bump).reset() });
    }
}

/// An arena with a chunk of about `bytes`, and of no more than `most`.
///
/// bumpalo rounds chunks up: to pages, and small ones to powers of two.
fn one_chunk(bytes: usize, most: usize) -> Bump {
    [bytes, bytes.min(most.saturating_sub(4096)), bytes / 2]
        .into_iter()
        .filter_map(|bytes| Bump::try_with_capacity(bytes).ok())
        .find(|one| one.allocated_bytes() <= most)
        .unwrap_or_default()
}

impl fmt::Debug for ArenaPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArenaPool")
            .field("name", &self.name)
            .field("limit_bytes", &self.plan.limit_bytes)
            .field("arenas", &self.plan.arenas)
            .finish_non_exhaustive()
    }
}
