//! What an engine has done, and how much there is to do.
//!
//! Counting is one addition on the thread's own shard; what a worker finishes it counts at its own
//! desk. Times are *sampled*, because reading a clock
//! costs more than running a small task: a queue delay is noted for every 64th task of a ring and for
//! every task that is submitted while a worker sleeps, a run time for every 64th task of a worker and
//! for the first after each sleep. So a lightly loaded engine is measured task by task, and a loaded
//! one in samples. Tasks that a worker spawns into its own deque have no delay noted.

use crate::lockfree::{Counter, Histogram};
use crate::sys::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

crate::support::stats::stats! {
    /// What an executor has done, and how much there is to do.
    pub struct Stats;

    /// The live side.
    pub(super) struct Counters of Counter {
        /// Tasks that were taken, into a queue or to be run in place.
        submitted: submitted(),
        /// Tasks that were handed back because there was no room.
        refused: refused(),
        /// Tasks whose closure was over 48 bytes and so was boxed.
        boxed: boxed(),
        /// Tasks that a worker spawned and ran itself, because there was no room.
        ran_in_place: ran_in_place(),
        /// Tasks that were run by who submitted them, no worker, because there was no room.
        ran_by_callers: ran_by_caller(),
        /// Tasks that were not run because their ticket cancelled them.
        cancelled: cancelled(),
        /// Tasks that were not run because their deadline had passed.
        expired: expired(),
        /// Tasks that were dropped unrun by `discard`.
        discarded: discarded(),
        /// Tasks that were dropped unrun to make room for newer ones.
        displaced: displaced(),
        /// Tasks that were seen to run for longer than the limit of who watches them.
        overdue: overdue(),
        /// Tasks taken from another worker's deque.
        stolen: stole(),
        /// Tasks that a worker ran while it waited for a result.
        helped: helped(),
        /// How often a worker went to sleep.
        sleeps: slept(),
        /// How often a thread was wanted and could not be started.
        start_failures: failed_to_start(),
    }

    /// The levels of the moment.
    pub(super) struct Gauges {
        /// How many workers are wanted, those beside blocked ones not counted.
        target_workers,
        /// How many threads there are, resting ones included.
        threads,
        /// The most threads that there were at once.
        threads_max,
        /// Workers that have a task, or look for one.
        active_workers,
        /// Workers asleep for want of work.
        sleeping_workers,
        /// Workers that said they are blocked.
        blocked_workers,
        /// Workers that run rayon regions.
        lent_workers,
        /// Tasks that wait with low priority.
        queued_low,
        /// Tasks that wait with normal priority.
        queued_normal,
        /// Tasks that wait with high priority.
        queued_high,
        /// Tasks that wait with critical priority.
        queued_critical,
        /// Tasks that wait in the deques of workers.
        queued_local,
        /// The most tasks that were seen waiting at once: looked at with every 64th task, when one is
        /// refused, and by `stats`.
        queued_max,
    }
    and counts {
        /// Tasks that were dealt with: they ran, panicked, were cancelled or had expired. A moment after their
        /// tickets are done.
        finished,
        /// Tasks that panicked.
        panicked,
        /// For how long workers were awake, with a task or looking for one, all together.
        awake_ns,
        /// For how long workers slept for want of work, all together.
        asleep_ns,
    }
}

impl Stats {
    /// Tasks that wait anywhere.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.queued_low
            + self.queued_normal
            + self.queued_high
            + self.queued_critical
            + self.queued_local
    }

    /// Tasks that ran to their end, without a panic.
    #[must_use]
    pub fn completed(&self) -> u64 {
        self.finished.saturating_sub(self.panicked + self.cancelled + self.expired)
    }

    /// The share of tasks that ran without a panic, 0 to 1; 1 if none ran.
    #[must_use]
    pub fn success_rate(&self) -> f64 {
        let completed = self.completed();
        match completed + self.panicked {
            0 => 1.0,
            ran => completed as f64 / ran as f64,
        }
    }

    /// The share of their time that workers were awake, 0 to 1; 0 if there were none. Of an interval, by
    /// subtraction.
    #[must_use]
    pub fn utilisation(&self) -> f64 {
        match self.awake_ns + self.asleep_ns {
            0 => 0.0,
            all => self.awake_ns as f64 / all as f64,
        }
    }
}

/// What was run on threads that are no workers.
#[derive(Default)]
pub(super) struct Outside {
    finished: Counter,
    panicked: Counter,
}

impl Outside {
    pub(super) fn finished(&self, panicked: bool) {
        self.panicked.add(u64::from(panicked));
        self.finished.add(1);
    }

    /// Finished, panicked.
    pub(super) fn counts(&self) -> [u64; 2] {
        [self.finished.sum(), self.panicked.sum()]
    }
}

/// The times of an engine.
pub(super) struct Meters {
    pub(super) queue_delay: Histogram,
    pub(super) run_time: Histogram,
    /// The least delay noted since it was last asked for.
    delay_min_ns: AtomicU64,
}

impl Meters {
    const NONE: u64 = u64::MAX;

    pub(super) fn new() -> Self {
        Self {
            queue_delay: Histogram::new(),
            run_time: Histogram::new(),
            delay_min_ns: AtomicU64::new(Self::NONE),
        }
    }

    pub(super) fn delayed(&self, ns: u64) {
        self.queue_delay.record(ns);
        // Relaxed: a statistic.
        if ns < self.delay_min_ns.load(Relaxed) {
            self.delay_min_ns.fetch_min(ns, Relaxed);
        }
    }

    /// The least delay since the last call; `None` if none was noted.
    pub(super) fn take_delay_min(&self) -> Option<Duration> {
        // Relaxed: a statistic.
        let least = self.delay_min_ns.swap(Self::NONE, Relaxed);
        (least != Self::NONE).then(|| Duration::from_nanos(least))
    }
}
