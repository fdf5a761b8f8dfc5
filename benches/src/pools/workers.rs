//! The threads of a pool that is made here.

use std::thread::{self, JoinHandle};

/// What is queued by those who cannot store closures in place.
pub(crate) type Boxed = Box<dyn FnOnce() + Send>;

/// Threads that are joined when they are dropped: close what they take tasks from before.
pub(crate) struct Workers(Vec<JoinHandle<()>>);

impl Workers {
    /// So many threads, each with a `role` of its own.
    pub(crate) fn start<F: FnOnce() + Send + 'static>(
        threads: usize,
        mut role: impl FnMut() -> F,
    ) -> Self {
        Self((0..threads).map(|_| thread::spawn(role())).collect())
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in self.0.drain(..) {
            worker.join().expect("a measured task does not panic");
        }
    }
}
