//! Threads on a `crossbeam-channel` of boxes: the least executor there is.

use super::executor::Executor;
use super::workers::{Boxed, Workers};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, unbounded};

/// Threads on one channel.
pub(crate) struct Channel {
    // Dropped in this order: without a sender the workers end, then they are joined.
    sender: Sender<Boxed>,
    _workers: Workers,
}

impl Channel {
    /// The same with room for so many tasks.
    pub(crate) fn bounded(threads: usize, capacity: usize) -> Self {
        Self::on(threads, bounded(capacity))
    }

    /// Has `task` run unless there is no room.
    #[inline]
    pub(crate) fn offer(&self, task: impl FnOnce() + Send + 'static) -> bool {
        match self.sender.try_send(Box::new(task)) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => false,
            Err(TrySendError::Disconnected(_)) => unreachable!("the workers are there"),
        }
    }

    fn on(threads: usize, (sender, receiver): (Sender<Boxed>, Receiver<Boxed>)) -> Self {
        let workers = Workers::start(threads, || {
            let receiver = receiver.clone();
            move || receiver.iter().for_each(|task| task())
        });
        Self { sender, _workers: workers }
    }
}

impl Executor for Channel {
    fn start(threads: usize) -> Self {
        Self::on(threads, unbounded())
    }
    #[inline]
    fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        assert!(self.sender.send(Box::new(task)).is_ok(), "the workers are there");
    }
}
