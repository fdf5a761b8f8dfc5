//! The pool itself: the fast path through magazines, the slow one through the lock, and the end.
//!
//! ```text
//!   acquire                                                               cost
//!   ├─ my magazine ───────────────────────────────► a chunk               some instructions
//!   ├─ a batch from the depot into my magazine ───► a chunk               lock-free, every 64th
//!   └─ the lock
//!      ├─ loose chunks, or newly committed ones ──► a chunk
//!      ├─ search: void all magazines, take what is in them ──► a chunk    a microsecond, and waits
//!      │                                                                  for busy owners
//!      └─ none is free anywhere: refuse, or wait in line
//! ```
//!
//! # Invariants
//! - **S1** A chunk handed out is its holder's alone until it is released: it came out of exactly
//!   one place (M3, D1, the lock).
//! - **S2** The number of committed chunks never exceeds the limit (`Backing`), so neither do those
//!   in use.
//! - **S3** An acquire is refused only at a moment when no chunk is free: it holds the lock, and all
//!   magazines are void (C1).
//! - **S4** The slab is freed by whoever gives up the last claim: each chunk that is held when the
//!   last handle goes is one, and that handle itself is one. Until then every method may be called by
//!   who has a handle, and `release` by who has a chunk.
//!
//! Magazines belong to a thread's *number* (`sys::thread_index`), not to the thread: when it ends,
//! the next thread of that number inherits the chunks, and a search finds them meanwhile. So
//! nothing has to be flushed when a thread ends. Threads without a number of their own (beyond the
//! 1024th at a time, or late in a thread's destruction) go through the lock.

mod end;
mod search;
mod upkeep;

use super::backing::{Backing, Geometry};
use super::central::{Central, Mode};
use super::config::{BuildError, OnLeak, PoolBuilder};
use super::depot::Depot;
use super::magazine::{Dispute, Magazine, Owner};
use super::stats::Counters;
use super::waiters::{Outcome, Waiter};
use super::watch::Watch;
use crate::sys::planted::planted;
use crate::sys::region::Region;
use crate::sys::sync::atomic::Ordering::Relaxed;
use crate::sys::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize};
use crate::sys::sync::{EXCLUSIVE, Mutex, MutexGuard, barriers_available, thread_index};
use std::any::Any;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::pin::pin;
use std::ptr::{self, NonNull};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How long an acquire may wait.
#[derive(Debug, Clone, Copy)]
pub(in crate::memory) enum Patience {
    /// Not at all.
    None,
    /// Until a chunk is there.
    Endless,
    /// For so long.
    For(Duration),
    /// Until a deadline.
    Until(Instant),
}

/// Why there is no chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AcquireError {
    /// At some moment during the call every chunk of the pool was in use.
    Exhausted {
        /// How many there are.
        chunks: usize,
    },
    /// None was released for this thread before the deadline.
    TimedOut,
    /// The pool was closed.
    Closed,
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exhausted { chunks } => write!(f, "all {chunks} chunks of the pool are in use"),
            Self::TimedOut => write!(f, "no chunk was released before the deadline"),
            Self::Closed => write!(f, "the pool is closed"),
        }
    }
}

impl std::error::Error for AcquireError {}

/// What all handles and chunks of a pool point to. See the [module](self) for its invariants.
///
/// In this order, what every operation reads comes first and together.
#[repr(C)]
pub(in crate::memory) struct Slab {
    /// Changes when the magazines are declared void.
    epoch: AtomicU64,
    /// Whether `watch` has anything to do.
    watched: bool,
    pub(in crate::memory) chunk_size: usize,
    pub(in crate::memory) align: usize,
    /// The magazine of each thread number; null until its first use.
    threads: [AtomicPtr<Magazine>; EXCLUSIVE],
    depot: Depot,
    pub(in crate::memory) geometry: Geometry,
    watch: Watch,
    batch: usize,
    central: Mutex<Central>,
    /// All magazines, newest first, each in it for ever.
    magazines: AtomicPtr<Magazine>,
    counters: Counters,
    levels: Levels,
    pub(in crate::memory) handles: AtomicUsize,
    /// Claims on the slab's life once it is dead (S4).
    remaining: AtomicUsize,
    pub(in crate::memory) name: Box<str>,
    on_leak: Option<OnLeak>,
    idle_after: Duration,
    /// Lives as long as the memory does: a registry's claim on its budget.
    _claim: Option<Box<dyn Any + Send + Sync>>,
}

/// What snapshots read of the state behind the lock; written by who holds it.
#[derive(Debug, Default)]
struct Levels {
    committed: AtomicUsize,
    high_water: AtomicUsize,
    locked: AtomicUsize,
    loose: AtomicUsize,
    waiting: AtomicUsize,
    magazines: AtomicUsize,
}

impl Slab {
    pub(in crate::memory) fn new(
        builder: PoolBuilder,
        claim: Option<Box<dyn Any + Send + Sync>>,
    ) -> Result<Self, BuildError> {
        let plan = builder.plan()?;
        let bytes = plan.total * plan.stride;
        let region = Region::reserve(bytes, builder.align_bytes(), builder.pages())
            .map_err(|source| BuildError::Memory { bytes, source })?;
        let backing = Backing::new(region, &plan)?;
        let geometry = backing.geometry();
        let watch = Watch::new(&builder, plan.total)?;
        // Without the barrier magazines could not be searched: everything goes through the lock.
        let can_share = barriers_available();
        let slab = Self {
            epoch: AtomicU64::new(1),
            watched: watch.is_on(),
            chunk_size: builder.chunk_size,
            align: builder.align_bytes(),
            threads: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            depot: Depot::new(plan.total, plan.batch)?,
            geometry,
            watch,
            batch: plan.batch,
            central: Mutex::new(Central::new(can_share, backing, plan.batch)),
            magazines: AtomicPtr::new(ptr::null_mut()),
            counters: Counters::default(),
            levels: Levels::default(),
            handles: AtomicUsize::new(1),
            remaining: AtomicUsize::new(0),
            name: builder.name.into_boxed_str(),
            on_leak: builder.on_leak,
            idle_after: builder.idle_after,
            _claim: claim,
        };
        slab.lock().commit(&slab.depot, builder.initial_chunks, true);
        Ok(slab)
    }

    /// The calling thread's magazine, if it has used this pool before.
    #[inline]
    pub(in crate::memory) fn mine(&self) -> Option<Owner<'_>> {
        // Relaxed: stored by this thread, or by the last one of its number, which happened before
        // (`sys::thread_index` I2).
        let magazine = self.threads.get(thread_index())?.load(Relaxed);
        // SAFETY: magazines live as long as the slab.
        let magazine = unsafe { magazine.as_ref() }?;
        // SAFETY: M1: below `EXCLUSIVE` the number is this thread's alone, to the end of its life,
        // and the right cannot leave the thread.
        Some(unsafe { magazine.owner() })
    }

    /// Hands a chunk to `holder`: from `magazine` if it has one, else as the module says.
    #[inline]
    pub(in crate::memory) fn acquire(
        &self,
        magazine: Option<Owner<'_>>,
        patience: Patience,
        holder: &'static Location<'static>,
    ) -> Result<NonNull<u8>, AcquireError> {
        let chunk = match magazine.map_or(Err(None), |magazine| magazine.pop(&self.epoch)) {
            Ok(chunk) => chunk,
            Err(dispute) => self.acquire_slow(magazine, dispute, patience)?,
        };
        if self.watched {
            self.watch(magazine, chunk, holder);
        }
        Ok(chunk)
    }

    /// What is done to a chunk before it is handed out.
    ///
    /// # Panics
    /// If its poison is gone; it goes back, poisoned anew.
    fn watch(
        &self,
        magazine: Option<Owner<'_>>,
        chunk: NonNull<u8>,
        holder: &'static Location<'static>,
    ) {
        // SAFETY: S1: the chunk is ours until we return it.
        let checked =
            unsafe { self.watch.acquired(chunk, self.chunk_size, &self.geometry, holder) };
        if let Err(offset) = checked {
            // SAFETY: S1: it is still ours; our caller has a handle.
            unsafe { self.release(magazine, chunk) };
            panic!("byte {offset} of the chunk at {chunk:p} was written after its release");
        }
    }

    /// Takes a chunk back from somebody who has a handle, into `magazine` if there is one.
    ///
    /// # Safety
    /// The caller holds `chunk`, which came from `acquire` of this slab, and lets go of it; and has a
    /// handle. `magazine` is one of this slab's.
    #[inline]
    pub(in crate::memory) unsafe fn release(
        &self,
        magazine: Option<Owner<'_>>,
        chunk: NonNull<u8>,
    ) {
        // SAFETY: the caller holds it.
        unsafe { self.retire(chunk) };
        if let Err(dispute) = magazine.map_or(Err(None), |it| it.push(&self.epoch, chunk)) {
            // SAFETY: the caller's promise; the disputed chunk is `chunk`.
            unsafe { Self::release_slow(NonNull::from(self), magazine, dispute, chunk) };
        }
    }

    /// Takes a chunk back from somebody who may have nothing else of the pool.
    ///
    /// # Safety
    /// As `release`, without the handle: the slab may be gone when this returns.
    #[inline]
    pub(in crate::memory) unsafe fn release_last(this: NonNull<Self>, chunk: NonNull<u8>) {
        // SAFETY: S4: a chunk is held, so the slab lives until it is released.
        let slab = unsafe { this.as_ref() };
        // SAFETY: the caller holds it.
        unsafe { slab.retire(chunk) };
        let magazine = slab.mine();
        if !magazine.is_some_and(|magazine| magazine.push_last(&slab.epoch, chunk)) {
            // SAFETY: the caller's promise.
            unsafe { Self::release_slow(this, magazine, None, chunk) };
        }
    }

    /// What is done to a chunk when it is released, if anything.
    ///
    /// # Safety
    /// The caller holds `chunk`, which came from `acquire` of this slab.
    #[inline]
    unsafe fn retire(&self, chunk: NonNull<u8>) {
        if self.watched {
            // SAFETY: the caller's promise (S1).
            unsafe { self.watch.released(chunk, self.chunk_size, &self.geometry) };
        }
    }

    #[cold]
    #[inline(never)]
    fn acquire_slow(
        &self,
        magazine: Option<Owner<'_>>,
        mut dispute: Option<Dispute>,
        patience: Patience,
    ) -> Result<NonNull<u8>, AcquireError> {
        if let (Some(magazine), None) = (magazine, dispute) {
            magazine.refill(&self.epoch, &self.depot);
            match magazine.pop(&self.epoch) {
                Ok(chunk) => return Ok(chunk),
                Err(met) => dispute = met,
            }
        }
        let mut central = self.lock();
        if let (Some(magazine), Some(dispute)) = (magazine, dispute)
            && let Some(chunk) = magazine.settle_pop(dispute)
        {
            return Ok(chunk);
        }
        if central.mode == Mode::Sharing {
            let magazine = magazine.or_else(|| self.first_magazine());
            if let Some(chunk) = self.take_shared(&mut central, magazine) {
                return Ok(chunk);
            }
            self.search(&mut central);
        }
        if let Some(magazine) = magazine {
            self.vacate(&mut central, magazine);
        }
        if matches!(central.mode, Mode::Closed | Mode::Dead) {
            return Err(AcquireError::Closed);
        }
        if let Some(chunk) = central.take(&self.depot) {
            self.counters.acquired(1);
            return Ok(chunk);
        }
        match patience {
            Patience::None => {
                self.counters.refused();
                Err(AcquireError::Exhausted { chunks: self.geometry.total })
            }
            Patience::Endless => self.wait(central, None),
            // Endless if it overflows the clock.
            Patience::For(time) => self.wait(central, Instant::now().checked_add(time)),
            Patience::Until(deadline) => self.wait(central, Some(deadline)),
        }
    }

    /// A chunk while magazines are in use; brings more into `magazine`.
    fn take_shared(
        &self,
        central: &mut Central,
        magazine: Option<Owner<'_>>,
    ) -> Option<NonNull<u8>> {
        let Some(magazine) = magazine else {
            let chunk = central.take(&self.depot)?;
            self.counters.acquired(1);
            return Some(chunk);
        };
        // Relaxed: changed under the lock alone.
        let epoch = self.epoch.load(Relaxed);
        magazine.resync(epoch);
        if magazine.is_empty() {
            central.take_batch(&self.depot, |chunk| magazine.add(chunk));
        }
        // Under the lock there are no thieves.
        magazine.pop(&self.epoch).ok()
    }

    /// Waits in line for a chunk.
    fn wait<'a>(
        &'a self,
        mut central: Locked<'a>,
        deadline: Option<Instant>,
    ) -> Result<NonNull<u8>, AcquireError> {
        self.counters.waited();
        let waiter = pin!(Waiter::new());
        let waiter = waiter.as_ref();
        // SAFETY: W1: every way out of the loop below has seen an outcome, or left, under the lock;
        // nothing in it panics.
        unsafe { central.waiters.join(waiter) };
        loop {
            drop(central);
            let overdue = waiter.sleep(deadline);
            central = self.lock();
            match waiter.outcome() {
                Outcome::Served(chunk) => {
                    self.counters.acquired(1);
                    return Ok(chunk);
                }
                Outcome::Closed => return Err(AcquireError::Closed),
                Outcome::Waiting if overdue => {
                    central.waiters.leave(waiter);
                    self.counters.timed_out();
                    return Err(AcquireError::TimedOut);
                }
                Outcome::Waiting => {}
            }
        }
    }

    /// # Safety
    /// As `release`.
    #[cold]
    #[inline(never)]
    unsafe fn release_slow(
        this: NonNull<Self>,
        magazine: Option<Owner<'_>>,
        dispute: Option<Dispute>,
        chunk: NonNull<u8>,
    ) {
        // SAFETY: S4: a chunk is held, or a handle is there, so the slab lives until below.
        let slab = unsafe { this.as_ref() };
        if let (Some(magazine), None) = (magazine, dispute) {
            magazine.spill(&slab.epoch, &slab.depot);
            if magazine.push_last(&slab.epoch, chunk) {
                return;
            }
        }
        let mut central = slab.lock();
        if let (Some(magazine), Some(dispute)) = (magazine, dispute)
            && magazine.settle_push(dispute)
        {
            return;
        }
        if let (Some(magazine), true) = (magazine, central.mode != Mode::Sharing) {
            slab.vacate(&mut central, magazine);
        }
        match central.mode {
            Mode::Sharing => slab.put_shared(&mut central, magazine, chunk),
            Mode::Searched => {
                let forget = planted("slab_waiter_forgotten");
                // C2: if somebody waits, nothing else is free.
                if forget || !central.waiters.serve(Outcome::Served(chunk)) {
                    central.put(&slab.depot, chunk);
                    slab.relax(&mut central);
                }
            }
            Mode::Closed => central.put(&slab.depot, chunk),
            Mode::Dead => {
                drop(central);
                // SAFETY: S4: the chunk was counted when the slab died, and is given up.
                unsafe { Self::give_up_claim(this) };
            }
        }
    }

    /// Keeps a chunk while magazines are in use.
    fn put_shared(&self, central: &mut Central, magazine: Option<Owner<'_>>, chunk: NonNull<u8>) {
        if let Some(magazine) = magazine.or_else(|| self.first_magazine()) {
            // Relaxed: changed under the lock alone.
            magazine.resync(self.epoch.load(Relaxed));
            if magazine.push_last(&self.epoch, chunk) {
                return;
            }
        }
        central.put(&self.depot, chunk);
    }

    fn lock(&self) -> Locked<'_> {
        // Nothing panics under the lock, so it cannot be poisoned halfway.
        Locked { central: self.central.lock().unwrap_or_else(PoisonError::into_inner), slab: self }
    }
}

impl fmt::Debug for Slab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slab").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The lock, held; writes down for snapshots what changed under it.
struct Locked<'a> {
    central: MutexGuard<'a, Central>,
    slab: &'a Slab,
}

impl Deref for Locked<'_> {
    type Target = Central;

    fn deref(&self) -> &Central {
        &self.central
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Central {
        &mut self.central
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let levels = &self.slab.levels;
        // Relaxed, all of them: statistics; written under the lock alone.
        levels.committed.store(self.central.backing.committed(), Relaxed);
        levels.high_water.store(self.central.high_water, Relaxed);
        levels.locked.store(self.central.backing.locked(), Relaxed);
        levels.loose.store(self.central.loose(), Relaxed);
        levels.waiting.store(self.central.waiters.len(), Relaxed);
    }
}
