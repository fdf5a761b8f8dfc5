//! The handle of an engine: it resizes, closes, tells; `submit.rs` has the ways in.

use super::config::{Config, EngineError};
use super::order::Priority;
use super::shared::Shared;
use super::stats::{DeskStats, Meters, Stats};
use super::worker::{Worker, dispose};
use crate::lockfree::Histogram;
use crate::lockfree::histogram::Snapshot;
use crate::sys::sync::Arc;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use std::{fmt, io};

/// Tasks in, results out: workers over bounded queues. See the [module](super).
///
/// Dropping it closes it and waits until all queued tasks have run, except on one of its own workers
/// (then the workers end by themselves) and in a forked child (where there are none).
pub struct Engine {
    pub(super) shared: Arc<Shared>,
}

/// An engine was not empty by the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfinished {
    /// Tasks that still wait.
    pub queued: u64,
    /// Threads that have not ended.
    pub threads: usize,
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { queued, threads } = self;
        write!(f, "{threads} threads have not ended by the deadline, {queued} tasks wait")
    }
}

impl std::error::Error for Unfinished {}

impl Engine {
    /// Makes the queues and starts the workers.
    ///
    /// # Errors
    /// [`EngineError`]; no thread is left behind.
    pub fn new(config: Config) -> Result<Self, EngineError> {
        if config.workers == 0 {
            return Err(EngineError::NoWorkers);
        }
        if config.places > Config::PLACES_MAX {
            let (asked, max) = (config.places, Config::PLACES_MAX);
            return Err(EngineError::TooManyPlaces { asked, max });
        }
        if config.workers > config.places {
            let Config { workers: asked, places, .. } = config;
            return Err(EngineError::TooManyWorkers { asked, places });
        }
        let workers = config.workers;
        let shared = Shared::new(config)?;
        // Closes and joins if a thread cannot be started.
        let engine = Self { shared };
        engine.resize(workers).map_err(EngineError::Thread)?;
        Ok(engine)
    }

    /// Sets the number of workers, 1 at least and as many as there are places at most. Workers beyond
    /// it finish their task and rest.
    ///
    /// # Errors
    /// If a thread cannot be started; the number is set all the same, and the next change of it tries
    /// again.
    pub fn resize(&self, workers: usize) -> io::Result<()> {
        let shared = &self.shared;
        let target = workers.clamp(1, shared.desks.len());
        let shrinks = target < shared.crew.limit();
        let outcome = shared.crew.resize(target, |index| Shared::start(shared, index));
        if shrinks {
            // Those who sleep beyond the limit go to rest.
            shared.sleepers.wake_all();
        }
        outcome
    }

    /// Whether the calling thread is one of the engine's workers; then its index.
    #[must_use]
    pub fn worker_index(&self) -> Option<usize> {
        self.with_own_worker(|worker| worker.map(Worker::index))
    }

    #[inline]
    pub(super) fn with_own_worker<T>(&self, f: impl FnOnce(Option<&Worker<'_>>) -> T) -> T {
        Worker::with_current(|worker| f(worker.filter(|worker| worker.home() == self.home())))
    }

    /// What tells engines apart, as `Worker::home`.
    #[inline]
    pub(super) fn home(&self) -> usize {
        std::ptr::from_ref(&*self.shared).addr()
    }

    /// Takes no more tasks; what is queued still runs. Never blocks.
    pub fn close(&self) {
        self.shared.close();
    }

    /// Whether [`close`](Self::close) was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.queues.is_closing()
    }

    /// Closes, and blocks until every task has run and every thread has ended, or until `deadline`.
    ///
    /// On one of the engine's own workers this would wait for itself; there it returns at once, with
    /// what is left.
    ///
    /// # Errors
    /// [`Unfinished`] if something is left.
    pub fn drain(&self, deadline: Option<Instant>) -> Result<(), Unfinished> {
        self.close();
        let crew = &self.shared.crew;
        if !self.is_here() {
            return Ok(());
        }
        if self.worker_index().is_some() || !crew.wait_until_empty(deadline) {
            let threads = crew.present();
            return Err(Unfinished { queued: self.stats().queued(), threads });
        }
        crew.join();
        Ok(())
    }

    /// Closes, and drops every task that waits: their tickets say `Abandoned`. Says how many. Tasks
    /// that run are left to run.
    #[allow(clippy::must_use_candidate, reason = "it acts; the number is told besides")]
    pub fn discard(&self) -> u64 {
        self.close();
        if !self.is_here() {
            return 0;
        }
        let queues = &self.shared.queues;
        let mut discarded = 0;
        while let Some(offer) = queues.pop_offer() {
            drop(offer);
        }
        let next =
            || Priority::ALL.iter().find_map(|&it| queues.pop(it)).or_else(|| queues.steal_any());
        while let Some(task) = next() {
            discarded += 1;
            self.shared.counters.discarded();
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(task))) {
                dispose(payload);
            }
        }
        discarded
    }

    /// What it has done, and how much there is to do.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// What the workers have done and are doing, one for each place.
    #[must_use]
    pub fn desks(&self) -> impl ExactSizeIterator<Item = DeskStats> {
        self.shared.desks.iter().map(|desk| desk.stats())
    }

    /// How many workers there should be.
    #[must_use]
    pub fn target(&self) -> usize {
        self.shared.crew.target()
    }

    /// How many tasks of `priority` can wait.
    #[must_use]
    pub fn capacity(&self, priority: Priority) -> usize {
        self.shared.queues.capacity(priority)
    }

    /// How long tasks have waited, in nanoseconds, in [samples](Stats). Empty if nothing is measured.
    /// Allocates.
    #[must_use]
    pub fn queue_delay(&self) -> Snapshot {
        self.snapshot(|meters| &meters.queue_delay)
    }

    /// How long tasks have run, in nanoseconds, in samples. Empty if nothing is measured. Allocates.
    #[must_use]
    pub fn run_time(&self) -> Snapshot {
        self.snapshot(|meters| &meters.run_time)
    }

    fn snapshot(&self, choose: fn(&Meters) -> &Histogram) -> Snapshot {
        match &self.shared.meters {
            Some(meters) => choose(meters).snapshot(),
            None => Histogram::new().snapshot(),
        }
    }

    /// The least queue delay noted since the last call.
    #[must_use]
    pub fn take_delay_min(&self) -> Option<Duration> {
        self.shared.meters.as_ref().and_then(Meters::take_delay_min)
    }

    /// Wakes a worker if tasks wait while one sleeps and another, woken for them, gets no core. Nothing
    /// depends on it but time; for whoever looks at the engine now and then.
    pub fn nudge(&self) {
        if self.shared.queues.has_work() {
            self.shared.sleepers.notify_urgent();
        }
    }

    /// Whether this process is the one that made the engine, not a forked child.
    #[inline]
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.shared.lineage.is_still_here()
    }
}

/// Runs `f`, which blocks, on a worker of any engine, and lets another worker of it run meanwhile: one
/// that rests, or a new thread, as long as there are places. Elsewhere, and within another `blocking`, it
/// only runs `f`.
///
/// Takes a lock for a moment before and after; may start a thread, and wakes one. For waits of a
/// millisecond, not of some microseconds.
pub fn blocking<T>(f: impl FnOnce() -> T) -> T {
    Worker::with_current(|worker| {
        let _aside = worker.map(Worker::step_aside);
        f()
    })
}

/// Runs `f`, which goes on for long, on a worker of any engine, unless then nobody would be left to its
/// queues: `None`. Elsewhere `None`, too.
pub(crate) fn lent<T>(f: impl FnOnce() -> T) -> Option<T> {
    Worker::with_current(|worker| worker?.lent(f))
}

impl Drop for Engine {
    fn drop(&mut self) {
        // On a worker this only closes: the workers have all they need, and end by themselves.
        let _ = self.drain(None);
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("name", &self.shared.name)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
