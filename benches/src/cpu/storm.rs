//! Storms: as many empty tasks as can be spawned, until all of them have run.
//!
//! - `storm-extern`: one thread that is no worker spawns them all.
//! - `storm-inside`: one task does, on a worker.
//!
//! Ours is bounded at 4096 tasks and lets who spawns wait for room; the peers are unbounded.

use super::peers::Rayon;
use crate::pools::channel::Channel;
use crate::pools::executor::{Executor, kept};
use crate::pools::storm::{done, outside, wait_until};
use crate::sample::{Sample, repeat};
use crate::versus::Row;
use bevy_tasks::TaskPool;
use forthwith::cpu::Balancer;
use std::sync::Arc;
use threadpool::ThreadPool;

pub(super) fn rows() -> Vec<Row> {
    let both = |threads| {
        let outside = Row::new("cpu/storm-extern", threads, outside::<Balancer>(threads, 1))
            .peer("rayon", outside::<Rayon>(threads, 1))
            .peer("threadpool", outside::<ThreadPool>(threads, 1))
            .peer("crossbeam-channel", outside::<Channel>(threads, 1))
            .peer("bevy_tasks", outside::<TaskPool>(threads, 1));
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

fn inside<E: Executor>(threads: usize) -> impl Fn(u64) -> Sample {
    let storm = |executor: &Arc<E>, ops| {
        let (done, own) = (done(), Arc::clone(executor));
        // The task that spawns is one more. It is done when it holds the executor no longer, so that no
        // worker drops it.
        let goal = done.sum() + ops + 1;
        let mut start = Some(move || {
            for _ in 0..ops {
                own.spawn_inside(|| done.add(1));
            }
            drop(own);
            done.add(1);
        });
        repeat(1, || {
            executor.spawn(start.take().expect("repeated once"));
            wait_until(done, goal);
        })
    };
    kept(move || Arc::new(E::start(threads)), storm)
}
