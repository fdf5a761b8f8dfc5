//! What tells a running task that it should stop.
//!
//! A thread cannot be stopped from outside without leaving locks held and memory unfreed, so nobody here
//! tries: who wants a task to end asks it, and the task looks now and then.

use crate::sys::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::fmt;

/// Tells the task that holds it whether it should still go on.
///
/// Looking is two loads: cheap enough for every round of a loop. Never blocks. May be shared with threads
/// that the task starts in a [`std::thread::scope`].
#[derive(Clone, Copy)]
pub struct CancelToken<'a> {
    ticket: &'a (dyn Fn() -> bool + Sync + 'a),
    discarding: Option<&'a AtomicBool>,
}

impl<'a> CancelToken<'a> {
    /// For the task whose ticket cancels it once `ticket` says so, in an executor that is `discarding`
    /// its work once the flag is set.
    pub(super) fn new(
        ticket: &'a (dyn Fn() -> bool + Sync + 'a),
        discarding: Option<&'a AtomicBool>,
    ) -> Self {
        Self { ticket, discarding }
    }

    /// Whether the task should stop early: its ticket was [cancelled](super::Ticket::cancel), or the
    /// executor [discards](super::Engine::discard) its work. Once true, it stays true.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        // Relaxed: the flag publishes nothing.
        (self.ticket)() || self.discarding.is_some_and(|flag| flag.load(Relaxed))
    }
}

impl fmt::Debug for CancelToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken").field("is_cancelled", &self.is_cancelled()).finish()
    }
}
