//! What `cpu::Balancer` promises, a file for each part of it.
//!
//! Every test runs [`in_time`]: one that hangs fails, and the others go on.

mod bad_input;
mod child;
mod contract;
mod install;
mod load;
mod panics;
#[path = "../shared/patience.rs"]
mod patience;
mod pinning;
mod priority;
mod scaling;
mod shutdown;
mod stress;
mod system;
mod waiting;

use forthwith::cpu::{Balancer, BalancerBuilder, Priority};
use patience::{PATIENCE, comes_true, eventually, in_time, within};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};

/// So many workers, and nobody who changes that.
fn fixed(workers: usize) -> BalancerBuilder {
    Balancer::builder().name("test").workers(workers..=workers).check_interval(None)
}

/// So many workers with the default settings.
fn balancer(workers: usize) -> Balancer {
    fixed(workers).build().expect("valid")
}

/// A task that counts its runs.
fn count(runs: &Arc<AtomicUsize>) -> impl FnOnce() + Send + 'static {
    let runs = Arc::clone(runs);
    move || {
        runs.fetch_add(1, Relaxed);
    }
}

/// Keeps a worker from taking tasks until it is dropped.
struct Gate {
    worker: usize,
    _closed: mpsc::Sender<Infallible>,
}

/// Occupies one worker; returns when it is.
fn occupy(balancer: &Balancer) -> Gate {
    let (closed, gate) = mpsc::channel();
    let (entered, entry) = mpsc::channel();
    let own = balancer.clone();
    let task = move || {
        let worker = own.worker_index();
        // So that this is not the last handle.
        drop(own);
        entered.send(worker).expect("the test waits");
        let Err(mpsc::RecvError) = gate.recv();
    };
    balancer.spawn(Priority::Critical, task).expect("open");
    let worker = entry.recv().expect("it runs").expect("on a worker");
    Gate { worker, _closed: closed }
}

/// Runs `f` on `workers` different workers at the same time; by their indices.
fn on_workers<R: Send + 'static>(
    balancer: &Balancer,
    workers: usize,
    f: impl Fn() -> R + Send + Sync + 'static,
) -> Vec<(usize, R)> {
    let (all_here, f) = (Arc::new(Barrier::new(workers)), Arc::new(f));
    let task = |_| {
        let (all_here, f, balancer) = (Arc::clone(&all_here), Arc::clone(&f), balancer.clone());
        move || {
            all_here.wait();
            (balancer.worker_index().expect("a worker"), f())
        }
    };
    let tickets = balancer.submit_all(Priority::Critical, (0..workers).map(task)).expect("open");
    let mut results: Vec<_> =
        tickets.into_iter().map(|ticket| ticket.wait().expect("no panic")).collect();
    results.sort_by_key(|(index, _)| *index);
    results
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
