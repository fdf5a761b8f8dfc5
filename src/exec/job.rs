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
//! | [`Expiring`] | 16 | as what is inside, unless it is late |
//! | [`Timed`] | 8 | as what is inside, after noting the delay |

use super::cancel::CancelToken;
use super::worker::{Ended, Worker, dispose};
use crate::lockfree::Completer;
use crate::lockfree::task::Job;
use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// What somebody waits for: a closure, or a type that has its parts back when it is refused.
pub(crate) trait Work<R>: Send + 'static {
    /// Does it. `token` tells whether it still should.
    fn work(self, token: &CancelToken<'_>) -> R;

    /// As [`Job::name`].
    fn name() -> &'static str
    where
        Self: Sized,
    {
        type_name::<Self>()
    }
}

impl<F, R> Work<R> for F
where
    F: FnOnce() -> R + Send + 'static,
{
    #[inline]
    fn work(self, _: &CancelToken<'_>) -> R {
        self()
    }
}

/// A closure that asks whether it should go on.
pub(crate) struct Cancellable<F>(pub(crate) F);

impl<F, R> Work<R> for Cancellable<F>
where
    F: FnOnce(&CancelToken<'_>) -> R + Send + 'static,
{
    #[inline]
    fn work(self, token: &CancelToken<'_>) -> R {
        (self.0)(token)
    }

    fn name() -> &'static str {
        type_name::<F>()
    }
}

/// Work whose result somebody waits for.
pub(super) struct Answered<W, R> {
    pub(super) work: W,
    pub(super) completer: Completer<R>,
}

/// A job that is not to be started after its deadline.
pub(super) struct Expiring<J> {
    pub(super) job: J,
    pub(super) deadline: Instant,
}

/// What can be told that it is too late.
pub(super) trait Expire: Job {
    /// Ends unrun.
    fn expire(self) -> Ended;
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

impl<W: Work<R>, R: Send + 'static> Job for Answered<W, R> {
    fn run(self) {
        let Self { work, completer } = self;
        if !completer.start() {
            Worker::note(Ended::Cancelled);
            drop_quietly(work);
            return;
        }
        let outcome = {
            let is_cancelled = || completer.is_cancelled();
            Worker::running(completer.address(), |discarding| {
                let token = CancelToken::new(&is_cancelled, discarding);
                catch_unwind(AssertUnwindSafe(|| work.work(&token)))
            })
        };
        match outcome {
            // If the ticket is gone the value is dropped here; a panic in that is the task's.
            Ok(value) => drop(completer.complete(value)),
            Err(payload) => {
                Worker::note(Ended::Panicked);
                // If the ticket is gone the payload is dropped.
                drop_quietly(catch_unwind(AssertUnwindSafe(|| completer.panicked(payload))));
            }
        }
    }

    fn name() -> &'static str {
        W::name()
    }

    fn owes(&self) -> usize {
        self.completer.address()
    }
}

impl<J: Expire> Job for Expiring<J> {
    fn run(self) {
        if Instant::now() < self.deadline {
            self.job.run();
        } else {
            Worker::note(self.job.expire());
        }
    }

    fn name() -> &'static str {
        J::name()
    }

    fn owes(&self) -> usize {
        self.job.owes()
    }
}

impl<F: FnOnce() + Send + 'static> Expire for F {
    fn expire(self) -> Ended {
        drop_quietly(self);
        Ended::Expired
    }
}

impl<W: Work<R>, R: Send + 'static> Expire for Answered<W, R> {
    fn expire(self) -> Ended {
        let Self { work, completer } = self;
        let ended = if completer.start() { Ended::Expired } else { Ended::Cancelled };
        // First, so that who waits does not wait for the drop.
        completer.expire();
        drop_quietly(work);
        ended
    }
}

impl<J: Job> Job for Timed<J> {
    fn run(self) {
        Worker::note_delay(self.since_ns);
        self.job.run();
    }

    fn name() -> &'static str {
        J::name()
    }

    fn owes(&self) -> usize {
        self.job.owes()
    }
}

/// Drops what belongs to a task whose end has been noted: a panic in it changes nothing.
pub(crate) fn drop_quietly<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        dispose(payload);
    }
}
