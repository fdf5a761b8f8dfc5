//! A bounded queue to which ten times as much is offered as two workers can do: what is refused is lost.
//!
//! ```text
//!   producer ─┐  2 tasks a µs each, in bursts        ┌─► worker    a task is work of some 5 µs
//!   producer ─┴──────────► queue of 1024 ────────────┴─► worker
//!                     └──► refused: nine of ten
//! ```
//!
//! - `overload` is the time for each task that was *done*: 2.5 µs if refusing cost nothing.
//! - `overload-refused` is the share that was refused, in thousandths (information): an "operation" is an
//!   offer, and a thousandth is a nanosecond.
//!
//! A producer sleeps for some 200 µs between bursts, and what is queued lasts 2.5 ms: so the workers
//! never lack tasks, and have the cores but for what offering takes. `rusty_pool`, `threadpool` and tokio's
//! blocking pool are unbounded, and would only grow: they are not here.

use super::condvar::CondvarPool;
use super::pool;
use crate::pools::channel::Channel;
use crate::pools::executor::kept;
use crate::pools::storm::{done, wait_until};
use crate::sample::{Sample, together};
use crate::versus::Row;
use forthwith::threads::{Pool, SubmitError, WhenFull};
use std::hint::black_box;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

const THREADS: usize = 2;
const CAPACITY: usize = 1024;
const PRODUCERS: usize = 2;
/// How many tasks each of them offers in a microsecond.
const RATE: u64 = 2;
/// How long a producer sleeps between bursts, if the kernel is on time.
const PAUSE: Duration = Duration::from_micros(150);

pub(super) fn rows() -> Vec<Row> {
    vec![
        row("threads/overload", |flood, ops| {
            let nanos = flood.sample.elapsed.as_nanos() * u128::from(ops);
            Duration::from_nanos((nanos / u128::from(flood.done)) as u64)
        }),
        row("threads/overload-refused", |flood, ops| {
            Duration::from_nanos(1000 * ops * flood.refused / flood.offered.max(1))
        })
        .goal(0.0),
    ]
}

fn row(name: &str, says: fn(&Flood, u64) -> Duration) -> Row {
    Row::new(name, THREADS, overload::<Pool>(says))
        .peer("crossbeam-channel", overload::<Channel>(says))
        .peer("mutex-condvar", overload::<CondvarPool>(says))
}

/// Threads that take so many tasks and refuse the next.
trait Bounded: Sync {
    fn start(threads: usize, capacity: usize) -> Self;

    /// Has `task` run unless there is no room: then false.
    fn offer(&self, task: impl FnOnce() + Send + 'static) -> bool;
}

impl Bounded for Pool {
    fn start(threads: usize, capacity: usize) -> Self {
        pool::pool("bench", threads, capacity, WhenFull::Reject)
    }
    #[inline]
    fn offer(&self, task: impl FnOnce() + Send + 'static) -> bool {
        match self.execute(task) {
            Ok(()) => true,
            Err(SubmitError::Full(_)) => false,
            Err(_) => unreachable!("it is open, and here"),
        }
    }
}

impl Bounded for Channel {
    fn start(threads: usize, capacity: usize) -> Self {
        Self::bounded(threads, capacity)
    }
    #[inline]
    fn offer(&self, task: impl FnOnce() + Send + 'static) -> bool {
        Self::offer(self, task)
    }
}

impl Bounded for CondvarPool {
    fn start(threads: usize, capacity: usize) -> Self {
        Self::bounded(threads, capacity)
    }
    #[inline]
    fn offer(&self, task: impl FnOnce() + Send + 'static) -> bool {
        Self::offer(self, task)
    }
}

/// What became of the offers.
struct Flood {
    sample: Sample,
    offered: u64,
    refused: u64,
    done: u64,
}

fn overload<E: Bounded>(says: fn(&Flood, u64) -> Duration) -> impl Fn(u64) -> Sample {
    kept(
        || E::start(THREADS, CAPACITY),
        move |pool, ops| {
            let flood = flood(pool, ops);
            Sample { elapsed: says(&flood, ops), ..flood.sample }
        },
    )
}

/// Offers until `ops` tasks are done.
fn flood<E: Bounded>(pool: &E, ops: u64) -> Flood {
    let done = done();
    let before = done.sum();
    let (offered, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let produce = || {
        let (start, mut count, mut no) = (Instant::now(), 0, 0);
        while done.sum() < before + ops {
            let due = start.elapsed().as_micros() as u64 * RATE;
            while count < due {
                count += 1;
                no += u64::from(!pool.offer(|| {
                    work();
                    done.add(1);
                }));
            }
            thread::sleep(PAUSE);
        }
        // Relaxed: read when the producers have been joined.
        offered.fetch_add(count, Relaxed);
        refused.fetch_add(no, Relaxed);
    };
    let sample = together(vec![produce; PRODUCERS]);
    let flood = Flood {
        sample,
        offered: offered.into_inner(),
        refused: refused.into_inner(),
        done: done.sum() - before,
    };
    // What is queued still is not measured.
    wait_until(done, before + flood.offered - flood.refused);
    flood
}

/// Some 5 µs of work, the same for everybody.
fn work() {
    // A division waits for the one before.
    let rest = (1..=800_u64).fold(u64::MAX, |rest, by| (black_box(rest) / by) | (1 << 63));
    black_box(rest);
}
