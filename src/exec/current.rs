//! The worker of the calling thread: how a task finds the one that runs it.
//!
//! A thread knows its worker by a thread-local pointer. What a task is, whether it was cancelled, how it
//! ended: all that its job knows and its worker shows goes this way.
//!
//! # Invariants
//! - **I1** The thread-local points to a `Worker` on this thread's stack, or is null: `Entered` sets it
//!   and puts it back before the worker is gone, also when a panic unwinds.

use super::worker::{Ended, Worker};
use crate::sys::sync::atomic::AtomicBool;
use crate::sys::sync::{context, set_context};

impl Worker<'_> {
    /// Calls `f` with the worker of this thread, if it is one.
    #[inline]
    pub(super) fn with_current<T>(f: impl FnOnce(Option<&Worker<'_>>) -> T) -> T {
        let worker = context().cast::<Worker<'_>>();
        // SAFETY: I1: null, or a worker further down this thread's stack, which lives for as long as
        // the thread-local points to it and so throughout the call.
        f(unsafe { worker.as_ref() })
    }

    /// Runs `f` as a task whose result has this address, and tells it where to look whether its executor
    /// wants tasks to stop early.
    pub(super) fn running<T>(result: usize, f: impl FnOnce(Option<&AtomicBool>) -> T) -> T {
        Self::with_current(|worker| {
            let Some(worker) = worker else { return f(None) };
            worker.running.borrow_mut().push(result);
            // A task does not unwind to here: see `Answered`.
            let outcome = f(Some(&worker.shared.discarding));
            worker.running.borrow_mut().pop();
            outcome
        })
    }

    /// Gives the task on this thread a name, or takes it away; returns the one before.
    pub(super) fn label(name: Option<&'static str>) -> Option<&'static str> {
        Self::with_current(|worker| {
            let worker = worker.filter(|worker| worker.shared.watched)?;
            worker.shared.desks[worker.index()].set_label(name)
        })
    }

    /// Whether the task that owes the result with this address is on this thread's stack.
    pub(super) fn is_running(&self, result: usize) -> bool {
        self.running.borrow().contains(&result)
    }

    /// Notes how the task on this thread ended, if the thread is a worker.
    pub(super) fn note(how: Ended) {
        Self::with_current(|worker| {
            if let Some(worker) = worker {
                worker.ended(how);
            }
        });
    }

    /// Notes that a task which was submitted at `since_ns` is starting.
    pub(super) fn note_delay(since_ns: u64) {
        Self::with_current(|worker| {
            let Some(shared) = worker.map(|worker| worker.shared) else { return };
            if let Some(meters) = &shared.meters {
                meters.delayed(shared.now_ns().saturating_sub(since_ns));
            }
        });
    }
}

/// While this lives the thread knows its worker (I1).
pub(super) struct Entered {
    before: *const (),
}

impl Entered {
    pub(super) fn new(worker: &Worker<'_>) -> Self {
        Self { before: set_context(std::ptr::from_ref(worker).cast()) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        set_context(self.before);
    }
}
