//! A wait that can be ended: for threads that look at an engine now and then.

use crate::sys::sync::{Condvar, Mutex, MutexGuard};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// Ends the waits of another thread, for ever.
#[derive(Default)]
pub(crate) struct Stop {
    is_over: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Ends all waits, those to come too.
    pub(crate) fn now(&self) {
        *self.lock() = true;
        self.changed.notify_all();
    }

    /// Whether it was called for.
    pub(crate) fn is_over(&self) -> bool {
        *self.lock()
    }

    /// Blocks for `interval`; true as soon as it was called for.
    pub(crate) fn wait(&self, interval: Duration) -> bool {
        let until = Instant::now().checked_add(interval);
        let mut is_over = self.lock();
        loop {
            let left = until.map_or(interval, |at| at.saturating_duration_since(Instant::now()));
            if *is_over || left.is_zero() {
                return *is_over;
            }
            let outcome = self.changed.wait_timeout(is_over, left);
            is_over = outcome.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        // One word: nothing can be half done.
        self.is_over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
