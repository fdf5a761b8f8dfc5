//! A futex out of a mutex and a condition variable: for platforms without one, and for loom.

use super::{Wake, remaining};
use crate::sys::sync::atomic::{AtomicU32, Ordering};
use crate::sys::sync::{Condvar, Mutex};
use std::time::Instant;

/// A word to sleep on, with what it takes to sleep.
#[derive(Debug)]
pub(crate) struct Futex {
    word: AtomicU32,
    /// Held from the comparison until asleep, and while waking: this makes them one step (I1).
    gate: Mutex<()>,
    sleepers: Condvar,
}

impl Futex {
    pub(crate) fn new(value: u32) -> Self {
        Self { word: AtomicU32::new(value), gate: Mutex::new(()), sleepers: Condvar::new() }
    }

    /// The word itself.
    pub(crate) fn word(&self) -> &AtomicU32 {
        &self.word
    }

    /// Sleeps while the word holds `expected`, at most until `deadline`; may return spuriously.
    pub(crate) fn wait(&self, expected: u32, deadline: Option<Instant>) -> Wake {
        let gate = self.gate.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Acquire: the waker's change of the word came before it took the gate, so we either see
        // it here or are asleep before its wake-up.
        if self.word.load(Ordering::Acquire) != expected {
            return Wake::Changed;
        }
        let Some(deadline) = deadline else {
            drop(self.sleepers.wait(gate));
            return Wake::Woken;
        };
        let Some(left) = remaining(deadline) else {
            return Wake::TimedOut;
        };
        match self.sleepers.wait_timeout(gate, left) {
            Ok((_, result)) if result.timed_out() => Wake::TimedOut,
            _ => Wake::Woken,
        }
    }

    /// Wakes one sleeper, if there is one.
    pub(crate) fn wake_one(&self) {
        let _gate = self.gate.lock();
        self.sleepers.notify_one();
    }

    /// Wakes every sleeper.
    pub(crate) fn wake_all(&self) {
        let _gate = self.gate.lock();
        self.sleepers.notify_all();
    }
}
