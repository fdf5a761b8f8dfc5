//! A question and its answer: a task is submitted from outside and its result waited for, one at a time.
//!
//! `roundtrip` is the mean, `roundtrip-p99` the 99th percentile of 2000 (information). The answer comes
//! by what the pool has for it; where it has nothing, by the fastest channel for one message that we know
//! (`oneshot`), or by a channel of capacity 1 as `crossbeam-channel` has it. `std-thread` is a new thread
//! for each question.

use super::executor::{Executor, kept};
use super::peers::{Channel, Rayon};
use super::quantile::quantile;
use crate::sample::{Sample, repeat};
use crate::versus::Row;
use bevy_tasks::{TaskPool, block_on};
use forthwith::cpu::{Balancer, Priority};
use std::hint::black_box;
use std::thread;
use std::time::Instant;
use threadpool::ThreadPool;

/// How many questions are asked and what is said of them.
type Mode = fn(u64, &mut dyn FnMut()) -> Sample;

pub(super) fn rows() -> Vec<Row> {
    vec![row("cpu/roundtrip", mean), row("cpu/roundtrip-p99", p99).goal(0.0)]
}

fn row(name: &str, mode: Mode) -> Row {
    Row::new(name, 1, asking(mode, by_ticket))
        .peer("rayon", asking(mode, by_oneshot::<Rayon>))
        .peer("rayon-install", asking(mode, by_install))
        .peer("threadpool", asking(mode, by_oneshot::<ThreadPool>))
        .peer("crossbeam-channel", asking(mode, by_channel))
        .peer("bevy_tasks", asking(mode, by_future))
        .peer("std-thread", move |ops| {
            mode(ops, &mut || {
                black_box(thread::spawn(|| answer(7)).join().expect("it does not panic"));
            })
        })
}

fn mean(ops: u64, ask: &mut dyn FnMut()) -> Sample {
    repeat(ops, ask)
}

fn p99(ops: u64, ask: &mut dyn FnMut()) -> Sample {
    quantile(0.99, 2000, ops, || {
        let start = Instant::now();
        ask();
        start.elapsed()
    })
}

/// Asks a pool with one worker.
fn asking<E: Executor>(mode: Mode, ask: impl Fn(&E, u64) -> u64) -> impl Fn(u64) -> Sample {
    kept(
        || E::start(1),
        move |executor, ops| {
            let mut question = 0;
            mode(ops, &mut || {
                question += 1;
                black_box(ask(executor, black_box(question)));
            })
        },
    )
}

/// What the worker does.
fn answer(question: u64) -> u64 {
    question + 1
}

fn by_ticket(balancer: &Balancer, question: u64) -> u64 {
    let ticket = balancer.submit(Priority::Normal, move || answer(question)).expect("it is open");
    ticket.wait().expect("an answer")
}

fn by_install(rayon: &Rayon, question: u64) -> u64 {
    rayon.0.install(|| answer(question))
}

fn by_oneshot<E: Executor>(executor: &E, question: u64) -> u64 {
    let (sender, receiver) = oneshot::channel();
    executor.spawn(move || sender.send(answer(question)).expect("the asker waits"));
    receiver.recv().expect("an answer")
}

fn by_channel(executor: &Channel, question: u64) -> u64 {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    executor.spawn(move || sender.send(answer(question)).expect("the asker waits"));
    receiver.recv().expect("an answer")
}

fn by_future(pool: &TaskPool, question: u64) -> u64 {
    block_on(pool.spawn(async move { answer(question) }))
}
