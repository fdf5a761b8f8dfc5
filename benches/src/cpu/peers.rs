//! The peers: other pools of threads, as their documentation would have them used for closures.
//!
//! | peer | what it is | from outside | from inside |
//! |---|---|---|---|
//! | `rayon` | a pool of its own, `ThreadPool::spawn` | injector | own deque, `rayon::spawn` |
//! | `threadpool` | see `pools` | the channel | the channel |
//! | `crossbeam-channel` | see `pools`; unbounded | the channel | the channel |
//! | `crossbeam-two` | the same with a second channel, which is looked at first: for the rows with urgent tasks | | |
//! | `bevy_tasks` | an async executor, for closures in futures | a queue | the same queue |
//!
//! All of them are unbounded and box every task. `rusty_pool`, a `crossbeam-channel` inside, is a peer of
//! `threads`.

use crate::pools::executor::Executor;
use crate::pools::workers::{Boxed, Workers};
use bevy_tasks::{TaskPool, TaskPoolBuilder};
use crossbeam_channel::{Receiver, Sender, select_biased, unbounded};

/// A rayon pool.
pub(super) struct Rayon(pub(super) rayon::ThreadPool);

/// Threads on two channels, one of them for urgent tasks.
pub(super) struct TwoChannels {
    // Dropped in this order: without senders the workers end, then they are joined.
    senders: [Sender<Boxed>; 2],
    _workers: Workers,
}

impl Executor for Rayon {
    fn start(threads: usize) -> Self {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        Self(pool.expect("threads can be had"))
    }
    #[inline]
    fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        self.0.spawn(task);
    }
    #[inline]
    fn spawn_inside(&self, task: impl FnOnce() + Send + 'static) {
        rayon::spawn(task);
    }
}

impl Executor for TaskPool {
    fn start(threads: usize) -> Self {
        TaskPoolBuilder::new().num_threads(threads).build()
    }
    #[inline]
    fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        Self::spawn(self, async move { task() }).detach();
    }
}

impl TwoChannels {
    #[inline]
    fn send(&self, channel: usize, task: impl FnOnce() + Send + 'static) {
        assert!(self.senders[channel].send(Box::new(task)).is_ok(), "the workers are there");
    }
}

impl Executor for TwoChannels {
    fn start(threads: usize) -> Self {
        let (urgent, usual): ((_, Receiver<Boxed>), (_, Receiver<Boxed>)) =
            (unbounded(), unbounded());
        let workers = Workers::start(threads, || {
            let (first, second) = (urgent.1.clone(), usual.1.clone());
            move || {
                while let Ok(task) = select_biased! {
                    recv(first) -> task => task,
                    recv(second) -> task => task,
                } {
                    task();
                }
                // Both are closed, and nothing urgent is left.
                second.iter().for_each(|task| task());
            }
        });
        Self { senders: [urgent.0, usual.0], _workers: workers }
    }
    #[inline]
    fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        self.send(1, task);
    }
    #[inline]
    fn spawn_urgent(&self, task: impl FnOnce() + Send + 'static) {
        self.send(0, task);
    }
}
