//! The peers that are crates, besides those in `pools`, and threads without a pool.
//!
//! | peer | what it is | results |
//! |---|---|---|
//! | `rusty_pool` | a `crossbeam-channel` of boxes; grows and shrinks, here it has one size | its own handle, a future |
//! | `tokio-blocking` | the pool that a runtime has for blocking closures, `spawn_blocking` | its own handle, a future |
//! | `std-thread` | a new thread for each task | its own handle |
//!
//! The runtime is the one without workers of its own, so that there are as many threads as everybody has.
//! Its futures are waited for by `block_on` of `bevy_tasks`, which costs less than that of the runtime.

use crate::pools::executor::Executor;
use crate::pools::promise::{Promise, reply};
use bevy_tasks::block_on;
use std::thread;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// The blocking pool of a runtime.
pub(super) struct Tokio(Runtime);

/// No pool at all.
pub(super) struct StdThread;

/// A pool of one size.
pub(super) fn rusty(name: &str, threads: usize) -> rusty_pool::ThreadPool {
    let pool = rusty_pool::Builder::new().name(name.into()).core_size(threads).max_size(threads);
    pool.keep_alive(Duration::from_mins(1)).build()
}

impl Tokio {
    /// A pool of one size.
    pub(super) fn named(name: &str, threads: usize) -> Self {
        let mut runtime = Builder::new_current_thread();
        runtime.max_blocking_threads(threads).thread_keep_alive(Duration::from_mins(1));
        Self(runtime.thread_name(name).build().expect("a runtime can be had"))
    }
}

impl Executor for rusty_pool::ThreadPool {
    fn start(threads: usize) -> Self {
        rusty("rusty", threads)
    }
    #[inline]
    fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        self.execute(task);
    }
}

impl Executor for Tokio {
    fn start(threads: usize) -> Self {
        Self::named("tokio", threads)
    }
    #[inline]
    fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        drop(self.0.spawn_blocking(task));
    }
}

impl Executor for StdThread {
    fn start(_: usize) -> Self {
        Self
    }
    fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        drop(thread::spawn(task));
    }
}

/// The answer comes by a handle of `rusty_pool`.
#[inline]
pub(super) fn by_evaluation(
    pool: &rusty_pool::ThreadPool,
    question: u64,
) -> rusty_pool::JoinHandle<u64> {
    pool.evaluate(move || reply(question))
}

/// The answer comes by a handle of `tokio`.
#[inline]
pub(super) fn by_blocking(tokio: &Tokio, question: u64) -> tokio::task::JoinHandle<u64> {
    tokio.0.spawn_blocking(move || reply(question))
}

impl Promise for rusty_pool::JoinHandle<u64> {
    #[inline]
    fn answer(self) -> u64 {
        self.await_complete()
    }
}

impl Promise for tokio::task::JoinHandle<u64> {
    #[inline]
    fn answer(self) -> u64 {
        block_on(self).expect("it does not panic")
    }
}
