//! A question to a pool and the promise of an answer, in each pool's own way.
//!
//! Where a pool has nothing for results the answer comes by the fastest channel for one message that we
//! know, `oneshot`, or by one of `crossbeam-channel` with capacity 1, which looks for a while before it
//! sleeps.

use super::executor::Executor;
use forthwith::cpu::Ticket;
use std::thread::{self, JoinHandle};

/// An answer that is to come.
pub(crate) trait Promise {
    /// Blocks until it is there.
    fn answer(self) -> u64;
}

/// How a contender is asked.
pub(crate) type Ask<E, P> = fn(&E, u64) -> P;

/// What a worker does.
#[inline]
pub(crate) fn reply(question: u64) -> u64 {
    question + 1
}

/// The answer comes by a `oneshot`.
#[inline]
pub(crate) fn by_oneshot<E: Executor>(executor: &E, question: u64) -> oneshot::Receiver<u64> {
    let (sender, receiver) = oneshot::channel();
    executor.spawn(move || sender.send(reply(question)).expect("the asker waits"));
    receiver
}

/// The answer comes by a `crossbeam-channel`.
#[inline]
pub(crate) fn by_channel<E: Executor>(
    executor: &E,
    question: u64,
) -> crossbeam_channel::Receiver<u64> {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    executor.spawn(move || sender.send(reply(question)).expect("the asker waits"));
    receiver
}

/// A new thread answers.
pub(crate) fn by_thread<E>(_: &E, question: u64) -> JoinHandle<u64> {
    thread::spawn(move || reply(question))
}

impl Promise for oneshot::Receiver<u64> {
    #[inline]
    fn answer(self) -> u64 {
        self.recv().expect("an answer")
    }
}

impl Promise for crossbeam_channel::Receiver<u64> {
    #[inline]
    fn answer(self) -> u64 {
        self.recv().expect("an answer")
    }
}

impl Promise for Ticket<u64> {
    #[inline]
    fn answer(self) -> u64 {
        self.wait().expect("an answer")
    }
}

impl Promise for JoinHandle<u64> {
    fn answer(self) -> u64 {
        self.join().expect("it does not panic")
    }
}

/// One that has waited already.
impl Promise for u64 {
    fn answer(self) -> u64 {
        self
    }
}
