//! From submitting a task to its first instruction, one task at a time.
//!
//! - `wake-idle`: the pool has had nothing to do for 300 µs; the median of 100 (or the 99th percentile
//!   of 200: information).
//! - `wake-warm`: one after the other. Pools that go on looking for work for a while have not gone to
//!   sleep yet; ours sleeps at once where there are two cores, because looking takes one of them.

use super::peers::Rayon;
use crate::pools::channel::Channel;
use crate::pools::wake::{Pace, wake};
use crate::versus::Row;
use bevy_tasks::TaskPool;
use forthwith::cpu::Balancer;
use threadpool::ThreadPool;

pub(super) fn rows() -> Vec<Row> {
    vec![
        // At most 0.3 of its time.
        row("cpu/wake-idle", 1, Pace::IDLE).goal_against("rayon", 3.33),
        row("cpu/wake-idle", 2, Pace::IDLE).goal_against("rayon", 3.33),
        row("cpu/wake-idle-p99", 2, Pace::IDLE_TAIL).goal(0.0),
        row("cpu/wake-warm", 1, Pace::WARM),
    ]
}

fn row(name: &str, threads: usize, pace: Pace) -> Row {
    Row::new(name, threads, wake::<Balancer>(threads, pace))
        .peer("rayon", wake::<Rayon>(threads, pace))
        .peer("threadpool", wake::<ThreadPool>(threads, pace))
        .peer("crossbeam-channel", wake::<Channel>(threads, pace))
        .peer("bevy_tasks", wake::<TaskPool>(threads, pace))
}
