//! What a row asks of a pool of threads.
//!
//! ```text
//!   Executor::start(threads) ──► kept through all rounds of a row, dropped with it
//!       │
//!       ├─ spawn            from outside
//!       ├─ spawn_inside     from one of its own tasks
//!       └─ spawn_behind, spawn_urgent    the same, unless it knows priorities
//! ```
//!
//! Nobody of them is pinned: on a shared machine that would decide a row by where the neighbours are.

use crate::sample::Sample;
use std::cell::OnceCell;

/// Threads that run closures.
pub(crate) trait Executor: Send + Sync + Sized + 'static {
    /// With so many worker threads.
    fn start(threads: usize) -> Self;

    /// Has `task` run by one of the workers. May wait for room.
    fn spawn(&self, task: impl FnOnce() + Send + 'static);

    /// The same, called by a task of this executor.
    #[inline]
    fn spawn_inside(&self, task: impl FnOnce() + Send + 'static) {
        self.spawn(task);
    }

    /// A task that is in no hurry.
    #[inline]
    fn spawn_behind(&self, task: impl FnOnce() + Send + 'static) {
        self.spawn(task);
    }

    /// A task before which the others should stand back.
    #[inline]
    fn spawn_urgent(&self, task: impl FnOnce() + Send + 'static) {
        self.spawn(task);
    }
}

/// The work of one contender: what `make` makes is made at the first call, and kept.
pub(crate) fn kept<T>(
    make: impl Fn() -> T,
    work: impl Fn(&T, u64) -> Sample,
) -> impl Fn(u64) -> Sample {
    let stock = OnceCell::new();
    move |ops| work(stock.get_or_init(&make), ops)
}
