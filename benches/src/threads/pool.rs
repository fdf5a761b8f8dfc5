//! Our answer to what a row asks.

use crate::pools::executor::Executor;
use crate::pools::promise::reply;
use forthwith::threads::{Pool, Ticket, WhenFull};

/// A pool of a fixed size, everything else as it comes.
pub(super) fn pool(name: &str, threads: usize, capacity: usize, when_full: WhenFull) -> Pool {
    let pool = Pool::builder(name).threads(threads..=threads).queue(capacity).when_full(when_full);
    pool.build().expect("valid settings")
}

impl Executor for Pool {
    fn start(threads: usize) -> Self {
        pool("bench", threads, 4096, WhenFull::Block)
    }
    #[inline]
    fn spawn(&self, task: impl FnOnce() + Send + 'static) {
        assert!(self.execute(task).is_ok(), "it is open");
    }
}

/// The answer comes by a ticket.
#[inline]
pub(super) fn by_ticket(pool: &Pool, question: u64) -> Ticket<u64> {
    pool.submit(move || reply(question)).unwrap_or_else(|_| unreachable!("it is open"))
}
