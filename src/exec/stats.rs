//! What an engine has done, and how much there is to do.
//!
//! Counting is one addition on the thread's own shard; what a worker finishes it counts at its own
//! desk. Times are *sampled*, because reading a clock
//! costs more than running a small task: a queue delay is noted for every 64th task of a ring and for
//! every task that is submitted while a worker sleeps, a run time for every 64th task of a worker and
//! for the first after each sleep. So a lightly loaded engine is measured task by task, and a loaded
//! one in samples. Tasks that a worker spawns into its own deque have no delay noted.

use crate::lockfree::{Counter, Histogram};
use crate::sys::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
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
        /// Tasks that were not run because their ticket cancelled them.
        cancelled: cancelled(),
        /// Tasks that were not run because their deadline had passed.
        expired: expired(),
        /// Tasks that were dropped unrun by `discard`.
        discarded: discarded(),
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
    }
    and counts {
        /// Tasks that workers have dealt with: they ran, panicked, were cancelled or had expired.
        finished,
        /// Tasks that panicked.
        panicked,
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

/// What one worker shows of itself. Written by that worker alone.
#[derive(Default)]
pub(super) struct Desk {
    activity: AtomicU8,
    blocked: AtomicBool,
    finished: AtomicU64,
    panicked: AtomicU64,
}

/// What a worker is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Activity {
    /// There is no thread in its place, or one that rests beyond the limit.
    #[default]
    Offline,
    /// Asleep, for want of work.
    Asleep,
    /// At work, or looking for some.
    Awake,
}

/// What one worker has done and is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeskStats {
    /// What it is doing.
    pub activity: Activity,
    /// Whether it said that it is blocked.
    pub is_blocked: bool,
    /// Tasks that it has dealt with: they ran, panicked, were cancelled or had expired.
    pub finished: u64,
    /// Tasks that panicked.
    pub panicked: u64,
}

impl Desk {
    // Relaxed, all of them: statistics; nothing else is read because of their values.

    pub(super) fn set(&self, activity: Activity) {
        self.activity.store(activity as u8, Relaxed);
    }

    /// Returns what it was before.
    pub(super) fn set_blocked(&self, blocked: bool) -> bool {
        let before = self.blocked.load(Relaxed);
        self.blocked.store(blocked, Relaxed);
        before
    }

    #[inline]
    pub(super) fn finished(&self) {
        // One writer: a read-modify-write is not needed.
        self.finished.store(self.finished.load(Relaxed) + 1, Relaxed);
    }

    pub(super) fn panicked(&self) {
        self.panicked.store(self.panicked.load(Relaxed) + 1, Relaxed);
    }

    pub(super) fn stats(&self) -> DeskStats {
        let activity = match self.activity.load(Relaxed) {
            1 => Activity::Asleep,
            2 => Activity::Awake,
            _ => Activity::Offline,
        };
        DeskStats {
            activity,
            is_blocked: self.blocked.load(Relaxed),
            finished: self.finished.load(Relaxed),
            panicked: self.panicked.load(Relaxed),
        }
    }
}
