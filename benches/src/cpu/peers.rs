//! The peers: other pools of threads, as their documentation would have them used for closures.
//!
//! | peer | what it is | from outside | from inside |
//! |---|---|---|---|
//! | `rayon` | a pool of its own, `ThreadPool::spawn` | injector | own deque, `rayon::spawn` |
//! | `threadpool` | `mpsc` under a mutex | the channel | the channel |
//! | `crossbeam-channel` | threads on an unbounded channel of boxes: the least executor there is | the channel | the channel |
//! | `crossbeam-two` | the same with a second channel, which is looked at first: for the rows with urgent tasks | | |
//! | `bevy_tasks` | an async executor, for closures in futures | a queue | the same queue |
//!
//! All of them are unbounded and box every task. `rusty_pool` is not here: since its version 1.0 it
//! depends on `futures-executor`, which nothing in this tree may; it is a `crossbeam-channel` inside.

use super::executor::Executor;
use bevy_tasks::{TaskPool, TaskPoolBuilder};
use crossbeam_channel::{Receiver, Sender, select_biased, unbounded};
use std::thread::{self, JoinHandle};
use threadpool::ThreadPool;

/// A rayon pool.
pub(super) struct Rayon(pub(super) rayon::ThreadPool);

/// Threads on one channel.
pub(super) struct Channel {
    sender: Option<Sender<Boxed>>,
    workers: Vec<JoinHandle<()>>,
}

/// Threads on two channels, one of them for urgent tasks.
pub(super) struct TwoChannels {
    senders: Option<[Sender<Boxed>; 2]>,
    workers: Vec<JoinHandle<()>>,
}

type Boxed = Box<dyn FnOnce() + Send>;

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

impl Executor for ThreadPool {
    fn start(threads: usize) -> Self {
        Self::new(threads)
    }
    #[inline]
    fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        self.execute(task);
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

impl Executor for Channel {
    fn start(threads: usize) -> Self {
        let (sender, receiver) = unbounded();
        let workers = start_all(threads, || {
            let receiver: Receiver<Boxed> = receiver.clone();
            move || receiver.iter().for_each(|task| task())
        });
        Self { sender: Some(sender), workers }
    }
    #[inline]
    fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        let sender = self.sender.as_ref().expect("open until it is dropped");
        assert!(sender.send(Box::new(task)).is_ok(), "the workers are there");
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.sender = None;
        join_all(&mut self.workers);
    }
}

impl TwoChannels {
    #[inline]
    fn send(&self, channel: usize, task: impl FnOnce() + Send + 'static) {
        let senders = self.senders.as_ref().expect("open until it is dropped");
        assert!(senders[channel].send(Box::new(task)).is_ok(), "the workers are there");
    }
}

impl Executor for TwoChannels {
    fn start(threads: usize) -> Self {
        let (urgent, usual): ((_, Receiver<Boxed>), (_, Receiver<Boxed>)) =
            (unbounded(), unbounded());
        let workers = start_all(threads, || {
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
        Self { senders: Some([urgent.0, usual.0]), workers }
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

impl Drop for TwoChannels {
    fn drop(&mut self) {
        self.senders = None;
        join_all(&mut self.workers);
    }
}

fn start_all<F: FnOnce() + Send + 'static>(
    threads: usize,
    mut role: impl FnMut() -> F,
) -> Vec<JoinHandle<()>> {
    (0..threads).map(|_| thread::spawn(role())).collect()
}

fn join_all(workers: &mut Vec<JoinHandle<()>>) {
    for worker in workers.drain(..) {
        worker.join().expect("a measured task does not panic");
    }
}
