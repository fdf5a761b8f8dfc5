//! How many threads several engines may have together.
//!
//! Each engine has some of its own, which nobody can take from it; for each thread beyond these it takes a
//! permit out of the common stock, and gives it back when the thread ends. Asked for and given back under
//! the engine's own lock (`crew.rs`), so what an engine has taken is always `threads - own`.

use crate::sys::sync::Arc;
use crate::sys::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::io;

/// One engine's part in a budget of threads.
#[derive(Debug, Clone)]
pub(crate) struct Quota {
    own: usize,
    stock: Arc<AtomicUsize>,
}

impl Quota {
    /// `own` threads, and as many more as `stock` has permits.
    pub(crate) fn new(own: usize, stock: &Arc<AtomicUsize>) -> Self {
        Self { own, stock: Arc::clone(stock) }
    }

    /// Whether a thread may be started beside `present` others; it has its permit then.
    pub(super) fn take(&self, present: usize) -> bool {
        // Relaxed: a number of permits, which publishes nothing.
        let take = |permits: usize| permits.checked_sub(1);
        present < self.own || self.stock.fetch_update(Relaxed, Relaxed, take).is_ok()
    }

    /// Why a thread was not started that got no permit.
    pub(super) fn spent() -> io::Error {
        io::Error::new(io::ErrorKind::QuotaExceeded, "the budget of threads is spent")
    }

    /// Whether this is why: then it is others that have to give back.
    pub(super) fn is_spent(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::QuotaExceeded && error.raw_os_error().is_none()
    }

    /// One of `present` threads has ended, or was not started after all.
    pub(super) fn give_back(&self, present: usize) {
        if present > self.own {
            // Relaxed: as above.
            self.stock.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Quota;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    #[test]
    fn permits_are_for_what_is_beyond_the_own_threads() {
        let stock = Arc::new(AtomicUsize::new(1));
        let (one, other) = (Quota::new(1, &stock), Quota::new(2, &stock));
        assert!(one.take(0) && one.take(1), "its own, and the permit");
        assert!(other.take(0) && other.take(1), "its own");
        assert!(!other.take(2) && !one.take(2), "there are no more");
        one.give_back(2);
        assert!(other.take(2));
        one.give_back(1);
        assert_eq!(stock.load(Relaxed), 0, "the own ones need no permit");
        other.give_back(3);
        assert_eq!(stock.load(Relaxed), 1);
    }
}
