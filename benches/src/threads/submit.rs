//! Tasks with results: 256 of them are submitted, then all 256 results are waited for, and so on.
//!
//! The results come by what the pool has for them, else by `oneshot`. Everybody drops what carried a
//! result as soon as it is there.

use super::condvar::CondvarPool;
use super::peers::{Tokio, by_blocking, by_evaluation};
use super::pool::by_ticket;
use crate::pools::channel::Channel;
use crate::pools::executor::{Executor, kept};
use crate::pools::promise::{Ask, Promise, by_oneshot};
use crate::sample::{Sample, repeat};
use crate::versus::Row;
use forthwith::threads::Pool;
use std::hint::black_box;

const THREADS: usize = 2;
/// How many results are outstanding at most.
const WINDOW: u64 = 256;

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new("threads/submit-1p", THREADS, windows::<Pool, _>(by_ticket))
            .goal(3.0)
            .peer("threadpool", windows::<threadpool::ThreadPool, _>(by_oneshot))
            .peer("rusty_pool", windows(by_evaluation))
            .peer("crossbeam-channel", windows::<Channel, _>(by_oneshot))
            .peer("mutex-condvar", windows::<CondvarPool, _>(by_oneshot))
            .peer("tokio-blocking", windows::<Tokio, _>(by_blocking)),
    ]
}

fn windows<E: Executor, P: Promise>(ask: Ask<E, P>) -> impl Fn(u64) -> Sample {
    let work = move |executor: &E, ops: u64| {
        let mut promises = Vec::with_capacity(WINDOW as usize);
        repeat(1, || {
            for first in (0..ops).step_by(WINDOW as usize) {
                let window = first..ops.min(first + WINDOW);
                promises.extend(window.map(|question| ask(executor, question)));
                let sum: u64 = promises.drain(..).map(Promise::answer).sum();
                black_box(sum);
            }
        })
    };
    kept(|| E::start(THREADS), work)
}
