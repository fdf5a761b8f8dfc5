//! The handle of an engine: it resizes, closes, tells; `submit.rs` has the ways in.

use super::config::{Config, EngineError};
use super::desk::DeskStats;
use super::order::Priority;
use super::quota::Quota;
use super::shared::Shared;
use super::stats::{Meters, Stats};
use super::worker::{Worker, dispose};
use crate::lockfree::Histogram;
use crate::lockfree::histogram::Snapshot;
use crate::sys::planted::planted;
use crate::sys::sync::Arc;
use crate::sys::sync::atomic::Ordering::Relaxed;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use std::{fmt, io};

/// How long who waits for the end waits for a thread that cannot be had at the moment.
const CALL_AGAIN: Duration = Duration::from_millis(5);

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
        Self::with_quota(config, None)
    }

    /// As [`new`](Self::new), with threads out of a budget.
    pub(crate) fn with_quota(config: Config, quota: Option<Quota>) -> Result<Self, EngineError> {
        if config.workers < config.workers_min || config.places == 0 {
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
        let shared = Shared::new(config, quota)?;
        // Closes and joins if a thread cannot be started.
        let engine = Self { shared };
        engine.resize(workers).map_err(EngineError::Thread)?;
        Ok(engine)
    }

    /// Sets the number of workers: [`workers_min`](Config::workers_min) at least and as many as there are
    /// places at most. Workers beyond it finish their task and rest.
    ///
    /// # Errors
    /// If a thread cannot be started; the number is set all the same, and the next change of it tries
    /// again.
    pub fn resize(&self, workers: usize) -> io::Result<()> {
        let shared = &self.shared;
        let most = shared.desks.len();
        Shared::resize(shared, workers.clamp(shared.workers_min.min(most), most))
    }

    /// Blocks until tasks wait and no worker sleeps that could take them (if `any_task`: until there are
    /// tasks), until `deadline`, or until `is_over` says so and [`release`](Self::release) was called.
    pub(crate) fn wait_for_pressure(
        &self,
        any_task: bool,
        deadline: Option<Instant>,
        is_over: impl Fn() -> bool,
    ) {
        let shared = &*self.shared;
        // Relaxed: ordered by the fence of the next line, which pairs with that of `Shared::announce`: who
        // queues a task sees us, or we see the task.
        shared.any_task.store(any_task, Relaxed);
        let listener = shared.pressure.listen();
        if is_over() || shared.queues.has_work() && shared.is_pressed() {
            return;
        }
        match deadline {
            // Which of them it was, the next look tells.
            Some(deadline) => drop(listener.wait_deadline(deadline)),
            None => listener.wait(),
        }
    }

    /// Ends [`wait_for_pressure`](Self::wait_for_pressure).
    pub(crate) fn release(&self) {
        self.shared.pressure.notify_all();
    }

    /// Whether the calling thread is one of the engine's workers; then its index.
    #[must_use]
    pub fn worker_index(&self) -> Option<usize> {
        self.with_own_worker(|worker| worker.map(Worker::index))
    }

    /// Whether the calling thread is one of the engine's workers, and no stack is left there to wait on.
    pub(crate) fn is_spent_here(&self) -> bool {
        self.with_own_worker(|worker| worker.is_some_and(Worker::is_spent))
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

    /// Whether nothing more comes in, of any priority: [`close`](Self::close) was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.queues.is_closing()
    }

    /// Whether no more tasks of `priority` come in. Once one was refused for that, it is true.
    #[must_use]
    pub fn is_closed_for(&self, priority: Priority) -> bool {
        self.shared.queues.is_closed(priority)
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
        let unfinished =
            || Err(Unfinished { queued: self.stats().queued(), threads: crew.present() });
        let mut left_before = None;
        loop {
            if self.worker_index().is_some() || !crew.wait_until_empty(deadline) {
                return unfinished();
            }
            crew.join();
            if !self.shared.queues.has_work() {
                return Ok(());
            }
            if planted("exec_drain_asks_once") {
                return unfinished();
            }
            // Queued when no worker was there, before the close: who did it may be about to start one.
            let left = self.stats().queued();
            let is_stuck = left_before.replace(left) == Some(left);
            let outcome = Shared::call_one(&self.shared);
            let waits_for_others = outcome.as_ref().is_err_and(Quota::is_spent);
            if !is_stuck && outcome.is_ok() {
                continue;
            }
            // A thread that could not be had, or one that came and could not work.
            let now = Instant::now();
            let is_over = deadline.map_or(!waits_for_others, |deadline| now >= deadline);
            if is_over {
                return unfinished();
            }
            std::thread::sleep(CALL_AGAIN);
        }
    }

    /// Closes, and drops every task that waits: their tickets say `Abandoned`. Says how many. Tasks
    /// that run are left to run, and their [`CancelToken`](super::CancelToken) says to stop.
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
        // All of them first: a task that is told to stop makes its worker look for the next one.
        let tasks: Vec<_> = std::iter::from_fn(next).collect();
        // Relaxed: publishes nothing; tasks look at it now and then.
        self.shared.discarding.store(true, Relaxed);
        for task in tasks.into_iter().chain(std::iter::from_fn(next)) {
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

    /// The name of the task that a worker runs, in a [watched](Config::watched) engine, and its steps
    /// so far (`Desk::steps`).
    pub(super) fn task_at(&self, worker: usize) -> (Option<&'static str>, u64) {
        let desk = &self.shared.desks[worker];
        let name = desk.task_name();
        // After the name: if the steps are those of an earlier look, the name is that of the same task.
        (name, desk.steps())
    }

    pub(super) fn count_overdue(&self) {
        self.shared.counters.overdue();
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

    /// The most workers that were awake at once since the last call.
    pub(crate) fn take_active_max(&self) -> usize {
        // Relaxed: a statistic.
        self.shared.active_max.swap(0, Relaxed).max(self.shared.active())
    }

    /// Wakes a worker if tasks wait while one sleeps and another, woken for them, gets no core; calls one if
    /// there is none. For whoever looks at the engine now and then.
    pub fn nudge(&self) {
        if self.shared.queues.has_work() {
            self.shared.sleepers.notify_urgent();
            if self.shared.crew.present() == 0 {
                // Closed since a thread could not be had: no resize starts one any more.
                let _ = Shared::call_one(&self.shared);
            }
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
