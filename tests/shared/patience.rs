//! What keeps a test that hangs from hanging all of them. A part of several test crates.

#![allow(dead_code, reason = "each of them uses some of it")]

use std::convert::Infallible;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a test may take before it counts as hanging, on a machine that others use, too.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);

/// Runs `test` on a thread of its own, which is left behind if it takes too long.
pub(crate) fn in_time(test: impl FnOnce() + Send + 'static) {
    within(PATIENCE, test);
}

/// As [`in_time`], for `patience`.
pub(crate) fn within(patience: Duration, test: impl FnOnce() + Send + 'static) {
    let (running, ended) = mpsc::channel::<Infallible>();
    let thread = thread::Builder::new().name("test".into());
    let thread = thread.spawn(move || {
        let _running = running;
        test();
    });
    let thread = thread.expect("a thread");
    let outcome = ended.recv_timeout(patience);
    assert_eq!(outcome, Err(RecvTimeoutError::Disconnected), "it hangs");
    if let Err(payload) = thread.join() {
        resume_unwind(payload);
    }
}

/// Waits until `condition` holds.
pub(crate) fn eventually(condition: impl FnMut() -> bool) {
    assert!(comes_true(PATIENCE / 10, condition), "it never came");
}

/// Whether `condition` comes true in time.
pub(crate) fn comes_true(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > patience {
            return false;
        }
        thread::sleep(Duration::from_micros(200));
    }
    true
}
