//! From submitting a task to an idle pool to its first instruction: the median of 100 tasks, 300 µs apart.

use super::condvar::CondvarPool;
use super::peers::{StdThread, Tokio};
use crate::pools::channel::Channel;
use crate::pools::wake::{Pace, wake};
use crate::versus::Row;
use forthwith::threads::Pool;

pub(super) fn rows() -> Vec<Row> {
    vec![row(1), row(2)]
}

fn row(threads: usize) -> Row {
    Row::new("threads/wake-idle", threads, wake::<Pool>(threads, Pace::IDLE))
        .peer("threadpool", wake::<threadpool::ThreadPool>(threads, Pace::IDLE))
        .peer("rusty_pool", wake::<rusty_pool::ThreadPool>(threads, Pace::IDLE))
        .peer("crossbeam-channel", wake::<Channel>(threads, Pace::IDLE))
        .peer("mutex-condvar", wake::<CondvarPool>(threads, Pace::IDLE))
        .peer("tokio-blocking", wake::<Tokio>(threads, Pace::IDLE))
        .peer("std-thread", wake::<StdThread>(threads, Pace::IDLE))
}
