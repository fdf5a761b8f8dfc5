//! A question and its answer: a task is submitted from outside and its result waited for, one at a time.
//!
//! `roundtrip` is the mean, `roundtrip-p99` the 99th percentile of 2000 (information). The answer comes
//! by what the pool has for it, or by a channel for one message. `std-thread` is a new thread for each
//! question.

use super::peers::Rayon;
use crate::pools::channel::Channel;
use crate::pools::promise::{Promise, by_channel, by_oneshot, by_thread, reply};
use crate::pools::roundtrip::{Mode, alone, asking};
use crate::versus::Row;
use bevy_tasks::{Task, TaskPool, block_on};
use forthwith::cpu::{Balancer, Priority, Ticket};
use threadpool::ThreadPool;

pub(super) fn rows() -> Vec<Row> {
    vec![
        row("cpu/roundtrip", Mode::Mean),
        row("cpu/roundtrip-p99", Mode::Quantile(0.99, 2000)).goal(0.0),
    ]
}

fn row(name: &str, mode: Mode) -> Row {
    Row::new(name, 1, asking(mode, alone::<Balancer>, by_ticket))
        .peer("rayon", asking(mode, alone::<Rayon>, by_oneshot))
        .peer("rayon-install", asking(mode, alone::<Rayon>, by_install))
        .peer("threadpool", asking(mode, alone::<ThreadPool>, by_oneshot))
        .peer("crossbeam-channel", asking(mode, alone::<Channel>, by_channel))
        .peer("bevy_tasks", asking(mode, alone::<TaskPool>, by_future))
        .peer("std-thread", asking(mode, || (), by_thread))
}

fn by_ticket(balancer: &Balancer, question: u64) -> Ticket<u64> {
    balancer.submit(Priority::Normal, move || reply(question)).expect("it is open")
}

fn by_install(rayon: &Rayon, question: u64) -> u64 {
    rayon.0.install(|| reply(question))
}

fn by_future(pool: &TaskPool, question: u64) -> Task<u64> {
    pool.spawn(async move { reply(question) })
}

impl Promise for Task<u64> {
    fn answer(self) -> u64 {
        block_on(self)
    }
}
