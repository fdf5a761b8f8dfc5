//! A question and its answer: a task is submitted from outside and its result waited for, one at a time.
//!
//! `roundtrip` is the median of 1000, `-p99` and `-p999` are percentiles of 2000 and 4000 (information).
//! Neither side is asleep for long: who looks for a while before sleeping is fast here.

use super::condvar::CondvarPool;
use super::peers::{Tokio, by_blocking, by_evaluation};
use super::pool::by_ticket;
use crate::pools::channel::Channel;
use crate::pools::promise::{by_oneshot, by_thread};
use crate::pools::roundtrip::{Mode, alone, asking};
use crate::versus::Row;
use forthwith::threads::Pool;
use threadpool::ThreadPool;

pub(super) fn rows() -> Vec<Row> {
    vec![
        row("threads/roundtrip", Mode::Quantile(0.5, 1000)),
        row("threads/roundtrip-p99", Mode::Quantile(0.99, 2000)).goal(0.0),
        row("threads/roundtrip-p999", Mode::Quantile(0.999, 4000)).goal(0.0),
    ]
}

fn row(name: &str, mode: Mode) -> Row {
    Row::new(name, 1, asking(mode, alone::<Pool>, by_ticket))
        .peer("threadpool", asking(mode, alone::<ThreadPool>, by_oneshot))
        .peer("rusty_pool", asking(mode, alone, by_evaluation))
        .peer("crossbeam-channel", asking(mode, alone::<Channel>, by_oneshot))
        .peer("mutex-condvar", asking(mode, alone::<CondvarPool>, by_oneshot))
        .peer("tokio-blocking", asking(mode, alone::<Tokio>, by_blocking))
        .peer("std-thread", asking(mode, || (), by_thread))
}
