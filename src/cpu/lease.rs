//! Data parallelism: the workers on loan to rayon, for one region at a time.
//!
//! rayon's own stealing runs on our threads. A region makes a rayon registry whose threads are *offers*
//! in our queues: a worker that takes one runs as a rayon thread until the region ends. The caller runs
//! the first of them itself, so a region needs nobody, and a worker that enters one cannot block it.
//!
//! ```text
//!   install(f)
//!     registry of n threads ── offers 1..n ──► workers with nothing urgent, while they last
//!         │                                       │ run: rayon's main loop
//!         └─ thread 0: the caller ── run ──► f, join, iterators ◄─┤ stealing
//!                                             │                   │
//!                            f done: registry ends ───────────────┴─► back to the queues
//! ```
//!
//! - **One worker is always left to the queues**: an offer that would take the last one is dropped. A
//!   region entered by a worker counts as [`blocking`](super::blocking), so that a spare one takes its
//!   place. So a task of any priority waits for a region at most as long as for one ordinary task; but
//!   if a worker enters a region and there is no spare thread, the queues wait for the region.
//! - **Offers are not tasks**: a worker takes one when nothing above normal priority waits, or by turns;
//!   never while it waits for a result, which could be what the region itself is waiting for.
//! - An offer that is taken when the region has ended returns at once. One that is never taken costs
//!   the region a thread, nothing else.
//! - Inside a region, or any other rayon pool, `install` only calls `f`.
//! - About 25 allocations and some microseconds a region: for regions of 100 µs and more.
//!   `rayon::broadcast` must not be used inside: it waits for all threads, the missing ones included.
//!
//! (rayon's `use_current_thread` would leak its state into the calling thread for ever, and tasks that
//! park a rayon pool's threads block `join`: hence a registry a region.)

use super::balancer::Core;
use crate::exec;
use crate::lockfree::task::Job;
use crate::sys::sync::Arc;
use rayon::{ThreadBuilder, ThreadPoolBuilder};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

/// A rayon thread, to be run by a worker.
struct Offer(ThreadBuilder);

impl Job for Offer {
    fn run(self) {
        // If nobody would be left to the queues, the region goes on without. rayon's main loop does not
        // unwind: it aborts.
        exec::lent(|| self.0.run());
    }
}

/// What the job of a region borrows from its caller.
struct Borrowed<F, R> {
    f: Option<F>,
    outcome: Option<thread::Result<R>>,
}

/// A pointer that may be sent to the thread that runs the region's job.
struct Sent<T>(*mut T);

// SAFETY: used by `install` alone, which says there why.
unsafe impl<T: Send> Send for Sent<T> {}

impl<T> Sent<T> {
    /// Takes the pointer, so that closures capture the whole wrapper.
    fn into_inner(self) -> *mut T {
        self.0
    }
}

/// Runs `f` as the first job of a region, and returns when the region has ended.
pub(super) fn install<F, R>(core: &Arc<Core>, f: F) -> R
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    if rayon::current_thread_index().is_some() {
        return f();
    }
    // On a worker: somebody else takes its place meanwhile. Before anything is offered, so that the
    // offers find it taken.
    exec::blocking(|| run_region(core, f))
}

fn run_region<F, R>(core: &Arc<Core>, f: F) -> R
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    let mut first = None;
    let region =
        ThreadPoolBuilder::new().num_threads(core.engine.target()).spawn_handler(|thread| {
            if thread.index() == 0 {
                first = Some(thread);
            } else {
                core.engine.offer(Offer(thread));
            }
            Ok(())
        });
    let (Ok(region), Some(first)) = (region.build(), first) else {
        return f();
    };
    let mut borrowed = Borrowed { f: Some(f), outcome: None };
    let sent = Sent(&raw mut borrowed);
    let region = std::sync::Arc::new(region);
    let last = std::sync::Arc::clone(&region);
    let job = move || {
        // SAFETY: `borrowed` is on the stack of the caller, which touches it again only after `run`
        // below has returned. That happens when the registry has ended: when both handles of the region
        // are dropped and this job is done (rayon keeps a registry for as long as it has jobs), so
        // what is written here comes before. Nobody else has the pointer.
        let borrowed = unsafe { &mut *sent.into_inner() };
        let f = borrowed.f.take().expect("a job runs once");
        borrowed.outcome = Some(catch_unwind(AssertUnwindSafe(f)));
        drop(last);
    };
    let job: Box<dyn FnOnce() + Send + '_> = Box::new(job);
    // SAFETY: the lifetime is a promise that the job does not outlive what it borrows: as said above,
    // it has run and is gone before this function returns. It cannot be lost either: the calling
    // thread itself runs the registry's jobs until it has ended. Nothing in between unwinds: building
    // is done, `spawn` and `run` abort rather than unwind.
    let job: Box<dyn FnOnce() + Send + 'static> = unsafe { std::mem::transmute(job) };
    region.spawn(job);
    drop(region);
    first.run();
    match borrowed.outcome.expect("the registry ends after its job") {
        Ok(value) => value,
        Err(payload) => resume_unwind(payload),
    }
}
