//! Storms: as many empty tasks as can be spawned, until all of them have run.
//!
//! - `storm-extern`: one thread that is no worker spawns them all.
//! - `storm-inside`: one task does, on a worker.
//!
//! Each task counts itself, in the same way for all: a sharded counter, of which every thread writes a
//! line of its own (below a nanosecond a task). Who waits for them sleeps and looks every 20 µs (75 with
//! the kernel's slack), which is below one percent of a sample. So neither the counting nor the waiting
//! decides a row; both would with one shared word.
//!
//! Ours is bounded at 4096 tasks and lets who spawns wait for room; the peers are unbounded.

use super::executor::{Executor, kept};
use super::peers::{Channel, Rayon};
use crate::sample::{Sample, repeat};
use crate::versus::Row;
use bevy_tasks::TaskPool;
use forthwith::cpu::Balancer;
use forthwith::lockfree::Counter;
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;
use threadpool::ThreadPool;

/// Tasks that have run, in all storms. One storm at a time.
static DONE: LazyLock<Counter> = LazyLock::new(|| Counter::with_shards(256));

pub(super) fn rows() -> Vec<Row> {
    let both = |threads| {
        let outside = Row::new("cpu/storm-extern", threads, outside::<Balancer>(threads))
            .peer("rayon", outside::<Rayon>(threads))
            .peer("threadpool", outside::<ThreadPool>(threads))
            .peer("crossbeam-channel", outside::<Channel>(threads))
            .peer("bevy_tasks", outside::<TaskPool>(threads));
        let inside = Row::new("cpu/storm-inside", threads, inside::<Balancer>(threads))
            .peer("rayon", inside::<Rayon>(threads))
            .peer("threadpool", inside::<ThreadPool>(threads))
            .peer("crossbeam-channel", inside::<Channel>(threads))
            .peer("bevy_tasks", inside::<TaskPool>(threads));
        // At most 0.2 and 0.4 of its time.
        [outside.goal_against("rayon", 5.0), inside.goal_against("rayon", 2.5)]
    };
    [1, 2].into_iter().flat_map(both).collect()
}

fn outside<E: Executor>(threads: usize) -> impl Fn(u64) -> Sample {
    let storm = |executor: &E, ops| {
        let done: &'static Counter = &DONE;
        until_done(done, ops, || {
            for _ in 0..ops {
                executor.spawn(|| done.add(1));
            }
        })
    };
    kept(move || E::start(threads), storm)
}

fn inside<E: Executor>(threads: usize) -> impl Fn(u64) -> Sample {
    let storm = |executor: &Arc<E>, ops| {
        let done: &'static Counter = &DONE;
        let own = Arc::clone(executor);
        // The task that spawns is one more. It is done when it holds the executor no longer, so that no
        // worker drops it.
        until_done(done, ops + 1, || {
            executor.spawn(move || {
                for _ in 0..ops {
                    own.spawn_inside(|| done.add(1));
                }
                drop(own);
                done.add(1);
            });
        })
    };
    kept(move || Arc::new(E::start(threads)), storm)
}

/// Measures `spawn` until `count` tasks have counted themselves.
fn until_done(done: &Counter, count: u64, spawn: impl FnOnce()) -> Sample {
    let goal = done.sum() + count;
    let mut spawn = Some(spawn);
    repeat(1, || {
        spawn.take().expect("repeated once")();
        while done.sum() < goal {
            thread::sleep(Duration::from_micros(20));
        }
    })
}
