//! One number of threads over several pools.
//!
//! ```text
//!   budget = the minimum of each pool ── its own, always there for it
//!          + a stock of permits       ── for each thread beyond that, first come, first served
//! ```
//!
//! A permit is taken when a thread is started and comes back when it ends (`exec::Quota`); a pool that gets
//! none goes on with the threads it has, and its keeper asks again.

use crate::exec::Quota;
use crate::sys::sync::Arc;
use crate::sys::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A number of threads.
#[derive(Debug)]
pub(super) struct Budget {
    threads: usize,
    /// Permits for threads that are nobody's own.
    stock: Arc<AtomicUsize>,
}

/// A pool's part in a budget: its own threads come back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    own: usize,
    stock: Arc<AtomicUsize>,
}

impl Budget {
    pub(super) fn new(threads: usize) -> Self {
        Self { threads, stock: Arc::new(AtomicUsize::new(threads)) }
    }

    /// A share with `own` threads, or how many permits are left.
    pub(super) fn share(&self, own: usize) -> Result<Share, usize> {
        // Relaxed, as all below: only the number matters.
        let take = |permits: usize| permits.checked_sub(own);
        self.stock.fetch_update(Relaxed, Relaxed, take)?;
        Ok(Share { own, stock: Arc::clone(&self.stock) })
    }

    /// All of it.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// The permits that nobody has.
    pub(super) fn left(&self) -> usize {
        self.stock.load(Relaxed)
    }
}

impl Share {
    /// For the pool's engine.
    pub(super) fn quota(&self) -> Quota {
        Quota::new(self.own, &self.stock)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.stock.fetch_add(self.own, Relaxed);
    }
}
