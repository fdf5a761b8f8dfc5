//! Many empty tasks from outside, until all of them have run: one producer, or two.
//!
//! Ours is bounded at 4096 tasks and lets who submits wait for room; the peers are unbounded. That spares
//! them the waiting, and costs them memory that is far from any cache when they fall behind.

use super::condvar::CondvarPool;
use super::peers::Tokio;
use crate::pools::channel::Channel;
use crate::pools::storm::outside;
use crate::versus::Row;
use forthwith::threads::Pool;

pub(super) fn rows() -> Vec<Row> {
    vec![
        row("threads/execute-1p", 1, 1),
        row("threads/execute-1p", 2, 1),
        row("threads/execute-2p", 2, 2),
    ]
}

fn row(name: &str, threads: usize, producers: u64) -> Row {
    Row::new(name, threads, outside::<Pool>(threads, producers))
        .goal(3.0)
        .peer("threadpool", outside::<threadpool::ThreadPool>(threads, producers))
        .peer("rusty_pool", outside::<rusty_pool::ThreadPool>(threads, producers))
        .peer("crossbeam-channel", outside::<Channel>(threads, producers))
        .peer("mutex-condvar", outside::<CondvarPool>(threads, producers))
        .peer("tokio-blocking", outside::<Tokio>(threads, producers))
}
