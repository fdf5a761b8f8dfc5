//! From submitting a task to its first instruction, one task at a time.
//!
//! Who submitted sleeps meanwhile (warm: looks at the clock's result, there is a core for it), and is
//! woken by the task after it has read the clock.

use super::executor::{Executor, kept};
use super::quantile::quantile;
use crate::patience::Patience;
use crate::sample::Sample;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How a row proceeds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// How long the pool is left alone before each task.
    pause: Duration,
    timed: u64,
    quantile: f64,
}

impl Pace {
    /// The pool has had nothing to do for 300 µs: the median of 100.
    pub(crate) const IDLE: Self =
        Self { pause: Duration::from_micros(300), timed: 100, quantile: 0.5 };
    /// The same: the 99th percentile of 200.
    pub(crate) const IDLE_TAIL: Self = Self { timed: 200, quantile: 0.99, ..Self::IDLE };
    /// One after the other.
    pub(crate) const WARM: Self = Self { pause: Duration::ZERO, timed: 1000, quantile: 0.5 };
}

/// How long each of so many tasks takes from being submitted to running.
pub(crate) fn wake<E: Executor>(threads: usize, pace: Pace) -> impl Fn(u64) -> Sample {
    let Pace { pause, timed, quantile: wanted } = pace;
    kept(
        move || E::start(threads),
        move |executor, ops| {
            let latch = Arc::new(Latch::new());
            quantile(wanted, timed, ops, || {
                if !pause.is_zero() {
                    thread::sleep(pause);
                }
                let (report, submitted) = (Arc::clone(&latch), Instant::now());
                executor.spawn(move || report.open(submitted.elapsed()));
                if pause.is_zero() { latch.look() } else { latch.sleep() }
            })
        },
    )
}

/// How long something took, told by another thread.
pub(crate) struct Latch {
    nanos: AtomicU64,
    waiter: Thread,
}

impl Latch {
    /// For the calling thread to wait at.
    pub(crate) fn new() -> Self {
        Self { nanos: AtomicU64::new(0), waiter: thread::current() }
    }

    /// Tells it.
    pub(crate) fn open(&self, took: Duration) {
        // Release: pairs with the Acquire in `take`.
        self.nanos.store((took.as_nanos() as u64).max(1), Release);
        self.waiter.unpark();
    }

    /// Waits for it, asleep; closes again.
    pub(crate) fn sleep(&self) -> Duration {
        loop {
            if let Some(took) = self.take() {
                return took;
            }
            thread::park();
        }
    }

    /// Waits for it, awake; closes again.
    fn look(&self) -> Duration {
        let mut patience = Patience::new();
        loop {
            if let Some(took) = self.take() {
                return took;
            }
            patience.wait();
        }
    }

    fn take(&self) -> Option<Duration> {
        // Acquire: what the other thread did before is done.
        let nanos = self.nanos.load(Acquire);
        // Relaxed: nobody opens it before the next task.
        (nanos > 0).then(|| self.nanos.store(0, Relaxed))?;
        Some(Duration::from_nanos(nanos))
    }
}
