//! From submitting a task to its first instruction, one task at a time.
//!
//! - `wake-idle`: the pool has had nothing to do for 300 µs; the median of 100 (or the 99th percentile
//!   of 200: information).
//! - `wake-warm`: one after the other. Pools that go on looking for work for a while have not gone to
//!   sleep yet; ours sleeps at once where there are two cores, because looking takes one of them.
//!
//! Who submitted sleeps meanwhile (warm: looks at the clock's result, there is a core for it), and is
//! woken by the task after it has read the clock.

use super::executor::{Executor, kept};
use super::peers::{Channel, Rayon};
use super::quantile::quantile;
use crate::patience::Patience;
use crate::sample::Sample;
use crate::versus::Row;
use bevy_tasks::TaskPool;
use forthwith::cpu::Balancer;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use threadpool::ThreadPool;

/// How a row proceeds.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// How long the pool is left alone before each task.
    pause: Duration,
    timed: u64,
    quantile: f64,
}

pub(super) fn rows() -> Vec<Row> {
    let idle = Pace { pause: Duration::from_micros(300), timed: 100, quantile: 0.5 };
    let tail = Pace { timed: 200, quantile: 0.99, ..idle };
    let warm = Pace { pause: Duration::ZERO, timed: 1000, quantile: 0.5 };
    vec![
        // At most 0.3 of its time.
        row("cpu/wake-idle", 1, idle).goal_against("rayon", 3.33),
        row("cpu/wake-idle", 2, idle).goal_against("rayon", 3.33),
        row("cpu/wake-idle-p99", 2, tail).goal(0.0),
        row("cpu/wake-warm", 1, warm),
    ]
}

fn row(name: &str, threads: usize, pace: Pace) -> Row {
    Row::new(name, threads, wake::<Balancer>(threads, pace))
        .peer("rayon", wake::<Rayon>(threads, pace))
        .peer("threadpool", wake::<ThreadPool>(threads, pace))
        .peer("crossbeam-channel", wake::<Channel>(threads, pace))
        .peer("bevy_tasks", wake::<TaskPool>(threads, pace))
}

fn wake<E: Executor>(threads: usize, pace: Pace) -> impl Fn(u64) -> Sample {
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
pub(super) struct Latch {
    nanos: AtomicU64,
    waiter: Thread,
}

impl Latch {
    /// For the calling thread to wait at.
    pub(super) fn new() -> Self {
        Self { nanos: AtomicU64::new(0), waiter: thread::current() }
    }

    /// Tells it.
    pub(super) fn open(&self, took: Duration) {
        // Release: pairs with the Acquire in `take`.
        self.nanos.store((took.as_nanos() as u64).max(1), Release);
        self.waiter.unpark();
    }

    /// Waits for it, asleep; closes again.
    pub(super) fn sleep(&self) -> Duration {
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
