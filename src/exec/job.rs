//! What becomes of a closure in a queue: alone, with the one who waits for its result, with a deadline,
//! with the time of its submission.
//!
//! Each is a [`Job`] of its own, not a closure around a closure, so that a full queue gives back all
//! parts of it.
//!
//! | job | bytes beside the closure | runs |
//! |---|---|---|
//! | the closure itself | 0 | always |
//! | [`Answered`] | 8 | unless it was cancelled |
//! | [`Expiring`] | 24 | unless it was cancelled or is late |
//! | [`Timed`] | 8 | as what is inside, after noting the delay |

use super::worker::{Ended, Worker, dispose};
use crate::lockfree::Completer;
use crate::lockfree::task::Job;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// A closure whose result somebody waits for.
pub(super) struct Answered<F, R> {
    pub(super) f: F,
    pub(super) completer: Completer<R>,
}

/// The same, not to be started after its deadline.
pub(super) struct Expiring<F, R> {
    pub(super) answered: Answered<F, R>,
    pub(super) deadline: Instant,
}

/// A job that knows when it was submitted, in nanoseconds of the engine.
pub(super) struct Timed<J> {
    pub(super) job: J,
    pub(super) since_ns: u64,
}

impl<J> Timed<J> {
    /// Whether noting the time makes no allocation that there would not be anyway.
    pub(super) const FREE: bool =
        crate::lockfree::Task::fits_inline::<Self>() || !crate::lockfree::Task::fits_inline::<J>();
}

impl<F, R> Job for Answered<F, R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    fn run(self) {
        let Self { f, completer } = self;
        if !completer.start() {
            Worker::note(Ended::Cancelled);
            drop_quietly(f);
            return;
        }
        match catch_unwind(AssertUnwindSafe(f)) {
            // If the ticket is gone the value is dropped here; a panic in that is the task's.
            Ok(value) => drop(completer.complete(value)),
            Err(payload) => {
                Worker::note(Ended::Panicked);
                // If the ticket is gone the payload is dropped.
                drop_quietly(catch_unwind(AssertUnwindSafe(|| completer.panicked(payload))));
            }
        }
    }
}

impl<F, R> Job for Expiring<F, R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    fn run(self) {
        if Instant::now() < self.deadline {
            return self.answered.run();
        }
        let Answered { f, completer } = self.answered;
        Worker::note(if completer.start() { Ended::Expired } else { Ended::Cancelled });
        // First, so that who waits does not wait for it.
        completer.expire();
        drop_quietly(f);
    }
}

/// Drops what belongs to a task whose end has been noted: a panic in it changes nothing.
fn drop_quietly<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        dispose(payload);
    }
}

impl<J: Job> Job for Timed<J> {
    fn run(self) {
        Worker::note_delay(self.since_ns);
        self.job.run();
    }
}
