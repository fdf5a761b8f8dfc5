//! A storm: as many empty tasks as can be spawned, until all of them have run.
//!
//! Each task counts itself, in the same way for all: a sharded counter, of which every thread writes a
//! line of its own (below a nanosecond a task). Who waits for them sleeps and looks every 20 µs (75 with
//! the kernel's slack), which is below one percent of a sample. So neither the counting nor the waiting
//! decides a row; both would with one shared word.

use super::executor::{Executor, kept};
use crate::sample::{Sample, repeat, together};
use forthwith::lockfree::Counter;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

/// Tasks that have run, in all storms. One storm at a time.
static DONE: LazyLock<Counter> = LazyLock::new(|| Counter::with_shards(256));

/// Where tasks count themselves.
pub(crate) fn done() -> &'static Counter {
    &DONE
}

/// So many threads spawn them, none of which is a worker; one of them is the calling thread if it is alone.
pub(crate) fn outside<E: Executor>(threads: usize, producers: u64) -> impl Fn(u64) -> Sample {
    let storm = move |executor: &E, ops: u64| {
        let done = done();
        let share = ops.div_ceil(producers);
        let goal = done.sum() + share * producers;
        let produce = || {
            for _ in 0..share {
                executor.spawn(|| done.add(1));
            }
            wait_until(done, goal);
        };
        match producers {
            1 => repeat(1, produce),
            _ => together((0..producers).map(|_| produce).collect()),
        }
    };
    kept(move || E::start(threads), storm)
}

/// Sleeps until so many tasks have counted themselves.
pub(crate) fn wait_until(done: &Counter, goal: u64) {
    while done.sum() < goal {
        thread::sleep(Duration::from_micros(20));
    }
}
