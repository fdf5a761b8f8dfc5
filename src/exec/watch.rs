//! Which tasks run for too long, and what they are called.
//!
//! A clock at every task would cost more than a small task takes. So a worker only counts its steps, the
//! tasks that it has begun and finished, and shows the kind of task that it runs; who looks now and then
//! finds the same count as at an earlier look, and a task that runs: then it has run at least since that
//! look.
//!
//! ```text
//!   looks:     |        |        |        |        |
//!   worker:  ──┤ a ├─┤b├──┤ c ──────────────────────────
//!   steps:     7       11       11       11       11
//!                       └── c is seen: at least this old ──► overdue once the limit has passed
//! ```
//!
//! So a task is noticed when the limit has passed since the first look at it, and what is said of it is the
//! least that it can be: late by one interval between looks, never early. A task that helps while it waits
//! is at work: it counts from then on when it goes on, as does the one that it helps when that begins.

use super::engine::Engine;
use super::worker::Worker;
use std::time::{Duration, Instant};

/// A task that has run for longer than it should.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overdue {
    /// What it is called: the name that it was given, or the path of its closure.
    pub task: &'static str,
    /// The index of the worker that runs it.
    pub worker: usize,
    /// For how long it has run at least.
    pub running: Duration,
}

/// What is kept from one look to the next.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    seen: Vec<Seen>,
}

/// What one worker was doing at the last look.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    steps: u64,
    /// When the task that runs now was first seen; `None` if none ran.
    since: Option<Instant>,
    is_reported: bool,
}

impl Watch {
    /// Looks at every worker, and calls `report` for each task that has just been found to run for `limit`
    /// or longer; which are counted. Returns whether any task runs.
    pub(crate) fn look(
        &mut self,
        engine: &Engine,
        limit: Duration,
        now: Instant,
        mut report: impl FnMut(Overdue),
    ) -> bool {
        self.seen.resize_with(engine.desks().len(), Seen::default);
        let mut runs = false;
        for (worker, seen) in self.seen.iter_mut().enumerate() {
            let (name, steps) = engine.task_at(worker);
            let Some(task) = name else {
                *seen = Seen::default();
                continue;
            };
            runs = true;
            if seen.steps != steps || seen.since.is_none() {
                *seen = Seen { steps, since: Some(now), is_reported: false };
                continue;
            }
            let running = seen.since.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
            if running >= limit && !seen.is_reported {
                seen.is_reported = true;
                engine.count_overdue();
                report(Overdue { task, worker, running });
            }
        }
        runs
    }

    /// Those that were found to run for too long at a look before, and still do.
    pub(crate) fn overdue(&self, engine: &Engine, now: Instant) -> Vec<Overdue> {
        let reported = self.seen.iter().enumerate().filter(|(_, seen)| seen.is_reported);
        reported
            .filter_map(|(worker, seen)| {
                let (name, steps) = engine.task_at(worker);
                let running = now.saturating_duration_since(seen.since?);
                (steps == seen.steps).then_some(Overdue { task: name?, worker, running })
            })
            .collect()
    }
}

/// Runs `f` as a part of the task of this thread that has a name of its own, for who watches it.
pub(crate) fn named<R>(name: &'static str, f: impl FnOnce() -> R) -> R {
    /// Puts the name before back, also when `f` panics.
    struct Before(Option<&'static str>);

    impl Drop for Before {
        fn drop(&mut self) {
            Worker::label(self.0);
        }
    }

    let _before = Before(Worker::label(Some(name)));
    f()
}
