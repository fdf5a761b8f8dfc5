//! What `threads` promises, a file for each part of it.
//!
//! Every test runs [`in_time`]: one that hangs fails, and the others go on.

mod bad_input;
mod cancel;
#[path = "../shared/child.rs"]
mod child;
mod contract;
mod deadlines;
mod map;
mod overload;
mod panics;
#[path = "../shared/patience.rs"]
mod patience;
mod policies;
mod proc;
mod registry;
mod scaling;
mod scope;
mod shutdown;
mod stats;
mod stress;
mod system;
mod waiting;
mod watchdog;

use forthwith::threads::{Pool, PoolBuilder};
use patience::{PATIENCE, eventually, in_time, within};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::time::Duration;

/// So many milliseconds.
const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// So many threads, and nobody who changes that.
fn fixed(threads: usize) -> PoolBuilder {
    Pool::builder("test").threads(threads..=threads)
}

/// So many threads with the default settings.
fn pool(threads: usize) -> Pool {
    fixed(threads).build().expect("valid")
}

/// A task that counts its runs.
fn count(runs: &Arc<AtomicUsize>) -> impl FnOnce() + Send + 'static {
    let runs = Arc::clone(runs);
    move || {
        runs.fetch_add(1, Relaxed);
    }
}

/// A task that waits until as many are there as the barrier is for.
fn meeting(barrier: &Arc<Barrier>) -> impl FnOnce() + Send + 'static {
    let barrier = Arc::clone(barrier);
    move || {
        barrier.wait();
    }
}

/// Has so many tasks run at the same time.
fn meet(pool: &Pool, count: usize) {
    let barrier = Arc::new(Barrier::new(count));
    let tickets: Vec<_> =
        (0..count).map(|_| pool.submit(meeting(&barrier)).expect("open")).collect();
    for ticket in tickets {
        ticket.wait().expect("no panic");
    }
}

/// Counts when it is dropped: for a closure to hold.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// Keeps a thread of a pool from taking tasks until it is dropped.
struct Gate {
    _closed: mpsc::Sender<Infallible>,
}

/// Occupies one thread of `pool`; returns when it is.
fn occupy(pool: &Pool) -> Gate {
    let (closed, gate) = mpsc::channel();
    let (entered, entry) = mpsc::channel();
    let task = move || {
        entered.send(()).expect("the test waits");
        let Err(mpsc::RecvError) = gate.recv();
    };
    pool.execute(task).expect("open");
    entry.recv().expect("it runs");
    Gate { _closed: closed }
}

/// Tasks that fill the queue of a pool whose threads are occupied, and their results.
fn fill(pool: &Pool) -> Vec<forthwith::threads::Ticket<usize>> {
    let tasks = 0..pool.queue_capacity();
    tasks.map(|number| pool.try_submit(move || number).expect("there is room")).collect()
}

/// xorshift64*, G. Marsaglia.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % end
    }
}
